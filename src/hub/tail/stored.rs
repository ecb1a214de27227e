//! A batch in one shard's log: its frames as they came and, as far as a socket has asked for them so, compressed.
//!
//! Frames are compressed in order, from the batch's first one on, and one at a time: whoever does it says when it is
//! enough for now.

use std::sync::Arc;

use super::batch::Batch;

/// How a socket takes its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    Compressed,
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
