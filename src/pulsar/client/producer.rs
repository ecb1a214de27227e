//! Producers: created on the topic's owner; their messages are encoded once, go out without waiting and are kept.
//! What becomes of the messages is `receipts.rs`' subject.

use std::sync::Arc;

use ::pulsar::proto::BaseCommand;
use bytes::BytesMut;

use super::Client;
use super::batch::{Batch, fill_exactly};
use super::commands;
use super::deadlines::{Timer, User};
use super::encode::Encoding;
use super::link::Link;
use super::pending::{Content, Pending, PendingQueue, Tags};
use super::spec::{ConnectionId, ProducerId, ProducerSpec, SendFields, SendRefused, Tag};
use super::unencoded::Unencoded;
use crate::pulsar::crypto::Sealing;
use crate::pulsar::types::{BrokerError, ErrorKind};
use crate::pulsar::wire::EncodeSendError;

#[derive(Debug)]
pub(super) struct Producer {
    pub link: Link,
    pub spec: ProducerSpec,
    /// Its owner's; else the one the broker gave the first time, kept for ever so that deduplication goes on.
    pub name: Option<String>,
    /// Of the next creation (CommandProducer.epoch): a later one tells the broker that the earlier is dead.
    epoch: u64,
    /// All sequence ids from here on are new to the broker. Known from the first ProducerSuccess on.
    pub next_sequence_id: Option<u64>,
    pub pending: PendingQueue,
    /// Messages that wait for others to share an entry with.
    pub batch: Option<Batch>,
    /// The last message that was to be batched was not.
    pub last_was_repeat: bool,
    pub checksum_resends: u32,
}

impl Producer {
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

    /// The sequence id of the next message; all chunks of one have the same, which brokers take for its key where it has
    /// none.
    pub fn sequence_id_of(&self, fields: &SendFields<'_>) -> u64 {
        let next = fields.sequence_id.or(self.next_sequence_id).unwrap_or(0);
        match fields.chunk {
            Some(chunk) if chunk.chunk_id > 0 => next.saturating_sub(1),
            _ => next,
        }
    }

    /// A message with this sequence id is taken. Behind one that its owner has chosen the producer's go on: lower, they
    /// would be duplicates to the broker.
    pub fn used(&mut self, sequence_id: u64) {
        let next = self.next_sequence_id.unwrap_or(0);
        self.next_sequence_id = Some(next.max(sequence_id.saturating_add(1)));
    }

    /// Whether the broker may have seen this sequence id before.
    pub fn is_repeat(&self, sequence_id: u64) -> bool {
        self.next_sequence_id.is_some_and(|next| sequence_id < next)
    }

    /// Its first ProducerSuccess says which sequence id was the last.
    pub fn starts_after(&mut self, last_sequence_id: i64) {
        if self.next_sequence_id.is_none() {
            let last = self.spec.initial_sequence_id.unwrap_or(last_sequence_id);
            let next = u64::try_from(last.saturating_add(1)).unwrap_or(0);
            self.next_sequence_id = Some(next);
        }
    }
}

impl Client {
    /// Answered by `ProducerReady` or `ProducerFailed`.
    pub fn open_producer(&mut self, now_ms: u64, spec: ProducerSpec) -> ProducerId {
        let id = self.prepare_producer(spec);
        self.link_open(now_ms, User::Producer(id));
        id
    }

    /// Nothing is asked of a broker before [`Client::start_producer`]; messages queue.
    pub fn prepare_producer(&mut self, spec: ProducerSpec) -> ProducerId {
        let id = ProducerId(self.next_producer_id);
        self.next_producer_id += 1;
        let producer = Producer {
            link: Link::new(self.new_backoff()),
            name: spec.name.clone(),
            spec,
            epoch: 0,
            next_sequence_id: None,
            pending: PendingQueue::default(),
            batch: None,
            last_was_repeat: false,
            checksum_resends: 0,
        };
        self.producers.insert(id, producer);
        id
    }

