//! One case on one server: the sockets' other ends open, and publish or read, and everything is counted.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::cases::{Case, Kind};
use crate::nchan;
use crate::process::{CpuTime, OTHERS_CPU, SERVERS_CPU};
use crate::publishers::{self, Publisher, SETTLING, Window};
use crate::readers::{Readers, Stream};
use crate::servers::{Broker, Peer, Target};

/// As many sockets open at a time, so that the accept queue never overflows.
const OPENING: usize = 64;

/// A server keeps up that delivers, or confirms, so much of what it is offered within [`crate::readers::LATE_MS`].
const KEEPS_UP: f64 = 0.95;

/// A CPU that is busier than this (percent) is what limits a run.
const FULL: f64 = 97.0;

/// What a case has shown.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Received by all clients together; of producers: confirmed.
    pub messages: u64,
    /// Of the server, while there was publishing.
    pub cpu: Duration,
    /// CPU of the server for opening one socket, µs.
    pub open_us: f64,
    pub socket_kib: f64,
    /// That must have come in the end,
    pub expected: u64,
    /// and that was to come at this pace.
    pub offered: u64,
    pub late: u64,
    /// Gaps, repeats, refusals.
    pub wrong: u64,
    /// Milliseconds; sorted in the end.
    pub latencies: Vec<f32>,
    took: Duration,
    /// Percent, of the server's CPU and that of all others.
    busy: [f64; 2],
}

impl Outcome {
    pub fn cpu_us_per_message(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.messages.max(1) as f64
    }

    pub fn messages_per_second(&self) -> f64 {
        self.messages as f64 / self.took.as_secs_f64().max(0.001)
    }

    pub fn latency_ms(&self, quantile: f64) -> f32 {
        quantile_of(&self.latencies, quantile)
    }

    pub fn is_sound(&self) -> bool {
        self.complaint().is_none()
    }

    pub fn complaint(&self) -> Option<String> {
        let Outcome {
            messages,
            expected,
            wrong,
            ..
        } = self;
        (messages != expected || *wrong > 0).then(|| {
            format!("{messages} messages of {expected}, {wrong} gaps, repeats or refusals")
        })
    }

    pub fn keeps_up(&self) -> bool {
        let in_time = self.messages.saturating_sub(self.late);
        in_time as f64 >= self.offered as f64 * KEEPS_UP
    }

    /// How busy both CPUs were, and which of them was the limit.
    pub fn busy(&self) -> String {
        let [servers, others] = self.busy;
        let limit = if others > FULL { "!" } else { "" };
        format!("{servers:.0}, {others:.0}{limit}")
    }

    /// The server has had nothing to do with it: the generator (or broker) had no time.
    pub fn generator_was_the_limit(&self) -> bool {
        self.busy[1] > FULL && self.busy[0] < FULL
    }
}

/// Of sorted ones.
pub fn quantile_of(latencies: &[f32], quantile: f64) -> f32 {
    let place = (latencies.len() as f64 * quantile) as usize;
    let last = latencies.len().saturating_sub(1);
    latencies.get(place.min(last)).copied().unwrap_or(f32::NAN)
}

/// Everything that talks to sockets runs in one of these.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, future)
}

/// Where the readers' messages come from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// From a producer on a gateway of its own, over this broker.
    Gateway(&'a Broker),
    /// The server gets them by HTTP.
    Posts,
    /// The server makes them.
    Itself,
}

pub fn run(case: Case, target: &Target, source: Source<'_>, run: Duration) -> Outcome {
    block_on(measure(case, target, source, run))
}

async fn measure(case: Case, target: &Target, source: Source<'_>, run: Duration) -> Outcome {
    let topic = new_topic();
    let path = path(case.kind, target.peer, &topic);
    let mut outcome = Outcome::default();
    let sockets = open_measured(target, &path, case.sockets, &mut outcome).await;
    tokio::time::sleep(SETTLING).await;
    match case.kind {
        Kind::Publish { window } => publish(sockets, case, window, target, run, &mut outcome).await,
        _ => receive(sockets, case, target, source, &topic, run, &mut outcome).await,
    }
    outcome.latencies.sort_by(f32::total_cmp);
    outcome
}

/// Opens them and measures what that has cost.
pub async fn open_measured(
    target: &Target,
    path: &str,
    count: usize,
    outcome: &mut Outcome,
) -> Vec<TcpStream> {
    let server = &target.server;
    // The first one opens the upstream; it is not counted.
    let mut sockets = vec![open(target.address, path.to_owned()).await];
    let (cpu, memory) = (server.cpu(), server.memory_bytes());
    open_more(&mut sockets, count, target.address, path).await;
    let opened = count.saturating_sub(1).max(1) as f64;
    outcome.open_us = (server.cpu() - cpu).as_secs_f64() * 1e6 / opened;
    outcome.socket_kib = server.memory_bytes().saturating_sub(memory) as f64 / 1024.0 / opened;
    sockets
}

