//! The topics of a hub, how many partitions they have, and the slots that follow from that: more of both may come while
//! members are here, and a pattern's topics may go.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::Hub;
use super::effect::{Effect, Topics};
use super::lifecycle::Phase;
use super::limits::{MAX_LIST_MS, MAX_SLOTS};
use super::matching::Matching;
use super::slot::{Link, Slot};
use super::unsettled::Index;
use crate::pulsar::client::{ConsumerSpec, StartPosition};
use crate::pulsar::topics::{is_persistent, partition_index, partition_name, split_partition};
use crate::pulsar::{BrokerError, ErrorKind, InitialPosition};

/// One topic, partitioned or not.
#[derive(Debug)]
pub(super) struct Topic {
    pub name: Arc<str>,
    /// None: not yet known. 0: it is not partitioned.
    count: Option<u32>,
    /// (partition, slot), by partition.
    slots: Vec<(i32, usize)>,
}

impl Topic {
    fn new(name: Arc<str>) -> Topic {
        Topic {
            name,
            count: None,
            slots: Vec::new(),
        }
    }

    pub fn slot(&self, partition: i32) -> Option<usize> {
        let at = self
            .slots
            .binary_search_by_key(&partition, |(of, _)| *of)
            .ok()?;
        Some(self.slots[at].1)
    }

