//! An entry taken apart: decompressed, and its batch cut into messages.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use super::Message;
use super::decompress::decompress;
use super::metadata::{EntryMetadata, SingleMetadata};
use crate::pulsar::types::{Entry, MessageId};
use crate::pulsar::wire::DecodeError;

/// The most messages in one batch: twice as many as Java's producers put into one that are of a byte each (they close it
/// at 128 KiB of payload; by default at 1000 messages). A message takes some 200 bytes here, but next to nothing of an
/// entry that is compressed: a few kilobytes can become no more than 50 MB.
const MAX_BATCH_MESSAGES: usize = 1 << 18;

/// The least that a message takes in a batch: its metadata's size, and a metadata with `payload_size` alone.
const MIN_BATCHED_MESSAGE_BYTES: usize = 4 + 2;

/// Why an entry has no messages for a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    #[error("the entry is encrypted")]
    Encrypted,
    #[error("the entry is one chunk of a larger message")]
    Chunked,
    #[error("the entry's metadata is broken: {0}")]
    Metadata(#[from] DecodeError),
    #[error("{uncompressed_bytes} bytes uncompressed, more than {max_bytes}")]
    TooLarge {
        uncompressed_bytes: u64,
        max_bytes: usize,
    },
    #[error("the payload does not decompress to what its metadata says")]
    Decompression,
    #[error("the batch is broken")]
    Batch,
}

/// The messages of an entry that are still to be delivered, in order. May be none: all acked or compacted away.
///
/// What comes out holds at most `max_uncompressed_bytes` of payload. An entry that is neither compressed nor a batch
/// is not copied.
pub fn split(entry: &Entry, max_uncompressed_bytes: usize) -> Result<Vec<Message>, SplitError> {
    let metadata = decode(entry)?;
    if metadata.encrypted {
        return Err(SplitError::Encrypted);
    }
    if metadata.num_chunks > 1 {
        return Err(SplitError::Chunked);
    }
    let payload = plain_payload(entry, &metadata, max_uncompressed_bytes)?;
    match metadata.num_messages_in_batch {
        Some(count) => split_batch(entry, &metadata, count, payload),
        None => Ok(vec![single(entry, &metadata, payload)]),
    }
}

/// An encrypted entry as one message, whatever is in it: its payload is as it is stored. Chunks are to be put together
/// first.
pub fn open_encrypted(entry: &Entry, max_bytes: usize) -> Result<Message, SplitError> {
    let metadata = decode(entry)?;
    if metadata.num_chunks > 1 {
        return Err(SplitError::Chunked);
    }
    let payload = plain_payload(entry, &metadata, max_bytes)?;
    Ok(single(entry, &metadata, payload))
}

/// The message of an entry that was put together from chunks: its payload is all of theirs, the rest is the last one's.
/// `first_chunk` is the first one's entry. Chunks are never batches.
pub fn open_chunked(
    entry: &Entry,
    first_chunk: (u64, u64),
    max_uncompressed_bytes: usize,
) -> Result<Message, SplitError> {
    let metadata = decode(entry)?;
    let payload = plain_payload(entry, &metadata, max_uncompressed_bytes)?;
    Ok(Message {
        first_chunk: Some(first_chunk),
        ..single(entry, &metadata, payload)
    })
}

/// `encrypted` only while the payload is.
fn decode(entry: &Entry) -> Result<EntryMetadata, DecodeError> {
    let mut metadata = EntryMetadata::decode(&entry.metadata)?;
    metadata.encrypted &= !entry.is_decrypted;
    Ok(metadata)
}

fn decrypted_from(entry: &Entry) -> Option<Arc<[u8]>> {
    entry.is_decrypted.then(|| entry.metadata[..].into())
}

fn single(entry: &Entry, metadata: &EntryMetadata, payload: Bytes) -> Message {
    Message {
        id: message_id(entry, -1, 0),
        first_chunk: None,
        oldest_begun: None,
        redelivery_count: entry.redelivery_count,
        publish_time_ms: metadata.publish_time_ms,
        metadata: entry.metadata.clone(),
        payload,
        decrypted_from: decrypted_from(entry),
    }
}

