//! An entry from the broker: is it new, a repeat, or asked for again? And opening it when a member has window.

use super::Hub;
use super::effect::Effect;
use super::limits::MESSAGE_OVERHEAD_BYTES;
use super::slot::{EntryKey, Waiting};
use super::unsettled::{EntryState, Index, Indexes, Outcome};
use crate::pulsar::client::StartPosition;
use crate::pulsar::message::{SplitError, open_encrypted, split};
use crate::pulsar::wire::varint::{Fields, Value};
use crate::pulsar::{CryptoFailureAction, Entry, Message};

/// The field `num_messages_in_batch` of MessageMetadata.
const NUM_MESSAGES_IN_BATCH: u64 = 11;

impl Hub {
    pub(super) fn arrive(&mut self, now_ms: u64, slot: usize, entry: Entry, out: &mut Vec<Effect>) {
        if !self.slots[slot].is_up() {
            return;
        }
        let key = (entry.ledger, entry.entry);
        let messages = self.take_permits(slot, &entry);
        let state = &mut self.slots[slot];
        state.furthest = state.furthest.max(Some(key));
        if self.slots[slot].is_stale(entry.consumer_epoch) {
            self.stats.stale_epoch += 1;
            return;
        }
        self.note_ledger(now_ms, slot, entry.ledger);
        if messages == 0 && !self.slots[slot].entries.contains_key(&key) {
            return self.nothing_arrived(now_ms, slot, key, out);
        }
        if self.is_acked_upstream(slot) && self.is_repeat(now_ms, slot, key, messages) {
            self.send_full_acks(slot, out);
            return;
        }
        let state = &mut self.slots[slot];
        state.repeats = 0;
        state.waiting += messages as usize;
        self.waiting_in_slots += messages as usize;
        self.retained_bytes += entry_bytes(&entry);
        state.queue.push_back(Waiting {
            entry,
            messages,
            gap: state.gap.take(),
            pinned: true,
            tried: Default::default(),
        });
        if self.pinned.last() != Some(&slot) {
            self.pinned.push(slot);
        }
    }

    /// What nobody has taken may wait for long.
    pub(super) fn unpin_waiting(&mut self) {
        let mut slots = std::mem::take(&mut self.pinned);
        for slot in slots.drain(..) {
            let last_first = self.slots[slot].queue.iter_mut().rev();
            for waiting in last_first.take_while(|waiting| waiting.pinned) {
                waiting.entry.unpin();
                waiting.pinned = false;
            }
        }
        self.pinned = slots;
    }

    /// A batch without messages, or all of it acked. It costs no permits: waiting for a member's window, any number of
    /// them could come.
    fn nothing_arrived(&mut self, now_ms: u64, slot: usize, key: EntryKey, out: &mut Vec<Effect>) {
        if self.is_acked_upstream(slot) {
            self.settled_whole(now_ms, slot, key);
            self.send_full_acks(slot, out);
        }
    }

    /// Learns which topic the ledger's ids are of, and settles what was acked before that was known.
    fn note_ledger(&mut self, now_ms: u64, slot: usize, ledger: u64) {
        if !self.has_several_topics()
            || !self.slots[slot].persistent
            || self.slots[slot].last_ledger.replace(ledger) == Some(ledger)
        {
            return;
        }
        for id in self.ledgers.note(ledger, slot) {
            self.ack_unknown(now_ms, slot, &id);
        }
    }

    /// The broker takes a permit for each message that is not acked. How many messages are to be expected.
    fn take_permits(&mut self, slot: usize, entry: &Entry) -> u32 {
        let state = &mut self.slots[slot];
        match expected_messages(entry) {
            Some(messages) => {
                state.permits -= i64::from(messages);
                messages
            }
            None => {
                state.permits = (state.permits - 1).min(0);
                1
            }
        }
    }

    /// The client machine has acked it as corrupt. How many messages the broker counted for it nobody knows: rather
    /// too few permits are assumed than too many, which would stop the slot for good.
    pub(super) fn corrupt_arrived(&mut self, slot: usize) {
        self.stats.corrupt += 1;
        let state = &mut self.slots[slot];
        state.permits = (state.permits - 1).min(0);
    }

