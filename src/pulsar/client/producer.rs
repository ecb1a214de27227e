//! Producers: created on the topic's owner, messages sent without waiting, kept until their receipt, sent again
//! after every reconnect. The rules are those of Java's `ProducerImpl`.

use std::convert::Infallible;

use ::pulsar::proto::{BaseCommand, CommandProducerSuccess, CommandSendError, ServerError};
use bytes::BytesMut;

use super::Client;
use super::commands;
use super::deadlines::{Timer, User};
use super::link::Link;
use super::pending::{Content, Pending, PendingQueue, Unencoded};
use super::spec::{ConnectionId, Event, ProducerId, ProducerSpec, SendFields, SendRefused, Tag};
use crate::pulsar::types::{BrokerError, ErrorKind, MessageId};
use crate::pulsar::wire::{self, EncodeSendError, MetadataFields, SendHeader, SendReceipt};

/// How often a message whose checksum the broker disputes is sent again. The copy kept here is the one that was
/// encoded: if it does not get through three times, the fourth will not either.
const MAX_CHECKSUM_RESENDS: u32 = 3;

#[derive(Debug)]
pub(super) struct Producer {
    pub link: Link,
    pub spec: ProducerSpec,
    /// Its owner's; else the one the broker gave the first time, kept for ever so that deduplication goes on.
    name: Option<String>,
    /// Of the next creation (CommandProducer.epoch): a later one tells the broker that the earlier is dead.
    epoch: u64,
    /// Known from the first ProducerSuccess on.
    next_sequence_id: Option<u64>,
    pending: PendingQueue,
    checksum_resends: u32,
}

impl Producer {
    /// What the frames need and only a created producer has.
    fn identity(&self) -> Option<(&str, u64)> {
        Some((self.name.as_deref()?, self.next_sequence_id?))
    }

    /// The name in error texts.
    fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or("(unnamed)")
    }

    fn too_large(&self, bytes: usize, max_bytes: usize) -> BrokerError {
        BrokerError {
            kind: ErrorKind::MessageTooLarge,
            message: format!(
                "The producer {} of the topic {} sends a message with {bytes} bytes that exceeds {max_bytes} bytes",
                self.display_name(),
                self.spec.topic,
            ),
        }
    }

    /// Encodes one message with the given or the next sequence id, which is used up only when this succeeds.
    fn encode<E>(
        &mut self,
        id: ProducerId,
        fields: &SendFields<'_>,
        payload_len: usize,
        max_message_bytes: usize,
        fill: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<Content, EncodeSendError<E>> {
        let (name, next) = self.identity().unwrap_or(("", 0));
        let sequence_id = fields.sequence_id.unwrap_or(next);
        let header = SendHeader {
            producer_id: id.0,
            sequence_id,
            num_messages: 1,
            highest_sequence_id: None,
            is_chunk: false,
        };
        let metadata = MetadataFields {
            producer_name: name,
            sequence_id,
            publish_time_ms: fields.publish_time_ms,
            properties: fields.properties,
            partition_key: fields.partition_key,
            replicate_to: fields.replicate_to,
            event_time_ms: fields.event_time_ms,
            deliver_at_time_ms: fields.deliver_at_ms,
            ..Default::default()
        };
        let mut frame = BytesMut::new();
        wire::encode_send(&header, &metadata, payload_len, &mut frame, fill)?;
        let message_bytes = headers_and_payload_bytes(&frame);
        if message_bytes > max_message_bytes {
            let error = self.too_large(message_bytes, max_message_bytes);
            return Ok(Content::Refused(Box::new(error)));
        }
        if fields.sequence_id.is_none() {
            self.next_sequence_id = Some(next.wrapping_add(1));
        }
        Ok(Content::Frame {
            sequence_id,
            frame: frame.freeze(),
        })
    }
}

/// What the broker measures against `maxMessageSize`: the frame without its sizes and command.
fn headers_and_payload_bytes(frame: &[u8]) -> usize {
    let command_bytes = frame
        .get(4..8)
        .and_then(|size| size.first_chunk())
        .map_or(0, |size| u32::from_be_bytes(*size) as usize);
    frame.len().saturating_sub(8 + command_bytes)
}

