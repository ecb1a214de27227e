//! Log lines that repeat themselves: each subject speaks once in a while, and then says how often it was silent.
//!
//! A broker that is down is dialled again and again by every shard; a log full of that hides what else happens.

use rustc_hash::FxHashMap;

/// Between two lines about one subject: often enough to see that it goes on.
const SILENCE_MS: u64 = 10_000;
/// Subjects remembered. More brokers than this are hardly down at once; then all of them speak again.
const SUBJECTS_MAX: usize = 64;

/// Which subjects have spoken, and when.
#[derive(Debug, Default)]
pub struct Seldom {
    told: FxHashMap<String, Told>,
}

#[derive(Debug)]
struct Told {
    at_ms: u64,
    silent: u64,
}

impl Seldom {
    /// Whether a line about the subject is due, and how often it has happened unsaid since the last one.
    pub fn due(&mut self, now_ms: u64, subject: &str) -> Option<u64> {
        if let Some(told) = self.told.get_mut(subject) {
            if now_ms.saturating_sub(told.at_ms) < SILENCE_MS {
                told.silent += 1;
                return None;
            }
            told.at_ms = now_ms;
            return Some(std::mem::take(&mut told.silent));
        }
        if self.told.len() >= SUBJECTS_MAX {
            self.told.clear();
        }
        let told = Told {
            at_ms: now_ms,
            silent: 0,
        };
        self.told.insert(subject.to_owned(), told);
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_speaks_once_in_a_while_and_counts_what_it_left_out() {
        let mut seldom = Seldom::default();
        assert_eq!(seldom.due(0, "a"), Some(0));
        assert_eq!(seldom.due(1, "b"), Some(0));
        for now_ms in 1..10_000 {
            assert_eq!(seldom.due(now_ms, "a"), None);
        }
        assert_eq!(seldom.due(10_000, "a"), Some(9_999));
        assert_eq!(seldom.due(20_000, "a"), Some(0));
    }

    #[test]
    fn subjects_are_bounded() {
        let mut seldom = Seldom::default();
        for number in 0..10 * SUBJECTS_MAX {
            assert_eq!(seldom.due(0, &number.to_string()), Some(0));
            assert!(seldom.told.len() <= SUBJECTS_MAX);
        }
    }
}
