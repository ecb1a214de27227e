//! Failover: which member is active on each slot, and what happens when that changes.
//!
//! The broker's choice (AbstractDispatcherSingleActiveConsumer): of the members of the lowest priority-level number,
//! sorted by name, the one at the partition index modulo their number; without partitions the next one on a hash ring.
//! A change hands the slot over as the broker does: everything unsettled comes again from the broker, in order and
//! uncounted, for the new one; only the active member of a slot ever holds something of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Hub;
use super::effect::{Effect, MemberId, MemberSpec};
use super::lifecycle::Phase;
use super::unsettled::Index;
use crate::pulsar::SubscriptionType;
use crate::pulsar::murmur::ring_distance;

/// In the broker's order. Of equal names the one that came first is first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub name: String,
    arrival: u64,
    member: MemberId,
}

/// Who may be active, by priority level.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    levels: BTreeMap<i32, BTreeSet<Candidate>>,
    of_member: BTreeMap<MemberId, (i32, Candidate)>,
    arrivals: u64,
    /// Came since the last choice.
    newcomers: Vec<MemberId>,
    /// Somebody came or went, or slots were added, since the last choice.
    is_due: bool,
}

/// The slots on which one member is active.
pub(super) type ActiveSlots = Vec<(MemberId, Vec<usize>)>;

impl Candidates {
    pub fn add(&mut self, member: MemberId, spec: &MemberSpec) {
        self.arrivals += 1;
        let candidate = Candidate {
            name: spec.consumer_name.clone(),
            arrival: self.arrivals,
            member,
        };
        let level = self.levels.entry(spec.priority_level).or_default();
        level.insert(candidate.clone());
        self.of_member
            .insert(member, (spec.priority_level, candidate));
        self.newcomers.push(member);
        self.is_due = true;
    }

    pub fn remove(&mut self, member: MemberId) {
        let Some((level, candidate)) = self.of_member.remove(&member) else {
            return;
        };
        if let Some(candidates) = self.levels.get_mut(&level) {
            candidates.remove(&candidate);
            if candidates.is_empty() {
                self.levels.remove(&level);
            }
        }
        self.is_due = true;
    }

    pub fn slots_added(&mut self) {
        self.is_due = true;
    }

    fn best_level(&self) -> Option<(i32, &BTreeSet<Candidate>)> {
        let (level, candidates) = self.levels.first_key_value()?;
        Some((*level, candidates))
    }

    /// Who is active on a partition, or on a topic without (−1).
    pub fn active(&self, topic: &str, partition: i32) -> Option<MemberId> {
        let (_, candidates) = self.best_level()?;
        let chosen = match usize::try_from(partition) {
            Ok(partition) => candidates.iter().nth(partition % candidates.len()),
            Err(_) => candidates.iter().min_by_key(|c| ring_rank(topic, c)),
        };
        chosen.map(|candidate| candidate.member)
    }

    /// The same on a topic without partitions, where `active` was right before the newcomers came: to look at every
    /// candidate for each of thousands that join would take minutes.
    fn still_active(&self, topic: &str, active: MemberId) -> Option<MemberId> {
        let rank = |member: &MemberId| {
            let (level, candidate) = self.of_member.get(member)?;
            Some((*level, ring_rank(topic, candidate), *member))
        };
        rank(&active)?;
        let among = self.newcomers.iter().chain([&active]);
        among.filter_map(rank).min().map(|(_, _, member)| member)
    }
}

/// The lowest is chosen. Where two have the same point of the ring, the broker's later one takes it.
fn ring_rank<'a>(topic: &str, candidate: &'a Candidate) -> (u32, Reverse<&'a Candidate>) {
    (ring_distance(topic, &candidate.name), Reverse(candidate))
}

impl Hub {
    pub(super) fn is_failover(&self) -> bool {
        self.spec.subscription_type == SubscriptionType::Failover
    }

    /// The name and priority level under which the broker knows a slot's consumer: those of the member that will be
    /// active, so that several gateways on one subscription are ordered as their members would be.
    pub(super) fn upstream_name(&self, topic: &str, partition: i32) -> (Option<String>, i32) {
        let own = (self.spec.consumer_name.clone(), self.spec.priority_level);
        if !self.is_failover() {
            return own;
        }
        let spec = match self.phase {
            Phase::Open => self
                .candidates
                .active(topic, partition)
                .and_then(|chosen| Some(&self.members.get(chosen)?.spec)),
            _ => self.best_waiting(topic, partition),
        };
        spec.map_or(own, |spec| {
            (Some(spec.consumer_name.clone()), spec.priority_level)
        })
    }

