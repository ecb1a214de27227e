//! Saturation: readers with `flow=tcp` on one core, and a producer that goes as fast as the slowest of them takes it. What is
//! due to a socket while others are sent to goes along in one send, so that a frame costs far less than a send.
//!
//! Millions of frames a second are to be checked on the one other CPU: what the producer has published is known, so the
//! first characters of each payload are compared with those of the number that is next on this socket.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

use crate::clients::{self, Outcome, quantile_of};
use crate::frames::{self, NUMBER_CHARS};
use crate::process::{CpuTime, OTHERS_CPU, SERVERS_CPU};
use crate::publishers::{Publisher, SETTLING};
use crate::servers::{self, Broker};

const RUN: Duration = Duration::from_secs(10);

/// How far the producer may be ahead of the slowest reader: enough for sends of many frames, and well within the log. With more
/// readers, less: it is what may lie in all socket buffers together.
const AHEAD_FRAMES: u64 = 1_000_000;
const AHEAD_MAX: u64 = 8192;

/// Messages in one batch and one write of the producer.
const BURST: u64 = 64;
/// Unconfirmed publishes.
const WINDOW: u64 = 2048;

/// One read: as much as one send of the gateway may bring.
const READ_BYTES: usize = 256 * 1024;

/// One message in so many is timed, on each socket.
const SAMPLE: u64 = 64;

/// Frames a second that are wanted.
const GOAL: f64 = 1e6;

pub fn run() -> bool {
    println!(
        "{:<14} {:>10} {:>10} {:>12} {:>12} {:>12} {:>8} {:>8} {:>11}  limit",
        "readers",
        "frames/s",
        "MB/s",
        "us/frame",
        "frames/read",
        "of the goal",
        "p50 ms",
        "p99 ms",
        "CPU 0, 1 %"
    );
    // The order of evaluation matters: both have their run.
    let few = saturate(100);
    let many = saturate(1000);
    few && many
}

fn saturate(readers: usize) -> bool {
    let broker = Broker::embedded();
    let gateway = servers::start_gateway(&broker, &[]);
    clients::block_on(async {
        let topic = clients::new_topic();
        let path = format!("/ws/v2/reader/{topic}?flow=tcp");
        let sockets =
            clients::open_measured(&gateway, &path, readers, &mut Outcome::default()).await;
        let publisher = Publisher::open(
            &broker,
            &topic,
            "?batchingEnabled=true&batchingMaxMessages=64",
        )
        .await;
        let fleet = Fleet::start(sockets);
        tokio::time::sleep(SETTLING).await;
        let cpus = [SERVERS_CPU, OTHERS_CPU].map(CpuTime::of);
        let (cpu, begin) = (gateway.server.cpu(), Instant::now());
        let published = fleet.publish(publisher, RUN).await;
        let cpu = (gateway.server.cpu() - cpu).as_secs_f64();
        let took = begin.elapsed().as_secs_f64();
        let busy = [
            CpuTime::of(SERVERS_CPU).busy_since(cpus[0]),
            CpuTime::of(OTHERS_CPU).busy_since(cpus[1]),
        ];
        fleet.report(readers, published, cpu, took, busy)
    })
}

/// All readers.
struct Fleet {
    common: Rc<Common>,
    seen: Vec<Rc<Cell<u64>>>,
}

/// What they share: one buffer to read into, and what a number looks like.
struct Common {
    buffer: RefCell<Vec<u8>>,
    texts: RefCell<Vec<[u8; NUMBER_CHARS]>>,
    reads: Cell<u64>,
    wrong: Cell<u64>,
    latencies: RefCell<Vec<f32>>,
}

impl Fleet {
    fn start(sockets: Vec<TcpStream>) -> Fleet {
        let common = Rc::new(Common {
            buffer: RefCell::new(vec![0; READ_BYTES]),
            texts: RefCell::default(),
            reads: Cell::new(0),
            wrong: Cell::new(0),
            latencies: RefCell::default(),
        });
        let seen = sockets.into_iter().map(|socket| {
            let seen = Rc::new(Cell::new(0));
            tokio::task::spawn_local(read(socket, common.clone(), seen.clone()));
            seen
        });
        Fleet {
            seen: seen.collect(),
            common,
        }
    }

    fn slowest(&self) -> u64 {
        self.seen.iter().map(|seen| seen.get()).min().unwrap_or(0)
    }

    fn frames(&self) -> u64 {
        self.seen.iter().map(|seen| seen.get()).sum()
    }

