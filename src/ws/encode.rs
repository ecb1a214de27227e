//! Payloads to frames. A server's frames carry no mask and, here, are never fragmented.
//!
//! A delivery is written where it is sent from: [`begin_text`] leaves room for the header, the payload is appended,
//! [`finish`] puts the header in front. Several frames may follow each other in one buffer.

use bytes::Bytes;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::close;
use super::header::MAX_CONTROL_BYTES;

/// The longest header of a server: two bytes and a 64-bit length.
pub const MAX_HEADER_BYTES: usize = 10;

/// What is left for the reason beside the two bytes of the code (RFC 6455 §5.5.1).
pub const MAX_CLOSE_REASON_BYTES: usize = MAX_CONTROL_BYTES - 2;

/// The header of a frame, two to ten bytes.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    bytes: [u8; MAX_HEADER_BYTES],
    len: u8,
}

const FIN: u8 = 0x80;

/// RSV1: the message is compressed (RFC 7692 §6).
const COMPRESSED: u8 = 0x40;

impl Header {
    /// RFC 6455 §5.2: FIN and opcode, then the length in its shortest form.
    fn new(opcode: OpCode, payload_bytes: usize) -> Self {
        Header::beginning_with(FIN | u8::from(opcode), payload_bytes)
    }

    fn beginning_with(first: u8, payload_bytes: usize) -> Self {
        let mut bytes = [0; MAX_HEADER_BYTES];
        bytes[0] = first;
        let len = match payload_bytes {
            0..126 => {
                bytes[1] = payload_bytes as u8;
                2
            }
            126..65_536 => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&(payload_bytes as u16).to_be_bytes());
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..10].copy_from_slice(&(payload_bytes as u64).to_be_bytes());
                10
            }
        };
        Header { bytes, len }
    }
}

impl AsRef<[u8]> for Header {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The header of a text frame with a payload of this length, for one that is sent beside its payload.
pub fn text_header(payload_bytes: usize) -> Header {
    Header::new(OpCode::Data(Data::Text), payload_bytes)
}

/// A frame of ours, as it stands in front of `rest`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole<'a> {
    first: u8,
    pub(super) payload: &'a [u8],
    /// Header and payload.
    pub(super) frame: &'a [u8],
}

impl Whole<'_> {
    /// Whether it is a message that is not compressed.
    pub(super) fn is_plain_message(&self) -> bool {
        const TEXT: u8 = FIN | 1;
        const BINARY: u8 = FIN | 2;
        matches!(self.first, TEXT | BINARY)
    }

    /// The header in front of its payload once that is compressed to so many bytes.
    pub(super) fn compressed_header(&self, payload_bytes: usize) -> Header {
        Header::beginning_with(self.first | COMPRESSED, payload_bytes)
    }
}

/// Splits the first frame off frames that were written here. None: there is no whole one.
pub(super) fn split_first(frames: &[u8]) -> Option<(Whole<'_>, &[u8])> {
    let (&first, after) = frames.split_first()?;
    let (&short, after) = after.split_first()?;
    let (payload_bytes, after) = match short {
        126 => {
            let (length, after) = after.split_first_chunk::<2>()?;
            (u64::from(u16::from_be_bytes(*length)), after)
        }
        127 => {
            let (length, after) = after.split_first_chunk::<8>()?;
            (u64::from_be_bytes(*length), after)
        }
        short => (u64::from(short), after),
    };
    let (payload, rest) = after.split_at_checked(usize::try_from(payload_bytes).ok()?)?;
    let frame = &frames[..frames.len() - rest.len()];
    let whole = Whole {
        first,
        payload,
        frame,
    };
    Some((whole, rest))
}

/// One text frame. `payload` must be UTF-8.
#[cfg(test)]
pub fn text_frame(payload: &[u8]) -> Bytes {
    frame(OpCode::Data(Data::Text), payload)
}

/// A ping; at most the first 125 bytes of `payload` are used.
pub fn ping(payload: &[u8]) -> Bytes {
    frame(
        OpCode::Control(Control::Ping),
        &payload[..payload.len().min(MAX_CONTROL_BYTES)],
    )
}

/// The answer to a ping of this payload.
pub fn pong(payload: &[u8]) -> Bytes {
    frame(
        OpCode::Control(Control::Pong),
        &payload[..payload.len().min(MAX_CONTROL_BYTES)],
    )
}

/// A close frame. The reason is cut at [`MAX_CLOSE_REASON_BYTES`], between two characters.
/// A code that may not stand on the wire (1005, 1006, …) becomes a close frame without code and reason.
pub fn close_frame(code: u16, reason: &str) -> Bytes {
    let mut payload = [0; MAX_CONTROL_BYTES];
    if !close::is_sendable(code) {
        return frame(OpCode::Control(Control::Close), &[]);
    }
    let mut cut = reason.len().min(MAX_CLOSE_REASON_BYTES);
    while !reason.is_char_boundary(cut) {
        cut -= 1;
    }
    let reason = &reason[..cut];
    payload[..2].copy_from_slice(&code.to_be_bytes());
    payload[2..2 + reason.len()].copy_from_slice(reason.as_bytes());
    frame(
        OpCode::Control(Control::Close),
        &payload[..2 + reason.len()],
    )
}

/// One whole frame of any kind.
pub fn frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let header = Header::new(opcode, payload.len());
    let mut out = Vec::with_capacity(header.as_ref().len() + payload.len());
    out.extend_from_slice(header.as_ref());
    out.extend_from_slice(payload);
    Bytes::from(out)
}

/// A frame begun in a buffer: where it starts, and where its payload does.
#[must_use = "the frame has no header until it is finished"]
#[derive(Debug)]
pub struct FrameStart {
    frame: usize,
    payload: usize,
}

/// Begins a text frame at the end of `out`; append its payload (UTF-8), then [`finish`].
/// `expected_payload_bytes` sizes the room for the header: when the payload turns out to need a header of another
/// size (below 126, below 65,536, above), the payload is moved by the difference, and nothing else changes.
pub fn begin_text(out: &mut Vec<u8>, expected_payload_bytes: usize) -> FrameStart {
    let frame = out.len();
    out.extend_from_slice(text_header(expected_payload_bytes).as_ref());
    FrameStart {
        frame,
        payload: out.len(),
    }
}

/// Puts the header in front of what was appended since [`begin_text`]. `out` must not have been cut below that.
pub fn finish(out: &mut Vec<u8>, start: FrameStart) {
    let header = text_header(out.len() - start.payload);
    // Replaces in place when the room fits, the common case; moves the payload when it does not.
    if start.payload - start.frame == header.as_ref().len() {
        out[start.frame..start.payload].copy_from_slice(header.as_ref());
    } else {
        out.splice(start.frame..start.payload, header.as_ref().iter().copied());
    }
}
