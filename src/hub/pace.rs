//! How many messages a member of a Shared hub is given in one go. One at a time spreads work best, and costs a send, a
//! wake-up and a read for each message; a member that acks what it gets at once loses nothing by getting several together.

/// The longest run: what a broker gives one consumer in its turn (dispatcherMaxRoundRobinBatchSize).
const RUN_MAX: u32 = 20;

/// An ack within this time is quick: a message behind a whole run waits no longer than this for its handling.
const QUICK_MS: u64 = 20;

/// What is known of how a member acks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// Acks in a row that were quick, up to [`RUN_MAX`].
    quick: u32,
}

impl Pace {
    /// A message was acked so long after it was given out.
    pub fn acked_after(&mut self, after_ms: u64) {
        self.quick = match after_ms <= QUICK_MS {
            true => (self.quick + 1).min(RUN_MAX),
            false => 0,
        };
    }

    /// How many more it may be given to make a run of what it holds already.
    pub fn run(self, held: usize) -> usize {
        (self.quick as usize).saturating_sub(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_grow_with_quick_acks_and_end_with_a_slow_one() {
        let mut pace = Pace::default();
        assert_eq!(pace.run(0), 0);
        for _ in 0..3 {
            pace.acked_after(QUICK_MS);
        }
        assert_eq!((pace.run(0), pace.run(2), pace.run(9)), (3, 1, 0));
        for _ in 0..100 {
            pace.acked_after(0);
        }
        assert_eq!(pace.run(0), RUN_MAX as usize);
        pace.acked_after(QUICK_MS + 1);
        assert_eq!(pace.run(0), 0);
    }
}
