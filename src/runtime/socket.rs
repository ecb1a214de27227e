//! A TCP connection on a shard. Reading borrows the shard's one buffer and only once there is something to read, so an
//! idle socket holds none; sending queues, and `flush` sends. An idle socket and the task that reads it are 466 bytes
//! of heap (9,000 on loopback, allocations counted, release build), of which 104 are monoio's wait for readability.
//!
//! With TLS ([`Socket::secure`]) the same calls carry plaintext: `secured` opens what is read and seals what is sent. A
//! plain socket pays one empty pointer for that.
//!
//! Descriptors: the last of the handles, the read that waits and the sending task closes it, once. A socket whose
//! handles are all gone sends what it has queued, for at most [`LINGER_MS`].

use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::os::fd::BorrowedFd;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use monoio::net::TcpStream;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use zeroize::{Zeroize, Zeroizing};

use super::batch::Batch;
use super::flush::{self, Outbox};
use super::local::{sleep_ms, spawn};
use super::secured;
use super::sys::{self, Half};
use super::tls::Tls;
use super::turn::{turn, waited};

/// The shard's read buffer: what one system call brings of a busy socket, and a whole frame of the usual size.
pub const READ_BUFFER_BYTES: usize = 64 * 1024;

/// How long a socket that nobody holds any more may go on sending what is queued: as long as a peer that still reads
/// needs for it, and short enough that one that does not read costs little.
pub const LINGER_MS: u64 = 10_000;

/// Reads or writes that the poll driver may answer from its memory before the socket gives others a turn.
const UNWAITED_IN_A_ROW: u8 = 16;

thread_local! {
    pub(super) static READ_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A handle to a connection; clones are the same connection. Belongs to the shard that it was made on.
pub struct Socket(Rc<Connection>);

pub(super) struct Connection {
    stream: TcpStream,
    pub(super) tls: OnceCell<Box<RefCell<Tls>>>,
    /// Only while something is unsent or waited for: an idle socket has none.
    pub(super) outbox: RefCell<Option<Box<Outbox>>>,
    pub(super) unsent_bytes: Cell<usize>,
    handles: Cell<u32>,
    unwaited: Cell<u8>,
    /// The kernel has taken something since the owner last asked.
    pub(super) took: Cell<bool>,
    pub(super) sending: Cell<Sending>,
    end: Cell<End>,
}

/// Who will send what is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// Nobody: nothing is queued.
    Idle,
    /// The shard's flush, at the end of this turn.
    Due,
    /// A task that waits until the kernel has room.
    Waiting,
}

/// Which side of TLS this is.
pub enum TlsSide {
    Server(Arc<ServerConfig>),
    /// And what the server's certificate must be for.
    Client(Arc<ClientConfig>, ServerName<'static>),
}

/// How far the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Open,
    /// Nothing more is queued; the end of our stream follows what is.
    AfterFlush,
    /// The end of our stream is sent.
    Sent,
    /// An error or [`Socket::abort`]: nothing is read or sent any more.
    Broken,
}

impl Socket {
    /// Takes a connected stream over into this shard. Small writes go out at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// The kernel's; the stream is closed then.
    pub fn from_std(stream: StdTcpStream) -> io::Result<Socket> {
        stream.set_nodelay(true)?;
        Ok(Socket::adopt(TcpStream::from_std(stream)?))
    }

    pub(super) fn adopt(stream: TcpStream) -> Socket {
        Socket(Rc::new(Connection {
            stream,
            tls: OnceCell::new(),
            outbox: RefCell::new(None),
            unsent_bytes: Cell::new(0),
            handles: Cell::new(1),
            unwaited: Cell::new(0),
            took: Cell::new(false),
            sending: Cell::new(Sending::Idle),
            end: Cell::new(End::Open),
        }))
    }

