//! Messages that came in chunks, an entry each: put together, followed until they are settled, and given up. The rules
//! are those of Java's `ConsumerImpl.processMessageChunk`.
//!
//! A chunk's entry is known to its slot as unopened as long as the message is incomplete or unsettled, so that it is not
//! taken twice; the message goes by the last one's id.
//!
//! What is in the making is bounded by what has come, not by what its chunks claim, and for all slots together.

use bytes::{Bytes, BytesMut};
use rustc_hash::FxHashMap;

use super::Hub;
use super::limits::{CHUNKS_EXPIRE_MS, MAX_CHUNKS, MAX_INCOMPLETE_MESSAGES};
use super::slot::EntryKey;
use crate::pulsar::Entry;
use crate::pulsar::message::{self, Chunk};

#[derive(Debug)]
struct Incomplete {
    uuid: Bytes,
    payload: BytesMut,
    /// Of its chunks so far.
    keys: Vec<EntryKey>,
    /// When it was begun, or could last go on.
    since_ms: u64,
}

/// The chunks of one slot.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// In the order of their beginning.
    incomplete: Vec<Incomplete>,
    bytes: usize,
    /// Of messages that are not settled: all chunks but the last, by the last.
    parts: FxHashMap<EntryKey, Box<[EntryKey]>>,
    /// At the end of the last turn the broker could send nothing: waiting does not count towards expiry then.
    stalled: bool,
    /// Of all messages that were opened: what time it is, as far as the stream tells.
    newest_publish_ms: u64,
}

/// What a chunk made of its message.
enum Taken {
    /// Others are missing.
    Kept,
    /// It was the last one: the message as one entry, and the entry of its first chunk.
    Whole(Box<Entry>, EntryKey),
    /// It has no message, is too large or out of order: it is left unacked, unless it is old.
    Stray,
    /// The producer has sent it twice.
    Repeat,
}

/// Entries of messages that were given up.
#[derive(Default)]
struct GivenUp {
    /// They will never be whole.
    acked: Vec<EntryKey>,
    /// They may come again.
    left: Vec<EntryKey>,
}

impl Chunks {
    fn take(&mut self, now_ms: u64, entry: Entry, max_bytes: usize, up: &mut GivenUp) -> Taken {
        let key = (entry.ledger, entry.entry);
        let Some(chunk) = message::chunk_of(&entry.metadata) else {
            return Taken::Stray;
        };
        if chunk.total_bytes > max_bytes || chunk.count > MAX_CHUNKS {
            return Taken::Stray;
        }
        let mut place = self.place_of(&chunk.uuid);
        if chunk.index == 0 {
            if let Some(begun) = place.take() {
                // The producer has begun anew.
                up.acked.extend(self.remove(begun).keys);
            }
            place = Some(self.begin(now_ms, &chunk, up));
        }
        let Some(place) = place else {
            return Taken::Stray;
        };
        let begun = &mut self.incomplete[place];
        if chunk.index < begun.keys.len() {
            return Taken::Repeat;
        }
        let is_next = chunk.index == begun.keys.len();
        if !is_next || begun.payload.len() + entry.payload.len() > chunk.total_bytes {
            up.left.extend(self.remove(place).keys);
            return Taken::Stray;
        }
        begun.payload.extend_from_slice(&entry.payload);
        begun.keys.push(key);
        begun.since_ms = now_ms;
        self.bytes += entry.payload.len();
        if chunk.index + 1 < chunk.count {
            return Taken::Kept;
        }
        let mut whole = self.remove(place);
        let first = whole.keys.first().copied().unwrap_or(key);
        whole.keys.pop();
        self.parts.insert(key, whole.keys.into());
        let payload = whole.payload.freeze();
        Taken::Whole(Box::new(Entry { payload, ..entry }), first)
    }

    fn place_of(&self, uuid: &Bytes) -> Option<usize> {
        self.incomplete.iter().position(|begun| begun.uuid == *uuid)
    }

