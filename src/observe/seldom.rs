//! Log lines that repeat themselves: each subject speaks once in a while, and then says how often it was silent.
//!
//! A broker that is down is dialled again and again by every shard; a log full of that hides what else happens.

use rustc_hash::FxHashMap;

/// Between two lines about one subject: often enough to see that it goes on.
const SILENCE_MS: u64 = 10_000;
/// Subjects remembered. More than this hardly have something to say at once; those beyond are silent until one of the
/// others has been for as long as it must: clients, who name some of them, do not fill the log.
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
        self.due_for(now_ms, subject, 1)
    }

    /// The same where it has happened so often now.
    pub fn due_for(&mut self, now_ms: u64, subject: &str, times: u64) -> Option<u64> {
        let is_silent = |told: &Told| now_ms.saturating_sub(told.at_ms) < SILENCE_MS;
        if let Some(told) = self.told.get_mut(subject) {
            if is_silent(told) {
                told.silent += times;
                return None;
            }
            told.at_ms = now_ms;
            return Some(std::mem::take(&mut told.silent));
        }
        if self.told.len() >= SUBJECTS_MAX {
            self.told.retain(|_, told| is_silent(told));
        }
        if self.told.len() >= SUBJECTS_MAX {
            return None;
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
    fn subjects_and_their_lines_are_bounded() {
        let mut seldom = Seldom::default();
        for now_ms in [0, SILENCE_MS] {
            let subjects = (0..10 * SUBJECTS_MAX).map(|number| format!("{now_ms} {number}"));
            let said = subjects.filter_map(|subject| seldom.due(now_ms, &subject));
            assert_eq!(said.collect::<Vec<_>>(), [0; SUBJECTS_MAX]);
            assert!(seldom.told.len() <= SUBJECTS_MAX);
        }
    }

    #[test]
    fn what_happens_several_times_at_once_counts_as_often() {
        let mut seldom = Seldom::default();
        assert_eq!(seldom.due_for(0, "a", 5), Some(0));
        assert_eq!(seldom.due_for(1, "a", 7), None);
        assert_eq!(seldom.due_for(10_000, "a", 3), Some(7));
    }
}
