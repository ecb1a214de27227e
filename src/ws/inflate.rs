//! Compressed messages in (RFC 7692 §7.2.2), inflated as they come: nothing is kept of the compressed bytes, and no more
//! of the message than it may have.

use flate2::{Decompress, FlushDecompress, Status};

use super::assembly::Assembly;
use super::decoder::Violation;

/// So much one call of `feed` makes of compressed input, and one message more: what a read of a socket without compression
/// brings at most. A thousand times as much could lie in it, and would be asked for at once.
pub const INFLATED_BYTES_PER_FEED: usize = 64 * 1024;

/// Inflated at a time, on the stack.
const CHUNK_BYTES: usize = 4096;

/// The end of a flushed deflate stream, which senders leave out (RFC 7692 §7.2.1).
pub(super) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Whether a message may refer to the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The window of 32 KiB stays, from the first compressed message on, for as long as the socket does.
    Kept,
    /// Between two messages there is none (`client_no_context_takeover`).
    Dropped,
}

/// A socket's inflater, with or without a window at the moment.
pub(super) struct Inflating {
    context: Context,
    stream: Option<Box<Decompress>>,
    /// Compressed bytes have come that want their tail.
    has_begun: bool,
    /// In this feed.
    made_bytes: usize,
}

impl Inflating {
    pub(super) fn new(context: Context) -> Inflating {
        Inflating {
            context,
            stream: None,
            has_begun: false,
            made_bytes: 0,
        }
    }

    pub(super) fn begin_feed(&mut self) {
        self.made_bytes = 0;
    }

    /// This feed has made enough.
    pub(super) fn is_full(&self) -> bool {
        self.made_bytes >= INFLATED_BYTES_PER_FEED
    }

    /// Inflates a piece of a message into `message`, until this feed is full. Gives how much of the piece was taken.
    ///
    /// # Errors
    /// 1007 for bytes that are not deflated, or text that is none; 1009 when the message passes `max_bytes`.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        message: &mut Assembly,
        max_bytes: usize,
    ) -> Result<usize, Violation> {
        let mut taken = 0;
        while taken < piece.len() && !self.is_full() {
            taken += self.inflate(&piece[taken..], message, max_bytes)?;
        }
        Ok(taken)
    }

    /// The message is complete: what is still to come of it comes now.
    ///
    /// # Errors
    /// As [`Inflating::push`].
    pub(super) fn finish(
        &mut self,
        message: &mut Assembly,
        max_bytes: usize,
    ) -> Result<(), Violation> {
        // An empty message should have a byte (RFC 7692 §7.2.3.6). To one without, the tail would mean something else.
        if std::mem::take(&mut self.has_begun) {
            let mut taken = 0;
            while taken < TAIL.len() {
                taken += self.inflate(&TAIL[taken..], message, max_bytes)?;
            }
        }
        if self.context == Context::Dropped {
            self.stream = None;
        }
        Ok(())
    }

    /// Inflates some of `input`, and all that is ready to come out of it. Gives how much was taken, at least a byte.
    fn inflate(
        &mut self,
        input: &[u8],
        message: &mut Assembly,
        max_bytes: usize,
    ) -> Result<usize, Violation> {
        let stream = self
            .stream
            .get_or_insert_with(|| Box::new(Decompress::new(false)));
        self.has_begun = true;
        let mut chunk = [0; CHUNK_BYTES];
        let mut taken = 0;
        loop {
            let (taken_before, made_before) = (stream.total_in(), stream.total_out());
            let status = stream
                .decompress(&input[taken..], &mut chunk, FlushDecompress::Sync)
                .map_err(|_| Violation::CORRUPT)?;
            let made = (stream.total_out() - made_before) as usize;
            taken += (stream.total_in() - taken_before) as usize;
            if made > max_bytes.saturating_sub(message.len()) {
                return Err(Violation::TOO_BIG);
            }
            message.append(&chunk[..made], max_bytes)?;
            self.made_bytes += made;
            if status == Status::StreamEnd {
                // A sender may end its stream (BFINAL) and begin another one within the message (RFC 7692 §7.2.3.4).
                stream.reset(false);
                self.has_begun = false;
                return Ok(taken);
            }
            if made < chunk.len() {
                // Neither took nor made anything: it never will.
                return match taken {
                    0 => Err(Violation::CORRUPT),
                    _ => Ok(taken),
                };
            }
            if self.made_bytes >= INFLATED_BYTES_PER_FEED && 0 < taken && taken < input.len() {
                return Ok(taken);
            }
        }
    }
}
