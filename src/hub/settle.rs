//! Acks and negative acks of members: what the id means, whose window it frees, what becomes of the entry.

use super::Hub;
use super::effect::{Effect, MemberId};
use super::limits::{MIN_NACK_DELAY_MS, NACK_GROUP_MS};
use super::member::Held;
use super::partials::Noted;
use super::slot::{EntryKey, Position};
use super::unsettled::{Index, Indexes, Outcome};
use crate::pulsar::MessageId;

/// How many messages of a batch are looked at in the time in which a member is asked what it holds of it.
const LOOKS_PER_MEMBER: usize = 16;

impl Hub {
    /// An ack frees one place of the window of whoever sent it, also for an id that it never got (ConsumerHandler
    /// counts frames); and of whoever held the message, because that one holds it no more.
    pub(super) fn ack(
        &mut self,
        now_ms: u64,
        member: MemberId,
        id: MessageId,
        out: &mut Vec<Effect>,
    ) {
        self.stats.acked += 1;
        let own = self.settle_id(now_ms, Some(member), id, out).unwrap_or(0);
        self.free(member, u32::from(own == 0));
    }

    /// How many of the messages that the id means were held by `member`. None: it means nothing.
    pub(super) fn settle_id(
        &mut self,
        now_ms: u64,
        member: Option<MemberId>,
        id: MessageId,
        out: &mut Vec<Effect>,
    ) -> Option<usize> {
        let Some(slot) = self.slot_of(&id) else {
            if self.has_several_topics() {
                self.ledgers.stray(id);
            }
            return None;
        };
        if !self.is_acked_upstream(slot) {
            return None;
        }
        let key = (id.ledger, id.entry);
        let entry = self.slots[slot].entries.get(&key);
        let opened = entry.filter(|entry| !matches!(entry.indexes, Indexes::Unopened));
        let own = match opened.map(|entry| entry.meant_by(id.batch_index)) {
            Some(meant) if meant.is_empty() => None,
            Some(meant) => Some(self.settle(now_ms, slot, key, meant, member)),
            None => self.ack_unknown(now_ms, slot, &id).then_some(0),
        };
        self.send_full_acks(slot, out);
        own
    }

    /// How many of the messages were held by `member`; their windows, and those of others, are freed.
    fn settle(
        &mut self,
        now_ms: u64,
        slot: usize,
        key: EntryKey,
        meant: std::ops::Range<i32>,
        member: Option<MemberId>,
    ) -> usize {
        let mut own = 0;
        let mut any = false;
        for index in meant {
            let Some((was, held)) = self.take_out(slot, key, index, Index::Settled) else {
                continue;
            };
            if let (Index::Held(holder), Some(held)) = (was, held) {
                let after_ms = now_ms.saturating_sub(held.since_ms);
                self.members.acked_after(holder, after_ms);
            }
            own += usize::from(member.is_some_and(|member| was == Index::Held(member)));
            any |= was != Index::Settled;
        }
        if any {
            self.settled_some(now_ms, slot, key);
        }
        own
    }

    /// Some index of the entry is settled that was not.
    pub(super) fn settled_some(&mut self, now_ms: u64, slot: usize, key: EntryKey) {
        match self.outcome(slot, key) {
            Some(Outcome::Settled) => self.settled_whole(now_ms, slot, key),
            Some(_) => self.gather_partial(now_ms, slot, key),
            None => {}
        }
        self.make_dormant(slot, key);
    }

    /// Puts a message into a new state, out of the hands of its member or of the delay. Returns the old state.
    pub(super) fn take_back(
        &mut self,
        slot: usize,
        key: EntryKey,
        index: i32,
        to: Index,
    ) -> Option<Index> {
        let (was, _) = self.take_out(slot, key, index, to)?;
        Some(was)
    }

    /// As [`Hub::take_back`], with what its member held.
    fn take_out(
        &mut self,
        slot: usize,
        key: EntryKey,
        index: i32,
        to: Index,
    ) -> Option<(Index, Option<Held>)> {
        let entry = self.slots[slot].entries.get_mut(&key)?;
        let was = entry.get(index)?;
        if was == Index::Settled {
            return Some((was, None));
        }
        entry.set(index, to);
        if !to.is_live() {
            self.retained_bytes -= entry.discharge(index);
        }
        let position = Position {
            slot: slot as u32,
            ledger: key.0,
            entry: key.1,
            index,
        };
        match was {
            Index::Held(member) => {
                let held = self.members.change(member, |m| {
                    m.free(1);
                    m.held.remove(&position)
                });
                let held = held.flatten();
                self.held -= usize::from(held.is_some());
                return Some((was, held));
            }
            Index::Delayed { due_ms } => {
                self.delayed.remove(&(due_ms, position));
                self.dead_letters.pardon(&position);
            }
            Index::Queued => {
                self.passed_on.remove(&position);
            }
            Index::Arrived | Index::Dying | Index::Absent | Index::Settled => {}
        }
        Some((was, None))
    }

    pub(super) fn index(&self, position: &Position) -> Option<Index> {
        let slot = self.slots.get(position.slot as usize)?;
        slot.entries.get(&position.key())?.get(position.index)
    }

    pub(super) fn outcome(&self, slot: usize, key: EntryKey) -> Option<Outcome> {
        Some(self.slots[slot].entries.get(&key)?.outcome())
    }

