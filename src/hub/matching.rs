//! Which topics of a list a pattern is about, found out a portion at a time: a pattern is a client's, may cost a microsecond
//! and more for each byte of a name, and a namespace may have two hundred thousand names. What has been compared once is
//! known when the next list comes.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::pulsar::TopicsPattern;

/// Bytes of names that are compared within a millisecond: tens of milliseconds of the costliest patterns, and all topics of
/// most namespaces at once. A name that is known counts as one.
const PORTION_BYTES: usize = 4 * 1024;

/// Whether names of the last list matched. By their hashes, with a key of this hub's own: names may be long, and many.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    hasher: RandomState,
    by_name: FxHashMap<u64, bool>,
}

/// A list that is being looked at.
#[derive(Debug)]
pub(super) struct Matching {
    names: Arc<Vec<String>>,
    /// The place of the next one.
    next: usize,
    /// The places of those that match, in their order.
    matched: Vec<usize>,
    /// Of those looked at.
    verdicts: FxHashMap<u64, bool>,
    /// When it goes on.
    pub due_ms: u64,
}

impl Matching {
    pub fn new(now_ms: u64, names: Arc<Vec<String>>) -> Matching {
        Matching {
            names,
            next: 0,
            matched: Vec::new(),
            verdicts: FxHashMap::default(),
            due_ms: now_ms,
        }
    }

    /// Looks at the next names. Whether those were the last ones.
    pub fn go_on(&mut self, now_ms: u64, pattern: &TopicsPattern, known: &mut Verdicts) -> bool {
        let mut cost = 0;
        while cost < PORTION_BYTES
            && let Some(name) = self.names.get(self.next)
        {
            let hash = known.hasher.hash_one(name);
            let verdict = known.by_name.get(&hash).copied();
            cost += verdict.map_or(name.len(), |_| 1);
            let matches = verdict.unwrap_or_else(|| pattern.matches(name));
            self.verdicts.insert(hash, matches);
            if matches {
                self.matched.push(self.next);
            }
            self.next += 1;
        }
        let is_done = self.next == self.names.len();
        if is_done {
            known.by_name = std::mem::take(&mut self.verdicts);
        }
        self.due_ms = now_ms + 1;
        is_done
    }

    pub fn matched(&self) -> impl Iterator<Item = &str> {
        self.matched.iter().map(|place| self.names[*place].as_str())
    }
}
