//! Which entries of one slot are acked: ranges, bounded. What comes again although it is here is acked again and
//! not given to anybody.

use std::collections::BTreeMap;

use super::limits::MAX_ACKED_RANGES;
use super::slot::EntryKey;

/// A set of (ledger, entry), kept as closed ranges of entries within a ledger.
/// Over its bound it forgets its lowest range: the broker has most likely persisted that one.
#[derive(Debug, Default)]
pub(super) struct AckedMemory {
    /// (ledger, first entry) → last entry.
    ranges: BTreeMap<EntryKey, u64>,
    /// Everything before this is in the set, too.
    below: Option<EntryKey>,
}

impl AckedMemory {
    pub fn contains(&self, (ledger, entry): EntryKey) -> bool {
        if self.below > Some((ledger, entry)) {
            return true;
        }
        self.range_at((ledger, entry))
            .is_some_and(|(_, last)| last >= entry)
    }

    pub fn insert(&mut self, (ledger, entry): EntryKey) {
        let mut first = entry;
        let mut last = entry;
        if let Some((start, end)) = self.range_at((ledger, entry)) {
            if end >= entry {
                return;
            }
            if end + 1 == entry {
                first = start;
            }
        }
        if let Some(after) = entry.checked_add(1)
            && let Some(end) = self.ranges.remove(&(ledger, after))
        {
            last = end;
        }
        self.ranges.insert((ledger, first), last);
        if self.ranges.len() > MAX_ACKED_RANGES {
            self.ranges.pop_first();
        }
    }

    /// All that is before this position, in whichever ledger.
    pub fn insert_below(&mut self, below: EntryKey) {
        if self.below < Some(below) {
            self.below = Some(below);
            self.ranges
                .retain(|(ledger, _), last| (*ledger, *last) >= below);
        }
    }

    /// Of what is only in the set because it is before some position, nothing from `below` on stays. None: nothing at all.
    pub fn keep_below(&mut self, below: Option<EntryKey>) {
        self.below = self.below.min(below);
    }

    pub fn clear(&mut self) {
        self.ranges.clear();
        self.below = None;
    }

    /// The range that begins at or before the entry, in the same ledger.
    fn range_at(&self, (ledger, entry): EntryKey) -> Option<(u64, u64)> {
        self.ranges
            .range((ledger, 0)..=(ledger, entry))
            .next_back()
            .map(|(&(_, first), &last)| (first, last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "a bound of thousands, interpreted")]
    fn it_forgets_the_lowest_range_over_its_bound() {
        let mut memory = AckedMemory::default();
        for entry in 0..=MAX_ACKED_RANGES as u64 {
            memory.insert((7, entry * 2));
        }
        assert_eq!(memory.ranges.len(), MAX_ACKED_RANGES);
        assert!(!memory.contains((7, 0)));
        assert!(memory.contains((7, 2)));
    }

    #[test]
    fn the_last_possible_entry_is_no_overflow() {
        let mut memory = AckedMemory::default();
        memory.insert((u64::MAX, u64::MAX));
        memory.insert((u64::MAX, u64::MAX - 1));
        assert!(memory.contains((u64::MAX, u64::MAX)));
        assert_eq!(memory.ranges.len(), 1);
    }

    #[test]
    fn what_is_below_a_position_is_in_it_and_takes_no_room() {
        let mut memory = AckedMemory::default();
        for key in [(1, 5), (7, 1), (7, 3), (7, 4), (7, 9)] {
            memory.insert(key);
        }
        memory.insert_below((7, 4));
        memory.insert_below((6, 0));
        assert!(memory.contains((0, 0)) && memory.contains((7, 0)) && memory.contains((7, 4)));
        assert!(!memory.contains((7, 5)) && memory.contains((7, 9)));
        assert_eq!(memory.ranges.len(), 2);
        memory.keep_below(Some((8, 0)));
        memory.keep_below(Some((7, 1)));
        assert!(memory.contains((7, 0)) && !memory.contains((7, 1)) && memory.contains((7, 4)));
        memory.clear();
        assert!(!memory.contains((0, 0)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 128 }))]

        #[test]
        fn it_is_a_set(keys in proptest::collection::vec((0u64..3, 0u64..40), 0..120)) {
            let mut memory = AckedMemory::default();
            let mut model = BTreeSet::new();
            for key in keys {
                memory.insert(key);
                model.insert(key);
            }
            for ledger in 0..3 {
                for entry in 0..41 {
                    prop_assert_eq!(memory.contains((ledger, entry)), model.contains(&(ledger, entry)));
                }
            }
        }
    }
}
