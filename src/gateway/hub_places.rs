//! The table of the hubs that live on this shard: who sits where, and whose upstream consumers are whose.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use slab::Slab;

use super::post::{HubKey, Join};
use super::siblings::counted_window;
use super::topics::HubPlace;
use crate::hub::{Hub, Input, Limits, MemberId, Topics};
use crate::pulsar::client::{ConsumerId, Principal};
use crate::runtime::TimerKey;

pub struct Place {
    pub(super) generation: u32,
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
    pub(super) slot: usize,
    pub(super) window: u64,
}

impl Place {
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
    pub(super) places: Slab<Place>,
    generation: u32,
    pub(super) by_key: FxHashMap<HubKey, Vec<usize>>,
    /// By [`Place::subscription`].
    pub(super) by_subscription: FxHashMap<HubKey, Vec<usize>>,
    pub(super) by_member: FxHashMap<MemberId, Seat>,
    /// Which hub and slot of it an upstream consumer belongs to.
    pub(super) by_consumer: FxHashMap<ConsumerId, (usize, usize)>,
    /// Places with something in their inbox; they may be gone.
    pub(super) busy: Vec<usize>,
}

impl Hubs {
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// In whose name the hub in this place is.
    pub fn principal(&self, slot: usize) -> Principal {
        let place = self.places.get(slot);
        place.map_or(Principal::GATEWAY, |place| place.hub.spec().principal)
    }

    pub(super) fn new_place(&mut self, join: &Join, limits: Limits) -> usize {
        self.generation = self.generation.wrapping_add(1);
        let subscription = HubKey {
            speaker: None,
            ..join.key.clone()
        };
        let slot = self.places.insert(Place {
            generation: self.generation,
            key: join.key.clone(),
            subscription: subscription.clone(),
            hub: Hub::new(join.hub.clone(), limits),
            windows: 0,
            consumers: Vec::new(),
            inbox: Vec::new(),
            timer: None,
        });
        self.by_key.entry(join.key.clone()).or_default().push(slot);
        let siblings = self.by_subscription.entry(subscription);
        siblings.or_default().push(slot);
        slot
    }

    pub(super) fn seat(&mut self, join: &Join, slot: usize) {
        let window = counted_window(&join.spec);
        self.places[slot].windows += window;
        let seat = Seat { slot, window };
        self.by_member.insert(join.member, seat);
    }

    /// The member's hub, which knows it no more or is about to hear so.
    pub(super) fn unseat(&mut self, member: MemberId) -> Option<usize> {
        let Seat { slot, window } = self.by_member.remove(&member)?;
        if let Some(place) = self.places.get_mut(slot) {
            place.windows -= window;
        }
        Some(slot)
    }

    /// For `Shard::run_hubs` later in this turn.
    pub(super) fn put(&mut self, slot: usize, input: Input) {
        if let Some(place) = self.places.get_mut(slot) {
            if place.inbox.is_empty() {
                self.busy.push(slot);
            }
            place.inbox.push(input);
        }
    }

    /// It has not heard everything yet.
    pub(super) fn is_busy(&self, slot: usize) -> bool {
        let place = self.places.get(slot);
        place.is_some_and(|place| !place.inbox.is_empty())
    }

    pub(super) fn hub_of(&self, member: MemberId) -> Option<usize> {
        Some(self.by_member.get(&member)?.slot)
    }

    /// The upstream consumer of a hub's slot, while it is open.
    pub(super) fn consumer(&self, slot: usize, index: usize) -> Option<ConsumerId> {
        let consumers = &self.places.get(slot)?.consumers;
        consumers.get(index).copied().flatten()
    }

    pub(super) fn opened(&mut self, slot: usize, index: usize, consumer: ConsumerId) {
        let Some(place) = self.places.get_mut(slot) else {
            return;
        };
        if place.consumers.len() <= index {
            place.consumers.resize(index + 1, None);
        }
        place.consumers[index] = Some(consumer);
        self.by_consumer.insert(consumer, (slot, index));
    }

    pub(super) fn closed(&mut self, slot: usize, index: usize) -> Option<ConsumerId> {
        let place = self.places.get_mut(slot)?;
        let consumer = place.consumers.get_mut(index)?.take()?;
        self.by_consumer.remove(&consumer);
        Some(consumer)
    }

    pub(super) fn place_of(&self, slot: usize) -> HubPlace {
        HubPlace {
            slot,
            generation: self.places[slot].generation,
        }
    }

    /// Its slot, while it is the same hub.
    pub(super) fn slot_of(&self, hub: HubPlace) -> Option<usize> {
        (self.places.get(hub.slot)?.generation == hub.generation).then_some(hub.slot)
    }
}
