//! The accesses of one shard's sockets, and the records that decide on them: read when they are wanted, kept for a while,
//! read again before anybody is refused, and looked after for as long as a socket lives on them (sans-IO).
//!
//! A record that cannot be read never grants: who comes then is told so, who is there stays until it is known better.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use slab::Slab;

use super::access::{Access, Resource};
use super::records::Record;
use super::rules::{Records, Rules};
use super::turns::{QUEUED_MS, Turns};

/// Records that one shard keeps. A cluster has far fewer namespaces in use; who asks for ever new names only makes the
/// oldest unused ones go.
const RECORDS_MAX: usize = 10_000;
/// Of the oldest records, how many are looked at to find an unused one: the others are in use.
const EVICTION_TRIES: usize = 16;
/// A record that is younger than this is believed when it refuses: whoever is refused in a loop costs a read so often,
/// and who was granted something just now waits no longer.
pub const BELIEVED_MS: u64 = 2_000;

/// A socket, as its shard knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holder(pub u64);

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer with [`Grants::answered`].
    Read(Resource),
    /// What was asked with [`Grants::check`] is decided.
    Decided(Holder, Verdict),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Granted,
    Refused,
    /// The records cannot be had.
    Unknown,
    /// Too much is being read for the role.
    Busy,
}

#[derive(Debug, Default)]
struct Fact {
    /// None: the resource does not exist, if it was read at all.
    record: Option<Record>,
    read_ms: Option<u64>,
    /// The last try, where it brought nothing.
    failed_ms: Option<u64>,
    reading: bool,
    /// Whose access it is being read for, if not for those that live on it.
    reader: Option<Arc<str>>,
    /// They wait for what is being read.
    waiters: Vec<Holder>,
    /// The accesses in [`Grants::held`] that it decides on.
    held: FxHashSet<usize>,
    /// Its place in [`Grants::refresh`].
    refresh_ms: Option<u64>,
}

struct Waiting {
    access: Access,
    needs: Vec<Resource>,
    asked_ms: u64,
    /// Reads that have not been answered.
    missing: usize,
    /// The needs before this one have been looked at.
    looked: usize,
    /// What is known refuses: nobody is refused by old records.
    doubts: bool,
}

/// An access that was granted to these.
struct Held {
    access: Arc<Access>,
    needs: Vec<Resource>,
    holders: Vec<Holder>,
}

struct Seat {
    held: usize,
    /// Among its holders.
    place: usize,
}

pub struct Grants {
    rules: Rules,
    cache_ms: u64,
    facts: FxHashMap<Resource, Fact>,
    /// The keys of `facts`, the oldest first.
    ages: VecDeque<Resource>,
    waiting: FxHashMap<Holder, Waiting>,
    turns: Turns,
    held: Slab<Held>,
    by_access: FxHashMap<Arc<Access>, usize>,
    by_holder: FxHashMap<Holder, Seat>,
    /// When the records that somebody lives on are read again.
    refresh: BTreeSet<(u64, Resource)>,
    revoked: VecDeque<Holder>,
}

struct Known<'a>(&'a FxHashMap<Resource, Fact>);

impl Records for Known<'_> {
    fn record(&self, resource: &Resource) -> Option<&Record> {
        self.0.get(resource)?.record.as_ref()
    }
}

impl Fact {
    /// Whether there is something to decide on for who asked then; an answer that came later is always good enough.
    fn is_fresh(&self, asked_ms: u64, now_ms: u64, cache_ms: u64) -> bool {
        self.read_ms
            .is_some_and(|read_ms| read_ms >= asked_ms || now_ms.saturating_sub(read_ms) < cache_ms)
    }

    fn has_failed(&self, asked_ms: u64, now_ms: u64) -> bool {
        self.failed_ms.is_some_and(|failed_ms| {
            failed_ms >= asked_ms || now_ms.saturating_sub(failed_ms) < BELIEVED_MS
        })
    }

    /// When it was tried last.
    fn tried_ms(&self) -> u64 {
        self.read_ms.max(self.failed_ms).unwrap_or(0)
    }

    fn is_unused(&self) -> bool {
        self.held.is_empty() && !self.reading
    }
}

