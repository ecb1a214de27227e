//! One message out of an entry: [`split`] opens the entry, [`Message::parts`] reads what clients are told of it.

mod decompress;
mod metadata;
mod parts;
mod split;

use bytes::Bytes;

use super::types::MessageId;

pub use parts::{Parts, Properties};
pub use split::{SplitError, split};

/// One message, still in wire form; cheap to clone (refcounts) and to send to another shard.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: MessageId,
    pub redelivery_count: u32,
    pub publish_time_ms: u64,
    /// `MessageMetadata` when `id.batch_index` is −1, else `SingleMessageMetadata`.
    pub metadata: Bytes,
    /// Decompressed.
    pub payload: Bytes,
}

#[cfg(test)]
mod tests;
