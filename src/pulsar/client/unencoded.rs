//! A message that waits to be encoded: what its owner gave, kept.

use bytes::Bytes;

use super::spec::{SendEncryption, SendFields};
use crate::pulsar::wire::{ChunkFields, Compression};

/// A message that came before the producer had its name and sequence id, which are part of the metadata.
#[derive(Debug)]
pub(super) struct Unencoded {
    properties: Vec<(String, String)>,
    partition_key: Option<String>,
    partition_key_b64_encoded: bool,
    ordering_key: Option<Vec<u8>>,
    null_value: bool,
    event_time_ms: Option<u64>,
    deliver_at_ms: Option<i64>,
    replicate_to: Vec<String>,
    encryption: Option<Encryption>,
    chunk: Option<Box<Chunk>>,
    sequence_id: Option<u64>,
    publish_time_ms: u64,
    pub payload: Bytes,
}

/// [`ChunkFields`], kept.
#[derive(Debug)]
struct Chunk {
    uuid: String,
    chunk_id: i32,
    num_chunks_from_msg: i32,
    total_chunk_msg_size: i32,
}

impl Chunk {
    fn new(given: ChunkFields<'_>) -> Chunk {
        Chunk {
            uuid: given.uuid.to_owned(),
            chunk_id: given.chunk_id,
            num_chunks_from_msg: given.num_chunks_from_msg,
            total_chunk_msg_size: given.total_chunk_msg_size,
        }
    }

    fn given(&self) -> ChunkFields<'_> {
        ChunkFields {
            uuid: &self.uuid,
            chunk_id: self.chunk_id,
            num_chunks_from_msg: self.num_chunks_from_msg,
            total_chunk_msg_size: self.total_chunk_msg_size,
        }
    }
}

/// A [`SendEncryption`], kept.
#[derive(Debug)]
struct Encryption {
    param: Option<Vec<u8>>,
    compression: Option<Compression>,
    uncompressed_size: u32,
    keys: Box<[Bytes]>,
    batch_size: Option<i32>,
}

impl Encryption {
    fn new(given: SendEncryption<'_>) -> Encryption {
        Encryption {
            param: given.param.map(<[u8]>::to_vec),
            compression: given.compression,
            uncompressed_size: given.uncompressed_size,
            keys: given.keys.into(),
            batch_size: given.batch_size,
        }
    }

    fn bytes(&self) -> usize {
        let keys = self.keys.iter().map(|key| key.len() + size_of::<Bytes>());
        self.param.as_ref().map_or(0, Vec::len) + keys.sum::<usize>()
    }

    fn given(&self) -> SendEncryption<'_> {
        SendEncryption {
            param: self.param.as_deref(),
            compression: self.compression,
            uncompressed_size: self.uncompressed_size,
            keys: &self.keys,
            batch_size: self.batch_size,
        }
    }
}

impl Unencoded {
    pub fn new(fields: &SendFields<'_>, payload: Bytes) -> Unencoded {
        Unencoded {
            properties: fields
                .properties
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            partition_key: fields.partition_key.map(str::to_owned),
            partition_key_b64_encoded: fields.partition_key_b64_encoded,
            ordering_key: fields.ordering_key.map(<[u8]>::to_vec),
            null_value: fields.null_value,
            event_time_ms: fields.event_time_ms,
            deliver_at_ms: fields.deliver_at_ms,
            replicate_to: fields
                .replicate_to
                .iter()
                .map(|s| (*s).to_owned())
                .collect(),
            encryption: fields.encryption.map(Encryption::new),
            chunk: fields.chunk.map(|chunk| Box::new(Chunk::new(chunk))),
            sequence_id: fields.sequence_id,
            publish_time_ms: fields.publish_time_ms,
            payload,
        }
    }

    /// Calls `encode` with the fields as they were given.
    pub fn with_fields<R>(&self, encode: impl FnOnce(&SendFields<'_>) -> R) -> R {
        let properties: Vec<(&str, &str)> = self
            .properties
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let replicate_to: Vec<&str> = self.replicate_to.iter().map(String::as_str).collect();
        encode(&SendFields {
            properties: &properties,
            partition_key: self.partition_key.as_deref(),
            partition_key_b64_encoded: self.partition_key_b64_encoded,
            ordering_key: self.ordering_key.as_deref(),
            null_value: self.null_value,
            event_time_ms: self.event_time_ms,
            deliver_at_ms: self.deliver_at_ms,
            replicate_to: &replicate_to,
            encryption: self.encryption.as_ref().map(Encryption::given),
            chunk: self.chunk.as_ref().map(|chunk| chunk.given()),
            sequence_id: self.sequence_id,
            publish_time_ms: self.publish_time_ms,
        })
    }

    pub fn goes_to(&self, clusters: &[&str]) -> bool {
        self.replicate_to.iter().eq(clusters)
    }

    pub fn bytes(&self) -> usize {
        let properties: usize = self
            .properties
            .iter()
            .map(|(key, value)| key.len() + value.len() + size_of::<(String, String)>())
            .sum();
        let clusters: usize = self
            .replicate_to
            .iter()
            .map(|cluster| cluster.len() + size_of::<String>())
            .sum();
        let encryption = self.encryption.as_ref().map_or(0, Encryption::bytes);
        let chunk = self.chunk.as_ref();
        size_of::<Unencoded>()
            + encryption
            + chunk.map_or(0, |chunk| size_of::<Chunk>() + chunk.uuid.len())
            + self.payload.len()
            + properties
            + clusters
            + self.partition_key.as_ref().map_or(0, String::len)
            + self.ordering_key.as_ref().map_or(0, Vec::len)
    }
}
