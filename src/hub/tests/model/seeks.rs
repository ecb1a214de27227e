//! Seeks to the beginning, by a member and by one of another hub of the subscription; and cumulative acks.

use super::*;
use crate::pulsar::client::SeekTarget;

impl Model {
    pub(super) fn is_moving(&self) -> bool {
        !self.sought_by_others.is_empty() || self.wires.iter().any(|wire| wire.sought.is_some())
    }

    fn may_seek(&self) -> bool {
        let lost = |event: &Upstream| matches!(event, Upstream::Lost { .. });
        let mut wires = self.wires.iter();
        !self.is_reader
            && !self.finished
            && !self.is_moving()
            && self.brokers.iter().all(|broker| broker.connected)
            && !wires.any(|wire| wire.to_hub.iter().any(lost))
    }

    pub(super) fn seek(&mut self) {
        let Some(member) = self.some_member().filter(|_| self.may_seek()) else {
            return;
        };
        let command = Command::Seek(SeekTarget::Earliest);
        self.call(|hub, now_ms, out| hub.command(now_ms, member, command, out));
    }

    /// The broker has moved and tells it in the one order or the other.
    pub(super) fn broker_seeks(&mut self, slot: usize, tag: u64) {
        self.brokers[slot].reset();
        let result = Ok(());
        let lost_first = self.rng.bool();
        let mut told = [
            Upstream::Sought { tag, result },
            Upstream::Lost { abrupt: false },
        ];
        if lost_first {
            told.reverse();
        }
        self.wires[slot].to_hub.extend(told);
    }

    pub(super) fn seek_by_other(&mut self) {
        if self.kind != SubscriptionType::Shared || !self.may_seek() {
            return;
        }
        for slot in 0..self.wires.len() {
            self.hear_seek(slot, SeekStage::Begun);
            self.brokers[slot].reset();
            let lost = Upstream::Lost { abrupt: false };
            self.wires[slot].to_hub.push_back(lost);
            self.sought_by_others.push(slot);
        }
    }

    pub(super) fn end_seek_by_other(&mut self) {
        if let Some(slot) = self.sought_by_others.pop() {
            self.moved(slot);
            self.hear_seek(slot, SeekStage::Moved);
        }
    }

    fn hear_seek(&mut self, slot: usize, stage: SeekStage) {
        let topic = match self.wires.len() {
            1 => TOPIC.to_owned(),
            _ => format!("{TOPIC}-partition-{slot}"),
        };
        let target = SeekTarget::Earliest;
        let heard = Input::SeekByOther(Box::new(SiblingSeek {
            topic,
            target,
            stage,
        }));
        self.call(|hub, now_ms, out| hub.run(now_ms, [heard], &mut Vec::new(), out));
    }

    /// The hub hears that the partition begins anew: whatever became of its messages.
    pub(super) fn moved(&mut self, slot: usize) {
        self.wires[slot].last = None;
        self.counts.expect_nothing_of(slot);
        let of_slot = (slot, 0, i32::MIN)..(slot + 1, 0, i32::MIN);
        let keys: Vec<Key> = self.fates.range(of_slot).map(|(key, _)| *key).collect();
        for key in keys {
            self.take_back(MemberId(0), key, Fate::Free);
        }
    }

    /// Of something that is held, and all before it.
    pub(super) fn ack_cumulative(&mut self) {
        if !self.in_order() || self.is_reader {
            return;
        }
        let Some((key, member)) = self.some_held() else {
            return;
        };
        let upto = (key.0, 0, i32::MIN)..=key;
        let keys: Vec<Key> = self.fates.range(upto).map(|(key, _)| *key).collect();
        for key in keys {
            self.take_back(member, key, Fate::Acked);
        }
        let command = Command::AckCumulative(self.id(key));
        self.call(|hub, now_ms, out| hub.command(now_ms, member, command, out));
    }
}
