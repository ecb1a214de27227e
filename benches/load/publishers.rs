//! Producer sockets: one that keeps a pace for the readers' cases, and many that go as fast as their windows let them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Kind, frames};

/// Publishing begins when the clients have settled.
pub const SETTLING: Duration = Duration::from_secs(2);

/// Of the producer behind a case of readers. One that goes as fast as it can has its messages batched.
pub fn path(topic: &str, kind: Kind) -> String {
    match kind {
        Kind::Saturation => format!("/ws/v2/producer/{topic}?batchingEnabled=true"),
        _ => format!("/ws/v2/producer/{topic}"),
    }
}

/// One message at a time, paced by the clock and not by the acks; what is late goes along in one write.
pub async fn at_pace(socket: TcpStream, rate: u32, run: Duration) {
    let (mut acks, mut messages) = socket.into_split();
    let drain = tokio::task::spawn_local(async move {
        let mut sink = vec![0; 16 * 1024];
        while acks.read(&mut sink).await.is_ok_and(|count| count > 0) {}
    });
    let begin = Instant::now();
    let count = u64::from(rate) * run.as_secs();
    let due = |number: u64| begin + Duration::from_nanos(number * 1_000_000_000 / u64::from(rate));
    let mut number = 0;
    while number < count {
        tokio::time::sleep_until(due(number).into()).await;
        let mut late = Vec::new();
        while number < count && due(number) <= Instant::now() {
            late.extend_from_slice(&frames::publish(number));
            number += 1;
        }
        messages.write_all(&late).await.expect("sent");
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    drain.abort();
}

/// What one producer has seen.
#[derive(Default)]
pub struct Published {
    pub confirmed: u64,
    pub refused: u64,
    /// Milliseconds from publish to ack.
    pub latencies: Vec<f32>,
}

/// So many unconfirmed at a time, until the time is up; then the last acks.
pub async fn by_window(mut socket: TcpStream, window: usize, run: Duration) -> Published {
    let mut published = Published::default();
    let mut sent = VecDeque::new();
    let mut number = 0;
    let mut unread = Vec::with_capacity(16 * 1024);
    let end = Instant::now() + run;
    loop {
        let mut messages = Vec::new();
        while sent.len() < window && Instant::now() < end {
            messages.extend_from_slice(&frames::publish(number));
            number += 1;
            sent.push_back(frames::now_us());
        }
        socket.write_all(&messages).await.expect("sent");
        if sent.is_empty() {
            return published;
        }
        let count = socket.read_buf(&mut unread).await.expect("read");
        assert!(count > 0, "the gateway has closed the socket");
        let mut used = 0;
        while let Some((text, len)) = frames::first(&unread[used..]) {
            used += len;
            let at_us = sent.pop_front().expect("an ack for each message");
            let latency_us = frames::now_us().saturating_sub(at_us);
            published.latencies.push(latency_us as f32 / 1000.0);
            match text.starts_with(b"{\"result\":\"ok\"") {
                true => published.confirmed += 1,
                false => published.refused += 1,
            }
        }
        unread.drain(..used);
    }
}
