//! One sleep for all of a shard's timers: the owner keeps its deadlines in wheels, sets the alarm to the earliest, and
//! one task waits for it to ring.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use monoio::time::{Instant, sleep_until};

use super::clock::now_ms;

const NEVER: u64 = u64::MAX;

/// An alarm clock of one shard. Clones are the same clock.
#[derive(Clone, Default)]
pub struct Alarm(Rc<State>);

struct State {
    deadline_ms: Cell<u64>,
    /// What the waiting task sleeps until; a deadline before it must wake that task. 0 when none waits.
    armed_ms: Cell<u64>,
    waker: Cell<Option<Waker>>,
}

impl Default for State {
    fn default() -> State {
        State {
            deadline_ms: Cell::new(NEVER),
            armed_ms: Cell::new(0),
            waker: Cell::new(None),
        }
    }
}

impl Alarm {
    pub fn new() -> Alarm {
        Alarm::default()
    }

    /// Rings at this time of [`now_ms`] (at once when it has passed), and not at the time set before. None: not at
    /// all.
    pub fn set(&self, deadline_ms: Option<u64>) {
        let deadline_ms = deadline_ms.unwrap_or(NEVER);
        self.0.deadline_ms.set(deadline_ms);
        if deadline_ms < self.0.armed_ms.get()
            && let Some(waker) = self.0.waker.take()
        {
            waker.wake();
        }
    }

    /// Waits until it rings, which unsets it. One task waits at a time, with one sleep of the event loop: setting a
    /// later time costs nothing, an earlier one one wake-up.
    pub async fn rings(&self) {
        let mut sleep = pin!(sleep_until(Instant::now()));
        let mut armed_ms = 0;
        poll_fn(|context| {
            loop {
                let (now, deadline_ms) = (now_ms(), self.0.deadline_ms.get());
                if now >= deadline_ms {
                    self.0.deadline_ms.set(NEVER);
                    self.0.armed_ms.set(0);
                    return Poll::Ready(());
                }
                // A sleep towards an earlier time stays: it ends harmlessly, and is then set anew.
                if armed_ms <= now || deadline_ms < armed_ms {
                    armed_ms = deadline_ms;
                    if deadline_ms != NEVER {
                        let wait = Duration::from_millis(deadline_ms - now);
                        sleep.as_mut().reset(Instant::now() + wait);
                    }
                }
                self.0.armed_ms.set(armed_ms);
                self.0.waker.set(Some(context.waker().clone()));
                if armed_ms == NEVER || sleep.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                armed_ms = 0;
            }
        })
        .await;
    }
}
