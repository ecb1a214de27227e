//! One shard's whole state, and the turn in which the effects of its machines reach each other.
//!
//! Whatever happens (bytes, a post, a timer) is given to the machine that it concerns inside [`ShardRef::turn`]; then
//! events and effects are carried on until none is left, and what they produced goes out at once: one write per broker
//! connection and socket, one post per other shard. Nothing in a turn awaits. What sockets and brokers send is gathered
//! first ([`ShardRef::gather`]): one turn for all who have something to say in the same round of the event loop.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::dead_letters::DeadLetters;
use super::encryption::KeyQuestion;
use super::hub_places::Hubs;
use super::identities::Identities;
use super::key_keeper::KeyKeeper;
use super::lane::{Lane, LaneKind};
use super::links::Links;
use super::permissions::Permissions;
use super::post::{Post, SocketId};
use super::principals::Principals;
use super::sockets::{Role, Sockets};
use super::tail_homes::{TailHomes, is_feeder};
use super::tails::Tails;
use super::topics::{TopicQuestions, WatchId};
use crate::config::Config;
use crate::doors::{Entrance, Places};
use crate::hub::{Command, Effect, Upstream};
use crate::observe::counters::Counters;
use crate::pulsar::client::Event;
use crate::runtime::{self, Alarm, Socket, Wheel};
use crate::session::Producers;
use crate::tls::server::Served;
use crate::ws::Deflater;

/// A full mailbox is tried again after this time; the other shard empties its own at every turn.
const LINK_RETRY_MS: u64 = 1;

/// A broker takes the last commands of a shard that ends, or is left behind, within this time.
const FINISH_MS: u64 = 1_000;

/// Inputs that are gathered before they are carried on: some 100 µs of reading and parsing. It bounds how long the first
/// waits for the last, and what they leave to be carried on.
const GATHERED_MAX: u32 = 64;

/// What a timer of the shard's wheel is about.
#[derive(Clone, Copy, Debug)]
pub enum Timer {
    /// Handshake deadline, ping, idle time, closing handshake.
    Socket(SocketId),
    Hub {
        slot: usize,
        generation: u32,
    },
    /// Whether a topic has new partitions.
    Partitions(WatchId),
    /// A client's token runs out.
    Identity(SocketId),
    /// Grants to be read again, or taken back.
    Permissions,
    DrainDeadline,
}

