//! So many at a time, and so many a second, for each of very many: addresses, roles.
//!
//! One table for all shards, in stripes with a lock each. A lock is held for one look into its stripe (plus, when
//! strangers flood it, a sweep of at most `COOLING_MAX` entries), and only when somebody comes or goes.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rate::{FullAt, Rate};

/// Enough that two of some dozens of shards rarely want the same one.
const STRIPES: usize = 64;

/// Entries of a stripe that have nobody in them any more and are kept for their bucket's sake: 64 Ki of them in all, some
/// megabytes. A flood from more addresses than that is not told apart from one of strangers anyway.
const COOLING_MAX: usize = 1024;

/// What each may have.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// None: any number at a time.
    pub at_a_time: Option<u32>,
    /// None: any number a second.
    pub rate: Option<Rate>,
}

/// Who is in, and how fast they came.
pub struct Crowd<K> {
    stripes: Box<[Stripe<K>]>,
    /// Which stripe; keyed at random, so that nobody can choose.
    hasher: RandomState,
    allowance: Allowance,
}

/// On a cache line of its own.
#[repr(align(64))]
struct Stripe<K>(Mutex<Entries<K>>);

struct Entries<K> {
    by_key: HashMap<K, Entry>,
    /// How many of them have nobody in.
    cooling: usize,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    open: u32,
    full_at: FullAt,
}

/// One place; dropping it frees it.
pub struct Place<K: Clone + Eq + Hash> {
    crowd: Arc<Crowd<K>>,
    key: K,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Too many are in.
    Many,
    /// They come too fast.
    Fast,
}

impl<K: Clone + Eq + Hash> Crowd<K> {
    pub fn new(allowance: Allowance) -> Arc<Crowd<K>> {
        let stripe = |_| {
            Stripe(Mutex::new(Entries {
                by_key: HashMap::new(),
                cooling: 0,
            }))
        };
        Arc::new(Crowd {
            stripes: (0..STRIPES).map(stripe).collect(),
            hasher: RandomState::new(),
            allowance,
        })
    }

    /// One more of these. Who is refused because many are in has come nevertheless, and counts for the rate.
    pub fn enter(self: &Arc<Self>, now_ms: u64, key: K) -> Result<Place<K>, Full> {
        let mut entries = self.entries(&key);
        let mut entry = entries.by_key.get(&key).copied().unwrap_or_default();
        if let Some(rate) = self.allowance.rate {
            entry.full_at = rate.take(now_ms, entry.full_at).ok_or(Full::Fast)?;
        }
        let is_let_in = self
            .allowance
            .at_a_time
            .is_none_or(|most| entry.open < most);
        if entry.open == 0 {
            entries.cooling -= usize::from(entries.by_key.remove(&key).is_some());
            entries.make_room(now_ms);
            entries.cooling += usize::from(!is_let_in);
        }
        entry.open += u32::from(is_let_in);
        entries.by_key.insert(key.clone(), entry);
        drop(entries);
        match is_let_in {
            true => Ok(Place {
                crowd: self.clone(),
                key,
            }),
            false => Err(Full::Many),
        }
    }

    fn entries(&self, key: &K) -> MutexGuard<'_, Entries<K>> {
        let stripe = self.hasher.hash_one(key) as usize % STRIPES;
        let locked = self.stripes[stripe].0.lock();
        // Nothing panics while it holds the lock; and a count that is off is better than no door.
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, key: &K) {
        let mut entries = self.entries(key);
        let Some(entry) = entries.by_key.get_mut(key) else {
            return;
        };
        entry.open = entry.open.saturating_sub(1);
        if entry.open > 0 {
            return;
        }
        match self.allowance.rate {
            Some(_) => entries.cooling += 1,
            None => drop(entries.by_key.remove(key)),
        }
    }
}

impl<K: Eq + Hash> Entries<K> {
    /// Forgets entries without anybody in when there are too many: those whose bucket is full, or else all of them.
    fn make_room(&mut self, now_ms: u64) {
        if self.cooling < COOLING_MAX {
            return;
        }
        let is_warm = |entry: &Entry| !Rate::is_full(now_ms, entry.full_at);
        self.by_key
            .retain(|_, entry| entry.open > 0 || is_warm(entry));
        let kept = self.by_key.values().filter(|entry| entry.open == 0).count();
        if kept >= COOLING_MAX / 2 {
            self.by_key.retain(|_, entry| entry.open > 0);
            self.cooling = 0;
        } else {
            self.cooling = kept;
        }
    }
}

impl<K: Clone + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        self.crowd.leave(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(at_a_time: Option<u32>, per_second: u64) -> Arc<Crowd<u32>> {
        Crowd::new(Allowance {
            at_a_time,
            rate: Rate::per_second(per_second),
        })
    }

    fn remembered(crowd: &Crowd<u32>) -> usize {
        let count = |stripe: &Stripe<u32>| stripe.0.lock().unwrap().by_key.len();
        crowd.stripes.iter().map(count).sum()
    }

    #[test]
    fn each_has_its_own_number_of_places() {
        let crowd = crowd(Some(2), 0);
        let mut places = vec![crowd.enter(0, 1).unwrap(), crowd.enter(0, 1).unwrap()];
        assert_eq!(crowd.enter(0, 1).err(), Some(Full::Many));
        assert!(crowd.enter(0, 2).is_ok());
        places.pop();
        let again = crowd.enter(0, 1).unwrap();
        assert_eq!(crowd.enter(0, 1).err(), Some(Full::Many));
        drop((places, again));
        assert_eq!(remembered(&crowd), 0);
    }

    #[test]
    fn each_has_its_own_rate_also_when_nobody_is_in_any_more() {
        let crowd = crowd(None, 1);
        for _ in 0..5 {
            drop(crowd.enter(0, 1).unwrap());
        }
        assert_eq!(crowd.enter(0, 1).err(), Some(Full::Fast));
        assert!(crowd.enter(0, 2).is_ok());
        assert!(crowd.enter(1_000, 1).is_ok());
        assert_eq!(crowd.enter(1_000, 1).err(), Some(Full::Fast));
    }

    #[test]
    fn who_is_refused_for_the_number_counts_for_the_rate() {
        let crowd = crowd(Some(1), 1);
        let _place = crowd.enter(0, 1).unwrap();
        for _ in 0..4 {
            assert_eq!(crowd.enter(0, 1).err(), Some(Full::Many));
        }
        assert_eq!(crowd.enter(0, 1).err(), Some(Full::Fast));
    }

    #[test]
    fn strangers_that_come_and_go_take_no_more_than_the_bound() {
        let crowd = crowd(Some(1), 1);
        let keys = if cfg!(miri) { 2_000 } else { 500_000 };
        let place = crowd.enter(0, keys).unwrap();
        for key in 0..keys {
            drop(crowd.enter(u64::from(key) / 1_000, key).unwrap());
        }
        assert!(remembered(&crowd) <= STRIPES * (COOLING_MAX + 1));
        assert_eq!(
            crowd.enter(1_000_000, keys).err(),
            Some(Full::Many),
            "still in"
        );
        drop(place);
        assert!(crowd.enter(2_000_000, keys).is_ok());
    }

    #[test]
    #[cfg_attr(miri, ignore = "threads take it long")]
    fn threads_that_come_and_go_leave_nothing_behind() {
        let crowd = crowd(Some(3), 0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20_000).for_each(|n| drop(crowd.enter(0, n % 5))));
            }
        });
        assert_eq!(remembered(&crowd), 0);
    }
}
