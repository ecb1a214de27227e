//! One shard's whole state.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::dead_letters::DeadLetters;
use super::encryption::KeyQuestion;
use super::hub_places::{HubId, Hubs};
use super::identities::Identities;
use super::key_keeper::KeyKeeper;
use super::lane::{Lane, LaneKind};
use super::links::Links;
use super::permissions::Permissions;
use super::post::{Post, SocketId};
use super::principals::Principals;
use super::proofs::{self, Proofs};
use super::sockets::Sockets;
use super::tail_homes::TailHomes;
use super::tails::Tails;
use super::topics::{TopicQuestions, WatchId};
use crate::config::Config;
use crate::doors::{Entrance, Places};
use crate::hub::Effect;
use crate::observe::counters::Counters;
use crate::runtime::{self, Alarm, Wheel};
use crate::session::Producers;
use crate::tls::server::Served;
use crate::ws::Deflater;

/// What a timer of the shard's wheel is about.
#[derive(Clone, Copy, Debug)]
pub enum Timer {
    /// Handshake deadline, ping, idle time, closing handshake.
    Socket(SocketId),
    Hub(HubId),
    /// Whether a topic has new partitions.
    Partitions(WatchId),
    /// A reader's upstream reader, which was refused, is asked for again.
    CatchUp(SocketId),
    /// Readers wait for others to be caught up.
    CatchUpTurn,
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
    pub proofs: Proofs,
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
    pub local: VecDeque<Post>,
    pub alarm: Alarm,
    /// Inputs since the last turn.
    pub gathered: u32,
    pub told_drained: bool,
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
        let proof_lasts_ms = proofs::lasts_ms(&config);
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
            proofs: Proofs::default(),
            wheel: Wheel::new(runtime::now_ms()),
            counters: Counters::default(),
            deflater: Deflater::default(),
            forgotten: 0,
            producers: Producers::new(proof_lasts_ms),
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
}
