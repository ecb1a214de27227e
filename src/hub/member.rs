//! One member socket: its window and what it holds. Who is next is in `members`.

use std::collections::{BTreeMap, VecDeque};

use super::effect::MemberSpec;
use super::limits::PULL_WINDOW;
use super::pace::Pace;
use super::slot::Position;
use crate::pulsar::Message;

/// A message that a member has got and not settled.
#[derive(Debug)]
pub(super) struct Held {
    pub since_ms: u64,
    /// Kept where it may go to another member (on Shared) or to a dead-letter topic.
    pub message: Option<Message>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub spec: MemberSpec,
    pub clogged: bool,
    pub pace: Pace,
    /// In pull mode: it may not hoard for now.
    pub benched: bool,
    /// Push mode: what is delivered and not freed.
    charged: u32,
    /// Pull mode: what may still be delivered.
    permits: u32,
    pub held: BTreeMap<Position, Held>,
    /// In the order of delivery, with positions that are held no more in between. Only with an ack timeout.
    ageing: VecDeque<(u64, Position)>,
    /// When messages of non-persistent topics were given out that no ack has freed: their ids do not tell them apart.
    /// Only with an ack timeout, in push mode; no longer than the window.
    passing: VecDeque<u64>,
}

impl Member {
    pub fn new(spec: MemberSpec) -> Member {
        Member {
            spec,
            clogged: false,
            pace: Pace::default(),
            benched: false,
            charged: 0,
            permits: 0,
            held: BTreeMap::new(),
            ageing: VecDeque::new(),
            passing: VecDeque::new(),
        }
    }

    /// What counts for it in any case.
    pub fn reserved(&self) -> u64 {
        match self.spec.pull_mode {
            true => PULL_WINDOW.into(),
            false => self.spec.window.into(),
        }
    }

    /// What it holds beyond that.
    pub fn hoarded(&self) -> u64 {
        match self.spec.pull_mode {
            true => (self.held.len() as u64).saturating_sub(PULL_WINDOW.into()),
            false => 0,
        }
    }

    /// What it may still take without hoarding.
    pub fn below_reserved(&self) -> u64 {
        self.reserved().saturating_sub(self.held.len() as u64)
    }

    /// How many messages it may be given now.
    pub fn open(&self) -> u32 {
        if self.clogged {
            0
        } else if self.benched {
            let most = u32::try_from(self.below_reserved()).unwrap_or(u32::MAX);
            self.permits.min(most)
        } else if self.spec.pull_mode {
            self.permits
        } else {
            self.spec.window.saturating_sub(self.charged)
        }
    }

    pub fn charge(&mut self, messages: u32) {
        if self.spec.pull_mode {
            self.permits = self.permits.saturating_sub(messages);
        } else {
            self.charged = self.charged.saturating_add(messages);
        }
    }

    /// Acked, nacked, handled or timed out. In pull mode only permits open the window.
    pub fn free(&mut self, messages: u32) {
        self.charged = self.charged.saturating_sub(messages);
    }

    /// What was freed is not: its client still has the message, and will free it.
    pub fn charge_again(&mut self, messages: u32) {
        if !self.spec.pull_mode {
            self.charge(messages);
        }
    }

    /// Permits of a member in push mode are ignored, as in Java. Sums stay below 2^31, Java's int.
    pub fn permit(&mut self, messages: u32) {
        if self.spec.pull_mode {
            self.permits = self.permits.saturating_add(messages).min(i32::MAX as u32);
        }
    }

    pub fn hold(&mut self, now_ms: u64, position: Position, message: Option<Message>) {
        let held = Held {
            since_ms: now_ms,
            message,
        };
        self.held.insert(position, held);
        if self.spec.ack_timeout_ms == 0 {
            return;
        }
        self.ageing.push_back((now_ms, position));
        // At most one stale row for each valid one: the queue is no larger than what is held.
        if self.ageing.len() > 2 * self.held.len() + 64 {
            let held = &self.held;
            self.ageing
                .retain(|(since, at)| held.get(at).is_some_and(|held| held.since_ms == *since));
        }
    }

    /// As [`Member::free`], by an ack of something that is not held.
    pub fn free_any(&mut self, messages: u32) {
        self.free(messages);
        let freed = self.passing.len().min(messages as usize);
        self.passing.drain(..freed);
    }

    /// A message of a non-persistent topic.
    pub fn let_pass(&mut self, now_ms: u64) {
        if self.spec.ack_timeout_ms > 0 && !self.spec.pull_mode {
            self.passing.push_back(now_ms);
        }
    }

    /// Frees the window of what passed and was not acked in time. How many it was.
    pub fn free_passed(&mut self, now_ms: u64) -> u32 {
        let timeout_ms = self.spec.ack_timeout_ms;
        let over = |since_ms: &u64| since_ms.saturating_add(timeout_ms) <= now_ms;
        let passed = self.passing.iter().take_while(|since_ms| over(since_ms));
        let passed = passed.count();
        self.passing.drain(..passed);
        self.free(passed as u32);
        passed as u32
    }

    /// When the oldest message that is still held, or passing, times out.
    pub fn next_timeout_ms(&mut self) -> Option<u64> {
        let timeout_ms = self.spec.ack_timeout_ms;
        let passing = self.passing.front();
        let passing = passing.map(|since_ms| since_ms.saturating_add(timeout_ms));
        let held = self.next_held_timeout_ms();
        held.into_iter().chain(passing).min()
    }

    fn next_held_timeout_ms(&mut self) -> Option<u64> {
        while let Some((since_ms, position)) = self.ageing.front() {
            if (self.held.get(position)).is_some_and(|held| held.since_ms == *since_ms) {
                return Some(since_ms.saturating_add(self.spec.ack_timeout_ms));
            }
            self.ageing.pop_front();
        }
        None
    }

    pub fn take_timed_out(&mut self, now_ms: u64) -> Option<Position> {
        self.next_held_timeout_ms()
            .filter(|at_ms| *at_ms <= now_ms)?;
        self.ageing.pop_front().map(|(_, position)| position)
    }
}
