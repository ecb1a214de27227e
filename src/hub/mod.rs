//! Everything about one (topics, subscription) in this process: its upstream consumers, its members, what is unsettled.
//!
//! Sans-IO: [`Hub`] is given the members' wishes, the upstream's events and a clock, and writes [`Effect`]s.
//! It serves Exclusive, Failover and Shared subscriptions and readers. A Key_Shared hub has one member, and the broker
//! chooses between hubs: permits cannot be addressed to a key, so that behind one upstream consumer a member with a full
//! window would stop the keys of all others; and which keys are whose, when a key may move, and what other gateways have
//! is known to the broker alone.
//!
//! | file | what it decides |
//! |---|---|
//! | `topics` | which topics and partitions there are, and their slots |
//! | `lifecycle` | joining, leaving, opening and closing the upstream, unsubscribing |
//! | `arrival` | what an entry from the broker is: new, a repeat, asked for again; opening it |
//! | `decryption` | encrypted entries: the data keys they want, and what nobody here can decrypt |
//! | `chunks` | messages that come in several entries |
//! | `delivery`, `portion` | who gets the next messages, and how much at a time |
//! | `failover` | Failover: which member is active on each partition |
//! | `permits` | how much the broker may send |
//! | `settle` | acks and negative acks |
//! | `cumulative` | acks of a message and all before it |
//! | `seek` | moving the subscription |
//! | `sibling_seek` | the same, on another hub of the subscription |
//! | `acks` | acks on their way to the broker |
//! | `redelivery` | negative-ack delays, ack timeouts |
//! | `dead_letters` | what goes to a dead-letter topic instead |
//! | `requests` | commands whose clients wait for the outcome |
//! | `reconnect` | a lost upstream and its return |
//! | `members`, `member`, `pace` | turns, windows, what each member holds, how much it is given at a time |
//! | `slot`, `unsettled`, `memory`, `partials` | state: an upstream consumer, an entry, acked positions, half-acked batches |
//! | `ledgers` | which topic a message id is of |
//!
//! # Invariants
//!
//! 1. A message is held by one member at a time. It is given out again only after a negative ack, an ack timeout,
//!    or when its member has left.
//! 2. What a member holds is at most its window, and the broker's permits together at most the sum of windows that are
//!    open, plus one per slot, plus what is expected to be repeats.
//! 3. An ack for one index never becomes an ack of the whole entry, unless it was the last one.
//! 4. What is acked is not given out again, unless the broker closed the consumer in order (an admin's cursor reset).
#![forbid(unsafe_code)]

mod acks;
mod arrival;
mod chunks;
mod cumulative;
mod dead_letters;
mod decryption;
mod delivery;
mod effect;
mod failover;
mod ledgers;
mod lifecycle;
mod limits;
mod matching;
mod member;
mod members;
mod memory;
mod pace;
mod partials;
mod permits;
mod portion;
mod reconnect;
mod redelivery;
mod requests;
mod seek;
mod settle;
mod sibling_seek;
mod slot;
pub mod tail;
#[cfg(test)]
pub(crate) mod tests;
mod topics;
mod unsettled;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use effect::*;
pub use limits::{Limits, PULL_WINDOW, Stats};

use crate::pulsar::client::{Gap, Tag};
use crate::pulsar::crypto::DataKey;
use crate::pulsar::{BrokerError, Message, MessageId, SubscriptionType};
use dead_letters::DeadLetters;
use decryption::Decryption;
use failover::{ActiveSlots, Candidates};
use ledgers::Ledgers;
use lifecycle::{Phase, Unsubscribing};
use matching::{Matching, Verdicts};
use members::Members;
use partials::Partials;
use portion::Portion;
use requests::Requests;
use seek::Seeking;
use slot::{Link, Position, Slot};
use topics::Topic;

