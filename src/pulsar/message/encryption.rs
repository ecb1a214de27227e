//! How an encrypted message was encrypted, for clients that decrypt it themselves; read from its metadata where it lies.

use std::borrow::Cow;

use bytes::Bytes;

use super::Message;
use super::parts::{Parts, Properties, key_value};
use crate::pulsar::wire::encode_encryption_key;
use crate::pulsar::wire::varint::{Fields, Value};

/// Out of `MessageMetadata`. Tolerant, as [`super::Parts`] is.
#[derive(Debug, Default)]
pub struct Encryption<'a> {
    /// In the order in which they were published.
    pub keys: Vec<EncryptionKey<'a>>,
    pub param: &'a [u8],
    pub algorithm: Option<Cow<'a, str>>,
    /// The number of `CompressionType`; 0: none.
    pub compression: i32,
    /// 0 where the producer does not say.
    pub uncompressed_size: u32,
    /// Some: what is encrypted is a batch of so many messages.
    pub batch_size: Option<i32>,
}

/// `EncryptionKeys`: the data key, encrypted for one who holds the key of this name.
#[derive(Debug)]
pub struct EncryptionKey<'a> {
    pub name: Cow<'a, str>,
    pub value: &'a [u8],
    pub metadata: Properties<'a>,
}

impl Message {
    /// Whether the payload still is as its producer has encrypted it.
    pub fn is_encrypted(&self, parts: &Parts<'_>) -> bool {
        parts.is_encrypted && self.decrypted_from.is_none()
    }

    /// How it was encrypted when it was published, whether it still is or not. Only of one that says in its
    /// [`super::Parts`] that it was.
    pub fn encryption(&self) -> Encryption<'_> {
        Encryption::of(self.decrypted_from.as_deref().unwrap_or(&self.metadata))
    }
}

impl<'a> Encryption<'a> {
    /// Out of `MessageMetadata`.
    pub fn of(metadata: &'a [u8]) -> Encryption<'a> {
        Encryption::with_keys(metadata, usize::MAX)
    }

    /// With the first of its keys only, of which metadata may have as many as there is room for.
    pub fn with_keys(metadata: &'a [u8], keys_max: usize) -> Encryption<'a> {
        let mut found = Encryption::default();
        let mut fields = Fields::new(metadata);
        while let Ok(Some(field)) = fields.next() {
            match field {
                (8, Value::Varint(value)) => found.compression = value as i32,
                (9, Value::Varint(value)) => found.uncompressed_size = value as u32,
                (11, Value::Varint(value)) => found.batch_size = Some(value as i32),
                (13, Value::Bytes(key)) if found.keys.len() < keys_max => {
                    found.keys.push(encryption_key(key));
                }
                (14, Value::Bytes(name)) => found.algorithm = Some(String::from_utf8_lossy(name)),
                (15, Value::Bytes(param)) => found.param = param,
                _ => {}
            }
        }
        found
    }
}

impl EncryptionKey<'_> {
    /// As metadata has it.
    pub fn encode(&self) -> Bytes {
        let metadata: Vec<_> = self.metadata.clone().collect();
        let metadata: Vec<(&str, &str)> = metadata
            .iter()
            .map(|(key, value)| (key.as_ref(), value.as_ref()))
            .collect();
        encode_encryption_key(&self.name, self.value, &metadata)
    }
}

fn encryption_key(encoded: &[u8]) -> EncryptionKey<'_> {
    // Name and value have the numbers of a `KeyValue`'s key and value.
    let (name, _) = key_value(encoded);
    let mut value: &[u8] = &[];
    let mut fields = Fields::new(encoded);
    while let Ok(Some(field)) = fields.next() {
        if let (2, Value::Bytes(bytes)) = field {
            value = bytes;
        }
    }
    EncryptionKey {
        name,
        value,
        metadata: Properties::new(encoded, METADATA),
    }
}

/// Of `EncryptionKeys`.
const METADATA: u64 = 3;
