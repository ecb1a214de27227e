//! SEND: one contiguous frame, the payload written in place by its owner.

use ::pulsar::proto::base_command::Type;
use bytes::{BufMut, BytesMut};

use super::command::patch_checksum;
use super::frame::MAGIC_CHECKSUM;
use super::metadata::MetadataFields;
use super::varint::{put_bytes_key, put_varint_field, varint_field_len};

/// `CommandSend`. Transactions and markers are not a gateway's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendHeader {
    pub producer_id: u64,
    pub sequence_id: u64,
    /// 1 outside a batch.
    pub num_messages: u32,
    /// Of a batch: its last sequence id.
    pub highest_sequence_id: Option<u64>,
    pub is_chunk: bool,
}

/// Nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeSendError<E> {
    /// The payload's owner gave up.
    #[error("{0}")]
    Fill(E),
    /// It wrote another length than it had announced.
    #[error("a payload of {written} bytes where {announced} were announced")]
    PayloadLength { announced: usize, written: usize },
    /// A frame's length is 32 bits.
    #[error("the frame is larger than 4 GiB")]
    TooLarge,
}

/// Everything but command, metadata and payload: sizes, magic and checksum.
const FRAME_OVERHEAD_BYTES: usize = 4 + 4 + 2 + 4 + 4;
/// `CommandSend` inside `BaseCommand` at its longest: four keys with varints of 10 bytes, a flag, keys and type.
const MAX_COMMAND_BYTES: usize = 52;

/// Appends a whole SEND frame to `out`. `fill` appends exactly `payload_len` bytes and touches nothing else;
/// when it fails or miscounts, `out` is rolled back to what it was. Whether the broker takes a message of this
/// size is the caller's to know.
pub fn encode_send<E>(
    header: &SendHeader,
    metadata: &MetadataFields<'_>,
    payload_len: usize,
    out: &mut BytesMut,
    fill: impl FnOnce(&mut BytesMut) -> Result<(), E>,
) -> Result<(), EncodeSendError<E>> {
    let bound = FRAME_OVERHEAD_BYTES + MAX_COMMAND_BYTES + metadata.len_bound();
    if payload_len > u32::MAX as usize || bound > u32::MAX as usize - payload_len {
        return Err(EncodeSendError::TooLarge);
    }
    let start = out.len();
    out.reserve(bound + payload_len);
    out.put_u32(0);
    put_command(header, out);
    out.put_u16(MAGIC_CHECKSUM);
    let checksum_at = out.len();
    out.put_u32(0);
    out.put_u32(0);
    let metadata_at = out.len();
    metadata.put(out);
    let payload_at = out.len();

    let filled = fill(out);
    let written = out.len().saturating_sub(payload_at);
    if let Err(error) = filled {
        out.truncate(start);
        return Err(EncodeSendError::Fill(error));
    }
    if out.len() < payload_at || written != payload_len {
        out.truncate(start);
        return Err(EncodeSendError::PayloadLength {
            announced: payload_len,
            written,
        });
    }
    let frame_bytes = out.len() - start;
    patch_size(out, start, frame_bytes - 4);
    patch_size(out, metadata_at - 4, payload_at - metadata_at);
    patch_checksum(out, checksum_at);
    Ok(())
}

/// The command with its size in front.
fn put_command(header: &SendHeader, out: &mut BytesMut) {
    let number = Type::Send as u64;
    let highest = header
        .highest_sequence_id
        .map_or(0, |id| varint_field_len(6, id));
    let send_bytes = varint_field_len(1, header.producer_id)
        + varint_field_len(2, header.sequence_id)
        + varint_field_len(3, u64::from(header.num_messages))
        + highest
        + usize::from(header.is_chunk) * 2;
    // Type, key and length take two bytes each at most: `send_bytes` is below 128.
    out.put_u32(send_bytes as u32 + 4);
    put_varint_field(out, 1, number);
    put_bytes_key(out, number, send_bytes);
    put_varint_field(out, 1, header.producer_id);
    put_varint_field(out, 2, header.sequence_id);
    put_varint_field(out, 3, u64::from(header.num_messages));
    if let Some(id) = header.highest_sequence_id {
        put_varint_field(out, 6, id);
    }
    if header.is_chunk {
        put_varint_field(out, 7, 1);
    }
}

fn patch_size(out: &mut [u8], at: usize, size: usize) {
    out[at..at + 4].copy_from_slice(&(size as u32).to_be_bytes());
}