async fn receive(
    sockets: Vec<TcpStream>,
    case: Case,
    target: &Target,
    source: Source<'_>,
    topic: &str,
    run: Duration,
    outcome: &mut Outcome,
) {
    let readers = Readers::start(sockets, case.kind);
    let published = u64::from(case.rate) * run.as_secs();
    outcome.offered = match case.kind {
        Kind::Fanout { .. } => published * case.sockets as u64,
        _ => published,
    };
    outcome.expected = outcome.offered;
    let mut publisher = match source {
        Source::Gateway(broker) => Some(Publisher::open(broker, topic, "").await),
        _ => None,
    };
    if publisher.is_some() {
        tokio::time::sleep(SETTLING).await;
    }
    let begin = Begin::now(target);
    match (source, &mut publisher) {
        (_, Some(publisher)) => publisher.at_pace(published, case.rate).await,
        (Source::Posts, _) => nchan::post_at_pace(target.address, published, case.rate).await,
        _ => tokio::time::sleep(run).await,
    }
    readers.all(outcome.offered).await;
    begin.end(target, outcome);
    readers.end(outcome).await;
}

/// What the clocks said when a run began.
pub struct Begin {
    at: std::time::Instant,
    cpu: Duration,
    cpus: [CpuTime; 2],
}

impl Begin {
    pub fn now(target: &Target) -> Begin {
        Begin {
            at: std::time::Instant::now(),
            cpu: target.server.cpu(),
            cpus: [SERVERS_CPU, OTHERS_CPU].map(CpuTime::of),
        }
    }

    pub fn end(&self, target: &Target, outcome: &mut Outcome) {
        outcome.cpu = target.server.cpu() - self.cpu;
        outcome.took = self.at.elapsed();
        let [servers, others] = self.cpus;
        outcome.busy = [
            CpuTime::of(SERVERS_CPU).busy_since(servers),
            CpuTime::of(OTHERS_CPU).busy_since(others),
        ];
    }
}

pub fn new_topic() -> String {
    format!("persistent/public/default/load-{:x}", fastrand::u64(..))
}

fn path(kind: Kind, peer: Peer, topic: &str) -> String {
    match kind {
        _ if peer == Peer::Nchan => "/sub".to_owned(),
        Kind::Fanout { acks: true } => format!("/ws/v2/reader/{topic}"),
        Kind::Fanout { acks: false } => format!("/ws/v2/reader/{topic}?flow=tcp"),
        Kind::Shared => format!("/ws/v2/consumer/{topic}/sub?subscriptionType=Shared"),
        Kind::Publish { .. } => format!("/ws/v2/producer/{topic}"),
    }
}

/// Opens sockets until there are so many.
pub async fn open_more(
    sockets: &mut Vec<TcpStream>,
    count: usize,
    address: SocketAddr,
    path: &str,
) {
    while sockets.len() < count {
        let some = OPENING.min(count - sockets.len());
        let opening: Vec<_> = (0..some)
            .map(|_| tokio::task::spawn_local(open(address, path.to_owned())))
            .collect();
        for socket in opening {
            sockets.push(socket.await.expect("opened"));
        }
    }
}

async fn publish(
    sockets: Vec<TcpStream>,
    case: Case,
    window: usize,
    target: &Target,
    run: Duration,
    outcome: &mut Outcome,
) {
    let window = Window {
        messages: window,
        rate: case.rate / case.sockets as u32,
    };
    let begin = Begin::now(target);
    let producers: Vec<_> = sockets
        .into_iter()
        .map(|socket| tokio::task::spawn_local(publishers::by_window(socket, window, run)))
        .collect();
    for producer in producers {
        let published = producer.await.expect("it publishes to its end");
        outcome.messages += published.confirmed;
        outcome.wrong += published.refused;
        outcome.latencies.extend(published.latencies);
    }
    begin.end(target, outcome);
    outcome.expected = outcome.messages;
    outcome.offered = match window.rate {
        0 => outcome.messages,
        rate => u64::from(rate) * case.sockets as u64 * run.as_secs(),
    };
    outcome.late = outcome
        .latencies
        .iter()
        .filter(|ms| **ms > crate::readers::LATE_MS)
        .count() as u64;
}

pub async fn open(address: SocketAddr, path: String) -> TcpStream {
    upgrade(connect(address).await, &path).await
}

pub async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).await.expect("connected");
    socket.set_nodelay(true).expect("a TCP socket");
    socket
}

/// The handshake, on a connection that is there.
pub async fn upgrade<S: Stream>(mut socket: S, path: &str) -> S {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.expect("an answer"));
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    socket
}
