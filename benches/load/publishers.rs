//! Producer sockets: one that keeps a pace for the readers' cases, and those whose receipts are counted.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::clients;
use crate::frames;
use crate::servers::{self, Broker, Target};

const OK: &[u8] = b"{\"result\":\"ok\"";

/// Publishing begins when the clients have settled.
pub const SETTLING: Duration = Duration::from_secs(2);

/// How often what is due is looked for, where a window keeps a pace.
const TICK: Duration = Duration::from_millis(1);

/// Where the readers' messages come from: a socket on a gateway of its own, which is not to cost the server under test
/// anything. Messages are numbered from 0 on.
pub struct Publisher {
    _gateway: Target,
    socket: OwnedWriteHalf,
    pub sent: u64,
    confirmed: Rc<Cell<u64>>,
}

impl Publisher {
    pub async fn open(broker: &Broker, topic: &str, query: &str) -> Publisher {
        let gateway = servers::start_publishers_gateway(broker);
        let path = format!("/ws/v2/producer/{topic}{query}");
        let (acks, socket) = clients::open(gateway.address, path).await.into_split();
        let confirmed = Rc::new(Cell::new(0));
        // Apart from the sending: a gateway whose acks are not read does not read either.
        tokio::task::spawn_local(count(acks, confirmed.clone()));
        Publisher {
            socket,
            _gateway: gateway,
            sent: 0,
            confirmed,
        }
    }

    pub fn unconfirmed(&self) -> u64 {
        self.sent - self.confirmed.get()
    }

    /// So many of them, in one write, with payloads of this length.
    pub async fn send(&mut self, count: u64, bytes: usize) {
        self.send_as_of(count, bytes, |_| frames::now_us()).await;
    }

    async fn send_as_of(&mut self, count: u64, bytes: usize, at_us: impl Fn(u64) -> u64) {
        let mut messages = Vec::new();
        for number in self.sent..self.sent + count {
            messages.extend_from_slice(&frames::publish(number, bytes, at_us(number)));
        }
        self.sent += count;
        self.socket.write_all(&messages).await.expect("sent");
    }

    /// One message at a time, paced by the clock and not by the acks; what is late goes along in one write, and says
    /// when it was due.
    pub async fn at_pace(&mut self, count: u64, rate: u32) {
        let (begin, begin_us, first) = (Instant::now(), frames::now_us(), self.sent);
        let after_us = |number: u64| (number - first) * 1_000_000 / u64::from(rate);
        let due = |number: u64| begin + Duration::from_micros(after_us(number));
        while self.sent < first + count {
            tokio::time::sleep_until(due(self.sent).into()).await;
            let now = Instant::now();
            let late = (self.sent..first + count).take_while(|number| due(*number) <= now);
            let at_us = |number| begin_us + after_us(number);
            self.send_as_of(late.count() as u64, frames::PAYLOAD_BYTES, at_us)
                .await;
        }
    }

    /// As fast as a small window lets them; all are confirmed in the end.
    pub async fn burst(&mut self, count: u64, bytes: usize) {
        const UNCONFIRMED: u64 = 32;
        let end = self.sent + count;
        while self.sent < end || self.unconfirmed() > 0 {
            if self.sent < end && self.unconfirmed() < UNCONFIRMED {
                self.send(1, bytes).await;
            } else {
                tokio::time::sleep(TICK).await;
            }
        }
    }
}

/// Counts acks until the socket ends.
async fn count(mut acks: OwnedReadHalf, confirmed: Rc<Cell<u64>>) {
    let mut unread = Vec::with_capacity(64 * 1024);
    while acks
        .read_buf(&mut unread)
        .await
        .is_ok_and(|count| count > 0)
    {
        let mut used = 0;
        while let Some((text, len)) = frames::first(&unread[used..]) {
            assert!(text.starts_with(OK), "{}", String::from_utf8_lossy(text));
            used += len;
            confirmed.set(confirmed.get() + 1);
        }
        unread.drain(..used);
    }
}

/// What one producer has seen.
#[derive(Default)]
pub struct Published {
    pub confirmed: u64,
    pub refused: u64,
    /// Milliseconds from publish to ack; with a pace, from when it was due.
    pub latencies: Vec<f32>,
}

/// How a producer whose receipts are counted goes.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// So many unconfirmed at a time.
    pub messages: usize,
    /// At most so many a second; 0: as fast as the window lets it.
    pub rate: u32,
}

/// Publishes until the time is up; then the last acks.
pub async fn by_window(mut socket: TcpStream, window: Window, run: Duration) -> Published {
    let mut published = Published::default();
    let mut sent = VecDeque::new();
    let mut number = 0;
    let mut unread = Vec::with_capacity(16 * 1024);
    let (begin, begin_us) = (Instant::now(), frames::now_us());
    loop {
        let since = begin.elapsed();
        let due = match window.rate {
            0 => u64::MAX,
            rate => (since.as_secs_f64() * f64::from(rate)) as u64,
        };
        let mut messages = Vec::new();
        while sent.len() < window.messages && since < run && number < due {
            let at_us = match window.rate {
                0 => frames::now_us(),
                rate => begin_us + number * 1_000_000 / u64::from(rate),
            };
            let bytes = frames::PAYLOAD_BYTES;
            messages.extend_from_slice(&frames::publish(number, bytes, at_us));
            sent.push_back(at_us);
            number += 1;
        }
        socket.write_all(&messages).await.expect("sent");
        if since >= run && sent.is_empty() {
            return published;
        }
        let waits_for_time = window.rate > 0 && sent.len() < window.messages && since < run;
        let count = tokio::select! {
            biased;
            read = socket.read_buf(&mut unread) => read.expect("read"),
            () = tokio::time::sleep(TICK), if waits_for_time => continue,
        };
        assert!(count > 0, "the gateway has closed the socket");
        published.take(&mut unread, &mut sent);
    }
}

impl Published {
    fn take(&mut self, unread: &mut Vec<u8>, sent: &mut VecDeque<u64>) {
        let mut used = 0;
        while let Some((text, len)) = frames::first(&unread[used..]) {
            used += len;
            let at_us = sent.pop_front().expect("an ack for each message");
            let latency_us = frames::now_us().saturating_sub(at_us);
            self.latencies.push(latency_us as f32 / 1000.0);
            match text.starts_with(OK) {
                true => self.confirmed += 1,
                false => self.refused += 1,
            }
        }
        unread.drain(..used);
    }
}
