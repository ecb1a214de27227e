//! Which frame headers a server accepts (RFC 6455 §5.2, §5.4, §5.5).
//!
//! tungstenite reads the layout; the rules it leaves to its caller are here. Sizes of messages are the decoder's matter.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::decoder::Violation;

/// The longest header: two bytes, a 64-bit length, a mask.
pub(super) const MAX_HEADER_BYTES: usize = 14;

/// A control frame carries at most this much (RFC 6455 §5.5).
pub(super) const MAX_CONTROL_BYTES: usize = 125;

/// What an accepted frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
    Continuation,
    Ping,
    Pong,
    Close,
}

impl Kind {
    pub(super) fn is_control(self) -> bool {
        matches!(self, Kind::Ping | Kind::Pong | Kind::Close)
    }
}

/// The header of an accepted frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) is_final: bool,
    /// RSV1: the frame begins a compressed message (RFC 7692 §6).
    pub(super) is_compressed: bool,
    pub(super) mask: [u8; 4],
    /// As the header claims it; not yet held against any bound for data frames.
    pub(super) payload_bytes: u64,
}

/// Reads a header from the start of `bytes`: the header and its length, or None when it is not complete.
/// `may_compress`: permessage-deflate has been negotiated.
///
/// # Errors
/// 1002 for a header that no client may send.
pub(super) fn parse(bytes: &[u8], may_compress: bool) -> Result<Option<(Head, usize)>, Violation> {
    let mut cursor = Cursor::new(bytes);
    let (header, payload_bytes) = match FrameHeader::parse(&mut cursor) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return Ok(None),
        Err(_) => return Err(Violation::protocol("reserved opcode")),
    };
    if header.rsv1 && !may_compress || header.rsv2 || header.rsv3 {
        return Err(Violation::protocol("reserved bit set"));
    }
    let kind = kind(header.opcode)?;
    if header.rsv1 && !matches!(kind, Kind::Text | Kind::Binary) {
        return Err(Violation::protocol(
            "RSV1 on a frame that begins no message",
        ));
    }
    if kind.is_control() && !header.is_final {
        return Err(Violation::protocol("fragmented control frame"));
    }
    if kind.is_control() && payload_bytes > MAX_CONTROL_BYTES as u64 {
        return Err(Violation::protocol("control frame too long"));
    }
    if payload_bytes >> 63 != 0 {
        return Err(Violation::protocol("length with the top bit set"));
    }
    // `len` counts the shortest form; what was read is longer when the length was padded.
    let header_bytes = header.len(payload_bytes);
    if cursor.position() != header_bytes as u64 {
        return Err(Violation::protocol("length not in its shortest form"));
    }
    let Some(mask) = header.mask else {
        return Err(Violation::protocol("frame without a mask"));
    };
    Ok(Some((
        Head {
            kind,
            is_final: header.is_final,
            is_compressed: header.rsv1,
            mask,
            payload_bytes,
        },
        header_bytes,
    )))
}

fn kind(opcode: OpCode) -> Result<Kind, Violation> {
    match opcode {
        OpCode::Data(Data::Text) => Ok(Kind::Text),
        OpCode::Data(Data::Binary) => Ok(Kind::Binary),
        OpCode::Data(Data::Continue) => Ok(Kind::Continuation),
        OpCode::Control(Control::Ping) => Ok(Kind::Ping),
        OpCode::Control(Control::Pong) => Ok(Kind::Pong),
        OpCode::Control(Control::Close) => Ok(Kind::Close),
        OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => {
            Err(Violation::protocol("reserved opcode"))
        }
    }
}

/// How long the header that begins with `bytes` will be, as far as these bytes tell.
pub(super) fn bytes_needed(bytes: &[u8]) -> usize {
    let Some(second) = bytes.get(1) else { return 2 };
    let length_bytes = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask_bytes = if second & 0x80 != 0 { 4 } else { 0 };
    2 + length_bytes + mask_bytes
}
