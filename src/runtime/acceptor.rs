//! Accepting: one thread that hands each new connection to the shard with the fewest open ones. It reads nothing of
//! them, and never spins when descriptors run out.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::warn;

use super::diagnostics::{explain_files, is_exhaustion};
use super::mailbox::Post;
use super::seats::{Seat, Seats};
use super::{cores, sys};

/// Connections accepted before they are handed over: one post per shard then, and no shard waits long for its first.
const ACCEPTS_PER_BATCH: usize = 64;

/// How long to leave new connections in the kernel's queue when no descriptor is left for them.
const EXHAUSTED_PAUSE_MS: i32 = 100;

/// How long to wait when a shard's mailbox is full: a shard empties it in well under this.
const FULL_PAUSE_MS: i32 = 1;

/// Who is refused is left in peace for so long, to read why: closing at once, with what it has sent unread, would reset
/// the connection and might take the answer back.
const FAREWELL_MS: i32 = 1_000;

/// That many at a time, or fewer where files are few; when more are refused, the earliest ones are closed sooner.
pub const FAREWELLS_MAX: usize = 64;

/// A new connection and its place in the count of its shard.
pub struct Accepted {
    pub stream: TcpStream,
    pub peer: SocketAddr,
    /// To be dropped when the connection ends.
    pub seat: Seat,
}

/// A bound listener, not accepting yet.
pub struct Acceptor {
    listener: TcpListener,
}

/// How to accept.
#[derive(Clone)]
pub struct AcceptPlan {
    /// The CPU to pin the thread to.
    pub core: Option<usize>,
    /// Open connections of the process; a further one is told `farewell`, closed and counted.
    pub max_connections: usize,
    /// Refused connections that may stay for a moment, at most [`FAREWELLS_MAX`].
    pub max_farewells: usize,
    pub seats: Seats,
    /// What a connection beyond `max_connections` is told before it is closed.
    pub farewell: Bytes,
}

/// A running acceptor; [`Accepting::stop`] or dropping it ends the thread and closes the listener.
pub struct Accepting {
    address: SocketAddr,
    refused: Arc<AtomicUsize>,
    stop: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Acceptor {
    /// Binds and listens; `backlog` connections may wait in the kernel (cut at `net.core.somaxconn`).
    ///
    /// # Errors
    /// The kernel's, with the address.
    pub fn bind(address: SocketAddr, backlog: u32) -> io::Result<Acceptor> {
        let bind = || {
            let listener = TcpListener::bind(address)?;
            sys::set_backlog(listener.as_fd(), i32::try_from(backlog).unwrap_or(i32::MAX))?;
            listener.set_nonblocking(true)?;
            Ok(Acceptor { listener })
        };
        bind().map_err(|error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })
    }

    /// The bound address, with the port that the kernel chose where 0 was asked for.
    ///
    /// # Errors
    /// The kernel's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Begins to accept on a thread of its own: `wrap` makes each connection the message that its shard gets.
    ///
    /// # Errors
    /// When the thread cannot be started or pinned.
    pub fn start<T: Send + 'static>(
        self,
        plan: AcceptPlan,
        posts: Vec<Post<T>>,
        wrap: impl Fn(Accepted) -> T + Send + 'static,
    ) -> io::Result<Accepting> {
        let address = self.local_addr()?;
        let (stop, stopped) = UnixStream::pair()?;
        let refused = Arc::new(AtomicUsize::new(0));
        if let Some(core) = plan.core {
            cores::check(&[core])?;
        }
        let accept_loop = AcceptLoop {
            listener: self.listener,
            stopped,
            plan,
            posts,
            refused: refused.clone(),
            leaving: VecDeque::new(),
            exhausted: false,
        };
        let thread = thread::Builder::new()
            .name("acceptor".to_owned())
            .spawn(move || accept_loop.run(wrap))?;
        Ok(Accepting {
            address,
            refused,
            stop,
            thread: Some(thread),
        })
    }
}

impl Accepting {
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Connections closed because `max_connections` were open.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// Ends accepting; connections that were handed over stay.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        sys::shutdown(self.stop.as_fd(), sys::Half::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.end();
    }
}

