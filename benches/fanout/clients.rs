//! The sockets' other ends: they open, read, check every frame, ack where the case says so; and the publisher.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::Case;
use crate::servers::{self, Broker, Peer};

/// As many sockets open at a time, so that the accept queue never overflows.
const OPENING: usize = 64;
const PAYLOAD_BYTES: usize = 128;
/// `{"messageId":"CBAQADAA"}` as a client's frame, masked with zeros.
const ACK: &[u8] = b"\x81\x98\0\0\0\0{\"messageId\":\"CBAQADAA\"}";
/// Without any frame for so long a run is over.
const SILENCE: Duration = Duration::from_secs(3);

/// What a case has shown.
#[derive(Debug, Default)]
pub struct Outcome {
    pub frames: u64,
    pub cpu: Duration,
    /// CPU of the server for opening one socket, µs.
    pub open_us: f64,
    pub socket_kib: f64,
    expected: u64,
    out_of_order: u64,
    /// Milliseconds from publish to receipt, sorted.
    latencies: Vec<f32>,
}

impl Outcome {
    pub fn cpu_us_per_frame(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.frames.max(1) as f64
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
        self.frames == self.expected && self.out_of_order == 0
    }

    pub fn complaint(&self) -> String {
        format!(
            "{} frames of {}, {} out of order",
            self.frames, self.expected, self.out_of_order
        )
    }
}

/// One message as a gateway would send it: its number and the time at the begin of the payload.
pub fn frame(number: u64) -> Vec<u8> {
    let payload = base64_simd::STANDARD.encode_to_string(payload(number));
    let text = format!(
        "{{\"messageId\":\"CBAQADAA\",\"payload\":\"{payload}\",\"properties\":{{}},\
         \"publishTime\":\"2026-11-20T17:47:23.156Z\",\"redeliveryCount\":0}}"
    );
    let mut frame = vec![0x81, 126];
    frame.extend_from_slice(&(text.len() as u16).to_be_bytes());
    frame.extend_from_slice(text.as_bytes());
    frame
}

fn payload(number: u64) -> Vec<u8> {
    let mut payload = format!("{number:012}{:018}", now_us()).into_bytes();
    payload.resize(PAYLOAD_BYTES, b'.');
    payload
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

/// Publishing begins when the clients have settled.
pub const SETTLING: Duration = Duration::from_secs(2);

pub fn run(case: Case, peer: Peer, broker: &Broker, run: Duration) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, measure(case, peer, broker, run))
}

async fn measure(case: Case, peer: Peer, broker: &Broker, run: Duration) -> Outcome {
    let (server, address) = servers::start(peer, case, broker, run);
    let topic = format!("persistent/public/default/fanout-{}", fastrand::u64(..));
    let path = match case.acks || peer == Peer::Java {
        true => format!("/ws/v2/reader/{topic}"),
        false => format!("/ws/v2/reader/{topic}?flow=tcp"),
    };
    // The first one opens the upstream; it is not counted.
    let mut sockets = vec![open(address, path.clone()).await];
    let (cpu, memory) = (server.cpu(), server.resident_bytes());
    while sockets.len() < case.readers {
        let count = OPENING.min(case.readers - sockets.len());
        let opening: Vec<_> = (0..count)
            .map(|_| tokio::task::spawn_local(open(address, path.clone())))
            .collect();
        for socket in opening {
            sockets.push(socket.await.expect("opened"));
        }
    }
    let opened = (case.readers - 1).max(1) as f64;
    let open_us = (server.cpu() - cpu).as_secs_f64() * 1e6 / opened;
    let socket_kib = server.resident_bytes().saturating_sub(memory) as f64 / 1024.0 / opened;
    let readers: Vec<_> = sockets
        .into_iter()
        .map(|socket| tokio::task::spawn_local(read(socket, case.acks, run)))
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let cpu = server.cpu();
    if peer != Peer::Floor {
        let (_gateway, address) = servers::start_publishers_gateway(broker);
        publish(address, &topic, case.rate, run).await;
    }
    let mut outcome = Outcome {
        open_us,
        socket_kib,
        expected: u64::from(case.rate) * run.as_secs() * case.readers as u64,
        ..Outcome::default()
    };
    for reader in readers {
        let seen = reader.await.expect("it reads to its end");
        outcome.frames += seen.frames;
        outcome.out_of_order += seen.out_of_order;
        outcome.latencies.extend(seen.latencies);
    }
    outcome.cpu = server.cpu() - cpu;
    outcome.latencies.sort_by(f32::total_cmp);
    outcome
}

