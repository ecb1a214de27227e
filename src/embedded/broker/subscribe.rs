//! SUBSCRIBE, CLOSE_CONSUMER, UNSUBSCRIBE, and what becomes of a consumer that goes.

use ::pulsar::proto::command_subscribe::{InitialPosition, SubType};
use ::pulsar::proto::{
    CommandCloseConsumer, CommandSubscribe, CommandUnsubscribe, MessageIdData, ServerError,
};

use super::connection::{ConnectionId, ConsumerRef};
use super::consumer::Consumer;
use super::cursor::Cursor;
use super::log::Log;
use super::moves::Resource;
use super::names::MAX_NAME_BYTES;
use super::subscription::{Joining, Refusal, Subscription};
use super::topic::Topic;
use super::{Broker, MAX_PER_CONNECTION};

impl Broker {
    pub(super) fn subscribe(&mut self, id: ConnectionId, request: &CommandSubscribe) {
        let known = self.consumer_ref(id, request.consumer_id).is_some();
        let result = match known {
            // As the broker answers a repeated request.
            true => Ok(()),
            false => {
                let resource = Resource::Consumer(request.consumer_id);
                match self.sent_away(id, &request.topic, resource) {
                    Ok(true) => return,
                    Ok(false) => self.create_consumer(id, request),
                    Err(refusal) => Err(refusal),
                }
            }
        };
        if let Some(connection) = self.connections.touch(id) {
            match result {
                Ok(()) => connection.success(request.request_id),
                Err(refusal) => {
                    connection.error(request.request_id, refusal.error, refusal.message);
                }
            }
        }
    }

    pub(super) fn consumer_ref(&self, id: ConnectionId, consumer_id: u64) -> Option<ConsumerRef> {
        let connection = self.connections.get(id)?;
        connection.consumers.get(&consumer_id).copied()
    }

    fn create_consumer(
        &mut self,
        id: ConnectionId,
        request: &CommandSubscribe,
    ) -> Result<(), Refusal> {
        self.faults.refuse_create()?;
        let name = request.consumer_name.clone().unwrap_or_default();
        if request.subscription.len() > MAX_NAME_BYTES || name.len() > MAX_NAME_BYTES {
            return Err(Refusal::new(
                ServerError::NotAllowedError,
                "Subscription or consumer name is too long",
            ));
        }
        if request.subscription.trim().is_empty() {
            return Err(Refusal::new(
                ServerError::ProducerBusy,
                "Empty subscription name",
            ));
        }
        let full = self
            .connections
            .get(id)
            .is_none_or(|connection| connection.consumers.len() >= MAX_PER_CONNECTION);
        if full {
            return Err(Refusal::new(
                ServerError::TooManyRequests,
                "Too many consumers on this connection",
            ));
        }
        let create = request.force_topic_creation.unwrap_or(true);
        let topic_key = self.topic(&request.topic, create)?;
        self.check_consumers(&self.topics[topic_key])?;
        let now_ms = self.now_ms;
        let topic = &mut self.topics[topic_key];
        let subscription_key = find_or_add_subscription(topic, request, now_ms)?;
        let mut consumer = Consumer::new(id, request.consumer_id, name);
        consumer.priority_level = request.priority_level.unwrap_or(0);
        consumer.epoch = request.consumer_epoch;
        let joining = Joining {
            kind: request.sub_type(),
            key_shared: request.key_shared_meta.as_ref(),
        };
        let Topic {
            name: topic_name,
            subscriptions,
            ..
        } = topic;
        let subscription = &mut subscriptions[subscription_key];
        let added =
            subscription.add_consumer(consumer, &joining, topic_name, &mut self.connections);
        let consumer = match added {
            Ok(key) => key,
            Err(refusal) => {
                self.drop_if_unused(topic_key, subscription_key);
                return Err(refusal);
            }
        };
        let at = ConsumerRef {
            topic: topic_key,
            subscription: subscription_key,
            consumer,
        };
        if let Some(connection) = self.connections.touch(id) {
            connection.consumers.insert(request.consumer_id, at);
        }
        self.mark_dirty(topic_key, subscription_key);
        Ok(())
    }

    pub(super) fn close_consumer(&mut self, id: ConnectionId, request: &CommandCloseConsumer) {
        if let Some(at) = self.forget_consumer(id, request.consumer_id) {
            self.remove_consumer(at);
        }
        if let Some(connection) = self.connections.touch(id) {
            connection.success(request.request_id);
        }
    }