impl Client {
    /// Answered by `ProducerReady` or `ProducerFailed`.
    pub fn open_producer(&mut self, now_ms: u64, spec: ProducerSpec) -> ProducerId {
        let id = ProducerId(self.next_producer_id);
        self.next_producer_id += 1;
        let producer = Producer {
            link: Link::new(self.new_backoff()),
            name: spec.name.clone(),
            spec,
            epoch: 0,
            next_sequence_id: None,
            pending: PendingQueue::default(),
            checksum_resends: 0,
        };
        self.producers.insert(id, producer);
        self.link_open(now_ms, User::Producer(id));
        id
    }

    /// Sends one message. `fill` appends exactly `payload_len` bytes; the message is encoded once, into the frame that
    /// is kept until the receipt. Before the producer is ready, and while it reconnects, messages queue.
    ///
    /// Answered by one `Receipt` or `SendFailed`, in the order of the sends; a message larger than the broker takes is
    /// a `SendFailed` of kind `MessageTooLarge`. After an error nothing was sent and nothing more is said.
    pub fn send<E>(
        &mut self,
        now_ms: u64,
        producer: ProducerId,
        tag: Tag,
        fields: &SendFields<'_>,
        payload_len: usize,
        fill: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<(), SendRefused<E>> {
        let Some(sender) = self.producers.get_mut(&producer) else {
            return Err(SendRefused::NoProducer);
        };
        let attached = sender.link.attached_to();
        let max_bytes = attached
            .and_then(|connection| self.pool.get(connection))
            .map_or(self.pool.max_message_bytes, |c| c.max_message_bytes);
        let content = if payload_len > max_bytes {
            Content::Refused(Box::new(sender.too_large(payload_len, max_bytes)))
        } else if sender.identity().is_some() {
            sender
                .encode(producer, fields, payload_len, max_bytes, fill)
                .map_err(|error| match error {
                    EncodeSendError::Fill(error) => SendRefused::Fill(error),
                    EncodeSendError::PayloadLength { .. } | EncodeSendError::TooLarge => {
                        SendRefused::PayloadLength
                    }
                })?
        } else {
            let mut payload = BytesMut::with_capacity(payload_len);
            fill(&mut payload).map_err(SendRefused::Fill)?;
            if payload.len() != payload_len {
                return Err(SendRefused::PayloadLength);
            }
            Content::Unencoded(Box::new(Unencoded::new(fields, payload.freeze())))
        };
        if let (Content::Frame { frame, .. }, Some(connection)) = (&content, attached)
            && let Some(connection) = self.pool.writing(connection)
        {
            connection.output.push(frame);
        }
        let pending = Pending {
            tag,
            created_ms: now_ms,
            content,
        };
        sender.pending.push(pending, &mut self.pending_bytes);
        let timer = Timer::Send(producer);
        if sender.spec.send_timeout_ms > 0 && !self.deadlines.is_set(timer) {
            let at_ms = now_ms.saturating_add(sender.spec.send_timeout_ms);
            self.deadlines.set(timer, at_ms);
        }
        self.report_refused(producer);
        Ok(())
    }

    /// Nothing more is said about the producer or its messages; those that are out may still be persisted.
    pub fn close_producer(&mut self, now_ms: u64, producer: ProducerId) {
        let user = User::Producer(producer);
        self.tell_broker_closed(now_ms, user);
        self.link_detach(now_ms, user);
        self.deadlines.cancel(Timer::Open(user));
        self.deadlines.cancel(Timer::Send(producer));
        if let Some(mut closed) = self.producers.remove(&producer) {
            while closed.pending.pop(&mut self.pending_bytes).is_some() {}
        }
    }

    /// All unconfirmed messages of this client, with what they cost beside their bytes: the owner's back-pressure.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    pub(super) fn producer_command(
        &mut self,
        id: ProducerId,
        request_id: u64,
    ) -> Option<BaseCommand> {
        let producer = self.producers.get_mut(&id)?;
        let epoch = producer.epoch;
        producer.epoch += 1;
        Some(commands::producer(
            &producer.spec,
            producer.name.as_deref(),
            id.0,
            request_id,
            epoch,
        ))
    }

