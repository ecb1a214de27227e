//! One broker connection: its state, its output and who is on it. Which connections there are is `pool.rs`'
//! subject, what commands mean is `incoming.rs`'.

use std::collections::BTreeSet;

use ::pulsar::proto::BaseCommand;

use super::address::Route;
use super::commands;
use super::deadlines::User;
use super::lookup::LookupId;
use super::output::Output;
use crate::pulsar::wire;

/// The largest message until CONNECTED names another bound: the broker's default `maxMessageSize`.
pub(super) const DEFAULT_MAX_MESSAGE_BYTES: usize = 5 * 1024 * 1024;
/// The largest bound that a broker may name. More than that in one frame is a mistake, and each connection may have
/// to hold one frame.
const MAX_MAX_MESSAGE_BYTES: usize = 128 * 1024 * 1024;
/// What a frame may have beyond its message: Java's `MESSAGE_SIZE_FRAME_PADDING`.
const FRAME_PADDING_BYTES: usize = 10 * 1024;
/// The largest list of topics: as many names as are taken, with 160 bytes each.
const LIST_FRAME_BYTES_MAX: usize = 32 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// `Io::Connect` was given; no answer yet.
    Dialling,
    /// Connected; `Io::Authenticate` was given, no answer yet.
    Authenticating,
    /// CONNECT is on its way.
    Handshaking,
    Ready,
}

/// Who wants the connection as soon as it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiter {
    Lookup(LookupId),
    User(User),
}

#[derive(Debug)]
pub(super) struct Connection {
    pub route: Route,
    pub state: ConnectionState,
    /// The broker wants to see credentials again; `Io::Authenticate` was given, no answer yet.
    pub challenged: bool,
    pub waiters: Vec<Waiter>,
    /// Producers and consumers that live on it or are asking to.
    pub users: BTreeSet<User>,
    /// Lookups asked and not answered.
    pub lookups: usize,
    /// Acks asked and not answered.
    pub acks: usize,
    pub last_received_ms: u64,
    pub max_message_bytes: usize,
    pub output: Output,
    /// It stands in the pool's queue of connections with output.
    pub queued: bool,
}

impl Connection {
    pub fn new(route: Route, now_ms: u64) -> Connection {
        Connection {
            route,
            state: ConnectionState::Dialling,
            challenged: false,
            waiters: Vec::new(),
            users: BTreeSet::new(),
            lookups: 0,
            acks: 0,
            last_received_ms: now_ms,
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES,
            output: Output::default(),
            queued: false,
        }
    }

    pub fn is_ready(&self) -> bool {
        self.state == ConnectionState::Ready
    }

    pub fn is_unused(&self) -> bool {
        self.waiters.is_empty() && self.users.is_empty() && self.lookups == 0
    }

    /// How much it has to do, for choosing the one with the least.
    pub fn load(&self) -> usize {
        self.users.len() + self.waiters.len()
    }

    pub fn max_frame_bytes(&self) -> usize {
        let of_message = self.max_message_bytes + FRAME_PADDING_BYTES;
        match self.route.for_lists {
            true => of_message.max(LIST_FRAME_BYTES_MAX),
            false => of_message,
        }
    }

    /// CONNECTED.max_message_size; a broker without one takes the default.
    pub fn set_max_message_size(&mut self, size: Option<i32>) {
        if let Some(bytes) = size.and_then(|size| usize::try_from(size).ok())
            && bytes > 0
        {
            self.max_message_bytes = bytes.min(MAX_MAX_MESSAGE_BYTES);
        }
    }

    pub fn write(&mut self, command: &BaseCommand) {
        wire::append_command(command, self.output.gather());
    }

    /// The same with credentials, of which no copy is left when they have been sent.
    pub fn write_secret(&mut self, mut command: BaseCommand) {
        self.output.push_secret(&command);
        commands::wipe(&mut command);
    }
}
