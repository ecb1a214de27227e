//! This shard's logs of tails: joining and leaving them, and frames in. `tail_sends` takes them out to the sockets.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use slab::Slab;

use super::post::{Post, SocketId, TailKey};
use super::readers::Reader;
use super::shard::Shard;
use super::sockets::Role;
use super::tail_sends::BYTES_PER_SEND;
use crate::api::ReaderParams;
use crate::hub::tail::feeder::MESSAGES_PER_REPORT;
use crate::hub::tail::{Batch, FrameLog, Points};
use crate::hub::{MemberId, Refusal};
use crate::observe::seldom::Seldom;
use crate::pulsar::client::Gap;
use crate::session::reader::Reading;
use crate::ws::{Deflater, Window};

pub struct LocalTail {
    pub(super) key: TailKey,
    pub(super) home: usize,
    pub(super) joining: u64,
    /// None until the home side has opened its upstream.
    log: Option<FrameLog>,
    feeder: Option<MemberId>,
    readers: Vec<SocketId>,
    /// When the broker was last known to let their role in. None: nobody asks.
    pub(super) proven_ms: Option<u64>,
    /// Those who wait for the broker to be asked again.
    pub(super) applicants: Vec<(SocketId, ReaderParams)>,
    /// Messages taken into the log that the home side has not been told of.
    untold: u32,
    /// No reader's next frame has a lower number.
    lowest: u64,
    /// The number of a frame before which something is missing, and not all of whose predecessors have left the log.
    gap: Option<(u64, Gap)>,
}

#[derive(Default)]
pub struct Tails {
    pub(super) local: Slab<LocalTail>,
    pub(super) by_key: FxHashMap<TailKey, usize>,
    pub(super) by_joining: FxHashMap<u64, usize>,
    joinings: u64,
    /// Readers that may be sent something.
    pub(super) due: VecDeque<SocketId>,
    pub(super) sending: bool,
    /// Of all logs.
    memory_bytes: usize,
    /// Where the largest log was when it was last looked for.
    largest: usize,
    /// Logs that compression has made larger since their bounds were last looked at.
    pub(super) grown: Vec<usize>,
    /// Sockets that fell off and are caught up from the broker, and those that wait for that.
    pub catching_up: FxHashSet<SocketId>,
    pub waiting: VecDeque<SocketId>,
    /// A timer runs for those who wait.
    pub turn_timed: bool,
    /// Topics that did not have what their readers lacked.
    pub missed: Seldom,
    /// Topics of which readers that fell off are refused for now.
    pub refused: Seldom,
}

impl Tails {
    pub fn log(&self, tail: usize) -> Option<&FrameLog> {
        self.local.get(tail)?.log.as_ref()
    }

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

    /// Something is missing behind the tail's last frame. Who reads it.
    pub(super) fn mark_gap(&mut self, joining: u64, gap: Gap) -> Vec<SocketId> {
        let tail = self.by_joining.get(&joining);
        let Some(local) = tail.and_then(|tail| self.local.get_mut(*tail)) else {
            return Vec::new();
        };
        local.gap = local.log.as_ref().map(|log| (log.next(), gap));
        local.readers.clone()
    }

    /// Before which frame of the tail something is missing.
    pub(super) fn gap(&self, tail: usize) -> Option<(u64, Gap)> {
        self.local.get(tail)?.gap
    }

    /// Where the tail's upstream is, once it is open.
    pub fn home(&self, tail: usize) -> Option<(usize, MemberId)> {
        let tail = self.local.get(tail)?;
        Some((tail.home, tail.feeder?))
    }
}

