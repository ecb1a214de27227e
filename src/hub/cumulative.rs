//! Cumulative acks (Exclusive, Failover): one id settles it and all before it in its partition.
//!
//! The broker is told once, by a cumulative ack of its own, so that it settles what this hub never saw as well. It is sent
//! again after a lost connection like any other ack.

use super::Hub;
use super::acks::Cumulative;
use super::effect::{Effect, MemberId};
use super::limits::ACK_GATHER_MS;
use super::partials::Noted;
use super::requests::RequestNumber;
use super::slot::{EntryKey, behind};
use super::unsettled::{Index, Indexes, ack_set};
use crate::pulsar::MessageId;

impl Hub {
    /// Frees the windows of whoever held what it settles, and nothing else.
    pub(super) fn ack_cumulative(
        &mut self,
        now_ms: u64,
        member: MemberId,
        number: RequestNumber,
        id: MessageId,
        out: &mut Vec<Effect>,
    ) {
        if self.redelivers_single() {
            let text = "Cumulative acks are for Exclusive and Failover subscriptions";
            return self.refuse(number, text, out);
        }
        self.stats.acked += 1;
        let Some(slot) = self.slot_of(&id) else {
            let text = "The id is of a partition that is not subscribed to here";
            return self.refuse(number, text, out);
        };
        if !self.is_acked_upstream(slot) {
            // Nothing tells one message of a non-persistent topic from another.
            self.free(member, u32::MAX);
            return self.answer(number, Ok(()), out);
        }
        let key = (id.ledger, id.entry);
        let Some(unacked) = self.settle_up_to_index(slot, &id) else {
            return self.refuse(number, "The batch has no message with this index", out);
        };
        let below = match unacked.is_empty() {
            true => behind(key),
            false => key,
        };
        self.settle_below(slot, below);
        let gathering = &mut self.slots[slot].gathering;
        gathering.gather_cumulative(Cumulative { key, unacked }, below);
        self.requests.watch_ack((slot, key), number);
        self.ack_due_ms.get_or_insert(now_ms + ACK_GATHER_MS);
    }

    /// Settles the entry of the id up to its index. Which of its messages are not settled then: bit i for message i.
    /// None: there is no such message.
    fn settle_up_to_index(&mut self, slot: usize, id: &MessageId) -> Option<Vec<u64>> {
        let key = (id.ledger, id.entry);
        if self.slots[slot].acked.contains(key) || id.batch_index < 0 {
            return Some(Vec::new());
        }
        let entry = self.slots[slot].entries.get_mut(&key);
        let opened = entry.filter(|entry| !matches!(entry.indexes, Indexes::Unopened));
        let Some(entry) = opened else {
            return self.note_up_to_index(slot, id);
        };
        let all = entry.all();
        if !all.contains(&id.batch_index) {
            return None;
        }
        for index in entry.settling_up_to(id.batch_index) {
            self.take_back(slot, key, index, Index::Settled);
        }
        let entry = self.slots[slot].entries.get(&key)?;
        let unacked = ack_set(all.map(|index| entry.get(index) != Some(Index::Settled)));
        if !unacked.is_empty() {
            self.make_dormant(slot, key);
        }
        Some(unacked)
    }

    /// The same of an entry that is not held here.
    fn note_up_to_index(&mut self, slot: usize, id: &MessageId) -> Option<Vec<u64>> {
        let key = (id.ledger, id.entry);
        let index = usize::try_from(id.batch_index).ok()?;
        let size = usize::try_from(id.batch_size).ok()?;
        match self.partials.note_up_to(slot, key, index, size) {
            Noted::Partly => self.partials.ack_set(slot, key),
            Noted::Whole => Some(Vec::new()),
            Noted::Ignored => None,
        }
    }

    /// Everything of the slot before this position is settled, held or not, seen here or not.
    fn settle_below(&mut self, slot: usize, below: EntryKey) {
        let entries = self.slots[slot].entries.keys().copied();
        let keys: Vec<EntryKey> = entries.filter(|key| *key < below).collect();
        for key in keys {
            let indexes = self.slots[slot].entries.get(&key).map(|entry| entry.all());
            for index in indexes.into_iter().flatten() {
                self.take_back(slot, key, index, Index::Settled);
            }
            self.forget_entry(slot, key);
        }
        self.partials.forget_below(slot, below);
        self.slots[slot].acked.insert_below(below);
    }

    /// The broker says so too of an id beyond the end of its topic, and moves nothing: what is published from now on is
    /// new. Where it has moved, what has not come so far does not come any more.
    pub(super) fn cumulative_confirmed(&mut self, slot: usize) {
        let state = &mut self.slots[slot];
        let came = state.furthest.map(behind);
        let below = came.max(state.gathering.unconfirmed_below());
        state.acked.keep_below(below);
    }
}