    /// Of a topic with one slot only.
    pub fn only_slot(&self) -> Option<(i32, usize)> {
        match self.slots[..] {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// From where the broker gives what a new slot's topic holds already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// What the client has asked for.
    Subscription,
    /// The partition is new: nothing of it has been missed.
    Earliest,
}

impl Hub {
    /// Asks which topics and partitions there are.
    pub(super) fn ask_for_topics(&mut self, out: &mut Vec<Effect>) {
        self.phase = Phase::Counting;
        match &self.spec.topics {
            Topics::Named(names) => {
                self.topics = names.iter().cloned().map(Topic::new).collect();
                out.extend(names.iter().map(|topic| Effect::CountPartitions {
                    topic: topic.clone(),
                }));
            }
            Topics::Pattern(pattern) => out.push(Effect::ListTopics(pattern.clone())),
        }
    }

    /// A named topic's first count. When it is the last one, everything is opened.
    pub(super) fn counted(
        &mut self,
        topic: &str,
        partitions: Result<u32, BrokerError>,
        out: &mut Vec<Effect>,
    ) {
        if self.phase != Phase::Counting {
            return;
        }
        let partitions = match partitions {
            Ok(partitions) => partitions,
            Err(error) => return self.fail(&error, None, out),
        };
        if let Some(at) = self.topic_at(topic) {
            self.topics[at].count.get_or_insert(partitions);
        }
        let slots = self.topics.iter().map(|topic| topic.count);
        let slots = slots.map(|count| Some(count?.max(1) as usize));
        let Some(slots) = slots.sum::<Option<usize>>() else {
            return;
        };
        if slots > MAX_SLOTS {
            return self.fail(&too_many(), None, out);
        }
        self.phase = Phase::Opening;
        self.open_counted(out);
    }

    fn open_counted(&mut self, out: &mut Vec<Effect>) {
        // A partition may be named beside its topic.
        let mut open = FxHashSet::default();
        for at in 0..self.topics.len() {
            let topic = &self.topics[at];
            let partitions = match topic.count {
                None | Some(0) => -1..0,
                Some(count) => 0..count as i32,
            };
            let name = topic.name.clone();
            for partition in partitions {
                if open.insert(partition_name(&name, partition)) {
                    self.open_slot(at, partition, From::Subscription, out);
                }
            }
        }
    }

    /// A partitioned topic has so many partitions now. Told again and again: what could not be opened is tried anew.
    pub(super) fn open_grown(&mut self, topic: &str, partitions: u32, out: &mut Vec<Effect>) {
        let Some(at) = self.topic_at(topic).filter(|_| self.phase == Phase::Open) else {
            return;
        };
        let known = self.topics[at].slots.len();
        if self.unsubscribing.is_some()
            || self.topics[at].count.is_none_or(|count| count == 0)
            || self.live_slots() + (partitions as usize).saturating_sub(known) > MAX_SLOTS
        {
            return;
        }
        for partition in 0..partitions as i32 {
            if self.topics[at].slot(partition).is_none() {
                self.open_slot(at, partition, From::Earliest, out);
            }
        }
    }

    /// The pattern's namespace has these topics and partitions.
    pub(super) fn listed(
        &mut self,
        now_ms: u64,
        names: Result<Arc<Vec<String>>, BrokerError>,
        out: &mut Vec<Effect>,
    ) {
        if self.phase == Phase::Finished || !matches!(self.spec.topics, Topics::Pattern(_)) {
            return;
        }
        match names {
            Ok(names) => {
                self.list_due_ms = None;
                self.matching = Some(Box::new(Matching::new(now_ms, names)));
                self.match_further(now_ms, out);
            }
            Err(error) => {
                self.list_again(now_ms);
                if self.unsubscribing.is_some() {
                    return;
                }
                if self.phase == Phase::Counting {
                    return self.fail(&error, None, out);
                }
                let (pattern, text) = (self.spec.topics.name(), error.message);
                tracing::warn!(pattern, %text, "the topics of a pattern could not be listed");
            }
        }
    }

    fn list_again(&mut self, now_ms: u64) {
        let wait_ms = self.limits.topics_update_ms.min(MAX_LIST_MS);
        self.list_due_ms = Some(now_ms + wait_ms);
    }

    /// Looks at more of the list that has come. When it was the last of it, the hub follows it.
    pub(super) fn match_further(&mut self, now_ms: u64, out: &mut Vec<Effect>) {
        let Topics::Pattern(pattern) = &self.spec.topics else {
            return;
        };
        let due = |matching: &mut Box<Matching>| matching.due_ms <= now_ms;
        let Some(mut matching) = self.matching.take_if(due) else {
            return;
        };
        if !matching.go_on(now_ms, pattern, &mut self.verdicts) {
            self.matching = Some(matching);
            return;
        }
        self.list_again(now_ms);
        // It may fail: then the list is followed as before.
        if self.unsubscribing.is_none() {
            self.follow(&matching, out);
        }
    }

    fn follow(&mut self, matching: &Matching, out: &mut Vec<Effect>) {
        let first = self.phase == Phase::Counting;
        let mut wanted: Vec<_> = matching.matched().map(split_partition).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.len() > MAX_SLOTS {
            if first {
                return self.fail(&too_many(), None, out);
            }
            let pattern = self.spec.topics.name();
            tracing::warn!(
                pattern,
                "more topics than one consumer may have: some are left out"
            );
            wanted.truncate(MAX_SLOTS);
        }
        if first {
            self.phase = Phase::Opening;
        }
        self.close_unlisted(&wanted, out);
        self.open_listed(&wanted, first, out);
        self.opened_if_ready(out);
    }

    fn close_unlisted(&mut self, wanted: &[(&str, i32)], out: &mut Vec<Effect>) {
        let gone = |slot: &usize| {
            let slot = &self.slots[*slot];
            let name = (&*slot.topic, slot.partition);
            slot.link != Link::Closed && wanted.binary_search(&name).is_err()
        };
        let gone: Vec<usize> = (0..self.slots.len()).filter(gone).collect();
        for slot in gone {
            self.remove_slot(slot, out);
        }
    }

    fn open_listed(&mut self, wanted: &[(&str, i32)], first: bool, out: &mut Vec<Effect>) {
        for of_topic in wanted.chunk_by(|(one, _), (other, _)| one == other) {
            let name = of_topic[0].0;
            let (at, grown) = match self.topic_at(name) {
                Some(at) => (at, !first && !self.topics[at].slots.is_empty()),
                None => {
                    let at = self.topics.partition_point(|topic| &*topic.name < name);
                    self.topics.insert(at, Topic::new(name.into()));
                    (at, false)
                }
            };
            let from = match grown {
                true => From::Earliest,
                false => From::Subscription,
            };
            for (_, partition) in of_topic {
                if self.topics[at].slot(*partition).is_none() {
                    self.open_slot(at, *partition, from, out);
                }
            }
        }
    }

    pub(super) fn topic_at(&self, name: &str) -> Option<usize> {
        self.topics
            .binary_search_by(|topic| (*topic.name).cmp(name))
            .ok()
    }

    fn open_slot(&mut self, topic: usize, partition: i32, from: From, out: &mut Vec<Effect>) {
        let is_reader = self.is_reader();
        let start = match from {
            From::Subscription => self.start_of(partition),
            From::Earliest => is_reader.then_some(StartPosition::Earliest),
        };
        let is_pattern = matches!(self.spec.topics, Topics::Pattern(_));
        let full_name = partition_name(&self.topics[topic].name, partition);
        let (consumer_name, priority_level) = self.upstream_name(&full_name, partition);
        let Topic { name, slots, .. } = &mut self.topics[topic];
        let spec = ConsumerSpec {
            principal: self.spec.principal,
            topic: full_name,
            // A client may name one partition of a topic.
            partition: match partition {
                ..0 => partition_index(name),
                _ => partition,
            },
            subscription: self.spec.subscription.clone(),
            subscription_type: self.spec.subscription_type,
            durable: self.spec.durable && !is_reader,
            initial_position: match from {
                From::Subscription => self.spec.initial_position,
                From::Earliest => InitialPosition::Earliest,
            },
            start,
            consumer_name,
            priority_level,
            read_compacted: self.spec.read_compacted,
            // A topic of a pattern that is deleted is not to come back by being consumed.
            create_topic: !is_pattern,
        };
        let mut new = Slot::new(name.clone(), spec.partition, start);
        new.persistent = is_persistent(name);
        new.may_go = is_pattern || from == From::Earliest;
        let slot = match self.closed_slots.pop() {
            Some(slot) => {
                self.slots[slot] = new;
                slot
            }
            None => {
                self.slots.push(new);
                self.slots.len() - 1
            }
        };
        let place = slots.partition_point(|(of, _)| *of < partition);
        slots.insert(place, (partition, slot));
        self.candidates.slots_added();
        out.push(Effect::OpenConsumer { slot, spec });
    }

    pub(super) fn live_slots(&self) -> usize {
        self.slots.len() - self.closed_slots.len()
    }

    /// Its topic is gone, or it could not be had: the others go on without it. Members keep the places in their windows
    /// that its messages take until they ack them.
    pub(super) fn remove_slot(&mut self, slot: usize, out: &mut Vec<Effect>) {
        self.forget_messages(slot);
        let state = &mut self.slots[slot];
        let name = state.topic.clone();
        *state = Slot::new(name.clone(), state.partition, None);
        state.link = Link::Closed;
        if let Some(at) = self.topic_at(&name) {
            self.topics[at].slots.retain(|(_, of)| *of != slot);
            if self.topics[at].slots.is_empty() && matches!(self.spec.topics, Topics::Pattern(_)) {
                self.topics.remove(at);
            }
        }
        self.closed_slots.push(slot);
        self.candidates.slots_added();
        out.push(Effect::CloseConsumer { slot });
        self.seek_without(slot, out);
        self.unsubscribe_without(slot, out);
    }

    /// Nothing of the slot waits or is held any more, and no ids of it are known.
    pub(super) fn forget_messages(&mut self, slot: usize) {
        self.slots[slot].gone_by = None;
        self.drop_waiting(slot);
        let entries: Vec<_> = self.slots[slot].entries.keys().copied().collect();
        for key in entries {
            let indexes = self.slots[slot].entries.get(&key).map(|entry| entry.all());
            for index in indexes.into_iter().flatten() {
                self.drop_index(slot, key, index);
            }
            self.forget_entry(slot, key);
        }
        self.partials.forget_slot(slot);
        self.ledgers.forget_slot(slot);
    }

    /// Its subscription is deleted, and its members stay: as if it had not been open before.
    pub(super) fn reopen_slot(&mut self, slot: usize, out: &mut Vec<Effect>) {
        let name = self.slots[slot].topic.clone();
        let slots = self.topic_at(&name).map(|at| &self.topics[at].slots);
        let place = slots.and_then(|slots| slots.iter().find(|(_, of)| *of == slot));
        let Some((partition, _)) = place.copied() else {
            return;
        };
        self.remove_slot(slot, out);
        let at = self.topic_at(&name).unwrap_or_else(|| {
            // A pattern's topic goes with its last slot.
            let at = self.topics.partition_point(|topic| topic.name < name);
            self.topics.insert(at, Topic::new(name));
            at
        });
        self.open_slot(at, partition, From::Subscription, out);
    }

    /// Out of the hands of its member, whose window stays charged.
    fn drop_index(&mut self, slot: usize, key: super::slot::EntryKey, index: i32) {
        let entry = self.slots[slot].entries.get(&key);
        let held = entry.and_then(|entry| entry.get(index));
        let charged = match held {
            Some(Index::Held(member)) => Some(member),
            _ => None,
        };
        self.take_back(slot, key, index, Index::Absent);
        if let Some(member) = charged {
            self.members.change(member, |m| m.charge_again(1));
        }
    }
}

fn too_many() -> BrokerError {
    BrokerError {
        kind: ErrorKind::Other,
        message: format!("More than {MAX_SLOTS} topics and partitions for one consumer"),
    }
}
