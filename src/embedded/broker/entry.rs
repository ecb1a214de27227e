//! What a broker reads of a message that is published.

use ::prost::Message;
use ::pulsar::proto::ServerError;
use bytes::Bytes;

use super::hash::sticky_key_hash;
use super::log::Entry;
use super::subscription::Refusal;
use crate::pulsar::message::chunk_of;
use crate::pulsar::wire::{Body, BodyError};

/// A batch of more messages is refused: permits and ack sets are as large as a batch says that it is.
const MAX_BATCH_MESSAGES: i32 = 100_000;

/// A larger body is kept as the slice of the read buffer that it came as; a smaller one is copied, so that it does not
/// keep that whole buffer alive.
const KEEP_SLICE_FROM_BYTES: usize = 64 * 1024;

/// The fields of `MessageMetadata` that a broker looks at, strings as bytes: it is not the broker's business whether
/// they are UTF-8.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PublishedMetadata {
    #[prost(bytes = "vec", required, tag = "1")]
    pub producer_name: Vec<u8>,
    #[prost(uint64, required, tag = "2")]
    pub sequence_id: u64,
    #[prost(uint64, required, tag = "3")]
    pub publish_time: u64,
    #[prost(bytes = "vec", optional, tag = "6")]
    pub partition_key: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "11")]
    pub num_messages_in_batch: Option<i32>,
    #[prost(bool, optional, tag = "17")]
    pub partition_key_b64_encoded: Option<bool>,
    #[prost(bytes = "vec", optional, tag = "18")]
    pub ordering_key: Option<Vec<u8>>,
    #[prost(int64, optional, tag = "19")]
    pub deliver_at_time: Option<i64>,
}

/// The error is what SEND_ERROR says.
pub(super) fn read_entry(body: &Bytes, max_message_bytes: usize) -> Result<Entry, Refusal> {
    let not_allowed = |text: &str| Refusal::new(ServerError::NotAllowedError, text);
    let checksum = || Refusal::new(ServerError::ChecksumError, "Checksum failed on the broker");
    let parts = Body::parse(body).map_err(|error| match error {
        BodyError::Checksum => checksum(),
        BodyError::Truncated => not_allowed("The message has no metadata"),
    })?;
    if parts.metadata.len() + parts.payload.len() > max_message_bytes {
        return Err(not_allowed("Exceed maximum message size"));
    }
    let metadata = PublishedMetadata::decode(parts.metadata)
        .map_err(|_| not_allowed("The message's metadata cannot be read"))?;
    let messages = metadata.num_messages_in_batch;
    let batch_size = match messages.unwrap_or(1) {
        size @ 1..=MAX_BATCH_MESSAGES => size as u32,
        _ => return Err(not_allowed("The batch has too many messages, or none")),
    };
    let body = match body.len() {
        KEEP_SLICE_FROM_BYTES.. => body.clone(),
        _ => Bytes::copy_from_slice(body),
    };
    Ok(Entry {
        body,
        batch_size,
        in_batch: messages.is_some(),
        publish_time_ms: metadata.publish_time,
        deliver_at_ms: metadata
            .deliver_at_time
            .map_or(0, |at| u64::try_from(at).unwrap_or(0)),
        key_hash: sticky_key_hash(&sticky_key(metadata)),
    })
}

/// Of a chunk: whether it is not its message's last.
pub(super) fn another_follows(body: &Bytes) -> bool {
    let chunk = Body::parse(body).ok();
    let chunk = chunk.and_then(|parts| chunk_of(&parts.metadata));
    chunk.is_some_and(|chunk| chunk.index + 1 < chunk.count)
}

/// What Key_Shared goes by (`Commands.resolveStickyKey`): the ordering key, else the key, else something of the
/// message's own.
fn sticky_key(metadata: PublishedMetadata) -> Vec<u8> {
    if let Some(key) = metadata.ordering_key {
        return key;
    }
    match metadata.partition_key {
        Some(key) if metadata.partition_key_b64_encoded == Some(true) => {
            base64_simd::STANDARD.decode_to_vec(&key).unwrap_or(key)
        }
        Some(key) => key,
        None => {
            let mut key = metadata.producer_name;
            key.extend(format!("-{}", metadata.sequence_id).into_bytes());
            key
        }
    }
}
