//! Moving the subscription: `seek` commands, and a hub that begins at a publish time.
//!
//! The broker closes the consumers of a slot, moves its cursor and answers; then they come back. From the command to the
//! answers nothing is delivered, asked for, acked or redelivered; then everything that was known of the slot is forgotten,
//! whoever held it. So a client that waits for the answer gets what lies before it from the old place, and what follows
//! from the new one.

use std::collections::BTreeSet;

use super::Hub;
use super::chunks::Chunks;
use super::effect::{CommandRefused, Effect, SeekStage};
use super::lifecycle::Phase;
use super::requests::RequestNumber;
use super::slot::{Link, Slot};
use crate::pulsar::client::{SeekTarget, StartPosition, Tag};
use crate::pulsar::{BrokerError, ErrorKind, Message};

/// A seek on its way.
#[derive(Debug)]
pub(super) struct Seeking {
    /// None: the hub's own, before it opens.
    number: Option<RequestNumber>,
    pub target: SeekTarget,
    tag: Tag,
    /// Slots that have not answered.
    pub left: BTreeSet<usize>,
    error: Option<BrokerError>,
}

impl Hub {
    /// A member's command. A message id moves its own partition, everything else all of them.
    pub(super) fn seek(
        &mut self,
        number: RequestNumber,
        target: SeekTarget,
        out: &mut Vec<Effect>,
    ) {
        let under_way = self.seeking.is_some() || !self.moved_by_others.is_empty();
        if under_way || self.unsubscribing.is_some() {
            let text = "Another seek or unsubscribe is under way";
            return self.refuse(number, text, out);
        }
        let slots: BTreeSet<usize> = match target {
            SeekTarget::Message(id) => self.slot_of(&id).into_iter().collect(),
            _ => (0..self.slots.len()).collect(),
        };
        let slots: BTreeSet<usize> = slots
            .into_iter()
            .filter(|slot| self.slots[*slot].persistent && self.slots[*slot].link != Link::Closed)
            .collect();
        if slots.is_empty() {
            let text = "There is nothing to seek in: no such partition, or a non-persistent topic";
            return self.refuse(number, text, out);
        }
        if slots.iter().any(|slot| !self.slots[*slot].is_up()) {
            let error = BrokerError {
                kind: ErrorKind::Retryable,
                message: "The subscription is not connected to its broker; try again".to_owned(),
            };
            return self.answer(number, Err(CommandRefused::Broker(error)), out);
        }
        self.begin_seek(Some(number), target, slots, out);
    }

    fn begin_seek(
        &mut self,
        number: Option<RequestNumber>,
        target: SeekTarget,
        slots: BTreeSet<usize>,
        out: &mut Vec<Effect>,
    ) {
        self.send_all_acks(out);
        for slot in slots.iter().filter(|_| number.is_some()) {
            self.tell_siblings(*slot, target, SeekStage::Begun, out);
        }
        self.next_tag += 1;
        let tag = self.next_tag;
        out.extend(slots.iter().map(|slot| Effect::Seek {
            slot: *slot,
            tag,
            target,
        }));
        self.seeking = Some(Seeking {
            number,
            target,
            tag,
            left: slots,
            error: None,
        });
    }

    /// All slots are ready for the first time. True: the hub opens when they are where it is to begin.
    pub(super) fn seeks_its_start(&mut self, out: &mut Vec<Effect>) -> bool {
        if self.seeking.is_some() {
            return true;
        }
        let slots: BTreeSet<usize> = (0..self.slots.len())
            .filter(|slot| self.slots[*slot].is_up() && self.slots[*slot].persistent)
            .collect();
        match self.spec.start_time_ms {
            Some(time_ms) if !self.started && !slots.is_empty() => {
                self.started = true;
                self.begin_seek(None, SeekTarget::PublishTime(time_ms), slots, out);
                true
            }
            _ => false,
        }
    }