pub struct Shard {
    pub index: usize,
    pub config: Arc<Config>,
    /// Where there is a TLS port.
    pub tls: Option<Served>,
    pub sockets: Sockets,
    pub entrance: Arc<Entrance>,
    /// Of sockets that have some, where their number is bounded.
    pub places: FxHashMap<SocketId, Places>,
    /// One handle more than there are connections that are being told why they have to stay outside.
    pub turned_away: Rc<()>,
    pub identities: Identities,
    pub hubs: Hubs,
    pub topics: TopicQuestions,
    pub dead_letters: DeadLetters,
    pub tails: Tails,
    pub tail_homes: TailHomes,
    pub publishing: Lane,
    pub consuming: Lane,
    pub administration: Lane,
    /// None: the gateway does not decide what clients may do.
    pub permissions: Option<Box<Permissions>>,
    pub principals: Principals,
    pub wheel: Wheel<Timer>,
    pub counters: Counters,
    /// Compresses what goes to the sockets that take it so.
    pub deflater: Deflater,
    /// Sockets that have gone since memory was last given back for them.
    pub forgotten: u32,
    /// Whose the upstream producers are.
    pub producers: Producers,
    /// Set by `Post::Drain`: no new sockets, and those that are there end.
    pub draining: bool,
    /// The time for that is up.
    pub drain_is_overdue: bool,
    /// Scratch of `with_hub`.
    pub effects: Vec<Effect>,
    /// Producers that are not read because their upstream has enough.
    pub paused: FxHashSet<SocketId>,
    /// At the last receipts the shard's producers had more than half of its bound unconfirmed.
    pub upstream_was_full: bool,
    /// Producer sockets that got answers in this turn.
    pub answered: Vec<SocketId>,
    /// Sockets that wait until a mailbox has room.
    pub behind_links: Vec<SocketId>,
    pub links: Links,
    /// None: this gateway has no keys of end-to-end encryption.
    pub key_keeper: Option<KeyKeeper>,
    pub key_questions: Vec<KeyQuestion>,
    /// Posts of this shard to itself.
    local: VecDeque<Post>,
    alarm: Alarm,
    /// Inputs since the last turn.
    gathered: u32,
    told_drained: bool,
}

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
    pub fn new(
        index: usize,
        config: Arc<Config>,
        entrance: Arc<Entrance>,
        tls: Option<Served>,
        peers: Vec<runtime::Post<Post>>,
        lanes: [Lane; 3],
    ) -> Shard {
        let [publishing, consuming, administration] = lanes;
        let principals = Principals::new(config.authorization.as_ref());
        Shard {
            index,
            config,
            tls,
            sockets: Sockets::default(),
            entrance,
            places: FxHashMap::default(),
            turned_away: Rc::new(()),
            identities: Identities::default(),
            hubs: Hubs::default(),
            topics: TopicQuestions::default(),
            dead_letters: DeadLetters::default(),
            tails: Tails::default(),
            tail_homes: TailHomes::default(),
            publishing,
            consuming,
            administration,
            permissions: None,
            principals,
            wheel: Wheel::new(runtime::now_ms()),
            counters: Counters::default(),
            deflater: Deflater::default(),
            forgotten: 0,
            producers: Producers::default(),
            draining: false,
            drain_is_overdue: false,
            effects: Vec::new(),
            paused: FxHashSet::default(),
            upstream_was_full: false,
            answered: Vec::new(),
            behind_links: Vec::new(),
            links: Links::new(peers),
            key_keeper: None,
            key_questions: Vec::new(),
            local: VecDeque::new(),
            alarm: Alarm::new(),
            gathered: 0,
            told_drained: false,
        }
    }

    pub fn shards(&self) -> usize {
        self.links.count()
    }

    pub fn lane(&mut self, kind: LaneKind) -> &mut Lane {
        match kind {
            LaneKind::Publishing => &mut self.publishing,
            LaneKind::Consuming => &mut self.consuming,
            LaneKind::Administration => &mut self.administration,
        }
    }

    /// To a shard, this one included; handled in this turn there, in the next elsewhere.
    pub fn post(&mut self, shard: usize, post: Post) {
        if shard == self.index {
            self.local.push_back(post);
        } else {
            self.links.push(shard, post);
        }
    }

    fn carry_on(&mut self, this: &ShardRef, now_ms: u64) {
        self.gathered = 0;
        self.settle(now_ms);
        self.flush(this, now_ms);
    }

    /// Carries events, posts and effects on until there are none.
    fn settle(&mut self, now_ms: u64) {
        loop {
            if let Some(event) = self.consuming.client.poll_event() {
                self.on_consuming_event(now_ms, event);
            } else if let Some(event) = self.publishing.client.poll_event() {
                self.on_publishing_event(now_ms, event);
            } else if let Some(event) = self.administration.client.poll_event() {
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
                Timer::Hub { slot, generation } => self.hub_timer(now_ms, slot, generation),
                Timer::Permissions => self.permissions_due(now_ms),
                Timer::Partitions(watch) => self.partitions_due(now_ms, watch),
                Timer::Identity(id) => self.identity_timer(now_ms, id),
                Timer::DrainDeadline => self.drain_deadline(now_ms),
            }
        }
    }

    pub fn on_post(&mut self, now_ms: u64, post: Post) {
        match post {
            Post::Join(join) => self.hub_join(now_ms, *join),
            Post::Leave { member } => self.hub_leave(now_ms, member),
            Post::Command { member, command } => self.hub_command(member, command),
            Post::ToMember { member, event } if is_feeder(member) => {
                self.feeder_event(member, event)
            }
            Post::ReaderMoves(to) => self.reader_moves(*to),
            Post::ToMember { member, event } => {
                self.member_event(now_ms, SocketId::of(member), event)
            }
            Post::TailJoin {
                key,
                shard,
                joining,
            } => self.tail_join(now_ms, key, shard, joining),
            Post::TailLeave {
                key,
                shard,
                joining,
            } => self.tail_leave(now_ms, &key, shard, joining),
            Post::TailTaken {
                feeder,
                shard,
                joining,
                messages,
            } => self.tail_taken(feeder, shard, joining, messages),
            Post::TailEndOfTopic { feeder, asker } => self.tail_end_of_topic(feeder, asker),
            Post::TailOpen {
                joining,
                feeder,
                base,
            } => self.tail_open(joining, feeder, base),
            Post::TailFrames { joining, batch } => self.tail_frames(joining, batch),
            Post::TailEnded { joining, refusal } => self.tail_ended(now_ms, joining, &refusal),
            Post::Identified { socket, result } => self.identified(now_ms, socket, result),
            Post::Renewed(speaker) => self.principals.renew(&speaker),
            Post::PermissionRead(read) => {
                let (resource, found) = *read;
                let found = found.as_ref().map(Option::as_deref);
                self.permission_read(now_ms, &resource, found.map_err(String::clone));
            }
            Post::Credentials {
                lane,
                connection,
                result,
            } => self.lane(lane).credentials_read(now_ms, connection, result),
            Post::BrokerTls(tls) => {
                for lane in [
                    &mut self.publishing,
                    &mut self.consuming,
                    &mut self.administration,
                ] {
                    lane.use_tls(tls.clone());
                }
            }
            Post::Drain => self.drain(now_ms),
            // It only makes the main loop look. What came up meanwhile may have to be told again.
            Post::Drained => self.told_drained = false,
            // For the main loop, which alone can start tasks.
            Post::Accepted(_) | Post::AcceptedTls(_) => {}
            Post::Certificates(served) => self.tls = Some(served),
        }
    }

    fn on_consuming_event(&mut self, now_ms: u64, event: Event) {
        match event {
            Event::Refused { broker, error, .. } => {
                self.consuming.refused(now_ms, &broker, &error);
            }
            Event::Partitions { tag, result } => self.partitions_answered(now_ms, tag, result),
            Event::Topics { tag, result } => self.topics_answered(now_ms, tag, result),
            Event::ConsumerReady { consumer } => self.hub_upstream(consumer, Upstream::Ready),
            Event::ConsumerLost { consumer, abrupt } => {
                self.hub_upstream(consumer, Upstream::Lost { abrupt });
            }
            Event::ConsumerResumed { consumer } => self.hub_upstream(consumer, Upstream::Resumed),
            Event::ConsumerFailed { consumer, error } => {
                self.hub_upstream(consumer, Upstream::Failed(error));
            }
            Event::Entry { consumer, entry } => self.hub_upstream(consumer, Upstream::Entry(entry)),
            Event::CorruptEntry {
                consumer,
                ledger,
                entry,
                partition,
                reason,
            } => {
                tracing::warn!(
                    ledger,
                    entry,
                    partition,
                    reason,
                    "the broker sent an entry that cannot be read"
                );
                self.hub_upstream(consumer, Upstream::Corrupt { ledger, entry });
            }
            Event::EndOfTopic { consumer } => self.hub_upstream(consumer, Upstream::EndOfTopic),
            Event::Seeked {
                consumer,
                tag,
                result,
            } => self.hub_upstream(consumer, Upstream::Sought { tag, result }),
            Event::AckDone {
                consumer,
                tag,
                result,
            } => {
                self.hub_upstream(consumer, Upstream::AckDone { tag, result });
            }
            Event::Unsubscribed {
                consumer,
                tag,
                result,
            } => {
                self.hub_upstream(consumer, Upstream::Unsubscribed { tag, result });
            }
            // Nothing here asks for last ids or depends on which failover consumer is active; and no producer
            // is opened on this lane.
            _ => {}
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