    /// # Errors
    /// When the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.stream.peer_addr()
    }

    /// # Errors
    /// When the connection is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.stream.local_addr()
    }

    /// Waits for input and calls `handle` with it, in the shard's read buffer (at most [`READ_BUFFER_BYTES`]); what
    /// it returns comes back. None at the end of the peer's stream, and after [`Socket::abort`]. One task reads at a
    /// time; the wait must not be dropped (abort ends it). Between two reads every other socket gets its turn.
    ///
    /// # Errors
    /// The connection's; it is broken then.
    pub async fn read_with<R>(&self, handle: impl FnOnce(&mut [u8]) -> R) -> io::Result<Option<R>> {
        let connection = &self.0;
        if let Some(early) = connection.receive_early() {
            return Ok(early.map(|count| connection.give(count, handle)));
        }
        let count = loop {
            let (waited, ready) = waited(pin!(connection.stream.readable(false))).await;
            connection.share_turns(waited).await;
            if connection.end.get() == End::Broken {
                return Ok(None);
            }
            match ready.and_then(|()| connection.receive()) {
                Ok(None) => return Ok(None),
                // Of TLS, and nothing that carries data.
                Ok(Some(0)) => {}
                Ok(Some(count)) => break count,
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    connection.break_off();
                    return Err(error);
                }
            }
        };
        Ok(Some(connection.give(count, handle)))
    }

    /// TLS from now on, before anything is read or sent. [`Socket::handshake`] follows.
    ///
    /// # Errors
    /// rustls', where the configuration and the name do not go together.
    pub fn secure(&self, side: TlsSide) -> io::Result<()> {
        let tls = match side {
            TlsSide::Server(config) => Tls::server(config),
            TlsSide::Client(config, name) => Tls::client(config, name),
        };
        let tls = tls.map_err(io::Error::other)?;
        // A second one changes nothing: the first is at work.
        let _ = self.0.tls.set(Box::new(RefCell::new(tls)));
        Ok(())
    }

    /// Waits until both sides have proved who they are; at once without TLS. The owner bounds the time: [`Socket::abort`]
    /// ends the wait, which must not be dropped.
    ///
    /// # Errors
    /// Why it failed, in rustls' words; the connection is broken then.
    pub async fn handshake(&self) -> io::Result<()> {
        let connection = &self.0;
        let Some(tls) = connection.tls.get() else {
            return Ok(());
        };
        let mut result = secured::begin(connection, &mut tls.borrow_mut());
        while result.is_ok() && !tls.borrow().is_established() {
            let (waited, ready) = waited(pin!(connection.stream.readable(false))).await;
            connection.share_turns(waited).await;
            result = match ready.and_then(|()| connection.receive()) {
                _ if connection.end.get() == End::Broken => {
                    Err(io::ErrorKind::ConnectionAborted.into())
                }
                Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(Some(count)) => {
                    tls.borrow_mut().early = connection.give(count, |early| {
                        let taken = Zeroizing::new(early.to_vec());
                        early.zeroize();
                        taken
                    });
                    Ok(())
                }
                Err(error) if is_passing(&error) => Ok(()),
                Err(error) => Err(error),
            };
        }
        if result.is_err() {
            connection.break_off();
        }
        result
    }

    /// The peer has shown who it is: what it sends from now on need not be wiped from the shard's buffers, which costs time.
    pub fn has_been_shown(&self) {
        if let Some(tls) = self.0.tls.get() {
            tls.borrow_mut().wipes = false;
        }
    }

    /// With TLS, whether its handshake is over or not.
    pub fn is_secured(&self) -> bool {
        self.0.tls.get().is_some()
    }

    /// What the peer has shown of itself in the handshake: its certificate, then those that lead to the authority that
    /// was asked for. None: it has shown none, or there is no TLS.
    pub fn peer_certificates(&self) -> Option<Vec<CertificateDer<'static>>> {
        let tls = self.0.tls.get()?.borrow();
        tls.peer_certificates().map(<[_]>::to_vec)
    }

    /// What has come, as it is on the wire, as far as there is room for it: for what stands in front of TLS or a request and
    /// must not be read beyond. 0 at the end of the peer's stream and after [`Socket::abort`]. Otherwise as
    /// [`Socket::read_with`].
    ///
    /// # Errors
    /// The connection's; it is broken then.
    pub async fn read_raw(&self, room: &mut [u8]) -> io::Result<usize> {
        let connection = &self.0;
        loop {
            let (waited, ready) = waited(pin!(connection.stream.readable(false))).await;
            connection.share_turns(waited).await;
            if connection.end.get() == End::Broken {
                return Ok(0);
            }
            match ready.and_then(|()| sys::receive(connection.fd(), room)) {
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    connection.break_off();
                    return Err(error);
                }
                count => return count,
            }
        }
    }

    /// Queues bytes; they leave at the end of this turn of the event loop, together with all that is queued until
    /// then. Dropped silently once the socket is ending or broken: its reader learns that. The queue has no bound of
    /// its own: see [`Socket::unsent_bytes`].
    pub fn send(&self, bytes: Bytes) {
        if self.0.end.get() == End::Open && !bytes.is_empty() {
            flush::queue(&self.0, bytes);
        }
    }

    /// Sends bytes that the caller keeps, at once and without queueing them: how many the kernel took, behind each
    /// other (pieces beyond the 64th are not looked at). None when earlier bytes are still queued, or the socket is
    /// ending or broken: wait with [`Socket::unsent_at_most`] 0.
    pub fn send_now(&self, pieces: &[&[u8]]) -> Option<usize> {
        match self.0.end.get() {
            End::Open => flush::send_now(&self.0, pieces),
            _ => None,
        }
    }

    /// Enters bytes that the caller keeps into a batch of sends. False: they go by [`Socket::send_now`], if at all.
    /// When the batch has been sent, its result is for [`Socket::sent`]; pieces beyond the 64th are not looked at here either.
    pub fn enter<'b>(&'b self, batch: &mut Batch<'b>, pieces: &[&'b [u8]]) -> bool {
        let can = self.0.end.get() == End::Open && self.0.unsent_bytes.get() == 0;
        let can = can && self.0.tls.get().is_none();
        if can {
            batch.begin(self.0.fd());
            let pieces = pieces.iter().take(flush::SEGMENTS_PER_SEND);
            pieces.for_each(|piece| batch.piece(piece));
        }
        can
    }

    /// What this socket's part of a batch has come to: as from [`Socket::send_now`].
    pub fn sent(&self, result: io::Result<usize>) -> Option<usize> {
        flush::sent_now(&self.0, result)
    }

    /// Whether the kernel has taken anything since this was last asked: a peer that reads nothing fills its buffers, and
    /// then it does not.
    pub fn has_taken(&self) -> bool {
        self.0.took.take()
    }

    /// Bytes queued that the kernel has not taken. The owner bounds it: it stops giving when this passes its mark, and
    /// waits with [`Socket::unsent_at_most`].
    pub fn unsent_bytes(&self) -> usize {
        self.0.unsent_bytes.get()
    }

    /// Waits until no more than this is unsent, or the socket is broken (then nothing is).
    pub async fn unsent_at_most(&self, bytes: usize) {
        poll_fn(|context| {
            if self.0.unsent_bytes.get() <= bytes {
                return Poll::Ready(());
            }
            flush::wait(&self.0, bytes, context.waker());
            Poll::Pending
        })
        .await;
    }

    /// Ends our side once all that is queued is sent. The peer's side is read on until it ends too (unread input at
    /// the close would reset the connection and might take back what was sent last); after `timeout_ms` the
    /// connection is aborted.
    pub fn shutdown_after_flush(&self, timeout_ms: u64) {
        if self.0.end.get() != End::Open {
            return;
        }
        self.0.end.set(End::AfterFlush);
        if let Some(tls) = self.0.tls.get() {
            secured::end(&self.0, &mut tls.borrow_mut());
        }
        if self.0.unsent_bytes.get() == 0 {
            self.0.flushed();
        }
        abort_later(&self.0, timeout_ms);
    }

    /// Ends both directions now: what is queued is dropped, a waiting read returns None.
    pub fn abort(&self) {
        self.0.break_off();
    }

    /// The peer has reset the connection, although nobody reads it. One that has only ended its side does not show here.
    pub fn is_hung_up(&self) -> bool {
        sys::is_hung_up(self.0.fd())
    }

    /// An error or an abort has ended the connection.
    pub fn is_broken(&self) -> bool {
        self.0.is_broken()
    }
}

