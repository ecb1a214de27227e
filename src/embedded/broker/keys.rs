//! Key_Shared: which consumer an entry may go to now (`PersistentStickyKeyDispatcherMultipleConsumers`).
//!
//! A key's hash belongs to one consumer. When that changes, the hash is drained first: the new one gets nothing of it
//! until the old one has settled what it holds. An entry that cannot go out waits, and so does every later one of its
//! hash; others pass it.

use std::collections::{BTreeMap, HashMap, HashSet};

use slab::Slab;

use super::connections::Connections;
use super::consumer::Consumer;
use super::hash::Ranges;

/// So many entries may wait while later ones are looked at (keySharedLookAheadMsgInReplayThresholdPerConsumer).
const LOOK_AHEAD_ENTRIES: usize = 2_000;

#[derive(Debug)]
pub(super) struct Keys {
    pub sticky: bool,
    pub out_of_order: bool,
    ranges: Ranges,
    /// Who holds unacked entries of a hash, and how many.
    in_flight: HashMap<u32, (usize, usize)>,
    /// Hashes of waiting entries, and how many.
    waiting: HashMap<u32, usize>,
    /// Hashes that have stopped during this pass over the waiting entries.
    stopped: HashSet<u32>,
    /// Waiting entries may have become deliverable.
    again: bool,
    /// No consumer was available when last looked, and nothing has happened since.
    starved: bool,
    /// A consumer that was available when last looked.
    likely: usize,
}

impl Keys {
    pub fn new(sticky: bool, out_of_order: bool) -> Keys {
        Keys {
            sticky,
            out_of_order,
            ranges: Ranges::new(sticky),
            in_flight: HashMap::new(),
            waiting: HashMap::new(),
            stopped: HashSet::new(),
            again: false,
            starved: false,
            likely: 0,
        }
    }

    /// The error is the text for `ConsumerAssignError`.
    pub fn add(&mut self, consumer: usize, wanted: &[(i32, i32)]) -> Result<(), String> {
        self.look_again();
        self.ranges.add(consumer, wanted)
    }

    pub fn remove(&mut self, consumer: usize) {
        self.look_again();
        self.ranges.remove(consumer);
        self.in_flight.retain(|_, (holder, _)| *holder != consumer);
    }

    pub fn look_again(&mut self) {
        self.again = true;
        self.starved = false;
    }

    /// The waiting entries, in order, if there is a reason to look at them.
    pub fn replayable(&mut self, replay: &BTreeMap<u64, u32>) -> Vec<(u64, u32)> {
        self.stopped.clear();
        if !std::mem::take(&mut self.again) {
            return Vec::new();
        }
        replay.iter().map(|(&index, &hash)| (index, hash)).collect()
    }

    /// The entry stays where it is, and so do later ones of its hash in this pass.
    pub fn stop(&mut self, key_hash: u32) {
        self.stopped.insert(key_hash);
    }

    /// The consumer that may have an entry of this hash now.
    pub fn target(
        &self,
        key_hash: u32,
        consumers: &Slab<Consumer>,
        connections: &Connections,
    ) -> Option<usize> {
        let key = self.ranges.select(key_hash)?;
        let drained = self.out_of_order
            || match self.in_flight.get(&key_hash) {
                Some((holder, _)) => *holder == key,
                None => true,
            };
        let available = consumers.get(key)?.is_available(connections);
        (drained && available && !self.stopped.contains(&key_hash)).then_some(key)
    }

    pub fn held(&mut self, consumer: usize, key_hash: u32) {
        let (holder, count) = self.in_flight.entry(key_hash).or_insert((consumer, 0));
        *holder = consumer;
        *count += 1;
    }

    /// A consumer holds one entry less of a hash.
    pub fn settled(&mut self, consumer: usize, key_hash: u32) {
        if let Some((holder, count)) = self.in_flight.get_mut(&key_hash)
            && *holder == consumer
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.in_flight.remove(&key_hash);
                if self.waiting.contains_key(&key_hash) {
                    self.look_again();
                }
            }
        }
    }

    pub fn waits(&mut self, key_hash: u32) {
        *self.waiting.entry(key_hash).or_default() += 1;
    }

    pub fn stopped_waiting(&mut self, key_hash: u32) {
        if let Some(count) = self.waiting.get_mut(&key_hash) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.waiting.remove(&key_hash);
            }
        }
    }

    pub fn is_waiting(&self, key_hash: u32) -> bool {
        self.waiting.contains_key(&key_hash)
    }

    /// Whether new entries may be looked at although `waiting` are not delivered.
    pub fn may_look_ahead(
        &mut self,
        waiting: usize,
        consumers: &Slab<Consumer>,
        connections: &Connections,
    ) -> bool {
        if self.starved || waiting >= LOOK_AHEAD_ENTRIES {
            return false;
        }
        let is_available = |c: &Consumer| c.is_available(connections);
        if consumers.get(self.likely).is_some_and(is_available) {
            return true;
        }
        let found = consumers.iter().find(|(_, c)| is_available(c));
        self.starved = found.is_none();
        self.likely = found.map_or(0, |(key, _)| key);
        !self.starved
    }
}