impl Grants {
    /// `cache_ms`: what is taken back ends within this time. Never 0.
    pub fn new(rules: Rules, cache_ms: u64) -> Grants {
        Grants {
            rules,
            cache_ms,
            facts: FxHashMap::default(),
            ages: VecDeque::new(),
            waiting: FxHashMap::default(),
            turns: Turns::default(),
            held: Slab::new(),
            by_access: FxHashMap::default(),
            by_holder: FxHashMap::default(),
            refresh: BTreeSet::new(),
            revoked: VecDeque::new(),
        }
    }

    /// Whether the socket may do this: decided at once, or when what it takes has been read. An access that is granted is
    /// held until [`Grants::gone`].
    pub fn check(&mut self, now_ms: u64, holder: Holder, access: Access, out: &mut Vec<Effect>) {
        let waiting = Waiting {
            needs: self.rules.needs(&access),
            access,
            asked_ms: now_ms,
            missing: 0,
            looked: 0,
            doubts: false,
        };
        self.waiting.insert(holder, waiting);
        self.go_on(now_ms, holder, out);
    }

    /// What became of a read. Ok(None): there is no such thing.
    pub fn answered(
        &mut self,
        now_ms: u64,
        resource: &Resource,
        result: Result<Option<Record>, ()>,
        out: &mut Vec<Effect>,
    ) {
        let Some(fact) = self.facts.get_mut(resource) else {
            return;
        };
        fact.reading = false;
        let reader = fact.reader.take();
        let mut is_news = false;
        match result {
            Ok(record) => {
                is_news = fact.record != record;
                fact.record = record;
                fact.read_ms = Some(now_ms);
                fact.failed_ms = None;
            }
            Err(()) => fact.failed_ms = Some(now_ms),
        }
        let waiters = std::mem::take(&mut fact.waiters);
        if is_news {
            self.review(resource);
        }
        self.schedule(now_ms, resource);
        for holder in waiters {
            if let Some(waiting) = self.waiting.get_mut(&holder) {
                waiting.missing = waiting.missing.saturating_sub(1);
                let is_missing =
                    |fact: &Fact| !fact.is_fresh(waiting.asked_ms, now_ms, self.cache_ms);
                if self.facts.get(resource).is_none_or(is_missing) {
                    // It is not asked what the rest says, which may fail as well, one by one.
                    self.waiting.remove(&holder);
                    out.push(Effect::Decided(holder, Verdict::Unknown));
                } else if waiting.missing == 0 {
                    self.go_on(now_ms, holder, out);
                }
            }
        }
        if let Some(role) = reader {
            self.turns.ended(&role);
            self.give_turns(now_ms, &role, out);
        }
    }

    fn give_turns(&mut self, now_ms: u64, role: &str, out: &mut Vec<Effect>) {
        while let Some(holder) = self.turns.next(role) {
            self.go_on(now_ms, holder, out);
        }
    }

    /// The socket has gone, whatever it was told.
    pub fn gone(&mut self, holder: Holder) {
        self.waiting.remove(&holder);
        let Some(Seat { held, place }) = self.by_holder.remove(&holder) else {
            return;
        };
        let Some(granted) = self.held.get_mut(held) else {
            return;
        };
        granted.holders.swap_remove(place);
        if let Some(moved) = granted.holders.get(place)
            && let Some(seat) = self.by_holder.get_mut(moved)
        {
            seat.place = place;
        }
        if granted.holders.is_empty() {
            self.let_go(held);
        }
    }

    /// Some of those whose access does not hold any more; they hold nothing now.
    pub fn take_revoked(&mut self, most: usize) -> Vec<Holder> {
        let most = most.min(self.revoked.len());
        self.revoked.drain(..most).collect()
    }

    /// How many records are kept.
    #[cfg(test)]
    pub fn records(&self) -> usize {
        self.facts.len()
    }

