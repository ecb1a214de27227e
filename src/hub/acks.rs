//! Acks on their way: gathered, sent, confirmed; and sent again after a lost connection.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::Hub;
use super::effect::Effect;
use super::limits::{ACK_GATHER_COUNT, ACK_GATHER_MS, MAX_UNCONFIRMED_ACKS, READ_ACK_MS};
use super::slot::{EntryKey, behind};
use crate::pulsar::BrokerError;
use crate::pulsar::client::{AckPosition, Tag};

/// An entry, with all before it; of a batch that is not acked as a whole, which of its messages are not.
#[derive(Clone, Debug)]
pub(super) struct Cumulative {
    pub key: EntryKey,
    pub unacked: Vec<u64>,
}

/// The acks of one slot that the broker has not confirmed.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// To be sent: whole entries.
    whole: Vec<EntryKey>,
    /// To be sent: entries of which some indexes are acked. Which ones is read when it is sent.
    partial: BTreeSet<EntryKey>,
    /// To be sent: the furthest.
    cumulative: Option<Cumulative>,
    /// Sent: the furthest. It stands for those before it.
    sent_cumulative: Option<(Tag, Cumulative)>,
    /// Sent, by tag. The oldest is forgotten over the bound.
    sent: BTreeMap<Tag, Vec<EntryKey>>,
    sent_count: usize,
    /// Lost with the connection: sent again when it is back.
    lost: Vec<EntryKey>,
}

impl Gathering {
    fn len(&self) -> usize {
        self.whole.len() + self.partial.len()
    }

    /// Every whole entry whose ack is not confirmed.
    pub fn unconfirmed(&self) -> impl Iterator<Item = EntryKey> + '_ {
        let sent = self.sent.values().flatten();
        sent.chain(&self.lost).chain(&self.whole).copied()
    }

    /// Everything before `below` is acked by it.
    pub fn gather_cumulative(&mut self, cumulative: Cumulative, below: EntryKey) {
        self.whole.retain(|key| *key >= below);
        self.lost.retain(|key| *key >= below);
        self.partial.retain(|key| *key >= below);
        self.keep_furthest(cumulative);
    }

    fn keep_furthest(&mut self, cumulative: Cumulative) {
        let is_further = |than: &Cumulative| match cumulative.key.cmp(&than.key) {
            // Fewer are unacked; none at all is an empty set.
            Ordering::Equal => {
                !than.unacked.is_empty()
                    && (cumulative.unacked.is_empty() || count(&cumulative) < count(than))
            }
            order => order == Ordering::Greater,
        };
        if self.cumulative.as_ref().is_none_or(is_further) {
            self.cumulative = Some(cumulative);
        }
    }

    /// Everything before this is acked and not confirmed.
    pub fn unconfirmed_below(&self) -> Option<EntryKey> {
        let sent = self.sent_cumulative.as_ref().map(|(_, sent)| sent);
        let both = [self.cumulative.as_ref(), sent].into_iter().flatten();
        both.map(|cumulative| match cumulative.unacked.is_empty() {
            true => behind(cumulative.key),
            false => cumulative.key,
        })
        .max()
    }

    /// The connection went: what was not confirmed has to be sent again.
    pub fn connection_lost(&mut self) {
        if let Some((_, sent)) = self.sent_cumulative.take() {
            self.keep_furthest(sent);
        }
        let sent = std::mem::take(&mut self.sent);
        self.sent_count = 0;
        self.lost.extend(sent.into_values().flatten());
        self.lost.append(&mut self.whole);
        self.partial.clear();
        self.trim_lost();
    }

    /// The connection is back.
    pub fn send_lost_again(&mut self) {
        self.lost.append(&mut self.whole);
        self.whole = std::mem::take(&mut self.lost);
    }

    fn trim_lost(&mut self) {
        let over = self.lost.len().saturating_sub(MAX_UNCONFIRMED_ACKS);
        self.lost.drain(..over);
    }

    fn remember_sent(&mut self, tag: Tag, positions: &[AckPosition]) {
        let whole = positions
            .iter()
            .filter(|position| position.ack_set.is_empty());
        let keys: Vec<_> = whole
            .map(|position| (position.ledger, position.entry))
            .collect();
        self.sent_count += keys.len();
        self.sent.insert(tag, keys);
        while self.sent_count > MAX_UNCONFIRMED_ACKS
            && let Some((_, oldest)) = self.sent.pop_first()
        {
            self.sent_count -= oldest.len();
        }
    }

    fn take_sent(&mut self, tag: Tag) -> Option<Vec<EntryKey>> {
        let keys = self.sent.remove(&tag)?;
        self.sent_count -= keys.len();
        Some(keys)
    }
}

fn count(cumulative: &Cumulative) -> u32 {
    let words = cumulative.unacked.iter();
    words.map(|word| word.count_ones()).sum()
}

fn whole_position((ledger, entry): EntryKey) -> AckPosition {
    AckPosition {
        ledger,
        entry,
        ack_set: Vec::new(),
    }
}

