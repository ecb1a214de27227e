//! The broker as a state machine: bytes and a clock in, bytes per connection out. No I/O, no thread, no clock.
//!
//! A driver tells it of connections ([`Broker::connected`], [`Broker::received`], [`Broker::disconnected`]) and of time
//! ([`Broker::tick`]); after each of these turns it asks which connections have something for it
//! ([`Broker::take_touched`]) and takes their bytes ([`Broker::take_output`]).
//!
//! Within a turn, commands only mark the subscriptions that they concern; these are dispatched once, at the turn's end.

mod ack_set;
mod authentication;
mod codec;
mod commands;
mod connection;
mod connections;
mod consume;
mod consumer;
mod cursor;
mod entry;
mod faults;
mod hash;
mod keys;
mod log;
mod lookup;
mod manage;
mod moves;
mod multiple;
mod names;
mod output;
mod permissions;
mod policies;
mod publish;
mod settle;
mod single;
mod stats;
mod subscribe;
mod subscription;
mod timers;
mod topic;
mod turn;
mod turns;
mod web;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use slab::Slab;

use super::options::Options;
use authentication::Authentication;
pub(super) use connection::ConnectionId;
use connections::Connections;
use faults::Faults;
pub(super) use faults::{Nonsense, Refused};
use moves::Elsewhere;
use permissions::Permissions;
pub use policies::{BacklogQuota, Policies};
pub use stats::{ConsumerStats, SubscriptionStats, TopicStats};
use timers::{Alarm, Timers};
use topic::Topic;
pub(super) use web::WebAnswer;

/// More connections are closed at once. A gateway has a few per shard; each costs the driver two threads.
const MAX_CONNECTIONS: usize = 1_024;

/// A topic costs about a kilobyte before its first message; lookups of random names must not fill the memory.
const MAX_TOPICS: usize = 20_000;

/// Producers, and consumers, on one connection: the sockets of one shard whose upstreams are not shared.
const MAX_PER_CONNECTION: usize = 100_000;

/// keepAliveIntervalSeconds: a connection silent for that long is pinged, and closed after as long again.
const KEEP_ALIVE_MS: u64 = 30_000;

pub(super) struct Broker {
    options: Options,
    service_url: String,
    connections: Connections,
    topics: Slab<Topic>,
    by_name: HashMap<String, usize>,
    /// Base name → number of partitions.
    partitioned: HashMap<String, u32>,
    namespaces: BTreeSet<String>,
    policies: HashMap<String, Policies>,
    permissions: HashMap<String, Permissions>,
    tenant_admins: HashMap<String, BTreeSet<String>>,
    /// Topics that have gone, by their full names.
    elsewhere: HashMap<String, Elsewhere>,
    ledgers: u64,
    generated_names: u64,
    /// Of all logs.
    bytes: usize,
    /// (topic, subscription) to dispatch at the turn's end.
    dirty: Vec<(usize, usize)>,
    timers: Timers,
    faults: Faults,
    authentication: Authentication,
    now_ms: u64,
}

impl Broker {
    /// `service_url`: where lookups send clients. `now_ms` of all calls: milliseconds since 1970, for delayed delivery
    /// and seeks by time compare it with the clients' clocks.
    pub fn new(options: Options, service_url: String, now_ms: u64) -> Broker {
        let mut timers = Timers::default();
        timers.set(now_ms + KEEP_ALIVE_MS / 2, Alarm::KeepAlive);
        Broker {
            options,
            service_url,
            connections: Connections::default(),
            topics: Slab::new(),
            by_name: HashMap::new(),
            partitioned: HashMap::new(),
            // The second is where the examples of the WebSocket clients publish.
            namespaces: BTreeSet::from([
                "public/default".to_owned(),
                "sample/standalone/ns1".to_owned(),
            ]),
            policies: HashMap::new(),
            permissions: HashMap::new(),
            tenant_admins: HashMap::new(),
            elsewhere: HashMap::new(),
            ledgers: 0,
            generated_names: 0,
            bytes: 0,
            dirty: Vec::new(),
            timers,
            faults: Faults::default(),
            authentication: Authentication::default(),
            now_ms,
        }
    }

    /// Begins every turn.
    fn begin(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        let delay_ms = self.faults.answer_delay_ms;
        self.connections.set_clock(self.now_ms, delay_ms);
    }

    fn new_ledger(&mut self) -> u64 {
        self.ledgers += 1;
        self.ledgers
    }

    fn mark_dirty(&mut self, topic: usize, subscription: usize) {
        let found = self.topics.get_mut(topic);
        if let Some(found) = found.and_then(|t| t.subscriptions.get_mut(subscription))
            && !found.dirty
        {
            found.dirty = true;
            self.dirty.push((topic, subscription));
        }
    }
}
