//! What a client is told of a message, read from its metadata where it lies.
//!
//! Tolerant: metadata that breaks off gives what stood before the break, and text that is not UTF-8 gets
//! replacement characters. A message that has come this far is delivered.

use std::borrow::Cow;

use super::Message;
use crate::pulsar::wire::varint::{Fields, Value};

/// The parts of one message. Borrowed from its metadata.
#[derive(Clone, Debug, Default)]
pub struct Parts<'a> {
    pub key: Option<Cow<'a, str>>,
    /// `key` is base64 of bytes.
    pub key_is_base64: bool,
    pub ordering_key: Option<&'a [u8]>,
    /// Milliseconds since 1970; 0, which producers send for "none", is `None`.
    pub event_time_ms: Option<u64>,
    /// A message without a value: a tombstone of a compacted topic.
    pub null_value: bool,
    pub null_partition_key: bool,
    /// Its producer has encrypted it, outside a batch; see [`Message::encryption`] and [`Message::is_encrypted`].
    pub is_encrypted: bool,
    pub properties: Properties<'a>,
}

/// The numbers of the same fields in the two kinds of metadata.
struct Numbers {
    properties: u64,
    partition_key: u64,
    partition_key_b64_encoded: u64,
    ordering_key: u64,
    event_time: u64,
    null_value: u64,
    null_partition_key: u64,
}

const MESSAGE_METADATA: Numbers = Numbers {
    properties: 4,
    partition_key: 6,
    partition_key_b64_encoded: 17,
    ordering_key: 18,
    event_time: 12,
    null_value: 25,
    null_partition_key: 30,
};

const SINGLE_MESSAGE_METADATA: Numbers = Numbers {
    properties: 1,
    partition_key: 2,
    partition_key_b64_encoded: 6,
    ordering_key: 7,
    event_time: 5,
    null_value: 9,
    null_partition_key: 10,
};

/// Of `MessageMetadata`: messages of an encrypted batch are never told apart.
const ENCRYPTION_KEYS: u64 = 13;

impl Message {
    /// Reads the metadata once; the properties are read again as they are asked for.
    pub fn parts(&self) -> Parts<'_> {
        let numbers = if self.id.batch_index < 0 {
            &MESSAGE_METADATA
        } else {
            &SINGLE_MESSAGE_METADATA
        };
        let mut parts = Parts {
            properties: Properties::new(&self.metadata, numbers.properties),
            ..Parts::default()
        };
        let mut fields = Fields::new(&self.metadata);
        while let Ok(Some((number, value))) = fields.next() {
            match value {
                Value::Varint(value) if number == numbers.event_time => {
                    parts.event_time_ms = (value != 0).then_some(value);
                }
                Value::Varint(value) if number == numbers.partition_key_b64_encoded => {
                    parts.key_is_base64 = value != 0;
                }
                Value::Varint(value) if number == numbers.null_value => {
                    parts.null_value = value != 0;
                }
                Value::Varint(value) if number == numbers.null_partition_key => {
                    parts.null_partition_key = value != 0;
                }
                Value::Bytes(bytes) if number == numbers.partition_key => {
                    parts.key = Some(String::from_utf8_lossy(bytes));
                }
                Value::Bytes(bytes) if number == numbers.ordering_key => {
                    parts.ordering_key = Some(bytes);
                }
                Value::Bytes(_) if number == ENCRYPTION_KEYS && self.id.batch_index < 0 => {
                    parts.is_encrypted = true;
                }
                _ => {}
            }
        }
        parts
    }
}

/// Keys and values in the order in which they were published. A key may come twice: the last one counts.
#[derive(Clone, Debug)]
pub struct Properties<'a> {
    fields: Fields<'a>,
    number: u64,
}

impl<'a> Properties<'a> {
    /// Out of the fields of this number in an encoded message.
    pub(super) fn new(encoded: &'a [u8], number: u64) -> Self {
        Self {
            fields: Fields::new(encoded),
            number,
        }
    }
}

impl Default for Properties<'_> {
    fn default() -> Self {
        Self::new(&[], 0)
    }
}

impl<'a> Iterator for Properties<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (number, value) = self.fields.next().ok()??;
            if let Value::Bytes(pair) = value
                && number == self.number
            {
                return Some(key_value(pair));
            }
        }
    }
}

/// `KeyValue`; a missing side is empty.
pub(super) fn key_value(pair: &[u8]) -> (Cow<'_, str>, Cow<'_, str>) {
    let (mut key, mut value) = (Cow::default(), Cow::default());
    let mut fields = Fields::new(pair);
    while let Ok(Some(field)) = fields.next() {
        match field {
            (1, Value::Bytes(bytes)) => key = String::from_utf8_lossy(bytes),
            (2, Value::Bytes(bytes)) => value = String::from_utf8_lossy(bytes),
            _ => {}
        }
    }
    (key, value)
}
