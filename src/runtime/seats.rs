//! How many connections each shard has open, so that the next one goes to the shard with the fewest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The open connections of each shard, shared by the acceptor and the shards.
#[derive(Clone)]
pub struct Seats(Arc<[Counter]>);

/// On a cache line of its own: shards count down at the same time.
#[repr(align(64))]
#[derive(Default)]
struct Counter(AtomicUsize);

/// One open connection of a shard; dropping it frees the place.
pub struct Seat {
    seats: Seats,
    shard: usize,
}

impl Seats {
    pub fn new(shards: usize) -> Seats {
        Seats((0..shards).map(|_| Counter::default()).collect())
    }

    /// Open connections of one shard.
    pub fn taken(&self, shard: usize) -> usize {
        self.0[shard].0.load(Ordering::Relaxed)
    }

    /// Open connections of the process.
    pub fn total(&self) -> usize {
        (0..self.0.len()).map(|shard| self.taken(shard)).sum()
    }

    /// Takes a place on the shard with the fewest.
    pub(super) fn take(&self) -> Seat {
        let shard = (0..self.0.len())
            .min_by_key(|shard| self.taken(*shard))
            .unwrap_or(0);
        self.0[shard].0.fetch_add(1, Ordering::Relaxed);
        Seat {
            seats: self.clone(),
            shard,
        }
    }
}

impl Seat {
    /// Whose connection it is.
    pub fn shard(&self) -> usize {
        self.shard
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.0[self.shard].0.fetch_sub(1, Ordering::Relaxed);
    }
}