    pub(super) fn unsubscribe(&mut self, id: ConnectionId, request: &CommandUnsubscribe) {
        let refusal = match self.consumer_ref(id, request.consumer_id) {
            None => Some("Consumer not found"),
            Some(at) => {
                let subscription = self.subscription_mut(at.topic, at.subscription);
                match subscription.is_some_and(|s| s.can_unsubscribe(at.consumer)) {
                    true => {
                        self.forget_consumer(id, request.consumer_id);
                        self.remove_consumer(at);
                        if let Some(topic) = self.topics.get_mut(at.topic) {
                            topic.remove_subscription(at.subscription);
                        }
                        None
                    }
                    false => Some("Unconnected or shared consumer attempting to unsubscribe"),
                }
            }
        };
        if let Some(connection) = self.connections.touch(id) {
            match refusal {
                None => connection.success(request.request_id),
                Some(text) => {
                    connection.error(request.request_id, ServerError::MetadataError, text);
                }
            }
        }
    }

    fn forget_consumer(&mut self, id: ConnectionId, consumer_id: u64) -> Option<ConsumerRef> {
        let connection = self.connections.touch(id)?;
        connection.consumers.remove(&consumer_id)
    }

    /// Takes a consumer, which its connection has forgotten already, off its subscription.
    pub(super) fn remove_consumer(&mut self, at: ConsumerRef) {
        let Some(topic) = self.topics.get_mut(at.topic) else {
            return;
        };
        let Topic {
            name,
            subscriptions,
            ..
        } = topic;
        if let Some(subscription) = subscriptions.get_mut(at.subscription) {
            subscription.remove_consumer(at.consumer, name);
            self.mark_dirty(at.topic, at.subscription);
            self.drop_if_unused(at.topic, at.subscription);
        }
    }

    /// A non-durable subscription ends with its last consumer, unless that is only closed to move the cursor.
    fn drop_if_unused(&mut self, topic: usize, subscription: usize) {
        let Some(topic) = self.topics.get_mut(topic) else {
            return;
        };
        let unused = topic
            .subscriptions
            .get(subscription)
            .is_some_and(|s| !s.durable && !s.resetting && s.consumers.is_empty());
        if unused {
            topic.remove_subscription(subscription);
        }
    }

    /// The broker closes these consumers: they are told, and gone.
    pub(super) fn close_consumers_of(
        &mut self,
        topic: usize,
        subscription: usize,
        consumers: &[usize],
        owner: &str,
    ) {
        for &consumer in consumers {
            let at = ConsumerRef {
                topic,
                subscription,
                consumer,
            };
            let found = self.subscription_mut(topic, subscription);
            let Some((connection, consumer_id)) = found
                .and_then(|s| s.consumers.get(consumer))
                .map(|c| (c.connection, c.consumer_id))
            else {
                continue;
            };
            self.forget_consumer(connection, consumer_id);
            self.tell_closed(connection, Resource::Consumer(consumer_id), owner);
            self.remove_consumer(at);
        }
    }
}

fn find_or_add_subscription(
    topic: &mut Topic,
    request: &CommandSubscribe,
    now_ms: u64,
) -> Result<usize, Refusal> {
    let durable = request.durable.unwrap_or(true);
    if let Some(key) = topic.subscription(&request.subscription) {
        if topic.name.persistent && topic.subscriptions[key].durable != durable {
            return Err(Refusal::new(
                ServerError::NotAllowedError,
                match durable {
                    true => "NonDurable subscription with the same name already exists.",
                    false => "Durable subscription with the same name already exists.",
                },
            ));
        }
        return Ok(key);
    }
    let log = &topic.log;
    let initial = match request.initial_position() {
        InitialPosition::Latest => log.end(),
        InitialPosition::Earliest => log.start(),
    };
    let rollback_ms = request
        .start_message_rollback_duration_sec
        .unwrap_or(0)
        .saturating_mul(1_000);
    let start = match &request.start_message_id {
        _ if rollback_ms > 0 => log.published_at_or_after(now_ms.saturating_sub(rollback_ms)),
        Some(id) if !durable => {
            // The entry itself comes again: the client leaves out what it has of it. Behind the last entry the
            // initial position counts, as in `NonDurableCursorImpl`.
            match is_behind_all(log, id) {
                true => initial,
                false => log.at_or_after(id.ledger_id, id.entry_id),
            }
        }
        _ => initial,
    };
    let name = request.subscription.clone();
    let kind = SubType::try_from(request.sub_type).unwrap_or(SubType::Exclusive);
    topic.add_subscription(Subscription::new(name, durable, kind, Cursor::new(start)))
}

/// Whether a position is beyond the one after the last entry. Ids below 0 mean a beginning, of all or of a ledger.
fn is_behind_all(log: &Log, id: &MessageIdData) -> bool {
    if log.end() == log.start() {
        return true;
    }
    let (ledger, entry) = log.position(log.end() - 1);
    let is_id = (id.ledger_id as i64) >= 0 && (id.entry_id as i64) >= 0;
    is_id && (id.ledger_id, id.entry_id) > (ledger, entry.saturating_add(1))
}
