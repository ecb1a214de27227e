//! What the broker will do at a time: one heap, looked at by `tick`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::connection::ConnectionId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// Look for silent connections.
    KeepAlive,
    /// A delayed entry of this subscription is due.
    Deliver { topic: usize, subscription: usize },
    /// Held output is due, or a throttled connection may be read again.
    Connection(ConnectionId),
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(u64, Alarm)>>,
}

impl Timers {
    pub fn set(&mut self, at_ms: u64, alarm: Alarm) {
        self.heap.push(Reverse((at_ms, alarm)));
    }

    pub fn next_ms(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub fn pop_due(&mut self, now_ms: u64) -> Option<Alarm> {
        if self.next_ms()? > now_ms {
            return None;
        }
        self.heap.pop().map(|Reverse((_, alarm))| alarm)
    }
}
