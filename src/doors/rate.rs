//! So many a second: a token bucket, kept as the one time at which it will be full again.

/// How many seconds' worth may come at once after a pause: a page opens its handful of sockets together, and a client
/// that is refused tries again within a second or two.
const BURST_S: u64 = 5;

const NANOS_PER_MS: u64 = 1_000_000;
const NANOS_PER_S: u64 = 1_000_000_000;

/// So many a second, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    interval_ns: u64,
}

/// When a bucket will be full, in nanoseconds of the clock that feeds it; 0: it is.
pub type FullAt = u64;

impl Rate {
    /// None for 0, which means no bound.
    pub fn per_second(number: u64) -> Option<Rate> {
        let interval_ns = NANOS_PER_S.checked_div(number)?;
        Some(Rate {
            interval_ns: interval_ns.max(1),
        })
    }

    /// One more: when the bucket will be full after it. None: it is empty.
    pub fn take(self, now_ms: u64, full_at: FullAt) -> Option<FullAt> {
        let now_ns = now_ms.saturating_mul(NANOS_PER_MS);
        let after = full_at.max(now_ns).saturating_add(self.interval_ns);
        (after - now_ns <= BURST_S * NANOS_PER_S).then_some(after)
    }

    /// Nothing has been taken that has not come back: the bucket need not be remembered.
    pub fn is_full(now_ms: u64, full_at: FullAt) -> bool {
        full_at <= now_ms.saturating_mul(NANOS_PER_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `attempts` at this time pass.
    fn passes(rate: Rate, now_ms: u64, full_at: &mut FullAt, attempts: usize) -> usize {
        let pass = |_: &usize| match rate.take(now_ms, *full_at) {
            Some(after) => {
                *full_at = after;
                true
            }
            None => false,
        };
        (0..attempts).filter(pass).count()
    }

    #[test]
    fn five_seconds_worth_pass_at_once_and_then_so_many_a_second() {
        let rate = Rate::per_second(10).unwrap();
        let mut full_at = 0;
        assert_eq!(passes(rate, 1_000, &mut full_at, 1_000), 50);
        assert_eq!(passes(rate, 1_099, &mut full_at, 10), 0);
        assert_eq!(passes(rate, 1_100, &mut full_at, 10), 1);
        assert_eq!(passes(rate, 3_100, &mut full_at, 100), 20);
        assert!(!Rate::is_full(8_099, full_at));
        assert!(Rate::is_full(8_100, full_at));
        assert_eq!(passes(rate, 1_000_000, &mut full_at, 1_000), 50);
    }

    #[test]
    fn no_number_overflows() {
        assert_eq!(Rate::per_second(0), None);
        for number in [1, u64::MAX] {
            let rate = Rate::per_second(number).unwrap();
            for now_ms in [0, u64::MAX] {
                assert!(rate.take(now_ms, 0).is_some());
                let _ = rate.take(now_ms, u64::MAX);
            }
        }
    }
}
