//! What an administrator does: namespaces, partitioned topics, unload, terminate, delete, cursors.

use std::io;

use ::pulsar::proto::MessageIdData;

use super::Broker;
use super::cursor::Cursor;
use super::moves::{NO_OWNER, Resource};
use super::names::{TopicName, partition_name};
use super::subscription::Subscription;
use super::topic::Topic;

/// More partitions than any test or demo wants; every one is a topic.
const MAX_PARTITIONS: u32 = 1_000;

pub(super) fn not_found(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{what} not found"))
}

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text.into())
}

pub(super) fn parse(topic: &str) -> io::Result<TopicName> {
    TopicName::parse(topic).map_err(invalid)
}

impl Broker {
    /// `tenant/namespace` or `tenant/cluster/namespace`.
    pub fn create_namespace(&mut self, namespace: &str) -> io::Result<()> {
        let parts = namespace.split('/').filter(|part| !part.is_empty()).count();
        if !(2..=3).contains(&parts) || parts != namespace.split('/').count() {
            return Err(invalid(format!("Invalid namespace: {namespace}")));
        }
        self.namespaces.insert(namespace.to_owned());
        Ok(())
    }

    pub fn create_partitioned_topic(&mut self, topic: &str, partitions: u32) -> io::Result<()> {
        let name = parse(topic)?;
        if !(1..=MAX_PARTITIONS).contains(&partitions) || name.partition >= 0 {
            return Err(invalid("Number of partitions should be 1 to 1000"));
        }
        if !self.has_namespace(&name.namespace) {
            return Err(not_found("Namespace"));
        }
        self.partitioned.insert(name.full.clone(), partitions);
        for n in 0..partitions {
            self.topic(&partition_name(&name.full, n), true)
                .map_err(|refusal| io::Error::other(refusal.message))?;
        }
        Ok(())
    }

    /// More partitions than before. They have the subscriptions that the others have, from their beginning, as
    /// `PersistentTopicsBase.updatePartitionedTopic` makes them.
    pub fn update_partitioned_topic(&mut self, topic: &str, partitions: u32) -> io::Result<()> {
        let name = parse(topic)?;
        let Some(&before) = self.partitioned.get(&name.full) else {
            return Err(not_found("Topic"));
        };
        if !(before + 1..=MAX_PARTITIONS).contains(&partitions) {
            return Err(invalid("Number of partitions must be greater than it is"));
        }
        let first = self.by_name.get(&partition_name(&name.full, 0)).copied();
        let subscriptions: Vec<_> = first
            .into_iter()
            .flat_map(|key| &self.topics[key].subscriptions)
            .filter(|(_, subscription)| subscription.durable)
            .map(|(_, subscription)| (subscription.name.clone(), subscription.kind))
            .collect();
        self.partitioned.insert(name.full.clone(), partitions);
        for n in before..partitions {
            let key = self
                .topic(&partition_name(&name.full, n), true)
                .map_err(|refusal| io::Error::other(refusal.message))?;
            let topic = &mut self.topics[key];
            for (name, kind) in &subscriptions {
                let cursor = Cursor::new(topic.log.start());
                let subscription = Subscription::new(name.clone(), true, *kind, cursor);
                topic
                    .add_subscription(subscription)
                    .map_err(|refusal| io::Error::other(refusal.message))?;
            }
        }
        Ok(())
    }

    pub(super) fn topic_keys(&self) -> Vec<usize> {
        self.topics.iter().map(|(key, _)| key).collect()
    }

    /// The topic, or all partitions of it.
    pub(super) fn topics_named(&self, topic: &str) -> io::Result<Vec<usize>> {
        let name = parse(topic)?;
        let keys = match self.partitioned.get(&name.full) {
            Some(&n) => (0..n)
                .filter_map(|n| self.by_name.get(&partition_name(&name.full, n)).copied())
                .collect(),
            None => Vec::from_iter(self.by_name.get(&name.full).copied()),
        };
        match keys.is_empty() {
            true => Err(not_found("Topic")),
            false => Ok(keys),
        }
    }

