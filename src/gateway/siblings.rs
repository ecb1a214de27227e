//! The hubs of one subscription on this shard: which of them a socket joins, and which of them holds a message.
//!
//! Exclusive and Failover have one. Shared has one for each priority level, because the broker serves consumers in that
//! order; and a further one each time the windows of a level are more than one upstream consumer may leave unacked.
//! Shared and Failover have others for each `cryptoFailureAction`: a hub does one thing with what it cannot decrypt.

use super::hub_places::{Hubs, Place};
use super::post::{HubKey, Join};
use crate::hub::{MemberSpec, PULL_WINDOW};
use crate::pulsar::{MessageId, SubscriptionType};

/// The sum of windows behind one upstream consumer of a Shared subscription. The broker stops a consumer at 50,000
/// unacked messages (maxUnackedMessagesPerConsumer), and then members that ack would wait for those that do not; the
/// rest is room for negative acks whose delay runs, and for the batch that the last permit brings.
const SHARED_WINDOWS_MAX: u64 = 40_000;

impl Hubs {
    /// The hub that the socket joins, or that knows why it cannot. None: a new one.
    pub(super) fn place_with_room(&self, join: &Join) -> Option<usize> {
        let siblings = self.by_key.get(&join.key)?.iter().copied();
        let mut siblings = siblings.filter(|slot| self.places.contains(*slot));
        siblings.find(|slot| has_room(&self.places[*slot], join))
    }

    /// The other hubs that have given out a message: it may be acked on any socket of its subscription, and a broker that
    /// has lost its consumers gives it to another than before.
    pub(super) fn other_holders(&self, slot: usize, id: &MessageId) -> Vec<usize> {
        let place = self.places.get(slot);
        let siblings = place.and_then(|place| self.by_key.get(place.key()));
        let siblings = siblings.into_iter().flatten().copied();
        let others = siblings.filter(|sibling| *sibling != slot && self.knows(*sibling, id));
        others.collect()
    }

    pub(super) fn knows(&self, slot: usize, id: &MessageId) -> bool {
        let place = self.places.get(slot);
        place.is_some_and(|place| place.hub.knows(id))
    }

    /// The other hubs of the subscription, whoever they are for. One whose upstream consumer is a socket's own is none.
    pub(super) fn siblings(&self, slot: usize) -> Vec<usize> {
        let Some(key) = self.places.get(slot).map(Place::key) else {
            return Vec::new();
        };
        let mut siblings = match key.speaker {
            _ if key.private.is_some() => return Vec::new(),
            None => self.by_key.get(key).cloned().unwrap_or_default(),
            Some(_) => {
                let keys = self.by_key.iter();
                let same = keys.filter(|(other, _)| {
                    (&other.topics, &other.subscription) == (&key.topics, &key.subscription)
                        && (other.durable, other.private) == (key.durable, None)
                });
                same.flat_map(|(_, slots)| slots).copied().collect()
            }
        };
        siblings.retain(|sibling| *sibling != slot);
        siblings
    }

    pub(super) fn forget_sibling(&mut self, key: &HubKey, slot: usize) {
        if let Some(siblings) = self.by_key.get_mut(key) {
            siblings.retain(|sibling| *sibling != slot);
            if siblings.is_empty() {
                self.by_key.remove(key);
            }
        }
    }
}

fn has_room(place: &Place, join: &Join) -> bool {
    let (active, wanted) = (place.hub.spec(), &join.hub);
    let (shared, failover) = (SubscriptionType::Shared, SubscriptionType::Failover);
    if active.subscription_type != wanted.subscription_type
        || ![shared, failover].contains(&active.subscription_type)
    {
        // It takes the socket, or answers as the broker does.
        return true;
    }
    if active.crypto_failure_action != wanted.crypto_failure_action {
        return false;
    }
    if active.subscription_type == failover {
        return true;
    }
    active.priority_level == wanted.priority_level
        && (place.windows == 0
            || place.windows + place.hub.hoarded() + counted_window(&join.spec)
                <= SHARED_WINDOWS_MAX)
}

pub(super) fn counted_window(spec: &MemberSpec) -> u64 {
    match spec.pull_mode {
        true => PULL_WINDOW.into(),
        false => spec.window.into(),
    }
}
