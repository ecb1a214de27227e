//! PRODUCER, SEND, CLOSE_PRODUCER.

use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::command_subscribe::SubType;
use ::pulsar::proto::{
    CommandCloseProducer, CommandProducer, CommandProducerSuccess, CommandSend, CommandSendError,
    CommandSendReceipt, MessageIdData, ProducerAccessMode, ServerError,
};
use bytes::Bytes;

use super::codec::Malformed;
use super::connection::{ConnectionId, ProducerRef};
use super::consumer::Turn;
use super::cursor::Cursor;
use super::entry::{another_follows, read_entry};
use super::log::{Entry, Log};
use super::moves::Resource;
use super::names::MAX_NAME_BYTES;
use super::subscription::{Refusal, Subscription};
use super::topic::{Producer, Topic};
use super::{Broker, MAX_PER_CONNECTION};

impl Broker {
    pub(super) fn producer(&mut self, id: ConnectionId, request: &CommandProducer) {
        let known = self
            .connections
            .get(id)
            .and_then(|connection| connection.producers.get(&request.producer_id));
        if let Some(known) = known {
            // As the broker answers a repeated request: without the last sequence id.
            let name = known.name.to_string();
            return self.producer_success(id, request, name, -1);
        }
        let resource = Resource::Producer(request.producer_id);
        let created = match self.sent_away(id, &request.topic, resource) {
            Ok(true) => return,
            Ok(false) => self.create_producer(id, request),
            Err(refusal) => Err(refusal),
        };
        match created {
            Ok((name, last_sequence_id)) => {
                self.producer_success(id, request, name, last_sequence_id);
            }
            Err(refusal) => {
                if let Some(connection) = self.connections.touch(id) {
                    connection.error(request.request_id, refusal.error, refusal.message);
                }
            }
        }
    }

    fn producer_success(
        &mut self,
        id: ConnectionId,
        request: &CommandProducer,
        producer_name: String,
        last_sequence_id: i64,
    ) {
        let success = CommandProducerSuccess {
            request_id: request.request_id,
            producer_name,
            last_sequence_id: Some(last_sequence_id),
            producer_ready: Some(true),
            ..CommandProducerSuccess::default()
        };
        self.answer(id, Type::ProducerSuccess, &success);
    }

    fn create_producer(
        &mut self,
        id: ConnectionId,
        request: &CommandProducer,
    ) -> Result<(String, i64), Refusal> {
        self.faults.refuse_create()?;
        let exclusive = is_exclusive(request.producer_access_mode())?;
        let name = self.producer_name(request)?;
        let full = self
            .connections
            .get(id)
            .is_none_or(|connection| connection.producers.len() >= MAX_PER_CONNECTION);
        if full {
            return Err(Refusal::new(
                ServerError::TooManyRequests,
                "Too many producers on this connection",
            ));
        }
        let key = self.topic(&request.topic, true)?;
        self.check_producers(&self.topics[key])?;
        let producer = Producer {
            connection: id,
            producer_id: request.producer_id,
            epoch: request.epoch.unwrap_or(0),
            exclusive,
        };
        let topic = &mut self.topics[key];
        topic.check_producer(&name, &producer)?;
        add_initial_subscription(topic, request)?;
        topic.producers.insert(name.clone(), producer);
        let last_sequence_id = topic.last_sequence_id(&name);
        if let Some(connection) = self.connections.touch(id) {
            let producer = ProducerRef {
                topic: key,
                name: name.as_str().into(),
            };
            connection.producers.insert(request.producer_id, producer);
        }
        Ok((name, last_sequence_id))
    }

    /// The name it asks for, or one that no other broker gives.
    fn producer_name(&mut self, request: &CommandProducer) -> Result<String, Refusal> {
        match &request.producer_name {
            Some(name) if name.len() > MAX_NAME_BYTES => Err(Refusal::new(
                ServerError::NotAllowedError,
                "Producer name is too long",
            )),
            Some(name) => Ok(name.clone()),
            None => {
                self.generated_names += 1;
                let port = self.service_url.rsplit(':').next().unwrap_or_default();
                Ok(format!("embedded-{port}-{}", self.generated_names))
            }
        }
    }

    pub(super) fn close_producer(&mut self, id: ConnectionId, request: &CommandCloseProducer) {
        let Some(connection) = self.connections.touch(id) else {
            return;
        };
        if let Some(producer) = connection.producers.remove(&request.producer_id) {
            connection.remember_closed(request.producer_id);
            if let Some(topic) = self.topics.get_mut(producer.topic) {
                topic.producers.remove(&*producer.name);
            }
        }
        connection.success(request.request_id);
    }

