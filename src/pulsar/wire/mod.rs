//! The binary protocol: frames, hot commands by hand, the rest by prost.
//!
//! Nothing here knows a connection, a clock or a state: bytes in, commands out, and back. The five commands that
//! every message causes (MESSAGE, SEND, SEND_RECEIPT, ACK, FLOW) are coded by hand, because prost's `BaseCommand`
//! is a struct of 4.4 KB that would be built and moved for each of them. In nanoseconds (`cargo bench --bench micro wire`):
//!
//! | | by hand | prost |
//! |---|---|---|
//! | MESSAGE, read | 30 | 220 |
//! | SEND_RECEIPT, read | 34 | 220 |
//! | SEND of 128 B, of 1 KiB, written with metadata and checksum | 57, 106 | 161, 209 |
//! | ACK of one id, written | 40 | 133 |

mod ack;
mod checksum;
mod command;
mod errors;
mod frame;
mod hot;
mod message_id;
mod metadata;
mod moves;
mod send;
mod topics;
pub(crate) mod varint;

pub use ack::{AckHeader, AckId, AckValidationError, encode_ack, encode_flow};
pub use command::{
    Incoming, append_command, append_command_with_body, decode_command, encode_command,
    encode_command_with_body,
};
pub use errors::error_kind;
pub use frame::{
    Body, BodyError, FRAME_PADDING_BYTES, Frame, FrameError, MAX_FRAME_BYTES, split_frame,
};
pub use hot::{MessageCommand, SendReceipt};
pub use message_id::EncodedMessageId;
pub use metadata::{
    ChunkFields, Compression, MetadataFields, SingleMetadataFields, encode_encryption_key,
};
pub use moves::{AssignedBroker, TopicMigrated, assigned_broker};
pub use send::{EncodeSendError, SendHeader, encode_send};
pub use topics::{MAX_NAMES, TopicsListed, encode_partitions_if_exists};
pub use varint::DecodeError;

#[cfg(test)]
pub(crate) mod tests;
