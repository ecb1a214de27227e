//! The broker's sockets and clock: plain threads around one lock.
//!
//! Two threads per connection (one reads, one writes) and two for all (one accepts, one keeps time). That is no design
//! for ten thousand connections, and needs none: a gateway has a handful. Nothing here knows a command.

use std::collections::HashMap;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf, Bytes, BytesMut};

use super::admin::Admin;
use super::broker::{Broker, ConnectionId};
use super::faults::Faults;
use super::options::Options;
use super::web;

/// One read: large enough for a burst of small frames, small enough to have one per connection.
const READ_BYTES: usize = 64 * 1024;

/// They hold a few frames of the state machine; the default of 2 MiB is for other work.
const STACK_BYTES: usize = 256 * 1024;

/// At most so many segments in one vectored write (`IOV_MAX` is 1024).
const MAX_SEGMENTS: usize = 256;

/// A broker that runs until it is stopped or dropped.
pub struct Embedded {
    address: SocketAddr,
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    state: Mutex<State>,
    /// The clock thread waits here; woken when a deadline may have come nearer, and at the end.
    deadline: Condvar,
}

struct State {
    broker: Broker,
    peers: HashMap<ConnectionId, Arc<Peer>>,
    stopped: bool,
    /// What waits in accept(): a last connection lets it see the end.
    listening: Vec<SocketAddr>,
}

struct Peer {
    stream: TcpStream,
    /// Its reader (for input to be wanted) and its writer (for output) wait here.
    wake: Condvar,
}

/// Binds 127.0.0.1 and serves.
pub fn start(options: Options) -> io::Result<Embedded> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
    let address = listener.local_addr()?;
    let state = State {
        broker: Broker::new(options, format!("pulsar://{address}"), now_ms()),
        peers: HashMap::new(),
        stopped: false,
        listening: vec![address],
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        deadline: Condvar::new(),
    });
    let clock = shared.clone();
    spawn("embedded-clock", move || keep_time(&clock))?;
    let accepting = shared.clone();
    spawn("embedded-accept", move || accept(&listener, &accepting))?;
    Ok(Embedded { address, shared })
}

impl Embedded {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `pulsar://127.0.0.1:port`.
    pub fn service_url(&self) -> String {
        format!("pulsar://{}", self.address)
    }

    /// Starts its web service, which answers look-ups over HTTP: `http://127.0.0.1:port`.
    ///
    /// # Errors
    /// No port, or no thread, can be had.
    pub fn serve_web(&self) -> io::Result<String> {
        web::start(self.shared.clone()).map(|address| format!("http://{address}"))
    }

    pub fn admin(&self) -> Admin {
        Admin::new(self.shared.clone())
    }

    pub fn faults(&self) -> Faults {
        Faults::new(self.shared.clone())
    }

    /// Closes the port and all connections.
    pub fn stop(self) {}
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let listening = {
            let mut state = self.shared.lock();
            state.stopped = true;
            for peer in state.peers.values() {
                // An error means that it is closed already.
                let _ = peer.stream.shutdown(Shutdown::Both);
                peer.wake.notify_all();
            }
            self.shared.deadline.notify_all();
            std::mem::take(&mut state.listening)
        };
        for address in listening {
            let _ = TcpStream::connect(address);
        }
    }
}

impl Shared {
    /// A panic elsewhere must not take the demo down with a second one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At the end a connection is made there, for a thread that waits in accept().
    pub(super) fn on_stop(&self, listening: SocketAddr) {
        self.lock().listening.push(listening);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// One turn of the broker, from any thread.
    pub(super) fn turn<T>(&self, act: impl FnOnce(&mut Broker, u64) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state.broker, now_ms());
        self.wake(&mut state);
        result
    }

    /// A connection is over: its threads end, and the peer sees it.
    fn forget(&self, id: ConnectionId) {
        self.turn(|broker, now| broker.disconnected(now, id));
        if let Some(peer) = self.lock().peers.remove(&id) {
            // An error means that it is closed already.
            let _ = peer.stream.shutdown(Shutdown::Both);
            peer.wake.notify_all();
        }
    }

    /// Wakes the threads of all connections that a turn has touched.
    fn wake(&self, state: &mut State) {
        for id in state.broker.take_touched() {
            if let Some(peer) = state.peers.get(&id) {
                peer.wake.notify_all();
            }
        }
        self.deadline.notify_one();
    }
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |time| time.as_millis() as u64)
}

pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new().name(name.into());
    builder.stack_size(STACK_BYTES).spawn(run)?;
    Ok(())
}

fn keep_time(shared: &Shared) {
    let mut state = shared.lock();
    while !state.stopped {
        let now = now_ms();
        let wait_ms = match state.broker.next_deadline_ms() {
            Some(at) if at <= now => {
                state.broker.tick(now);
                shared.wake(&mut state);
                continue;
            }
            Some(at) => at - now,
            None => u64::from(u32::MAX),
        };
        state = match shared
            .deadline
            .wait_timeout(state, Duration::from_millis(wait_ms))
        {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        };
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut next: ConnectionId = 0;
    for stream in listener.incoming() {
        if shared.lock().stopped {
            return;
        }
        // An error is the peer's (it has gone already), or a lack of descriptors that will pass.
        let Ok(stream) = stream else {
            #[expect(clippy::disallowed_methods, reason = "a thread of its own")]
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        next += 1;
        if let Err(error) = serve(stream, next, shared) {
            tracing::warn!("embedded broker: a connection was not served: {error}");
            shared.forget(next);
        }
    }
}

fn serve(stream: TcpStream, id: ConnectionId, shared: &Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let peer = Arc::new(Peer {
        stream,
        wake: Condvar::new(),
    });
    {
        let mut state = shared.lock();
        if !state.broker.connected(now_ms(), id) {
            return Ok(());
        }
        state.peers.insert(id, peer.clone());
    }
    let (reading, writing) = (shared.clone(), shared.clone());
    let writer = peer.clone();
    spawn("embedded-write", move || write(&writing, &writer, id))?;
    spawn("embedded-read", move || read(&reading, &peer, id))
}

/// Until the connection ends, whoever ends it; then tells the broker.
fn read(shared: &Shared, peer: &Peer, id: ConnectionId) {
    let mut bytes = BytesMut::new();
    let mut chunk = vec![0; READ_BYTES];
    while take_in(shared, peer, id, &mut bytes) {
        match (&peer.stream).read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    shared.forget(id);
}

/// Gives the broker what has come. Waits while it wants no input; `false` when the broker has stopped. What comes on a
/// connection that the broker ends is for nobody: the thread that writes closes it behind the last that there is to say.
fn take_in(shared: &Shared, peer: &Peer, id: ConnectionId, bytes: &mut BytesMut) -> bool {
    let mut state = shared.lock();
    loop {
        if state.stopped {
            return false;
        }
        if state.broker.is_closing(id) {
            bytes.clear();
            return true;
        }
        if state.broker.wants_input(id) {
            state.broker.received(now_ms(), id, bytes);
            shared.wake(&mut state);
            if state.broker.wants_input(id) {
                return true;
            }
            continue;
        }
        state = peer
            .wake
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

fn write(shared: &Shared, peer: &Peer, id: ConnectionId) {
    let mut segments: Vec<Bytes> = Vec::new();
    let mut state = shared.lock();
    loop {
        state.broker.take_output(id, &mut segments);
        if segments.is_empty() {
            if state.stopped || state.broker.is_closing(id) {
                break;
            }
            state = peer
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        drop(state);
        let bytes = segments.iter().map(Bytes::len).sum();
        let result = write_all(&peer.stream, &mut segments);
        state = shared.lock();
        if result.is_err() {
            break;
        }
        state.broker.written(now_ms(), id, bytes);
        shared.wake(&mut state);
    }
    drop(state);
    // The reader ends with it. An error means that it is closed already.
    let _ = peer.stream.shutdown(Shutdown::Both);
}

/// Leaves `segments` empty.
fn write_all(mut stream: &TcpStream, segments: &mut Vec<Bytes>) -> io::Result<()> {
    let mut first = 0;
    while first < segments.len() {
        let slices: Vec<IoSlice<'_>> = segments[first..]
            .iter()
            .take(MAX_SEGMENTS)
            .map(|segment| IoSlice::new(segment))
            .collect();
        let mut written = match stream.write_vectored(&slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        while first < segments.len() && written >= segments[first].len() {
            written -= segments[first].len();
            first += 1;
        }
        if written > 0 {
            segments[first].advance(written);
        }
    }
    segments.clear();
    Ok(())
}
