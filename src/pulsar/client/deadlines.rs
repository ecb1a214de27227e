//! The machine's timers: one ordered set, so that the next deadline is exact. What a timer means is decided by
//! whoever set it; nothing fires by itself.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::counts::CountId;
use super::spec::{ConnectionId, ProducerId};

/// One of the things that wait on the broker side: they share the way they find and lose their connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum User {
    Producer(ProducerId),
    Consumer(super::spec::ConsumerId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Dialling and CONNECT take too long.
    Handshake(ConnectionId),
    KeepAlive(ConnectionId),
    /// An HTTP lookup takes too long.
    Http(ConnectionId),
    /// Nobody has used the connection for a while.
    Unused(ConnectionId),
    /// The next try of something that backs off.
    Retry(User),
    /// The first creation takes longer than the operation timeout.
    Open(User),
    /// The oldest unconfirmed message may be over its time.
    Send(ProducerId),
    /// A batch has waited long enough for further messages.
    Batch(ProducerId),
    CountRetry(CountId),
    CountExpired(CountId),
}

/// At most one deadline per [`Timer`].
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    ordered: BTreeSet<(u64, Timer)>,
    by_timer: FxHashMap<Timer, u64>,
}

impl Deadlines {
    /// Replaces the timer's earlier deadline.
    pub fn set(&mut self, timer: Timer, at_ms: u64) {
        if let Some(earlier) = self.by_timer.insert(timer, at_ms) {
            self.ordered.remove(&(earlier, timer));
        }
        self.ordered.insert((at_ms, timer));
    }

    pub fn is_set(&self, timer: Timer) -> bool {
        self.by_timer.contains_key(&timer)
    }

    pub fn cancel(&mut self, timer: Timer) {
        if let Some(at_ms) = self.by_timer.remove(&timer) {
            self.ordered.remove(&(at_ms, timer));
        }
    }

    /// Takes out one timer whose time has come, the earliest first.
    pub fn pop_due(&mut self, now_ms: u64) -> Option<Timer> {
        let &(at_ms, timer) = self.ordered.first()?;
        if at_ms > now_ms {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }

    pub fn next_ms(&self) -> Option<u64> {
        self.ordered.first().map(|&(at_ms, _)| at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Timer = Timer::Send(ProducerId(1));
    const B: Timer = Timer::Send(ProducerId(2));

    #[test]
    fn timers_fire_in_order_of_time_and_only_when_due() {
        let mut deadlines = Deadlines::default();
        deadlines.set(A, 20);
        deadlines.set(B, 10);
        assert_eq!(deadlines.next_ms(), Some(10));
        assert_eq!(deadlines.pop_due(9), None);
        assert_eq!(deadlines.pop_due(30), Some(B));
        assert_eq!(deadlines.pop_due(30), Some(A));
        assert_eq!(deadlines.next_ms(), None);
    }

    #[test]
    fn setting_again_moves_a_timer_and_cancelling_forgets_it() {
        let mut deadlines = Deadlines::default();
        deadlines.set(A, 10);
        deadlines.set(A, 50);
        assert_eq!(deadlines.next_ms(), Some(50));
        deadlines.cancel(A);
        assert!(!deadlines.is_set(A));
        assert_eq!(deadlines.pop_due(100), None);
    }
}
