//! Frames that came together from the broker: encoded once, behind each other, shared by refcount with every shard.

use super::point::{Begun, Point};
use crate::pulsar::MessageId;

/// Frames of a topic in the order in which every socket gets them. Never empty once it is posted.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    /// Of the frames behind which some message is incomplete: where the oldest of these begins.
    begun: Vec<(usize, Begun)>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Where it ends in `bytes`.
    end: usize,
    partition: usize,
    point: Point,
}

impl Batch {
    pub fn with_capacity(bytes: usize, frames: usize) -> Batch {
        Batch {
            bytes: Vec::with_capacity(bytes),
            frames: Vec::with_capacity(frames),
            begun: Vec::new(),
        }
    }

    /// Appends one message's frame, which `encode` writes to the end of what it is given. `partition`: its place in
    /// [`Points`](super::Points).
    pub fn push(&mut self, partition: usize, id: &MessageId, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        self.frames.push(Frame {
            end: self.bytes.len(),
            partition,
            point: Point::behind(id),
        });
    }

    /// Behind the frame that was appended last some message is incomplete, which begins here.
    pub fn note_begun(&mut self, begun: Begun) {
        if let Some(last) = self.frames.len().checked_sub(1) {
            self.begun.push((last, begun));
        }
    }

    pub fn len(&self) -> usize {
        self.frames.len()
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// What it holds in memory.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity()
            + self.frames.capacity() * size_of::<Frame>()
            + self.begun.capacity() * size_of::<(usize, Begun)>()
            + size_of::<Batch>()
    }

    /// Where a frame begins in [`Batch::bytes`]; the number of frames: the end.
    pub fn start_of(&self, frame: usize) -> usize {
        match frame.checked_sub(1) {
            Some(before) => self.frames.get(before).map_or(self.bytes.len(), |f| f.end),
            None => 0,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is incomplete behind a frame.
    pub fn begun_behind(&self, frame: usize) -> Option<Begun> {
        let at = self
            .begun
            .binary_search_by_key(&frame, |(of, _)| *of)
            .ok()?;
        Some(self.begun[at].1)
    }

    /// Partition and point of a frame.
    pub fn place_of(&self, frame: usize) -> Option<(usize, Point)> {
        let frame = self.frames.get(frame)?;
        Some((frame.partition, frame.point))
    }
}
