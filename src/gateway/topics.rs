//! What this shard asks about topics: first counts of their partitions, the lists of patterns, and for as long as a
//! partitioned topic is in use whether it has new partitions: one question each interval, however many sockets there are.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::hub_places::HubId;
use super::lane::LaneKind;
use super::post::SocketId;
use super::shard::{Shard, Timer};
use crate::pulsar::client::{Principal, Tag};
use crate::pulsar::{BrokerError, TopicsPattern};
use crate::runtime::TimerKey;

/// Who is told of new partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watcher {
    Hub(HubId),
    Producer(SocketId),
}

/// Whose question it is.
pub enum Asked {
    HubPartitions { hub: HubId, topic: Arc<str> },
    HubTopics(HubId),
    ProducerPartitions(SocketId),
    DeadLetterPartitions { outlet: usize, generation: u32 },
    Watch(WatchId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WatchId(u64);

struct Watch {
    topic: Arc<str>,
    /// In whose name it is asked.
    principal: Principal,
    watchers: FxHashSet<Watcher>,
    /// None while it is being asked.
    timer: Option<TimerKey>,
}

#[derive(Default)]
pub struct TopicQuestions {
    /// Of questions and watches.
    next_id: u64,
    asked: FxHashMap<Tag, Asked>,
    watches: FxHashMap<WatchId, Watch>,
    by_topic: FxHashMap<(Arc<str>, Principal), WatchId>,
}

impl TopicQuestions {
    fn ask(&mut self, asked: Asked) -> Tag {
        self.next_id += 1;
        self.asked.insert(self.next_id, asked);
        self.next_id
    }
}

impl Shard {
    /// A first count; it may create the topic.
    pub fn count_partitions(&mut self, now_ms: u64, lane: LaneKind, topic: &str, asked: Asked) {
        let principal = self.asks_for(&asked);
        let tag = self.topics.ask(asked);
        let client = &mut self.lane(lane).client;
        client.count_partitions(now_ms, principal, topic, tag);
    }

    /// In whose name.
    fn asks_for(&self, asked: &Asked) -> Principal {
        match asked {
            Asked::HubPartitions { hub, .. } | Asked::HubTopics(hub) => {
                self.hubs.principal(hub.place)
            }
            Asked::ProducerPartitions(id) => self.principals.of(*id),
            Asked::DeadLetterPartitions { outlet, .. } => self.dead_letter_principal(*outlet),
            Asked::Watch(id) => {
                let watch = self.topics.watches.get(id);
                watch.map_or(Principal::GATEWAY, |watch| watch.principal)
            }
        }
    }

    pub fn list_for_hub(&mut self, now_ms: u64, hub: HubId, pattern: &TopicsPattern) {
        let principal = self.hubs.principal(hub.place);
        let tag = self.topics.ask(Asked::HubTopics(hub));
        self.consuming
            .client
            .list_topics(now_ms, principal, pattern, tag);
    }

    pub fn partitions_answered(&mut self, now_ms: u64, tag: Tag, result: Result<u32, BrokerError>) {
        match self.topics.asked.remove(&tag) {
            // A hub that has ended meanwhile is told nothing, and nobody would end its watch.
            Some(Asked::HubPartitions { hub, .. }) if self.hubs.place_by_id(hub).is_none() => {}
            Some(Asked::HubPartitions { hub, topic }) => {
                if result.as_ref().is_ok_and(|count| *count > 0) {
                    let principal = self.hubs.principal(hub.place);
                    self.watch_partitions(now_ms, &topic, principal, Watcher::Hub(hub));
                }
                self.hub_partitions(now_ms, hub, &topic, result);
            }
            Some(Asked::ProducerPartitions(id)) => self.producer_partitions(now_ms, id, result),
            Some(Asked::DeadLetterPartitions { outlet, generation }) => {
                self.letters_counted(now_ms, outlet, generation, result);
            }
            Some(Asked::Watch(watch)) => self.watch_answered(now_ms, watch, result),
            Some(Asked::HubTopics(_)) | None => {}
        }
    }

    pub fn topics_answered(
        &mut self,
        now_ms: u64,
        tag: Tag,
        result: Result<Arc<Vec<String>>, BrokerError>,
    ) {
        if let Some(Asked::HubTopics(hub)) = self.topics.asked.remove(&tag) {
            self.hub_topics(now_ms, hub, result);
        }
    }

    /// From now on the watcher is told how many partitions the topic has, each interval.
    pub fn watch_partitions(
        &mut self,
        now_ms: u64,
        topic: &str,
        principal: Principal,
        watcher: Watcher,
    ) {
        let questions = &mut self.topics;
        let topic: Arc<str> = topic.into();
        let key = (topic.clone(), principal);
        if let Some(watch) = questions.by_topic.get(&key) {
            if let Some(watch) = questions.watches.get_mut(watch) {
                watch.watchers.insert(watcher);
            }
            return;
        }
        questions.next_id += 1;
        let id = WatchId(questions.next_id);
        let timer = self
            .wheel
            .insert(now_ms + self.config.topics_update_ms, Timer::Partitions(id));
        let watch = Watch {
            topic,
            principal,
            watchers: FxHashSet::from_iter([watcher]),
            timer: Some(timer),
        };
        questions.watches.insert(id, watch);
        questions.by_topic.insert(key, id);
    }

    pub fn unwatch_partitions(&mut self, topic: &str, principal: Principal, watcher: Watcher) {
        let questions = &mut self.topics;
        let key = (topic.into(), principal);
        let Some(id) = questions.by_topic.get(&key).copied() else {
            return;
        };
        let Some(watch) = questions.watches.get_mut(&id) else {
            return;
        };
        watch.watchers.remove(&watcher);
        if watch.watchers.is_empty() {
            if let Some(timer) = watch.timer.take() {
                self.wheel.cancel(timer);
            }
            questions.watches.remove(&id);
            questions.by_topic.remove(&key);
        }
    }

    /// It is time to ask. On the connections of whoever uses the topic: there is one already.
    pub fn partitions_due(&mut self, now_ms: u64, id: WatchId) {
        let Some(watch) = self.topics.watches.get_mut(&id) else {
            return;
        };
        watch.timer = None;
        let is_hub = |watcher: &Watcher| matches!(watcher, Watcher::Hub(_));
        let kind = match watch.watchers.iter().any(is_hub) {
            true => LaneKind::Consuming,
            false => LaneKind::Publishing,
        };
        let (topic, principal) = (watch.topic.clone(), watch.principal);
        let tag = self.topics.ask(Asked::Watch(id));
        let client = &mut self.lane(kind).client;
        client.recount_partitions(now_ms, principal, &topic, tag);
    }

    fn watch_answered(&mut self, now_ms: u64, id: WatchId, result: Result<u32, BrokerError>) {
        let Some(watch) = self.topics.watches.get_mut(&id) else {
            return;
        };
        let due_ms = now_ms + self.config.topics_update_ms;
        watch.timer = Some(self.wheel.insert(due_ms, Timer::Partitions(id)));
        let topic = watch.topic.clone();
        let partitions = match result {
            Ok(partitions) => partitions,
            Err(error) => {
                let text = error.message;
                return tracing::warn!(%topic, %text, "whether there are new partitions is not known");
            }
        };
        let watchers: Vec<_> = watch.watchers.iter().copied().collect();
        for watcher in watchers {
            match watcher {
                Watcher::Hub(hub) => self.hub_partitions_now(now_ms, hub, &topic, partitions),
                Watcher::Producer(id) => self.producer_partitions_now(now_ms, id, partitions),
            }
        }
    }
}
