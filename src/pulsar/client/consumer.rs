//! Consumers: subscribed on the topic's owner, and subscribed again wherever it moves. Entries are given out as they
//! come; what is acked, when and for whom is the owner's.
//!
//! A non-durable consumer has no cursor at the broker that outlives its connection: here is kept where it goes on.

use std::collections::BTreeSet;

use ::pulsar::proto::{
    BaseCommand, CommandGetLastMessageIdResponse, MessageIdData, MessageMetadata,
};
use prost::Message as _;

use super::Client;
use super::commands;
use super::deadlines::{Timer, User};
use super::link::Link;
use super::pool::retryable;
use super::requests::Purpose;
use super::spec::{
    AckPosition, ConnectionId, ConsumerId, ConsumerSpec, Event, SeekTarget, StartPosition, Tag,
};
use crate::pulsar::types::{BrokerError, Entry, MessageId, SubscriptionType};
use crate::pulsar::wire::{
    self, AckHeader, AckId, AckValidationError, Body, BodyError, Frame, MessageCommand,
};

/// Ids in one REDELIVER_UNACKNOWLEDGED_MESSAGES: Java's `MAX_REDELIVER_UNACKNOWLEDGED`.
const MAX_REDELIVER_POSITIONS: usize = 1_000;
/// Acks on one connection that the broker has not answered. One that is this far behind does not answer at all: with
/// a new connection everything unconfirmed comes again and is acked again.
const MAX_ACKS_ON_CONNECTION: usize = 65_536;
/// The name that a consumer without one gets, as in Java: the broker sorts failover consumers by name.
const RANDOM_NAME_CHARS: usize = 5;

/// An entry that comes again because the broker steps one back from a start position.
#[derive(Clone, Copy, Debug)]
struct Repeat {
    ledger: u64,
    entry: u64,
    /// It was given out before. Otherwise it is the owner's start id without a batch index: of a batch, nothing is
    /// behind the start (as in Java).
    given_out: bool,
}

#[derive(Debug)]
pub(super) struct Consumer {
    pub link: Link,
    pub spec: ConsumerSpec,
    name: String,
    /// Raised with every redelivery of everything (Exclusive, Failover); entries of before are dropped.
    epoch: u64,
    /// Where the next SUBSCRIBE of a non-durable one starts.
    start: Option<StartPosition>,
    /// The whole entry at `start` is behind the reader: it was given out. Else `start` is the owner's word.
    start_given_out: bool,
    /// Where a seek that is under way will lead: the entries that still come are from elsewhere.
    seek_start: Option<StartPosition>,
    repeat: Option<Repeat>,
    /// Requests whose answers the owner waits for.
    asked: BTreeSet<u64>,
}

impl Consumer {
    fn is_persistent(&self) -> bool {
        !self.spec.topic.starts_with("non-persistent://")
    }

    fn is_single_active(&self) -> bool {
        matches!(
            self.spec.subscription_type,
            SubscriptionType::Exclusive | SubscriptionType::Failover
        )
    }

    /// The entry that a SUBSCRIBE at `start` brings again although nothing in it is wanted. Non-persistent topics have
    /// no usable ids and bring nothing again.
    fn repeat_after_subscribe(&self) -> Option<Repeat> {
        match self.start {
            Some(StartPosition::After(id)) if id.batch_index < 0 && self.is_persistent() => {
                Some(Repeat {
                    ledger: id.ledger,
                    entry: id.entry,
                    given_out: self.start_given_out,
                })
            }
            _ => None,
        }
    }

    /// Whether the entry is to be dropped. Only the first entry after a SUBSCRIBE can be.
    fn is_repeat(&mut self, message: &MessageCommand, body: &Body) -> bool {
        let Some(repeat) = self.repeat.take() else {
            return false;
        };
        let id = &message.message_id;
        (repeat.ledger, repeat.entry) == (id.ledger, id.entry)
            && (repeat.given_out || batch_size(body).is_none())
    }

    /// Sent before the broker knew of the last redelivery of everything.
    fn is_outdated(&self, message: &MessageCommand) -> bool {
        self.is_single_active()
            && message
                .consumer_epoch
                .is_some_and(|epoch| epoch < self.epoch)
    }

