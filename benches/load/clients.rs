//! The sockets' other ends: they open, read, check every frame, and ack where the case says so.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::publishers::{self, SETTLING};
use crate::servers::{self, Broker, Peer};
use crate::{Case, Kind, frames};

/// As many sockets open at a time, so that the accept queue never overflows.
const OPENING: usize = 64;
/// Without any frame for so long a run is over.
const SILENCE: Duration = Duration::from_secs(3);

/// Unconfirmed messages of the producer that goes as fast as it can.
const SATURATION_WINDOW: usize = 2000;
/// One message in so many is timed there.
const SATURATION_SAMPLE: u64 = 64;

/// What a case has shown.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Received by all clients together; of producers: confirmed.
    pub messages: u64,
    pub cpu: Duration,
    /// CPU of the server for opening one socket, µs.
    pub open_us: f64,
    pub socket_kib: f64,
    expected: u64,
    /// Gaps, repeats, refusals.
    wrong: u64,
    /// Milliseconds, sorted.
    latencies: Vec<f32>,
}

impl Outcome {
    pub fn cpu_us_per_message(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.messages.max(1) as f64
    }

    pub fn latency_ms(&self, quantile: f64) -> f32 {
        let place = (self.latencies.len() as f64 * quantile) as usize;
        let last = self.latencies.len().saturating_sub(1);
        self.latencies
            .get(place.min(last))
            .copied()
            .unwrap_or(f32::NAN)
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
}

pub fn run(case: Case, peer: Peer, broker: &Broker, run: Duration) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, measure(case, peer, broker, run))
}

async fn measure(case: Case, peer: Peer, broker: &Broker, run: Duration) -> Outcome {
    let (server, address) = servers::start(peer, case, broker, run);
    let topic = format!("persistent/public/default/load-{}", fastrand::u64(..));
    let path = path(case, peer, &topic);
    // The first one opens the upstream; it is not counted.
    let mut sockets = vec![open(address, path.clone()).await];
    let (cpu, memory) = (server.cpu(), server.resident_bytes());
    open_all(&mut sockets, case.sockets, address, &path).await;
    let opened = case.sockets.saturating_sub(1).max(1) as f64;
    let mut outcome = Outcome {
        open_us: (server.cpu() - cpu).as_secs_f64() * 1e6 / opened,
        socket_kib: server.resident_bytes().saturating_sub(memory) as f64 / 1024.0 / opened,
        ..Outcome::default()
    };
    tokio::time::sleep(SETTLING).await;
    let cpu = server.cpu();
    match case.kind {
        Kind::Publish { window } => publish(sockets, window, run, &mut outcome).await,
        _ => receive(sockets, case, peer, broker, &topic, run, &mut outcome).await,
    }
    outcome.cpu = server.cpu() - cpu;
    outcome.latencies.sort_by(f32::total_cmp);
    outcome
}

async fn receive(
    mut sockets: Vec<TcpStream>,
    case: Case,
    peer: Peer,
    broker: &Broker,
    topic: &str,
    run: Duration,
    outcome: &mut Outcome,
) {
    // They stay open and are never read.
    let stalled = match case.kind {
        Kind::Stalled => sockets.split_off(case.sockets - case.sockets / 100),
        _ => Vec::new(),
    };
    let readers: Vec<_> = sockets
        .into_iter()
        .map(|socket| tokio::task::spawn_local(read(socket, case.kind, run)))
        .collect();
    let mut published = u64::from(case.rate) * run.as_secs();
    if peer != Peer::Floor {
        let (_gateway, address) = servers::start_publishers_gateway(broker);
        let producer = open(address, publishers::path(topic, case.kind)).await;
        tokio::time::sleep(SETTLING).await;
        match case.kind {
            Kind::Saturation => {
                let all = publishers::by_window(producer, SATURATION_WINDOW, run).await;
                published = all.confirmed;
                outcome.wrong += all.refused;
            }
            _ => publishers::at_pace(producer, case.rate, run).await,
        }
    }
    let mut seen = Vec::new();
    for reader in readers {
        seen.push(reader.await.expect("it reads to its end"));
    }
    drop(stalled);
    outcome.check(case.kind, published, seen);
}

fn path(case: Case, peer: Peer, topic: &str) -> String {
    match case.kind {
        Kind::Fanout { acks } if acks || peer == Peer::Java => format!("/ws/v2/reader/{topic}"),
        Kind::Fanout { .. } | Kind::Saturation | Kind::Stalled => {
            format!("/ws/v2/reader/{topic}?flow=tcp")
        }
        Kind::Shared => format!("/ws/v2/consumer/{topic}/sub?subscriptionType=Shared"),
        Kind::Publish { .. } => format!("/ws/v2/producer/{topic}"),
    }
}

async fn open_all(sockets: &mut Vec<TcpStream>, count: usize, address: SocketAddr, path: &str) {
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

async fn publish(sockets: Vec<TcpStream>, window: usize, run: Duration, outcome: &mut Outcome) {
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
    outcome.expected = outcome.messages;
}

impl Outcome {
    /// Readers get every message in order; a subscription gets each once.
    fn check(&mut self, kind: Kind, published: u64, seen: Vec<Seen>) {
        let mut shared = Vec::new();
        for seen in seen {
            self.messages += seen.messages;
            self.latencies.extend(seen.latencies);
            match kind {
                Kind::Shared => shared.extend(seen.numbers),
                _ => {
                    self.expected += published;
                    self.wrong += seen.out_of_order;
                }
            }
        }
        if kind == Kind::Shared {
            self.expected = published;
            shared.sort_unstable();
            let each_once = (0..).zip(&shared);
            self.wrong += each_once.filter(|(at, number)| at != *number).count() as u64;
        }
    }
}

pub async fn open(address: SocketAddr, path: String) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("connected");
    socket.set_nodelay(true).expect("a TCP socket");
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

#[derive(Default)]
struct Seen {
    messages: u64,
    /// Where order is not promised.
    numbers: Vec<u64>,
    out_of_order: u64,
    /// Milliseconds from publish to receipt, of a part of the messages.
    latencies: Vec<f32>,
}

impl Seen {
    fn take(&mut self, kind: Kind, number: u64, published_us: u64) {
        match kind {
            Kind::Shared => self.numbers.push(number),
            _ => self.out_of_order += u64::from(number != self.messages),
        }
        if kind != Kind::Saturation || self.messages.is_multiple_of(SATURATION_SAMPLE) {
            let latency_us = frames::now_us().saturating_sub(published_us);
            self.latencies.push(latency_us as f32 / 1000.0);
        }
        self.messages += 1;
    }
}

/// Reads until nothing comes any more.
async fn read(mut socket: TcpStream, kind: Kind, run: Duration) -> Seen {
    let acks = matches!(kind, Kind::Fanout { acks: true } | Kind::Shared);
    let mut seen = Seen::default();
    let mut unread = Vec::with_capacity(4096);
    let mut patience = run + SETTLING + SILENCE;
    while let Ok(Ok(count)) = tokio::time::timeout(patience, socket.read_buf(&mut unread)).await {
        if count == 0 {
            break;
        }
        patience = SILENCE;
        let (mut used, mut answers) = (0, Vec::new());
        while let Some((text, len)) = frames::first(&unread[used..]) {
            used += len;
            let (number, published_us) = frames::stamp(text);
            seen.take(kind, number, published_us);
            if acks {
                answers.extend_from_slice(&frames::ack(text));
            }
        }
        unread.drain(..used);
        if !answers.is_empty() && socket.write_all(&answers).await.is_err() {
            break;
        }
    }
    seen
}