    /// Opens what was prepared, in the place of a producer that was open: like that one's reconnect it takes as long as it
    /// takes. To be called once.
    pub fn start_producer(&mut self, now_ms: u64, producer: ProducerId) {
        if let Some(prepared) = self.producers.get_mut(&producer) {
            prepared.link.replaces = true;
            self.link_start(now_ms, User::Producer(producer));
        }
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
        let Some(sender) = self.producers.get(&producer) else {
            return Err(SendRefused::NoProducer);
        };
        if sender.batches(fields, payload_len) {
            return self.send_in_batch(now_ms, producer, tag, fields, payload_len, fill);
        }
        if sender.batch.is_some() {
            self.flush_batch(now_ms, producer);
        }
        let mut encoding = Encoding {
            max_message_bytes: self.max_message_bytes(producer),
            compressor: &mut self.compressor,
        };
        let max_bytes = encoding.max_message_bytes;
        let Some(sender) = self.producers.get_mut(&producer) else {
            return Err(SendRefused::NoProducer);
        };
        let content = if payload_len > max_bytes && sender.spec.compression.is_none() {
            Content::Refused(Box::new(sender.too_large(payload_len, max_bytes)))
        } else if sender.next_sequence_id.is_some() {
            sender
                .encode(producer, fields, payload_len, &mut encoding, fill)
                .map_err(|error| match error {
                    EncodeSendError::Fill(error) => SendRefused::Fill(error),
                    EncodeSendError::PayloadLength { .. } | EncodeSendError::TooLarge => {
                        SendRefused::PayloadLength
                    }
                })?
        } else {
            let mut payload = BytesMut::with_capacity(payload_len);
            fill_exactly(&mut payload, payload_len, fill)?;
            Content::Unencoded(Box::new(Unencoded::new(fields, payload.freeze())))
        };
        let pending = Pending {
            tags: Tags::One(tag),
            created_ms: now_ms,
            content,
        };
        self.send_pending(now_ms, producer, pending);
        Ok(())
    }

    /// Writes it where the producer has a connection, and keeps it until it is answered.
    pub(super) fn send_pending(&mut self, now_ms: u64, id: ProducerId, pending: Pending) {
        let Some(sender) = self.producers.get_mut(&id) else {
            return;
        };
        if let (Content::Frame { frame, .. }, Some(connection)) =
            (&pending.content, sender.link.attached_to())
            && let Some(connection) = self.pool.writing(connection)
        {
            connection.output.push(frame);
        }
        sender.pending.push(pending, &mut self.pending_bytes);
        let timer = Timer::Send(id);
        if sender.spec.send_timeout_ms > 0 && !self.deadlines.is_set(timer) {
            let at_ms = now_ms.saturating_add(sender.spec.send_timeout_ms);
            self.deadlines.set(timer, at_ms);
        }
        self.report_known(id);
    }

    /// From now on this producer's messages are encrypted with another data key.
    pub fn reseal(&mut self, producer: ProducerId, sealing: Arc<Sealing>) {
        if let Some(producer) = self.producers.get_mut(&producer) {
            producer.spec.sealing = Some(sealing);
        }
    }

    /// How long the payload of a chunk with these fields may be: by the bound of the producer's broker; while it has none,
    /// by the one that was heard last. `None`: they leave too little for chunks.
    pub fn chunk_room(&self, producer: ProducerId, fields: &SendFields<'_>) -> Option<usize> {
        let max_bytes = self.max_message_bytes(producer);
        let producer = self.producers.get(&producer)?;
        producer.chunk_room(fields, max_bytes)
    }

    /// The largest message that the producer's broker takes.
    pub(super) fn max_message_bytes(&self, id: ProducerId) -> usize {
        self.producer_connection(id)
            .and_then(|connection| self.pool.get(connection))
            .map_or(self.pool.max_message_bytes, |c| c.max_message_bytes)
    }

    /// Nothing more is said about the producer or its messages; those that are out, or go out now from its batch, may
    /// still be persisted.
    pub fn close_producer(&mut self, now_ms: u64, producer: ProducerId) {
        let user = User::Producer(producer);
        self.flush_batch(now_ms, producer);
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
