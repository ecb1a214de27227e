//! The entries of one topic, in memory, and their positions.
//!
//! Inside, an entry is known by its index, which counts from 0 over the topic's whole life; outside, by ledger and
//! entry id as in Pulsar. A new ledger begins each time the topic is "loaded" (created, unloaded, broker restarted), as
//! the real broker does, so ids grow but are not dense.

use std::collections::VecDeque;

use bytes::Bytes;

/// What an entry costs beside its bytes (queue slot, allocation headers, cursors' bookkeeping): counted so that many
/// tiny messages cannot grow memory past the bound either.
pub(super) const ENTRY_OVERHEAD_BYTES: usize = 128;

#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What followed the SEND command, delivered as it came: magic, checksum, metadata, payload.
    pub body: Bytes,
    /// Messages in it: 1 outside a batch.
    pub batch_size: u32,
    /// Whether the metadata has `num_messages_in_batch`.
    pub in_batch: bool,
    pub publish_time_ms: u64,
    /// 0: at once.
    pub deliver_at_ms: u64,
    /// Never 0: see [`super::hash::sticky_key_hash`].
    pub key_hash: u32,
}

impl Entry {
    pub fn bytes(&self) -> usize {
        self.body.len() + ENTRY_OVERHEAD_BYTES
    }
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    ledger: u64,
    /// Index of its entry 0.
    first: u64,
}

#[derive(Debug)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    /// Index of the oldest entry still here.
    start: u64,
    bytes: usize,
    /// Oldest first, never empty.
    segments: VecDeque<Segment>,
    pub terminated: bool,
    /// Entries that had to go because of a bound.
    pub dropped: u64,
}

impl Log {
    pub fn new(ledger: u64) -> Log {
        Log {
            entries: VecDeque::new(),
            start: 0,
            bytes: 0,
            segments: VecDeque::from([Segment { ledger, first: 0 }]),
            terminated: false,
            dropped: 0,
        }
    }

    pub fn start(&self) -> u64 {
        self.start
    }

    /// The index that the next entry gets.
    pub fn end(&self) -> u64 {
        self.start + self.entries.len() as u64
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn get(&self, index: u64) -> Option<&Entry> {
        let offset = index.checked_sub(self.start)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    pub fn last(&self) -> Option<&Entry> {
        self.entries.back()
    }

    pub fn append(&mut self, entry: Entry) -> u64 {
        let index = self.end();
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        index
    }

    /// Gives up the oldest entry. Returns the bytes that this freed, 0 when there is none.
    pub fn drop_oldest(&mut self) -> usize {
        let Some(entry) = self.entries.pop_front() else {
            return 0;
        };
        self.start += 1;
        self.dropped += 1;
        self.bytes -= entry.bytes();
        while self.segments.len() > 1 && self.segments[1].first <= self.start {
            self.segments.pop_front();
        }
        entry.bytes()
    }

    /// Later entries get ids of this ledger. A ledger without entries is replaced.
    pub fn new_ledger(&mut self, ledger: u64) {
        let first = self.end();
        if self.segments.back().is_some_and(|s| s.first == first) {
            self.segments.pop_back();
        }
        self.segments.push_back(Segment { ledger, first });
    }

    /// (ledger, entry) of an index. For the end: the id that the next entry would get.
    pub fn position(&self, index: u64) -> (u64, u64) {
        let at = self.segments.partition_point(|s| s.first <= index);
        let segment = self.segments[at.saturating_sub(1)];
        (segment.ledger, index.saturating_sub(segment.first))
    }

    /// The index of exactly this entry, if it ever existed in a ledger that is still known (it may have been dropped).
    pub fn find(&self, ledger: u64, entry: u64) -> Option<u64> {
        let at = self.segments.partition_point(|s| s.ledger < ledger);
        let segment = self.segments.get(at).filter(|s| s.ledger == ledger)?;
        let index = segment.first.checked_add(entry)?;
        (index < self.segment_end(at)).then_some(index)
    }

    /// The first index at or behind a position, whether or not such an entry exists. A ledger of −1 is the earliest
    /// (`MessageId.earliest`), one of `i64::MAX` the latest (`MessageId.latest`; only the ledger counts, because some
    /// clients cannot send such an entry id).
    pub fn at_or_after(&self, ledger: u64, entry: u64) -> u64 {
        if (ledger as i64) < 0 {
            return self.start;
        }
        if ledger == i64::MAX as u64 {
            return self.end();
        }
        let at = self.segments.partition_point(|s| s.ledger < ledger);
        let index = match self.segments.get(at) {
            None => self.end(),
            Some(segment) if segment.ledger > ledger || (entry as i64) < 0 => segment.first,
            Some(segment) => segment
                .first
                .saturating_add(entry)
                .min(self.segment_end(at)),
        };
        index.clamp(self.start, self.end())
    }

    /// The first index published at or after a time; the end when there is none.
    pub fn published_at_or_after(&self, time_ms: u64) -> u64 {
        let newest_before = self
            .entries
            .iter()
            .rposition(|e| e.publish_time_ms < time_ms);
        self.start + newest_before.map_or(0, |offset| offset as u64 + 1)
    }

    fn segment_end(&self, at: usize) -> u64 {
        self.segments
            .get(at + 1)
            .map_or(self.end(), |next| next.first)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn entry(body: &'static str) -> Entry {
        Entry {
            body: Bytes::from_static(body.as_bytes()),
            batch_size: 1,
            in_batch: false,
            publish_time_ms: 0,
            deliver_at_ms: 0,
            key_hash: 1,
        }
    }

    #[test]
    fn ids_follow_the_ledgers() {
        let mut log = Log::new(3);
        log.append(entry("a"));
        log.append(entry("b"));
        log.new_ledger(5);
        log.new_ledger(8);
        log.append(entry("c"));
        assert_eq!(log.position(1), (3, 1));
        assert_eq!(log.position(2), (8, 0));
        assert_eq!(log.find(8, 0), Some(2));
        assert_eq!(log.find(3, 2), None);
        assert_eq!(log.find(5, 0), None);
        assert_eq!(log.at_or_after(3, 7), 2);
        assert_eq!(log.at_or_after(4, 0), 2);
        assert_eq!(log.at_or_after(9, 0), 3);
        assert_eq!(log.at_or_after(u64::MAX, u64::MAX), 0);
        assert_eq!(log.at_or_after(i64::MAX as u64, 0), 3);
    }

    #[test]
    fn dropping_the_oldest_frees_bytes_and_ledgers() {
        let mut log = Log::new(1);
        log.append(entry("a"));
        log.new_ledger(2);
        log.append(entry("b"));
        assert_eq!(log.drop_oldest(), 1 + ENTRY_OVERHEAD_BYTES);
        assert_eq!(log.start(), 1);
        assert_eq!(log.find(1, 0), None);
        assert_eq!(log.at_or_after(1, 0), 1);
        assert!(log.get(0).is_none());
        log.drop_oldest();
        assert_eq!((log.drop_oldest(), log.bytes(), log.dropped), (0, 0, 2));
    }

    #[test]
    fn a_time_is_found_behind_the_newest_older_entry() {
        let mut log = Log::new(1);
        for time_ms in [10, 20, 30] {
            log.append(Entry {
                publish_time_ms: time_ms,
                ..entry("x")
            });
        }
        assert_eq!(log.published_at_or_after(0), 0);
        assert_eq!(log.published_at_or_after(20), 1);
        assert_eq!(log.published_at_or_after(31), 3);
    }
}