    fn gave_out(&mut self, message: &MessageCommand) {
        if !self.spec.durable && self.seek_start.is_none() {
            let id = MessageId {
                batch_index: -1,
                batch_size: 0,
                ..message.message_id
            };
            self.start = Some(StartPosition::After(id));
            self.start_given_out = true;
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

impl Client {
    /// Answered by `ConsumerReady` or `ConsumerFailed`. Nothing is delivered before [`Client::flow`].
    pub fn open_consumer(&mut self, now_ms: u64, spec: ConsumerSpec) -> ConsumerId {
        let id = ConsumerId(self.next_consumer_id);
        self.next_consumer_id += 1;
        let name = spec.consumer_name.clone().unwrap_or_else(|| {
            std::iter::repeat_with(|| self.rng.alphanumeric())
                .take(RANDOM_NAME_CHARS)
                .collect()
        });
        let consumer = Consumer {
            link: Link::new(self.new_backoff()),
            name,
            epoch: 0,
            start: spec.start.filter(|_| !spec.durable),
            start_given_out: false,
            seek_start: None,
            repeat: None,
            asked: BTreeSet::new(),
            spec,
        };
        self.consumers.insert(id, consumer);
        self.link_open(now_ms, User::Consumer(id));
        id
    }

    /// Gives the broker permits. Without a broker side they are lost: `ConsumerResumed` asks for all of them anew.
    pub fn flow(&mut self, consumer: ConsumerId, permits: u32) {
        if permits > 0
            && let Some(connection) = self.consumer_connection(consumer)
            && let Some(connection) = self.pool.writing(connection)
        {
            wire::encode_flow(consumer.0, permits, connection.output.gather());
        }
    }

    /// Acks the positions, each for itself. Answered by `AckDone`; without a broker side at once, with a `Retryable`
    /// error: what was not acked comes again.
    pub fn ack(&mut self, now_ms: u64, consumer: ConsumerId, tag: Tag, positions: &[AckPosition]) {
        let Some(connection) = self.consumer_connection(consumer) else {
            self.refuse(Purpose::Ack(consumer, tag), not_connected());
            return;
        };
        let purpose = Purpose::Ack(consumer, tag);
        let Some(request_id) = self.ask_for_owner(now_ms, consumer, connection, purpose) else {
            return;
        };
        let header = AckHeader {
            consumer_id: consumer.0,
            cumulative: false,
            validation_error: None,
            request_id: Some(request_id),
        };
        let ids = positions.iter().map(|position| AckId {
            ledger: position.ledger,
            entry: position.entry,
            ack_set: &position.ack_set,
        });
        let mut behind = false;
        if let Some(open) = self.pool.writing(connection) {
            wire::encode_ack(&header, ids, open.output.gather());
            open.acks += 1;
            behind = open.acks > MAX_ACKS_ON_CONNECTION;
        }
        if behind {
            let error = retryable("the broker does not answer acks");
            self.close_connection(now_ms, connection, error);
        }
    }

    /// Asks for entries again. Exclusive and Failover have no redelivery of single ones: everything unacked comes, in
    /// order, and what was under way before is dropped here (its permits are given back). Without a broker side
    /// nothing is sent: what is unacked comes again anyway.
    pub fn redeliver(&mut self, consumer: ConsumerId, positions: &[(u64, u64)]) {
        let Some(redelivered) = self.consumers.get_mut(&consumer) else {
            return;
        };
        let all = redelivered.is_single_active() || positions.is_empty();
        let mut epoch = None;
        if redelivered.is_single_active() {
            redelivered.epoch += 1;
            epoch = Some(redelivered.epoch);
        }
        let Some(connection) = redelivered.link.attached_to() else {
            return;
        };
        let Some(connection) = self.pool.writing(connection) else {
            return;
        };
        if all {
            connection.write(&commands::redeliver(consumer.0, &[], epoch));
        } else {
            for chunk in positions.chunks(MAX_REDELIVER_POSITIONS) {
                connection.write(&commands::redeliver(consumer.0, chunk, None));
            }
        }
    }

    /// Deletes the subscription, if no other consumer is on it. Answered by `Unsubscribed`; after success the consumer
    /// is gone, and nothing more is said about it.
    pub fn unsubscribe(&mut self, now_ms: u64, consumer: ConsumerId, tag: Tag) {
        let purpose = Purpose::Unsubscribe(consumer, tag);
        self.ask_broker(now_ms, consumer, purpose, |request_id| {
            commands::unsubscribe(consumer.0, request_id)
        });
    }

    /// Moves the cursor. Answered by `Seeked`. The broker closes the consumer meanwhile: `ConsumerLost` (not abrupt)
    /// and `ConsumerResumed` come around the answer, in whatever order.
    pub fn seek(&mut self, now_ms: u64, consumer: ConsumerId, tag: Tag, target: SeekTarget) {
        if let Some(seeking) = self.consumers.get_mut(&consumer)
            && seeking.link.attached_to().is_some()
            && !seeking.spec.durable
        {
            seeking.seek_start = Some(start_of(target));
        }
        let purpose = Purpose::Seek(consumer, tag);
        self.ask_broker(now_ms, consumer, purpose, |request_id| {
            commands::seek(target, consumer.0, request_id)
        });
    }

    /// Answered by `LastMessageId`. Ledger and entry are −1 when the topic is empty.
    pub fn last_message_id(&mut self, now_ms: u64, consumer: ConsumerId, tag: Tag) {
        let purpose = Purpose::LastMessageId(consumer, tag);
        self.ask_broker(now_ms, consumer, purpose, |request_id| {
            commands::get_last_message_id(consumer.0, request_id)
        });
    }

    /// Nothing more is said about the consumer; acks that went out before still count.
    pub fn close_consumer(&mut self, now_ms: u64, consumer: ConsumerId) {
        let user = User::Consumer(consumer);
        self.tell_broker_closed(now_ms, user);
        self.forget_consumer(now_ms, consumer);
    }

    /// Takes it out of all tables.
    pub(super) fn forget_consumer(&mut self, now_ms: u64, id: ConsumerId) {
        let user = User::Consumer(id);
        self.link_detach(now_ms, user);
        self.deadlines.cancel(Timer::Open(user));
        if let Some(consumer) = self.consumers.remove(&id) {
            for request_id in consumer.asked {
                self.take_request(now_ms, request_id);
            }
        }
    }

    fn consumer_connection(&self, id: ConsumerId) -> Option<ConnectionId> {
        self.consumers.get(&id)?.link.attached_to()
    }

    /// A request whose answer goes to the owner. `None`: there is no such consumer.
    fn ask_for_owner(
        &mut self,
        now_ms: u64,
        id: ConsumerId,
        connection: ConnectionId,
        purpose: Purpose,
    ) -> Option<u64> {
        let consumer = self.consumers.get_mut(&id)?;
        let request_id = self.requests.add(now_ms, connection, purpose);
        consumer.asked.insert(request_id);
        Some(request_id)
    }

    fn ask_broker(
        &mut self,
        now_ms: u64,
        id: ConsumerId,
        purpose: Purpose,
        command: impl FnOnce(u64) -> BaseCommand,
    ) {
        let Some(connection) = self.consumer_connection(id) else {
            self.refuse(purpose, not_connected());
            return;
        };
        if let Some(request_id) = self.ask_for_owner(now_ms, id, connection, purpose)
            && let Some(connection) = self.pool.writing(connection)
        {
            connection.write(&command(request_id));
        }
    }

    /// Tells the owner that what it asked for has failed.
    pub(super) fn refuse(&mut self, purpose: Purpose, error: BrokerError) {
        let event = match purpose {
            Purpose::Ack(consumer, tag) => Event::AckDone {
                consumer,
                tag,
                result: Err(error),
            },
            Purpose::Unsubscribe(consumer, tag) => Event::Unsubscribed {
                consumer,
                tag,
                result: Err(error),
            },
            Purpose::Seek(consumer, tag) => Event::Seeked {
                consumer,
                tag,
                result: Err(error),
            },
            Purpose::LastMessageId(consumer, tag) => Event::LastMessageId {
                consumer,
                tag,
                result: Err(error),
            },
            Purpose::Lookup(_)
            | Purpose::CreateProducer(_)
            | Purpose::Subscribe(_)
            | Purpose::FixStart(_)
            | Purpose::Unwatched => return,
        };
        self.events.push_back(event);
    }

    /// An answer has come for one of the owner's requests.
    pub(super) fn answered_owner(&mut self, id: ConsumerId, request_id: u64) {
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.asked.remove(&request_id);
        }
    }

    pub(super) fn consumer_command(
        &mut self,
        id: ConsumerId,
        request_id: u64,
    ) -> Option<BaseCommand> {
        let consumer = self.consumers.get(&id)?;
        Some(commands::subscribe(&commands::Subscribe {
            spec: &consumer.spec,
            consumer_name: &consumer.name,
            consumer_id: id.0,
            request_id,
            start: consumer.start,
            consumer_epoch: consumer.epoch,
        }))
    }

    /// SUCCESS for SUBSCRIBE. A reader at "latest" has one question more: where that is. A reconnect before its first
    /// entry would otherwise move it past what was published meanwhile.
    pub(super) fn subscribed(&mut self, now_ms: u64, id: ConsumerId, connection: ConnectionId) {
        let Some(consumer) = self.consumers.get(&id) else {
            return;
        };
        if consumer.start != Some(StartPosition::Latest) || !consumer.is_persistent() {
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
            consumer.start = Some(StartPosition::After(MessageId {
                ledger: position.ledger_id,
                entry: position.entry_id,
                partition: -1,
                batch_index: -1,
                batch_size: 0,
            }));
            consumer.start_given_out = true;
        }
        self.consumer_attached_without_repeat(id, connection);
    }

    pub(super) fn consumer_attached(&mut self, id: ConsumerId, connection: ConnectionId) {
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.repeat = consumer.repeat_after_subscribe();
        }
        self.consumer_attached_without_repeat(id, connection);
    }

    fn consumer_attached_without_repeat(&mut self, id: ConsumerId, connection: ConnectionId) {
        let first = self.link_attached(User::Consumer(id), connection);
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.link.backoff.reset();
            self.events.push_back(if first {
                Event::ConsumerReady { consumer: id }
            } else {
                Event::ConsumerResumed { consumer: id }
            });
        }
    }

