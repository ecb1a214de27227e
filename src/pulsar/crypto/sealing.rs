//! What a producer encrypts with: a data key, that key encrypted for everybody who may read, and vectors that never
//! come twice.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use zeroize::Zeroizing;

use super::data_key::{DataKey, IV_BYTES, KEY_BYTES};
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

/// One in the making: for nobody yet.
pub struct Unsealed {
    data_key: DataKey,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    keys: Vec<Bytes>,
}

impl Unsealed {
    /// A new data key.
    ///
    /// # Errors
    /// Without randomness.
    pub fn new() -> Result<Unsealed, SealingError> {
        let (data_key, bytes) = DataKey::generate().ok_or(SealingError)?;
        Ok(Unsealed {
            data_key,
            bytes,
            keys: Vec::new(),
        })
    }

    /// The owner of this key may read too. Takes up to some milliseconds.
    ///
    /// # Errors
    /// Without randomness.
    pub fn add(&mut self, name: &str, key: &PublicKey) -> Result<(), SealingError> {
        let encrypted = key.encrypt(&*self.bytes).ok_or(SealingError)?;
        self.keys.push(encode_encryption_key(name, &encrypted, &[]));
        Ok(())
    }

    /// Those who have been added may read, and nobody else.
    pub fn seal(self) -> Sealing {
        Sealing {
            data_key: self.data_key,
            keys: self.keys.into(),
            entries: AtomicU64::new(0),
        }
    }
}

impl Sealing {
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
