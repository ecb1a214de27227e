//! What a topic looks like from outside, as `pulsar-admin topics stats` shows it.

use ::pulsar::proto::command_subscribe::SubType;

use super::Broker;
use super::names::TopicName;
use super::subscription::Subscription;
use super::topic::Topic;
use crate::pulsar::SubscriptionType;

/// One topic, or one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicStats {
    /// Names of the connected producers, sorted.
    pub publishers: Vec<String>,
    /// Sorted by name.
    pub subscriptions: Vec<SubscriptionStats>,
    /// Entries (messages or batches) ever published.
    pub published_entries: u64,
    /// Entries in memory.
    pub entries: u64,
    /// What they take, bookkeeping included.
    pub bytes: usize,
    /// Entries that went because of a bound.
    pub dropped_entries: u64,
    /// Deliveries of a non-persistent topic for which a subscription had no permits.
    pub missed_deliveries: u64,
    pub terminated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionStats {
    pub name: String,
    pub subscription_type: SubscriptionType,
    pub durable: bool,
    pub consumers: Vec<ConsumerStats>,
    /// Entries not acked.
    pub backlog: u64,
    /// Unacked entries that went because of a bound.
    pub skipped: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerStats {
    pub name: String,
    pub priority_level: i32,
    pub permits: i64,
    /// Messages; counted on Shared and Key_Shared only, as in the broker.
    pub unacked: i64,
    /// At the bound of unacked messages.
    pub blocked: bool,
    /// Exclusive and Failover: the one that gets messages.
    pub active: bool,
}

impl Broker {
    pub fn stats(&self, topic: &str) -> Option<TopicStats> {
        let name = TopicName::parse(topic).ok()?;
        let topic = self.topics.get(*self.by_name.get(&name.full)?)?;
        Some(topic_stats(topic))
    }

    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }
}

fn topic_stats(topic: &Topic) -> TopicStats {
    let mut publishers: Vec<String> = topic.producers.keys().cloned().collect();
    publishers.sort();
    let mut subscriptions: Vec<SubscriptionStats> = topic
        .subscriptions
        .iter()
        .map(|(_, subscription)| subscription_stats(topic, subscription))
        .collect();
    subscriptions.sort_by(|a, b| a.name.cmp(&b.name));
    TopicStats {
        publishers,
        subscriptions,
        published_entries: topic.published,
        entries: topic.log.end() - topic.log.start(),
        bytes: topic.log.bytes(),
        dropped_entries: topic.log.dropped,
        missed_deliveries: topic.missed,
        terminated: topic.log.terminated,
    }
}

fn subscription_stats(topic: &Topic, subscription: &Subscription) -> SubscriptionStats {
    let consumers = subscription
        .consumers
        .iter()
        .map(|(key, consumer)| ConsumerStats {
            name: consumer.name.clone(),
            priority_level: consumer.priority_level,
            permits: consumer.permits,
            unacked: consumer.unacked,
            blocked: consumer.blocked,
            active: subscription.is_active(key),
        });
    SubscriptionStats {
        name: subscription.name.clone(),
        subscription_type: match subscription.kind {
            SubType::Exclusive => SubscriptionType::Exclusive,
            SubType::Shared => SubscriptionType::Shared,
            SubType::Failover => SubscriptionType::Failover,
            SubType::KeyShared => SubscriptionType::KeyShared,
        },
        durable: subscription.durable,
        consumers: consumers.collect(),
        backlog: subscription.cursor.backlog(topic.log.end()),
        skipped: subscription.skipped,
    }
}
