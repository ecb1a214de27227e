//! A lost upstream and its return: what waits is dropped, what members hold stays theirs, acks are sent again.

use std::collections::VecDeque;

use super::Hub;
use super::acks::Gathering;
use super::arrival::entry_bytes;
use super::effect::Effect;
use super::limits::MAX_REPEAT_PERMITS;
use super::slot::{EntryKey, Link, Position};
use super::unsettled::{EntryState, Index, Indexes};
use crate::pulsar::Message;
use crate::pulsar::client::{Gap, StartPosition};

impl Hub {
    /// `abrupt`: the broker may have forgotten acks that it had confirmed, because it persists positions about once a
    /// second. Otherwise it closed the consumer in order; that may be an admin's cursor reset, which must replay:
    /// then only what it has not confirmed is kept back. Entries of which some indexes are acked stay known in
    /// both cases, since most brokers never hear of single indexes.
    pub(super) fn slot_lost(&mut self, slot: usize, abrupt: bool) {
        let state = &mut self.slots[slot];
        if state.link != Link::Up {
            return;
        }
        state.link = Link::Down;
        state.permits = 0;
        state.repeats = 0;
        state.not_before_ms = state.moved_to_ms.take().or(state.not_before_ms);
        state.gathering.connection_lost();
        if !abrupt {
            state.acked.clear();
            if let Some(below) = state.gathering.unconfirmed_below() {
                state.acked.insert_below(below);
            }
            for key in state.gathering.unconfirmed() {
                state.acked.insert(key);
            }
        }
        // A non-durable consumer resumes behind the last entry that was given out here.
        if self.spec.durable && !self.is_reader() {
            self.drop_waiting(slot);
        } else {
            let state = &mut self.slots[slot];
            state.gone_by = state.furthest;
        }
    }

    /// Forgets what waits in the slot and will come again from the broker.
    pub(super) fn drop_waiting(&mut self, slot: usize) {
        let gone_by = self.slots[slot].gone_by;
        let comes_again = |key: EntryKey| Some(key) > gone_by;
        let incomplete = self.with_chunks(slot, |chunks| chunks.drop_incomplete(comes_again));
        let state = &mut self.slots[slot];
        let gone = state.queue.iter().take_while(|it| !comes_again(it.key()));
        let gone = gone.count();
        let queue = state.queue.split_off(gone);
        let mut opened = VecDeque::new();
        if let Some(Message { id, .. }) = state.opened.front()
            && comes_again((id.ledger, id.entry))
        {
            opened = std::mem::take(&mut state.opened);
            self.retained_bytes -= std::mem::take(&mut state.opened_bytes);
        }
        let dropped = queue.iter().map(|waiting| waiting.messages as usize);
        let dropped = dropped.sum::<usize>() + opened.len();
        state.waiting -= dropped;
        self.waiting_in_slots -= dropped;
        for key in incomplete {
            self.forget_entry(slot, key);
        }
        for waiting in queue {
            self.retained_bytes -= entry_bytes(&waiting.entry);
            self.unarrive(slot, waiting.key());
        }
        for Message { id, .. } in opened {
            self.unqueue(slot, (id.ledger, id.entry), id.batch_index);
        }
        let of_slot = |at: &Position| at.slot as usize == slot;
        let passed_on: Vec<_> = self.passed_on.keys().copied().filter(of_slot).collect();
        for position in passed_on {
            self.passed_on.remove(&position);
            self.unqueue(slot, position.key(), position.index);
        }
    }

    fn unarrive(&mut self, slot: usize, key: EntryKey) {
        let Some(entry) = self.slots[slot].entries.get_mut(&key) else {
            return;
        };
        if matches!(entry.indexes, Indexes::Unopened) {
            self.forget_entry(slot, key);
            return;
        }
        for index in entry.indexes_in(Index::Arrived) {
            entry.set(index, Index::Absent);
        }
        self.make_dormant(slot, key);
    }

    fn unqueue(&mut self, slot: usize, key: EntryKey, index: i32) {
        let entry = self.slots[slot].entries.get_mut(&key);
        if let Some(entry) = entry.filter(|entry| entry.get(index) == Some(Index::Queued)) {
            entry.set(index, Index::Absent);
            self.retained_bytes -= entry.discharge(index);
            self.make_dormant(slot, key);
        }
    }

    /// Another cluster numbers its ledgers by itself: an ack from here would settle a message that nobody has seen, and
    /// what is acked here would keep back what is new. Members keep the places in their windows that what they hold takes.
    pub(super) fn slot_migrated(&mut self, slot: usize, out: &mut Vec<Effect>) {
        if self.is_reader() {
            // What waits has no ids that count.
            self.with_chunks(slot, |chunks| chunks.drop_incomplete(|_| true));
            self.slots[slot].start = Some(StartPosition::Earliest);
            self.slots[slot].gap = Some(Gap::Possible);
        } else {
            self.forget_messages(slot);
        }
        let state = &mut self.slots[slot];
        state.acked.clear();
        state.gathering = Gathering::default();
        state.read_up_to = None;
        state.last_ledger = None;
        state.furthest = None;
        state.gone_by = None;
        self.acks_migrated(slot, out);
    }

    pub(super) fn slot_resumed(&mut self, now_ms: u64, slot: usize, out: &mut Vec<Effect>) {
        let state = &mut self.slots[slot];
        if state.link != Link::Down {
            return;
        }
        state.link = Link::Up;
        state.permits = 0;
        state.gathering.send_lost_again();
        let partly = state
            .entries
            .iter()
            .filter(|(_, entry)| entry.partial_ack_set().is_some());
        let mut partly: Vec<_> = partly.map(|(key, _)| *key).collect();
        partly.extend(self.partials.of_slot(slot));
        for key in partly {
            self.gather_partial(now_ms, slot, key);
        }
        // Before the permits: what is acked by then does not come again. While a seek moves the slot, nobody knows yet
        // whether what was acked is still to be.
        match self.is_seeking() {
            false => self.send_acks(slot, out),
            true => self.ack_due_ms = Some(now_ms),
        }
        if self.spec.durable {
            let state = &mut self.slots[slot];
            let entries = state.entries.values().map(EntryState::live);
            let held = entries.fold(0, u32::saturating_add);
            state.repeats = held.min(MAX_REPEAT_PERMITS);
        }
    }
}