/// See the module. Every method takes the clock in milliseconds, which never goes back, and appends to `out`; effects are
/// to be carried out in their order. After [`Effect::Finished`] nothing has an effect any more.
#[derive(Debug)]
pub struct Hub {
    spec: HubSpec,
    limits: Limits,
    phase: Phase,
    stats: Stats,
    /// Joined ones; empty until the upstream is open.
    members: Members,
    /// Not yet joined, in the order of their coming.
    waiting: Vec<(MemberId, MemberSpec)>,
    /// By name.
    topics: Vec<Topic>,
    slots: Vec<Slot>,
    /// Places in `slots` whose topic is gone.
    closed_slots: Vec<usize>,
    ledgers: Ledgers,
    /// When the pattern's namespace is asked again.
    list_due_ms: Option<u64>,
    /// Of a pattern: its list that is being looked at, and what is known of the names of the last one.
    matching: Option<Box<Matching>>,
    verdicts: Verdicts,
    portion: Portion,
    /// Slots with entries that still are part of what was read from the connection.
    pinned: Vec<usize>,
    /// The slot that gives the next message, so that no partition starves another.
    next_slot: usize,
    /// Of a reader: what is missing before the message that is given out next.
    gap: Option<Gap>,
    /// What the slots count as waiting, together.
    waiting_in_slots: usize,
    /// Messages of members that left: before all others, in order.
    passed_on: BTreeMap<Position, Message>,
    partials: Partials,
    /// Negatively acked messages by the time at which the broker is asked for them.
    delayed: BTreeSet<(u64, Position)>,
    dead_letters: DeadLetters,
    /// None: this gateway has no private keys.
    decryption: Option<Box<Decryption>>,
    /// To be told at the end of this turn.
    undecryptable: Option<Box<Undecryptable>>,
    requests: Requests,
    ack_due_ms: Option<u64>,
    next_tag: Tag,
    unsubscribing: Option<Unsubscribing>,
    seeking: Option<Seeking>,
    /// One entry for each seek of another hub that is moving this slot.
    moved_by_others: Vec<usize>,
    /// It is where `HubSpec::start_time_ms` wants it, or on its way there.
    started: bool,
    /// Failover: members that may be active, and where each is.
    candidates: Candidates,
    active_slots: ActiveSlots,
    /// Charged for waiting entries, for what is unsettled, and for messages of which chunks are missing.
    retained_bytes: usize,
    /// Part of `retained_bytes`: messages of which chunks are missing.
    incomplete_bytes: usize,
    /// Messages that members hold.
    held: usize,
    /// A running mean of what a message from this broker takes.
    mean_bytes: usize,
}

impl Hub {
    pub fn new(spec: HubSpec, limits: Limits) -> Hub {
        Hub {
            spec,
            limits,
            phase: Phase::New,
            stats: Stats::default(),
            members: Members::default(),
            waiting: Vec::new(),
            topics: Vec::new(),
            slots: Vec::new(),
            closed_slots: Vec::new(),
            ledgers: Ledgers::default(),
            list_due_ms: None,
            matching: None,
            verdicts: Verdicts::default(),
            portion: Portion::default(),
            pinned: Vec::new(),
            next_slot: 0,
            gap: None,
            waiting_in_slots: 0,
            passed_on: BTreeMap::new(),
            partials: Partials::default(),
            delayed: BTreeSet::new(),
            dead_letters: DeadLetters::default(),
            decryption: limits.decrypts.then(Box::default),
            undecryptable: None,
            requests: Requests::default(),
            ack_due_ms: None,
            next_tag: 0,
            unsubscribing: None,
            seeking: None,
            moved_by_others: Vec::new(),
            started: false,
            candidates: Candidates::default(),
            active_slots: ActiveSlots::new(),
            retained_bytes: 0,
            incomplete_bytes: 0,
            held: 0,
            mean_bytes: limits::FIRST_MEAN_BYTES,
        }
    }

    /// A new member. Answered by `Joined` or `Refused`, at once or once the upstream is open.
    pub fn join(&mut self, now_ms: u64, member: MemberId, spec: MemberSpec, out: &mut Vec<Effect>) {
        self.admit(member, spec, out);
        self.pump(now_ms, out);
    }

    /// The member's socket is gone; harmless for one that is not here.
    pub fn leave(&mut self, now_ms: u64, member: MemberId, out: &mut Vec<Effect>) {
        self.dismiss(now_ms, member, out);
        self.pump(now_ms, out);
    }

    /// All that members and the broker have said in one turn: what comes of it is delivered in one go. Commands of those
    /// who are no members (any more) are put into `strangers`.
    pub fn run(
        &mut self,
        now_ms: u64,
        inputs: impl IntoIterator<Item = Input>,
        strangers: &mut Vec<(MemberId, Command)>,
        out: &mut Vec<Effect>,
    ) {
        for input in inputs {
            match input {
                Input::Command(member, command) if self.members.contains(member) => {
                    self.obey(now_ms, member, command, out);
                }
                Input::Command(member, command) => strangers.push((member, command)),
                Input::AckByOther {
                    member,
                    request,
                    id,
                } => self.ack_by_other(now_ms, member, request, id, out),
                Input::SeekByOther(seek) => self.seek_by_other(&seek),
                Input::Upstream(slot, event) if slot < self.slots.len() => {
                    self.take_event(now_ms, slot, event, out);
                }
                Input::Upstream(..) => {}
            }
        }
        self.pump(now_ms, out);
    }

    /// Whether the entry waits here or was given out from here, and is not settled.
    pub fn knows(&self, id: &MessageId) -> bool {
        self.slot_of(id).is_some_and(|slot| {
            self.slots[slot]
                .entries
                .contains_key(&(id.ledger, id.entry))
        })
    }

