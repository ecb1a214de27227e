//! One message out of an entry: [`split()`] opens the entry, [`Message::parts`] reads what clients are told of it;
//! and [`Compressor`] for what goes in.

mod compress;
mod decompress;
mod encryption;
mod metadata;
mod parts;
mod split;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::types::{Entry, MessageId};

pub use compress::Compressor;
pub use encryption::{Encryption, EncryptionKey};
pub use metadata::{Chunk, chunk_of, is_encrypted, published_ms};
pub use parts::{Parts, Properties};
pub use split::{SplitError, open_chunked, open_encrypted, split};

/// One message, still in wire form; cheap to clone (refcounts) and to send to another shard.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: MessageId,
    /// Of a message in chunks: ledger and entry of the first one. `id` is the last one's.
    pub first_chunk: Option<(u64, u64)>,
    /// To a reader, which acks nothing: ledger and entry of the first chunk of the oldest message that is incomplete when
    /// this one comes. Who goes on behind this one later has to begin there, or never gets that one whole.
    pub oldest_begun: Option<Box<(u64, u64)>>,
    pub redelivery_count: u32,
    pub publish_time_ms: u64,
    /// `MessageMetadata` when `id.batch_index` is −1, else `SingleMessageMetadata`.
    pub metadata: Bytes,
    /// Decompressed, unless it is encrypted.
    pub payload: Bytes,
    /// The payload was decrypted here: the `MessageMetadata` of the entry, which says how it was encrypted.
    pub decrypted_from: Option<Arc<[u8]>>,
}

/// Messages outside batches are copied by [`Message::unpinned`] up to this size: about what one read of a busy connection
/// brings, of which a larger message is a good part itself.
const COPIED_BYTES_MAX: usize = 16 * 1024;

impl Message {
    /// The same message in memory of its own, for whoever keeps it long: metadata and payload are slices of what was
    /// read from the connection, or of a batch that may unpack to a hundred times its size, and a small message would
    /// keep all of that alive. A large one that is no batch's stays as it is.
    pub fn unpinned(&self) -> Message {
        let (metadata, payload) = (&self.metadata, &self.payload);
        let whole_entry = self.id.batch_index < 0;
        if whole_entry && metadata.len() + payload.len() > COPIED_BYTES_MAX {
            return self.clone();
        }
        let (metadata, payload) = copied(metadata, payload);
        Message {
            metadata,
            payload,
            decrypted_from: self.decrypted_from.clone(),
            oldest_begun: self.oldest_begun.clone(),
            ..*self
        }
    }
}

impl Entry {
    /// Puts the entry into memory of its own, as [`Message::unpinned`] does.
    pub fn unpin(&mut self) {
        if self.metadata.len() + self.payload.len() <= COPIED_BYTES_MAX {
            (self.metadata, self.payload) = copied(&self.metadata, &self.payload);
        }
    }
}

fn copied(metadata: &[u8], payload: &[u8]) -> (Bytes, Bytes) {
    let mut copy = BytesMut::with_capacity(metadata.len() + payload.len());
    copy.extend_from_slice(metadata);
    copy.extend_from_slice(payload);
    let mut copy = copy.freeze();
    (copy.split_to(metadata.len()), copy)
}

#[cfg(test)]
mod tests;
