//! How long to wait before the next try. One [`Backoff`] per thing that retries; no clock in here.

/// Delays that double from the first to the last, each with jitter: what one broker's restart cut off
/// at the same moment must not come back at the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    first_ms: u64,
    last_ms: u64,
    next_ms: u64,
}

impl Backoff {
    /// A first delay of 0 would make a broker that refuses at once a busy loop: 1 ms at least.
    pub fn new(first_ms: u64, last_ms: u64) -> Backoff {
        let first_ms = first_ms.max(1);
        Backoff {
            first_ms,
            last_ms: last_ms.max(first_ms),
            next_ms: first_ms,
        }
    }

    /// The delay before the next try: between half of the step and the whole of it.
    pub fn next_delay_ms(&mut self, rng: &mut fastrand::Rng) -> u64 {
        let step_ms = self.next_ms;
        self.next_ms = step_ms.saturating_mul(2).min(self.last_ms);
        rng.u64(step_ms.div_ceil(2)..=step_ms)
    }

    pub fn reset(&mut self) {
        self.next_ms = self.first_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_last_and_start_again_after_a_reset() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut backoff = Backoff::new(100, 1_000);
        for step_ms in [100, 200, 400, 800, 1_000, 1_000] {
            let delay_ms = backoff.next_delay_ms(&mut rng);
            assert!(
                (step_ms / 2..=step_ms).contains(&delay_ms),
                "{delay_ms} of {step_ms}"
            );
        }
        backoff.reset();
        assert!(backoff.next_delay_ms(&mut rng) <= 100);
    }

    #[test]
    fn a_zero_or_reversed_setting_still_waits() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut backoff = Backoff::new(0, 0);
        assert_eq!(backoff.next_delay_ms(&mut rng), 1);
        let mut backoff = Backoff::new(500, 10);
        assert!(backoff.next_delay_ms(&mut rng) >= 250);
    }
}