impl Shard {
    /// Enters a reader socket into the log of its topic, which is begun if there is none.
    /// Its index among the tails, the socket's among that one's readers, and the tail's own key.
    pub fn enter_tail(&mut self, id: SocketId, key: TailKey) -> (usize, usize, TailKey) {
        if let Some(tail) = self.tails.by_key.get(&key).copied() {
            let local = &mut self.tails.local[tail];
            local.readers.push(id);
            return (tail, local.readers.len() - 1, local.key.clone());
        }
        self.tails.joinings += 1;
        let joining = self.tails.joinings;
        let home = super::begin::home_shard(&key.topic, self.shards());
        let tail = self.tails.local.insert(LocalTail {
            key: key.clone(),
            home,
            joining,
            log: None,
            feeder: None,
            readers: vec![id],
            proven_ms: None,
            applicants: Vec::new(),
            untold: 0,
            lowest: 0,
            gap: None,
        });
        self.tails.by_key.insert(key.clone(), tail);
        self.tails.by_joining.insert(joining, tail);
        let (shard, joined) = (self.index, key.clone());
        self.post(
            home,
            Post::TailJoin {
                key,
                shard,
                joining,
            },
        );
        (tail, 0, joined)
    }

    /// The socket has gone; with the last one the log goes too.
    pub fn leave_tail(&mut self, reader: &Reader) {
        let Some(tail) = reader.tail else { return };
        let Some(local) = self.tails.local.get_mut(tail) else {
            return;
        };
        local.readers.swap_remove(reader.index);
        if let Some(moved) = local.readers.get(reader.index)
            && let Some(entry) = self.sockets.get(*moved)
            && let Role::Reader(moved) = &mut entry.role
        {
            moved.index = reader.index;
        }
        self.leave_if_unwanted(tail);
    }

    pub(super) fn leave_if_unwanted(&mut self, tail: usize) {
        let local = self.tails.local.get(tail);
        if local.is_some_and(|local| local.readers.is_empty() && local.applicants.is_empty())
            && let Some(gone) = self.forget_tail(tail)
        {
            let shard = self.index;
            self.post(
                gone.home,
                Post::TailLeave {
                    key: gone.key,
                    shard,
                    joining: gone.joining,
                },
            );
        }
    }

    fn forget_tail(&mut self, tail: usize) -> Option<LocalTail> {
        let gone = self.tails.local.try_remove(tail)?;
        self.tails.by_key.remove(&gone.key);
        self.tails.by_joining.remove(&gone.joining);
        self.tails.memory_bytes -= gone.log.as_ref().map_or(0, FrameLog::memory_bytes);
        Some(gone)
    }

    /// The home side's upstream is open: the log begins behind `base`.
    pub fn tail_open(&mut self, now_ms: u64, joining: u64, feeder: MemberId, base: Points) {
        let Some(tail) = self.tails.by_joining.get(&joining).copied() else {
            return;
        };
        let local = &mut self.tails.local[tail];
        local.log = Some(FrameLog::new(base));
        local.feeder = Some(feeder);
        local.proven_ms = Some(now_ms);
        for id in local.readers.clone() {
            self.reader_tail_open(id);
        }
    }

    /// The upstream could not be opened, or has ended for good.
    pub fn tail_ended(&mut self, now_ms: u64, joining: u64, refusal: &Refusal) {
        let Some(tail) = self.tails.by_joining.get(&joining).copied() else {
            return;
        };
        if let Some(gone) = self.forget_tail(tail) {
            for id in gone.readers {
                self.reader_tail_ended(now_ms, id, refusal);
            }
            let refused = Err(refusal.clone());
            for (id, params) in gone.applicants {
                self.reader_proven(id, &gone.key.topic, params, &refused);
            }
        }
    }

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

    pub fn reading(&mut self, id: SocketId) -> Option<&mut Reading> {
        match &mut self.sockets.get(id)?.role {
            Role::Reader(reader) => Some(&mut reader.reading),
            _ => None,
        }
    }
}

/// The reader stands in line to be sent to.
pub(super) fn mark_due(
    sockets: &mut super::sockets::Sockets,
    due: &mut VecDeque<SocketId>,
    id: SocketId,
) {
    if let Some(entry) = sockets.get(id)
        && let Role::Reader(reader) = &mut entry.role
        && !reader.due
        && !reader.stalled
    {
        reader.due = true;
        due.push_back(id);
    }
}
