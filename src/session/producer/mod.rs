//! A producer socket: frames in become upstream sends, receipts become ack frames.
//!
//! One upstream producer for each partition, which sockets with equal wishes share (`upstreams`); acks go out in the order
//! in which the broker confirms.

mod partitions;
mod publish;
#[cfg(test)]
mod tests;
mod wishes;

use std::sync::Arc;

use bytes::Bytes;

use self::partitions::Partition;
use self::wishes::{encryption_key, router};
use super::routing::Router;
use super::upstreams::Upstreams;
use crate::api::ProducerParams;
use crate::pulsar::BrokerError;
use crate::pulsar::client::{Client, Principal, ProducerId, Tag};
use crate::pulsar::crypto::Sealing;

/// How long a data key is used, as in Java's ProducerImpl; public keys that have changed count from the next one on.
/// Java renews it by a timer, here the next message that is published does.
const SEALING_MS: u64 = 4 * 60 * 60 * 1000;

/// When no new one can be had (a public key is missing by now), the old one goes on for so long.
const SEALING_RETRY_MS: u64 = 60_000;

/// How far the opening of the upstream producers is.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    Waiting,
    /// Every partition has its producer: the handshake may be answered.
    Open,
    Refused(BrokerError),
}

/// Both clocks at the time of an input.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic.
    pub mono_ms: u64,
    /// Since 1970.
    pub wall_ms: u64,
}

/// Whose answer it is: the producer, and its partition here.
#[derive(Clone, Copy, Debug)]
pub struct At {
    pub now_ms: u64,
    pub place: usize,
    pub producer: ProducerId,
}

pub struct ProducerSession {
    /// Names the socket towards its upstream producers.
    owner: Tag,
    /// Its producers may be others', too.
    shares: bool,
    topic: String,
    principal: Principal,
    params: ProducerParams,
    /// Not empty: the client encrypts.
    encryption_keys: Arc<[Bytes]>,
    /// The gateway encrypts.
    sealed: Option<Sealed>,
    /// Picks the first partition of keyless messages; Java takes a random one.
    seed: u32,
    router: Router,
    /// How many partitions there will be; 0: the topic is not partitioned.
    count: u32,
    /// What all its producers are called; the first one's, once it is made.
    name: Option<String>,
    /// The handshake may be answered: from now on a refused partition ends nothing.
    open: bool,
    partitions: Vec<Partition>,
    pending_bytes: usize,
}

/// What all its producers encrypt with, and when that is to be replaced.
struct Sealed {
    sealing: Arc<Sealing>,
    renew_ms: u64,
}

impl ProducerSession {
    /// `may_share`: where its client asks for nothing that only a producer of its own can give.
    pub fn new(
        owner: Tag,
        may_share: bool,
        topic: String,
        principal: Principal,
        mut params: ProducerParams,
        seed: u32,
    ) -> ProducerSession {
        let client_keys = std::mem::take(&mut params.client_keys);
        ProducerSession {
            owner,
            shares: may_share && params.is_anonymous(),
            topic,
            principal,
            router: router(&params, 1, 0),
            encryption_keys: client_keys.iter().map(encryption_key).collect(),
            sealed: None,
            params,
            seed,
            count: 0,
            name: None,
            open: false,
            partitions: Vec::new(),
            pending_bytes: 0,
        }
    }

    /// In whose name it publishes.
    pub fn principal(&self) -> Principal {
        self.principal
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The gateway's keys that its messages are to be encrypted for; with some, nothing is opened before
    /// [`Self::sealed`].
    pub fn key_names(&self) -> &[String] {
        &self.params.key_names
    }

    /// Whether [`Self::sealed`] was called.
    pub fn is_sealed(&self) -> bool {
        self.sealed.is_some()
    }

    /// From now on messages are encrypted with this.
    pub fn sealed(&mut self, now: Now, client: &mut Client, sealing: &Arc<Sealing>) {
        for partition in &self.partitions {
            client.reseal(partition.producer, sealing.clone());
        }
        self.sealed = Some(Sealed {
            sealing: sealing.clone(),
            renew_ms: now.mono_ms.saturating_add(SEALING_MS),
        });
    }

    /// Whether a new data key is to be made for [`Self::sealed`]. Says it once; when none comes, again after a while.
    pub fn wants_sealing(&mut self, now: Now) -> bool {
        let due = |sealed: &mut Sealed| {
            let is_due = sealed.renew_ms <= now.mono_ms;
            if is_due {
                sealed.renew_ms = now.mono_ms.saturating_add(SEALING_RETRY_MS);
            }
            is_due
        };
        self.sealed.as_mut().is_some_and(due)
    }

    /// Its upstream producers so far.
    pub fn producers(&self) -> impl Iterator<Item = ProducerId> + '_ {
        self.partitions.iter().flat_map(|partition| {
            let earlier = partition.earlier.as_ref().map(|earlier| earlier.producer);
            earlier.into_iter().chain([partition.producer])
        })
    }

    /// Lets go of all of them.
    pub fn end(self, now: Now, upstreams: &mut Upstreams<'_>) {
        for producer in self.producers() {
            upstreams.leave(now.mono_ms, self.owner, producer);
        }
    }

    /// What waits for a receipt: whole frames, contexts, places in tables.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    pub fn has_pending(&self) -> bool {
        self.partitions
            .iter()
            .any(|partition| !partition.pending.is_empty() || partition.earlier.is_some())
    }
}