    /// ProducerSuccess with `producer_ready`: all that is pending goes out, in order.
    pub(super) fn producer_created(
        &mut self,
        id: ProducerId,
        connection: ConnectionId,
        success: CommandProducerSuccess,
    ) {
        let first = self.link_attached(User::Producer(id), connection);
        let Some(producer) = self.producers.get_mut(&id) else {
            return;
        };
        let last_sequence_id = success.last_sequence_id.unwrap_or(-1);
        let name = producer.name.get_or_insert(success.producer_name).clone();
        producer.next_sequence_id.get_or_insert_with(|| {
            let last = producer
                .spec
                .initial_sequence_id
                .unwrap_or(last_sequence_id);
            u64::try_from(last.saturating_add(1)).unwrap_or(0)
        });
        if producer.pending.is_empty() {
            // With messages waiting the first receipt is the proof that it works.
            producer.link.backoff.reset();
        }
        if first {
            self.events.push_back(Event::ProducerReady {
                producer: id,
                name,
                last_sequence_id,
            });
            self.encode_waiting(id, connection);
        }
        self.resend(id, connection);
    }

    /// Messages that came before the first ProducerSuccess get their sequence ids.
    fn encode_waiting(&mut self, id: ProducerId, connection: ConnectionId) {
        let Some(producer) = self.producers.get_mut(&id) else {
            return;
        };
        let max_bytes = self
            .pool
            .get(connection)
            .map_or(self.pool.max_message_bytes, |c| c.max_message_bytes);
        let mut pending = std::mem::take(&mut producer.pending);
        pending.encode_all(&mut self.pending_bytes, |message| {
            let fill = |out: &mut BytesMut| {
                out.extend_from_slice(&message.payload);
                Ok::<(), Infallible>(())
            };
            let encoded = message.with_fields(|fields| {
                producer.encode(id, fields, message.payload.len(), max_bytes, fill)
            });
            encoded.unwrap_or_else(|_| {
                let error = producer.too_large(message.payload.len(), max_bytes);
                Content::Refused(Box::new(error))
            })
        });
        producer.pending = pending;
        self.report_refused(id);
    }

    fn resend(&mut self, id: ProducerId, connection: ConnectionId) {
        let Some(producer) = self.producers.get(&id) else {
            return;
        };
        if let Some(connection) = self.pool.writing(connection) {
            for frame in producer.pending.frames() {
                connection.output.push(frame);
            }
        }
    }

    /// SEND_RECEIPT. An older one than awaited is for a message that has timed out; a newer one means that a message
    /// is missing at the broker: a new connection brings it there.
    pub(super) fn receipt(
        &mut self,
        connection: ConnectionId,
        receipt: &SendReceipt,
    ) -> Result<(), String> {
        let id = ProducerId(receipt.producer_id);
        let Some(producer) = self.producers.get_mut(&id) else {
            return Ok(());
        };
        if !producer.link.is_attached_to(connection) {
            return Ok(());
        }
        let Some(expected) = producer.pending.expected_sequence_id() else {
            return Ok(());
        };
        if receipt.sequence_id < expected {
            return Ok(());
        }
        if receipt.sequence_id > expected {
            return Err(format!(
                "a receipt for sequence id {} where {expected} was due",
                receipt.sequence_id
            ));
        }
        producer.link.backoff.reset();
        producer.checksum_resends = 0;
        if let Some(pending) = producer.pending.pop(&mut self.pending_bytes) {
            self.events.push_back(Event::Receipt {
                producer: id,
                tag: pending.tag,
                id: receipt_id(receipt),
            });
        }
        self.report_refused(id);
        Ok(())
    }

