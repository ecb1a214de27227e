//! A batch in one shard's log: its frames as they came and, as far as a socket has asked for them so, compressed.
//!
//! Frames are compressed in order, from the batch's first one on, and one at a time: whoever does it says when it is
//! enough for now.

use std::sync::Arc;

use bytes::Bytes;

use super::batch::Batch;

/// How a socket takes its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    Compressed,
}

/// The end of a frame keeps its batch in memory, if that is no more than so many times its size: sockets that are slow
/// would otherwise keep much for little.
const BATCH_PER_REST: usize = 16;

struct Shared(Arc<Batch>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

#[derive(Debug)]
pub(super) struct Stored {
    /// The number of its first frame.
    pub(super) first: u64,
    pub(super) batch: Arc<Batch>,
    /// The first frames, compressed; and where each of them ends.
    compressed: Vec<u8>,
    ends: Vec<usize>,
}

impl Stored {
    pub(super) fn new(first: u64, batch: Arc<Batch>) -> Stored {
        Stored {
            first,
            batch,
            compressed: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// How many frames it has in this form.
    pub(super) fn len(&self, form: Form) -> usize {
        match form {
            Form::Plain => self.batch.len(),
            Form::Compressed => self.ends.len(),
        }
    }

    pub(super) fn bytes(&self, form: Form) -> &[u8] {
        match form {
            Form::Plain => self.batch.bytes(),
            Form::Compressed => &self.compressed,
        }
    }

    /// Where a frame begins in [`Stored::bytes`]; the number of frames, and beyond: the end.
    pub(super) fn start_of(&self, form: Form, frame: usize) -> usize {
        match (form, frame.checked_sub(1)) {
            (Form::Plain, _) => self.batch.start_of(frame),
            (Form::Compressed, None) => 0,
            (Form::Compressed, Some(before)) => {
                let end = self.ends.get(before);
                end.copied().unwrap_or(self.compressed.len())
            }
        }
    }

    /// A frame without its first bytes, for a socket that takes the end of it later: as far as it is plain it lies in the
    /// batch's memory, however many sockets wait with it.
    pub(super) fn end_of(&self, form: Form, frame: usize, left_out: usize) -> Bytes {
        let from = self.start_of(form, frame) + left_out;
        let rest = &self.bytes(form)[from..self.start_of(form, frame + 1)];
        let plain = self.batch.bytes();
        let end = self.batch.start_of(frame + 1);
        let place = end.saturating_sub(rest.len())..end;
        // What would not become shorter stands in compressed form as it is.
        let is_plain = || form == Form::Plain || plain[place.clone()] == *rest;
        match rest.len() >= plain.len() / BATCH_PER_REST && is_plain() {
            true => Bytes::from_owner(Shared(self.batch.clone())).slice(place),
            false => Bytes::copy_from_slice(rest),
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.batch.memory_bytes()
            + self.compressed.capacity()
            + self.ends.capacity() * size_of::<usize>()
    }

    /// Compresses frames until there are so many. False: `compress`, which appends one, has had enough for now.
    pub(super) fn compress(
        &mut self,
        frames: usize,
        compress: &mut dyn FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) -> bool {
        if self.ends.is_empty() {
            self.ends.reserve_exact(self.batch.len());
        }
        while self.ends.len() < frames.min(self.batch.len()) {
            let frame = self.ends.len();
            let from = self.batch.start_of(frame);
            let plain = &self.batch.bytes()[from..self.batch.start_of(frame + 1)];
            if !compress(plain, &mut self.compressed) {
                return false;
            }
            self.ends.push(self.compressed.len());
            if self.ends.len() == self.batch.len() {
                self.compressed.shrink_to_fit();
            }
        }
        true
    }
}
