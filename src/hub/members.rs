//! The members, whose turn it is, and the sum of their windows.

use std::collections::{BTreeSet, VecDeque};

use rustc_hash::FxHashMap;

use super::effect::MemberId;
use super::limits::MAX_SHARED_UNACKED;
use super::member::Member;
use super::slot::{EntryKey, Position};

/// How many that have left may stand in line beside as many as are there: the line is looked through for that many at once,
/// and their rows are a few kilobytes.
const LEFT_IN_LINE: usize = 64;

/// Every change that may open or close a window goes through [`Members::change`], so that `open_total`
/// and the turns are right.
#[derive(Debug, Default)]
pub(super) struct Members {
    by_id: FxHashMap<MemberId, Member>,
    /// Members with window, the next one first. One whose window has closed meanwhile is passed over.
    turns: VecDeque<MemberId>,
    queued: FxHashMap<MemberId, ()>,
    open_total: u64,
    /// What counts for each in any case, and what some hold beyond that.
    reserved: u64,
    hoarded: u64,
    /// Members in pull mode that may not hoard for now.
    benched: Vec<MemberId>,
    /// (when to look, member): not later than its first ack timeout.
    timeouts: BTreeSet<(u64, MemberId)>,
    timeout_of: FxHashMap<MemberId, u64>,
}

impl Members {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn contains(&self, id: MemberId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub fn get(&self, id: MemberId) -> Option<&Member> {
        self.by_id.get(&id)
    }

    pub fn ids(&self) -> Vec<MemberId> {
        let mut ids: Vec<_> = self.by_id.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// The messages of one slot's entry that any of them holds, by their indexes.
    pub fn held_of(&self, slot: u32, (ledger, entry): EntryKey) -> impl Iterator<Item = i32> + '_ {
        let at = move |index| Position {
            slot,
            ledger,
            entry,
            index,
        };
        let all = self.by_id.values();
        let held = all.flat_map(move |member| member.held.range(at(i32::MIN)..=at(i32::MAX)));
        held.map(|(position, _)| position.index)
    }

    /// Those that members have.
    pub fn ack_timeouts_ms(&self) -> impl Iterator<Item = u64> + '_ {
        let all = self.by_id.values().map(|member| member.spec.ack_timeout_ms);
        all.filter(|timeout_ms| *timeout_ms > 0)
    }

    /// The windows of all members together.
    pub fn open_total(&self) -> u64 {
        self.open_total
    }

    /// How many members stand in line; a few may have no window any more.
    pub fn in_line(&self) -> usize {
        self.turns.len()
    }

    pub fn add(&mut self, id: MemberId, member: Member) {
        self.open_total += u64::from(member.open());
        self.reserved += member.reserved();
        if member.open() > 0 {
            self.stand_in_line(id);
        }
        self.by_id.insert(id, member);
    }

    pub fn remove(&mut self, id: MemberId) -> Option<Member> {
        let member = self.by_id.remove(&id)?;
        self.open_total -= u64::from(member.open());
        self.reserved -= member.reserved();
        self.hoarded -= member.hoarded();
        self.benched.retain(|benched| *benched != id);
        self.unbench();
        self.clear_line();
        if let Some(at_ms) = self.timeout_of.remove(&id) {
            self.timeouts.remove(&(at_ms, id));
        }
        Some(member)
    }

    /// Nothing happens for a member that is not there.
    pub fn change<R>(&mut self, id: MemberId, change: impl FnOnce(&mut Member) -> R) -> Option<R> {
        let member = self.by_id.get_mut(&id)?;
        let (before, hoarded_before) = (member.open(), member.hoarded());
        let result = change(member);
        let (after, hoarded) = (member.open(), member.hoarded());
        self.open_total = self.open_total - u64::from(before) + u64::from(after);
        self.hoarded = self.hoarded - hoarded_before + hoarded;
        if after > 0 {
            self.stand_in_line(id);
        }
        if hoarded < hoarded_before {
            self.unbench();
        }
        Some(result)
    }