    /// SEND_ERROR, sorted as in Java's `ClientCnx.handleSendError`.
    pub(super) fn send_error(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        command: CommandSendError,
    ) {
        let id = ProducerId(command.producer_id);
        let Some(producer) = self.producers.get_mut(&id) else {
            return;
        };
        if !producer.link.is_attached_to(connection) {
            return;
        }
        let user = User::Producer(id);
        let awaited = producer.pending.expected_sequence_id() == Some(command.sequence_id);
        let error = BrokerError {
            kind: wire::error_kind(command.error, &command.message),
            message: command.message,
        };
        match ServerError::try_from(command.error) {
            Ok(ServerError::ChecksumError) => {
                producer.checksum_resends += 1;
                if awaited && producer.checksum_resends > MAX_CHECKSUM_RESENDS {
                    producer.checksum_resends = 0;
                    self.fail_first(id, error);
                } else {
                    self.resend(id, connection);
                }
            }
            Ok(ServerError::TopicTerminatedError) => {
                self.tell_broker_closed(now_ms, user);
                self.link_detach(now_ms, user);
                self.producer_failed(id, error);
            }
            Ok(ServerError::NotAllowedError) => {
                if awaited {
                    self.fail_first(id, error);
                }
            }
            _ => self.link_lost(now_ms, user, false, error, None),
        }
    }

    fn fail_first(&mut self, id: ProducerId, error: BrokerError) {
        if let Some(producer) = self.producers.get_mut(&id)
            && let Some(pending) = producer.pending.pop(&mut self.pending_bytes)
        {
            self.events.push_back(Event::SendFailed {
                producer: id,
                tag: pending.tag,
                error,
            });
        }
        self.report_refused(id);
    }

    /// What this machine has refused is reported when all that was sent before it has been.
    fn report_refused(&mut self, id: ProducerId) {
        if let Some(producer) = self.producers.get_mut(&id) {
            while let Some((tag, error)) = producer.pending.pop_refused(&mut self.pending_bytes) {
                self.events.push_back(Event::SendFailed {
                    producer: id,
                    tag,
                    error,
                });
            }
        }
    }

    fn fail_all(&mut self, id: ProducerId, error: &BrokerError) {
        while let Some(producer) = self.producers.get_mut(&id)
            && let Some(pending) = producer.pending.pop(&mut self.pending_bytes)
        {
            let error = match pending.content {
                Content::Refused(own) => *own,
                _ => error.clone(),
            };
            self.events.push_back(Event::SendFailed {
                producer: id,
                tag: pending.tag,
                error,
            });
        }
    }

    /// The timer runs from the oldest message that was pending when it was set. When that one is over its time, all
    /// are failed: in a queue nothing younger can be confirmed before it.
    pub(super) fn send_expired(&mut self, now_ms: u64, id: ProducerId) {
        let Some(producer) = self.producers.get(&id) else {
            return;
        };
        let Some(oldest) = producer.pending.front() else {
            return;
        };
        let expires_ms = oldest
            .created_ms
            .saturating_add(producer.spec.send_timeout_ms);
        if expires_ms > now_ms {
            self.deadlines.set(Timer::Send(id), expires_ms);
            return;
        }
        let error = BrokerError {
            kind: ErrorKind::Timeout,
            message: format!(
                "The producer {} can not send message to the topic {} within given timeout",
                producer.display_name(),
                producer.spec.topic,
            ),
        };
        self.fail_all(id, &error);
    }

    /// It is gone for good: its messages first.
    pub(super) fn producer_failed(&mut self, id: ProducerId, error: BrokerError) {
        self.fail_all(id, &error);
        self.deadlines.cancel(Timer::Send(id));
        if self.producers.remove(&id).is_some() {
            self.events.push_back(Event::ProducerFailed {
                producer: id,
                error,
            });
        }
    }
}

/// Ledger and entry are −1 where the broker names none: a message that it dropped as a duplicate.
fn receipt_id(receipt: &SendReceipt) -> MessageId {
    let id = receipt.message_id;
    MessageId {
        ledger: id.map_or(u64::MAX, |id| id.ledger),
        entry: id.map_or(u64::MAX, |id| id.entry),
        partition: -1,
        batch_index: -1,
        batch_size: 0,
    }
}