    /// Whether the entry is held, waiting or acked here. If it is not, it is entered as waiting.
    fn is_repeat(&mut self, now_ms: u64, slot: usize, key: EntryKey, messages: u32) -> bool {
        let state = &mut self.slots[slot];
        let mut repeat = true;
        if let Some(known) = state.entries.get_mut(&key) {
            repeat = !known.arrived_again();
            // The broker may have forgotten the acks of some indexes.
            if repeat && known.partial_ack_set().is_some() {
                self.gather_partial(now_ms, slot, key);
            }
        } else if state.acked.contains(key) {
            self.gather_whole(now_ms, slot, key);
        } else {
            state.entries.insert(key, EntryState::unopened());
            repeat = false;
        }
        if repeat {
            self.stats.repeats_suppressed += 1;
            let state = &mut self.slots[slot];
            state.repeats = state.repeats.saturating_sub(messages);
        }
        repeat
    }

    /// Opens the entry in front of the slot's queue. False: there is none, or it waits for its data key.
    pub(super) fn open_next(&mut self, now_ms: u64, slot: usize) -> bool {
        let tracked = self.is_acked_upstream(slot);
        if !self.decrypt_front(now_ms, slot) {
            return false;
        }
        let state = &mut self.slots[slot];
        let Some(Waiting {
            entry,
            messages,
            gap,
            ..
        }) = state.queue.pop_front()
        else {
            return false;
        };
        self.gap = gap.or(self.gap);
        state.waiting -= messages as usize;
        self.waiting_in_slots -= messages as usize;
        self.retained_bytes -= entry_bytes(&entry);
        let key = (entry.ledger, entry.entry);
        if tracked && !state.entries.contains_key(&key) {
            // Acked while it waited.
            return true;
        }
        match self.messages_of(&entry) {
            Ok(messages) => self.opened(now_ms, slot, key, messages),
            Err(SplitError::Chunked) => self.chunk_opened(now_ms, slot, entry),
            Err(error) => self.unreadable(now_ms, slot, key, &error, &entry.metadata),
        }
        if self.slots[slot].opened.is_empty() {
            self.given_out(now_ms, slot, key);
        }
        true
    }

    fn messages_of(&self, entry: &Entry) -> Result<Vec<Message>, SplitError> {
        let max_bytes = self.limits.max_uncompressed_bytes;
        match split(entry, max_bytes) {
            Err(SplitError::Encrypted)
                if self.spec.crypto_failure_action == CryptoFailureAction::Consume =>
            {
                Ok(vec![open_encrypted(entry, max_bytes)?])
            }
            split => split,
        }
    }

    pub(super) fn opened(
        &mut self,
        now_ms: u64,
        slot: usize,
        key: EntryKey,
        mut messages: Vec<Message>,
    ) {
        self.slots[slot].skip_older(&mut messages);
        if self.is_acked_upstream(slot) {
            self.enter(now_ms, slot, key, &mut messages);
        } else if let Some(StartPosition::After(start)) = self.slots[slot].start
            && (start.ledger, start.entry) == key
        {
            messages.retain(|message| message.id.batch_index > start.batch_index);
        }
        if let Some(last) = messages.last() {
            let wall_ms = self.wall_ms(now_ms);
            self.slots[slot].chunks.saw(last.publish_time_ms, wall_ms);
        }
        if self.is_reader()
            && let Some(begun) = self.slots[slot].chunks.oldest_begun()
        {
            for message in &mut messages {
                message.oldest_begun = Some(Box::new(begun));
            }
        }
        let bytes = messages.iter().map(message_bytes).sum::<usize>();
        if let Some(mean) = bytes.checked_div(messages.len()) {
            self.mean_bytes = (self.mean_bytes * 7 + mean) / 8;
        }
        let passes_on = self.passes_on(slot);
        let state = &mut self.slots[slot];
        match state.entries.get_mut(&key) {
            Some(entry) if passes_on => {
                for message in &messages {
                    self.retained_bytes +=
                        entry.charge(message.id.batch_index, message_bytes(message));
                }
            }
            _ => {
                self.retained_bytes += bytes;
                state.opened_bytes += bytes;
            }
        }
        state.waiting += messages.len();
        self.waiting_in_slots += messages.len();
        state.opened.extend(messages);
    }

