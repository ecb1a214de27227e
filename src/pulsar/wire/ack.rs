//! ACK and FLOW, written by hand: they go out for every message or few.

use ::pulsar::proto::base_command::Type;
use bytes::{BufMut, BytesMut};

use super::varint::{bytes_field_len, put_bytes_key, put_varint_field, varint_field_len};

/// `CommandAck.ValidationError`: what was wrong with an entry that is discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckValidationError {
    UncompressedSizeCorruption = 0,
    DecompressionError = 1,
    ChecksumMismatch = 2,
    BatchDeSerializeError = 3,
    DecryptionError = 4,
}

/// `CommandAck` without its message ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckHeader {
    pub consumer_id: u64,
    /// The one id given, and all before it.
    pub cumulative: bool,
    pub validation_error: Option<AckValidationError>,
    /// With one the broker answers ACK_RESPONSE.
    pub request_id: Option<u64>,
}

/// One id of a `CommandAck`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckId<'a> {
    pub ledger: u64,
    pub entry: u64,
    /// Of a batch that is not settled as a whole: bit i set = message i is still unacked. Empty: the whole entry.
    pub ack_set: &'a [u64],
}

impl AckId<'_> {
    fn encoded_len(&self) -> usize {
        let words: usize = self
            .ack_set
            .iter()
            .map(|word| varint_field_len(5, *word))
            .sum();
        varint_field_len(1, self.ledger) + varint_field_len(2, self.entry) + words
    }

    fn put(&self, out: &mut BytesMut) {
        put_varint_field(out, 1, self.ledger);
        put_varint_field(out, 2, self.entry);
        for word in self.ack_set {
            put_varint_field(out, 5, *word);
        }
    }
}

/// Appends a whole ACK frame. `ids` is walked twice: for the sizes, then for the bytes.
pub fn encode_ack<'a>(
    header: &AckHeader,
    ids: impl Iterator<Item = AckId<'a>> + Clone,
    out: &mut BytesMut,
) {
    let ack_bytes = varint_field_len(1, header.consumer_id)
        + 2
        + ids
            .clone()
            .map(|id| bytes_field_len(3, id.encoded_len()))
            .sum::<usize>()
        + header.validation_error.map_or(0, |_| 2)
        + header.request_id.map_or(0, |id| varint_field_len(8, id));
    put_command_head(out, Type::Ack, ack_bytes);
    put_varint_field(out, 1, header.consumer_id);
    put_varint_field(out, 2, u64::from(header.cumulative));
    for id in ids {
        put_bytes_key(out, 3, id.encoded_len());
        id.put(out);
    }
    if let Some(error) = header.validation_error {
        put_varint_field(out, 4, error as u64);
    }
    if let Some(id) = header.request_id {
        put_varint_field(out, 8, id);
    }
}

/// Appends a whole FLOW frame.
pub fn encode_flow(consumer_id: u64, permits: u32, out: &mut BytesMut) {
    let flow_bytes = varint_field_len(1, consumer_id) + varint_field_len(2, u64::from(permits));
    put_command_head(out, Type::Flow, flow_bytes);
    put_varint_field(out, 1, consumer_id);
    put_varint_field(out, 2, u64::from(permits));
}

/// Sizes, type, and the key of the command's own message, whose `len` bytes the caller writes behind it.
/// In `BaseCommand` a command's field has the number of its type.
fn put_command_head(out: &mut BytesMut, kind: Type, len: usize) {
    let number = kind as u64;
    let command_bytes = varint_field_len(1, number) + bytes_field_len(number, len);
    out.reserve(8 + command_bytes);
    out.put_u32(command_bytes as u32 + 4);
    out.put_u32(command_bytes as u32);
    put_varint_field(out, 1, number);
    put_bytes_key(out, number, len);
}
