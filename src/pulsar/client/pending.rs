//! Messages that a producer has taken and the broker has not confirmed, in the order of the sends.

use std::collections::VecDeque;

use bytes::Bytes;
use rustc_hash::FxHashSet;

use super::spec::Tag;
use super::unencoded::Unencoded;
use crate::pulsar::types::BrokerError;

/// What a pending message counts beyond its bytes: its place in the queue, and what the frame's allocation has beyond
/// the frame (the encoder reserves for the longest numbers).
const OVERHEAD_BYTES: usize = size_of::<Pending>() + 256;

#[derive(Debug)]
pub(super) enum Content {
    /// The whole SEND frame, as it goes out and will go out again.
    Frame {
        sequence_id: u64,
        /// Of a batch the last one's, else the same.
        highest_sequence_id: u64,
        frame: Bytes,
    },
    Unencoded(Box<Unencoded>),
    /// Refused by this machine, or by the broker before its turn; it waits for that to be reported.
    Refused(Box<BrokerError>),
    /// The broker has it already and said so before its turn.
    Duplicate,
    /// Sent, and timed out while messages of others go on: nobody waits for its receipt, which may still come.
    GivenUp {
        sequence_id: u64,
        highest_sequence_id: u64,
    },
}

/// Who is answered.
#[derive(Debug)]
pub(super) enum Tags {
    One(Tag),
    /// In the order of the batch.
    Batch(Vec<Tag>),
}

impl Tags {
    /// Of a batch, all have the same: it has one owner.
    fn owner(&self) -> Option<Tag> {
        match self {
            Tags::One(tag) => Some(*tag),
            Tags::Batch(tags) => tags.first().copied(),
        }
    }