    /// Makes the entry's state out of what is in it, and leaves those messages that are to be given out.
    fn enter(&mut self, now_ms: u64, slot: usize, key: EntryKey, messages: &mut Vec<Message>) {
        let partial = self.partials.take(slot, key);
        let Some(state) = self.slots[slot].entries.get_mut(&key) else {
            return;
        };
        if matches!(state.indexes, Indexes::Unopened) {
            state.indexes = fresh(messages);
        }
        if let Some(partial) = partial {
            for index in state.all() {
                if usize::try_from(index).is_ok_and(|index| partial.is_acked(index)) {
                    state.set(index, Index::Settled);
                }
            }
        }
        messages.retain(|message| state.get(message.id.batch_index) == Some(Index::Arrived));
        for message in messages.iter() {
            state.set(message.id.batch_index, Index::Queued);
        }
        // Asked for again and not come: acked by another way, or compacted.
        for index in state.indexes_in(Index::Arrived) {
            state.set(index, Index::Settled);
        }
        if state.outcome() == Outcome::Settled {
            self.settled_whole(now_ms, slot, key);
        }
    }

    /// A corrupt entry is acked, as in Java: it would come again for ever and could never be read.
    pub(super) fn unreadable(
        &mut self,
        now_ms: u64,
        slot: usize,
        key: EntryKey,
        error: &SplitError,
        metadata: &[u8],
    ) {
        if matches!(error, SplitError::Encrypted) {
            return self.undecryptable(now_ms, slot, key, metadata);
        }
        self.stats.corrupt += 1;
        if self.is_acked_upstream(slot) {
            self.settled_whole(now_ms, slot, key);
        }
    }

    /// Every index of the entry is settled: nothing is kept of it but that it is acked.
    pub(super) fn settled_whole(&mut self, now_ms: u64, slot: usize, key: EntryKey) {
        let parts = self.forget_entry(slot, key);
        for key in parts.iter().copied().chain([key]) {
            self.slots[slot].acked.insert(key);
            self.gather_whole(now_ms, slot, key);
        }
    }

    /// The entries of the message's other chunks, if it came in several, are forgotten with it and given back.
    pub(super) fn forget_entry(&mut self, slot: usize, key: EntryKey) -> Box<[EntryKey]> {
        let state = &mut self.slots[slot];
        let parts = state.chunks.take_parts(key);
        for key in parts.iter().chain([&key]) {
            if let Some(entry) = state.entries.remove(key) {
                self.retained_bytes -= entry.bytes();
            }
        }
        parts
    }
}

/// The states of an entry seen for the first time: what did not come of a batch is settled (acked index by index, or
/// compacted).
fn fresh(messages: &[Message]) -> Indexes {
    let size = match messages.first() {
        Some(first) if first.id.batch_index >= 0 => first.id.batch_size.max(0) as usize,
        Some(_) => return Indexes::One(Index::Arrived),
        None => 0,
    };
    let mut batch = EntryState::settled_batch(size);
    for message in messages {
        batch.set(message.id.batch_index, Index::Arrived);
    }
    batch.indexes
}

/// What the broker counts for the entry. `None`: its metadata cannot be read.
fn expected_messages(entry: &Entry) -> Option<u32> {
    let mut batch = None;
    let mut fields = Fields::new(&entry.metadata);
    while let Some(field) = fields.next().ok()? {
        if let (NUM_MESSAGES_IN_BATCH, Value::Varint(count)) = field {
            batch = Some(count as i32);
        }
    }
    let Some(size) = batch else { return Some(1) };
    let size = u32::try_from(size).ok()?;
    if entry.ack_set.is_empty() {
        return Some(size);
    }
    let unacked: u32 = entry.ack_set.iter().map(|word| word.count_ones()).sum();
    Some(unacked.min(size))
}

pub(super) fn entry_bytes(entry: &Entry) -> usize {
    entry.metadata.len() + entry.payload.len() + MESSAGE_OVERHEAD_BYTES
}

pub(super) fn message_bytes(message: &Message) -> usize {
    // Messages of a batch share theirs.
    let decrypted_from = match &message.decrypted_from {
        Some(metadata) if message.id.batch_index < 0 => metadata.len(),
        _ => 0,
    };
    message.metadata.len() + decrypted_from + message.payload.len() + MESSAGE_OVERHEAD_BYTES
}
