//! The life of one client connection: HTTP head, refusal or upgrade, frames, end.
//!
//! The handshake waits for the upstream without holding the shard up; refusals come before the 101.

use super::post::SocketId;
use super::sessions::CLOSE_WAIT_MS;
use super::shard::ShardRef;
use crate::api::Refusal;
use crate::http::{HeadReader, Request, response};
use crate::runtime::{Accepted, Socket};
use crate::ws::Decoder;

/// Serves one accepted connection until it is gone.
pub async fn serve(shard: ShardRef, accepted: Accepted) {
    let Accepted { stream, seat, .. } = accepted;
    let socket = match Socket::from_std(stream) {
        Ok(socket) => socket,
        Err(error) => return tracing::warn!(%error, "an accepted connection could not be set up"),
    };
    let Some(id) = shard.turn(|shard, now_ms| shard.open_socket(now_ms, socket.clone())) else {
        return socket.abort();
    };
    if let Some(rest) = handshake(&shard, id, &socket).await {
        frames(&shard, id, &socket, rest).await;
    }
    shard.turn(|shard, now_ms| shard.closing_down(now_ms, id));
    linger(&socket).await;
    shard.turn(|shard, _| shard.forget_socket(id));
    drop(seat);
}

/// Reads the request, opens its session and answers. Some: upgraded, with what the client sent behind the head.
async fn handshake(shard: &ShardRef, id: SocketId, socket: &Socket) -> Option<Vec<u8>> {
    let (request, rest) = match read_head(socket).await? {
        Ok(head) => head,
        Err(refusal) => {
            refuse(shard, socket, &refusal, false);
            return None;
        }
    };
    match open_session(shard, id, &request).await {
        Ok(accept_key) => {
            let answer = response::switching_protocols(&accept_key);
            shard.turn(|shard, now_ms| shard.upgraded(now_ms, id, answer));
            Some(rest)
        }
        Err(refusal) => {
            refuse(shard, socket, &refusal, request.wants_json());
            None
        }
    }
}

/// None: the client went without a request. Err: what it sent is not one.
async fn read_head(socket: &Socket) -> Option<Result<(Request, Vec<u8>), Refusal>> {
    let mut head = HeadReader::new();
    loop {
        let read = socket.read_with(|bytes| {
            let fed = head.feed(bytes);
            fed.map(|done| done.map(|(request, used)| (request, bytes[used..].to_vec())))
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

/// Ok: the accept key for the 101, once the upstream has the session's producer or consumer.
async fn open_session(
    shard: &ShardRef,
    id: SocketId,
    request: &Request,
) -> Result<String, Refusal> {
    let (accept_key, answer) = shard.turn(|shard, now_ms| shard.begin(now_ms, id, request))?;
    match answer.receive().await {
        Some(answer) => answer.map(|()| accept_key),
        None => Err(Refusal::new(503, "The gateway is shutting down")),
    }
}

fn refuse(shard: &ShardRef, socket: &Socket, refusal: &Refusal, wants_json: bool) {
    shard.turn(|shard, _| shard.counters.handshakes_refused += 1);
    socket.send(response::refusal(
        refusal.status,
        &refusal.message,
        wants_json,
    ));
}

/// Reads frames until the connection ends.
async fn frames(shard: &ShardRef, id: SocketId, socket: &Socket, mut rest: Vec<u8>) {
    let mut decoder = Decoder::new(shard.turn(|shard, _| shard.config.max_text_frame_bytes));
    if !rest.is_empty()
        && !shard.turn(|shard, now_ms| shard.received(now_ms, id, &mut decoder, &mut rest))
    {
        return;
    }
    drop(rest);
    loop {
        while let Some(resume) = shard.turn(|shard, _| shard.wait_for_upstream(id)) {
            resume.notified().await;
        }
        let read = socket.read_with(|bytes| {
            shard.turn(|shard, now_ms| shard.received(now_ms, id, &mut decoder, bytes))
        });
        match read.await {
            Ok(Some(true)) => {}
            Ok(Some(false)) | Ok(None) | Err(_) => return,
        }
    }
}

/// Sends what is queued, then reads and drops what the client still says until it closes too: closing with unread
/// bytes would reset the connection and could take the last frames with it.
async fn linger(socket: &Socket) {
    socket.shutdown_after_flush(CLOSE_WAIT_MS);
    while let Ok(Some(())) = socket.read_with(|_| ()).await {}
}
