//! The data keys that a consumer knows, and decrypting entries with them.
//!
//! Decrypting a data key takes up to some milliseconds of someone else's time; it is asked for once and kept.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::data_key::DataKey;
use crate::pulsar::Entry;
use crate::pulsar::message::Encryption;

/// Data keys kept. Each producer has one, and a new one every four hours; more producers on a topic only ask again.
const KEPT_MAX: usize = 1024;

/// How long one is kept unused, as in Java.
const KEPT_MS: u64 = 4 * 60 * 60 * 1000;

/// For how long a data key that could not be decrypted is not asked for again: a private key that is put in its place
/// meanwhile is noticed after that.
const REFUSED_MS: u64 = 5_000;

/// Keys of one entry that are looked at. Java sets no limit; publishers name their readers in the request line.
const KEYS_PER_ENTRY_MAX: usize = 100;

/// Data keys that are tried on one entry in vain: each try costs a copy of the payload and a pass over it. All keys of
/// an entry are the same data key, encrypted to one reader each, so that the first that is known either opens it or the
/// entry is damaged; the others are for publishers that put a wrong one before.
const FAILED_TRIES_MAX: usize = 3;

/// The longest encrypted data key: of RSA with 4096 bits, twice.
const SEALED_BYTES_MAX: usize = 1024;

/// A data key as it came with an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SealedDataKey {
    /// Of the key pair whose private half decrypts it. The publisher's word.
    pub name: String,
    pub value: Box<[u8]>,
}

/// What became of an encrypted entry.
#[derive(Debug)]
pub enum Opened {
    /// Decrypted; still compressed, if it was.
    Payload(Bytes),
    /// First this is to be decrypted; answer with [`DataKeys::answer`].
    Wants(SealedDataKey),
    /// An answer is still to come.
    Waits,
    /// None of its keys is ours.
    Undecryptable,
}

/// What came of the keys of one entry, by their place. To be kept as long as the entry waits: it is looked at in every
/// turn until its data key is there.
#[derive(Debug, Default)]
pub struct Tried {
    /// Were known and have not opened it.
    failed: [u8; FAILED_TRIES_MAX],
    count: u8,
    /// What was answered when it was looked at last; 0: never.
    looked_after: u32,
    /// Those that are not ours, a bit each. That is forgotten beside it (`REFUSED_MS`), and may be before the last of
    /// them is answered: asked for again and again, they would stop what is behind it for good.
    refused: Option<Box<u128>>,
}

/// A bit for each key.
const _: () = assert!(KEYS_PER_ENTRY_MAX <= u128::BITS as usize);

impl Tried {
    pub(super) fn failed(&self) -> impl Iterator<Item = usize> + '_ {
        let failed = self.failed.iter().take(usize::from(self.count));
        failed.copied().map(usize::from)
    }

    fn fail(&mut self, place: usize) {
        if let Some(next) = self.failed.get_mut(usize::from(self.count)) {
            // Places are below KEYS_PER_ENTRY_MAX.
            *next = place as u8;
            self.count += 1;
        }
    }

    fn refuse(&mut self, place: usize) {
        **self.refused.get_or_insert_default() |= 1 << place;
    }

    fn is_refused(&self, place: usize) -> bool {
        let refused = self.refused.as_deref();
        refused.is_some_and(|refused| refused >> place & 1 == 1)
    }

    fn is_hopeless(&self) -> bool {
        usize::from(self.count) == FAILED_TRIES_MAX
    }
}

#[derive(Debug)]
enum Known {
    Key { key: Arc<DataKey>, used_ms: u64 },
    Refused { until_ms: u64 },
}

impl Known {
    /// When it is forgotten.
    fn until_ms(&self) -> u64 {
        match self {
            Known::Key { used_ms, .. } => used_ms.saturating_add(KEPT_MS),
            Known::Refused { until_ms } => *until_ms,
        }
    }
}

/// By what they are encrypted to.
#[derive(Debug, Default)]
pub struct DataKeys {
    known: HashMap<Box<[u8]>, Known>,
    /// One question is out at a time: that bounds them.
    asked: Option<Box<[u8]>>,
    /// How many have been answered.
    answers: u32,
}

impl DataKeys {
    /// Decrypts an encrypted entry with the first of its keys that does it. As in Java, those that are known go first:
    /// what came with a key of ours and one of somebody else's does not wait for the other.
    /// Beside the entry stands what has been tried on it before.
    pub fn open(&mut self, now_ms: u64, entry: &Entry, tried: &mut Tried) -> Opened {
        if tried.is_hopeless() {
            return Opened::Undecryptable;
        }
        if self.is_awaited(tried) {
            return Opened::Waits;
        }
        tried.looked_after = self.answers.wrapping_add(1);
        let encryption = Encryption::with_keys(&entry.metadata, KEYS_PER_ENTRY_MAX);
        let mut unknown = None;
        for (place, sealed) in encryption.keys.iter().enumerate() {
            let is_same = |failed| {
                let failed = encryption.keys.get::<usize>(failed);
                failed.is_some_and(|failed| failed.value == sealed.value)
            };
            if sealed.value.len() > SEALED_BYTES_MAX || tried.failed().any(is_same) {
                continue;
            }
            let known = self.known.get_mut(sealed.value);
            match known.filter(|known| known.until_ms() > now_ms) {
                None if tried.is_refused(place) => {}
                None => unknown = unknown.or(Some(sealed)),
                Some(Known::Refused { .. }) => tried.refuse(place),
                Some(Known::Key { key, used_ms }) => {
                    *used_ms = now_ms;
                    if let Some(payload) = key.decrypt(encryption.param, &entry.payload) {
                        return Opened::Payload(payload);
                    }
                    tried.fail(place);
                    if tried.is_hopeless() {
                        return Opened::Undecryptable;
                    }
                }
            }
        }
        let Some(sealed) = unknown else {
            return Opened::Undecryptable;
        };
        if self.asked.is_some() {
            return Opened::Waits;
        }
        self.asked = Some(sealed.value.into());
        Opened::Wants(SealedDataKey {
            name: sealed.name.clone().into_owned(),
            value: sealed.value.into(),
        })
    }

    /// An answer is still to come, and nothing has become known since the entry was looked at last: it need not be now.
    /// Its metadata may be megabytes.
    pub fn is_awaited(&self, tried: &Tried) -> bool {
        self.asked.is_some() && tried.looked_after == self.answers.wrapping_add(1)
    }

    /// What was asked for last. None: we have not the private key, or it is another one.
    pub fn answer(&mut self, now_ms: u64, key: Option<Arc<DataKey>>) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        self.answers = self.answers.wrapping_add(1);
        self.make_room(now_ms);
        let known = match key {
            Some(key) => Known::Key {
                key,
                used_ms: now_ms,
            },
            None => Known::Refused {
                until_ms: now_ms.saturating_add(REFUSED_MS),
            },
        };
        self.known.insert(asked, known);
    }

    /// What is old goes, and else what would go first.
    fn make_room(&mut self, now_ms: u64) {
        if self.known.len() < KEPT_MAX {
            return;
        }
        self.known.retain(|_, known| known.until_ms() > now_ms);
        if self.known.len() < KEPT_MAX {
            return;
        }
        let first = self.known.iter().min_by_key(|(_, known)| known.until_ms());
        if let Some(value) = first.map(|(value, _)| value.clone()) {
            self.known.remove(&value);
        }
    }
}

#[cfg(test)]
impl DataKeys {
    pub(super) fn known(&self) -> usize {
        self.known.len()
    }
}
