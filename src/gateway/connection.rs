//! The life of one client connection: HTTP head, refusal or upgrade, frames, end.
//!
//! The handshake waits for the upstream without holding the shard up; refusals come before the 101.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use zeroize::Zeroize;

use super::arrivals::{self, Visit};
use super::begin::Begun;
use super::drain;
use super::identities::Known;
use super::post::SocketId;
use super::pressure::Wait;
use super::sessions::{CLOSE_WAIT_MS, Received};
use super::turn::ShardRef;
use crate::api::Refusal;
use crate::http::{HeadReader, Request, response};
use crate::runtime::{self, Accepted, OneShotReceiver, Seat, Socket, TlsSide, turn};
use crate::tls::server::Served;
use crate::ws::Decoder;

/// What a client may send behind its request before it has been answered; it should send nothing.
const EARLY_BYTES_MAX: usize = 16 * 1024;

/// Begins to serve an accepted connection, with TLS or without.
pub fn accept(shard: ShardRef, accepted: Accepted, tls: Option<&Served>) {
    let Accepted { stream, peer, seat } = accepted;
    let set_up = || {
        let socket = Socket::from_std(stream)?;
        if let Some(tls) = tls {
            socket.secure(TlsSide::Server(tls.config.clone()))?;
        }
        Ok::<_, io::Error>(socket)
    };
    match set_up() {
        Ok(socket) => runtime::spawn(serve(shard, socket, peer, seat)),
        Err(error) => tracing::warn!(%error, "an accepted connection could not be set up"),
    }
}

/// Serves one connection until it is gone.
async fn serve(shard: ShardRef, socket: Socket, peer: SocketAddr, seat: Seat) {
    let opened = shard.turn(|shard, now_ms| shard.open_socket(now_ms, socket.clone()));
    let Some(id) = opened else {
        return socket.abort();
    };
    // In memory of its own, which is free again when frames begin: this future is what an idle socket costs.
    let begun = Box::pin(handshake(&shard, id, &socket, peer)).await;
    if let Some((decoder, early)) = begun {
        frames(&shard, id, &socket, decoder, early).await;
    }
    let said_goodbye = shard.turn(|shard, now_ms| shard.closing_down(now_ms, id));
    end(&socket, said_goodbye).await;
    shard.turn(|shard, _| shard.forget_socket(id));
    drop(seat);
}

/// What a client has sent behind its request, and the read that is pending, if there is one.
struct Early<'s> {
    unread: Vec<u8>,
    read: Option<Read<'s>>,
}

impl Early<'_> {
    fn is_something(&self) -> bool {
        !self.unread.is_empty() || self.read.is_some()
    }
}

/// Reads the request and opens the session that it asks for. None: it was refused, or the client has gone.
async fn handshake<'s>(
    shard: &ShardRef,
    id: SocketId,
    socket: &'s Socket,
    peer: SocketAddr,
) -> Option<(Decoder, Early<'s>)> {
    let address = match arrivals::arrive(shard, id, socket, peer.ip()).await? {
        Ok(address) => address,
        Err(refusal) => {
            let answer = refused(shard, &refusal, false);
            arrivals::turn_away(shard, socket, answer).await;
            return None;
        }
    };
    if let Err(error) = socket.handshake().await {
        tracing::debug!(client = %address, %error, "a TLS handshake failed");
        shard.glance(|shard, _, _| shard.counters.tls_handshakes_failed += 1);
        return None;
    }
    let (request, unread) = match read_head(socket).await? {
        Ok(head) => head,
        Err(refusal) => {
            refuse(shard, socket, &arrivals::outside(address, refusal), false);
            return None;
        }
    };
    let wants_json = request.wants_json();
    let mut visit = Visit::new(address, &request);
    let begun = open(shard, id, &mut visit, request).await;
    let Begun {
        response,
        decoder,
        opened,
    } = match begun {
        Ok(begun) => begun,
        Err(refusal) => {
            visit.tell(shard, id, refusal.status);
            refuse(shard, socket, &refusal, wants_json);
            return None;
        }
    };
    let (answer, early) = match opened.ready() {
        // A tail that is open has answered already.
        Some(answer) => (answer, Early { unread, read: None }),
        None => {
            // This read goes on while the upstream thinks, and tells when the client has gone.
            let read = Box::pin(read_bytes(socket));
            wait_opened(socket, opened, unread, read).await?
        }
    };
    match answer {
        Ok(()) => {
            visit.tell(shard, id, 101);
            shard.turn(|shard, now_ms| shard.upgraded(now_ms, id, response));
            Some((decoder, early))
        }
        Err(refusal) => {
            visit.tell(shard, id, refusal.status);
            refuse(shard, socket, &refusal, wants_json);
            end_reading(shard, id, socket, early.read).await;
            None
        }
    }
}

