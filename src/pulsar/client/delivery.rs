//! What a broker gives to a consumer: its place on the broker, entries, notices; and its loss.

use std::collections::BTreeSet;

use ::pulsar::proto::{CommandGetLastMessageIdResponse, MessageIdData, MessageMetadata};
use prost::Message as _;

use super::Client;
use super::commands;
use super::consumer::not_connected;
use super::deadlines::User;
use super::events::Event;
use super::requests::Purpose;
use super::resume::First;
use super::spec::{ConnectionId, ConsumerId};
use crate::pulsar::types::{BrokerError, Entry, MessageId};
use crate::pulsar::wire::{
    self, AckHeader, AckId, AckValidationError, Body, BodyError, Frame, MessageCommand,
};

impl Client {
    /// SUCCESS for SUBSCRIBE. A reader at "latest" has one question more: where that is. A reconnect before its first
    /// entry would otherwise move it past what was published meanwhile.
    pub(super) fn subscribed(&mut self, now_ms: u64, id: ConsumerId, connection: ConnectionId) {
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return;
        };
        if !consumer.resume.wants_fixing() {
            consumer.resume.subscribed();
            self.consumer_attached(id, connection);
            return;
        }
        let request_id = self.requests.add(now_ms, connection, Purpose::FixStart(id));
        self.link_asks_on(User::Consumer(id), connection, request_id);
        if let Some(connection) = self.pool.writing(connection) {
            connection.write(&commands::get_last_message_id(id.0, request_id));
        }
    }

    /// The mark-delete position of a cursor that has just been made at the end is that end; brokers that do not tell
    /// it name the topic's last message.
    pub(super) fn start_fixed(
        &mut self,
        id: ConsumerId,
        connection: ConnectionId,
        response: &CommandGetLastMessageIdResponse,
    ) {
        let position = response
            .consumer_mark_delete_position
            .as_ref()
            .filter(|position| position.ledger_id != u64::MAX)
            .unwrap_or(&response.last_message_id);
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.resume.fix(position.ledger_id, position.entry_id);
        }
        self.consumer_attached(id, connection);
    }

    /// It is on the broker, and where it starts is settled.
    pub(super) fn consumer_attached(&mut self, id: ConsumerId, connection: ConnectionId) {
        let first = self.link_attached(User::Consumer(id), connection);
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.link.backoff.reset();
            let ended = std::mem::take(&mut consumer.end_of_topic_early);
            if std::mem::take(&mut consumer.migrated) && !first {
                self.events
                    .push_back(Event::ConsumerMigrated { consumer: id });
            }
            self.events.push_back(if first {
                Event::ConsumerReady { consumer: id }
            } else {
                Event::ConsumerResumed { consumer: id }
            });
            if ended {
                self.events.push_back(Event::EndOfTopic { consumer: id });
            }
        }
    }

    /// Its broker side is gone: all that the owner has asked fails first.
    pub(super) fn consumer_lost(&mut self, now_ms: u64, id: ConsumerId, abrupt: bool) {
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return;
        };
        consumer.resume.lost();
        consumer.end_of_topic_early = false;
        // A seek closes the consumer before it is answered.
        let (kept, failed): (BTreeSet<u64>, BTreeSet<u64>) = std::mem::take(&mut consumer.asked)
            .into_iter()
            .partition(|request_id| {
                let request = self.requests.get(*request_id);
                request.is_some_and(|request| matches!(request.purpose, Purpose::Seek(..)))
            });
        consumer.asked = kept;
        for request_id in failed {
            if let Some(request) = self.take_request(now_ms, request_id) {
                self.refuse(request.purpose, not_connected());
            }
        }
        self.events.push_back(Event::ConsumerLost {
            consumer: id,
            abrupt,
        });
    }

    pub(super) fn consumer_failed(&mut self, now_ms: u64, id: ConsumerId, error: BrokerError) {
        self.forget_consumer(now_ms, id);
        self.events.push_back(Event::ConsumerFailed {
            consumer: id,
            error,
        });
    }

    /// MESSAGE. The consumer must live on this very connection: an entry for another one is late.
    pub(super) fn message(
        &mut self,
        connection: ConnectionId,
        message: MessageCommand,
        frame: &Frame,
    ) {
        let id = ConsumerId(message.consumer_id);
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return;
        };
        if !consumer.link.is_attached_to(connection) {
            return;
        }
        let body = match Body::parse(&frame.body) {
            Ok(body) => body,
            Err(error) => {
                consumer.resume.corrupt();
                self.corrupt(id, connection, &message, error);
                return;
            }
        };
        let is_batch = || batch_size(&body).is_some();
        let outdated = consumer.is_outdated(&message);
        let first = match outdated {
            true => First::Repeat,
            false => consumer.resume.first(&message.message_id, is_batch),
        };
        // What was on its way comes first. This was read when the broker had gone back, and moved its cursor on.
        if outdated && std::mem::take(&mut consumer.epoch_came) {
            self.events
                .push_back(Event::EntriesSkipped { consumer: id });
        }
        consumer.epoch_came |= !outdated;
        match first {
            First::Repeat => return self.flow(id, permits_of(&message, &body)),
            First::Wanted => {}
            First::Behind(gap) => self.events.push_back(Event::Gap { consumer: id, gap }),
        }
        consumer.resume.gave_out(&message.message_id);
        let entry = Entry {
            ledger: message.message_id.ledger,
            entry: message.message_id.entry,
            partition: consumer.spec.partition,
            redelivery_count: message.redelivery_count,
            ack_set: message.ack_set,
            consumer_epoch: message.consumer_epoch,
            metadata: body.metadata,
            payload: body.payload,
            is_decrypted: false,
        };
        self.events.push_back(Event::Entry {
            consumer: id,
            entry,
        });
    }

    /// As in Java, an entry whose checksum does not match is acked with the reason: it would never be better.
    fn corrupt(
        &mut self,
        id: ConsumerId,
        connection: ConnectionId,
        message: &MessageCommand,
        error: BodyError,
    ) {
        let MessageId { ledger, entry, .. } = message.message_id;
        let partition = self.consumers.get(&id).map_or(-1, |c| c.spec.partition);
        let header = AckHeader {
            consumer_id: id.0,
            cumulative: false,
            validation_error: Some(AckValidationError::ChecksumMismatch),
            request_id: None,
        };
        let position = AckId {
            ledger,
            entry,
            ack_set: &[],
        };
        if let Some(connection) = self.pool.writing(connection) {
            wire::encode_ack(
                &header,
                std::iter::once(position),
                connection.output.gather(),
            );
        }
        self.events.push_back(Event::CorruptEntry {
            consumer: id,
            ledger,
            entry,
            partition,
            reason: match error {
                BodyError::Checksum => "the checksum does not match",
                BodyError::Truncated => "the message is truncated",
            },
        });
    }

    pub(super) fn consumer_event(
        &mut self,
        connection: ConnectionId,
        id: u64,
        event: impl FnOnce(ConsumerId) -> Event,
    ) {
        let id = ConsumerId(id);
        if self.consumer_connection(id) == Some(connection) {
            self.events.push_back(event(id));
        }
    }

    /// Everything is read, and nothing will be published any more.
    pub(super) fn end_of_topic(&mut self, connection: ConnectionId, id: ConsumerId) {
        if self.consumer_connection(id) == Some(connection) {
            self.events.push_back(Event::EndOfTopic { consumer: id });
        } else if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.end_of_topic_early = consumer.link.known_on() == Some(connection);
        }
    }

    /// The seek was refused: the stream goes on where it was.
    pub(super) fn seek_refused(&mut self, id: ConsumerId) {
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.resume.seek_refused();
        }
    }
}

/// `num_messages_in_batch`, of a batch.
fn batch_size(body: &Body) -> Option<i32> {
    MessageMetadata::decode(body.metadata.clone())
        .ok()?
        .num_messages_in_batch
}

/// How many permits the broker has counted for an entry.
fn permits_of(message: &MessageCommand, body: &Body) -> u32 {
    let unacked: u32 = message.ack_set.iter().map(|word| word.count_ones()).sum();
    match batch_size(body).and_then(|size| u32::try_from(size).ok()) {
        Some(size) if unacked > 0 => unacked.min(size),
        Some(size) => size.max(1),
        None => 1,
    }
}

/// An answer's last message id. The partition is the owner's to know.
pub(super) fn last_message_id(id: &MessageIdData, partition: i32) -> MessageId {
    MessageId {
        ledger: id.ledger_id,
        entry: id.entry_id,
        partition,
        batch_index: id.batch_index.unwrap_or(-1),
        batch_size: id.batch_size.unwrap_or(0).max(0),
    }
}
