//! Which of the sockets that fell off their logs are caught up now (`maxCatchUpReaders`), and which wait in line.

use super::catch_up::takes_more;
use super::post::{Post, SocketId};
use super::shard::{Shard, Timer};
use super::sockets::Role;

/// After this time a turn is given to who waits for one, if its holder makes no use of it: less often than a turn costs the
/// broker a consumer opened and closed, and no longer than after a refusal.
const CATCH_UP_TURN_MS: u64 = 1_000;

/// Whether a socket has one of the upstream readers of which there are so many (`maxCatchUpReaders`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    None,
    /// It is not open yet, however long that takes.
    Opening,
    /// It has been opened, or has brought something, since turns were last looked at.
    Used,
    Unused,
}

impl Turn {
    pub fn goes_on(&mut self) {
        if *self != Turn::None {
            *self = Turn::Used;
        }
    }
}

impl Shard {
    /// A socket needs no upstream reader of its own any more: the next one in line gets one.
    pub fn caught_up(&mut self, id: SocketId, turn: Turn) {
        if turn == Turn::None {
            return;
        }
        self.tails.catching_up.remove(&id);
        while self.tails.catching_up.len() < self.catch_up_readers_max()
            && let Some(id) = self.tails.waiting.pop_front()
        {
            if let Some(Role::Reader(reader)) = self.sockets.get(id).map(|entry| &mut entry.role) {
                reader.queued = false;
            }
            self.catch_up_if_open(id);
        }
    }

    /// Whoever waits in line is not made to wait by one that takes nothing.
    pub fn time_turns(&mut self, now_ms: u64) {
        if !self.tails.waiting.is_empty() && !std::mem::replace(&mut self.tails.turn_timed, true) {
            let due_ms = now_ms + CATCH_UP_TURN_MS;
            self.wheel.insert(due_ms, Timer::CatchUpTurn);
        }
    }

    pub fn turns_over(&mut self) {
        self.tails.turn_timed = false;
        for id in self.tails.catching_up.clone() {
            if self.tails.waiting.is_empty() {
                return;
            }
            self.give_turn_away(id);
        }
    }

    /// Of a socket that may be sent nothing more for now, or that nothing has been brought for since turns were last looked
    /// at: it is caught up later, from where it is by then.
    fn give_turn_away(&mut self, id: SocketId) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let takes_more = takes_more(entry);
        let Role::Reader(reader) = &mut entry.role else {
            return;
        };
        if takes_more && reader.turn != Turn::Unused {
            if reader.turn == Turn::Used {
                reader.turn = Turn::Unused;
            }
            return;
        }
        if !reader.reading.give_up_catching_up() {
            return;
        }
        let turn = std::mem::replace(&mut reader.turn, Turn::None);
        let member = id.member();
        self.post(id.shard(), Post::Leave { member });
        self.caught_up(id, turn);
        self.catch_up_if_open(id);
    }

    /// The socket goes, wherever it stands in line.
    pub fn leave_line(&mut self, id: SocketId, queued: bool) {
        if queued {
            self.tails.waiting.retain(|waiting| *waiting != id);
        }
    }

    pub(super) fn catch_up_readers_max(&self) -> usize {
        (self.config.max_catch_up_readers / self.shards()).max(1)
    }
}
