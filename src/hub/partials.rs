//! Acked indexes of batch entries that the hub does not hold: acked by an id of another gateway's delivery, or before a
//! redelivery. Bounded; the oldest is forgotten.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::limits::{MAX_PARTIAL_BATCH, MAX_PARTIAL_ENTRIES};
use super::slot::EntryKey;
use super::unsettled::trim;

/// The acked indexes of one entry, as far as they are known.
#[derive(Debug)]
pub(super) struct Partial {
    acked: Vec<u64>,
    size: usize,
    left: usize,
    age: u64,
}

impl Partial {
    pub fn is_acked(&self, index: usize) -> bool {
        index < self.size && self.acked[index / 64] >> (index % 64) & 1 == 1
    }

    /// The messages of one word that have these bits.
    fn ack(&mut self, word: usize, bits: u64) {
        self.left -= (bits & !self.acked[word]).count_ones() as usize;
        self.acked[word] |= bits;
    }
}

/// By slot and entry.
#[derive(Debug, Default)]
pub(super) struct Partials {
    by_entry: FxHashMap<(usize, EntryKey), Partial>,
    by_age: BTreeMap<u64, (usize, EntryKey)>,
    next_age: u64,
}

/// What an ack of one index did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// The index is not in a batch of that size, or the batch is too large to follow.
    Ignored,
    Partly,
    /// It was the last one: the entry can be acked as a whole, and is forgotten here.
    Whole,
}

impl Partials {
    pub fn note(&mut self, slot: usize, key: EntryKey, index: usize, size: usize) -> Noted {
        self.change(slot, key, index, size, |partial| {
            partial.ack(index / 64, 1 << (index % 64));
        })
    }

    /// The index and all before it, 64 at a time: a client's frame of some bytes may name any batch.
    pub fn note_up_to(&mut self, slot: usize, key: EntryKey, index: usize, size: usize) -> Noted {
        self.change(slot, key, index, size, |partial| {
            for word in 0..index / 64 {
                partial.ack(word, u64::MAX);
            }
            partial.ack(index / 64, u64::MAX >> (63 - index % 64));
        })
    }

