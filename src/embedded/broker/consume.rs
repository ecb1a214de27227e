//! What consumers say: FLOW, ACK, REDELIVER_UNACKNOWLEDGED_MESSAGES, SEEK, GET_LAST_MESSAGE_ID.

use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::command_ack::AckType;
use ::pulsar::proto::command_subscribe::SubType;
use ::pulsar::proto::{
    CommandAck, CommandAckResponse, CommandFlow, CommandGetLastMessageId,
    CommandGetLastMessageIdResponse, CommandRedeliverUnacknowledgedMessages, CommandSeek,
    MessageIdData, ServerError,
};

use super::Broker;
use super::connection::{ConnectionId, ConsumerRef};
use super::consumer::message_id;
use super::moves::NO_OWNER;
use super::settle::ack_set_of;
use super::subscription::{Refusal, Subscription};
use super::topic::Topic;

impl Broker {
    pub(super) fn flow(&mut self, id: ConnectionId, flow: &CommandFlow) {
        if let Some(at) = self.consumer_ref(id, flow.consumer_id) {
            if let Some(subscription) = self.subscription_mut(at.topic, at.subscription) {
                subscription.flow(at.consumer, flow.message_permits);
            }
            self.mark_dirty(at.topic, at.subscription);
        }
    }

    /// An ack for a consumer that is not there is ignored, and has no answer, as in the broker.
    pub(super) fn ack(&mut self, id: ConnectionId, ack: &CommandAck) {
        let Some(at) = self.consumer_ref(id, ack.consumer_id) else {
            return;
        };
        let batch_index_acks = self.options.batch_index_acks;
        if let Some(topic) = self.topics.get_mut(at.topic)
            && topic.name.persistent
        {
            match ack.ack_type() {
                AckType::Individual => {
                    for id in &ack.message_id {
                        ack_individual(topic, at, id, batch_index_acks);
                    }
                }
                AckType::Cumulative => {
                    if let [id] = ack.message_id.as_slice() {
                        ack_cumulative(topic, at, id, batch_index_acks);
                    }
                }
            }
            self.mark_dirty(at.topic, at.subscription);
        }
        if let Some(request_id) = ack.request_id {
            let response = CommandAckResponse {
                consumer_id: ack.consumer_id,
                request_id: Some(request_id),
                ..CommandAckResponse::default()
            };
            self.answer(id, Type::AckResponse, &response);
        }
    }

    pub(super) fn redeliver(
        &mut self,
        id: ConnectionId,
        request: &CommandRedeliverUnacknowledgedMessages,
    ) {
        let Some(at) = self.consumer_ref(id, request.consumer_id) else {
            return;
        };
        let Some(topic) = self.topics.get_mut(at.topic) else {
            return;
        };
        let indexes: Vec<u64> = request
            .message_ids
            .iter()
            .filter_map(|id| topic.log.find(id.ledger_id, id.entry_id))
            .collect();
        let indexes = (!request.message_ids.is_empty()).then_some(indexes.as_slice());
        if let Some(subscription) = topic.subscriptions.get_mut(at.subscription) {
            subscription.redeliver(at.consumer, indexes, request.consumer_epoch);
        }
        self.mark_dirty(at.topic, at.subscription);
    }

    pub(super) fn seek(&mut self, id: ConnectionId, seek: &CommandSeek) {
        let result = match (&seek.message_id, seek.message_publish_time) {
            (None, None) => Err("Message id and message publish time were not present"),
            (position, time_ms) => match self.consumer_ref(id, seek.consumer_id) {
                None => Err("Consumer not found"),
                Some(at) => {
                    self.reset(at.topic, at.subscription, position.as_ref(), time_ms);
                    Ok(())
                }
            },
        };
        if let Some(connection) = self.connections.touch(id) {
            match result {
                Ok(()) => connection.success(seek.request_id),
                Err(text) => connection.error(seek.request_id, ServerError::MetadataError, text),
            }
        }
    }