    /// Room for a new message is made by giving up the oldest ones.
    fn begin(&mut self, now_ms: u64, chunk: &Chunk, up: &mut GivenUp) -> usize {
        while self.incomplete.len() >= MAX_INCOMPLETE_MESSAGES {
            up.left.extend(self.remove(0).keys);
        }
        self.incomplete.push(Incomplete {
            uuid: chunk.uuid.clone(),
            payload: BytesMut::new(),
            keys: Vec::new(),
            since_ms: now_ms,
        });
        self.incomplete.len() - 1
    }

    fn remove(&mut self, place: usize) -> Incomplete {
        let removed = self.incomplete.remove(place);
        self.bytes -= removed.payload.len();
        removed
    }

    /// Whether an entry was published so long ago that the rest of its message will not come any more.
    fn is_old(&self, published_ms: u64) -> bool {
        published_ms.saturating_add(CHUNKS_EXPIRE_MS) < self.newest_publish_ms
    }

    /// A message that was published then, as its producer says: nobody's word makes it later than it is here.
    pub fn saw(&mut self, published_ms: u64, wall_ms: u64) {
        self.newest_publish_ms = self.newest_publish_ms.max(published_ms.min(wall_ms));
    }

    /// All chunks but the last of the message that goes by this entry.
    pub fn parts_of(&self, key: EntryKey) -> &[EntryKey] {
        self.parts.get(&key).map_or(&[], |parts| parts)
    }

    pub fn take_parts(&mut self, key: EntryKey) -> Box<[EntryKey]> {
        match self.parts.is_empty() {
            true => Box::default(),
            false => self.parts.remove(&key).unwrap_or_default(),
        }
    }

    /// Forgets what is incomplete, where its first entry comes again. The entries of it.
    pub fn drop_incomplete(&mut self, comes_again: impl Fn(EntryKey) -> bool) -> Vec<EntryKey> {
        let mut dropped = Vec::new();
        for begun in std::mem::take(&mut self.incomplete) {
            if begun.keys.first().copied().is_none_or(&comes_again) {
                self.bytes -= begun.payload.len();
                dropped.extend(begun.keys);
            } else {
                self.incomplete.push(begun);
            }
        }
        dropped
    }

    /// The first chunk of the message that is the longest incomplete.
    pub fn oldest_begun(&self) -> Option<EntryKey> {
        let begun = self.incomplete.iter();
        begun.filter_map(|begun| begun.keys.first().copied()).min()
    }

    pub fn expires_ms(&self) -> Option<u64> {
        let since_ms = self.incomplete.iter().map(|begun| begun.since_ms).min()?;
        Some(since_ms.saturating_add(CHUNKS_EXPIRE_MS))
    }

    /// Nothing could come up to now.
    fn excuse(&mut self, now_ms: u64) {
        for begun in &mut self.incomplete {
            begun.since_ms = now_ms;
        }
    }

    /// The message that has waited longest for its next chunk, except the one that has this entry: since when, and its
    /// place.
    fn oldest(&self, but: Option<EntryKey>) -> Option<(u64, usize)> {
        let all = self.incomplete.iter().enumerate();
        let others = all.filter(|(_, begun)| begun.keys.last().copied() != but);
        let times = others.map(|(place, begun)| (begun.since_ms, place));
        times.min()
    }

    fn take_expired(&mut self, now_ms: u64) -> Option<Vec<EntryKey>> {
        let expired =
            |begun: &Incomplete| begun.since_ms.saturating_add(CHUNKS_EXPIRE_MS) <= now_ms;
        let place = self.incomplete.iter().position(expired)?;
        Some(self.remove(place).keys)
    }
}

