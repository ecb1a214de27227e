//! Back-pressure: when a socket is not read for now, so that TCP makes its client wait.
//!
//! A socket waits while what its client asks for piles up in here: publishes that are not confirmed or not even taken by
//! the broker, commands for a shard whose mailbox is full, answers that the client does not read.

use super::post::SocketId;
use super::shard::Shard;
use super::sockets::Role;
use super::turn::ShardRef;
use crate::pulsar::client::ConnectionId;
use crate::runtime::{Notify, Socket};

/// What has to happen before a socket is read again.
pub enum Wait {
    /// This is notified.
    Resumed(Notify),
    /// The client takes what it was sent, until no more than so many bytes are left.
    Taken(usize),
}

impl Shard {
    /// To be asked again when the wait is over.
    pub fn wait_before_reading(&mut self, now_ms: u64, id: SocketId) -> Option<Wait> {
        let unsent_bytes_max = self.config.socket_unsent_bytes;
        let is_full = self.is_full(id, 1);
        let entry = self.sockets.get(id)?;
        if is_full {
            self.paused.insert(id);
        } else if let Role::Consumer { home, .. } = entry.role
            && self.links.is_behind(home)
        {
            self.behind_links.push(id);
        } else {
            entry.resume = None;
            return entry
                .is_deaf(unsent_bytes_max)
                .then_some(Wait::Taken(unsent_bytes_max / 2));
        }
        let resume = entry.resume.get_or_insert_with(Notify::new).clone();
        self.arm_socket(now_ms, id);
        Some(Wait::Resumed(resume))
    }

    /// Whether a producer has reached 1/`part` of its own bound or of the shard's, or its broker does not keep up.
    fn is_full(&mut self, id: SocketId, part: usize) -> bool {
        let socket_bytes_max = self.config.producer_pending_bytes / part;
        let shard_is_full = self.upstream_is_full(part);
        let entry = self.sockets.get(id);
        let Some(entry) = entry.filter(|entry| entry.closing.is_open()) else {
            return false;
        };
        let Role::Producer(session) = &entry.role else {
            return false;
        };
        session.pending_bytes() >= socket_bytes_max
            || (shard_is_full && session.has_pending())
            || self.publishing.is_behind(session.producers())
    }

    fn upstream_is_full(&self, part: usize) -> bool {
        self.publishing.client.pending_bytes() >= self.config.upstream_pending_bytes / part
    }

    /// After receipts: sockets that waited are read again once half of their room is free; those that were only kept
    /// open for their last receipts end.
    pub fn after_receipts(&mut self, now_ms: u64) {
        let answered = std::mem::take(&mut self.answered);
        if self.draining {
            for id in &answered {
                self.end_for_shutdown(now_ms, *id);
            }
        }
        if self.paused.is_empty() || answered.is_empty() {
            return;
        }
        // Only its own receipts free a socket that waits for its own bound. One that waits for the shard's has something
        // pending, too; but when the shard has room, nobody is to wait for a slow topic of its own.
        let is_full = self.upstream_is_full(2);
        let was_full = std::mem::replace(&mut self.upstream_was_full, is_full);
        if was_full && !is_full {
            self.resume_paused();
        } else {
            for id in answered {
                self.resume_if_room(id);
            }
        }
    }

    fn resume_paused(&mut self) {
        let paused: Vec<SocketId> = self.paused.iter().copied().collect();
        for id in paused {
            self.resume_if_room(id);
        }
    }

    fn resume_if_room(&mut self, id: SocketId) {
        if self.paused.contains(&id) && !self.is_full(id, 2) {
            self.paused.remove(&id);
            self.resume(id);
        }
    }

    fn resume(&mut self, id: SocketId) {
        let entry = self.sockets.get(id);
        if let Some(resume) = entry.and_then(|entry| entry.resume.as_ref()) {
            resume.notify();
        }
    }

    /// All mailboxes have taken what was for them.
    pub fn links_have_room(&mut self) {
        for id in std::mem::take(&mut self.behind_links) {
            self.resume(id);
        }
    }
}

/// Waits until a broker has taken what it was behind with; then its producers are read again.
pub async fn catch_up(
    shard: ShardRef,
    connection: ConnectionId,
    socket: Socket,
    unsent_bytes: usize,
) {
    socket.unsent_at_most(unsent_bytes).await;
    shard.turn(|shard, _| {
        shard.publishing.caught_up(connection);
        shard.resume_paused();
    });
}
