//! `MessageIdData`: the id that clients hold as base64, and the id inside commands.
//!
//! Order and omissions are those of Java's `MessageIdImpl.toByteArray` and `BatchMessageIdImpl.toByteArray`: clients
//! compare ids as strings. Decoding takes what Java's `MessageIdImpl.fromByteArray` takes.

use std::ops::Deref;

use super::varint::{DecodeError, Fields, MAX_VARINT_BYTES, Value, int32};
use crate::pulsar::types::MessageId;

/// Five fields, each a one-byte key and a varint.
const MAX_ENCODED_BYTES: usize = 5 * (1 + MAX_VARINT_BYTES);

/// An encoded id, on the stack.
#[derive(Clone, Copy)]
pub struct EncodedMessageId {
    bytes: [u8; MAX_ENCODED_BYTES],
    len: u8,
}

impl EncodedMessageId {
    fn put(&mut self, number: u8, mut value: u64) {
        self.push(number << 3);
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn push(&mut self, byte: u8) {
        self.bytes[usize::from(self.len)] = byte;
        self.len += 1;
    }
}

impl Deref for EncodedMessageId {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl MessageId {
    /// `MessageIdData` as Java writes it: ledger and entry, the partition when it is ≥ 0, the batch index only inside
    /// a batch, the batch size always.
    pub fn encode(&self) -> EncodedMessageId {
        let mut out = EncodedMessageId {
            bytes: [0; MAX_ENCODED_BYTES],
            len: 0,
        };
        out.put(1, self.ledger);
        out.put(2, self.entry);
        if self.partition >= 0 {
            out.put(3, int32(self.partition));
        }
        if self.batch_index >= 0 {
            out.put(4, int32(self.batch_index));
        }
        out.put(6, int32(self.batch_size));
        out
    }

    /// As Java's `ChunkMessageIdImpl.toByteArray`: the id of the last chunk, with the first one's in it.
    pub fn encode_chunked(&self, (ledger, entry): (u64, u64)) -> Vec<u8> {
        let first = MessageId {
            ledger,
            entry,
            ..*self
        };
        let first = first.encode();
        let mut out = self.encode().to_vec();
        out.push(7 << 3 | 2);
        // An id has at most 55 bytes: its length is one.
        out.push(first.len);
        out.extend_from_slice(&first);
        out
    }

    /// An id that a client gives back. Ledger and entry are required; −1 is legal in both ("earliest" has it).
    /// Nothing says that it is an id of this topic, or that its batch index is below its batch size.
    pub fn decode(bytes: &[u8]) -> Result<MessageId, DecodeError> {
        let mut parts = IdParts::default();
        parts.merge(bytes)?;
        parts.finish()
    }
}

/// An id while its fields are being read.
#[derive(Default)]
pub(super) struct IdParts {
    ledger: Option<u64>,
    entry: Option<u64>,
    partition: Option<i32>,
    batch_index: Option<i32>,
    batch_size: Option<i32>,
}

impl IdParts {
    /// Reads an encoded `MessageIdData`. Called again it overwrites field by field: that is what protobuf
    /// asks for when a message field occurs twice.
    pub(super) fn merge(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Varint(value)) => self.ledger = Some(value),
                (2, Value::Varint(value)) => self.entry = Some(value),
                (3, Value::Varint(value)) => self.partition = Some(value as i32),
                (4, Value::Varint(value)) => self.batch_index = Some(value as i32),
                (6, Value::Varint(value)) => self.batch_size = Some(value as i32),
                // ack_set (5), first_chunk_message_id (7): nothing here needs them.
                _ => {}
            }
        }
        Ok(())
    }

    /// A batch size without a batch index says nothing, in Java too; a negative one inside a batch is what Java's
    /// `BitSet.set` throws at.
    pub(super) fn finish(self) -> Result<MessageId, DecodeError> {
        let batch_index = self.batch_index.unwrap_or(-1).max(-1);
        let batch_size = if batch_index >= 0 {
            self.batch_size.unwrap_or(0)
        } else {
            0
        };
        if batch_size < 0 {
            return Err(DecodeError::BatchSize);
        }
        Ok(MessageId {
            ledger: self.ledger.ok_or(DecodeError::Missing("ledgerId"))?,
            entry: self.entry.ok_or(DecodeError::Missing("entryId"))?,
            partition: self.partition.unwrap_or(-1).max(-1),
            batch_index,
            batch_size,
        })
    }
}
