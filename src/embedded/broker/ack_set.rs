//! Which messages of a batch are still unacked: `ack_set` of PulsarApi.proto, the words of a Java `BitSet`
//! (bit i set = message i is unacked, trailing zero words left out).

/// The words that matter of what a client sent: no bit at or beyond `batch_size`, no trailing zeros.
pub(super) fn from_client(words: &[i64], batch_size: u32) -> Vec<u64> {
    let needed = (batch_size as usize).div_ceil(64);
    let mut set: Vec<u64> = words.iter().take(needed).map(|&w| w as u64).collect();
    let spare = batch_size as usize % 64;
    if set.len() == needed && spare > 0 {
        set[needed - 1] &= (1u64 << spare) - 1;
    }
    trim(&mut set);
    set
}

/// Every message unacked.
pub(super) fn full(batch_size: u32) -> Vec<u64> {
    from_client(&vec![-1; (batch_size as usize).div_ceil(64)], batch_size)
}

/// `set` loses what `other` does not have.
pub(super) fn intersect(set: &mut Vec<u64>, other: &[u64]) {
    set.truncate(other.len());
    for (word, mask) in set.iter_mut().zip(other) {
        *word &= mask;
    }
    trim(set);
}

pub(super) fn count(set: &[u64]) -> u32 {
    set.iter().map(|w| w.count_ones()).sum()
}

fn trim(set: &mut Vec<u64>) {
    while set.last() == Some(&0) {
        set.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_beyond_the_batch_are_dropped() {
        assert_eq!(from_client(&[-1, -1, -1], 70), vec![u64::MAX, 0b11_1111]);
        assert_eq!(count(&from_client(&[-1], 10)), 10);
        assert!(from_client(&[0, 0], 100).is_empty());
        assert!(from_client(&[-1], 0).is_empty());
    }

    #[test]
    fn an_intersection_only_loses_bits() {
        let mut set = full(130);
        assert_eq!(count(&set), 130);
        intersect(&mut set, &[0b101, 1]);
        assert_eq!(set, vec![0b101, 1]);
        intersect(&mut set, &[0b010]);
        assert!(set.is_empty());
    }
}
