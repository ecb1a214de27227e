//! The table of the hubs that live on this shard: who sits where, and whose upstream consumers are whose.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use slab::Slab;

use super::post::{HubKey, Join};
use super::siblings::counted_window;
use crate::hub::{Hub, Input, Limits, MemberId, Topics};
use crate::observe::seldom::Seldom;
use crate::pulsar::client::{ConsumerId, Principal};
use crate::runtime::TimerKey;

/// A hub of this shard: its place, and which use of the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HubId {
    pub place: usize,
    pub generation: u32,
}

/// A hub, and what its shard knows of it.
pub struct LocalHub {
    pub(super) id: HubId,
    pub(super) key: HubKey,
    /// The same for whomever it is.
    pub(super) subscription: HubKey,
    pub(super) hub: Hub,
    /// The windows of its members together.
    pub(super) windows: u64,
    /// The upstream consumer of each slot; None before it is opened and after it is closed.
    pub(super) consumers: Vec<Option<ConsumerId>>,
    /// What it has not heard yet of this turn.
    pub(super) inbox: Vec<Input>,
    /// The wheel's entry for the hub's next deadline, and that deadline.
    pub(super) timer: Option<(TimerKey, u64)>,
}

/// A member's hub, and what it counts for there.
pub struct Seat {
    pub(super) place: usize,
    pub(super) window: u64,
}

impl LocalHub {
    /// The topics whose partitions are watched, where they have any.
    pub(super) fn counted(&self) -> &[Arc<str>] {
        match &self.hub.spec().topics {
            Topics::Named(topics) => topics,
            Topics::Pattern(_) => &[],
        }
    }
}

#[derive(Default)]
pub struct Hubs {
    pub(super) local: Slab<LocalHub>,
    generation: u32,
    pub(super) by_key: FxHashMap<HubKey, Vec<usize>>,
    /// By [`LocalHub::subscription`].
    pub(super) by_subscription: FxHashMap<HubKey, Vec<usize>>,
    pub(super) by_member: FxHashMap<MemberId, Seat>,
    /// Which hub and slot of it an upstream consumer belongs to.
    pub(super) by_consumer: FxHashMap<ConsumerId, (usize, usize)>,
    /// Places with something in their inbox; they may be gone.
    pub(super) busy: Vec<usize>,
    /// Topics with messages that this gateway cannot decrypt, by subscription.
    pub(super) undecryptable: Seldom,
}

impl Hubs {
    pub fn is_empty(&self) -> bool {
        self.local.is_empty()
    }

    /// In whose name the hub in this place is.
    pub fn principal(&self, place: usize) -> Principal {
        let local = self.local.get(place);
        local.map_or(Principal::GATEWAY, |local| local.hub.spec().principal)
    }

    pub(super) fn insert(&mut self, join: &Join, limits: Limits) -> usize {
        self.generation = self.generation.wrapping_add(1);
        let subscription = HubKey {
            speaker: None,
            ..join.key.clone()
        };
        let place = self.local.vacant_key();
        self.local.insert(LocalHub {
            id: HubId {
                place,
                generation: self.generation,
            },
            key: join.key.clone(),
            subscription: subscription.clone(),
            hub: Hub::new(join.hub.clone(), limits),
            windows: 0,
            consumers: Vec::new(),
            inbox: Vec::new(),
            timer: None,
        });
        self.by_key.entry(join.key.clone()).or_default().push(place);
        let siblings = self.by_subscription.entry(subscription);
        siblings.or_default().push(place);
        place
    }

    pub(super) fn seat(&mut self, join: &Join, place: usize) {
        let window = counted_window(&join.spec);
        self.local[place].windows += window;
        let seat = Seat { place, window };
        self.by_member.insert(join.member, seat);
    }

    /// The member's hub, which knows it no more or is about to hear so.
    pub(super) fn unseat(&mut self, member: MemberId) -> Option<usize> {
        let Seat { place, window } = self.by_member.remove(&member)?;
        if let Some(local) = self.local.get_mut(place) {
            local.windows -= window;
        }
        Some(place)
    }

    /// For `Shard::run_hubs` later in this turn.
    pub(super) fn put(&mut self, place: usize, input: Input) {
        if let Some(local) = self.local.get_mut(place) {
            if local.inbox.is_empty() {
                self.busy.push(place);
            }
            local.inbox.push(input);
        }
    }

    /// It has not heard everything yet.
    pub(super) fn is_busy(&self, place: usize) -> bool {
        let local = self.local.get(place);
        local.is_some_and(|local| !local.inbox.is_empty())
    }

    pub(super) fn place_of(&self, member: MemberId) -> Option<usize> {
        Some(self.by_member.get(&member)?.place)
    }

    /// The upstream consumer of a hub's slot, while it is open.
    pub(super) fn consumer(&self, place: usize, slot: usize) -> Option<ConsumerId> {
        let consumers = &self.local.get(place)?.consumers;
        consumers.get(slot).copied().flatten()
    }

    pub(super) fn opened(&mut self, place: usize, slot: usize, consumer: ConsumerId) {
        let Some(local) = self.local.get_mut(place) else {
            return;
        };
        if local.consumers.len() <= slot {
            local.consumers.resize(slot + 1, None);
        }
        local.consumers[slot] = Some(consumer);
        self.by_consumer.insert(consumer, (place, slot));
    }

    pub(super) fn closed(&mut self, place: usize, slot: usize) -> Option<ConsumerId> {
        let local = self.local.get_mut(place)?;
        let consumer = local.consumers.get_mut(slot)?.take()?;
        self.by_consumer.remove(&consumer);
        Some(consumer)
    }

    pub(super) fn id_of(&self, place: usize) -> HubId {
        self.local[place].id
    }

    /// Its place, while it is the same hub.
    pub(super) fn place_by_id(&self, hub: HubId) -> Option<usize> {
        (self.local.get(hub.place)?.id == hub).then_some(hub.place)
    }
}
