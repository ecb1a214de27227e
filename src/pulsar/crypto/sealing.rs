//! What a producer encrypts with: a data key, that key encrypted for everybody who may read, and vectors that never
//! come twice.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};

use super::data_key::{DataKey, IV_BYTES};
use super::keys::PublicKey;
use crate::pulsar::wire::encode_encryption_key;

/// Shared by a socket's producers of all partitions.
///
/// Java takes a random vector for each entry. With a data key that no one else encrypts with, a count is as good and can
/// not repeat itself; it begins anew with the next data key.
#[derive(Debug)]
pub struct Sealing {
    data_key: DataKey,
    /// Each as `EncryptionKeys` of the metadata.
    keys: Box<[Bytes]>,
    entries: AtomicU64,
}

/// Why there is none. Completes the sentence "… key … ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct SealingError;

impl Sealing {
    /// A new data key for the owners of these keys. Takes about a millisecond for each.
    ///
    /// # Errors
    /// Without randomness.
    pub fn new(readers: &[(&str, PublicKey)]) -> Result<Sealing, SealingError> {
        let (data_key, bytes) = DataKey::generate().ok_or(SealingError)?;
        let mut keys = Vec::with_capacity(readers.len());
        for (name, key) in readers {
            let encrypted = key.encrypt(&*bytes).ok_or(SealingError)?;
            keys.push(encode_encryption_key(name, &encrypted, &[]));
        }
        Ok(Sealing {
            data_key,
            keys: keys.into(),
            entries: AtomicU64::new(0),
        })
    }

    /// What an entry's metadata says of it.
    pub fn keys(&self) -> &[Bytes] {
        &self.keys
    }

    /// Encrypts an entry's payload in place; gives `encryption_param`. None: it is longer than AES-GCM takes.
    pub fn encrypt(&self, payload: &mut BytesMut) -> Option<[u8; IV_BYTES]> {
        let number = self.entries.fetch_add(1, Ordering::Relaxed);
        let mut iv = [0; IV_BYTES];
        iv[IV_BYTES - size_of::<u64>()..].copy_from_slice(&number.to_be_bytes());
        self.data_key.encrypt(&iv, payload).then_some(iv)
    }
}
