//! A broker in a page: one partition of a topic, one subscription with one consumer, and its forgetfulness.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

pub(super) struct Broker {
    pub shared: bool,
    /// acknowledgmentAtBatchIndexLevelEnabled.
    pub knows_indexes: bool,
    partition: i32,
    /// Batch size by entry.
    pub topic: Vec<Option<i32>>,
    pub acked: BTreeSet<u64>,
    acked_indexes: BTreeMap<u64, BTreeSet<i32>>,
    /// What of the acks would survive a crash.
    persisted: (BTreeSet<u64>, BTreeMap<u64, BTreeSet<i32>>),
    pub connected: bool,
    permits: i64,
    epoch: u64,
    cursor: u64,
    /// Shared: sent and not acked; and what is to be sent again.
    pending: BTreeSet<u64>,
    replay: BTreeSet<u64>,
    redeliveries: BTreeMap<u64, u32>,
    /// Read, and sent whatever happens meanwhile.
    read: Option<u64>,
    /// Acked entries that it has forgotten in a crash and not been told again.
    pub forgotten: BTreeSet<u64>,
}

impl Broker {
    pub fn new(shared: bool, knows_indexes: bool, partition: i32) -> Broker {
        Broker {
            shared,
            knows_indexes,
            partition,
            topic: Vec::new(),
            acked: BTreeSet::new(),
            acked_indexes: BTreeMap::new(),
            persisted: Default::default(),
            connected: false,
            permits: 0,
            epoch: 0,
            cursor: 0,
            pending: BTreeSet::new(),
            replay: BTreeSet::new(),
            redeliveries: BTreeMap::new(),
            read: None,
            forgotten: BTreeSet::new(),
        }
    }

    pub fn subscribe(&mut self, epoch: u64) {
        self.connected = true;
        self.permits = 0;
        self.epoch = epoch;
        self.read = None;
        if !self.shared {
            self.cursor = 0;
        }
    }

    /// A reader names its position.
    pub fn start_at(&mut self, entry: u64) {
        self.cursor = entry;
    }

    pub fn disconnect(&mut self) {
        self.connected = false;
        self.replay.append(&mut self.pending);
        let read = self.read.take().filter(|at| !self.acked.contains(at));
        self.replay.extend(read);
    }

    pub fn persist(&mut self) {
        self.persisted = (self.acked.clone(), self.acked_indexes.clone());
    }

    /// A seek to the beginning: the consumer is closed.
    pub fn reset(&mut self) {
        *self = Broker {
            topic: std::mem::take(&mut self.topic),
            redeliveries: std::mem::take(&mut self.redeliveries),
            ..Broker::new(self.shared, self.knows_indexes, self.partition)
        };
    }

    pub fn ack_cumulative(&mut self, position: &AckPosition) {
        for entry in 0..position.entry {
            self.ack(&AckPosition {
                entry,
                ack_set: Vec::new(),
                ..*position
            });
        }
        self.ack(position);
    }

    /// Acks since the last time it persisted are forgotten.
    pub fn crash(&mut self) {
        self.disconnect();
        let (acked, indexes) = self.persisted.clone();
        self.forgotten.extend(self.acked.difference(&acked));
        let forgotten = self.acked.difference(&acked);
        self.replay
            .extend(forgotten.filter(|entry| **entry < self.cursor));
        (self.acked, self.acked_indexes) = (acked, indexes);
    }

    pub fn flow(&mut self, permits: i64) {
        self.permits += permits;
    }

    pub fn ack(&mut self, position: &AckPosition) {
        let entry = position.entry;
        let mut whole = position.ack_set.is_empty();
        if !whole && self.knows_indexes {
            let size = self.topic[entry as usize].expect("only batches are acked in part");
            let acked = self.acked_indexes.entry(entry).or_default();
            let is_unacked = |index: i32| {
                let word = position.ack_set.get(index as usize / 64).unwrap_or(&0);
                word >> (index % 64) & 1 == 1
            };
            acked.extend((0..size).filter(|index| !is_unacked(*index)));
            whole = acked.len() == size as usize;
        }
        if whole {
            self.acked.insert(entry);
            self.forgotten.remove(&entry);
            self.pending.remove(&entry);
            self.replay.remove(&entry);
        }
    }

    pub fn redeliver(&mut self, positions: &[(u64, u64)], epoch: u64) {
        self.epoch = epoch;
        if !self.shared {
            assert!(positions.is_empty());
            self.cursor = 0;
            self.read = None;
            return;
        }
        assert!(!positions.is_empty());
        for (_, entry) in positions {
            if self.pending.remove(entry) {
                self.replay.insert(*entry);
                *self.redeliveries.entry(*entry).or_default() += 1;
            }
        }
    }

    /// Reads one entry or sends the one that was read.
    pub fn step(&mut self) -> Option<Entry> {
        if !self.connected || self.permits <= 0 {
            return None;
        }
        let Some(at) = self.read.take() else {
            self.read = self.read_next();
            return None;
        };
        let mut entry = entry(at, self.topic[at as usize]);
        entry.partition = self.partition;
        // Of Shared brokers tell none.
        entry.consumer_epoch = (!self.shared).then_some(self.epoch);
        entry.redelivery_count = self.redeliveries.get(&at).copied().unwrap_or(0);
        if let (Some(size), Some(acked)) = (self.topic[at as usize], self.acked_indexes.get(&at)) {
            let unacked = (0..size).map(|index| !acked.contains(&index));
            entry.ack_set = crate::hub::unsettled::ack_set(unacked);
        }
        self.permits -= expected(&entry);
        if !self.acked.contains(&at) {
            self.pending.insert(at);
        }
        Some(entry)
    }

    fn read_next(&mut self) -> Option<u64> {
        if self.shared
            && let Some(at) = self.replay.pop_first()
        {
            return Some(at);
        }
        while self.acked.contains(&self.cursor) {
            self.cursor += 1;
        }
        let at = self.cursor;
        self.topic.get(at as usize)?;
        self.cursor += 1;
        Some(at)
    }

    /// Nothing is on its way, and nothing can be sent.
    pub fn is_quiet(&self) -> bool {
        self.read.is_none()
    }

    pub fn has_acked(&self, at: u64, index: i32) -> bool {
        let indexes = self.acked_indexes.get(&at);
        self.acked.contains(&at) || indexes.is_some_and(|acked| acked.contains(&index))
    }
}

/// What an entry takes of the permits.
pub(super) fn expected(entry: &Entry) -> i64 {
    let metadata = ::pulsar::proto::MessageMetadata::decode(&entry.metadata[..]).unwrap();
    let size = metadata.num_messages_in_batch.unwrap_or(1);
    if entry.ack_set.is_empty() {
        return i64::from(size);
    }
    let unacked: u32 = entry.ack_set.iter().map(|word| word.count_ones()).sum();
    i64::from(unacked)
}