    /// Each with its index in the batch, −1 outside one.
    pub fn for_each(&self, mut answer: impl FnMut(i32, Tag)) {
        match self {
            Tags::One(tag) => answer(-1, *tag),
            Tags::Batch(tags) => {
                for (index, tag) in (0..).zip(tags) {
                    answer(index, *tag);
                }
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Pending {
    pub tags: Tags,
    pub created_ms: u64,
    pub content: Content,
}

impl Pending {
    fn is_given_up(&self) -> bool {
        matches!(self.content, Content::GivenUp { .. })
    }

    /// The first and the last one, of what the broker has still to answer.
    fn sequence_ids(&self) -> Option<(u64, u64)> {
        match self.content {
            Content::Frame {
                sequence_id,
                highest_sequence_id,
                ..
            }
            | Content::GivenUp {
                sequence_id,
                highest_sequence_id,
            } => Some((sequence_id, highest_sequence_id)),
            _ => None,
        }
    }

    /// What it is from now on, in a queue that counts `total_bytes`.
    fn turn_into(&mut self, content: Content, total_bytes: &mut usize) {
        *total_bytes -= self.bytes();
        self.content = content;
        *total_bytes += self.bytes();
    }

    pub fn bytes(&self) -> usize {
        let tags = match &self.tags {
            Tags::One(_) => 0,
            Tags::Batch(tags) => tags.len() * size_of::<Tag>(),
        };
        OVERHEAD_BYTES
            + tags
            + match &self.content {
                Content::Frame { frame, .. } => frame.len(),
                Content::Unencoded(message) => message.bytes(),
                Content::Refused(error) => error.message.len(),
                Content::Duplicate | Content::GivenUp { .. } => 0,
            }
    }
}

/// The queue, and the client's sum of all queues kept right with it.
#[derive(Debug, Default)]
pub(super) struct PendingQueue {
    queue: VecDeque<Pending>,
}

impl PendingQueue {
    pub fn push(&mut self, pending: Pending, total_bytes: &mut usize) {
        *total_bytes += pending.bytes();
        self.queue.push_back(pending);
    }

    pub fn front(&self) -> Option<&Pending> {
        self.queue.front()
    }

    pub fn pop(&mut self, total_bytes: &mut usize) -> Option<Pending> {
        let pending = self.queue.pop_front()?;
        *total_bytes -= pending.bytes();
        Some(pending)
    }

    /// The broker answers a duplicate at once, while new messages before it are still being written: it is reported
    /// when its turn comes. False: there is no such message.
    pub fn found_duplicate(&mut self, sequence_id: u64, total_bytes: &mut usize) -> bool {
        let is_it = |first, _| first == sequence_id;
        self.settle(is_it, Content::Duplicate, total_bytes)
    }

    /// The broker refuses a message at once, too. An error names the last of a batch. False: there is no such message.
    pub fn found_refused(
        &mut self,
        highest_sequence_id: u64,
        error: BrokerError,
        total_bytes: &mut usize,
    ) -> bool {
        let is_it = |_, highest| highest == highest_sequence_id;
        self.settle(is_it, Content::Refused(Box::new(error)), total_bytes)
    }

    /// The fate of the first message whose first and last sequence id it is.
    fn settle(
        &mut self,
        is_it: impl Fn(u64, u64) -> bool,
        fate: Content,
        total_bytes: &mut usize,
    ) -> bool {
        let of_that_id = |pending: &&mut Pending| {
            let ids = pending.sequence_ids();
            ids.is_some_and(|(first, highest)| is_it(first, highest))
        };
        let Some(pending) = self.queue.iter_mut().find(of_that_id) else {
            return false;
        };
        pending.turn_into(fate, total_bytes);
        true
    }

    /// Takes the front out if its turn has come: its fate is known.
    pub fn pop_known(
        &mut self,
        total_bytes: &mut usize,
    ) -> Option<(Tags, Result<(), BrokerError>)> {
        if !matches!(
            self.front()?.content,
            Content::Refused(_) | Content::Duplicate
        ) {
            return None;
        }
        let pending = self.pop(total_bytes)?;
        match pending.content {
            Content::Refused(error) => Some((pending.tags, Err(*error))),
            _ => Some((pending.tags, Ok(()))),
        }
    }

    /// The sequence id that the next receipt must carry, and that the next error must: of a batch, the first and
    /// the last one.
    pub fn expected_sequence_ids(&self) -> Option<(u64, u64)> {
        self.front()?.sequence_ids()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// When the oldest came that somebody waits for.
    pub fn oldest_ms(&self) -> Option<u64> {
        let mut awaited = self.queue.iter().filter(|pending| !pending.is_given_up());
        Some(awaited.next()?.created_ms)
    }

    /// Whose oldest message came no later than this.
    pub fn owners_until(&self, created_ms: u64) -> FxHashSet<Tag> {
        let old = self.queue.iter();
        let old = old.take_while(|pending| pending.created_ms <= created_ms);
        old.filter_map(|pending| pending.tags.owner()).collect()
    }

    /// Whether nobody else has a message here.
    pub fn is_of(&self, owners: &FxHashSet<Tag>) -> bool {
        let mut all = self.queue.iter().filter_map(|pending| pending.tags.owner());
        all.all(|owner| owners.contains(&owner))
    }

    /// Takes out what is these owners'. Where they were `sent`, frames leave a place for the receipts that will come.
    pub fn give_up(
        &mut self,
        owners: &FxHashSet<Tag>,
        sent: bool,
        total_bytes: &mut usize,
    ) -> Vec<Pending> {
        let mut given_up = Vec::new();
        for pending in std::mem::take(&mut self.queue) {
            *total_bytes -= pending.bytes();
            let owner = pending.tags.owner();
            if owner.is_none_or(|owner| !owners.contains(&owner)) {
                self.push(pending, total_bytes);
                continue;
            }
            if let Content::Frame {
                sequence_id,
                highest_sequence_id,
                ..
            } = pending.content
                && sent
            {
                let place = Pending {
                    tags: Tags::Batch(Vec::new()),
                    created_ms: pending.created_ms,
                    content: Content::GivenUp {
                        sequence_id,
                        highest_sequence_id,
                    },
                };
                self.push(place, total_bytes);
            }
            given_up.push(pending);
        }
        given_up
    }

    /// On a new connection no receipt comes for what was given up: it is not sent again.
    pub fn forget_given_up(&mut self, total_bytes: &mut usize) {
        self.queue.retain(|pending| {
            let stays = !pending.is_given_up();
            if !stays {
                *total_bytes -= pending.bytes();
            }
            stays
        });
    }

    pub fn frames(&self) -> impl Iterator<Item = &Bytes> {
        self.queue
            .iter()
            .filter_map(|pending| match &pending.content {
                Content::Frame { frame, .. } => Some(frame),
                _ => None,
            })
    }

    /// Frames for which there is an error will be reported with it.
    pub fn refuse_frames(
        &mut self,
        total_bytes: &mut usize,
        refusal: impl Fn(&[u8]) -> Option<BrokerError>,
    ) {
        for pending in &mut self.queue {
            if let Content::Frame { frame, .. } = &pending.content
                && let Some(error) = refusal(frame)
            {
                pending.turn_into(Content::Refused(Box::new(error)), total_bytes);
            }
        }
    }

    /// Replaces what was not encoded yet, in order.
    pub fn encode_all(
        &mut self,
        total_bytes: &mut usize,
        mut encode: impl FnMut(&Unencoded) -> Content,
    ) {
        for pending in &mut self.queue {
            if let Content::Unencoded(message) = &pending.content {
                let content = encode(message);
                pending.turn_into(content, total_bytes);
            }
        }
    }
}
