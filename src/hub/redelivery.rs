//! What is due to be asked for again: negative acks whose delay is over, and messages whose ack timeout has passed.

use std::collections::{BTreeMap, BTreeSet};

use super::Hub;
use super::effect::{Effect, MemberId};
use super::limits::REDELIVER_CHUNK;
use super::slot::{EntryKey, Position};
use super::unsettled::Index;

/// By slot.
type Due = BTreeMap<usize, BTreeSet<EntryKey>>;

impl Hub {
    pub(super) fn redeliver_due(&mut self, now_ms: u64, out: &mut Vec<Effect>) {
        let mut due = Due::new();
        while let Some(&(due_ms, position)) = self.delayed.first()
            && due_ms <= now_ms
        {
            self.delayed.pop_first();
            // What could not be decrypted may have come another way meanwhile.
            let is_known = self.index(&position);
            if is_known.is_some_and(|state| state != Index::Delayed { due_ms }) {
                continue;
            }
            self.ask_again(position, &mut due, out);
        }
        while let Some(member) = self.members.take_timeout(now_ms) {
            self.time_out(now_ms, member, &mut due, out);
            self.members.watch_timeout(member);
        }
        for (slot, keys) in due {
            if self.redelivers_single() {
                self.redeliver_entries(slot, &keys, out);
            } else {
                self.redeliver_all(slot, out);
            }
        }
    }

    fn time_out(&mut self, now_ms: u64, member: MemberId, due: &mut Due, out: &mut Vec<Effect>) {
        while let Some(position) = self
            .members
            .change(member, |m| m.take_timed_out(now_ms))
            .flatten()
        {
            self.stats.ack_timeouts += 1;
            self.ask_again(position, due, out);
        }
        // Nobody can send it again; its place in the window is free.
        let passed = self.members.change(member, |m| m.free_passed(now_ms));
        self.stats.ack_timeouts += u64::from(passed.unwrap_or(0));
    }

    fn ask_again(&mut self, position: Position, due: &mut Due, out: &mut Vec<Effect>) {
        if self.bury_instead(position, out) {
            return;
        }
        let (slot, key) = (position.slot as usize, position.key());
        self.take_back(slot, key, position.index, Index::Absent);
        due.entry(slot).or_default().insert(key);
        self.stats.redelivered += 1;
    }

    /// Shared: the broker raises their redelivery count. While the connection is gone nothing needs to be said,
    /// for it sends everything again.
    fn redeliver_entries(&mut self, slot: usize, keys: &BTreeSet<EntryKey>, out: &mut Vec<Effect>) {
        let mut asked = Vec::with_capacity(keys.len());
        for key in keys {
            // A message in chunks comes again chunk by chunk.
            asked.extend_from_slice(self.slots[slot].chunks.parts_of(*key));
            asked.push(*key);
            self.make_dormant(slot, *key);
        }
        if !self.slots[slot].is_up() {
            return;
        }
        for positions in asked.chunks(REDELIVER_CHUNK) {
            out.push(Effect::Redeliver {
                slot,
                positions: positions.to_vec(),
            });
        }
    }

    /// Nothing of the slot that the broker can send again waits or is held any more, and nothing is held by a member that
    /// is not active now. Gives the entries that it had.
    pub(super) fn take_all_back(&mut self, slot: usize) -> Vec<EntryKey> {
        self.drop_waiting(slot);
        let keys: Vec<_> = self.slots[slot].entries.keys().copied().collect();
        for key in &keys {
            let comes_again = Some(*key) > self.slots[slot].gone_by;
            let indexes = self.slots[slot].entries.get(key).map(|entry| entry.all());
            for index in indexes.into_iter().flatten() {
                if comes_again || self.is_held_by_former(slot, *key, index) {
                    self.take_back(slot, *key, index, Index::Absent);
                }
            }
        }
        keys
    }

    /// Failover: whoever holds it was active before.
    fn is_held_by_former(&self, slot: usize, key: EntryKey, index: i32) -> bool {
        let state = &self.slots[slot];
        let index = state.entries.get(&key).and_then(|entry| entry.get(index));
        let Some(Index::Held(holder)) = index else {
            return false;
        };
        self.is_failover() && state.active != Some(holder)
    }

    /// Exclusive and Failover: the broker rewinds, so that everything unsettled comes again in order.
    pub(super) fn redeliver_all(&mut self, slot: usize, out: &mut Vec<Effect>) {
        for key in self.take_all_back(slot) {
            self.make_dormant(slot, key);
        }
        if !self.slots[slot].is_up() {
            return;
        }
        // The rewound broker must know what is settled.
        self.send_acks(slot, out);
        self.slots[slot].redelivered_all += 1;
        out.push(Effect::Redeliver {
            slot,
            positions: Vec::new(),
        });
    }
}
