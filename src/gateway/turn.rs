//! The turn in which the effects of a shard's machines reach each other.
//!
//! Whatever happens (bytes, a post, a timer) is given to the machine that it concerns inside [`ShardRef::turn`]; then
//! events and effects are carried on until none is left, and what they produced goes out at once: one write per broker
//! connection and socket, one post per other shard. Nothing in a turn awaits. What sockets and brokers send is gathered
//! first ([`ShardRef::gather`]): one turn for all who have something to say in the same round of the event loop.

use std::cell::RefCell;
use std::rc::Rc;

use super::post::{Post, SocketId};
use super::shard::{Shard, Timer};
use super::sockets::Role;
use crate::hub::Command;
use crate::runtime::{self, Socket};

/// A full mailbox is tried again after this time; the other shard empties its own at every turn.
const LINK_RETRY_MS: u64 = 1;

/// A broker takes the last commands of a shard that ends, or is left behind, within this time.
const FINISH_MS: u64 = 1_000;

/// Inputs that are gathered before they are carried on: some 100 µs of reading and parsing. It bounds how long the first
/// waits for the last, and what they leave to be carried on.
const GATHERED_MAX: u32 = 64;

/// The shard as its tasks hold it.
#[derive(Clone)]
pub struct ShardRef(Rc<RefCell<Shard>>);

impl ShardRef {
    pub fn new(shard: Shard) -> ShardRef {
        ShardRef(Rc::new(RefCell::new(shard)))
    }

    /// One turn: `input`, then everything that follows from it.
    pub fn turn<R>(&self, input: impl FnOnce(&mut Shard, u64) -> R) -> R {
        let mut shard = self.0.borrow_mut();
        let now_ms = runtime::now_ms();
        let result = input(&mut shard, now_ms);
        shard.carry_on(self, now_ms);
        result
    }

    /// Takes `input` in. What follows from it happens in a turn behind all tasks that are ready now, so that what they
    /// bring goes along: one run of a hub, one post per shard, one write for all of it.
    pub fn gather<R>(&self, input: impl FnOnce(&mut Shard, u64) -> R) -> R {
        let mut shard = self.0.borrow_mut();
        let now_ms = runtime::now_ms();
        let result = input(&mut shard, now_ms);
        shard.gathered += 1;
        if shard.gathered >= GATHERED_MAX {
            shard.carry_on(self, now_ms);
        } else if shard.gathered == 1 {
            runtime::spawn(self.clone().carry_on_gathered());
        }
        result
    }

    async fn carry_on_gathered(self) {
        let mut shard = self.0.borrow_mut();
        if shard.gathered > 0 {
            shard.carry_on(&self, runtime::now_ms());
        }
    }

    /// A short look at the shard, after which nothing follows.
    pub fn glance<R>(&self, look: impl FnOnce(&mut Shard, &ShardRef, u64) -> R) -> R {
        look(&mut self.0.borrow_mut(), self, runtime::now_ms())
    }

    /// The shard is drained: its broker connections are closed, what is queued for them goes out first.
    pub async fn finish(self) {
        self.turn(|_, _| ());
        let sockets = {
            let mut shard = self.0.borrow_mut();
            tracing::info!(
                shard = shard.index,
                posted_batches = shard.counters.posted_batches,
                wake_ups = shard.counters.wake_ups,
                "what it has said to other shards"
            );
            let mut sockets = shard.publishing.close();
            sockets.append(&mut shard.consuming.close());
            sockets.append(&mut shard.administration.close());
            sockets
        };
        for socket in &sockets {
            socket.shutdown_after_flush(FINISH_MS);
        }
        for socket in sockets {
            socket.unsent_at_most(0).await;
        }
    }

    /// Rings when a timer of the shard is due; for the life of the shard.
    pub async fn run_timers(self) {
        let alarm = self.0.borrow().alarm.clone();
        loop {
            alarm.rings().await;
            self.turn(Shard::on_time);
        }
    }
}

impl Shard {
    fn carry_on(&mut self, this: &ShardRef, now_ms: u64) {
        self.gathered = 0;
        self.settle(now_ms);
        self.flush(this, now_ms);
    }

