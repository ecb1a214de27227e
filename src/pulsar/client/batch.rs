//! Messages that wait to go out together as one entry: what a batch takes, and what it becomes. The rules are those of
//! Java's `ProducerImpl` and `BatchMessageContainerImpl`, but for two: messages for different clusters do not share a
//! batch (Java sends all of them where the first one goes), and a batch is bounded by its metadata, too.

use std::convert::Infallible;

use bytes::BytesMut;

use super::Client;
use super::deadlines::Timer;
use super::encode::Encoding;
use super::pending::{Content, Pending, Tags};
use super::producer::Producer;
use super::spec::{ProducerId, SendFields, SendRefused, Tag};
use super::unencoded::Unencoded;
use crate::pulsar::wire::{MetadataFields, SingleMetadataFields};

/// Payload bytes from which a batch goes out: the Java client's default `batchingMaxBytes`, which its gateway leaves.
const MAX_PAYLOAD_BYTES: usize = 128 * 1024;
/// The most messages in a batch, whatever `batchingMaxMessages` says: consumers have a bit and a permit for each.
const MAX_MESSAGES: usize = 100_000;

#[derive(Debug)]
pub(super) struct Batch {
    /// The first message. Alone it goes out as if there were no batching.
    first: Unencoded,
    tags: Vec<Tag>,
    /// From the second message on: the payload of the entry, `[metadata size][SingleMessageMetadata][payload]` each.
    entry: BytesMut,
    /// Of the messages.
    payload_bytes: usize,
    first_sequence_id: u64,
    last_sequence_id: u64,
}

/// One message that is to join a batch.
struct Joining<'a> {
    tag: Tag,
    sequence_id: u64,
    fields: &'a SendFields<'a>,
    payload_len: usize,
}

impl Joining<'_> {
    fn single(&self) -> SingleMetadataFields<'_> {
        single(self.fields, self.sequence_id)
    }
}

fn single<'a>(fields: &SendFields<'a>, sequence_id: u64) -> SingleMetadataFields<'a> {
    SingleMetadataFields {
        properties: fields.properties,
        partition_key: fields.partition_key,
        partition_key_b64_encoded: fields.partition_key_b64_encoded,
        ordering_key: fields.ordering_key,
        event_time_ms: fields.event_time_ms,
        sequence_id,
        null_value: fields.null_value,
    }
}