    /// The answer to [`Effect::CountPartitions`].
    pub fn partitions(
        &mut self,
        now_ms: u64,
        topic: &str,
        result: Result<u32, BrokerError>,
        out: &mut Vec<Effect>,
    ) {
        self.counted(topic, result, out);
        self.pump(now_ms, out);
    }

    /// A partitioned topic has so many partitions by now. To be told once in a while, also when nothing has changed.
    pub fn partitions_now(
        &mut self,
        now_ms: u64,
        topic: &str,
        partitions: u32,
        out: &mut Vec<Effect>,
    ) {
        self.open_grown(topic, partitions, out);
        self.pump(now_ms, out);
    }

    /// The answer to [`Effect::ListTopics`]: all topics of the namespace, of partitioned ones the partitions; it may be
    /// filtered already.
    pub fn topics_listed(
        &mut self,
        now_ms: u64,
        result: Result<Arc<Vec<String>>, BrokerError>,
        out: &mut Vec<Effect>,
    ) {
        self.listed(now_ms, result, out);
        self.pump(now_ms, out);
    }

    /// The answer to [`Effect::WantDataKey`]; None: it is for others.
    pub fn data_key(&mut self, now_ms: u64, key: Option<Arc<DataKey>>, out: &mut Vec<Effect>) {
        self.data_key_known(now_ms, key);
        self.pump(now_ms, out);
    }

    /// To be called when [`Hub::next_deadline_ms`] is reached; harmless at other times.
    pub fn tick(&mut self, now_ms: u64, out: &mut Vec<Effect>) {
        if !self.is_seeking() {
            if self.ack_due_ms.is_some_and(|due_ms| due_ms <= now_ms) {
                self.send_all_acks(out);
            }
            self.expire_chunks(now_ms);
            self.redeliver_due(now_ms, out);
        }
        self.linger_on(now_ms, out);
        self.expire_requests(now_ms, out);
        self.match_further(now_ms, out);
        if self
            .list_due_ms
            .take_if(|due_ms| *due_ms <= now_ms)
            .is_some()
            && let Topics::Pattern(pattern) = &self.spec.topics
        {
            out.push(Effect::ListTopics(pattern.clone()));
        }
        self.pump(now_ms, out);
    }

    pub fn next_deadline_ms(&self) -> Option<u64> {
        let delayed = self.delayed.first().map(|(due_ms, _)| *due_ms);
        let upstream = [
            self.ack_due_ms,
            delayed,
            self.members.next_timeout_ms(),
            self.chunks_expire_ms(),
            self.goes_on_ms(),
        ];
        let others = [
            self.dead_letters.lingers_until_ms(),
            self.requests.next_deadline_ms(),
            self.list_due_ms,
            self.matching.as_ref().map(|matching| matching.due_ms),
        ];
        let upstream = upstream.into_iter().filter(|_| !self.is_seeking());
        upstream.chain(others).flatten().min()
    }

