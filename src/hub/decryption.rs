//! Encrypted entries: decrypted when their turn comes, with data keys that are asked for and kept; and what is done
//! with those that this gateway has no key for.
//!
//! An entry whose data key is being decrypted elsewhere stops its slot, not the others: nothing overtakes it.

use std::sync::Arc;

use super::Hub;
use super::effect::{Effect, Undecryptable};
use super::limits::MAX_UNDECRYPTABLE;
use super::slot::{EntryKey, Position, Waiting};
use crate::pulsar::CryptoFailureAction;
use crate::pulsar::crypto::{DataKey, DataKeys, Opened, SealedDataKey};
use crate::pulsar::message::{Encryption, is_encrypted};

/// What a log shows of a key's name, which may be as long as metadata are.
const KEY_NAME_CHARS_MAX: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Decryption {
    data_keys: DataKeys,
    /// To be asked for at the end of this turn.
    wanted: Option<SealedDataKey>,
}

impl Hub {
    /// Decrypts the entry in front of the slot's queue, where that is to be done and can be. False: it waits for its data
    /// key.
    pub(super) fn decrypt_front(&mut self, now_ms: u64, slot: usize) -> bool {
        let Some(decryption) = &mut self.decryption else {
            return true;
        };
        let Some(Waiting { entry, tried, .. }) = self.slots[slot].queue.front_mut() else {
            return true;
        };
        if decryption.data_keys.is_awaited(tried) {
            return false;
        }
        if entry.is_decrypted || !is_encrypted(&entry.metadata) {
            return true;
        }
        match decryption.data_keys.open(now_ms, entry, tried) {
            Opened::Payload(payload) => {
                // Without its tag.
                self.retained_bytes -= entry.payload.len() - payload.len();
                entry.payload = payload;
                entry.is_decrypted = true;
                true
            }
            Opened::Undecryptable => true,
            Opened::Waits => false,
            Opened::Wants(sealed) => {
                decryption.wanted = Some(sealed);
                false
            }
        }
    }

    pub(super) fn want_data_key(&mut self, out: &mut Vec<Effect>) {
        let wanted = self.decryption.as_mut().and_then(|it| it.wanted.take());
        out.extend(wanted.map(Effect::WantDataKey));
    }

    pub(super) fn data_key_known(&mut self, now_ms: u64, key: Option<Arc<DataKey>>) {
        if let Some(decryption) = &mut self.decryption {
            decryption.data_keys.answer(now_ms, key);
        }
    }

    fn note_undecryptable(&mut self, slot: usize, metadata: &[u8]) {
        if let Some(noted) = &mut self.undecryptable {
            noted.entries += 1;
            return;
        }
        let encryption = Encryption::of(metadata);
        let name = encryption.keys.first().map_or("", |key| &key.name);
        self.undecryptable = Some(Box::new(Undecryptable {
            topic: self.slots[slot].topic.clone(),
            key: name.chars().take(KEY_NAME_CHARS_MAX).collect(),
            entries: 1,
        }));
    }

    pub(super) fn tell_undecryptable(&mut self, out: &mut Vec<Effect>) {
        out.extend(self.undecryptable.take().map(Effect::Undecryptable));
    }

    /// Nobody here can decrypt it. Unless it is to be discarded it stays unacked: another consumer may have the key. Where
    /// members have ack timeouts it is asked for again after the shortest, as in Java.
    pub(super) fn undecryptable(
        &mut self,
        now_ms: u64,
        slot: usize,
        key: EntryKey,
        metadata: &[u8],
    ) {
        self.stats.unreadable += 1;
        self.note_undecryptable(slot, metadata);
        if !self.is_acked_upstream(slot) {
            return;
        }
        if self.spec.crypto_failure_action == CryptoFailureAction::Discard {
            return self.settled_whole(now_ms, slot, key);
        }
        self.forget_entry(slot, key);
        let timeouts = self.members.ack_timeouts_ms();
        if let Some(timeout_ms) = timeouts.min()
            && self.delayed.len() < MAX_UNDECRYPTABLE
        {
            let position = Position {
                slot: slot as u32,
                ledger: key.0,
                entry: key.1,
                index: -1,
            };
            self.delayed
                .insert((now_ms.saturating_add(timeout_ms), position));
        }
    }
}