impl Batch {
    fn start<E>(
        joining: &Joining<'_>,
        fill: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<Batch, SendRefused<E>> {
        let mut payload = BytesMut::with_capacity(joining.payload_len);
        fill_exactly(&mut payload, joining.payload_len, fill)?;
        let fields = SendFields {
            sequence_id: Some(joining.sequence_id),
            ..*joining.fields
        };
        Ok(Batch {
            first: Unencoded::new(&fields, payload.freeze()),
            tags: vec![joining.tag],
            entry: BytesMut::new(),
            payload_bytes: joining.payload_len,
            first_sequence_id: joining.sequence_id,
            last_sequence_id: joining.sequence_id,
        })
    }

    fn add<E>(
        &mut self,
        joining: &Joining<'_>,
        fill: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<(), SendRefused<E>> {
        if self.entry.is_empty() {
            self.enter_first();
        }
        let start = self.entry.len();
        joining.single().put(joining.payload_len, &mut self.entry);
        if let Err(refused) = fill_exactly(&mut self.entry, joining.payload_len, fill) {
            self.entry.truncate(start);
            return Err(refused);
        }
        self.tags.push(joining.tag);
        self.payload_bytes += joining.payload_len;
        self.last_sequence_id = joining.sequence_id;
        Ok(())
    }

    fn enter_first(&mut self) {
        let Batch { first, entry, .. } = self;
        first.with_fields(|fields| {
            single(fields, self.first_sequence_id).put(first.payload.len(), entry);
        });
        entry.extend_from_slice(&first.payload);
    }

    /// Whether the message may join it.
    fn has_room(&self, joining: &Joining<'_>, max_messages: usize, max_entry_bytes: usize) -> bool {
        let more_bytes =
            4 + joining.single().encoded_len(joining.payload_len) + joining.payload_len;
        self.tags.len() < max_messages
            && self.payload_bytes + joining.payload_len <= MAX_PAYLOAD_BYTES
            && self.bytes() + more_bytes <= max_entry_bytes
            && self.first.goes_to(joining.fields.replicate_to)
    }

    /// Whether it is to go out at once.
    fn is_full(&self, max_messages: usize) -> bool {
        self.tags.len() >= max_messages || self.payload_bytes >= MAX_PAYLOAD_BYTES
    }

    /// What it holds.
    pub fn bytes(&self) -> usize {
        self.first.bytes() + self.entry.len() + self.tags.len() * size_of::<Tag>()
    }
}

/// Has `fill` append exactly `payload_len` bytes; else nothing.
pub(super) fn fill_exactly<E>(
    out: &mut BytesMut,
    payload_len: usize,
    fill: impl FnOnce(&mut BytesMut) -> Result<(), E>,
) -> Result<(), SendRefused<E>> {
    let start = out.len();
    let filled = fill(out).map_err(SendRefused::Fill);
    let result = match filled {
        Ok(()) if out.len() != start + payload_len => Err(SendRefused::PayloadLength),
        result => result,
    };
    if result.is_err() {
        out.truncate(start);
    }
    result
}

impl Producer {
    /// Whether this message may share an entry with others. One whose payload fills a batch by itself need not; one
    /// with a time of delivery must not, because the broker delays whole entries; nor what its owner has encrypted,
    /// because the key's param is the entry's.
    pub fn batches(&self, fields: &SendFields<'_>, payload_len: usize) -> bool {
        self.spec.batching.is_some()
            && self.spec.encryption_keys.is_empty()
            && self.next_sequence_id.is_some()
            && fields.deliver_at_ms.is_none()
            && payload_len < MAX_PAYLOAD_BYTES
    }

    fn max_messages(&self) -> usize {
        let asked = self
            .spec
            .batching
            .map_or(1, |batching| batching.max_messages);
        match asked {
            0 => MAX_MESSAGES,
            asked => (asked as usize).min(MAX_MESSAGES),
        }
    }

    /// What a batch becomes.
    fn encode_batch(
        &mut self,
        id: ProducerId,
        batch: Batch,
        encoding: &mut Encoding<'_>,
    ) -> (Tags, Content) {
        let Batch { first, entry, .. } = &batch;
        let fill = |out: &mut BytesMut| {
            out.extend_from_slice(if entry.is_empty() {
                &first.payload
            } else {
                entry
            });
            Ok::<(), Infallible>(())
        };
        if entry.is_empty() {
            let content = first
                .with_fields(|fields| self.encode(id, fields, first.payload.len(), encoding, fill));
            let tags = Tags::One(batch.tags.first().copied().unwrap_or_default());
            return (
                tags,
                self.or_too_large(content, first.payload.len(), encoding),
            );
        }
        let content = first.with_fields(|fields| {
            let metadata = MetadataFields {
                sequence_id: batch.first_sequence_id,
                highest_sequence_id: Some(batch.last_sequence_id),
                num_messages_in_batch: Some(batch.tags.len() as i32),
                publish_time_ms: fields.publish_time_ms,
                partition_key: fields.partition_key,
                partition_key_b64_encoded: fields.partition_key_b64_encoded,
                ordering_key: fields.ordering_key,
                replicate_to: fields.replicate_to,
                ..Default::default()
            };
            self.frame(id, metadata, entry.len(), encoding, fill)
        });
        let content = self.or_too_large(content, entry.len(), encoding);
        (Tags::Batch(batch.tags), content)
    }
}

impl Client {
    /// [`Client::send`] for a message that [`Producer::batches`].
    pub(super) fn send_in_batch<E>(
        &mut self,
        now_ms: u64,
        id: ProducerId,
        tag: Tag,
        fields: &SendFields<'_>,
        payload_len: usize,
        fill: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<(), SendRefused<E>> {
        // Half: compression may make an entry longer, and its metadata comes on top.
        let max_entry_bytes = self.max_message_bytes(id) / 2;
        let Some(sender) = self.producers.get_mut(&id) else {
            return Err(SendRefused::NoProducer);
        };
        let sequence_id = sender.sequence_id_of(fields);
        let joining = Joining {
            tag,
            sequence_id,
            fields,
            payload_len,
        };
        let max_messages = sender.max_messages();
        let is_repeat = sender.is_repeat(sequence_id);
        // What the broker may know already must not share its fate with what it does not.
        let stays_apart = is_repeat || sender.last_was_repeat;
        let room = |batch: &Batch| batch.has_room(&joining, max_messages, max_entry_bytes);
        if stays_apart || !sender.batch.as_ref().is_some_and(room) {
            self.flush_batch(now_ms, id);
        }
        let Some(sender) = self.producers.get_mut(&id) else {
            return Err(SendRefused::NoProducer);
        };
        let before_bytes = sender.batch.as_ref().map_or(0, Batch::bytes);
        let batch = match &mut sender.batch {
            Some(batch) => {
                let added = batch.add(&joining, fill);
                // The first message is entered even when this one is not.
                self.pending_bytes += batch.bytes() - before_bytes;
                added?;
                batch
            }
            none => {
                let batch = none.insert(Batch::start(&joining, fill)?);
                self.pending_bytes += batch.bytes();
                batch
            }
        };
        let is_full = batch.is_full(max_messages);
        sender.used(sequence_id);
        sender.last_was_repeat = is_repeat;
        let delay_ms = sender
            .spec
            .batching
            .map_or(0, |batching| batching.max_delay_ms);
        if is_full {
            self.flush_batch(now_ms, id);
        } else if !self.deadlines.is_set(Timer::Batch(id)) {
            let at_ms = now_ms.saturating_add(delay_ms);
            self.deadlines.set(Timer::Batch(id), at_ms);
        }
        Ok(())
    }

    /// What waits for company goes out without.
    pub fn flush_batches(&mut self, now_ms: u64) {
        let waiting = self.producers.iter();
        let waiting: Vec<ProducerId> = waiting
            .filter(|(_, producer)| producer.batch.is_some())
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.flush_batch(now_ms, id);
        }
    }

    /// The producer's batch goes out, if it has one; while it has no broker, into the queue.
    pub(super) fn flush_batch(&mut self, now_ms: u64, id: ProducerId) {
        let Some(batch) = self.take_batch(id) else {
            return;
        };
        let max_message_bytes = self.max_message_bytes(id);
        let Some(producer) = self.producers.get_mut(&id) else {
            return;
        };
        let mut encoding = Encoding {
            max_message_bytes,
            compressor: &mut self.compressor,
        };
        let (tags, content) = producer.encode_batch(id, batch, &mut encoding);
        let pending = Pending {
            tags,
            created_ms: now_ms,
            content,
        };
        self.send_pending(now_ms, id, pending);
    }

    /// Takes the producer's batch and its timer away.
    fn take_batch(&mut self, id: ProducerId) -> Option<Batch> {
        let batch = self.producers.get_mut(&id)?.batch.take()?;
        self.deadlines.cancel(Timer::Batch(id));
        self.pending_bytes -= batch.bytes();
        Some(batch)
    }

    /// As [`Self::take_batch`]; gives whom there is to tell.
    pub(super) fn drop_batch(&mut self, id: ProducerId) -> Vec<Tag> {
        self.take_batch(id).map_or(Vec::new(), |batch| batch.tags)
    }
}
