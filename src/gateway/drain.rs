//! The orderly end: no new sockets, publishes in flight get their acks, everybody is told, acks that clients have sent reach
//! the broker, then the shard ends.
//!
//! A consumer's session goes on behind our close frame until the client's own has come: what it had acked when it was
//! told is read and settled. A producer's publishes that are read after the signal are not taken; it sees no ack of them.

use super::post::{Post, SocketId};
use super::shard::{Shard, Timer};
use super::sockets::Role;
use crate::api::Refusal;
use crate::hub::Command;
use crate::session::CloseWith;
use crate::ws::close;

/// How long a close frame that was held back until the deadline has to get out.
const LAST_WORD_MS: u64 = 500;

pub fn refusal() -> Refusal {
    Refusal::new(503, "The gateway is shutting down")
}

fn going_away() -> CloseWith {
    CloseWith {
        code: close::GOING_AWAY,
        reason: "The gateway is shutting down".to_owned(),
    }
}

impl Shard {
    /// From now on the shard only ends; what is not settled in time is cut off.
    pub fn drain(&mut self, now_ms: u64) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        self.wheel
            .insert(now_ms + self.config.drain_timeout_ms, Timer::DrainDeadline);
        self.publishing.client.flush_batches(now_ms);
        let sockets = self.sockets.ids();
        tracing::info!(
            shard = self.index,
            "open sockets at the end: {}",
            sockets.len()
        );
        for id in sockets {
            self.end_for_shutdown(now_ms, id);
        }
    }

    /// Tells a socket to go, unless it is a producer that still waits for receipts.
    pub fn end_for_shutdown(&mut self, now_ms: u64, id: SocketId) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        if !entry.upgraded {
            if entry.opening.is_some() {
                self.opened(id, Err(refusal()));
                self.end_session(now_ms, id);
            } else if matches!(entry.role, Role::None) && !self.identities.refuse(id, refusal()) {
                entry.socket.abort();
            }
            return;
        }
        match &entry.role {
            Role::Producer(session) if session.has_pending() => {}
            Role::Consumer { home, .. } => {
                let home = *home;
                let nothing_more = Post::Command {
                    member: id.member(),
                    command: Command::Clogged,
                };
                self.post(home, nothing_more);
                self.say_close(now_ms, id, &going_away());
            }
            Role::Producer(_) | Role::Reader(_) | Role::None => {
                self.close(now_ms, id, going_away())
            }
        }
    }

    /// The time is up: whoever has not been told yet is told, everybody else is cut off.
    pub fn drain_deadline(&mut self, now_ms: u64) {
        self.drain_is_overdue = true;
        for id in self.sockets.ids() {
            let told = match self.sockets.get(id) {
                Some(entry) if entry.upgraded => !entry.closing.is_open(),
                _ => true,
            };
            self.close(now_ms, id, going_away());
            if let Some(entry) = self.sockets.get(id) {
                entry.cut_off_ms = Some(if told { now_ms } else { now_ms + LAST_WORD_MS });
                self.arm_socket(now_ms, id);
            }
        }
        self.shut_hubs(now_ms);
    }

    /// Nothing is left to do for this shard, and the broker has answered all closes: then it has the acks before them too.
    pub fn is_drained(&self) -> bool {
        self.draining
            && self.sockets.is_empty()
            && self.hubs.is_empty()
            && self.links_are_empty()
            && (self.drain_is_overdue || self.brokers_have_answered())
    }

    fn brokers_have_answered(&self) -> bool {
        !self.publishing.client.awaits_closes() && !self.consuming.client.awaits_closes()
    }
}