    /// A SEND of an unknown producer closes the connection, unless that producer was closed a moment ago.
    pub(super) fn send(
        &mut self,
        id: ConnectionId,
        send: &CommandSend,
        body: &Bytes,
    ) -> Result<(), Malformed> {
        let Some(connection) = self.connections.touch(id) else {
            return Ok(());
        };
        let Some(producer) = connection.producers.get(&send.producer_id) else {
            return match connection.has_recently_closed(send.producer_id) {
                true => Ok(()),
                false => Err(Malformed),
            };
        };
        let producer = producer.clone();
        let now_ms = self.now_ms;
        self.faults.charge(connection, body.len(), now_ms);
        match self.publish(&producer, send, body) {
            Ok((ledger_id, entry_id)) => {
                if self.faults.swallow_receipts {
                    return Ok(());
                }
                let receipt = CommandSendReceipt {
                    producer_id: send.producer_id,
                    sequence_id: send.sequence_id,
                    message_id: Some(MessageIdData {
                        ledger_id,
                        entry_id,
                        ..MessageIdData::default()
                    }),
                    // −1 outside a batch.
                    highest_sequence_id: Some(send.highest_sequence_id.unwrap_or(u64::MAX)),
                };
                self.answer(id, Type::SendReceipt, &receipt);
            }
            Err(refusal) => {
                let highest = send.highest_sequence_id.unwrap_or(0);
                let error = CommandSendError {
                    producer_id: send.producer_id,
                    sequence_id: send.sequence_id.max(highest),
                    error: refusal.error as i32,
                    message: refusal.message,
                };
                self.answer(id, Type::SendError, &error);
            }
        }
        Ok(())
    }

    /// Returns (ledger, entry): −1, −1 of a duplicate, 0, 0 on a non-persistent topic.
    fn publish(
        &mut self,
        producer: &ProducerRef,
        send: &CommandSend,
        body: &Bytes,
    ) -> Result<(u64, u64), Refusal> {
        let entry = read_entry(body, self.options.max_message_bytes)?;
        let deduplicate = self.options.deduplication;
        let Some(topic) = self.topics.get_mut(producer.topic) else {
            return Err(Refusal::new(
                ServerError::PersistenceError,
                "Producer is closed",
            ));
        };
        if topic.log.terminated {
            return Err(Refusal::new(
                ServerError::TopicTerminatedError,
                "Managed ledger was already terminated",
            ));
        }
        if !topic.name.persistent {
            topic.published += 1;
            self.deliver_at_once(producer.topic, entry);
            return Ok((0, 0));
        }
        // All chunks of a message have its sequence id, and the last one counts: as in Java's MessageDeduplication.
        let deduplicate = deduplicate && !(send.is_chunk() && another_follows(body));
        let highest = send.highest_sequence_id.unwrap_or(0);
        if deduplicate && topic.is_duplicate(&producer.name, send.sequence_id, highest) {
            return Ok((u64::MAX, u64::MAX));
        }
        topic.published += 1;
        self.bytes += entry.bytes();
        let index = topic.log.append(entry);
        let position = topic.log.position(index);
        for (key, subscription) in &mut topic.subscriptions {
            if !std::mem::replace(&mut subscription.dirty, true) {
                self.dirty.push((producer.topic, key));
            }
        }
        self.keep_bounds(producer.topic);
        Ok(position)
    }

    fn deliver_at_once(&mut self, topic: usize, entry: Entry) {
        let Some(topic) = self.topics.get_mut(topic) else {
            return;
        };
        // Every message of a non-persistent topic has the id 0:0.
        let mut log = Log::new(0);
        let index = log.append(entry);
        for (_, subscription) in &mut topic.subscriptions {
            let mut turn = Turn {
                log: &log,
                connections: &mut self.connections,
                partition: topic.name.partition,
                now_ms: self.now_ms,
            };
            if !subscription.deliver_at_once(index, &mut turn) {
                topic.missed += 1;
            }
        }
    }

    /// Drops the oldest messages of this topic while it is too large, and of the largest one while all are.
    fn keep_bounds(&mut self, topic: usize) {
        if let Some(topic) = self.topics.get_mut(topic) {
            while topic.log.bytes() > self.options.topic_bytes {
                self.bytes -= topic.log.drop_oldest();
            }
        }
        if self.bytes <= self.options.total_bytes {
            return;
        }
        let largest = self.topics.iter_mut().max_by_key(|(_, t)| t.log.bytes());
        if let Some((_, topic)) = largest {
            // An eighth at once, so that the search for the largest is rare.
            let keep_bytes = topic.log.bytes() / 8 * 7;
            while topic.log.bytes() > keep_bytes {
                self.bytes -= topic.log.drop_oldest();
            }
        }
    }
}

fn is_exclusive(mode: ProducerAccessMode) -> Result<bool, Refusal> {
    match mode {
        ProducerAccessMode::Shared => Ok(false),
        ProducerAccessMode::Exclusive => Ok(true),
        ProducerAccessMode::WaitForExclusive | ProducerAccessMode::ExclusiveWithFencing => {
            Err(Refusal::new(
                ServerError::NotAllowedError,
                "The embedded broker knows Shared and Exclusive producers only",
            ))
        }
    }
}

/// The subscription that is to be there before the first message, where it may be and is not yet.
fn add_initial_subscription(topic: &mut Topic, request: &CommandProducer) -> Result<(), Refusal> {
    if let Some(subscription) = request.initial_subscription_name.as_deref()
        && !subscription.is_empty()
        && subscription.len() <= MAX_NAME_BYTES
        && topic.name.persistent
        && topic.subscription(subscription).is_none()
    {
        let cursor = Cursor::new(topic.log.start());
        let name = subscription.to_owned();
        topic.add_subscription(Subscription::new(name, true, SubType::Exclusive, cursor))?;
    }
    Ok(())
}
