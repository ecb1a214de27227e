//! What [`super::split()`] must know of an entry's `MessageMetadata` and of a batch's `SingleMessageMetadata`.

use bytes::{Bytes, BytesMut};

use crate::pulsar::wire::DecodeError;
use crate::pulsar::wire::varint::{Fields, Value, put_varint_field};

/// Out of `MessageMetadata`.
#[derive(Debug, Default)]
pub(super) struct EntryMetadata {
    pub publish_time_ms: u64,
    /// The number of `CompressionType`; 0: none.
    pub compression: i32,
    pub uncompressed_size: u32,
    /// Some: the payload is a batch, even of one.
    pub num_messages_in_batch: Option<i32>,
    pub encrypted: bool,
    pub num_chunks: i32,
    event_time_ms: Option<u64>,
    null_value: Option<u64>,
    null_partition_key: Option<u64>,
}

impl EntryMetadata {
    pub(super) fn decode(metadata: &[u8]) -> Result<Self, DecodeError> {
        let mut found = Self::default();
        let mut publish_time_ms = None;
        let mut fields = Fields::new(metadata);
        while let Some(field) = fields.next()? {
            match field {
                (3, Value::Varint(value)) => publish_time_ms = Some(value),
                (8, Value::Varint(value)) => found.compression = value as i32,
                (9, Value::Varint(value)) => found.uncompressed_size = value as u32,
                (11, Value::Varint(value)) => found.num_messages_in_batch = Some(value as i32),
                (12, Value::Varint(value)) => found.event_time_ms = Some(value),
                (13, Value::Bytes(_)) => found.encrypted = true,
                (25, Value::Varint(value)) => found.null_value = Some(value),
                (27, Value::Varint(value)) => found.num_chunks = value as i32,
                (30, Value::Varint(value)) => found.null_partition_key = Some(value),
                _ => {}
            }
        }
        found.publish_time_ms = publish_time_ms.ok_or(DecodeError::Missing("publish_time"))?;
        Ok(found)
    }

    /// What a message in the batch has from the batch where it says nothing itself (Java's `MessageImpl.init`),
    /// as fields of `SingleMessageMetadata`. Empty with Java's producers.
    pub(super) fn inherited(&self) -> Bytes {
        let mut out = BytesMut::new();
        for (number, value) in [
            (5, self.event_time_ms),
            (9, self.null_value),
            (10, self.null_partition_key),
        ] {
            if let Some(value) = value {
                put_varint_field(&mut out, number, value);
            }
        }
        out.freeze()
    }
}

/// One of the entries that a large message was cut into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The producer's name for the message.
    pub uuid: Bytes,
    /// From 0.
    pub index: usize,
    /// Above 1.
    pub count: usize,
    /// Of the whole message, compressed.
    pub total_bytes: usize,
}

/// What the metadata of a chunk says of it. None: it is no chunk, or says nonsense.
pub fn chunk_of(metadata: &Bytes) -> Option<Chunk> {
    let (mut uuid, mut index, mut count, mut total_bytes) = (Bytes::new(), 0, 0, 0);
    let mut fields = Fields::new(metadata);
    while let Some(field) = fields.next().ok()? {
        match field {
            // A copy: the metadata is a slice of what was read from the connection.
            (26, Value::Bytes(bytes)) => uuid = Bytes::copy_from_slice(bytes),
            (27, Value::Varint(value)) => count = value as i32,
            (28, Value::Varint(value)) => total_bytes = value as i32,
            (29, Value::Varint(value)) => index = value as i32,
            _ => {}
        }
    }
    let chunk = Chunk {
        uuid,
        index: index.try_into().ok()?,
        count: count.try_into().ok()?,
        total_bytes: total_bytes.try_into().ok()?,
    };
    (chunk.count > 1 && chunk.index < chunk.count).then_some(chunk)
}

/// Whether an entry came encrypted.
pub fn is_encrypted(metadata: &[u8]) -> bool {
    EntryMetadata::decode(metadata).is_ok_and(|metadata| metadata.encrypted)
}

/// When an entry was published, in milliseconds since 1970; 0 where its metadata does not say.
pub fn published_ms(metadata: &[u8]) -> u64 {
    EntryMetadata::decode(metadata).map_or(0, |metadata| metadata.publish_time_ms)
}

/// Out of `SingleMessageMetadata`.
#[derive(Debug)]
pub(super) struct SingleMetadata {
    pub payload_size: i32,
    pub compacted_out: bool,
}

impl SingleMetadata {
    pub(super) fn decode(metadata: &[u8]) -> Result<Self, DecodeError> {
        let mut payload_size = None;
        let mut compacted_out = false;
        let mut fields = Fields::new(metadata);
        while let Some(field) = fields.next()? {
            match field {
                (3, Value::Varint(value)) => payload_size = Some(value as i32),
                (4, Value::Varint(value)) => compacted_out = value != 0,
                _ => {}
            }
        }
        Ok(Self {
            payload_size: payload_size.ok_or(DecodeError::Missing("payload_size"))?,
            compacted_out,
        })
    }
}