struct AcceptLoop<T> {
    listener: TcpListener,
    /// Readable when the thread is to end.
    stopped: UnixStream,
    plan: AcceptPlan,
    posts: Vec<Post<T>>,
    refused: Arc<AtomicUsize>,
    /// Those that were refused, and when.
    leaving: VecDeque<(Instant, TcpStream)>,
    /// Out of descriptors, and the log knows.
    exhausted: bool,
}

impl<T> AcceptLoop<T> {
    fn run(mut self, wrap: impl Fn(Accepted) -> T) {
        if let Some(core) = self.plan.core
            && let Err(error) = cores::pin(core)
        {
            warn!(%error, "the acceptor runs unpinned");
        }
        let mut batches: Vec<Vec<T>> = self.posts.iter().map(|_| Vec::new()).collect();
        loop {
            let timeout_ms = if self.leaving.is_empty() {
                -1
            } else {
                FAREWELL_MS
            };
            let waited = sys::wait_readable(
                self.stopped.as_fd(),
                Some(self.listener.as_fd()),
                timeout_ms,
            );
            if !matches!(waited, Ok((false, _))) {
                return;
            }
            self.close_leaving();
            let result = self.accept_batch(&mut batches, &wrap);
            for (post, batch) in self.posts.iter().zip(&mut batches) {
                if !self.hand_over(post, std::mem::take(batch)) {
                    return;
                }
            }
            if let Err(error) = result
                && !self.pause(&error)
            {
                return;
            }
        }
    }

    /// Accepts what is waiting, up to a batch. An error is one that trying again at once would repeat.
    fn accept_batch(
        &mut self,
        batches: &mut [Vec<T>],
        wrap: &impl Fn(Accepted) -> T,
    ) -> io::Result<()> {
        for _ in 0..ACCEPTS_PER_BATCH {
            let (stream, peer) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => return Err(error),
            };
            self.exhausted = false;
            if self.plan.seats.total() >= self.plan.max_connections {
                self.refuse(stream);
                continue;
            }
            let seat = self.plan.seats.take();
            let shard = seat.shard();
            batches[shard].push(wrap(Accepted { stream, peer, seat }));
        }
        Ok(())
    }

    fn refuse(&mut self, mut stream: TcpStream) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        // A new connection's buffer takes so little at once. If it does not, there is nobody to tell.
        let _ = stream.set_nonblocking(true);
        let _ = stream.write(&self.plan.farewell);
        sys::shutdown(stream.as_fd(), sys::Half::Write);
        self.leaving.push_back((Instant::now(), stream));
        if self.leaving.len() > self.plan.max_farewells {
            self.leaving.pop_front();
        }
    }

    fn close_leaving(&mut self) {
        let patience = Duration::from_millis(FAREWELL_MS as u64);
        while let Some((since, _)) = self.leaving.front()
            && since.elapsed() >= patience
        {
            self.leaving.pop_front();
        }
    }

    /// Posts to a shard, waiting while its mailbox is full; the kernel's queue holds the others meanwhile. False when
    /// the acceptor is to end. The connections of a shard that has ended are closed.
    fn hand_over(&self, post: &Post<T>, mut batch: Vec<T>) -> bool {
        loop {
            match post.try_post(batch) {
                Ok(()) => return true,
                Err(_) if post.is_closed() => return true,
                Err(back) => batch = back,
            }
            if !self.wait(FULL_PAUSE_MS) {
                return false;
            }
        }
    }

    /// Says once what is wrong, and waits a little. False when the acceptor is to end.
    fn pause(&mut self, error: &io::Error) -> bool {
        if !std::mem::replace(&mut self.exhausted, true) {
            let remedy = is_exhaustion(error).then(explain_files).unwrap_or_default();
            warn!(%error, remedy, "new connections wait");
        }
        self.wait(EXHAUSTED_PAUSE_MS)
    }

    fn wait(&self, duration_ms: i32) -> bool {
        matches!(
            sys::wait_readable(self.stopped.as_fd(), None, duration_ms),
            Ok((false, _))
        )
    }
}

/// Errors of accept(2) that are about the connection and not about us: the next one may be well.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::PermissionDenied
    )
}
