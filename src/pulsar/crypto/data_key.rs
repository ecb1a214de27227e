//! A data key: AES-GCM with a 12-byte initialization vector, no associated data, and the tag behind the payload.

use std::fmt;

use aes_gcm::aead::{AeadInOut, Buffer, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use bytes::{Bytes, BytesMut};
use zeroize::Zeroizing;

/// What Java's clients make; the others do the same.
pub(super) const KEY_BYTES: usize = 32;
/// `MessageMetadata.encryption_param`.
pub const IV_BYTES: usize = 12;
/// What encryption adds to a payload.
pub const TAG_BYTES: usize = 16;

/// Zeroized when it is dropped.
pub struct DataKey(Cipher);

enum Cipher {
    /// Of Java runtimes with limited cryptography.
    Aes128(Box<Aes128Gcm>),
    Aes256(Box<Aes256Gcm>),
}

/// Keys are not for logs.
impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey")
    }
}

impl DataKey {
    /// None: it has not the length of one.
    pub fn new(key: &[u8]) -> Option<DataKey> {
        let cipher = match key.len() {
            16 => Cipher::Aes128(Box::new(Aes128Gcm::new_from_slice(key).ok()?)),
            KEY_BYTES => Cipher::Aes256(Box::new(Aes256Gcm::new_from_slice(key).ok()?)),
            _ => return None,
        };
        Some(DataKey(cipher))
    }

    /// A new one, and its bytes. None: the system has no randomness.
    pub fn generate() -> Option<(DataKey, Zeroizing<[u8; KEY_BYTES]>)> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *bytes).ok()?;
        Some((DataKey::new(&*bytes)?, bytes))
    }

    /// Encrypts in place and appends the tag. No two payloads may have the same vector. False: it is longer than AES-GCM
    /// takes (64 GiB).
    pub fn encrypt(&self, iv: &[u8; IV_BYTES], payload: &mut BytesMut) -> bool {
        let mut payload = InPlace(payload);
        let encrypted = match &self.0 {
            Cipher::Aes128(cipher) => cipher.encrypt_in_place(&(*iv).into(), b"", &mut payload),
            Cipher::Aes256(cipher) => cipher.encrypt_in_place(&(*iv).into(), b"", &mut payload),
        };
        encrypted.is_ok()
    }

    /// None: it was encrypted with another key, or is broken.
    pub fn decrypt(&self, iv: &[u8], encrypted: &[u8]) -> Option<Bytes> {
        let iv: [u8; IV_BYTES] = iv.try_into().ok()?;
        let mut payload = BytesMut::from(encrypted);
        let mut in_place = InPlace(&mut payload);
        let decrypted = match &self.0 {
            Cipher::Aes128(cipher) => cipher.decrypt_in_place(&iv.into(), b"", &mut in_place),
            Cipher::Aes256(cipher) => cipher.decrypt_in_place(&iv.into(), b"", &mut in_place),
        };
        decrypted.ok()?;
        Some(payload.freeze())
    }
}

/// `BytesMut` as the cipher wants to see it.
struct InPlace<'a>(&'a mut BytesMut);

impl AsRef<[u8]> for InPlace<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl AsMut<[u8]> for InPlace<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        self.0
    }
}

impl Buffer for InPlace<'_> {
    fn extend_from_slice(&mut self, more: &[u8]) -> aes_gcm::aead::Result<()> {
        self.0.extend_from_slice(more);
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}