    /// Its broker side is gone: all that the owner has asked fails first.
    pub(super) fn consumer_lost(&mut self, now_ms: u64, id: ConsumerId, abrupt: bool) {
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return;
        };
        consumer.repeat = None;
        if let Some(start) = consumer.seek_start.take() {
            consumer.start = Some(start);
            consumer.start_given_out = true;
        }
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
                self.corrupt(id, connection, &message, error);
                return;
            }
        };
        if consumer.is_outdated(&message) || consumer.is_repeat(&message, &body) {
            self.flow(id, permits_of(&message, &body));
            return;
        }
        consumer.gave_out(&message);
        let entry = Entry {
            ledger: message.message_id.ledger,
            entry: message.message_id.entry,
            partition: consumer.spec.partition,
            redelivery_count: message.redelivery_count,
            ack_set: message.ack_set,
            consumer_epoch: message.consumer_epoch.unwrap_or(0),
            metadata: body.metadata,
            payload: body.payload,
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

    /// The seek was refused: the stream goes on where it was.
    pub(super) fn seek_refused(&mut self, id: ConsumerId) {
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.seek_start = None;
        }
    }
}

/// Where a non-durable consumer starts anew after a seek: behind the entry before the target. Only the broker can
/// tell which entry a time means; like the Java client, a consumer that loses its cursor then starts at the front.
fn start_of(target: SeekTarget) -> StartPosition {
    match target {
        SeekTarget::Message(id) => StartPosition::After(MessageId {
            // Before entry 0 is entry −1.
            entry: id.entry.wrapping_sub(1),
            batch_index: -1,
            batch_size: 0,
            ..id
        }),
        SeekTarget::PublishTime(_) => StartPosition::Earliest,
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

pub(super) fn not_connected() -> BrokerError {
    retryable("the consumer is not connected to a broker")
}