impl Clone for Socket {
    fn clone(&self) -> Socket {
        self.0.handles.set(self.0.handles.get() + 1);
        Socket(self.0.clone())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let handles = self.0.handles.get() - 1;
        self.0.handles.set(handles);
        if handles == 0 && self.0.sending.get() != Sending::Idle {
            self.shutdown_after_flush(LINGER_MS);
        }
    }
}

impl Connection {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        sys::borrow(&self.stream)
    }

    /// Reads into the shard's buffer, where the bytes stay until somebody else reads: how many. None: the end.
    fn receive(self: &Rc<Connection>) -> io::Result<Option<usize>> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(READ_BUFFER_BYTES, 0);
            match self.tls.get() {
                Some(tls) => secured::receive(self, &mut tls.borrow_mut(), buffer),
                None => {
                    let count = sys::receive(self.fd(), buffer)?;
                    Ok((count > 0).then_some(count))
                }
            }
        })
    }

    /// What there is to read without asking the kernel; None: that has to be asked.
    fn receive_early(&self) -> Option<Option<usize>> {
        let tls = self.tls.get()?;
        READ_BUFFER.with_borrow_mut(|buffer| secured::receive_early(&mut tls.borrow_mut(), buffer))
    }

    fn give<R>(&self, count: usize, handle: impl FnOnce(&mut [u8]) -> R) -> R {
        READ_BUFFER.with_borrow_mut(|buffer| handle(&mut buffer[..count]))
    }

    /// Waits until the kernel takes more.
    pub(super) async fn writable(&self) {
        let (waited, _) = waited(pin!(self.stream.writable(false))).await;
        self.share_turns(waited).await;
    }

    /// The poll driver answers a readiness that it knows of without waiting, so that a socket that always has it would
    /// keep the shard for itself.
    async fn share_turns(&self, waited: bool) {
        let unwaited = if waited { 0 } else { self.unwaited.get() + 1 };
        self.unwaited.set(unwaited % UNWAITED_IN_A_ROW);
        if unwaited == UNWAITED_IN_A_ROW {
            // In a task of its own: it is rare, and this future is what an idle socket costs.
            monoio::spawn(turn()).await;
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.end.get() == End::Broken
    }

    /// Nothing more is queued, and the end of our stream follows what is.
    pub(super) fn is_ending(&self) -> bool {
        self.end.get() == End::AfterFlush
    }

    /// All that was queued has been sent.
    pub(super) fn flushed(&self) {
        if self.end.get() == End::AfterFlush {
            self.end.set(End::Sent);
            sys::shutdown(self.fd(), Half::Write);
        }
    }

    /// Ends both directions, so that whoever waits for the socket wakes up.
    pub(super) fn break_off(&self) {
        if self.end.replace(End::Broken) != End::Broken {
            sys::shutdown(self.fd(), Half::Both);
            flush::discard(self);
        }
    }
}

/// Errors after which the same call may succeed.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn abort_later(connection: &Rc<Connection>, timeout_ms: u64) {
    let connection: Weak<Connection> = Rc::downgrade(connection);
    spawn(async move {
        sleep_ms(timeout_ms).await;
        if let Some(connection) = connection.upgrade() {
            connection.break_off();
        }
    });
}
