//! What waits to be written to one connection: frames in order, small ones side by side, large bodies by refcount.

use std::collections::VecDeque;

use ::prost::Message;
use bytes::{Bytes, BytesMut};

use super::codec::append_head;

/// A body from here on is a segment of its own instead of being copied: below, copying costs less than another
/// segment of a vectored write.
const SHARE_FROM_BYTES: usize = 4 * 1024;

/// Unwritten bytes at which nothing more is dispatched to the connection (it may pass by the batch that is just being
/// dispatched). Netty's mark is 64 KiB; loopback sockets deserve fewer stops.
pub(super) const CLOGGED_BYTES: usize = 1024 * 1024;

/// Unwritten bytes at which dispatching begins again.
const DRAINED_BYTES: usize = CLOGGED_BYTES / 2;

#[derive(Debug, Default)]
pub(super) struct Output {
    ready: VecDeque<Bytes>,
    open: BytesMut,
    /// Held back until a time by a fault.
    held: VecDeque<(u64, Bytes)>,
    /// Given to the driver or waiting here.
    unwritten_bytes: usize,
    clogged: bool,
}

impl Output {
    /// `release_at_ms`: what is written now may go out only then.
    pub fn command(
        &mut self,
        kind: impl Into<i32>,
        message: &impl Message,
        body: Option<&Bytes>,
        release_at_ms: Option<u64>,
    ) {
        let hold = self.hold(release_at_ms);
        let before = self.open.len();
        append_head(
            &mut self.open,
            kind.into(),
            message,
            body.map_or(0, Bytes::len),
        );
        self.unwritten_bytes += self.open.len() - before;
        if let Some(body) = body {
            self.unwritten_bytes += body.len();
            if body.len() < SHARE_FROM_BYTES {
                self.open.extend_from_slice(body);
            } else {
                self.seal(hold);
                self.push(body.clone(), hold);
            }
        }
        if hold.is_some() {
            self.seal(hold);
        }
        self.clogged |= self.unwritten_bytes >= CLOGGED_BYTES;
    }

    /// Bytes that are no frame.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.unwritten_bytes += bytes.len();
        self.open.extend_from_slice(bytes);
    }

    /// Moves what may be written now into `segments`.
    pub fn take(&mut self, segments: &mut Vec<Bytes>) {
        self.seal(None);
        segments.extend(self.ready.drain(..));
    }

    /// The driver has written that many. Returns whether dispatching may begin again.
    pub fn written(&mut self, bytes: usize) -> bool {
        self.unwritten_bytes = self.unwritten_bytes.saturating_sub(bytes);
        let drained = self.clogged && self.unwritten_bytes <= DRAINED_BYTES;
        if drained {
            self.clogged = false;
        }
        drained
    }

    pub fn is_clogged(&self) -> bool {
        self.clogged
    }

    /// Lets go what was held until now; returns when the next is due.
    pub fn release(&mut self, now_ms: u64) -> Option<u64> {
        self.seal(None);
        while let Some((at, _)) = self.held.front() {
            if *at > now_ms {
                return Some(*at);
            }
            let (_, bytes) = self.held.pop_front()?;
            self.ready.push_back(bytes);
        }
        None
    }

    /// Order holds: nothing passes what is held already.
    fn hold(&mut self, release_at_ms: Option<u64>) -> Option<u64> {
        let last = self.held.back().map(|(at, _)| *at);
        let hold = release_at_ms.max(last);
        if hold.is_some() {
            self.seal(None);
        }
        hold
    }

    fn seal(&mut self, hold: Option<u64>) {
        if !self.open.is_empty() {
            let bytes = self.open.split().freeze();
            self.push(bytes, hold);
        }
    }

    fn push(&mut self, bytes: Bytes, hold: Option<u64>) {
        match hold {
            Some(at) => self.held.push_back((at, bytes)),
            None => self.ready.push_back(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use ::pulsar::proto::CommandPing;
    use ::pulsar::proto::base_command::Type;

    use super::*;

    fn taken(output: &mut Output) -> usize {
        let mut segments = Vec::new();
        output.take(&mut segments);
        segments.iter().map(Bytes::len).sum()
    }

    #[test]
    fn held_frames_keep_their_order() {
        let mut output = Output::default();
        output.command(Type::Ping, &CommandPing {}, None, None);
        output.command(Type::Ping, &CommandPing {}, None, Some(20));
        output.command(Type::Ping, &CommandPing {}, None, None);
        let one = taken(&mut output);
        assert_eq!(output.release(19), Some(20));
        assert_eq!(taken(&mut output), 0);
        assert_eq!(output.release(20), None);
        assert_eq!(taken(&mut output), 2 * one);
    }

    #[test]
    fn a_clogged_connection_is_free_again_at_half() {
        let mut output = Output::default();
        let body = Bytes::from(vec![0; CLOGGED_BYTES]);
        output.command(Type::Message, &CommandPing {}, Some(&body), None);
        assert!(output.is_clogged());
        assert!(!output.written(10));
        assert!(output.written(CLOGGED_BYTES / 2 + 1_000));
        assert!(!output.is_clogged());
    }
}
