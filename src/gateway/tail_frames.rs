//! Frames into the logs of tails, and out of them again where they are beyond their bounds.

use std::collections::VecDeque;
use std::sync::Arc;

use super::post::{Post, SocketId};
use super::shard::Shard;
use super::sockets::{Role, Sockets};
use super::tail_sends::BYTES_PER_SEND;
use super::tails::{LocalTail, Tails};
use crate::hub::tail::feeder::MESSAGES_PER_REPORT;
use crate::hub::tail::{Batch, FrameLog};
use crate::ws::{Deflater, Window};

impl Tails {
    /// Compresses what a run of so many frames from this one on lacks of it, as far as there is time in this turn.
    pub(super) fn compress(
        &mut self,
        tail: usize,
        next: u64,
        frames_max: u64,
        deflater: &mut Deflater,
    ) {
        let log = self.local.get_mut(tail).and_then(|tail| tail.log.as_mut());
        let Some(log) = log else { return };
        let before_bytes = log.memory_bytes();
        log.compress(next, frames_max, BYTES_PER_SEND, &mut |frame, out| {
            let has_time = !deflater.is_spent();
            if has_time {
                deflater.append(frame, Window::FULL, out);
            }
            has_time
        });
        if log.memory_bytes() != before_bytes {
            self.memory_bytes = self.memory_bytes - before_bytes + log.memory_bytes();
            self.grown.push(tail);
        }
    }

    /// A log that is at least as large as this one and has a batch to drop: looked for anew only when the last one found is
    /// smaller, so that each step does not look at them all.
    fn largest(&mut self, tail: usize) -> Option<usize> {
        let droppable = |tail: &LocalTail| {
            let log = tail.log.as_ref().filter(|log| log.can_evict())?;
            Some(log.memory_bytes())
        };
        let bytes = self.local.get(self.largest).and_then(droppable);
        let least = self.log(tail).map(FrameLog::memory_bytes);
        if bytes.is_none() || bytes < least {
            let all = self.local.iter();
            let all = all.filter_map(|(at, tail)| Some((droppable(tail)?, at)));
            self.largest = all.max()?.1;
        }
        Some(self.largest)
    }
}

impl Shard {
    /// New frames: into the log, and every reader is due.
    pub fn tail_frames(&mut self, now_ms: u64, joining: u64, batch: Arc<Batch>) {
        let Some(tail) = self.tails.by_joining.get(&joining).copied() else {
            return;
        };
        let local = &mut self.tails.local[tail];
        let (Some(log), Some(feeder)) = (&mut local.log, local.feeder) else {
            return;
        };
        local.untold += batch.len() as u32;
        self.tails.memory_bytes += batch.memory_bytes();
        log.push(batch);
        if local.untold >= MESSAGES_PER_REPORT {
            let (home, shard) = (local.home, self.index);
            let messages = std::mem::take(&mut local.untold);
            self.post(
                home,
                Post::TailTaken {
                    feeder,
                    shard,
                    joining,
                    messages,
                },
            );
        }
        self.evict(now_ms, tail);
        let Some(local) = self.tails.local.get(tail) else {
            return;
        };
        for id in &local.readers {
            mark_due(&mut self.sockets, &mut self.tails.due, *id);
        }
    }

    /// Drops the oldest frames beyond the bounds: of the tail that has grown beyond its own, of the largest beyond that of all.
    pub(super) fn evict(&mut self, now_ms: u64, grown: usize) {
        let topic_bytes_max = self.config.tail_log_bytes;
        let shard_bytes_max = self.config.tail_logs_bytes / self.shards();
        while let Some(log) = self.tails.log(grown) {
            let from = if log.memory_bytes() > topic_bytes_max && log.can_evict() {
                Some(grown)
            } else if self.tails.memory_bytes > shard_bytes_max {
                self.tails.largest(grown)
            } else {
                None
            };
            let Some(from) = from else { return };
            self.evict_from(now_ms, from);
        }
    }

    /// Drops a log's oldest batch. Readers that have not got its frames fall off.
    fn evict_from(&mut self, now_ms: u64, tail: usize) {
        let local = &mut self.tails.local[tail];
        let Some(log) = &mut local.log else { return };
        let before_bytes = log.memory_bytes();
        let Some(evicted) = log.evict() else { return };
        self.tails.memory_bytes -= before_bytes - log.memory_bytes();
        local.gap = local.gap.filter(|(number, _)| *number >= log.first());
        if local.lowest >= log.first() {
            return;
        }
        let mut lowest = log.next();
        for id in local.readers.clone() {
            let Some(reading) = self.reading(id) else {
                continue;
            };
            if reading.fall(&evicted) {
                self.reader_fell_off(now_ms, id);
            }
            if let Some(next) = self.reading(id).and_then(|reading| reading.next()) {
                lowest = lowest.min(next);
            }
        }
        // With its last reader, whom a gap has closed, it is gone.
        if let Some(local) = self.tails.local.get_mut(tail) {
            local.lowest = lowest;
        }
    }

    /// A reader begins at this number of its log.
    pub fn note_lowest(&mut self, tail: Option<usize>, number: u64) {
        if let Some(local) = tail.and_then(|tail| self.tails.local.get_mut(tail)) {
            local.lowest = local.lowest.min(number);
        }
    }
}

/// The reader stands in line to be sent to.
pub(super) fn mark_due(sockets: &mut Sockets, due: &mut VecDeque<SocketId>, id: SocketId) {
    if let Some(entry) = sockets.get(id)
        && let Role::Reader(reader) = &mut entry.role
        && !reader.due
        && !reader.stalled
    {
        reader.due = true;
        due.push_back(id);
    }
}
