//! What a client's parameters and messages ask of upstream producers, in their words.

use bytes::Bytes;

use super::ProducerSession;
use crate::api::{self, Batching, ClientKey, MessageEncryption, ProducerParams};
use crate::pulsar::client::{BatchingSpec, ProducerSpec, SendEncryption};
use crate::pulsar::topics::partition_name;
use crate::pulsar::wire;
use crate::session::Router;

impl ProducerSession {
    pub(super) fn spec(&self, partition: usize, name: Option<String>) -> ProducerSpec {
        let topic = match self.count {
            0 => self.topic.clone(),
            _ => partition_name(&self.topic, partition as i32),
        };
        ProducerSpec {
            principal: self.principal,
            topic,
            name,
            initial_sequence_id: self.params.initial_sequence_id,
            send_timeout_ms: self.params.send_timeout_ms.into(),
            encryption_keys: self.encryption_keys.clone(),
            sealing: self.sealed.as_ref().map(|sealed| sealed.sealing.clone()),
            compression: compression(self.params.compression),
            batching: self.params.batching.map(batching),
        }
    }
}

/// As it stands in the metadata of every message.
pub fn encryption_key(key: &ClientKey) -> Bytes {
    let metadata = key.metadata.iter();
    let metadata: Vec<(&str, &str)> = metadata
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    wire::encode_encryption_key(&key.name, &key.value, &metadata)
}

/// A size that can be none is the payload's, as in Java's `ProducerImpl.updateMessageMetadata`.
pub fn encryption(asked: &MessageEncryption, payload_len: usize) -> SendEncryption<'_> {
    let (asked_compression, size) = asked.compression.unwrap_or_default();
    SendEncryption {
        param: asked.param.as_deref(),
        compression: compression(asked_compression),
        uncompressed_size: match size {
            1.. => size.unsigned_abs(),
            _ => payload_len as u32,
        },
        keys: &[],
        batch_size: None,
    }
}

fn compression(asked: api::Compression) -> Option<wire::Compression> {
    match asked {
        api::Compression::None => None,
        api::Compression::Lz4 => Some(wire::Compression::Lz4),
        api::Compression::Zlib => Some(wire::Compression::Zlib),
        api::Compression::Zstd => Some(wire::Compression::Zstd),
        api::Compression::Snappy => Some(wire::Compression::Snappy),
    }
}

fn batching(asked: Batching) -> BatchingSpec {
    BatchingSpec {
        max_messages: u32::try_from(asked.max_messages).unwrap_or(0),
        max_delay_ms: asked.max_publish_delay_ms.into(),
    }
}

pub fn router(params: &ProducerParams, partitions: u32, first: u32) -> Router {
    let batch_delay_ms = params
        .batching
        .map(|batching| batching.max_publish_delay_ms);
    Router::new(
        params.routing_mode,
        params.hashing_scheme,
        batch_delay_ms,
        partitions,
        first,
    )
}
