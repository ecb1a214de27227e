//! Frames: `[total u32][command size u32][command]` and, behind commands that carry a message,
//! `[magic 0x0e01][crc32c u32][metadata size u32][metadata][payload]`.
//!
//! Cuts only; it decodes neither command nor metadata. Everything cut off is a refcounted slice of the read buffer:
//! it keeps that whole buffer alive, so the reader chooses its buffer size with that in mind.

use bytes::{Buf, Bytes, BytesMut};

use super::checksum::crc32c;

/// The largest frame, its length field included, until CONNECTED names another `max_message_size`:
/// the broker's default maxMessageSize of 5 MiB, and what it allows on top for command and metadata
/// (Java's `Commands.MESSAGE_SIZE_FRAME_PADDING`, 10 KiB).
pub const MAX_FRAME_BYTES: usize = 5 * 1024 * 1024 + FRAME_PADDING_BYTES;

/// What a frame may have beyond the broker's maxMessageSize.
pub const FRAME_PADDING_BYTES: usize = 10 * 1024;

const SIZE_BYTES: usize = 4;
pub(super) const MAGIC_CHECKSUM: u16 = 0x0e01;
const MAGIC_BROKER_ENTRY_METADATA: u16 = 0x0e02;

/// One frame, cut off the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The encoded `BaseCommand`; never empty.
    pub command: Bytes,
    /// What follows it: empty, or what [`Body::parse`] takes apart.
    pub body: Bytes,
}

/// Sizes that cannot be: the stream is lost, the connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {frame_bytes} bytes, more than {max_frame_bytes}")]
    TooLarge {
        frame_bytes: u64,
        max_frame_bytes: usize,
    },
    #[error(
        "the answer is {protocol}, not Pulsar's binary protocol: the port is another service's"
    )]
    OtherProtocol { protocol: &'static str },
    #[error("a frame of {frame_bytes} bytes cannot hold a command of {command_bytes}")]
    CommandSize {
        frame_bytes: u64,
        command_bytes: u32,
    },
}

/// Cuts the next frame off the front of `buf`. `None`: it is not complete yet, and `buf` is as it was.
/// The sizes are judged as soon as they are there, so a lie costs no memory and no waiting.
pub fn split_frame(
    buf: &mut BytesMut,
    max_frame_bytes: usize,
) -> Result<Option<Frame>, FrameError> {
    let Some(total) = peek_u32(buf, 0) else {
        return Ok(None);
    };
    let frame_bytes = u64::from(total) + SIZE_BYTES as u64;
    if frame_bytes > max_frame_bytes as u64 {
        if let Some(protocol) = other_protocol(total) {
            return Err(FrameError::OtherProtocol { protocol });
        }
        return Err(FrameError::TooLarge {
            frame_bytes,
            max_frame_bytes,
        });
    }
    // A frame too short for a command is refused before its next bytes, which are another frame's, are read as a size.
    let header_bytes = 2 * SIZE_BYTES;
    if frame_bytes <= header_bytes as u64 {
        return Err(FrameError::CommandSize {
            frame_bytes,
            command_bytes: 0,
        });
    }
    let Some(command_bytes) = peek_u32(buf, SIZE_BYTES) else {
        return Ok(None);
    };
    if command_bytes == 0 || u64::from(command_bytes) > frame_bytes - header_bytes as u64 {
        return Err(FrameError::CommandSize {
            frame_bytes,
            command_bytes,
        });
    }
    // It fits usize: it is at most `max_frame_bytes`.
    if buf.len() < frame_bytes as usize {
        return Ok(None);
    }
    let mut body = buf.split_to(frame_bytes as usize).freeze();
    body.advance(header_bytes);
    let command = body.split_to(command_bytes as usize);
    Ok(Some(Frame { command, body }))
}

/// What a service says first that is no broker, read as a size: a web service, or one that wants TLS (the header of an
/// alert, RFC 8446 5.1; a version of 3.0 to 3.3).
fn other_protocol(total: u32) -> Option<&'static str> {
    match total.to_be_bytes() {
        [b'H', b'T', b'T', b'P'] => Some("HTTP"),
        [0x15, 3, 0..=3, 0] => Some("TLS"),
        _ => None,
    }
}

fn peek_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + SIZE_BYTES)?
        .first_chunk()
        .map(|size| u32::from_be_bytes(*size))
}

/// The message in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The encoded `MessageMetadata`.
    pub metadata: Bytes,
    pub payload: Bytes,
}

/// Why a frame's body is not a message. The frame's borders are intact: the connection can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the checksum does not match")]
    Checksum,
    #[error("the body ends before its metadata")]
    Truncated,
}

impl Body {
    /// Takes the body apart and verifies its checksum. A body without the magic number is legal (protocol version
    /// below 6) and has no checksum; broker entry metadata (0x0e02) is skipped.
    pub fn parse(body: &Bytes) -> Result<Body, BodyError> {
        let mut rest = body.clone();
        if starts_with(&rest, MAGIC_BROKER_ENTRY_METADATA) {
            rest.advance(2);
            let size = take_u32(&mut rest)?;
            take(&mut rest, size)?;
        }
        if starts_with(&rest, MAGIC_CHECKSUM) {
            rest.advance(2);
            let checksum = take_u32(&mut rest)?;
            if crc32c(&rest) != checksum {
                return Err(BodyError::Checksum);
            }
        }
        let metadata_bytes = take_u32(&mut rest)?;
        let metadata = take(&mut rest, metadata_bytes)?;
        Ok(Body {
            metadata,
            payload: rest,
        })
    }
}

fn starts_with(bytes: &[u8], magic: u16) -> bool {
    bytes.starts_with(&magic.to_be_bytes())
}

fn take_u32(bytes: &mut Bytes) -> Result<u32, BodyError> {
    let size = peek_u32(bytes, 0).ok_or(BodyError::Truncated)?;
    bytes.advance(SIZE_BYTES);
    Ok(size)
}

fn take(bytes: &mut Bytes, len: u32) -> Result<Bytes, BodyError> {
    if u64::from(len) > bytes.len() as u64 {
        return Err(BodyError::Truncated);
    }
    Ok(bytes.split_to(len as usize))
}
