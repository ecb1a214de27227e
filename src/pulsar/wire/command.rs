//! Commands in and out: which one a frame holds, and frames around those that prost encodes.

use ::prost::Message as _;
use ::pulsar::proto::BaseCommand;
use ::pulsar::proto::base_command::Type;
use bytes::{BufMut, Bytes, BytesMut};

use super::checksum::crc32c;
use super::frame::MAGIC_CHECKSUM;
use super::hot::{MessageCommand, MessageParts, ReceiptParts, SendReceipt};
use super::moves::{TOPIC_MIGRATED, TopicMigrated, topic_migrated};
use super::topics::TopicsListed;
use super::varint::{DecodeError, Fields, Value};

/// A command that has come in.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    Message(MessageCommand),
    SendReceipt(SendReceipt),
    /// GET_TOPICS_OF_NAMESPACE_RESPONSE: it may be as long as a frame.
    Topics(TopicsListed),
    Ping,
    Pong,
    /// Decoded by prost; boxed, for it is a struct of 4.4 KB.
    Other(Box<BaseCommand>),
    TopicMigrated(Box<TopicMigrated>),
    /// A `BaseCommand.Type` that is newer than the `pulsar` crate's proto. Never a reason to close the connection.
    Unknown(i32),
}

/// The largest command that prost decodes. A two-byte field can become a struct of some 100 bytes there, so this allows
/// about 50 MiB for a moment; a list of 10,000 topics or an ack of 50,000 ids is well below it.
const MAX_COLD_COMMAND_BYTES: usize = 1024 * 1024;

/// Field numbers of `BaseCommand`.
pub(super) mod field {
    pub const TYPE: u64 = 1;
    pub const SEND_RECEIPT: u64 = 7;
    pub const MESSAGE: u64 = 9;
    pub const CLOSE_PRODUCER: u64 = 15;
    pub const CLOSE_CONSUMER: u64 = 16;
    pub const TOPICS_LISTED: u64 = 33;
}

/// Decodes [`super::Frame::command`].
pub fn decode_command(bytes: &[u8]) -> Result<Incoming, DecodeError> {
    let number = command_type(bytes)?;
    let Ok(kind) = Type::try_from(number) else {
        return match number {
            TOPIC_MIGRATED => Ok(Incoming::TopicMigrated(Box::new(topic_migrated(bytes)?))),
            _ => Ok(Incoming::Unknown(number)),
        };
    };
    Ok(match kind {
        Type::Message => {
            let mut parts = MessageParts::default();
            each_submessage(bytes, field::MESSAGE, |message| parts.merge(message))?;
            Incoming::Message(parts.finish()?)
        }
        Type::SendReceipt => {
            let mut parts = ReceiptParts::default();
            each_submessage(bytes, field::SEND_RECEIPT, |receipt| parts.merge(receipt))?;
            Incoming::SendReceipt(parts.finish()?)
        }
        Type::GetTopicsOfNamespaceResponse => {
            let mut listed = TopicsListed::default();
            each_submessage(bytes, field::TOPICS_LISTED, |topics| listed.merge(topics))?;
            Incoming::Topics(listed)
        }
        Type::Ping => Incoming::Ping,
        Type::Pong => Incoming::Pong,
        _ if bytes.len() > MAX_COLD_COMMAND_BYTES => {
            return Err(DecodeError::ColdCommandTooLarge(bytes.len()));
        }
        _ => Incoming::Other(Box::new(BaseCommand::decode(bytes)?)),
    })
}

/// `BaseCommand.type`. Found on a walk over all fields (there are two): by protobuf's rule they come in any order.
fn command_type(bytes: &[u8]) -> Result<i32, DecodeError> {
    let mut fields = Fields::new(bytes);
    let mut number = None;
    while let Some(field) = fields.next()? {
        if let (field::TYPE, Value::Varint(value)) = field {
            number = Some(value as i32);
        }
    }
    number.ok_or(DecodeError::Missing("type"))
}

pub(super) fn each_submessage<'a>(
    command: &'a [u8],
    number: u64,
    mut visit: impl FnMut(&'a [u8]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut fields = Fields::new(command);
    while let Some((found, value)) = fields.next()? {
        if let Value::Bytes(bytes) = value
            && found == number
        {
            visit(bytes)?;
        }
    }
    Ok(())
}

/// A whole frame with a command and nothing behind it.
pub fn encode_command(command: &BaseCommand) -> Bytes {
    let mut out = BytesMut::with_capacity(8 + command.encoded_len());
    append_command(command, &mut out);
    out.freeze()
}

/// As [`encode_command`], appended to `out`.
pub fn append_command(command: &BaseCommand, out: &mut BytesMut) {
    let command_bytes = command.encoded_len();
    out.reserve(8 + command_bytes);
    out.put_u32(command_bytes as u32 + 4);
    out.put_u32(command_bytes as u32);
    command.encode_raw(out);
}

/// A whole frame with a command, its message and their checksum.
pub fn encode_command_with_body(command: &BaseCommand, metadata: &[u8], payload: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    append_command_with_body(command, metadata, payload, &mut out);
    out.freeze()
}

/// As [`encode_command_with_body`], appended to `out`. The whole must stay below 4 GiB.
pub fn append_command_with_body(
    command: &BaseCommand,
    metadata: &[u8],
    payload: &[u8],
    out: &mut BytesMut,
) {
    let command_bytes = command.encoded_len();
    let total = 4 + command_bytes + 2 + 4 + 4 + metadata.len() + payload.len();
    out.reserve(4 + total);
    out.put_u32(total as u32);
    out.put_u32(command_bytes as u32);
    command.encode_raw(out);
    out.put_u16(MAGIC_CHECKSUM);
    let checksum_at = out.len();
    out.put_u32(0);
    out.put_u32(metadata.len() as u32);
    out.put_slice(metadata);
    out.put_slice(payload);
    patch_checksum(out, checksum_at);
}

/// Writes the checksum of all that follows its four bytes.
pub(super) fn patch_checksum(out: &mut [u8], checksum_at: usize) {
    let checksum = crc32c(&out[checksum_at + 4..]);
    out[checksum_at..checksum_at + 4].copy_from_slice(&checksum.to_be_bytes());
}