    /// An entry that only waits for the broker is forgotten, but for the indexes of it that are acked:
    /// a broker without acknowledgmentAtBatchIndexLevelEnabled sends those again too.
    pub(super) fn make_dormant(&mut self, slot: usize, key: EntryKey) {
        if self.outcome(slot, key) != Some(Outcome::Dormant) {
            return;
        }
        if let Some(entry) = self.slots[slot].entries.get(&key) {
            let all = entry.all();
            let size = all.len();
            for index in all.filter(|index| entry.get(*index) == Some(Index::Settled)) {
                self.partials.note(slot, key, index as usize, size);
            }
        }
        self.forget_entry(slot, key);
    }

    /// The hub has not opened it: it waits, is another gateway's delivery, was asked for again, or is made up.
    /// A whole entry is remembered as acked, should it be on its way; indexes are merged when it is opened.
    /// False: there can be no such message.
    pub(super) fn ack_unknown(&mut self, now_ms: u64, slot: usize, id: &MessageId) -> bool {
        let key = (id.ledger, id.entry);
        if self.slots[slot].acked.contains(key) {
            return true;
        }
        let noted = if id.batch_index < 0 {
            Noted::Whole
        } else {
            self.note_partial(slot, id)
        };
        match noted {
            Noted::Ignored => {}
            Noted::Partly => self.gather_partial(now_ms, slot, key),
            Noted::Whole => self.settled_whole(now_ms, slot, key),
        }
        noted != Noted::Ignored
    }

    fn note_partial(&mut self, slot: usize, id: &MessageId) -> Noted {
        let (Ok(index), Ok(size)) = (
            usize::try_from(id.batch_index),
            usize::try_from(id.batch_size),
        ) else {
            return Noted::Ignored;
        };
        self.partials.note(slot, (id.ledger, id.entry), index, size)
    }

    /// Frees as an ack does. What nobody here holds is ignored: the broker ignores it too. Then it is false.
    pub(super) fn negative_ack(&mut self, now_ms: u64, member: MemberId, id: MessageId) -> bool {
        self.stats.negative_acked += 1;
        let delay_ms = self
            .members
            .get(member)
            .map_or(0, |m| m.spec.negative_ack_delay_ms)
            .max(MIN_NACK_DELAY_MS);
        let due_ms = now_ms.saturating_add(delay_ms);
        let due_ms = due_ms
            .checked_next_multiple_of(NACK_GROUP_MS)
            .unwrap_or(due_ms);
        let mut own = 0;
        let slot = self.slot_of(&id);
        let mut any = match slot {
            Some(slot) => !self.is_acked_upstream(slot),
            None => !self.is_acked_anywhere(),
        };
        if let Some(slot) = slot.filter(|slot| self.is_acked_upstream(*slot)) {
            let key = (id.ledger, id.entry);
            for index in self.held_of(slot, key, id.batch_index) {
                let holder = self.delay(slot, key, index, due_ms, member);
                own += usize::from(holder == Some(member));
                any |= holder.is_some();
            }
        }
        self.free(member, u32::from(own == 0));
        any
    }

    /// Those of the messages that an id means that members hold. A client may name a batch of any size again and again:
    /// a large one is looked for with the members.
    pub(super) fn held_of(&self, slot: usize, key: EntryKey, batch_index: i32) -> Vec<i32> {
        let Some(entry) = self.slots[slot].entries.get(&key) else {
            return Vec::new();
        };
        let meant = entry.meant_by(batch_index);
        if meant.len() > LOOKS_PER_MEMBER * self.members.len() {
            return self.members.held_of(slot as u32, key).collect();
        }
        let is_held = |index: &i32| matches!(entry.get(*index), Some(Index::Held(_)));
        meant.filter(is_held).collect()
    }

    /// Whether all that the id means is settled already.
    pub(super) fn is_settled(&self, slot: usize, id: &MessageId) -> bool {
        let key = (id.ledger, id.entry);
        let state = &self.slots[slot];
        let entry = state.entries.get(&key);
        let opened = entry.filter(|entry| !matches!(entry.indexes, Indexes::Unopened));
        match opened {
            _ if state.acked.contains(key) => true,
            Some(entry) if id.batch_index < 0 => entry.outcome() == Outcome::Settled,
            Some(entry) => {
                let mut meant = entry.meant_by(id.batch_index);
                meant.all(|index| entry.get(index) == Some(Index::Settled))
            }
            None => self.partials.is_acked(slot, key, id.batch_index),
        }
    }

    /// Whose it was. On Failover only the active member has a say: the broker ignores the others.
    fn delay(
        &mut self,
        slot: usize,
        key: EntryKey,
        index: i32,
        due_ms: u64,
        member: MemberId,
    ) -> Option<MemberId> {
        let entry = self.slots[slot].entries.get(&key)?;
        let Some(Index::Held(owner)) = entry.get(index) else {
            return None;
        };
        if self.is_failover() && owner != member {
            return None;
        }
        let position = Position {
            slot: slot as u32,
            ledger: key.0,
            entry: key.1,
            index,
        };
        self.condemn(owner, position);
        self.take_back(slot, key, index, Index::Delayed { due_ms });
        self.delayed.insert((due_ms, position));
        Some(owner)
    }
}
