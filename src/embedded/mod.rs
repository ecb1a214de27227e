//! The in-process broker: Pulsar's binary protocol on a loopback port, memory only, with faults on request.
//!
//! It is for a first try, for demos and for tests; a cluster is what people run. It speaks the real wire, so that the
//! gateway's only path is the real one, and it follows what Pulsar 4.0.8 does, down to error texts: what passes on it
//! must pass there. It authenticates nobody, has no schemas, transactions, compaction or geo-replication, and forgets
//! everything when it stops.
//!
//! `broker` is the whole behaviour, without I/O or a clock. `server` gives it sockets and time on ordinary threads
//! (they must not be the gateway's shards). [`Admin`] and [`Faults`] are handles on a running one.
#![forbid(unsafe_code)]

mod admin;
mod broker;
mod faults;
mod options;
mod server;
mod web;

// Real sockets: not for Miri.
#[cfg(all(test, not(miri)))]
mod tests;

pub use admin::Admin;
pub use broker::{BacklogQuota, ConsumerStats, Policies, SubscriptionStats, TopicStats};
pub use faults::Faults;
pub use options::Options;
pub use server::{Embedded, start};
