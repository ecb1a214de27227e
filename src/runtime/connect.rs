//! Outgoing connections. Names are resolved on threads of their own, because the system's resolver blocks; the
//! addresses are tried in turn, all within one time limit.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use monoio::net::TcpStream;
use monoio::time::sleep;

use super::clock::now_ms;
use super::diagnostics::is_without_files;
use super::local::{oneshot, spawn};
use super::socket::Socket;
use super::sys::{self, Half};

/// Names resolved at a time: one that hangs in a dead name server (the system gives up after some 10 s) does not hold
/// the others up, four of them do.
const RESOLVER_THREADS: usize = 4;

/// Names waiting for a thread. Each shard asks for a broker once per reconnect, so more are a sign of a dead name
/// server.
const RESOLVER_QUEUE: usize = 1024;

type Addresses = io::Result<Vec<SocketAddr>>;

struct Lookup {
    host: String,
    port: u16,
    answer: flume::Sender<Addresses>,
}

/// Connects to a host by name or IP address (IPv6 without brackets), trying each of its addresses in turn until
/// `timeout_ms` has passed in all. Dropping the wait is allowed: the attempt then ends by itself and closes its
/// socket.
///
/// # Errors
/// The last address's, `TimedOut`, or that the name has no address; each names the host and port, but for the kernel's own
/// that no descriptor is left.
pub async fn connect(host: &str, port: u16, timeout_ms: u64) -> io::Result<Socket> {
    let deadline_ms = now_ms().saturating_add(timeout_ms);
    // A pending ring operation must not be dropped, so the attempt belongs to a task that nobody can drop.
    let (sender, receiver) = oneshot();
    let task_host = host.to_owned();
    spawn(async move { sender.send(attempt_all(&task_host, port, deadline_ms).await) });
    let result = receiver.receive().await;
    let result = result.unwrap_or_else(|| Err(io::Error::other("the attempt was given up")));
    result.map_err(|error| match is_without_files(&error) {
        true => error,
        false => io::Error::new(error.kind(), format!("{host}:{port}: {error}")),
    })
}

async fn attempt_all(host: &str, port: u16, deadline_ms: u64) -> io::Result<Socket> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => resolve(host, port, deadline_ms).await?,
    };
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut untried = addresses.len() as u64;
    for address in addresses {
        // An address that never answers leaves the others their share of the time.
        let now = now_ms();
        let share_ms = deadline_ms.saturating_sub(now) / untried;
        match attempt(address, now + share_ms).await {
            Ok(socket) => return Ok(socket),
            Err(error) => last_error = error,
        }
        untried -= 1;
    }
    Err(last_error)
}

/// One address. When the time is up the socket is shut down, which makes the kernel end the wait for it.
async fn attempt(address: SocketAddr, deadline_ms: u64) -> io::Result<Socket> {
    let stream = sys::connect_start(address)?;
    stream.set_nodelay(true)?;
    let stream = TcpStream::from_std(stream)?;
    let timed_out = {
        let mut writable = pin!(stream.writable(false));
        let mut timer = pin!(sleep(remaining(deadline_ms)));
        let mut timed_out = false;
        poll_fn(|context| {
            if writable.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            if !timed_out && timer.as_mut().poll(context).is_ready() {
                timed_out = true;
                sys::shutdown(sys::borrow(&stream), Half::Both);
            }
            Poll::Pending
        })
        .await;
        timed_out
    };
    if timed_out {
        return Err(timeout());
    }
    match sys::pending_error(sys::borrow(&stream))? {
        None => Ok(Socket::adopt(stream)),
        Some(error) => Err(error),
    }
}

async fn resolve(host: &str, port: u16, deadline_ms: u64) -> Addresses {
    let (answer, answered) = flume::bounded(1);
    let lookup = Lookup {
        host: host.to_owned(),
        port,
        answer,
    };
    let queued = resolver().try_send(lookup);
    queued.map_err(|_| {
        io::Error::new(
            io::ErrorKind::WouldBlock,
            "too many names are being resolved",
        )
    })?;
    let mut answer = pin!(answered.recv_async());
    let mut timer = pin!(sleep(remaining(deadline_ms)));
    poll_fn(|context| {
        if let Poll::Ready(answer) = answer.as_mut().poll(context) {
            let lost = |_| Err(io::Error::other("the resolver ended"));
            return Poll::Ready(answer.unwrap_or_else(lost));
        }
        timer.as_mut().poll(context).map(|()| Err(timeout()))
    })
    .await
}

fn remaining(deadline_ms: u64) -> Duration {
    Duration::from_millis(deadline_ms.saturating_sub(now_ms()))
}

fn timeout() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer within the time limit")
}

/// Starts the resolver threads, from a thread that is not pinned: they would share its CPU for ever.
pub(super) fn start_resolver() {
    resolver();
}

/// The process' resolver threads.
fn resolver() -> &'static flume::Sender<Lookup> {
    static RESOLVER: OnceLock<flume::Sender<Lookup>> = OnceLock::new();
    RESOLVER.get_or_init(|| {
        let (sender, lookups) = flume::bounded::<Lookup>(RESOLVER_QUEUE);
        for number in 0..RESOLVER_THREADS {
            let lookups = lookups.clone();
            let builder = thread::Builder::new().name(format!("resolver-{number}"));
            // Without any thread the queue is closed and every lookup says so.
            let _ = builder.spawn(move || serve(&lookups));
        }
        sender
    })
}

fn serve(lookups: &flume::Receiver<Lookup>) {
    for Lookup { host, port, answer } in lookups {
        // Nobody waits any more for a name that took too long.
        if !answer.is_disconnected() {
            #[expect(clippy::disallowed_methods, reason = "this is that thread")]
            let addresses = (host.as_str(), port)
                .to_socket_addrs()
                .map(Iterator::collect);
            let _ = answer.send(addresses);
        }
    }
}