    pub fn spec(&self) -> &HubSpec {
        &self.spec
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// What [`Limits::hub_retained_bytes`] bounds.
    pub fn retained_bytes(&self) -> usize {
        self.retained_bytes
    }

    /// What members in pull mode hold beyond `PULL_WINDOW` each.
    pub fn hoarded(&self) -> u64 {
        self.members.hoarded()
    }

    /// Joined members and those that wait for it.
    pub fn member_count(&self) -> usize {
        self.members.len() + self.waiting.len()
    }

    fn obey(&mut self, now_ms: u64, member: MemberId, command: Command, out: &mut Vec<Effect>) {
        match command {
            Command::Ack(id) => self.ack(now_ms, member, id, out),
            Command::NegativeAck(id) => {
                self.negative_ack(now_ms, member, id);
            }
            Command::AckCumulative(id) => {
                if let Some(number) = self.open_request(now_ms, member, None, out) {
                    self.ack_cumulative(now_ms, member, number, id, out);
                }
            }
            Command::Seek(target) => {
                if let Some(number) = self.open_request(now_ms, member, None, out) {
                    self.seek(number, target, out);
                }
            }
            Command::Handled => self.free(member, 1),
            Command::Permit(messages) => {
                self.members.change(member, |m| m.permit(messages));
            }
            Command::Unsubscribe => self.unsubscribe(member, None, out),
            Command::IsEndOfTopic => out.push(Effect::EndOfTopic {
                member,
                reached: self.at_end_of_topics(),
            }),
            Command::Asked(asked) => self.obey_asked(now_ms, member, *asked, out),
            Command::Clogged => {
                self.members.change(member, |m| m.clogged = true);
            }
            Command::Drained => {
                self.members.change(member, |m| m.clogged = false);
            }
        }
    }

    fn take_event(&mut self, now_ms: u64, slot: usize, event: Upstream, out: &mut Vec<Effect>) {
        match event {
            Upstream::Ready => self.slot_ready(slot, out),
            Upstream::Lost { abrupt } => self.slot_lost(slot, abrupt),
            Upstream::Migrated => self.slot_migrated(slot, out),
            Upstream::Resumed => self.slot_resumed(now_ms, slot, out),
            Upstream::Failed(error) => self.slot_failed(slot, error, out),
            Upstream::Gap(gap) => self.slots[slot].gap = Some(gap),
            Upstream::Entry(entry) => self.arrive(now_ms, slot, entry, out),
            Upstream::Corrupt { .. } => self.corrupt_arrived(slot),
            Upstream::Skipped if self.is_seeking() => {}
            Upstream::Skipped => self.redeliver_all(slot, out),
            Upstream::EndOfTopic => self.slots[slot].end_of_topic = true,
            Upstream::AckDone { tag, result } => self.ack_done(slot, tag, result, out),
            Upstream::Sought { tag, result } => self.sought(slot, tag, result, out),
            Upstream::Unsubscribed { tag, result } => self.unsubscribed(slot, tag, result, out),
        }
    }

    fn pump(&mut self, now_ms: u64, out: &mut Vec<Effect>) {
        self.portion.begin(now_ms);
        if self.phase == Phase::Open && !self.is_seeking() {
            self.choose_active(out);
            self.excuse_stalled_chunks(now_ms);
            self.deliver(now_ms, out);
            self.want_data_key(out);
            self.tell_undecryptable(out);
            if self.goes_on_ms().is_none() {
                self.flow(out);
            }
            self.note_stalled_chunks();
        }
        self.unpin_waiting();
    }

    fn is_in_pull_mode(&self, member: MemberId) -> bool {
        self.members.get(member).is_some_and(|m| m.spec.pull_mode)
    }

    fn free(&mut self, member: MemberId, messages: u32) {
        self.members.change(member, |m| m.free_any(messages));
    }

    /// Whether the broker stops the upstream consumer at a number of unacked messages while others could go on.
    fn is_limited(&self) -> bool {
        self.spec.durable && self.may_pass_on()
    }

    /// Milliseconds since 1970, as far as is known here: the clock may have been set since.
    fn wall_ms(&self, now_ms: u64) -> u64 {
        self.limits.wall_zero_ms.saturating_add(now_ms)
    }

    fn is_reader(&self) -> bool {
        self.spec.start.is_some()
    }

    /// Of all topics, as Java's MultiTopicsConsumerImpl says it: yes, where there is none.
    fn at_end_of_topics(&self) -> bool {
        let mut slots = self.slots.iter().filter(|slot| slot.link != Link::Closed);
        slots.all(|slot| slot.end_of_topic)
    }

    /// Whether messages have ids that can be acked. A reader acks nothing; on a non-persistent topic every id is 0:0
    /// (or as good as that), and the broker keeps nothing: acks and nacks only free the window there.
    fn is_acked_upstream(&self, slot: usize) -> bool {
        !self.is_reader() && self.slots[slot].persistent
    }

    fn is_acked_anywhere(&self) -> bool {
        (0..self.slots.len()).any(|slot| self.is_acked_upstream(slot))
    }

    /// Whether a message may go from one member to another. Where only one member can be, the broker replays.
    fn passes_on(&self, slot: usize) -> bool {
        self.is_acked_upstream(slot) && self.may_pass_on()
    }

    fn may_pass_on(&self) -> bool {
        self.spec.subscription_type == SubscriptionType::Shared && !self.spec.private
    }

    /// Whether the broker redelivers single messages; else everything, in order.
    fn redelivers_single(&self) -> bool {
        matches!(
            self.spec.subscription_type,
            SubscriptionType::Shared | SubscriptionType::KeyShared
        )
    }

    /// Whether a message id does not tell by its partition which slot it is of.
    fn has_several_topics(&self) -> bool {
        match &self.spec.topics {
            Topics::Named(names) => names.len() > 1,
            Topics::Pattern(_) => true,
        }
    }

    fn slot_of(&self, id: &MessageId) -> Option<usize> {
        if self.has_several_topics() {
            let slot = self.ledgers.slot(id.ledger)?;
            let partition = self.slots[slot].partition;
            return (id.partition < 0 || id.partition == partition).then_some(slot);
        }
        let topic = self.topics.first()?;
        match topic.only_slot() {
            Some((_, slot)) if id.partition < 0 || id.partition == self.slots[slot].partition => {
                Some(slot)
            }
            Some(_) => None,
            None => topic.slot(id.partition),
        }
    }
}
