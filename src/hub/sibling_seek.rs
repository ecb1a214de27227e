//! A seek on one of several hubs of a subscription: the broker moves all of them, and the others hear of it here.
//!
//! They do as the one that was asked: from its beginning to its end they pause, and what they knew is forgotten. Their
//! own connections tell them only that the broker has closed them in order, after which they would ack again what the
//! seek is to replay, and keep back what they hold.

use super::Hub;
use super::effect::{Effect, SeekStage, SiblingSeek};
use super::seek::Seeking;
use crate::pulsar::client::SeekTarget;
use crate::pulsar::topics::split_partition;

impl Hub {
    pub(super) fn tell_siblings(
        &self,
        slot: usize,
        target: SeekTarget,
        stage: SeekStage,
        out: &mut Vec<Effect>,
    ) {
        out.push(Effect::TellSiblings(Box::new(SiblingSeek {
            topic: self.slot_topic(slot),
            target,
            stage,
        })));
    }

    /// This hub ends before its seek does. The broker was told, and most likely does it.
    pub(super) fn leave_seek(&mut self, out: &mut Vec<Effect>) {
        if let Some(Seeking { target, left, .. }) = self.seeking.take() {
            for slot in left {
                self.tell_siblings(slot, target, SeekStage::Moved, out);
            }
        }
    }

    /// Another hub's seek has begun or ended.
    pub(super) fn seek_by_other(&mut self, seek: &SiblingSeek) {
        let Some(slot) = self.slot_named(&seek.topic) else {
            return;
        };
        if seek.stage == SeekStage::Begun {
            return self.moved_by_others.push(slot);
        }
        let mut moved = self.moved_by_others.iter();
        let Some(place) = moved.position(|moved| *moved == slot) else {
            // Its consumer came after the beginning.
            return;
        };
        self.moved_by_others.swap_remove(place);
        if seek.stage == SeekStage::Moved {
            self.begin_slot_anew(slot, seek.target);
        }
    }

    /// The slot whose upstream consumer is on this topic or partition.
    fn slot_named(&self, topic: &str) -> Option<usize> {
        let slot = |name, partition| self.topics[self.topic_at(name)?].slot(partition);
        let (name, partition) = split_partition(topic);
        // A client may name one partition of a topic.
        slot(topic, -1).or_else(|| slot(name, partition))
    }
}
