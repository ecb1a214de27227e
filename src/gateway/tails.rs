//! This shard's logs of tails: when one begins and ends, and who joins and leaves it.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};
use slab::Slab;

use super::post::{Post, SocketId, TailKey};
use super::readers::Reader;
use super::shard::Shard;
use super::sockets::Role;
use crate::api::ReaderParams;
use crate::hub::tail::{FrameLog, Points};
use crate::hub::{MemberId, Refusal};
use crate::observe::seldom::Seldom;
use crate::pulsar::client::Gap;
use crate::session::reader::Reading;

pub struct LocalTail {
    pub(super) key: TailKey,
    pub(super) home: usize,
    pub(super) joining: u64,
    /// None until the home side has opened its upstream.
    pub(super) log: Option<FrameLog>,
    pub(super) feeder: Option<MemberId>,
    pub(super) readers: Vec<SocketId>,
    /// When the broker was last known to let their role in. None: nobody asks.
    pub(super) proven_ms: Option<u64>,
    /// Those who wait for the broker to be asked again.
    pub(super) applicants: Vec<(SocketId, ReaderParams)>,
    /// Messages taken into the log that the home side has not been told of.
    pub(super) untold: u32,
    /// No reader's next frame has a lower number.
    pub(super) lowest: u64,
    /// The number of a frame before which something is missing, and not all of whose predecessors have left the log.
    pub(super) gap: Option<(u64, Gap)>,
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
    pub(super) memory_bytes: usize,
    /// Where the largest log was when it was last looked for.
    pub(super) largest: usize,
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

    pub fn reading(&mut self, id: SocketId) -> Option<&mut Reading> {
        match &mut self.sockets.get(id)?.role {
            Role::Reader(reader) => Some(&mut reader.reading),
            _ => None,
        }
    }
}
