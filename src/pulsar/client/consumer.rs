//! Consumers, as their owner uses them: opened, given permits, acked, sought, closed. What comes back is
//! `delivery.rs`' subject; what is acked, when and for whom is the owner's.

use std::collections::BTreeSet;

use ::pulsar::proto::BaseCommand;

use super::Client;
use super::commands;
use super::deadlines::{Timer, User};
use super::events::Event;
use super::link::Link;
use super::pool::retryable;
use super::requests::Purpose;
use super::resume::Resume;
use super::spec::{
    AckPosition, ConnectionId, ConsumerId, ConsumerSpec, SeekTarget, StartPosition, Tag,
};
use crate::pulsar::types::{BrokerError, SubscriptionType};
use crate::pulsar::wire::{self, AckHeader, AckId, MessageCommand};

/// Ids in one REDELIVER_UNACKNOWLEDGED_MESSAGES: Java's `MAX_REDELIVER_UNACKNOWLEDGED`.
const MAX_REDELIVER_POSITIONS: usize = 1_000;
/// Acks on one connection that the broker has not answered. One that is this far behind does not answer at all: with
/// a new connection everything unconfirmed comes again and is acked again.
const MAX_ACKS_ON_CONNECTION: usize = 65_536;
/// The name that a consumer without one gets, as in Java: the broker sorts failover consumers by name.
const RANDOM_NAME_CHARS: usize = 5;

#[derive(Debug)]
pub(super) struct Consumer {
    pub link: Link,
    pub spec: ConsumerSpec,
    name: String,
    /// Raised with every redelivery of everything (Exclusive, Failover); entries of before are dropped.
    epoch: u64,
    /// An entry of this epoch has come.
    pub epoch_came: bool,
    pub resume: Resume,
    /// Requests whose answers the owner waits for.
    pub asked: BTreeSet<u64>,
    /// The cluster in which its topic is now has not been asked for it yet, or not with success.
    pub migrated: bool,
    /// The broker has said so while it was still being asked where "latest" is: it says it once.
    pub end_of_topic_early: bool,
}

impl Consumer {
    fn is_single_active(&self) -> bool {
        matches!(
            self.spec.subscription_type,
            SubscriptionType::Exclusive | SubscriptionType::Failover
        )
    }

    /// Sent before the broker knew of the last redelivery of everything.
    pub fn is_outdated(&self, message: &MessageCommand) -> bool {
        self.is_single_active()
            && message
                .consumer_epoch
                .is_some_and(|epoch| epoch < self.epoch)
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
            epoch_came: false,
            resume: Resume::new(&spec),
            asked: BTreeSet::new(),
            migrated: false,
            end_of_topic_early: false,
            spec,
        };
        self.consumers.insert(id, consumer);
        self.link_open(now_ms, User::Consumer(id));
        id
    }

    /// What it was opened with.
    pub fn consumer_spec(&self, consumer: ConsumerId) -> Option<&ConsumerSpec> {
        Some(&self.consumers.get(&consumer)?.spec)
    }

    /// Where a non-durable consumer would begin if it lost its broker side now. A fixed place as soon as it is ready,
    /// except on a non-persistent topic.
    pub fn start_of(&self, consumer: ConsumerId) -> Option<StartPosition> {
        self.consumers.get(&consumer)?.resume.start()
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
        self.send_ack(now_ms, consumer, tag, positions, false);
    }

    /// Acks the position and all before it (Exclusive, Failover). Answered as [`Client::ack`] is.
    pub fn ack_cumulative(
        &mut self,
        now_ms: u64,
        consumer: ConsumerId,
        tag: Tag,
        position: &AckPosition,
    ) {
        self.send_ack(now_ms, consumer, tag, std::slice::from_ref(position), true);
    }

    fn send_ack(
        &mut self,
        now_ms: u64,
        consumer: ConsumerId,
        tag: Tag,
        positions: &[AckPosition],
        cumulative: bool,
    ) {
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
            cumulative,
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

    /// A reader's: acks the entry and all before it. Unanswered, and lost without a broker side: it says how far reading
    /// has come, and the next one says it again.
    pub fn ack_up_to(&mut self, consumer: ConsumerId, ledger: u64, entry: u64) {
        let header = AckHeader {
            consumer_id: consumer.0,
            cumulative: true,
            validation_error: None,
            request_id: None,
        };
        let id = AckId {
            ledger,
            entry,
            ack_set: &[],
        };
        if let Some(connection) = self.consumer_connection(consumer)
            && let Some(open) = self.pool.writing(connection)
        {
            wire::encode_ack(&header, std::iter::once(id), open.output.gather());
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
            redelivered.epoch_came = false;
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
        {
            seeking.resume.seeking(target);
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

    pub(super) fn consumer_connection(&self, id: ConsumerId) -> Option<ConnectionId> {
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
        let consumer = self.consumers.get_mut(&id)?;
        if consumer.migrated {
            consumer.resume.migrated();
        }
        Some(commands::subscribe(&commands::Subscribe {
            spec: &consumer.spec,
            consumer_name: &consumer.name,
            consumer_id: id.0,
            request_id,
            start: consumer.resume.start(),
            consumer_epoch: consumer.epoch,
        }))
    }
}

pub(super) fn not_connected() -> BrokerError {
    retryable("the consumer is not connected to a broker")
}