    /// When [`Grants::tick`] or [`Grants::take_revoked`] has something to do.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        match self.revoked.is_empty() {
            true => self.refresh.first().map(|(due_ms, _)| *due_ms),
            false => Some(0),
        }
    }

    /// Records that somebody lives on are read again in time.
    pub fn tick(&mut self, now_ms: u64, out: &mut Vec<Effect>) {
        while let Some((due_ms, _)) = self.refresh.first()
            && *due_ms <= now_ms
            && let Some((_, resource)) = self.refresh.pop_first()
        {
            if let Some(fact) = self.facts.get_mut(&resource) {
                fact.refresh_ms = None;
                if !std::mem::replace(&mut fact.reading, true) {
                    out.push(Effect::Read(resource));
                }
            }
        }
    }

    /// Reads what the access takes, some at a time, and decides when all of it is there.
    fn go_on(&mut self, now_ms: u64, holder: Holder, out: &mut Vec<Effect>) {
        let Some(mut waiting) = self.waiting.remove(&holder) else {
            return;
        };
        let verdict = loop {
            match self.read_on(now_ms, holder, &mut waiting, out) {
                Ok(true) => {}
                Ok(false) => {
                    self.waiting.insert(holder, waiting);
                    return;
                }
                Err(verdict) => break verdict,
            }
            match self.decide(now_ms, &waiting) {
                Some(Verdict::Granted) => {
                    self.hold(now_ms, holder, waiting);
                    break Verdict::Granted;
                }
                Some(verdict) if waiting.doubts => break verdict,
                Some(_) => waiting.doubts = true,
                // Some have become too old, or have gone, while others were read.
                None => {}
            }
            waiting.looked = 0;
        };
        out.push(Effect::Decided(holder, verdict));
    }

    /// Has more of the needs read, as far as it is the role's turn. Whether all are there; if not, it goes on when what
    /// is being read has been, or in its turn.
    ///
    /// # Errors
    /// The access is decided so.
    fn read_on(
        &mut self,
        now_ms: u64,
        holder: Holder,
        waiting: &mut Waiting,
        out: &mut Vec<Effect>,
    ) -> Result<bool, Verdict> {
        let role = &waiting.access.role;
        while let Some(need) = waiting.needs.get(waiting.looked) {
            if self.is_wanted(now_ms, waiting, need) {
                if !self.facts.get(need).is_some_and(|fact| fact.reading) {
                    if now_ms.saturating_sub(waiting.asked_ms) >= QUEUED_MS {
                        return Err(Verdict::Busy);
                    }
                    if !self.turns.is_free(role) {
                        break;
                    }
                    self.begin(need, role, out)?;
                }
                let fact = self.facts.entry(need.clone()).or_default();
                fact.waiters.push(holder);
                waiting.missing += 1;
            }
            waiting.looked += 1;
        }
        if waiting.missing > 0 {
            return Ok(false);
        }
        let is_over = waiting.looked == waiting.needs.len();
        match is_over || self.turns.queue(role, holder) {
            true => Ok(is_over),
            false => Err(Verdict::Busy),
        }
    }

    /// Whether a record has to be read (again) for an access.
    fn is_wanted(&self, now_ms: u64, waiting: &Waiting, need: &Resource) -> bool {
        let asked_ms = waiting.asked_ms;
        self.facts.get(need).is_none_or(|fact| {
            let is_known =
                fact.is_fresh(asked_ms, now_ms, self.cache_ms) || fact.has_failed(asked_ms, now_ms);
            !is_known || waiting.doubts && fact.tried_ms() + BELIEVED_MS <= asked_ms
        })
    }

    /// A record begins to be read in a turn of the role's.
    ///
    /// # Errors
    /// It could not be kept.
    fn begin(
        &mut self,
        resource: &Resource,
        role: &Arc<str>,
        out: &mut Vec<Effect>,
    ) -> Result<(), Verdict> {
        if !self.make_room(resource) {
            tracing::warn!("permissions cannot be kept: all {RECORDS_MAX} places are in use");
            return Err(Verdict::Unknown);
        }
        let fact = self.facts.entry(resource.clone()).or_default();
        fact.reading = true;
        fact.reader = Some(role.clone());
        self.turns.begin(role);
        out.push(Effect::Read(resource.clone()));
        Ok(())
    }

    /// What the records say. None: not all of them are there.
    fn decide(&self, now_ms: u64, waiting: &Waiting) -> Option<Verdict> {
        let mut needs = waiting.needs.iter();
        if needs.any(|need| self.is_wanted(now_ms, waiting, need)) {
            return None;
        }
        let is_fresh = |need: &Resource| {
            let fact = self.facts.get(need);
            fact.is_some_and(|fact| fact.is_fresh(waiting.asked_ms, now_ms, self.cache_ms))
        };
        Some(if !waiting.needs.iter().all(is_fresh) {
            Verdict::Unknown
        } else if self.rules.allow(&waiting.access, &Known(&self.facts)) {
            Verdict::Granted
        } else {
            Verdict::Refused
        })
    }

    /// A place for the record of a resource; an unused one goes for it.
    fn make_room(&mut self, resource: &Resource) -> bool {
        if self.facts.contains_key(resource) {
            return true;
        }
        for _ in 0..EVICTION_TRIES {
            if self.facts.len() < RECORDS_MAX {
                break;
            }
            let Some(oldest) = self.ages.pop_front() else {
                break;
            };
            match self.facts.get(&oldest) {
                Some(fact) if !fact.is_unused() => self.ages.push_back(oldest),
                _ => drop(self.facts.remove(&oldest)),
            }
        }
        let has_room = self.facts.len() < RECORDS_MAX;
        if has_room {
            self.ages.push_back(resource.clone());
        }
        has_room
    }

    fn hold(&mut self, now_ms: u64, holder: Holder, granted: Waiting) {
        // Nothing can take back what a role may do by itself.
        if granted.needs.is_empty() {
            return;
        }
        let access = Arc::new(granted.access);
        let held = match self.by_access.get(&access) {
            Some(held) => *held,
            None => {
                let held = self.held.insert(Held {
                    access: access.clone(),
                    needs: granted.needs.clone(),
                    holders: Vec::new(),
                });
                self.by_access.insert(access, held);
                for need in &granted.needs {
                    if let Some(fact) = self.facts.get_mut(need) {
                        fact.held.insert(held);
                    }
                    self.schedule(now_ms, need);
                }
                held
            }
        };
        if let Some(granted) = self.held.get_mut(held) {
            let place = granted.holders.len();
            granted.holders.push(holder);
            self.by_holder.insert(holder, Seat { held, place });
        }
    }

    /// Whether the accesses that live on a record still hold by what it says now.
    fn review(&mut self, resource: &Resource) {
        let Some(fact) = self.facts.get(resource) else {
            return;
        };
        let accesses: Vec<usize> = fact.held.iter().copied().collect();
        for held in accesses {
            let access = self.held.get(held).map(|held| held.access.clone());
            if access.is_some_and(|access| !self.rules.allow(&access, &Known(&self.facts)))
                && let Some(gone) = self.let_go(held)
            {
                for holder in &gone.holders {
                    self.by_holder.remove(holder);
                }
                self.revoked.extend(gone.holders);
            }
        }
    }

    /// Nobody holds the access any more.
    fn let_go(&mut self, held: usize) -> Option<Held> {
        let gone = self.held.try_remove(held)?;
        self.by_access.remove(&gone.access);
        for need in &gone.needs {
            let Some(fact) = self.facts.get_mut(need) else {
                continue;
            };
            fact.held.remove(&held);
            if fact.held.is_empty()
                && let Some(refresh_ms) = fact.refresh_ms.take()
            {
                self.refresh.remove(&(refresh_ms, need.clone()));
            }
        }
        Some(gone)
    }

    /// A record that somebody lives on is read again at half its time, so that it never is too old when it is asked for,
    /// and that what is taken back ends in time; one that could not be read, soon.
    fn schedule(&mut self, now_ms: u64, resource: &Resource) {
        let Some(fact) = self.facts.get_mut(resource) else {
            return;
        };
        if fact.held.is_empty() || fact.reading || fact.refresh_ms.is_some() {
            return;
        }
        let due_ms = match (fact.failed_ms, fact.read_ms) {
            (None, Some(read_ms)) => read_ms + self.cache_ms.div_ceil(2),
            _ => now_ms + BELIEVED_MS.min(self.cache_ms),
        };
        fact.refresh_ms = Some(due_ms);
        self.refresh.insert((due_ms, resource.clone()));
    }
}