async fn open(address: SocketAddr, path: String) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("connected");
    socket.set_nodelay(true).expect("a TCP socket");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = socket.read_u8().await.expect("an answer");
        head.push(byte);
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    socket
}

/// One message at a time, paced by the clock and not by the acks.
async fn publish(address: SocketAddr, topic: &str, rate: u32, run: Duration) {
    let socket = open(address, format!("/ws/v2/producer/{topic}")).await;
    let (mut acks, mut messages) = socket.into_split();
    let drain = tokio::task::spawn_local(async move {
        let mut sink = vec![0; 16 * 1024];
        while acks.read(&mut sink).await.is_ok_and(|count| count > 0) {}
    });
    tokio::time::sleep(SETTLING).await;
    let begin = Instant::now();
    for number in 0..u64::from(rate) * run.as_secs() {
        let due = begin + Duration::from_secs(1) * number as u32 / rate;
        tokio::time::sleep_until(due.into()).await;
        let payload = base64_simd::STANDARD.encode_to_string(payload(number));
        let text = format!("{{\"payload\":\"{payload}\"}}");
        let mut frame = vec![0x81, 0x80 | 126];
        frame.extend_from_slice(&(text.len() as u16).to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text.as_bytes());
        messages.write_all(&frame).await.expect("sent");
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    drain.abort();
}

#[derive(Default)]
struct Seen {
    frames: u64,
    out_of_order: u64,
    latencies: Vec<f32>,
}

/// Reads until all that is expected has come, or nothing does any more.
async fn read(mut socket: TcpStream, acks: bool, run: Duration) -> Seen {
    let mut seen = Seen::default();
    let mut unread = Vec::with_capacity(4096);
    let mut patience = run + SILENCE;
    while let Ok(Ok(count)) = tokio::time::timeout(patience, socket.read_buf(&mut unread)).await {
        if count == 0 {
            break;
        }
        patience = SILENCE;
        let (frames, used) = take_frames(&unread, &mut seen);
        unread.drain(..used);
        if acks && socket.write_all(&ACK.repeat(frames)).await.is_err() {
            break;
        }
    }
    seen
}

/// Checks the whole frames at the begin of `bytes`: how many, and how long they are.
fn take_frames(bytes: &[u8], seen: &mut Seen) -> (usize, usize) {
    let (mut frames, mut used) = (0, 0);
    while let Some(text) = first_frame(&bytes[used..]) {
        used += 4 + text.len();
        frames += 1;
        let (number, published_us) = numbers(text);
        seen.out_of_order += u64::from(number != seen.frames);
        seen.frames += 1;
        let latency_us = now_us().saturating_sub(published_us);
        seen.latencies.push(latency_us as f32 / 1000.0);
    }
    (frames, used)
}

/// The payload of the first frame; all of them have a 16-bit length.
fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    let header = bytes.first_chunk::<4>()?;
    assert_eq!(header[..2], [0x81, 126], "a text frame");
    let len = u16::from_be_bytes([header[2], header[3]]) as usize;
    bytes.get(4..4 + len)
}

fn numbers(text: &[u8]) -> (u64, u64) {
    const NAME: &[u8] = b"\"payload\":\"";
    let at = text.windows(NAME.len()).position(|window| window == NAME);
    let begin = at.expect("a payload") + NAME.len();
    let decoded = base64_simd::STANDARD
        .decode_to_vec(&text[begin..begin + 40])
        .expect("base64");
    let number = |range: std::ops::Range<usize>| {
        let digits = std::str::from_utf8(&decoded[range]).expect("digits");
        digits.parse().expect("a number")
    };
    (number(0..12), number(12..30))
}