/// Lets the client in, or not, and asks the upstream.
async fn open(
    shard: &ShardRef,
    id: SocketId,
    visit: &mut Visit,
    request: Request,
) -> Result<Begun, Refusal> {
    let understood = shard.turn(|shard, now_ms| {
        shard.arrived(now_ms, id, visit, &request)?;
        shard.understand(&request)
    })?;
    let known = shard.turn(|shard, _| {
        let certificate = shard.proven_certificate(id);
        shard.authenticate(id, &request, &understood, certificate.as_deref())
    });
    drop(request);
    match known {
        Known::Now(known) => known?,
        // A client that goes meanwhile is noticed behind this.
        Known::Later(known) => {
            let known = known.receive().await;
            known.unwrap_or_else(|| Err(drain::refusal()))?;
        }
    }
    // Nothing is asked of a topic, and no place taken, for who has no right to it.
    if let Some(allowed) = shard.turn(|shard, now_ms| shard.authorize(now_ms, id, &understood)) {
        let allowed = allowed.receive().await;
        allowed.unwrap_or_else(|| Err(drain::refusal()))?;
    }
    shard.turn(|shard, now_ms| {
        shard.admit_role(now_ms, id)?;
        shard.begin(now_ms, id, understood)
    })
}

/// A read of a socket; one that is pending is never dropped.
type Read<'s> = Pin<Box<dyn Future<Output = io::Result<Option<Vec<u8>>>> + 's>>;

async fn read_bytes(socket: &Socket) -> io::Result<Option<Vec<u8>>> {
    socket.read_with(|bytes| bytes.to_vec()).await
}

/// The upstream's answer, and what the client has sent until then. None: the client has gone.
async fn wait_opened<'s>(
    socket: &'s Socket,
    opened: OneShotReceiver<Result<(), Refusal>>,
    mut unread: Vec<u8>,
    mut read: Read<'s>,
) -> Option<(Result<(), Refusal>, Early<'s>)> {
    let mut opened = pin!(opened.receive());
    loop {
        match first(opened.as_mut(), read.as_mut()).await {
            First::One(answer) => {
                let answer = answer.unwrap_or_else(|| Err(drain::refusal()));
                let read = Some(read);
                return Some((answer, Early { unread, read }));
            }
            First::Other(Ok(Some(early))) => {
                unread.extend_from_slice(&early);
                if unread.len() > EARLY_BYTES_MAX {
                    let answer = Err(Refusal::new(
                        400,
                        "Frames before the answer to the upgrade request",
                    ));
                    return Some((answer, Early { unread, read: None }));
                }
                read = Box::pin(read_bytes(socket));
            }
            First::Other(Ok(None) | Err(_)) => return None,
        }
    }
}

/// None: the client went without a request. Err: what it sent is not one.
async fn read_head(socket: &Socket) -> Option<Result<(Request, Vec<u8>), Refusal>> {
    let mut head = HeadReader::new();
    loop {
        let read = socket.read_with(|bytes| {
            let fed = head.feed(bytes);
            let done =
                fed.map(|done| done.map(|(request, used)| (request, bytes[used..].to_vec())));
            // The buffer is the shard's: nothing that a client has shown stays in it.
            bytes.zeroize();
            done
        });
        match read.await {
            Ok(Some(Ok(None))) => {}
            Ok(Some(Ok(Some(head)))) => return Some(Ok(head)),
            Ok(Some(Err(refusal))) => {
                return Some(Err(Refusal::new(refusal.status, refusal.message)));
            }
            Ok(None) | Err(_) => return None,
        }
    }
}

fn refuse(shard: &ShardRef, socket: &Socket, refusal: &Refusal, wants_json: bool) {
    socket.send(refused(shard, refusal, wants_json));
}

