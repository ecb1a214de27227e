//! One shard's ring of a tail's frames. Sockets are numbers in it; it does not know them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::batch::Batch;
use super::point::{Point, Points};
use super::stored::{Form, Stored};

/// Batches that one send takes pieces of: what a socket's send looks at.
const PIECES_PER_RUN: usize = 64;

/// Partitions of which a socket that fell off is told what it lacked first. All sockets of a topic may fall off with one
/// batch, and each looks through it: what goes from a topic goes from most of its partitions at once.
const PARTITIONS_WATCHED: usize = 16;

#[derive(Debug)]
pub struct FrameLog {
    batches: VecDeque<Stored>,
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
        self.batches.push_back(Stored::new(first, batch));
    }

    /// Whether it has a batch to drop: it keeps its last one.
    pub fn can_evict(&self) -> bool {
        self.batches.len() >= 2
    }

    /// Drops the oldest batch, unless it is the only one.
    pub fn evict(&mut self) -> Option<Evicted> {
        if !self.can_evict() {
            return None;
        }
        let stored = self.batches.pop_front()?;
        self.memory_bytes -= stored.memory_bytes();
        let Stored { first, batch, .. } = stored;
        let before = self.base.clone();
        for frame in 0..batch.len() {
            if let Some((partition, point)) = batch.place_of(frame) {
                self.base
                    .advance(partition, point, batch.begun_behind(frame));
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
        self.batches
            .front()
            .map_or(self.next, |stored| stored.first)
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

    /// Makes sure that a run of so many frames and bytes from `number` on is there in compressed form, as far as
    /// `compress` goes on: it appends one frame to what it is given, or says that it has had enough for now.
    pub fn compress(
        &mut self,
        number: u64,
        frames_max: u64,
        bytes_max: usize,
        compress: &mut dyn FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) {
        let end = self.next.min(number.saturating_add(frames_max));
        let (mut at, mut bytes) = (number, 0);
        while at < end
            && bytes < bytes_max
            && let Some((index, frame)) = self.find(at)
        {
            let stored = &mut self.batches[index];
            let wanted = stored.batch.len().min(frame + (end - at) as usize);
            let before_bytes = stored.memory_bytes();
            let done = stored.compress(wanted, compress);
            self.memory_bytes = self.memory_bytes - before_bytes + stored.memory_bytes();
            if !done {
                return;
            }
            let start = stored.start_of(Form::Compressed, frame);
            bytes += stored.start_of(Form::Compressed, wanted) - start;
            at += (wanted - frame) as u64;
        }
    }

    /// Frames from `number` on, at most so many frames, no more bytes than that unless one frame alone has more, and of
    /// no more batches than one send takes: puts their bytes into `pieces`, to be sent behind each other, and says how
    /// many bytes there are. With `seen`, up to the first frame that lies behind it; compressed, up to the first that is
    /// not yet (see [`FrameLog::compress`]).
    pub fn run<'log>(
        &'log self,
        number: u64,
        frames_max: u64,
        bytes_max: usize,
        seen: Option<&Points>,
        form: Form,
        pieces: &mut Vec<&'log [u8]>,
    ) -> usize {
        let mut bytes = 0;
        let end = self.next.min(number.saturating_add(frames_max));
        let mut at = number;
        while at < end
            && bytes < bytes_max
            && pieces.len() < PIECES_PER_RUN
            && let Some((index, frame)) = self.find(at)
        {
            let stored = &self.batches[index];
            let wanted = stored.len(form).min(frame + (end - at) as usize);
            let from = stored.start_of(form, frame);
            let mut last = frame;
            while last < wanted
                && (bytes == 0 && last == frame
                    || bytes + stored.start_of(form, last + 1) - from <= bytes_max)
                && !is_seen(&stored.batch, last, seen)
            {
                last += 1;
            }
            if last == frame {
                break;
            }
            let piece = &stored.bytes(form)[from..stored.start_of(form, last)];
            bytes += piece.len();
            pieces.push(piece);
            at += (last - frame) as u64;
            if last < wanted {
                break;
            }
        }
        bytes
    }

    /// After `sent` bytes of a run in this form from frame `number` on: the number of the next frame, and what is left
    /// of the one that was begun, which counts as gone.
    pub fn advance(&self, number: u64, mut sent: usize, form: Form) -> (u64, Bytes) {
        let mut at = number;
        while sent > 0
            && let Some((index, frame)) = self.find(at)
        {
            let stored = &self.batches[index];
            let from = stored.start_of(form, frame);
            let rest = stored.bytes(form).len() - from;
            if sent >= rest {
                sent -= rest;
                at += (stored.len(form) - frame) as u64;
                continue;
            }
            let mut last = frame;
            while stored.start_of(form, last + 1) - from <= sent {
                last += 1;
            }
            at += (last - frame) as u64;
            let begun = from + sent;
            let left_out = begun - stored.start_of(form, last);
            return match left_out {
                0 => (at, Bytes::new()),
                _ => (at + 1, stored.end_of(form, last, left_out)),
            };
        }
        (at, Bytes::new())
    }

    /// The number after this frame, and the frame, which is there in this form.
    pub fn frame(&self, number: u64, form: Form) -> (u64, Bytes) {
        match self.find(number) {
            Some((index, frame)) => (number + 1, self.batches[index].end_of(form, frame, 0)),
            None => (number, Bytes::new()),
        }
    }

    fn place_of(&self, number: u64) -> Option<(usize, Point)> {
        let (index, frame) = self.find(number)?;
        self.batches[index].batch.place_of(frame)
    }

    /// The batch that has the frame, and which of its frames it is.
    fn find(&self, number: u64) -> Option<(usize, usize)> {
        if number < self.first() || number >= self.next {
            return None;
        }
        // Most sockets are at the end.
        let last = self.batches.len() - 1;
        let index = match self.batches[last].first <= number {
            true => last,
            false => self.batches.partition_point(|it| it.first <= number) - 1,
        };
        Some((index, (number - self.batches[index].first) as usize))
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
                points.advance(partition, point, self.batch.begun_behind(frame));
            }
        }
        points
    }

    /// By partition the place of its first frame that a socket behind these points has not had.
    pub fn first_beyond(&self, points: &Points) -> Vec<(usize, Point)> {
        let mut first: Vec<(usize, Point)> = Vec::new();
        let places = (0..self.batch.len()).filter_map(|frame| self.batch.place_of(frame));
        for (partition, point) in places {
            if first.len() == PARTITIONS_WATCHED {
                break;
            }
            if !points.cover(partition, &point) && first.iter().all(|(of, _)| *of != partition) {
                first.push((partition, point));
            }
        }
        first
    }
}
