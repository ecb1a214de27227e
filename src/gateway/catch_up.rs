//! Reader sockets that are not in their topic's log: caught up from the broker by an upstream reader of their own, until
//! the log has what they lack.

use super::begin::random_name;
use super::catch_up_turns::Turn;
use super::post::{Join, Post, SocketId, TailKey};
use super::principals::Speaker;
use super::shard::{Shard, Timer};
use super::sockets::{Entry, Role};
use crate::hub::{Command, HubSpec, MemberSpec, Refusal, Topics};
use crate::pulsar::client::{Gap, Principal, StartPosition};
use crate::pulsar::topics::is_persistent;
use crate::pulsar::{ErrorKind, InitialPosition, SubscriptionType};
use crate::session::reader::Place;

/// Hex digits of a reader's subscription name (`reader-0123456789`), as in Java.
const READER_NAME_DIGITS: usize = 10;

/// Between a refusal of a socket's upstream reader and the next try: a broker that throttles is not asked more often than
/// this by each, and a reader that lags by that much has lagged before.
const CATCH_UP_PAUSE_MS: u64 = 1_000;

impl Shard {
    /// Lets the socket into the log if that has all it lacks. True: it is there now.
    pub fn try_join(&mut self, id: SocketId) -> bool {
        let Some(entry) = self.sockets.get(id) else {
            return false;
        };
        let Role::Reader(reader) = &mut entry.role else {
            return false;
        };
        let Some(log) = reader.tail.and_then(|tail| self.tails.log(tail)) else {
            return false;
        };
        let had_own = reader.reading.has_own_upstream();
        if !reader.reading.join(log) {
            return false;
        }
        let (tail, first) = (reader.tail, log.first());
        let turn = std::mem::replace(&mut reader.turn, Turn::None);
        self.note_lowest(tail, first);
        if had_own {
            self.post(
                id.shard(),
                Post::Leave {
                    member: id.member(),
                },
            );
        }
        self.reader_is_due(id);
        self.caught_up(id, turn);
        // One that begins where the log does may be in it before its own upstream, which it leaves here, has answered.
        self.opened(id, Ok(()));
        true
    }

    /// The upstream reader of a socket that fell off could not be had: it is asked for again a little later, for a broker
    /// that is away, or wants to be left in peace, is a pause. Until then the socket keeps its place among those that are
    /// caught up, so that the others do not all ask in between. False: the socket has never been in the log, or asking again
    /// is no use.
    pub fn catch_up_again(&mut self, now_ms: u64, id: SocketId, refusal: &Refusal) -> bool {
        let Some(entry) = self.sockets.get(id) else {
            return false;
        };
        let Role::Reader(reader) = &mut entry.role else {
            return false;
        };
        if !may_pass(refusal)
            || !entry.upgraded
            || reader.tail.is_none()
            || !reader.reading.give_up_catching_up()
        {
            return false;
        }
        reader.paused = true;
        let topic = &reader.key.topic;
        let reason = match refusal {
            Refusal::Broker(error) => &error.message,
            Refusal::Busy(text) => text,
        };
        if let Some(unsaid) = self.tails.refused.due(now_ms, topic) {
            tracing::warn!(%topic, unsaid, reason, "a reader that fell behind its log is refused by the broker, and asks again");
        }
        self.wheel
            .insert(now_ms + CATCH_UP_PAUSE_MS, Timer::CatchUp(id));
        true
    }

    /// The pause of a socket whose upstream reader was refused is over.
    pub fn catch_up_due(&mut self, id: SocketId) {
        if let Some(entry) = self.sockets.get(id)
            && let Role::Reader(reader) = &mut entry.role
            && std::mem::take(&mut reader.paused)
        {
            let turn = std::mem::replace(&mut reader.turn, Turn::None);
            self.caught_up(id, turn);
            self.catch_up_if_open(id);
        }
    }