/// The answer to a handshake that is refused, which is counted.
fn refused(shard: &ShardRef, refusal: &Refusal, wants_json: bool) -> Bytes {
    shard.turn(|shard, _| shard.counters.handshakes_refused += 1);
    response::refusal(refusal.status, &refusal.message, wants_json)
}

/// Reads frames until the connection ends.
async fn frames(
    shard: &ShardRef,
    id: SocketId,
    socket: &Socket,
    mut decoder: Decoder,
    early: Early<'_>,
) {
    let mut receive = |bytes: &mut [u8]| {
        shard.gather(|shard, now_ms| shard.received(now_ms, id, &mut decoder, bytes))
    };
    // Boxed, as is `take` below: what is rare is no part of this future, which an idle socket costs.
    if early.is_something() && !Box::pin(take_early(shard, id, socket, &mut receive, early)).await {
        return;
    }
    loop {
        wait_before_reading(shard, id, socket).await;
        match socket.read_with(&mut receive).await {
            Ok(Some(Received::All)) => {}
            Ok(Some(Received::AllBut(rest))) => {
                if !Box::pin(take(shard, id, socket, &mut receive, rest)).await {
                    return;
                }
            }
            Ok(Some(Received::End) | None) | Err(_) => return,
        }
    }
}

/// Takes what was read before the frames began, and then what the pending read brings. False: the connection is to be
/// closed.
async fn take_early(
    shard: &ShardRef,
    id: SocketId,
    socket: &Socket,
    receive: &mut impl FnMut(&mut [u8]) -> Received,
    Early { unread, read }: Early<'_>,
) -> bool {
    if !unread.is_empty() && !take(shard, id, socket, receive, unread).await {
        end_reading(shard, id, socket, read).await;
        return false;
    }
    let Some(read) = read else { return true };
    match read.await {
        Ok(Some(bytes)) => take(shard, id, socket, receive, bytes).await,
        Ok(None) | Err(_) => false,
    }
}

/// Takes bytes that have been read, as many at a time as one turn should. False: the connection is to be closed.
async fn take(
    shard: &ShardRef,
    id: SocketId,
    socket: &Socket,
    receive: &mut impl FnMut(&mut [u8]) -> Received,
    mut bytes: Vec<u8>,
) -> bool {
    loop {
        match receive(&mut bytes) {
            Received::All => return true,
            Received::AllBut(rest) => bytes = rest,
            Received::End => return false,
        }
        turn().await;
        wait_before_reading(shard, id, socket).await;
    }
}

/// Until what the socket has asked for has been taken further.
async fn wait_before_reading(shard: &ShardRef, id: SocketId, socket: &Socket) {
    while let Some(wait) = shard.glance(|shard, _, now_ms| shard.wait_before_reading(now_ms, id)) {
        // Its timer is to be looked at.
        shard.gather(|_, _| ());
        match wait {
            Wait::Resumed(resume) => resume.notified().await,
            Wait::Taken(unsent_bytes) => socket.unsent_at_most(unsent_bytes).await,
        }
    }
}

/// The connection is to end: where a read is pending our side ends first, and what the read brings is dropped.
async fn end_reading(shard: &ShardRef, id: SocketId, socket: &Socket, read: Option<Read<'_>>) {
    if let Some(read) = read {
        shard.turn(|shard, now_ms| shard.closing_down(now_ms, id));
        socket.shutdown_after_flush(CLOSE_WAIT_MS);
        let _ = read.await;
    }
}

enum First<A, B> {
    One(A),
    Other(B),
}

/// Whichever is ready first; the one that is not goes on with its next poll.
async fn first<A: Future, B: Future + ?Sized>(
    mut one: Pin<&mut A>,
    mut other: Pin<&mut B>,
) -> First<A::Output, B::Output> {
    poll_fn(|context| {
        if let Poll::Ready(one) = one.as_mut().poll(context) {
            return Poll::Ready(First::One(one));
        }
        other.as_mut().poll(context).map(First::Other)
    })
    .await
}

/// Sends what is queued and ends. Unless the client has `said_goodbye`, what it still sends is read and dropped until it
/// closes too: closing with unread bytes would reset the connection and could take the last frames with it.
async fn end(socket: &Socket, said_goodbye: bool) {
    socket.shutdown_after_flush(CLOSE_WAIT_MS);
    if said_goodbye {
        return socket.unsent_at_most(0).await;
    }
    while let Ok(Some(())) = socket.read_with(|_| ()).await {}
}
