//! `MessageMetadata` and `SingleMessageMetadata` on their way out: field by field in tag order, as every protobuf
//! encoder writes it.

use bytes::{BufMut, Bytes, BytesMut};

use super::varint::{
    bytes_field_len, int32, put_bytes_field, put_bytes_key, put_varint_field, varint_field_len,
};

/// `CompressionType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    Lz4 = 1,
    Zlib = 2,
    Zstd = 3,
    Snappy = 4,
}

impl Compression {
    /// None: the number says that there is none, or is not known here.
    pub fn from_number(number: i32) -> Option<Compression> {
        match number {
            1 => Some(Compression::Lz4),
            2 => Some(Compression::Zlib),
            3 => Some(Compression::Zstd),
            4 => Some(Compression::Snappy),
            _ => None,
        }
    }
}

/// The fields of `MessageMetadata` that a gateway sets. What is `None`, empty or false is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetadataFields<'a> {
    pub producer_name: &'a str,
    pub sequence_id: u64,
    /// Wall clock, milliseconds since 1970; so are the other times.
    pub publish_time_ms: u64,
    pub properties: &'a [(&'a str, &'a str)],
    pub partition_key: Option<&'a str>,
    /// The partition key is bytes in base64.
    pub partition_key_b64_encoded: bool,
    /// Clusters to replicate to; Java's `disableReplication` is the one name `__local__`.
    pub replicate_to: &'a [&'a str],
    pub compression: Option<Compression>,
    /// Before it was compressed, or encrypted.
    pub uncompressed_size: Option<u32>,
    /// Some: the payload is a batch, even of one.
    pub num_messages_in_batch: Option<i32>,
    pub event_time_ms: Option<u64>,
    /// Each from [`encode_encryption_key`].
    pub encryption_keys: &'a [Bytes],
    pub encryption_algo: Option<&'a str>,
    pub encryption_param: Option<&'a [u8]>,
    pub ordering_key: Option<&'a [u8]>,
    pub deliver_at_time_ms: Option<i64>,
    /// Of a batch: its last message's sequence id.
    pub highest_sequence_id: Option<u64>,
    pub null_value: bool,
    pub chunk: Option<ChunkFields<'a>>,
}

/// Where an entry stands that is a part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkFields<'a> {
    /// The message's, on this topic.
    pub uuid: &'a str,
    /// From 0.
    pub chunk_id: i32,
    pub num_chunks_from_msg: i32,
    /// Of all its chunks' payloads, in bytes.
    pub total_chunk_msg_size: i32,
}

impl MetadataFields<'_> {
    /// At least what [`Self::put`] writes: a reservation, not a size.
    pub(in crate::pulsar) fn len_bound(&self) -> usize {
        /// Numbers and flags, at most 12 bytes each; and key and length of the strings.
        const FIXED_BYTES: usize = 240;
        /// Keys and lengths of a property: one pair for it, one for its key, one for its value.
        const PER_ITEM_BYTES: usize = 36;
        let properties: usize = self
            .properties
            .iter()
            .map(|(key, value)| key.len() + value.len() + PER_ITEM_BYTES)
            .sum();
        let clusters: usize = self
            .replicate_to
            .iter()
            .map(|cluster| cluster.len() + PER_ITEM_BYTES)
            .sum();
        let keys: usize = self
            .encryption_keys
            .iter()
            .map(|key| key.len() + PER_ITEM_BYTES)
            .sum();
        FIXED_BYTES
            + self.producer_name.len()
            + self.partition_key.map_or(0, str::len)
            + self.encryption_algo.map_or(0, str::len)
            + self.encryption_param.map_or(0, <[u8]>::len)
            + self.ordering_key.map_or(0, <[u8]>::len)
            + self.chunk.map_or(0, |chunk| chunk.uuid.len())
            + properties
            + clusters
            + keys
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_bytes_field(out, 1, self.producer_name.as_bytes());
        put_varint_field(out, 2, self.sequence_id);
        put_varint_field(out, 3, self.publish_time_ms);
        put_properties(out, 4, self.properties);
        put_optional(out, 6, self.partition_key.map(str::as_bytes));
        for cluster in self.replicate_to {
            put_bytes_field(out, 7, cluster.as_bytes());
        }
        if let Some(compression) = self.compression {
            put_varint_field(out, 8, compression as u64);
        }
        if let Some(size) = self.uncompressed_size {
            put_varint_field(out, 9, u64::from(size));
        }
        if let Some(count) = self.num_messages_in_batch {
            put_varint_field(out, 11, int32(count));
        }
        if let Some(time_ms) = self.event_time_ms {
            put_varint_field(out, 12, time_ms);
        }
        for key in self.encryption_keys {
            put_bytes_field(out, 13, key);
        }
        put_optional(out, 14, self.encryption_algo.map(str::as_bytes));
        put_optional(out, 15, self.encryption_param);
        if self.partition_key_b64_encoded {
            put_varint_field(out, 17, 1);
        }
        put_optional(out, 18, self.ordering_key);
        if let Some(time_ms) = self.deliver_at_time_ms {
            put_varint_field(out, 19, time_ms as u64);
        }
        if let Some(id) = self.highest_sequence_id {
            put_varint_field(out, 24, id);
        }
        if self.null_value {
            put_varint_field(out, 25, 1);
        }
        if let Some(chunk) = self.chunk {
            put_bytes_field(out, 26, chunk.uuid.as_bytes());
            put_varint_field(out, 27, int32(chunk.num_chunks_from_msg));
            put_varint_field(out, 28, int32(chunk.total_chunk_msg_size));
            put_varint_field(out, 29, int32(chunk.chunk_id));
        }
    }
}