    /// Carries events, posts and effects on until there are none.
    pub(super) fn settle(&mut self, now_ms: u64) {
        loop {
            if let Some(event) = self.consuming.poll_event(now_ms) {
                self.on_consuming_event(now_ms, event);
            } else if let Some(event) = self.publishing.poll_event(now_ms) {
                self.on_publishing_event(now_ms, event);
            } else if let Some(event) = self.administration.poll_event(now_ms) {
                self.on_administration_event(now_ms, event);
            } else if let Some(post) = self.local.pop_front() {
                self.on_post(now_ms, post);
            } else if !self.run_hubs(now_ms) {
                return;
            }
        }
    }

    /// What the turn produced goes out.
    fn flush(&mut self, this: &ShardRef, now_ms: u64) {
        self.after_receipts(now_ms);
        self.deflater.begin_turn();
        // What is clogged by this is told to its hub, which may be here.
        self.flush_sockets(this, now_ms);
        self.settle(now_ms);
        self.flush_sockets(this, now_ms);
        self.send_to_readers(this);
        self.ask_key_keeper(this);
        self.publishing.flush(this, now_ms, &self.principals);
        self.consuming.flush(this, now_ms, &self.principals);
        self.publishing.flush(this, now_ms, &self.principals);
        self.consuming.flush(this, now_ms, &self.principals);
        self.administration.flush(this, now_ms, &self.principals);
        self.time_turns(now_ms);
        let mut due_ms = self.wheel.next_deadline_ms();
        if self.links.flush(&mut self.counters) {
            self.links_have_room();
        } else {
            due_ms = earlier(due_ms, Some(now_ms + LINK_RETRY_MS));
        }
        due_ms = earlier(due_ms, self.publishing.client.next_deadline_ms());
        due_ms = earlier(due_ms, self.consuming.client.next_deadline_ms());
        due_ms = earlier(due_ms, self.administration.client.next_deadline_ms());
        self.alarm.set(due_ms);
        if self.is_drained() && !std::mem::replace(&mut self.told_drained, true) {
            self.links.push(self.index, Post::Drained);
            self.links.flush(&mut self.counters);
        }
    }

    /// Hands this turn's frames to the sockets; a consumer with too many unsent bytes is given nothing more for now.
    fn flush_sockets(&mut self, this: &ShardRef, now_ms: u64) {
        let unsent_bytes_max = self.config.socket_unsent_bytes;
        let index = self.index;
        let mut clogged = Vec::new();
        let deflater = &mut self.deflater;
        self.sockets.flush(|entry, frames| {
            entry.send(now_ms, frames, unsent_bytes_max, deflater);
            let home = match entry.role {
                Role::Consumer { home, .. } => home,
                // Its own upstream is here; what comes from a log is not queued.
                Role::Reader(_) => index,
                _ => return,
            };
            if !entry.clogged && entry.socket.unsent_bytes() > unsent_bytes_max {
                entry.clogged = true;
                clogged.push((entry.id, home));
                runtime::spawn(unclog(
                    this.clone(),
                    entry.id,
                    entry.socket.clone(),
                    unsent_bytes_max / 2,
                ));
            }
        });
        for (id, home) in clogged {
            self.post(
                home,
                Post::Command {
                    member: id.member(),
                    command: Command::Clogged,
                },
            );
        }
    }

    pub fn links_are_empty(&self) -> bool {
        self.links.is_empty()
    }

    fn on_time(&mut self, now_ms: u64) {
        self.publishing.client.tick(now_ms);
        self.consuming.client.tick(now_ms);
        self.administration.client.tick(now_ms);
        let mut due = Vec::new();
        self.wheel.advance(now_ms, &mut due);
        for timer in due {
            match timer {
                Timer::Socket(id) => self.socket_timer(now_ms, id),
                Timer::Hub(hub) => self.hub_timer(now_ms, hub),
                Timer::Permissions => self.permissions_due(now_ms),
                Timer::Partitions(watch) => self.partitions_due(now_ms, watch),
                Timer::CatchUp(id) => self.catch_up_due(id),
                Timer::CatchUpTurn => self.turns_over(),
                Timer::Identity(id) => self.identity_timer(now_ms, id),
                Timer::DrainDeadline => self.drain_deadline(now_ms),
            }
        }
    }
}

/// Tells the socket's hub when its unsent bytes have fallen to this.
async fn unclog(shard: ShardRef, id: SocketId, socket: Socket, unsent_bytes: usize) {
    socket.unsent_at_most(unsent_bytes).await;
    shard.turn(|shard, _| shard.unclogged(id));
}

/// The earlier of two times, of which either may be never.
fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
