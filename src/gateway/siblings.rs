//! The hubs of one subscription on this shard: which of them a socket joins, and which of them holds a message.
//!
//! Exclusive and Failover have one. Shared has one for each priority level, because the broker serves consumers in that
//! order; and a further one each time the windows of a level are more than one upstream consumer may leave unacked.
//! Shared and Failover have others for each `cryptoFailureAction`: a hub does one thing with what it cannot decrypt; and
//! Failover for those who read compacted, which a consumer does as a whole.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use super::hub_places::{Hubs, LocalHub};
use super::post::Join;
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
        let mut siblings = siblings.filter(|place| self.local.contains(*place));
        siblings.find(|place| has_room(&self.local[*place], join))
    }

    /// The other hubs that have given out a message: it may be acked on any socket of its subscription, and a broker that
    /// has lost its consumers gives it to another than before.
    pub(super) fn other_holders(&self, place: usize, id: &MessageId) -> Vec<usize> {
        let siblings = self.siblings(place);
        siblings.filter(|place| self.knows(*place, id)).collect()
    }

    pub(super) fn knows(&self, place: usize, id: &MessageId) -> bool {
        let local = self.local.get(place);
        local.is_some_and(|local| local.hub.knows(id))
    }

    /// The other hubs of the subscription, whoever they are for. One whose upstream consumer is a socket's own has none.
    pub(super) fn siblings(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        let local = self.local.get(place);
        let all = local.and_then(|local| self.by_subscription.get(&local.subscription));
        let all = all.into_iter().flatten().copied();
        all.filter(move |sibling| *sibling != place)
    }

    /// True: it was the last of its key.
    pub(super) fn forget_sibling(&mut self, local: &LocalHub, place: usize) -> bool {
        forget(&mut self.by_subscription, &local.subscription, place);
        forget(&mut self.by_key, &local.key, place)
    }
}

/// True: it was the last.
fn forget<K: Hash + Eq>(places: &mut FxHashMap<K, Vec<usize>>, key: &K, place: usize) -> bool {
    if let Some(siblings) = places.get_mut(key) {
        siblings.retain(|sibling| *sibling != place);
        if siblings.is_empty() {
            places.remove(key);
            return true;
        }
    }
    false
}

fn has_room(local: &LocalHub, join: &Join) -> bool {
    let (active, wanted) = (local.hub.spec(), &join.hub);
    let (shared, failover) = (SubscriptionType::Shared, SubscriptionType::Failover);
    if active.subscription_type != wanted.subscription_type
        || ![shared, failover].contains(&active.subscription_type)
    {
        // It takes the socket, or answers as the broker does.
        return true;
    }
    if active.crypto_failure_action != wanted.crypto_failure_action
        || active.read_compacted != wanted.read_compacted
    {
        return false;
    }
    if active.subscription_type == failover {
        return true;
    }
    active.priority_level == wanted.priority_level
        && (local.windows == 0
            || local.windows + local.hub.hoarded() + counted_window(&join.spec)
                <= SHARED_WINDOWS_MAX)
}

pub(super) fn counted_window(spec: &MemberSpec) -> u64 {
    match spec.pull_mode {
        true => PULL_WINDOW.into(),
        false => spec.window.into(),
    }
}