    /// Producers and consumers are closed and find the topic again, in a new ledger.
    pub fn unload(&mut self, now_ms: u64, topic: &str) -> io::Result<()> {
        let keys = self.topics_named(topic)?;
        self.unload_all(now_ms, keys);
        Ok(())
    }

    pub fn unload_namespace(&mut self, now_ms: u64, namespace: &str) -> io::Result<()> {
        if !self.has_namespace(namespace) {
            return Err(not_found("Namespace"));
        }
        let topics = self.topics.iter();
        let keys = topics.filter(|(_, topic)| topic.name.namespace == namespace);
        let keys = keys.map(|(key, _)| key).collect();
        self.unload_all(now_ms, keys);
        Ok(())
    }

    fn unload_all(&mut self, now_ms: u64, keys: Vec<usize>) {
        self.begin(now_ms);
        for key in keys {
            self.disconnect_all(key, NO_OWNER);
            let ledger = self.new_ledger();
            self.topics[key].log.new_ledger(ledger);
        }
        self.end();
    }

    /// With force: producers and consumers are closed first.
    pub fn delete_topic(&mut self, now_ms: u64, topic: &str) -> io::Result<()> {
        let keys = self.topics_named(topic)?;
        self.begin(now_ms);
        for key in keys {
            self.disconnect_all(key, NO_OWNER);
            let topic = self.topics.remove(key);
            self.bytes -= topic.log.bytes();
            self.by_name.remove(&topic.name.full);
        }
        self.partitioned.remove(&parse(topic)?.full);
        self.end();
        Ok(())
    }

    /// Nothing more can be published, and producers are closed. Consumers learn of the end when everything is acked.
    pub fn terminate(&mut self, now_ms: u64, topic: &str) -> io::Result<()> {
        let keys = self.topics_named(topic)?;
        self.begin(now_ms);
        for key in keys {
            self.topics[key].log.terminated = true;
            self.disconnect_producers(key, NO_OWNER);
            for subscription in subscription_keys(&self.topics[key]) {
                self.mark_dirty(key, subscription);
            }
        }
        self.end();
        Ok(())
    }

    /// To the first message published at `time_ms` or later (0: the earliest, `u64::MAX`: the latest).
    pub fn reset_cursor(
        &mut self,
        now_ms: u64,
        topic: &str,
        subscription: &str,
        time_ms: u64,
    ) -> io::Result<()> {
        let keys = self.topics_named(topic)?;
        self.begin(now_ms);
        let mut found = false;
        for key in keys {
            if let Some(subscription) = self.topics[key].subscription(subscription) {
                found = true;
                let position = (time_ms == u64::MAX).then(|| MessageIdData {
                    ledger_id: i64::MAX as u64,
                    entry_id: i64::MAX as u64,
                    ..MessageIdData::default()
                });
                self.reset(key, subscription, position.as_ref(), Some(time_ms));
            }
        }
        self.end();
        match found {
            true => Ok(()),
            false => Err(not_found("Subscription")),
        }
    }

    /// CLOSE_PRODUCER and CLOSE_CONSUMER to everyone on the topic; `owner`: where it is next, or [`NO_OWNER`].
    pub(super) fn disconnect_all(&mut self, key: usize, owner: &str) {
        self.disconnect_producers(key, owner);
        for subscription in subscription_keys(&self.topics[key]) {
            let found = &self.topics[key].subscriptions[subscription];
            let consumers: Vec<usize> = found.consumers.iter().map(|(key, _)| key).collect();
            self.close_consumers_of(key, subscription, &consumers, owner);
        }
    }

    fn disconnect_producers(&mut self, key: usize, owner: &str) {
        let producers = std::mem::take(&mut self.topics[key].producers);
        for producer in producers.into_values() {
            if let Some(connection) = self.connections.touch(producer.connection) {
                connection.producers.remove(&producer.producer_id);
                connection.remember_closed(producer.producer_id);
            }
            let resource = Resource::Producer(producer.producer_id);
            self.tell_closed(producer.connection, resource, owner);
        }
    }
}

fn subscription_keys(topic: &Topic) -> Vec<usize> {
    topic.subscriptions.iter().map(|(key, _)| key).collect()
}
