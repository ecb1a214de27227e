//! Sockets that read: every frame is checked, and acked where the case says so.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;

use crate::cases::Kind;
use crate::clients::Outcome;
use crate::frames;

/// Without any frame for so long a run is over, whatever is missing.
const SILENCE: Duration = Duration::from_secs(3);

/// For what was published and has not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// What comes twice comes by then.
const AFTERWARDS: Duration = Duration::from_millis(300);

/// A message that took longer was not delivered while it was offered: who lags so far does not keep up.
pub const LATE_MS: f32 = 1000.0;

/// A socket's other end, plain or with TLS.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Stream for S {}

/// The sockets of one run.
pub struct Readers {
    kind: Kind,
    received: Rc<Received>,
    sockets: Vec<(JoinHandle<()>, Rc<RefCell<Seen>>)>,
}

/// By all of them together.
struct Received {
    messages: Cell<u64>,
    last: Cell<Instant>,
}

#[derive(Default)]
struct Seen {
    messages: u64,
    /// Where order is not promised.
    numbers: Vec<u64>,
    out_of_order: u64,
    /// Milliseconds from publish to receipt.
    latencies: Vec<f32>,
}

impl Readers {
    pub fn start<S: Stream>(sockets: Vec<S>, kind: Kind) -> Readers {
        let received = Rc::new(Received {
            messages: Cell::new(0),
            last: Cell::new(Instant::now()),
        });
        let sockets = sockets.into_iter().map(|socket| {
            let seen = Rc::new(RefCell::new(Seen::default()));
            let reading = read(socket, kind, received.clone(), seen.clone());
            (tokio::task::spawn_local(reading), seen)
        });
        Readers {
            kind,
            sockets: sockets.collect(),
            received,
        }
    }

    pub fn count(&self) -> u64 {
        self.sockets.len() as u64
    }

    /// Waits until so many have come, or nothing comes any more, or a server that has collapsed takes too long.
    pub async fn all(&self, messages: u64) {
        let begin = Instant::now();
        while self.received.messages.get() < messages {
            let silence = self.received.last.get().elapsed();
            if silence > SILENCE || begin.elapsed() > PATIENCE {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Readers get every message in order; a subscription gets each once.
    pub async fn end(self, outcome: &mut Outcome) {
        tokio::time::sleep(AFTERWARDS).await;
        let mut shared = Vec::new();
        for (reading, seen) in self.sockets {
            reading.abort();
            let seen = seen.take();
            outcome.messages += seen.messages;
            outcome.wrong += seen.out_of_order;
            outcome.late += seen.late();
            outcome.latencies.extend(seen.latencies);
            shared.extend(seen.numbers);
        }
        if self.kind == Kind::Shared {
            shared.sort_unstable();
            let each_once = (0..).zip(&shared);
            outcome.wrong += each_once.filter(|(at, number)| at != *number).count() as u64;
        }
    }
}

impl Seen {
    fn take(&mut self, kind: Kind, number: u64, published_us: u64) {
        match kind {
            Kind::Shared => self.numbers.push(number),
            _ => self.out_of_order += u64::from(number != self.messages),
        }
        let latency_us = frames::now_us().saturating_sub(published_us);
        self.latencies.push(latency_us as f32 / 1000.0);
        self.messages += 1;
    }

    fn late(&self) -> u64 {
        self.latencies.iter().filter(|ms| **ms > LATE_MS).count() as u64
    }
}

async fn read(
    mut socket: impl Stream,
    kind: Kind,
    received: Rc<Received>,
    seen: Rc<RefCell<Seen>>,
) {
    let acks = matches!(kind, Kind::Fanout { acks: true } | Kind::Shared);
    let mut unread = Vec::with_capacity(4096);
    while socket
        .read_buf(&mut unread)
        .await
        .is_ok_and(|count| count > 0)
    {
        let (mut used, mut answers) = (0, Vec::new());
        while let Some((text, len)) = frames::first(&unread[used..]) {
            used += len;
            let (number, published_us) = frames::stamp(text);
            seen.borrow_mut().take(kind, number, published_us);
            received.messages.set(received.messages.get() + 1);
            if acks {
                frames::ack(text, &mut answers);
            }
        }
        received.last.set(Instant::now());
        unread.drain(..used);
        if !answers.is_empty() && socket.write_all(&answers).await.is_err() {
            return;
        }
    }
}