    pub fn hoarded(&self) -> u64 {
        self.hoarded
    }

    /// What may be hoarded: what all windows together leave.
    fn spare(&self) -> u64 {
        MAX_SHARED_UNACKED.saturating_sub(self.reserved)
    }

    /// How much of its `open` window a member of a Shared hub may use, so that those that ack are not stopped by those that
    /// do not.
    pub fn allowed(&mut self, id: MemberId, open: u32) -> u32 {
        let Some(member) = self.by_id.get(&id).filter(|m| m.spec.pull_mode) else {
            return open;
        };
        let room = self.spare().saturating_sub(self.hoarded) + member.below_reserved();
        if room == 0 {
            self.benched.push(id);
            self.change(id, |m| m.benched = true);
        }
        open.min(u32::try_from(room).unwrap_or(u32::MAX))
    }

    /// Once half of what may be hoarded is free, so that nobody goes to and fro.
    fn unbench(&mut self) {
        if self.benched.is_empty() || self.hoarded > self.spare() / 2 {
            return;
        }
        for id in std::mem::take(&mut self.benched) {
            self.change(id, |m| m.benched = false);
        }
    }

    /// The next member in turn and its window. It has to stand in line again.
    pub fn next_turn(&mut self) -> Option<(MemberId, u32)> {
        while let Some(id) = self.turns.pop_front() {
            self.queued.remove(&id);
            let open = self.by_id.get(&id).map_or(0, Member::open);
            if open > 0 {
                return Some((id, open));
            }
        }
        None
    }

    /// A message was acked so long after the member had got it.
    pub fn acked_after(&mut self, id: MemberId, after_ms: u64) {
        if let Some(member) = self.by_id.get_mut(&id) {
            member.pace.acked_after(after_ms);
        }
    }

    /// How many messages it may be given in one go beyond its share.
    pub fn run_of(&self, id: MemberId) -> usize {
        let member = self.by_id.get(&id);
        member.map_or(0, |m| m.pace.run(m.held.len()))
    }

    /// Gives its turn back to a member that got nothing.
    pub fn return_turn(&mut self, id: MemberId) {
        if self.queued.insert(id, ()).is_none() {
            self.turns.push_front(id);
        }
    }

    fn stand_in_line(&mut self, id: MemberId) {
        if self.queued.insert(id, ()).is_none() {
            self.turns.push_back(id);
        }
    }

    /// Those who have left go out of the line when that has grown, and not each by itself: it may be long.
    fn clear_line(&mut self) {
        if self.turns.len() > 2 * self.by_id.len() + LEFT_IN_LINE {
            let by_id = &self.by_id;
            self.turns.retain(|id| by_id.contains_key(id));
            self.queued.retain(|id, ()| by_id.contains_key(id));
        }
    }

    /// Makes sure that the member is looked at when its oldest message times out.
    pub fn watch_timeout(&mut self, id: MemberId) {
        if self.timeout_of.contains_key(&id) {
            return;
        }
        if let Some(at_ms) = self.by_id.get_mut(&id).and_then(Member::next_timeout_ms) {
            self.timeout_of.insert(id, at_ms);
            self.timeouts.insert((at_ms, id));
        }
    }

    pub fn next_timeout_ms(&self) -> Option<u64> {
        self.timeouts.first().map(|(at_ms, _)| *at_ms)
    }

    /// A member to look at now; [`Members::watch_timeout`] puts it back.
    pub fn take_timeout(&mut self, now_ms: u64) -> Option<MemberId> {
        let &(at_ms, id) = self
            .timeouts
            .first()
            .filter(|(at_ms, _)| *at_ms <= now_ms)?;
        self.timeouts.remove(&(at_ms, id));
        self.timeout_of.remove(&id);
        Some(id)
    }
}
