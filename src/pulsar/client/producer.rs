//! Producers: created on the topic's owner; their messages are encoded once, go out without waiting and are kept.
//! What becomes of the messages is `receipts.rs`' subject.

use ::pulsar::proto::BaseCommand;
use bytes::BytesMut;

use super::Client;
use super::commands;
use super::deadlines::{Timer, User};
use super::link::Link;
use super::pending::{Content, Pending, PendingQueue, Unencoded};
use super::spec::{ConnectionId, ProducerId, ProducerSpec, SendFields, SendRefused, Tag};
use crate::pulsar::types::{BrokerError, ErrorKind};
use crate::pulsar::wire::{self, EncodeSendError, MetadataFields, SendHeader};

#[derive(Debug)]
pub(super) struct Producer {
    pub link: Link,
    pub spec: ProducerSpec,
    /// Its owner's; else the one the broker gave the first time, kept for ever so that deduplication goes on.
    pub name: Option<String>,
    /// Of the next creation (CommandProducer.epoch): a later one tells the broker that the earlier is dead.
    epoch: u64,
    /// Known from the first ProducerSuccess on.
    pub next_sequence_id: Option<u64>,
    pub pending: PendingQueue,
    pub checksum_resends: u32,
}

impl Producer {
    /// What the frames need and only a created producer has.
    fn identity(&self) -> Option<(&str, u64)> {
        Some((self.name.as_deref()?, self.next_sequence_id?))
    }

    /// The name in error texts.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or("(unnamed)")
    }

    pub fn too_large(&self, bytes: usize, max_bytes: usize) -> BrokerError {
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
    pub fn encode<E>(
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
            partition_key_b64_encoded: fields.partition_key_b64_encoded,
            ordering_key: fields.ordering_key,
            null_value: fields.null_value,
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

    /// The connection that its messages go out on; None while it has none.
    pub fn producer_connection(&self, producer: ProducerId) -> Option<ConnectionId> {
        self.producers.get(&producer)?.link.attached_to()
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
}
