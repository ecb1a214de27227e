//! What one connection has to write: small commands gathered, large frames passed on by reference.

use std::collections::VecDeque;

use ::pulsar::proto::BaseCommand;
use bytes::{Bytes, BytesMut};
use zeroize::Zeroizing;

use crate::pulsar::wire;

/// From here on a frame is a segment of its own. Below, copying it beside its neighbours costs less than one more
/// entry in the vectored write.
const OWN_SEGMENT_BYTES: usize = 4 * 1024;
/// A gathered segment is cut when it passes this, so that growing it never moves much.
const MAX_GATHERED_BYTES: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Output {
    segments: VecDeque<Bytes>,
    gathered: BytesMut,
}

impl Output {
    /// Where small commands are appended.
    pub fn gather(&mut self) -> &mut BytesMut {
        if self.gathered.len() >= MAX_GATHERED_BYTES {
            self.cut();
        }
        &mut self.gathered
    }

    /// A whole frame that the caller keeps, to send it again.
    pub fn push(&mut self, frame: &Bytes) {
        if frame.len() < OWN_SEGMENT_BYTES {
            self.gather().extend_from_slice(frame);
        } else {
            self.cut();
            self.segments.push_back(frame.clone());
        }
    }

    /// A segment of its own, which is zeroed when it has been written.
    pub fn push_secret(&mut self, command: &BaseCommand) {
        self.cut();
        let mut frame = BytesMut::new();
        wire::append_command(command, &mut frame);
        let frame = Zeroizing::new(Vec::from(frame));
        self.segments.push_back(Bytes::from_owner(frame));
    }

    /// The next bytes to write.
    pub fn pop(&mut self) -> Option<Bytes> {
        if let Some(segment) = self.segments.pop_front() {
            return Some(segment);
        }
        (!self.gathered.is_empty()).then(|| self.gathered.split().freeze())
    }

    fn cut(&mut self) {
        if !self.gathered.is_empty() {
            self.segments.push_back(self.gathered.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_frames_leave_as_one_segment_and_large_ones_by_reference_in_order() {
        let mut output = Output::default();
        let large = Bytes::from(vec![7; OWN_SEGMENT_BYTES]);
        output.gather().extend_from_slice(b"ab");
        output.push(&Bytes::from_static(b"cd"));
        output.push(&large);
        output.gather().extend_from_slice(b"ef");
        assert_eq!(output.pop().as_deref(), Some(&b"abcd"[..]));
        let segment = output.pop().expect("the large frame");
        assert_eq!(segment.as_ptr(), large.as_ptr());
        assert_eq!(output.pop().as_deref(), Some(&b"ef"[..]));
        assert_eq!(output.pop(), None);
    }

    #[test]
    fn a_secret_is_a_segment_in_its_place_among_the_others() {
        let (mut output, command) = (Output::default(), BaseCommand::default());
        let mut frame = BytesMut::new();
        wire::append_command(&command, &mut frame);
        output.gather().extend_from_slice(b"ab");
        output.push_secret(&command);
        output.gather().extend_from_slice(b"cd");
        let segments = std::iter::from_fn(|| output.pop());
        assert_eq!(segments.collect::<Vec<_>>(), [&b"ab"[..], &frame, b"cd"]);
    }

    #[test]
    fn a_gathered_segment_is_cut_before_it_grows_large() {
        let mut output = Output::default();
        for _ in 0..100 {
            output.gather().extend_from_slice(&[0; 2_000]);
        }
        let mut total = 0;
        while let Some(segment) = output.pop() {
            assert!(segment.len() < MAX_GATHERED_BYTES + 2_000);
            total += segment.len();
        }
        assert_eq!(total, 200_000);
    }
}
