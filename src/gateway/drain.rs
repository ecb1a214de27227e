//! The orderly end: no new sockets, publishes in flight get their acks, everybody is told, then the shard ends.

use super::post::SocketId;
use super::shard::{Shard, Timer};
use super::sockets::Role;
use crate::session::CloseWith;

/// RFC 6455 §7.4.1 "going away".
const GOING_AWAY: u16 = 1001;

impl Shard {
    /// From now on the shard only ends; what is not settled in time is cut off.
    pub fn drain(&mut self, now_ms: u64) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        self.wheel
            .insert(now_ms + self.config.drain_timeout_ms, Timer::DrainDeadline);
        for id in self.sockets.ids() {
            self.end_for_shutdown(now_ms, id);
        }
    }

    /// Closes a socket, unless it is a producer that still waits for receipts.
    pub fn end_for_shutdown(&mut self, now_ms: u64, id: SocketId) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        if !entry.upgraded {
            if matches!(entry.role, Role::None) {
                entry.socket.abort();
            }
            return;
        }
        if matches!(&entry.role, Role::Producer(session) if session.has_pending()) {
            return;
        }
        let with = CloseWith {
            code: GOING_AWAY,
            reason: "The gateway is shutting down".to_owned(),
        };
        self.close(now_ms, id, with);
    }

    /// The time is up: whoever is still there is cut off.
    pub fn drain_deadline(&mut self, now_ms: u64) {
        for id in self.sockets.ids() {
            self.end_session(now_ms, id);
            if let Some(entry) = self.sockets.get(id) {
                entry.socket.abort();
            }
        }
        self.hubs.clear();
    }

    /// Nothing is left to do for this shard.
    pub fn is_drained(&self) -> bool {
        self.draining && self.sockets.is_empty() && self.hubs.is_empty() && self.links_are_empty()
    }
}