impl Hub {
    /// The entry is settled as a whole.
    pub(super) fn gather_whole(&mut self, now_ms: u64, slot: usize, key: EntryKey) {
        let gathering = &mut self.slots[slot].gathering;
        gathering.partial.remove(&key);
        match &mut gathering.cumulative {
            // It goes out as one with that.
            Some(cumulative) if cumulative.key == key => cumulative.unacked.clear(),
            _ => gathering.whole.push(key),
        }
        self.ack_due_ms.get_or_insert(now_ms + ACK_GATHER_MS);
    }

    /// One more index of the entry is settled, and not all.
    pub(super) fn gather_partial(&mut self, now_ms: u64, slot: usize, key: EntryKey) {
        self.slots[slot].gathering.partial.insert(key);
        self.ack_due_ms.get_or_insert(now_ms + ACK_GATHER_MS);
    }

    /// The entry is given out as a whole, or nothing in it is to be given out. A reader's broker side is told so, as
    /// Java's ReaderImpl does: it says that a terminated topic has ended only to who has acked everything.
    pub(super) fn given_out(&mut self, now_ms: u64, slot: usize, key: EntryKey) {
        if self.is_reader() {
            self.slots[slot].read_up_to = Some(key);
            self.ack_due_ms.get_or_insert(now_ms + READ_ACK_MS);
        }
    }

    /// Sends what is gathered once it is as much as one command carries.
    pub(super) fn send_full_acks(&mut self, slot: usize, out: &mut Vec<Effect>) {
        if self.slots[slot].gathering.len() >= ACK_GATHER_COUNT {
            self.send_acks(slot, out);
        }
    }

    pub(super) fn send_all_acks(&mut self, out: &mut Vec<Effect>) {
        for slot in 0..self.slots.len() {
            self.send_acks(slot, out);
        }
        self.ack_due_ms = None;
    }

    /// Without a connection the acks wait for the next one.
    pub(super) fn send_acks(&mut self, slot: usize, out: &mut Vec<Effect>) {
        let state = &mut self.slots[slot];
        let read_up_to = state.read_up_to.take();
        if !state.is_up() {
            state.gathering.connection_lost();
            return;
        }
        if let Some((ledger, entry)) = read_up_to {
            out.push(Effect::AckUpTo {
                slot,
                ledger,
                entry,
            });
        }
        if let Some(cumulative) = state.gathering.cumulative.take() {
            self.send_cumulative(slot, cumulative, out);
        }
        let state = &mut self.slots[slot];
        let whole = std::mem::take(&mut state.gathering.whole);
        let partial = std::mem::take(&mut state.gathering.partial);
        let mut positions: Vec<_> = whole.into_iter().map(whole_position).collect();
        positions.extend(
            partial
                .into_iter()
                .filter_map(|key| self.partial_position(slot, key)),
        );
        while !positions.is_empty() {
            let rest = positions.split_off(positions.len().min(ACK_GATHER_COUNT));
            let positions = std::mem::replace(&mut positions, rest);
            self.next_tag += 1;
            let gathering = &mut self.slots[slot].gathering;
            gathering.remember_sent(self.next_tag, &positions);
            for position in &positions {
                let at = (slot, (position.ledger, position.entry));
                self.requests.ack_sent(self.next_tag, at);
            }
            out.push(Effect::Ack {
                slot,
                tag: self.next_tag,
                positions,
            });
        }
    }

    fn send_cumulative(&mut self, slot: usize, cumulative: Cumulative, out: &mut Vec<Effect>) {
        let Cumulative { key, unacked } = cumulative.clone();
        let known = (!unacked.is_empty()).then(|| self.partial_position(slot, key));
        let position = known.flatten().unwrap_or(AckPosition {
            ledger: key.0,
            entry: key.1,
            ack_set: unacked,
        });
        self.next_tag += 1;
        let tag = self.next_tag;
        self.slots[slot].gathering.sent_cumulative = Some((tag, cumulative));
        self.requests.acks_sent_up_to(tag, (slot, key));
        out.push(Effect::AckCumulative {
            slot,
            tag,
            position,
        });
    }

    fn partial_position(&self, slot: usize, key: EntryKey) -> Option<AckPosition> {
        let held = self.slots[slot].entries.get(&key);
        let ack_set = held
            .and_then(|state| state.partial_ack_set())
            .or_else(|| self.partials.ack_set(slot, key))?;
        Some(AckPosition {
            ledger: key.0,
            entry: key.1,
            ack_set,
        })
    }

    /// A refused ack is sent again when the connection is new: until then the memory of acked positions sees to it that
    /// nothing comes of it.
    pub(super) fn ack_done(
        &mut self,
        slot: usize,
        tag: Tag,
        result: Result<(), BrokerError>,
        out: &mut Vec<Effect>,
    ) {
        let confirmed = result.is_ok();
        self.ack_answered(tag, result, out);
        let gathering = &mut self.slots[slot].gathering;
        // One that was refused stays, to be sent again on the next connection.
        let is_it = |(sent, _): &mut (Tag, Cumulative)| confirmed && *sent == tag;
        if gathering.sent_cumulative.take_if(is_it).is_some() {
            self.cumulative_confirmed(slot);
        }
        let gathering = &mut self.slots[slot].gathering;
        let Some(keys) = gathering.take_sent(tag) else {
            return;
        };
        if !confirmed {
            gathering.lost.extend(keys);
            gathering.trim_lost();
        }
    }
}
