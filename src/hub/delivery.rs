//! Who gets the next messages: members in turn, a run each; what members left behind first, then slot by slot.

use super::Hub;
use super::effect::{Effect, MemberId};
use super::limits::MAX_UNSETTLED_MESSAGES;
use super::member::Member;
use super::slot::Position;
use super::unsettled::Index;
use crate::pulsar::Message;

/// Room that is made for a run at once, as large as a push window. A producer's word for how many messages its batches hold
/// is no reason to make more.
const RUN_EXPECTED: usize = 1000;

impl Hub {
    /// Gives out what is there, until it is gone or no member has window left.
    pub(super) fn deliver(&mut self, now_ms: u64, out: &mut Vec<Effect>) {
        if self.is_failover() {
            return self.deliver_to_active(now_ms, out);
        }
        let waiting = self.waiting_messages();
        let fair = waiting.div_ceil(self.members.in_line().max(1));
        while self.waiting_messages() > 0
            && !self.portion.is_full()
            && let Some((member, open)) = self.members.next_turn()
        {
            let open = match self.is_limited() {
                true => self.members.allowed(member, open),
                false => open,
            };
            if open == 0 {
                continue;
            }
            let most = fair.max(self.members.run_of(member));
            let messages = self.take_run(now_ms, member, most.min(open as usize), out);
            if messages.is_empty() {
                self.members.return_turn(member);
                return;
            }
            self.give(member, messages, out);
        }
    }

    /// What was handed over goes out.
    pub(super) fn give(&mut self, member: MemberId, messages: Vec<Message>, out: &mut Vec<Effect>) {
        if messages.is_empty() {
            return;
        }
        self.stats.delivered += messages.len() as u64;
        let charge = messages.len() as u32;
        self.members.change(member, |m| m.charge(charge));
        self.members.watch_timeout(member);
        out.push(Effect::Deliver { member, messages });
    }

    /// When what waits is given out further, where its portion was full.
    pub(super) fn goes_on_ms(&self) -> Option<u64> {
        let is_left = self.portion.is_full() && self.waiting_messages() > 0;
        is_left.then(|| self.portion.next_ms())
    }

    /// As far as entries say how many messages they hold.
    pub(super) fn waiting_messages(&self) -> usize {
        self.waiting_in_slots + self.passed_on.len()
    }

    fn take_run(
        &mut self,
        now_ms: u64,
        member: MemberId,
        most: usize,
        out: &mut Vec<Effect>,
    ) -> Vec<Message> {
        let expected = most.min(self.waiting_messages());
        let mut run = Vec::with_capacity(expected.min(RUN_EXPECTED));
        let mut before_gaps = 0;
        while before_gaps + run.len() < most
            && !self.portion.is_full()
            && let Some((slot, message)) = self.next_message(now_ms)
        {
            if let Some(gap) = self.gap.take()
                && self.is_reader()
            {
                before_gaps += run.len();
                self.give(member, std::mem::take(&mut run), out);
                out.push(Effect::Gap { member, gap });
            }
            if self.is_dead_for(member, slot, &message) {
                self.bury(member, position(slot, &message), &message, out);
                continue;
            }
            self.hand_over(now_ms, member, slot, &message);
            run.push(message);
        }
        run
    }

    /// And the slot that it is of.
    fn next_message(&mut self, now_ms: u64) -> Option<(usize, Message)> {
        while let Some((position, message)) = self.passed_on.pop_first() {
            if self.is_queued(&position) {
                return Some((position.slot as usize, message));
            }
        }
        let slots = self.slots.len();
        for _ in 0..slots {
            let slot = self.next_slot;
            if let Some(message) = self.next_of_slot(now_ms, slot) {
                return Some((slot, message));
            }
            self.next_slot = (self.next_slot + 1) % slots;
        }
        None
    }

    /// One entry is given out in one piece; then it is the next slot's turn.
    pub(super) fn next_of_slot(&mut self, now_ms: u64, slot: usize) -> Option<Message> {
        loop {
            while let Some(message) = self.slots[slot].opened.pop_front() {
                let state = &mut self.slots[slot];
                state.waiting -= 1;
                self.waiting_in_slots -= 1;
                if state.opened.is_empty() {
                    self.retained_bytes -= std::mem::take(&mut state.opened_bytes);
                    self.next_slot = (slot + 1) % self.slots.len();
                    self.given_out(now_ms, slot, (message.id.ledger, message.id.entry));
                }
                if !self.is_acked_upstream(slot) || self.is_queued(&position(slot, &message)) {
                    return Some(message);
                }
            }
            if !self.open_next(now_ms, slot) {
                return None;
            }
        }
    }

    /// It may have been acked while it waited.
    fn is_queued(&self, position: &Position) -> bool {
        let entry = self.slots[position.slot as usize]
            .entries
            .get(&position.key());
        entry.and_then(|entry| entry.get(position.index)) == Some(Index::Queued)
    }

    pub(super) fn hand_over(
        &mut self,
        now_ms: u64,
        member: MemberId,
        slot: usize,
        message: &Message,
    ) {
        self.portion
            .give(message.metadata.len() + message.payload.len());
        if !self.is_acked_upstream(slot) {
            if !self.is_reader() {
                self.members.change(member, |m| m.let_pass(now_ms));
            }
            return;
        }
        let position = position(slot, message);
        let may_die = self.may_die_with(member, slot, message);
        if may_die {
            self.charge_kept(&position, message);
        }
        let kept = (self.passes_on(slot) || may_die).then(|| message.unpinned());
        if let Some(entry) = self.slots[slot].entries.get_mut(&position.key()) {
            entry.set(position.index, Index::Held(member));
        }
        self.held += 1;
        self.members
            .change(member, |m| m.hold(now_ms, position, kept));
        if self.held > MAX_UNSETTLED_MESSAGES && !self.may_pass_on() {
            self.let_go_of_oldest(member);
        }
    }

    /// More is held than can be followed: it may be settled by another way. What is not, the broker has still, and gives
    /// out when the member has left, or is lost.
    fn let_go_of_oldest(&mut self, member: MemberId) {
        let held = self.members.get(member).map(|m| &m.held);
        let oldest = held.and_then(|held| held.first_key_value());
        if let Some(position) = oldest.map(|(position, _)| *position) {
            let slot = position.slot as usize;
            self.take_back(slot, position.key(), position.index, Index::Absent);
            self.make_dormant(slot, position.key());
        }
    }

    /// The member has left: the others get what it held, before anything else and in order.
    pub(super) fn pass_on(&mut self, left: Member) {
        for (position, held) in left.held {
            self.held -= 1;
            let slot = &mut self.slots[position.slot as usize];
            if let Some(message) = held.message
                && let Some(entry) = slot.entries.get_mut(&position.key())
            {
                entry.set(position.index, Index::Queued);
                self.passed_on.insert(position, message);
                self.stats.passed_on += 1;
            }
        }
    }
}

fn position(slot: usize, message: &Message) -> Position {
    Position {
        slot: slot as u32,
        ledger: message.id.ledger,
        entry: message.id.entry,
        index: message.id.batch_index,
    }
}