impl Hub {
    /// The entry in front of the queue is a chunk.
    pub(super) fn chunk_opened(&mut self, now_ms: u64, slot: usize, entry: Entry) {
        let key = (entry.ledger, entry.entry);
        let published_ms = message::published_ms(&entry.metadata);
        let max_bytes = self.limits.max_uncompressed_bytes;
        let mut up = GivenUp::default();
        let wall_ms = self.wall_ms(now_ms);
        let chunks = &mut self.slots[slot].chunks;
        chunks.saw(published_ms, wall_ms);
        let is_old = chunks.is_old(published_ms);
        let taken = self.with_chunks(slot, |chunks| {
            chunks.take(now_ms, entry, max_bytes, &mut up)
        });
        self.give_up_oldest(slot, key);
        for key in up.left {
            self.forget_entry(slot, key);
        }
        for key in up.acked {
            self.settle_chunk(now_ms, slot, key);
        }
        match taken {
            Taken::Kept => {}
            Taken::Whole(entry, first) => match message::open_chunked(&entry, first, max_bytes) {
                Ok(message) => self.opened(now_ms, slot, key, vec![message]),
                Err(error) => self.unreadable(now_ms, slot, key, &error, &entry.metadata),
            },
            Taken::Repeat => self.settle_chunk(now_ms, slot, key),
            Taken::Stray if is_old => self.settle_chunk(now_ms, slot, key),
            Taken::Stray => {
                self.stats.unreadable += 1;
                self.forget_entry(slot, key);
            }
        }
    }

    /// What is in the making is retained.
    pub(super) fn with_chunks<R>(
        &mut self,
        slot: usize,
        change: impl FnOnce(&mut Chunks) -> R,
    ) -> R {
        let chunks = &mut self.slots[slot].chunks;
        let before = chunks.bytes;
        let result = change(chunks);
        let after = chunks.bytes;
        self.incomplete_bytes = self.incomplete_bytes - before + after;
        self.retained_bytes = self.retained_bytes - before + after;
        result
    }

    /// Other messages make room for the one that has grown by this entry. They are left to come again.
    fn give_up_oldest(&mut self, slot: usize, key: EntryKey) {
        let limits = &self.limits;
        // One message of the largest size is always possible.
        let most = limits.hub_retained_bytes.max(limits.max_uncompressed_bytes);
        while self.incomplete_bytes > most {
            let slots = self.slots.iter().enumerate();
            let oldest = slots.filter_map(|(of, state)| {
                let (since_ms, place) = state.chunks.oldest((of == slot).then_some(key))?;
                Some((since_ms, of, place))
            });
            let Some((_, of, place)) = oldest.min() else {
                return;
            };
            let given_up = self.with_chunks(of, |chunks| chunks.remove(place));
            for key in given_up.keys {
                self.forget_entry(of, key);
            }
        }
    }

    fn settle_chunk(&mut self, now_ms: u64, slot: usize, key: EntryKey) {
        if self.is_acked_upstream(slot) {
            self.settled_whole(now_ms, slot, key);
        }
    }

    /// At the beginning of a turn, and before anything expires.
    pub(super) fn excuse_stalled_chunks(&mut self, now_ms: u64) {
        for slot in &mut self.slots {
            if slot.chunks.stalled {
                slot.chunks.excuse(now_ms);
            }
        }
    }

    /// At the end of a turn.
    pub(super) fn note_stalled_chunks(&mut self) {
        for slot in &mut self.slots {
            let may_receive = slot.is_up() && slot.permits > 0 && slot.queue.is_empty();
            slot.chunks.stalled = !may_receive && !slot.chunks.incomplete.is_empty();
        }
    }

    /// Messages of which no chunk has come for too long are acked as they are: as in Java, nobody could ever read them.
    pub(super) fn expire_chunks(&mut self, now_ms: u64) {
        self.excuse_stalled_chunks(now_ms);
        for slot in 0..self.slots.len() {
            while let Some(keys) = self.with_chunks(slot, |chunks| chunks.take_expired(now_ms)) {
                self.stats.chunks_expired += 1;
                for key in keys {
                    self.settle_chunk(now_ms, slot, key);
                }
            }
        }
    }

    pub(super) fn chunks_expire_ms(&self) -> Option<u64> {
        let slots = self.slots.iter();
        slots.filter_map(|slot| slot.chunks.expires_ms()).min()
    }
}
