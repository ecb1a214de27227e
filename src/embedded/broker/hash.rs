//! Key_Shared's arithmetic: the hash of a key, and which consumer has which range of hashes.

use std::collections::BTreeMap;

use crate::pulsar::murmur::murmur3_32;

/// Hashes are below this (`StickyKeyConsumerSelector.DEFAULT_RANGE_SIZE`).
pub(super) const RANGE_SIZE: u32 = 1 << 16;

/// The slot of a key: `Murmur3_32Hash` modulo the range. Never 0, which would mean "not known".
pub(super) fn sticky_key_hash(key: &[u8]) -> u32 {
    ((murmur3_32(key) & 0x7fff_ffff) % RANGE_SIZE).max(1)
}

/// Who has which hashes. AUTO_SPLIT halves the widest range for a newcomer, as the broker's
/// `HashRangeAutoSplitStickyKeyConsumerSelector`; STICKY takes the ranges that the consumers name.
#[derive(Debug)]
pub(super) enum Ranges {
    /// Upper end (inclusive) of a range → consumer; the ranges cover all hashes while there is a consumer.
    AutoSplit(BTreeMap<u32, usize>),
    /// Start → (end, consumer), both inclusive.
    Sticky(BTreeMap<u32, (u32, usize)>),
}

impl Ranges {
    pub fn new(sticky: bool) -> Ranges {
        match sticky {
            false => Ranges::AutoSplit(BTreeMap::new()),
            true => Ranges::Sticky(BTreeMap::new()),
        }
    }

    pub fn select(&self, hash: u32) -> Option<usize> {
        match self {
            Ranges::AutoSplit(ends) => ends.range(hash..).next().map(|(_, &consumer)| consumer),
            Ranges::Sticky(starts) => starts
                .range(..=hash)
                .next_back()
                .filter(|(_, (end, _))| hash <= *end)
                .map(|(_, &(_, consumer))| consumer),
        }
    }

    /// The error is the text for `ConsumerAssignError`.
    pub fn add(&mut self, consumer: usize, wanted: &[(i32, i32)]) -> Result<(), String> {
        match self {
            Ranges::AutoSplit(ends) => split_widest(ends, consumer),
            Ranges::Sticky(starts) => claim(starts, consumer, wanted),
        }
    }

    pub fn remove(&mut self, consumer: usize) {
        match self {
            Ranges::AutoSplit(ends) => {
                let end = ends
                    .iter()
                    .find(|&(_, &c)| c == consumer)
                    .map(|(&end, _)| end);
                if let Some(end) = end {
                    ends.remove(&end);
                    // The widest end must stay covered: the neighbour below takes it over.
                    if end == RANGE_SIZE
                        && let Some((_, neighbour)) = ends.pop_last()
                    {
                        ends.insert(RANGE_SIZE, neighbour);
                    }
                }
            }
            Ranges::Sticky(starts) => starts.retain(|_, (_, c)| *c != consumer),
        }
    }
}

fn split_widest(ends: &mut BTreeMap<u32, usize>, consumer: usize) -> Result<(), String> {
    let mut below = 0;
    let mut widest = (0, RANGE_SIZE);
    for &end in ends.keys() {
        if end - below > widest.0 {
            widest = (end - below, end);
        }
        below = end;
    }
    match widest {
        (0, _) => ends.insert(RANGE_SIZE, consumer),
        (1, _) => {
            return Err(format!(
                "No more range can assigned to new consumer, assigned consumers {}",
                ends.len()
            ));
        }
        (width, end) => ends.insert(end - width / 2, consumer),
    };
    Ok(())
}

fn claim(
    starts: &mut BTreeMap<u32, (u32, usize)>,
    consumer: usize,
    wanted: &[(i32, i32)],
) -> Result<(), String> {
    if wanted.is_empty() {
        return Err("Ranges for KeyShared policy must not be empty.".into());
    }
    let mut claimed: Vec<(u32, u32)> = Vec::with_capacity(wanted.len());
    for &(start, end) in wanted {
        let (Ok(from), Ok(to)) = (u32::try_from(start), u32::try_from(end)) else {
            return Err(format!("Fixed hash range out of bounds: [{start}, {end}]"));
        };
        if from > to || to >= RANGE_SIZE {
            return Err(format!(
                "Fixed hash range start > end for range: [{start}, {end}]"
            ));
        }
        let taken = starts
            .range(..=to)
            .next_back()
            .is_some_and(|(_, &(e, _))| e >= from);
        if taken || claimed.iter().any(|&(f, t)| from <= t && f <= to) {
            return Err(format!("Range conflict: [{start}, {end}]"));
        }
        claimed.push((from, to));
    }
    starts.extend(claimed.into_iter().map(|(from, to)| (from, (to, consumer))));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_has_a_consumer_while_one_is_there() {
        let mut ranges = Ranges::new(false);
        for consumer in 0..5 {
            ranges.add(consumer, &[]).unwrap();
        }
        for gone in [0, 3, 1, 4] {
            ranges.remove(gone);
            for hash in (1..RANGE_SIZE).step_by(97) {
                assert!(ranges.select(hash).is_some_and(|c| c != gone));
            }
        }
        ranges.remove(2);
        assert_eq!(ranges.select(1), None);
    }

    #[test]
    fn sticky_ranges_may_not_overlap() {
        let mut ranges = Ranges::new(true);
        ranges.add(0, &[(0, 10), (20, 30)]).unwrap();
        assert!(ranges.add(1, &[(15, 20)]).is_err());
        assert!(ranges.add(1, &[(11, 12), (12, 13)]).is_err());
        assert!(ranges.add(1, &[(5, 1)]).is_err());
        assert!(ranges.add(1, &[]).is_err());
        ranges.add(1, &[(11, 19)]).unwrap();
        assert_eq!(
            (ranges.select(20), ranges.select(15), ranges.select(31)),
            (Some(0), Some(1), None)
        );
    }
}