    fn best_waiting(&self, topic: &str, partition: i32) -> Option<&MemberSpec> {
        let mut candidates = Candidates::default();
        for (member, spec) in &self.waiting {
            candidates.add(*member, spec);
        }
        let chosen = candidates.active(topic, partition)?;
        let mut waiting = self.waiting.iter();
        let (_, spec) = waiting.find(|(member, _)| *member == chosen)?;
        Some(spec)
    }

    /// Chooses anew after members or slots have changed.
    pub(super) fn choose_active(&mut self, out: &mut Vec<Effect>) {
        if !self.candidates.is_due || self.phase != Phase::Open {
            return;
        }
        self.candidates.is_due = false;
        self.active_slots.clear();
        let mut by_member: BTreeMap<MemberId, Vec<usize>> = BTreeMap::new();
        for slot in self.open_slots().collect::<Vec<_>>() {
            let active = self.chosen(slot);
            let before = std::mem::replace(&mut self.slots[slot].active, active);
            if before.is_some() && before != active && self.has_given_out(slot) {
                self.redeliver_all(slot, out);
            }
            if let Some(active) = active {
                by_member.entry(active).or_default().push(slot);
            }
        }
        self.active_slots.extend(by_member);
        self.candidates.newcomers.clear();
    }

    fn chosen(&self, slot: usize) -> Option<MemberId> {
        let topic = self.slot_topic(slot);
        let slot = &self.slots[slot];
        let kept = slot.active.filter(|_| slot.partition < 0);
        kept.and_then(|active| self.candidates.still_active(&topic, active))
            .or_else(|| self.candidates.active(&topic, slot.partition))
    }

    /// Whether a member has something of the slot that is not settled, or has had it and wants it again later. What only
    /// waits goes to the new one as it is.
    fn has_given_out(&self, slot: usize) -> bool {
        self.slots[slot].entries.values().any(|entry| {
            entry.all().any(|index| {
                matches!(
                    entry.get(index),
                    Some(Index::Held(_) | Index::Delayed { .. })
                )
            })
        })
    }

    /// Each slot to its active member; one without window keeps nothing from the others.
    pub(super) fn deliver_to_active(&mut self, now_ms: u64, out: &mut Vec<Effect>) {
        let slots = self.slots.len();
        let first = self.next_slot;
        for slot in (first..slots).chain(0..first) {
            if self.slots[slot].waiting == 0 {
                continue;
            }
            let Some(member) = self.slots[slot].active else {
                continue;
            };
            let open = self.members.get(member).map_or(0, |m| m.open() as usize);
            let mut run = Vec::new();
            while run.len() < open
                && !self.portion.is_full()
                && let Some(message) = self.next_of_slot(now_ms, slot)
            {
                self.hand_over(now_ms, member, slot, &message);
                run.push(message);
            }
            self.give(member, run, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, priority_level: i32) -> MemberSpec {
        MemberSpec {
            consumer_name: name.to_owned(),
            priority_level,
            ..super::super::tests::member_spec(SubscriptionType::Failover, 1)
        }
    }

    fn candidates(of: &[(&str, i32)]) -> Candidates {
        let mut candidates = Candidates::default();
        for (at, (name, level)) in of.iter().enumerate() {
            candidates.add(MemberId(at as u64), &spec(name, *level));
        }
        candidates
    }

    #[test]
    fn partitions_are_dealt_out_in_the_order_of_names_among_the_first_level() {
        let of = [("c", 1), ("b", 0), ("a", 2), ("a", 0), ("b", 0)];
        let mut some = candidates(&of);
        let active = |some: &Candidates| [0, 1, 2, 3].map(|p| some.active("t", p).unwrap().0);
        assert_eq!(active(&some), [3, 1, 4, 3]);
        some.remove(MemberId(1));
        some.remove(MemberId(3));
        assert_eq!(active(&some), [4, 4, 4, 4]);
        some.remove(MemberId(4));
        assert_eq!(active(&some), [0, 0, 0, 0]);
        some.remove(MemberId(0));
        some.remove(MemberId(2));
        assert_eq!(some.active("t", 0), None);
    }

    #[test]
    fn a_newcomer_is_compared_with_the_active_one_as_with_all() {
        let topic = "persistent://public/default/t";
        let mut some = Candidates::default();
        let mut active = None;
        for at in 0..50 {
            let level = i32::from(at < 5);
            some.add(MemberId(at), &spec(&format!("name-{}", at * 7 % 50), level));
            let quick = active.and_then(|active| some.still_active(topic, active));
            let full = some.active(topic, -1);
            assert!(active.is_none() || quick == full);
            active = full;
            some.newcomers.clear();
        }
        some.remove(active.unwrap());
        assert_eq!(some.still_active(topic, active.unwrap()), None);
    }
}
