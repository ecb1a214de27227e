//! Compressed messages out (RFC 7692 §7.2.1), each by itself (`server_no_context_takeover`): a frame is the same for every
//! socket that takes compressed ones.
//!
//! Frames are written as they are and compressed afterwards, so that nobody who writes one needs to know.

use flate2::{Compress, Compression, FlushCompress, Status};

use super::encode::{Whole, split_first};
use super::inflate::TAIL;

/// Shorter messages stay as they are: an ack of 130 bytes would become 12 shorter, for 6 µs.
pub const MESSAGE_BYTES_MIN: usize = 256;

/// Longer ones too: this one alone takes the shard some 5 ms.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// So much is compressed in one turn of a shard, about 2 ms; what comes beyond it goes out as it is, so that everybody
/// else has their turn.
pub const BYTES_PER_TURN: usize = 128 * 1024;

/// Of zlib's nine. Measured with JSON in base64, 300 B to 16 KiB: within 6 % of the size that the default 6 makes of it, in
/// two thirds of the time; 1 and less leave base64 as long as it is.
const LEVEL: u32 = 3;

/// How far back a client lets a message refer (`server_max_window_bits`), as a power of two.
///
/// The compressor has the largest window. A message that is no longer than the client's cannot refer further back than
/// that, so only these are compressed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window(u8);

impl Window {
    pub const FULL: Window = Window(15);

    pub fn new(bits: u8) -> Window {
        Window(bits.min(Window::FULL.0))
    }

    fn message_bytes_max(self) -> usize {
        match self {
            Window::FULL => MESSAGE_BYTES_MAX,
            Window(bits) => 1 << bits,
        }
    }
}

/// A shard's compressor. It takes its memory, about 270 KiB, with the first message that it compresses.
pub struct Deflater {
    stream: Option<Box<Compress>>,
    /// One compressed payload.
    scratch: Vec<u8>,
    /// Of [`BYTES_PER_TURN`].
    left_bytes: usize,
}

impl Default for Deflater {
    fn default() -> Deflater {
        Deflater {
            stream: None,
            scratch: Vec::new(),
            left_bytes: BYTES_PER_TURN,
        }
    }
}

impl Deflater {
    pub fn begin_turn(&mut self) {
        self.left_bytes = BYTES_PER_TURN;
    }

    /// Enough for this turn.
    pub fn is_spent(&self) -> bool {
        self.left_bytes == 0
    }

    /// The same frames, messages compressed as far as that is worth it and the turn has time for it.
    pub fn recode(&mut self, frames: Vec<u8>, window: Window) -> Vec<u8> {
        if frames.len() < MESSAGE_BYTES_MIN {
            return frames;
        }
        let mut out = Vec::with_capacity(frames.len());
        let mut rest = &frames[..];
        while !self.is_spent()
            && let Some((whole, behind)) = split_first(rest)
        {
            self.append_whole(&whole, window, &mut out);
            rest = behind;
        }
        out.extend_from_slice(rest);
        out
    }

    /// Appends one frame of ours, compressed if that is worth it.
    pub fn append(&mut self, frame: &[u8], window: Window, out: &mut Vec<u8>) {
        match split_first(frame) {
            Some((whole, _)) => self.append_whole(&whole, window, out),
            None => out.extend_from_slice(frame),
        }
    }

    fn append_whole(&mut self, whole: &Whole<'_>, window: Window, out: &mut Vec<u8>) {
        let lengths = MESSAGE_BYTES_MIN..=window.message_bytes_max();
        if whole.is_plain_message()
            && lengths.contains(&whole.payload.len())
            && let Some(compressed) = self.compress(whole.payload)
        {
            out.extend_from_slice(whole.compressed_header(compressed.len()).as_ref());
            out.extend_from_slice(compressed);
        } else {
            out.extend_from_slice(whole.frame);
        }
    }

    /// None: it would not become shorter.
    fn compress(&mut self, payload: &[u8]) -> Option<&[u8]> {
        self.left_bytes = self.left_bytes.saturating_sub(payload.len());
        let stream = self
            .stream
            .get_or_insert_with(|| Box::new(Compress::new(Compression::new(LEVEL), false)));
        stream.reset();
        self.scratch.clear();
        // Whatever does not fit into this is not shorter.
        self.scratch.reserve_exact(payload.len() + TAIL.len());
        let status = stream
            .compress_vec(payload, &mut self.scratch, FlushCompress::Sync)
            .ok()?;
        if status != Status::Ok || stream.total_in() != payload.len() as u64 {
            return None;
        }
        let compressed = self.scratch.strip_suffix(&TAIL)?;
        (compressed.len() < payload.len()).then_some(compressed)
    }
}
