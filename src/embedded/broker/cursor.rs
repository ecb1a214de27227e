//! What one subscription has acked: a mark-delete point, single acks behind it, and acks inside batches.

use std::collections::{BTreeMap, BTreeSet};

use super::ack_set;

#[derive(Clone, Debug, Default)]
pub(super) struct Cursor {
    /// Every entry below is acked.
    mark: u64,
    /// Acked at or behind the mark.
    acked: BTreeSet<u64>,
    /// Batches of which some messages are acked: the unacked ones.
    partial: BTreeMap<u64, Vec<u64>>,
}

impl Cursor {
    pub fn new(mark: u64) -> Cursor {
        Cursor {
            mark,
            ..Cursor::default()
        }
    }

    /// The first entry that is not known to be acked.
    pub fn mark(&self) -> u64 {
        self.mark
    }

    pub fn is_acked(&self, index: u64) -> bool {
        index < self.mark || self.acked.contains(&index)
    }

    /// The unacked messages of a batch that is acked in part.
    pub fn unacked_of(&self, index: u64) -> Option<&[u64]> {
        self.partial.get(&index).map(Vec::as_slice)
    }

    /// Entries not acked below `end`.
    pub fn backlog(&self, end: u64) -> u64 {
        end.saturating_sub(self.mark) - self.acked.len() as u64
    }

    /// Returns whether this was news.
    pub fn ack(&mut self, index: u64) -> bool {
        if self.is_acked(index) {
            return false;
        }
        self.partial.remove(&index);
        if index == self.mark {
            self.mark += 1;
            self.advance();
        } else {
            self.acked.insert(index);
        }
        true
    }

    /// `unacked` is intersected with what was known. Returns how many messages this acked; all of the entry's
    /// messages acked is an ack of the entry.
    pub fn ack_part(&mut self, index: u64, unacked: &[u64], batch_size: u32) -> u32 {
        if self.is_acked(index) {
            return 0;
        }
        let set = self
            .partial
            .entry(index)
            .or_insert_with(|| ack_set::full(batch_size));
        let before = ack_set::count(set);
        ack_set::intersect(set, unacked);
        let after = ack_set::count(set);
        if after == 0 {
            self.ack(index);
        }
        before - after
    }

    /// Acks every entry below `index`.
    pub fn ack_below(&mut self, index: u64) {
        if index > self.mark {
            self.mark = index;
            self.acked = self.acked.split_off(&index);
            self.partial = self.partial.split_off(&index);
            self.advance();
        }
    }

    /// Entries below `index` are no more. Returns how many of them were unacked.
    pub fn skip_to(&mut self, index: u64) -> u64 {
        let gone = index.saturating_sub(self.mark);
        let unacked = gone - self.acked.range(..index).count() as u64;
        self.ack_below(index);
        unacked
    }

    /// Puts the cursor before `index`: what is behind it counts as unacked again.
    pub fn reset(&mut self, index: u64) {
        *self = Cursor::new(index);
    }

    fn advance(&mut self) {
        while self.acked.remove(&self.mark) {
            self.mark += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_out_of_order_move_the_mark_when_the_hole_closes() {
        let mut cursor = Cursor::new(0);
        assert!(cursor.ack(1));
        assert!(cursor.ack(2));
        assert!(!cursor.ack(2));
        assert_eq!((cursor.mark(), cursor.backlog(4)), (0, 2));
        assert!(cursor.ack(0));
        assert_eq!((cursor.mark(), cursor.backlog(4)), (3, 1));
    }

    #[test]
    fn a_batch_is_acked_when_its_last_message_is() {
        let mut cursor = Cursor::new(0);
        assert_eq!(cursor.ack_part(0, &[0b101], 3), 1);
        assert_eq!(cursor.unacked_of(0), Some(&[0b101][..]));
        assert_eq!(cursor.ack_part(0, &[0b110], 3), 1);
        assert_eq!(cursor.ack_part(0, &[0b011], 3), 1);
        assert_eq!((cursor.mark(), cursor.unacked_of(0)), (1, None));
    }

    #[test]
    fn a_cumulative_ack_swallows_single_ones() {
        let mut cursor = Cursor::new(0);
        cursor.ack(3);
        cursor.ack(7);
        cursor.ack_below(3);
        assert_eq!(cursor.mark(), 4);
        cursor.ack_below(2);
        assert_eq!((cursor.mark(), cursor.backlog(10)), (4, 5));
        cursor.ack(11);
        assert_eq!(cursor.skip_to(13), 7);
        cursor.reset(1);
        assert_eq!((cursor.mark(), cursor.backlog(10)), (1, 9));
    }
}
