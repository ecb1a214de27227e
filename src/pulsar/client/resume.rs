//! Where a non-durable consumer goes on: its cursor at the broker does not outlive its connection.

use std::cmp::Ordering;

use super::events::Gap;
use super::spec::{ConsumerSpec, SeekTarget, StartPosition};
use crate::pulsar::topics::is_persistent;
use crate::pulsar::types::{InitialPosition, MessageId};

/// An entry that comes again because the broker steps one back from a start position
/// (PersistentTopic.getNonDurableSubscription).
#[derive(Clone, Copy, Debug)]
struct Repeat {
    ledger: u64,
    entry: u64,
    /// Nothing in it is wanted. Otherwise it is the owner's start id without a batch index: of a batch, nothing is
    /// behind that (as in Java).
    whole: bool,
    /// The broker has given it out: it steps back to it as long as it has its ledger.
    given: bool,
}

/// What the first entry after SUBSCRIBE shows; of all others nothing is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// It is behind the reader, and to be dropped.
    Repeat,
    Wanted,
    /// It is wanted, and what lay before it is missing.
    Behind(Gap),
}

/// For a durable consumer all of it stays empty: the broker knows where it is.
#[derive(Debug)]
pub(super) struct Resume {
    durable: bool,
    /// Non-persistent topics have no usable ids, and bring nothing again.
    persistent: bool,
    /// A compacted topic has holes of its own.
    compacted: bool,
    /// Where the next SUBSCRIBE starts.
    next: Start,
    /// Where a seek that is under way will lead.
    seek: Option<StartPosition>,
    /// What a seek that is not answered yet has taken the place of.
    unmoved: Option<Start>,
    /// What the first entry after SUBSCRIBE may be.
    repeat: Option<Repeat>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Start {
    position: Option<StartPosition>,
    /// The whole entry there is behind the reader. Else the position is the owner's word.
    whole: bool,
    /// The entry there has been given out.
    given: bool,
}

impl Resume {
    pub fn new(spec: &ConsumerSpec) -> Resume {
        // To the broker it is the same; but see `wants_fixing`.
        let latest =
            (spec.initial_position == InitialPosition::Latest).then_some(StartPosition::Latest);
        Resume {
            durable: spec.durable,
            persistent: is_persistent(&spec.topic),
            compacted: spec.read_compacted,
            next: Start {
                position: spec.start.or(latest).filter(|_| !spec.durable),
                ..Start::default()
            },
            seek: None,
            unmoved: None,
            repeat: None,
        }
    }

    pub fn start(&self) -> Option<StartPosition> {
        self.next.position
    }

    /// It starts at "latest", which a reconnect would move: the broker is to be asked where that is.
    pub fn wants_fixing(&self) -> bool {
        self.persistent && self.next.position == Some(StartPosition::Latest)
    }

    /// "Latest" is behind this entry.
    pub fn fix(&mut self, ledger: u64, entry: u64) {
        self.go_on_after(ledger, entry, false);
    }

    pub fn subscribed(&mut self) {
        self.unmoved = None;
        self.repeat = match self.next.position {
            Some(StartPosition::After(id)) if id.batch_index < 0 && self.persistent => {
                Some(Repeat {
                    ledger: id.ledger,
                    entry: id.entry,
                    whole: self.next.whole,
                    given: self.next.given && !self.compacted,
                })
            }
            _ => None,
        };
    }

    pub fn lost(&mut self) {
        self.repeat = None;
        if let Some(target) = self.seek.take() {
            let target = Start {
                position: Some(target),
                whole: true,
                given: false,
            };
            self.unmoved = Some(std::mem::replace(&mut self.next, target));
        }
    }

    /// Its topic is in another cluster now, where an entry of the old one says nothing. What is there may all be new.
    pub fn migrated(&mut self) {
        if let Some(StartPosition::After(_)) = self.next.position {
            self.next.position = Some(StartPosition::Earliest);
        }
    }

    /// A seek goes out. Only the broker can tell which entry a time means; like the Java client, a consumer that loses
    /// its cursor then starts at the front.
    pub fn seeking(&mut self, target: SeekTarget) {
        if self.durable {
            return;
        }
        self.seek = Some(match target {
            SeekTarget::Latest => StartPosition::Latest,
            SeekTarget::Earliest | SeekTarget::PublishTime(_) => StartPosition::Earliest,
            // Behind the entry before the target; before entry 0 is entry −1.
            SeekTarget::Message(id) => after(id.ledger, id.entry.wrapping_sub(1)),
        });
    }

    /// The stream goes on where it was, unless it has begun at the target already.
    pub fn seek_refused(&mut self) {
        self.seek = None;
        if let Some(before) = self.unmoved.take() {
            self.next = before;
        }
    }

    /// The broker steps back to the entry that it gave out last, and drops ledgers as a whole: what comes further on in the
    /// same ledger was not the next one.
    pub fn first(&mut self, id: &MessageId, is_batch: impl FnOnce() -> bool) -> First {
        let Some(repeat) = self.repeat.take() else {
            return First::Wanted;
        };
        let next = repeat.entry.saturating_add(1);
        match id.ledger.cmp(&repeat.ledger) {
            Ordering::Equal if id.entry == repeat.entry && (repeat.whole || !is_batch()) => {
                First::Repeat
            }
            Ordering::Equal if repeat.given && id.entry > next => First::Behind(Gap::Certain),
            Ordering::Greater if repeat.given => First::Behind(Gap::Possible),
            _ => First::Wanted,
        }
    }

    /// The first entry cannot be read.
    pub fn corrupt(&mut self) {
        self.repeat = None;
    }

    pub fn gave_out(&mut self, id: &MessageId) {
        if !self.durable {
            self.go_on_after(id.ledger, id.entry, true);
        }
    }

    fn go_on_after(&mut self, ledger: u64, entry: u64, given: bool) {
        self.next = Start {
            position: Some(after(ledger, entry)),
            whole: true,
            given,
        };
    }
}

fn after(ledger: u64, entry: u64) -> StartPosition {
    StartPosition::After(MessageId {
        ledger,
        entry,
        partition: -1,
        batch_index: -1,
        batch_size: 0,
    })
}