    /// Until the time is up and everybody has got everything: how many that were.
    async fn publish(&self, mut publisher: Publisher, run: Duration) -> u64 {
        let ahead = (AHEAD_FRAMES / self.seen.len() as u64).min(AHEAD_MAX);
        let end = Instant::now() + run;
        loop {
            let over = Instant::now() > end;
            if over && self.slowest() == publisher.sent {
                return publisher.sent;
            }
            assert!(Instant::now() < end + RUN, "the readers do not get all");
            let may = publisher.unconfirmed() + BURST <= WINDOW
                && publisher.sent - self.slowest() + BURST <= ahead;
            if may && !over {
                let numbers = publisher.sent..publisher.sent + BURST;
                let texts = numbers.map(frames::number_text);
                self.common.texts.borrow_mut().extend(texts);
                publisher.send(BURST, frames::PAYLOAD_BYTES).await;
            }
            match may && !over {
                true => tokio::task::yield_now().await,
                false => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }

    fn report(&self, readers: usize, published: u64, cpu: f64, took: f64, busy: [f64; 2]) -> bool {
        let frames = self.frames();
        let rate = frames as f64 / took;
        let mut latencies = self.common.latencies.take();
        latencies.sort_by(f32::total_cmp);
        let wrong = self.common.wrong.get();
        let limit = match busy {
            [gateway, others] if others > gateway => "broker, publisher and clients",
            _ => "gateway",
        };
        println!(
            "{readers:<14} {rate:>10.0} {:>10.0} {:>12.2} {:>12.1} {:>12.2} {:>8.1} {:>8.1} {:>11}  {limit}",
            rate * FRAME_BYTES / 1e6,
            cpu * 1e6 / frames as f64,
            frames as f64 / self.common.reads.get() as f64,
            rate / GOAL,
            quantile_of(&latencies, 0.5),
            quantile_of(&latencies, 0.99),
            format!("{:.0}, {:.0}", busy[0], busy[1]),
        );
        let complete = frames == published * readers as u64;
        if wrong > 0 || !complete {
            println!("  {frames} frames of {published} messages, {wrong} gaps or repeats");
        }
        wrong == 0 && complete
    }
}

/// About what a frame with 128 bytes of payload has.
const FRAME_BYTES: f64 = 300.0;

async fn read(mut socket: TcpStream, common: Rc<Common>, seen: Rc<Cell<u64>>) {
    // The begin of a frame whose rest has not come, and where the payload is, counted from a text's end.
    let mut rest: Vec<u8> = Vec::new();
    let mut from_end = 0;
    loop {
        let more = poll_fn(|context| {
            let mut buffer = common.buffer.borrow_mut();
            buffer[..rest.len()].copy_from_slice(&rest);
            let mut unread = ReadBuf::new(&mut buffer);
            unread.advance(rest.len());
            match Pin::new(&mut socket).poll_read(context, &mut unread) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(result) if result.is_err() || unread.filled().len() == rest.len() => {
                    return Poll::Ready(false);
                }
                Poll::Ready(_) => {}
            }
            let used = common.check(unread.filled(), &seen, &mut from_end);
            rest.clear();
            rest.extend_from_slice(&unread.filled()[used..]);
            Poll::Ready(true)
        });
        if !more.await {
            return;
        }
    }
}

impl Common {
    /// Every whole frame in these bytes; how many bytes those are.
    fn check(&self, bytes: &[u8], seen: &Cell<u64>, from_end: &mut usize) -> usize {
        let texts = self.texts.borrow();
        let mut used = 0;
        let mut next = seen.get();
        while let Some((text, len)) = frames::first(&bytes[used..]) {
            used += len;
            let at = text.len().wrapping_sub(*from_end);
            let expected = texts.get(next as usize);
            let as_expected = text
                .get(at..at.wrapping_add(NUMBER_CHARS))
                .is_some_and(|got| expected.is_some_and(|expected| got == expected));
            if !as_expected {
                // The first one on this socket, or a frame of another form, or a gap.
                *from_end = text.len() - frames::payload_at(text);
                let (number, _) = frames::stamp(text);
                if number != next {
                    self.wrong.set(self.wrong.get() + 1);
                    next = number;
                }
            }
            if next.is_multiple_of(SAMPLE) {
                let (_, published_us) = frames::stamp(text);
                let latency_us = frames::now_us().saturating_sub(published_us);
                self.latencies.borrow_mut().push(latency_us as f32 / 1000.0);
            }
            next += 1;
        }
        seen.set(next);
        self.reads.set(self.reads.get() + 1);
        used
    }
}
