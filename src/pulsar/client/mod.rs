//! The client machine of one shard and lane (publishing and consuming have connections of their own).
//!
//! Sans-IO: its owner calls the methods of [`Client`] with the time in milliseconds of a monotonic clock, then drains
//! [`Client::poll_io`] and [`Client::poll_event`] until both are empty.
//!
//! # The files
//!
//! | file | its subject |
//! |---|---|
//! | `spec`, `events` | what is asked of the machine, and what it says |
//! | `pool`, `connecting`, `connection`, `output` | connections: which there are, what becomes of one, its state, what it has to write |
//! | `credentials` | in whose name a connection is, and what it shows |
//! | `incoming`, `answers`, `requests` | what a broker says, and what it was asked |
//! | `lookup`, `http`, `counts`, `address` | who owns a topic (also over HTTP), how many partitions it has, how to reach a broker |
//! | `link`, `moves` | how a producer or consumer finds and loses its broker, and follows its topic |
//! | `producer`, `unencoded`, `encode`, `batch`, `pending`, `receipts` | publishing: messages out, waiting, as frames, together, kept, and what becomes of them |
//! | `consumer`, `delivery`, `resume` | subscribing: what the owner does, what comes, where it goes on |
//! | `commands` | the commands that go out |
//! | `backoff`, `deadlines` | time |
//!
//! # Invariants worth naming
//!
//! 1. Every message taken by `send` is answered once, in the order of the sends, unless its producer is closed.
//! 2. What goes out again after a reconnect is the same frame, with the same sequence id.
//! 3. Bytes that no broker should send close their connection. They never panic, and nothing grows by a number in them.
//! 4. Everything that retries waits in between, with jitter.

mod address;
mod answers;
mod backoff;
mod batch;
mod commands;
mod connecting;
mod connection;
mod consumer;
mod counts;
mod credentials;
mod deadlines;
mod delivery;
mod encode;
mod events;
mod http;
mod incoming;
mod link;
mod lookup;
mod moves;
mod output;
mod pending;
mod pool;
mod producer;
mod receipts;
mod requests;
mod resume;
mod spec;
mod unencoded;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use self::backoff::Backoff;
use self::consumer::Consumer;
use self::counts::Counts;
use self::deadlines::{Deadlines, Timer};
pub use self::events::{Event, Gap, Io};
use self::http::Exchanges;
use self::lookup::Lookups;
use self::pool::Pool;
use self::producer::Producer;
use self::requests::Requests;
pub use self::spec::*;
use super::message::Compressor;

/// All producers and consumers of one shard and lane, and the broker connections that they share.
pub struct Client {
    config: ClientConfig,
    rng: fastrand::Rng,
    deadlines: Deadlines,
    requests: Requests,
    pool: Pool,
    lookups: Lookups,
    exchanges: Exchanges,
    counts: Counts,
    producers: FxHashMap<ProducerId, Producer>,
    consumers: FxHashMap<ConsumerId, Consumer>,
    next_producer_id: u64,
    next_consumer_id: u64,
    /// The sum over all producers.
    pending_bytes: usize,
    compressor: Compressor,
    events: VecDeque<Event>,
}

impl Client {
    pub fn new(config: ClientConfig) -> Client {
        Client {
            rng: fastrand::Rng::with_seed(config.seed),
            deadlines: Deadlines::default(),
            requests: Requests::new(config.operation_timeout_ms),
            pool: Pool::new(),
            lookups: Lookups::default(),
            exchanges: Exchanges::default(),
            counts: Counts::default(),
            producers: FxHashMap::default(),
            consumers: FxHashMap::default(),
            next_producer_id: 0,
            next_consumer_id: 0,
            pending_bytes: 0,
            compressor: Compressor::default(),
            events: VecDeque::new(),
            config,
        }
    }

    fn new_backoff(&self) -> Backoff {
        Backoff::new(self.config.backoff_first_ms, self.config.backoff_last_ms)
    }

    /// What the owner's I/O must do next.
    pub fn poll_io(&mut self) -> Option<Io> {
        self.pool.poll_io()
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A broker has not answered the close of a producer or consumer: it may not have taken what came before it either.
    pub fn awaits_closes(&self) -> bool {
        self.requests.any_unwatched()
    }

    /// When [`Client::tick`] has something to do. A send timeout may come early, by what was confirmed meanwhile.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        match (self.deadlines.next_ms(), self.requests.next_deadline_ms()) {
            (Some(timer_ms), Some(request_ms)) => Some(timer_ms.min(request_ms)),
            (timer_ms, request_ms) => timer_ms.or(request_ms),
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now_ms: u64) {
        while let Some((id, request)) = self.requests.take_due(now_ms) {
            self.request_expired(now_ms, id, request);
        }
        while let Some(timer) = self.deadlines.pop_due(now_ms) {
            match timer {
                Timer::Handshake(id) => self.handshake_expired(now_ms, id),
                Timer::KeepAlive(id) => self.keep_alive_due(now_ms, id),
                Timer::Http(id) => self.http_expired(now_ms, id),
                Timer::Unused(id) => self.unused_expired(now_ms, id),
                Timer::Retry(user) => self.link_start(now_ms, user),
                Timer::Open(user) => self.link_open_expired(now_ms, user),
                Timer::Send(id) => self.send_expired(now_ms, id),
                Timer::Batch(id) => self.flush_batch(now_ms, id),
                Timer::CountRetry(id) => self.count_retry(now_ms, id),
                Timer::CountExpired(id) => self.count_expired(id),
            }
        }
    }
}