    /// Moves a cursor. The consumers are closed as the broker closes them: the active one of an Exclusive or Failover
    /// subscription, all of a Shared one.
    pub(super) fn reset(
        &mut self,
        topic_key: usize,
        subscription_key: usize,
        position: Option<&MessageIdData>,
        time_ms: Option<u64>,
    ) {
        let batch_index_acks = self.options.batch_index_acks;
        let Some(topic) = self.topics.get(topic_key) else {
            return;
        };
        let Some(subscription) = topic.subscriptions.get(subscription_key) else {
            return;
        };
        if !topic.name.persistent {
            return;
        }
        let all = !matches!(subscription.kind, SubType::Exclusive | SubType::Failover);
        let consumers = subscription.consumers.iter().map(|(key, _)| key);
        let consumers: Vec<usize> = consumers
            .filter(|&key| all || subscription.is_active(key))
            .collect();
        let log = &topic.log;
        let (index, unacked) = match (position, time_ms) {
            (Some(id), _) => {
                let index = log.at_or_after(id.ledger_id, id.entry_id);
                let batch_size = log.get(index).map_or(1, |entry| entry.batch_size);
                let exact = log.find(id.ledger_id, id.entry_id) == Some(index);
                let set = ack_set_of(&id.ack_set, batch_size).filter(|_| exact && batch_index_acks);
                (index, set.map(|set| (set, batch_size)))
            }
            (None, time_ms) => (log.published_at_or_after(time_ms.unwrap_or(0)), None),
        };
        if let Some(subscription) = self.subscription_mut(topic_key, subscription_key) {
            subscription.resetting = true;
        }
        self.close_consumers_of(topic_key, subscription_key, &consumers, NO_OWNER);
        if let Some(subscription) = self.subscription_mut(topic_key, subscription_key) {
            subscription.resetting = false;
            let unacked = unacked.as_ref().map(|(set, size)| (set.as_slice(), *size));
            subscription.reset(index, unacked);
        }
        self.mark_dirty(topic_key, subscription_key);
    }

    pub(super) fn last_message_id(&mut self, id: ConnectionId, request: &CommandGetLastMessageId) {
        let at = self.consumer_ref(id, request.consumer_id);
        let topic = at.and_then(|at| Some((self.topics.get(at.topic)?, at)));
        let response = match topic {
            Some((topic, at)) if topic.name.persistent => {
                let subscription = topic.subscriptions.get(at.subscription);
                Some(CommandGetLastMessageIdResponse {
                    request_id: request.request_id,
                    last_message_id: last_message(topic),
                    consumer_mark_delete_position: subscription
                        .map(|subscription| mark_delete_position(topic, subscription)),
                })
            }
            _ => None,
        };
        let not_found = || Refusal::new(ServerError::MetadataError, "Consumer not found");
        let refused = self.faults.refuse_last_id();
        match refused.and_then(|()| response.ok_or_else(not_found)) {
            Ok(response) => self.answer(id, Type::GetLastMessageIdResponse, &response),
            Err(refusal) => {
                if let Some(connection) = self.connections.touch(id) {
                    connection.error(request.request_id, refusal.error, &refusal.message);
                }
            }
        }
    }
}

fn ack_individual(topic: &mut Topic, at: ConsumerRef, id: &MessageIdData, batch_index_acks: bool) {
    let Some((index, batch_size)) = find(topic, id) else {
        return;
    };
    let unacked = ack_set_of(&id.ack_set, batch_size);
    if let Some(subscription) = topic.subscriptions.get_mut(at.subscription)
        && (unacked.is_none() || batch_index_acks)
    {
        subscription.ack(at.consumer, index, batch_size, unacked.as_deref());
    }
}

fn ack_cumulative(topic: &mut Topic, at: ConsumerRef, id: &MessageIdData, batch_index_acks: bool) {
    let Some((index, batch_size)) = find(topic, id) else {
        return;
    };
    let unacked = ack_set_of(&id.ack_set, batch_size);
    let Some(subscription) = topic.subscriptions.get_mut(at.subscription) else {
        return;
    };
    match (unacked, index.checked_sub(1)) {
        // Without batch index acks a partial one still acks the entries before.
        (Some(_), Some(before)) if !batch_index_acks => {
            subscription.ack_cumulative(before, 1, None);
        }
        (Some(_), None) if !batch_index_acks => {}
        (unacked, _) => subscription.ack_cumulative(index, batch_size, unacked.as_deref()),
    }
}

/// The index of an entry that was published, and its messages.
fn find(topic: &Topic, id: &MessageIdData) -> Option<(u64, u32)> {
    let index = topic.log.find(id.ledger_id, id.entry_id)?;
    let batch_size = topic.log.get(index).map_or(1, |entry| entry.batch_size);
    Some((index, batch_size))
}

/// −1:−1 of an empty topic, as in the broker.
fn last_message(topic: &Topic) -> MessageIdData {
    match topic.log.last() {
        Some(entry) => {
            let (ledger_id, entry_id) = topic.log.position(topic.log.end() - 1);
            let batch_index = match entry.in_batch {
                true => entry.batch_size as i32 - 1,
                false => -1,
            };
            MessageIdData {
                batch_index: Some(batch_index),
                ..message_id(ledger_id, entry_id, topic.name.partition)
            }
        }
        None => MessageIdData {
            batch_index: Some(-1),
            ..message_id(u64::MAX, u64::MAX, topic.name.partition)
        },
    }
}

/// The last entry that is acked with everything before it; its entry id is −1 at a ledger's beginning.
fn mark_delete_position(topic: &Topic, subscription: &Subscription) -> MessageIdData {
    let (ledger_id, entry_id) = topic.log.position(subscription.cursor.mark());
    MessageIdData {
        ledger_id,
        entry_id: entry_id.wrapping_sub(1),
        ..MessageIdData::default()
    }
}