fn plain_payload(
    entry: &Entry,
    metadata: &EntryMetadata,
    max_bytes: usize,
) -> Result<Bytes, SplitError> {
    // What was compressed before it was encrypted cannot be decompressed here.
    let compression = match metadata.encrypted {
        true => 0,
        false => metadata.compression,
    };
    let plain_bytes = if compression == 0 {
        entry.payload.len() as u64
    } else {
        u64::from(metadata.uncompressed_size)
    };
    if plain_bytes > max_bytes as u64 {
        return Err(SplitError::TooLarge {
            uncompressed_bytes: plain_bytes,
            max_bytes,
        });
    }
    decompress(compression, &entry.payload, plain_bytes as usize).ok_or(SplitError::Decompression)
}

/// `[metadata size u32][SingleMessageMetadata][payload]`, `count` times.
fn split_batch(
    entry: &Entry,
    metadata: &EntryMetadata,
    count: i32,
    mut rest: Bytes,
) -> Result<Vec<Message>, SplitError> {
    // The count is the producer's word: memory is taken for no more than can be there.
    let claimed = usize::try_from(count).map_err(|_| SplitError::Batch)?;
    if claimed > MAX_BATCH_MESSAGES || claimed > rest.len() / MIN_BATCHED_MESSAGE_BYTES {
        return Err(SplitError::Batch);
    }
    let inherited = metadata.inherited();
    let decrypted_from = decrypted_from(entry);
    let mut messages = Vec::with_capacity(claimed);
    for index in 0..count {
        let single_bytes = take_u32(&mut rest)?;
        let single = take(&mut rest, single_bytes)?;
        let fields = SingleMetadata::decode(&single)?;
        let payload_bytes = u32::try_from(fields.payload_size).map_err(|_| SplitError::Batch)?;
        let payload = take(&mut rest, payload_bytes)?;
        if fields.compacted_out || is_acked(&entry.ack_set, index) {
            continue;
        }
        messages.push(Message {
            id: message_id(entry, index, count),
            first_chunk: None,
            oldest_begun: None,
            redelivery_count: entry.redelivery_count,
            publish_time_ms: metadata.publish_time_ms,
            metadata: concat(&inherited, single),
            payload,
            decrypted_from: decrypted_from.clone(),
        });
    }
    Ok(messages)
}

fn message_id(entry: &Entry, batch_index: i32, batch_size: i32) -> MessageId {
    MessageId {
        ledger: entry.ledger,
        entry: entry.entry,
        partition: entry.partition,
        batch_index,
        batch_size,
    }
}

/// A bit beyond the set's end is clear, as in Java's `BitSet`.
fn is_acked(ack_set: &[u64], index: i32) -> bool {
    let index = index as usize;
    !ack_set.is_empty()
        && ack_set
            .get(index / 64)
            .is_none_or(|word| word >> (index % 64) & 1 == 0)
}

/// In protobuf the later of two equal fields counts, so what is inherited goes in front.
fn concat(inherited: &Bytes, single: Bytes) -> Bytes {
    if inherited.is_empty() {
        return single;
    }
    let mut both = BytesMut::with_capacity(inherited.len() + single.len());
    both.extend_from_slice(inherited);
    both.extend_from_slice(&single);
    both.freeze()
}

fn take_u32(bytes: &mut Bytes) -> Result<u32, SplitError> {
    let size = bytes.first_chunk().ok_or(SplitError::Batch)?;
    let size = u32::from_be_bytes(*size);
    bytes.advance(4);
    Ok(size)
}

fn take(bytes: &mut Bytes, len: u32) -> Result<Bytes, SplitError> {
    if u64::from(len) > bytes.len() as u64 {
        return Err(SplitError::Batch);
    }
    Ok(bytes.split_to(len as usize))
}