    /// The first word about an entry fixes its batch size: what says otherwise later is ignored.
    fn change(
        &mut self,
        slot: usize,
        key: EntryKey,
        index: usize,
        size: usize,
        ack: impl FnOnce(&mut Partial),
    ) -> Noted {
        if index >= size || size > MAX_PARTIAL_BATCH {
            return Noted::Ignored;
        }
        let next_age = &mut self.next_age;
        let by_age = &mut self.by_age;
        let partial = self.by_entry.entry((slot, key)).or_insert_with(|| {
            *next_age += 1;
            by_age.insert(*next_age, (slot, key));
            Partial {
                acked: vec![0; size.div_ceil(64)],
                size,
                left: size,
                age: *next_age,
            }
        });
        if partial.size != size {
            return Noted::Ignored;
        }
        ack(partial);
        if partial.left == 0 {
            self.take(slot, key);
            return Noted::Whole;
        }
        if self.by_entry.len() > MAX_PARTIAL_ENTRIES
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_entry.remove(&oldest);
        }
        Noted::Partly
    }

    pub fn is_acked(&self, slot: usize, key: EntryKey, index: i32) -> bool {
        let partial = self.by_entry.get(&(slot, key));
        usize::try_from(index)
            .is_ok_and(|index| partial.is_some_and(|partial| partial.is_acked(index)))
    }

    pub fn take(&mut self, slot: usize, key: EntryKey) -> Option<Partial> {
        let partial = self.by_entry.remove(&(slot, key))?;
        self.by_age.remove(&partial.age);
        Some(partial)
    }

    pub fn forget_slot(&mut self, slot: usize) {
        let keys: Vec<_> = self.of_slot(slot).collect();
        for key in keys {
            self.take(slot, key);
        }
    }

    pub fn forget_below(&mut self, slot: usize, below: EntryKey) {
        let by_age = &mut self.by_age;
        self.by_entry.retain(|(of, key), partial| {
            let kept = *of != slot || *key >= below;
            if !kept {
                by_age.remove(&partial.age);
            }
            kept
        });
    }

    /// Bit i set = message i is unacked as far as is known here.
    pub fn ack_set(&self, slot: usize, key: EntryKey) -> Option<Vec<u64>> {
        let partial = self.by_entry.get(&(slot, key))?;
        let mut words: Vec<u64> = partial.acked.iter().map(|acked| !acked).collect();
        if let Some(last) = words.last_mut()
            && !partial.size.is_multiple_of(64)
        {
            *last &= !(u64::MAX << (partial.size % 64));
        }
        trim(&mut words);
        Some(words)
    }

    /// The entries of a slot, in no order.
    pub fn of_slot(&self, slot: usize) -> impl Iterator<Item = EntryKey> + '_ {
        self.by_entry
            .keys()
            .filter(move |(of, _)| *of == slot)
            .map(|(_, key)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_index_makes_the_entry_whole() {
        let mut partials = Partials::default();
        assert_eq!(partials.note(0, (1, 1), 0, 2), Noted::Partly);
        assert_eq!(partials.note(0, (1, 1), 0, 2), Noted::Partly);
        assert_eq!(partials.ack_set(0, (1, 1)), Some(vec![0b10]));
        assert_eq!(partials.note(0, (1, 1), 1, 2), Noted::Whole);
        assert_eq!(partials.ack_set(0, (1, 1)), None);
        assert!(partials.by_age.is_empty());
    }

    #[test]
    fn all_up_to_an_index_is_each_of_them() {
        for size in [2, 63, 64, 65, 128, 130] {
            for index in 0..size {
                for single in 0..size {
                    let (mut once, mut each) = (Partials::default(), Partials::default());
                    once.note(0, (1, 1), single, size);
                    each.note(0, (1, 1), single, size);
                    let mut noted = Noted::Partly;
                    for index in 0..=index {
                        noted = each.note(0, (1, 1), index, size);
                        if noted == Noted::Whole {
                            break;
                        }
                    }
                    assert_eq!(once.note_up_to(0, (1, 1), index, size), noted);
                    assert_eq!(once.ack_set(0, (1, 1)), each.ack_set(0, (1, 1)));
                }
            }
        }
        let mut partials = Partials::default();
        assert_eq!(partials.note_up_to(0, (1, 1), 64, 130), Noted::Partly);
        assert_eq!(
            partials.ack_set(0, (1, 1)),
            Some(vec![0, u64::MAX << 1, 0b11])
        );
        assert_eq!(partials.note_up_to(0, (1, 1), 130, 130), Noted::Ignored);
        assert_eq!(partials.note_up_to(0, (1, 1), 129, 130), Noted::Whole);
    }

    #[test]
    fn sizes_that_lie_change_nothing() {
        let mut partials = Partials::default();
        assert_eq!(partials.note(0, (1, 1), 2, 2), Noted::Ignored);
        assert_eq!(partials.note(0, (1, 1), 0, usize::MAX), Noted::Ignored);
        assert_eq!(partials.note(0, (1, 1), 0, 3), Noted::Partly);
        assert_eq!(partials.note(0, (1, 1), 1, 2), Noted::Ignored);
        assert_eq!(partials.ack_set(0, (1, 1)), Some(vec![0b110]));
    }

    #[test]
    #[cfg_attr(miri, ignore = "a bound of thousands, interpreted")]
    fn the_oldest_entry_is_forgotten_over_the_bound() {
        let mut partials = Partials::default();
        for entry in 0..=MAX_PARTIAL_ENTRIES as u64 {
            partials.note(0, (1, entry), 0, 2);
        }
        assert_eq!(partials.by_entry.len(), MAX_PARTIAL_ENTRIES);
        assert_eq!(partials.by_age.len(), MAX_PARTIAL_ENTRIES);
        assert_eq!(partials.ack_set(0, (1, 0)), None);
        assert!(partials.ack_set(0, (1, 1)).is_some());
    }
}