    /// The log has dropped frames that the socket has not got.
    pub fn reader_fell_off(&mut self, now_ms: u64, id: SocketId) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = &mut entry.role else {
            return;
        };
        self.counters.readers_fell_off += 1;
        if is_persistent(&reader.key.topic) {
            return self.catch_up_if_open(id);
        }
        // What a non-persistent topic has sent is nowhere any more.
        if let Some(log) = reader.tail.and_then(|tail| self.tails.log(tail)) {
            reader.reading.go_live(log.first());
        }
        if !self.reader_missed(now_ms, id, Gap::Certain) {
            self.reader_is_due(id);
        }
    }

    /// A socket that may be sent nothing has no upstream reader either.
    pub fn catch_up_if_open(&mut self, id: SocketId) {
        if self.sockets.get(id).is_some_and(|entry| takes_more(entry)) {
            self.catch_up(id);
        }
    }

    /// Opens an upstream reader of the socket's own, from where the socket is.
    pub fn catch_up(&mut self, id: SocketId) {
        let max = self.catch_up_readers_max();
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = &mut entry.role else {
            return;
        };
        if reader.paused || !matches!(reader.reading.place(), Place::Behind(_)) {
            return;
        }
        // A socket that begins has one for itself in any case, as with the Java gateway.
        if entry.upgraded {
            if self.tails.catching_up.len() >= max {
                if !std::mem::replace(&mut reader.queued, true) {
                    self.tails.waiting.push_back(id);
                }
                return;
            }
            reader.turn = Turn::Opening;
            self.tails.catching_up.insert(id);
        }
        if let Some(starts) = reader.reading.catch_up() {
            self.open_own_upstream(id, starts, None);
        }
    }

    pub fn open_own_upstream(
        &mut self,
        id: SocketId,
        starts: Vec<StartPosition>,
        start_time_ms: Option<u64>,
    ) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = &mut entry.role else {
            return;
        };
        reader.joined = false;
        let name = reader.name.as_deref().map(str::to_owned);
        let hub = HubSpec {
            start_time_ms,
            read_compacted: reader.read_compacted,
            ..upstream_reader(&reader.key, name, starts)
        };
        let speaker = reader.key.speaker.clone();
        let join = Join::private(id.member(), hub, by_permits(), speaker);
        self.post(self.index, Post::Join(Box::new(join)));
    }

    pub fn own_upstream(&mut self, id: SocketId, command: Command) {
        let member = id.member();
        self.post(id.shard(), Post::Command { member, command });
    }
}

/// Whether it is a reader socket that may be sent something.
pub(super) fn takes_more(entry: &Entry) -> bool {
    match &entry.role {
        Role::Reader(reader) => reader.reading.open() > 0 && !reader.stalled && !entry.clogged,
        _ => false,
    }
}

/// As with a lost upstream; but for a right that was taken away nobody waits.
fn may_pass(refusal: &Refusal) -> bool {
    let Refusal::Broker(error) = refusal else {
        return false;
    };
    let is_denied = matches!(
        error.kind,
        ErrorKind::Unauthenticated | ErrorKind::Unauthorized
    );
    !is_denied && !error.kind.is_final()
}

/// A consumer as the broker sees it of a reader: where in each partition it begins, the last place for all others.
pub fn upstream_reader(key: &TailKey, name: Option<String>, starts: Vec<StartPosition>) -> HubSpec {
    HubSpec {
        topics: Topics::one(&key.topic),
        subscription: subscription_of(key.speaker.as_ref()),
        subscription_type: SubscriptionType::Exclusive,
        durable: false,
        private: true,
        initial_position: InitialPosition::Latest,
        start: starts.last().copied(),
        starts,
        consumer_name: name,
        priority_level: 0,
        start_time_ms: None,
        read_compacted: false,
        crypto_failure_action: key.crypto_failure_action,
        principal: Principal::GATEWAY,
    }
}

/// Nobody else's. Where brokers decide, a namespace may want it to begin with the role (`subscriptionAuthMode`; clients of
/// Java's name it by `subscriptionRolePrefix`).
pub(super) fn subscription_of(speaker: Option<&Speaker>) -> String {
    let own = format!("reader-{}", random_name(READER_NAME_DIGITS));
    match speaker {
        Some(speaker) => format!("{}-{own}", speaker.role()),
        None => own,
    }
}

/// A member that takes what it has given permits for.
pub fn by_permits() -> MemberSpec {
    MemberSpec {
        subscription_type: SubscriptionType::Exclusive,
        consumer_name: String::new(),
        priority_level: 0,
        window: 0,
        pull_mode: true,
        ack_timeout_ms: 0,
        negative_ack_delay_ms: 0,
        dead_letter: None,
    }
}
