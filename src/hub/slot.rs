//! One upstream consumer (one topic, or one partition of one) as the hub sees it. Data and small questions; the rules are in the hub's files.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::acks::Gathering;
use super::chunks::Chunks;
use super::effect::MemberId;
use super::memory::AckedMemory;
use super::unsettled::EntryState;
use crate::pulsar::client::{Gap, StartPosition};
use crate::pulsar::crypto::Tried;
use crate::pulsar::{Entry, Message};

/// Ledger and entry: an entry's name within its slot.
pub(super) type EntryKey = (u64, u64);

/// The place right behind an entry.
pub(super) fn behind((ledger, entry): EntryKey) -> EntryKey {
    (ledger, entry.saturating_add(1))
}

/// A message's name within the hub. Ordered as the broker orders them within a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Position {
    pub slot: u32,
    pub ledger: u64,
    pub entry: u64,
    /// −1 outside a batch.
    pub index: i32,
}

impl Position {
    pub fn key(&self) -> EntryKey {
        (self.ledger, self.entry)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Never ready so far.
    Opening,
    Up,
    /// Lost; the client machine is getting it back.
    Down,
    /// Its topic is gone from the hub; the place is free.
    Closed,
}

/// An entry that waits, not yet opened, and how many messages are expected in it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub entry: Entry,
    pub messages: u32,
    /// What is missing before it.
    pub gap: Option<Gap>,
    /// Part of what was read from the connection, all of which it keeps alive.
    pub pinned: bool,
    /// Of an encrypted entry that waits for a data key.
    pub tried: Tried,
}

impl Waiting {
    pub fn key(&self) -> EntryKey {
        (self.entry.ledger, self.entry.entry)
    }
}

#[derive(Debug)]
pub(super) struct Slot {
    /// Without the partition.
    pub topic: Arc<str>,
    /// What message ids carry: −1 when the topic is not partitioned.
    pub partition: i32,
    /// Of a reader: where it began.
    pub start: Option<StartPosition>,
    pub persistent: bool,
    /// The publish time that the slot was moved to, if nothing has come since.
    pub moved_to_ms: Option<u64>,
    /// Messages published earlier are skipped, up to the first that was not.
    pub not_before_ms: Option<u64>,
    /// The hub goes on without it when the broker refuses it.
    pub may_go: bool,
    pub link: Link,
    /// The broker's count of our permits. Negative when the last batch was larger than what it had.
    pub permits: i64,
    /// How many messages of the resumed stream are expected to be repeats.
    pub repeats: u32,
    /// What is missing before the next entry that comes.
    pub gap: Option<Gap>,
    /// Entries in the order of their coming.
    pub queue: VecDeque<Waiting>,
    /// The messages of the entry that was in front of `queue`.
    pub opened: VecDeque<Message>,
    /// What `opened` is charged with, where entries' own states are not.
    pub opened_bytes: usize,
    /// Messages in `queue` and `opened`, by expectation.
    pub waiting: usize,
    /// Every entry that has a message waiting, held or delayed.
    pub entries: FxHashMap<EntryKey, EntryState>,
    pub chunks: Chunks,
    pub acked: AckedMemory,
    pub gathering: Gathering,
    /// Of a reader: the last entry that was given out as a whole, until the broker is told.
    pub read_up_to: Option<EntryKey>,
    pub end_of_topic: bool,
    /// Of a non-durable consumer: the last entry that had come when it lost its cursor. The new one begins behind it.
    pub gone_by: Option<EntryKey>,
    /// Failover: the member that gets what comes here.
    pub active: Option<MemberId>,
    /// Of the entry that came last.
    pub last_ledger: Option<u64>,
    /// The furthest entry that came: so far at least the topic goes.
    pub furthest: Option<EntryKey>,
    /// How often everything was asked for again: the epoch that valid deliveries have.
    pub redelivered_all: u64,
}

impl Slot {
    pub fn new(topic: Arc<str>, partition: i32, start: Option<StartPosition>) -> Slot {
        Slot {
            topic,
            persistent: true,
            moved_to_ms: None,
            not_before_ms: None,
            may_go: false,
            partition,
            start,
            link: Link::Opening,
            permits: 0,
            repeats: 0,
            gap: None,
            queue: VecDeque::new(),
            opened: VecDeque::new(),
            opened_bytes: 0,
            waiting: 0,
            entries: FxHashMap::default(),
            chunks: Chunks::default(),
            acked: AckedMemory::default(),
            gathering: Gathering::default(),
            read_up_to: None,
            end_of_topic: false,
            gone_by: None,
            active: None,
            last_ledger: None,
            furthest: None,
            redelivered_all: 0,
        }
    }

    pub fn is_up(&self) -> bool {
        self.link == Link::Up
    }

    /// Whether the entry was sent before the last redelivery of everything (ConsumerBase.isValidConsumerEpoch).
    /// The client machine drops what it sees of these; here it is about what it had already passed on.
    pub fn is_stale(&self, epoch: Option<u64>) -> bool {
        epoch.is_some_and(|epoch| epoch < self.redelivered_all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_before_the_last_redelivery_of_all_are_stale() {
        let mut slot = Slot::new("t".into(), -1, None);
        assert!(!slot.is_stale(Some(0)));
        slot.redelivered_all = 2;
        assert!(slot.is_stale(Some(0)) && slot.is_stale(Some(1)));
        assert!(!slot.is_stale(Some(2)));
        assert!(!slot.is_stale(None));
    }
}