fn put_optional(out: &mut BytesMut, number: u64, value: Option<&[u8]>) {
    if let Some(value) = value {
        put_bytes_field(out, number, value);
    }
}

/// `KeyValue`s.
fn put_properties(out: &mut BytesMut, number: u64, properties: &[(&str, &str)]) {
    for (key, value) in properties {
        put_bytes_key(out, number, property_bytes(key, value));
        put_bytes_field(out, 1, key.as_bytes());
        put_bytes_field(out, 2, value.as_bytes());
    }
}

fn property_bytes(key: &str, value: &str) -> usize {
    bytes_field_len(1, key.len()) + bytes_field_len(2, value.len())
}

/// `EncryptionKeys`: a data key, encrypted, with what its publisher notes beside it.
pub fn encode_encryption_key(name: &str, value: &[u8], metadata: &[(&str, &str)]) -> Bytes {
    let mut out = BytesMut::new();
    put_bytes_field(&mut out, 1, name.as_bytes());
    put_bytes_field(&mut out, 2, value);
    put_properties(&mut out, 3, metadata);
    out.freeze()
}

/// The fields of `SingleMessageMetadata`, a message's own in a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct SingleMetadataFields<'a> {
    pub properties: &'a [(&'a str, &'a str)],
    pub partition_key: Option<&'a str>,
    /// The partition key is bytes in base64.
    pub partition_key_b64_encoded: bool,
    pub ordering_key: Option<&'a [u8]>,
    pub event_time_ms: Option<u64>,
    pub sequence_id: u64,
    pub null_value: bool,
}

impl SingleMetadataFields<'_> {
    /// Appends its size and itself: what stands before the message's payload in a batch.
    pub fn put(&self, payload_len: usize, out: &mut BytesMut) {
        out.put_u32(self.encoded_len(payload_len) as u32);
        put_properties(out, 1, self.properties);
        put_optional(out, 2, self.partition_key.map(str::as_bytes));
        put_varint_field(out, 3, payload_len as u64);
        if let Some(time_ms) = self.event_time_ms {
            put_varint_field(out, 5, time_ms);
        }
        if self.partition_key_b64_encoded {
            put_varint_field(out, 6, 1);
        }
        put_optional(out, 7, self.ordering_key);
        put_varint_field(out, 8, self.sequence_id);
        if self.null_value {
            put_varint_field(out, 9, 1);
        }
    }

    /// Without the size in front.
    pub fn encoded_len(&self, payload_len: usize) -> usize {
        let properties: usize = self
            .properties
            .iter()
            .map(|(key, value)| bytes_field_len(1, property_bytes(key, value)))
            .sum();
        properties
            + self
                .partition_key
                .map_or(0, |key| bytes_field_len(2, key.len()))
            + varint_field_len(3, payload_len as u64)
            + self
                .event_time_ms
                .map_or(0, |time_ms| varint_field_len(5, time_ms))
            + usize::from(self.partition_key_b64_encoded) * 2
            + self
                .ordering_key
                .map_or(0, |key| bytes_field_len(7, key.len()))
            + varint_field_len(8, self.sequence_id)
            + usize::from(self.null_value) * 2
    }
}