    pub(super) fn sought(
        &mut self,
        slot: usize,
        tag: Tag,
        result: Result<(), BrokerError>,
        out: &mut Vec<Effect>,
    ) {
        let of_this = |seeking: &&mut Seeking| seeking.tag == tag && seeking.left.contains(&slot);
        let Some(seeking) = self.seeking.as_mut().filter(of_this) else {
            return;
        };
        seeking.left.remove(&slot);
        let (target, number) = (seeking.target, seeking.number);
        let stage = match result {
            Ok(()) => {
                self.begin_slot_anew(slot, target);
                SeekStage::Moved
            }
            Err(error) => {
                seeking.error.get_or_insert(error);
                SeekStage::Refused
            }
        };
        if number.is_some() {
            self.tell_siblings(slot, target, stage, out);
        }
        self.end_seek(out);
    }

    /// The slot is gone, and so is its answer.
    pub(super) fn seek_without(&mut self, slot: usize, out: &mut Vec<Effect>) {
        if let Some(seeking) = &mut self.seeking {
            let (target, number) = (seeking.target, seeking.number);
            // The broker was told, and most likely does it.
            if seeking.left.remove(&slot) && number.is_some() {
                self.tell_siblings(slot, target, SeekStage::Moved, out);
            }
            self.end_seek(out);
        }
        self.moved_by_others.retain(|moved| *moved != slot);
    }

    /// Once all have answered.
    fn end_seek(&mut self, out: &mut Vec<Effect>) {
        let Some(ended) = self.seeking.take_if(|seeking| seeking.left.is_empty()) else {
            return;
        };
        match (ended.number, ended.error) {
            (Some(number), None) => self.answer(number, Ok(()), out),
            (Some(number), Some(error)) => {
                self.answer(number, Err(CommandRefused::Broker(error)), out);
            }
            (None, None) => self.opened_if_ready(out),
            (None, Some(error)) => self.fail(&error, None, out),
        }
    }

    /// Everything of the slot comes anew, from the target on.
    pub(super) fn begin_slot_anew(&mut self, slot: usize, target: SeekTarget) {
        self.slots[slot].gone_by = None;
        for key in self.take_all_back(slot) {
            self.forget_entry(slot, key);
        }
        self.partials.forget_slot(slot);
        let is_reader = self.is_reader();
        let state = &mut self.slots[slot];
        state.acked.clear();
        state.gathering = Default::default();
        state.chunks = Chunks::default();
        state.read_up_to = None;
        state.furthest = None;
        state.end_of_topic = false;
        if is_reader {
            state.start = Some(start_of(target));
        }
        state.not_before_ms = None;
        state.moved_to_ms = match target {
            SeekTarget::PublishTime(time_ms) if !self.spec.durable => Some(time_ms),
            _ => None,
        };
    }
}

/// Where a reader begins that has been moved there.
fn start_of(target: SeekTarget) -> StartPosition {
    match target {
        SeekTarget::Earliest | SeekTarget::PublishTime(_) => StartPosition::Earliest,
        SeekTarget::Latest => StartPosition::Latest,
        SeekTarget::Message(id) => StartPosition::at(id),
    }
}

impl Slot {
    /// A cursor that does not outlive its connection begins at the front after a seek to a time, if it is lost before it has
    /// given anything: what is older is skipped then, up to the first message that is not.
    pub(super) fn skip_older(&mut self, messages: &mut Vec<Message>) {
        self.moved_to_ms = None;
        let Some(time_ms) = self.not_before_ms else {
            return;
        };
        let first = messages.iter().position(|m| m.publish_time_ms >= time_ms);
        match first {
            None => messages.clear(),
            Some(first) => {
                messages.drain(..first);
                self.not_before_ms = None;
            }
        }
    }
}

impl Hub {
    /// Nothing goes either way meanwhile.
    pub(super) fn is_seeking(&self) -> bool {
        (self.seeking.is_some() || !self.moved_by_others.is_empty()) && self.phase == Phase::Open
    }
}
