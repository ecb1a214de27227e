//! The one timer of each socket: handshake deadline, server pings, idle time, closing handshake.

use super::post::SocketId;
use super::shard::{Shard, Timer};
use super::sockets::{Entry, Role};
use crate::session::CloseWith;
use crate::ws::{self, close};

/// How often a socket that is not read for now is looked at whether its client is still there.
const WAITING_LOOK_MS: u64 = 1_000;

/// What the server's pings carry; Java's.
const PING_PAYLOAD: &[u8] = b"PING";
impl Shard {
    /// Sets the socket's timer to the next thing that is due; one that is set already and earlier stays.
    pub fn arm_socket(&mut self, now_ms: u64, id: SocketId) {
        let Some(due_ms) = self.socket_due_ms(id) else {
            return;
        };
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        if let Some(timer) = entry.timer.take() {
            self.wheel.cancel(timer);
        }
        let timer = self.wheel.insert(due_ms.max(now_ms), Timer::Socket(id));
        if let Some(entry) = self.sockets.get(id) {
            entry.timer = Some(timer);
        }
    }

    fn socket_due_ms(&mut self, id: SocketId) -> Option<u64> {
        let config = self.config.clone();
        let asks_nobody = self.asks_nobody(id);
        let entry = self.sockets.get(id)?;
        if let Some(cut_off_ms) = entry.cut_off_ms {
            return Some(cut_off_ms);
        }
        if !entry.upgraded {
            return asks_nobody.then(|| entry.last_active_ms + config.handshake_timeout_ms);
        }
        let idle_ms = match entry.resume {
            None => entry.last_active_ms + config.idle_timeout_ms,
            Some(_) => entry.last_active_ms + WAITING_LOOK_MS,
        };
        let ping_ms = config
            .ping_interval_ms
            .map(|interval_ms| entry.last_ping_ms + interval_ms);
        let slow_ms = config
            .slow_consumer_timeout_ms
            .map(|timeout_ms| entry.taken_ms + timeout_ms);
        [Some(idle_ms), ping_ms, slow_ms]
            .into_iter()
            .flatten()
            .min()
    }

    /// Of a socket that has not been answered: its request is not there. Once it is, the time limits of whom it asks rule: of
    /// its upstream, of who knows its rights.
    fn asks_nobody(&self, id: SocketId) -> bool {
        let entry = self.sockets.look(id);
        let asks = |entry: &Entry| !matches!(entry.role, Role::None) || entry.opening.is_some();
        !entry.is_some_and(asks) && !self.awaits_permission(id)
    }

    /// The timer rang: does what is due, and sets it anew.
    pub fn socket_timer(&mut self, now_ms: u64, id: SocketId) {
        let config = self.config.clone();
        let asks_nobody = self.asks_nobody(id);
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        entry.timer = None;
        if entry
            .cut_off_ms
            .is_some_and(|cut_off_ms| cut_off_ms <= now_ms)
        {
            return entry.socket.abort();
        }
        if !entry.upgraded {
            if asks_nobody && entry.last_active_ms + config.handshake_timeout_ms <= now_ms {
                entry.socket.abort();
                self.counters.handshakes_timed_out += 1;
            }
            return;
        }
        if entry.resume.is_some() {
            // It is not read: its silence is ours, and that it has gone shows here only.
            if entry.socket.is_hung_up() {
                entry.socket.abort();
                return self.end_session(now_ms, id);
            }
            entry.last_active_ms = now_ms;
        }
        entry.look_at_unsent(now_ms);
        if config
            .slow_consumer_timeout_ms
            .is_some_and(|timeout_ms| entry.taken_ms + timeout_ms <= now_ms)
        {
            self.counters.slow_consumers += 1;
            let with = CloseWith {
                code: close::POLICY_VIOLATION,
                reason: "Slow consumer".to_owned(),
            };
            return self.close(now_ms, id, with);
        }
        if entry.cut_off_ms.is_none() && entry.last_active_ms + config.idle_timeout_ms <= now_ms {
            self.counters.idle_timeouts += 1;
            let with = CloseWith {
                code: close::GOING_AWAY,
                reason: "Idle Timeout".to_owned(),
            };
            return self.close(now_ms, id, with);
        }
        if config
            .ping_interval_ms
            .is_some_and(|interval_ms| entry.last_ping_ms + interval_ms <= now_ms)
        {
            entry.last_ping_ms = now_ms;
            self.reply(id, &ws::encode::ping(PING_PAYLOAD));
        }
        self.arm_socket(now_ms, id);
    }
}
