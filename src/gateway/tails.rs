//! This shard's logs of tails: joining and leaving them, frames in, frames out to reader sockets.
//!
//! Frames go out in a task of its own, a few sockets at a time, so that a topic with very many readers lets everything
//! else have its turn; what comes meanwhile goes along in the same sends.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;
use slab::Slab;

use super::post::{Post, SocketId, TailKey};
use super::readers::Reader;
use super::shard::{Shard, ShardRef};
use super::sockets::{Entry, Role};
use crate::hub::tail::feeder::MESSAGES_PER_REPORT;
use crate::hub::tail::{Batch, Form, FrameLog, Points};
use crate::hub::{MemberId, Refusal};
use crate::runtime;
use crate::session::reader::Reading;
use crate::ws::{Deflater, Window};

/// Reader sockets that are sent to before the event loop gets its turn: about 150 µs.
const SENDS_PER_TURN: usize = 32;

/// Bytes in one send, so that a socket that is far behind does not make the others wait: 256 KiB are about 50 µs of
/// copying.
const BYTES_PER_SEND: usize = 256 * 1024;

pub struct LocalTail {
    key: TailKey,
    home: usize,
    joining: u64,
    /// None until the home side has opened its upstream.
    log: Option<FrameLog>,
    feeder: Option<MemberId>,
    readers: Vec<SocketId>,
    /// Messages taken into the log that the home side has not been told of.
    untold: u32,
    /// No reader's next frame has a lower number.
    lowest: u64,
}

#[derive(Default)]
pub struct Tails {
    local: Slab<LocalTail>,
    by_key: FxHashMap<TailKey, usize>,
    by_joining: FxHashMap<u64, usize>,
    joinings: u64,
    /// Readers that may be sent something.
    due: VecDeque<SocketId>,
    sending: bool,
    /// Of all logs.
    memory_bytes: usize,
    /// Have grown in memory by what was compressed: their bounds are to be looked at.
    grown: Vec<usize>,
    /// Sockets that fell off and are caught up from the broker, and those that wait for that.
    pub catching_up: usize,
    pub waiting: VecDeque<SocketId>,
}

impl Tails {
    pub fn log(&self, tail: usize) -> Option<&FrameLog> {
        self.local.get(tail)?.log.as_ref()
    }

    /// Compresses what a run of so many frames from this one on lacks of it, as far as there is time in this turn.
    fn compress(&mut self, tail: usize, next: u64, frames_max: u64, deflater: &mut Deflater) {
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

    /// Where the tail's upstream is, once it is open.
    pub fn home(&self, tail: usize) -> Option<(usize, MemberId)> {
        let tail = self.local.get(tail)?;
        Some((tail.home, tail.feeder?))
    }
}

impl Shard {
    /// Enters a reader socket into the log of its topic, which is begun if there is none.
    /// Its place among the tails, and among that one's readers, and the tail's own key.
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
            untold: 0,
            lowest: 0,
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
        local.readers.swap_remove(reader.place);
        if let Some(moved) = local.readers.get(reader.place)
            && let Some(entry) = self.sockets.get(*moved)
            && let Role::Reader(moved) = &mut entry.role
        {
            moved.place = reader.place;
        }
        if local.readers.is_empty()
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
    pub fn tail_open(&mut self, joining: u64, feeder: MemberId, base: Points) {
        let Some(tail) = self.tails.by_joining.get(&joining).copied() else {
            return;
        };
        let local = &mut self.tails.local[tail];
        local.log = Some(FrameLog::new(base));
        local.feeder = Some(feeder);
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
        }
    }

    /// New frames: into the log, and every reader is due.
    pub fn tail_frames(&mut self, joining: u64, batch: Arc<Batch>) {
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
        self.evict(tail);
        let local = &self.tails.local[tail];
        for id in &local.readers {
            mark_due(&mut self.sockets, &mut self.tails.due, *id);
        }
    }

