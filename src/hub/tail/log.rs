//! One shard's ring of a tail's frames. Sockets are numbers in it; it does not know them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::batch::Batch;
use super::point::Points;

#[derive(Debug)]
pub struct FrameLog {
    /// Each with the number of its first frame.
    batches: VecDeque<(u64, Arc<Batch>)>,
    /// The number that the next frame will have.
    next: u64,
    /// What lies before the first frame that is still here.
    base: Points,
    /// What lies before `next`.
    head: Points,
    memory_bytes: usize,
}

/// A batch that has left the log, and what lay before it.
#[derive(Debug)]
pub struct Evicted {
    pub first: u64,
    pub before: Points,
    batch: Arc<Batch>,
}

/// Frames that are due to a socket: pieces of bytes to be sent behind each other.
#[derive(Debug)]
pub struct Run<'log> {
    pub pieces: Vec<&'log [u8]>,
    pub bytes: usize,
}

impl FrameLog {
    /// A log that begins behind these points.
    pub fn new(base: Points) -> FrameLog {
        FrameLog {
            batches: VecDeque::new(),
            next: 0,
            head: base.clone(),
            base,
            memory_bytes: 0,
        }
    }

    pub fn push(&mut self, batch: Arc<Batch>) {
        for frame in 0..batch.len() {
            if let Some((partition, point)) = batch.place_of(frame) {
                self.head.set(partition, point);
            }
        }
        self.memory_bytes += batch.memory_bytes();
        let first = self.next;
        self.next += batch.len() as u64;
        self.batches.push_back((first, batch));
    }

    /// Drops the oldest batch, unless it is the only one.
    pub fn evict(&mut self) -> Option<Evicted> {
        if self.batches.len() < 2 {
            return None;
        }
        let (first, batch) = self.batches.pop_front()?;
        self.memory_bytes -= batch.memory_bytes();
        let before = self.base.clone();
        for frame in 0..batch.len() {
            if let Some((partition, point)) = batch.place_of(frame) {
                self.base.set(partition, point);
            }
        }
        Some(Evicted {
            first,
            before,
            batch,
        })
    }

    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// The number of the oldest frame that is still here; the next one's when there is none.
    pub fn first(&self) -> u64 {
        self.batches.front().map_or(self.next, |(first, _)| *first)
    }

    /// The number that the next frame will have.
    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn base(&self) -> &Points {
        &self.base
    }

    pub fn head(&self) -> &Points {
        &self.head
    }

    /// The first frame from `number` on that does not already lie behind `seen`.
    pub fn skip_seen(&self, mut number: u64, seen: &Points) -> u64 {
        while let Some((partition, point)) = self.place_of(number)
            && seen.cover(partition, &point)
        {
            number += 1;
        }
        number
    }

    /// Frames from `number` on, at most so many frames, and no more bytes than that unless one frame alone has more.
    /// With `seen`, up to the first frame that lies behind it.
    pub fn run(
        &self,
        number: u64,
        frames_max: u64,
        bytes_max: usize,
        seen: Option<&Points>,
    ) -> Run<'_> {
        let mut run = Run {
            pieces: Vec::new(),
            bytes: 0,
        };
        let end = self.next.min(number.saturating_add(frames_max));
        let mut at = number;
        while at < end
            && run.bytes < bytes_max
            && let Some((index, frame)) = self.find(at)
        {
            let batch = &self.batches[index].1;
            let wanted = batch.len().min(frame + (end - at) as usize);
            let from = batch.start_of(frame);
            let mut last = frame;
            while last < wanted
                && (run.bytes == 0 && last == frame
                    || run.bytes + batch.start_of(last + 1) - from <= bytes_max)
                && !is_seen(batch, last, seen)
            {
                last += 1;
            }
            if last == frame {
                break;
            }
            let piece = &batch.bytes()[from..batch.start_of(last)];
            run.bytes += piece.len();
            run.pieces.push(piece);
            at += (last - frame) as u64;
            if last < wanted {
                break;
            }
        }
        run
    }

    /// After `sent` bytes from the start of frame `number`: the number of the next frame, and what is left of
    /// the one that was begun, which counts as gone.
    pub fn advance(&self, number: u64, mut sent: usize) -> (u64, &[u8]) {
        let mut at = number;
        while sent > 0
            && let Some((index, frame)) = self.find(at)
        {
            let batch = &self.batches[index].1;
            let from = batch.start_of(frame);
            let rest = batch.bytes().len() - from;
            if sent >= rest {
                sent -= rest;
                at += (batch.len() - frame) as u64;
                continue;
            }
            let mut last = frame;
            while batch.start_of(last + 1) - from <= sent {
                last += 1;
            }
            at += (last - frame) as u64;
            let begun = from + sent;
            return match begun == batch.start_of(last) {
                true => (at, &[]),
                false => (at + 1, &batch.bytes()[begun..batch.start_of(last + 1)]),
            };
        }
        (at, &[])
    }

    /// The number after this frame, and the frame.
    pub fn frame(&self, number: u64) -> (u64, &[u8]) {
        match self.find(number) {
            Some((index, frame)) => {
                let batch = &self.batches[index].1;
                let bytes = &batch.bytes()[batch.start_of(frame)..batch.start_of(frame + 1)];
                (number + 1, bytes)
            }
            None => (number, &[]),
        }
    }

    fn place_of(&self, number: u64) -> Option<(usize, super::Point)> {
        let (index, frame) = self.find(number)?;
        self.batches[index].1.place_of(frame)
    }

    /// The batch that has the frame, and which of its frames it is.
    fn find(&self, number: u64) -> Option<(usize, usize)> {
        if number < self.first() || number >= self.next {
            return None;
        }
        // Most sockets are at the end.
        let last = self.batches.len() - 1;
        let index = match self.batches[last].0 <= number {
            true => last,
            false => self.batches.partition_point(|(first, _)| *first <= number) - 1,
        };
        Some((index, (number - self.batches[index].0) as usize))
    }
}

fn is_seen(batch: &Batch, frame: usize, seen: Option<&Points>) -> bool {
    let place = seen.and_then(|seen| Some((seen, batch.place_of(frame)?)));
    place.is_some_and(|(seen, (partition, point))| seen.cover(partition, &point))
}

impl Evicted {
    /// The number of the first frame behind it.
    pub fn end(&self) -> u64 {
        self.first + self.batch.len() as u64
    }

    /// What lies behind a socket whose next frame is this one of the batch.
    pub fn points_at(&self, number: u64) -> Points {
        let mut points = self.before.clone();
        for frame in 0..number.saturating_sub(self.first) as usize {
            if let Some((partition, point)) = self.batch.place_of(frame) {
                points.set(partition, point);
            }
        }
        points
    }
}