    /// Drops the oldest frames beyond the bounds. Readers that have not got them fall off.
    fn evict(&mut self, tail: usize) {
        let topic_bytes_max = self.config.tail_log_bytes;
        let shard_bytes_max = self.config.tail_logs_bytes / self.shards();
        loop {
            let Some(local) = self.tails.local.get_mut(tail) else {
                return;
            };
            let Some(log) = &mut local.log else { return };
            if log.memory_bytes() <= topic_bytes_max && self.tails.memory_bytes <= shard_bytes_max {
                return;
            }
            let before_bytes = log.memory_bytes();
            let Some(evicted) = log.evict() else { return };
            self.tails.memory_bytes -= before_bytes - log.memory_bytes();
            let first = log.first();
            if local.lowest >= first {
                continue;
            }
            let mut lowest = log.next();
            for id in local.readers.clone() {
                let Some(reading) = self.reading(id) else {
                    continue;
                };
                if reading.fall(&evicted) {
                    self.reader_fell_off(id);
                }
                if let Some(next) = self.reading(id).and_then(|reading| reading.next()) {
                    lowest = lowest.min(next);
                }
            }
            self.tails.local[tail].lowest = lowest;
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

    /// The reader may have window for frames that are there.
    pub fn reader_is_due(&mut self, id: SocketId) {
        mark_due(&mut self.sockets, &mut self.tails.due, id);
    }

    /// Starts the task that sends, if there is something to send and it does not run.
    pub fn send_to_readers(&mut self, this: &ShardRef) {
        if !self.tails.due.is_empty() && !std::mem::replace(&mut self.tails.sending, true) {
            runtime::spawn(send_due(this.clone()));
        }
    }

    /// Sends to the next few readers. False: none is left.
    fn send_some(&mut self, this: &ShardRef, now_ms: u64) -> bool {
        self.deflater.begin_turn();
        for _ in 0..SENDS_PER_TURN {
            let Some(id) = self.tails.due.pop_front() else {
                self.tails.sending = false;
                return false;
            };
            self.send_to_reader(this, now_ms, id);
            if self.deflater.is_spent() {
                break;
            }
        }
        true
    }

    fn send_to_reader(&mut self, this: &ShardRef, now_ms: u64, id: SocketId) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = &mut entry.role else {
            return;
        };
        reader.due = false;
        let Some((tail, log)) = reader
            .tail
            .and_then(|tail| Some((tail, self.tails.log(tail)?)))
        else {
            return;
        };
        if !entry.upgraded || reader.stalled || !entry.closing.is_open() {
            return;
        }
        reader.reading.skip_seen(log);
        let Some(next) = reader.reading.next() else {
            return;
        };
        let (open, form) = (u64::from(reader.reading.open()), reader.form);
        if form == Form::Compressed {
            self.tails.compress(tail, next, open, &mut self.deflater);
        }
        let Some(log) = self.tails.log(tail) else {
            return;
        };
        let run = log.run(next, open, BYTES_PER_SEND, reader.reading.seen(), form);
        if run.bytes == 0 {
            if open > 0 && next < log.next() {
                // It is being compressed.
                mark_due(&mut self.sockets, &mut self.tails.due, id);
            }
            return;
        }
        let Some(sent) = entry.socket.send_now(&run.pieces) else {
            return stall(this, entry);
        };
        // A kernel that is full is given one frame to keep: the socket waits with it in line.
        let (number, rest) = match sent {
            0 => log.frame(next, form),
            _ => log.advance(next, sent, form),
        };
        let frames = number - next;
        reader.reading.charge(frames);
        reader.reading.sent_to(number);
        self.counters.delivered += frames;
        if sent > 0 {
            entry.last_active_ms = now_ms;
        }
        if !rest.is_empty() {
            entry.socket.send(Bytes::copy_from_slice(rest));
        }
        if sent < run.bytes {
            stall(this, entry);
        } else {
            // More of it may be there: behind the others.
            mark_due(&mut self.sockets, &mut self.tails.due, id);
        }
    }

    /// The socket's kernel buffer has room again.
    fn reader_drained(&mut self, id: SocketId) {
        if let Some(entry) = self.sockets.get(id)
            && let Role::Reader(reader) = &mut entry.role
        {
            reader.stalled = false;
            self.reader_is_due(id);
            self.catch_up_if_open(id);
        }
    }
}

fn mark_due(sockets: &mut super::sockets::Sockets, due: &mut VecDeque<SocketId>, id: SocketId) {
    if let Some(entry) = sockets.get(id)
        && let Role::Reader(reader) = &mut entry.role
        && !reader.due
        && !reader.stalled
    {
        reader.due = true;
        due.push_back(id);
    }
}

/// Nothing more for this socket until its client has taken what is queued.
fn stall(this: &ShardRef, entry: &mut Entry) {
    let Role::Reader(reader) = &mut entry.role else {
        return;
    };
    if std::mem::replace(&mut reader.stalled, true) {
        return;
    }
    let (shard, id, socket) = (this.clone(), entry.id, entry.socket.clone());
    runtime::spawn(async move {
        socket.unsent_at_most(0).await;
        shard.turn(|shard, _| shard.reader_drained(id));
    });
}

async fn send_due(shard: ShardRef) {
    loop {
        let goes_on = shard.glance(|shard, this, now_ms| shard.send_some(this, now_ms));
        let grown = shard.glance(|shard, _, _| std::mem::take(&mut shard.tails.grown));
        if !grown.is_empty() {
            // Readers that fall off ask their upstreams.
            shard.turn(|shard, _| grown.into_iter().for_each(|tail| shard.evict(tail)));
        }
        if !goes_on {
            return;
        }
        runtime::turn().await;
    }
}
