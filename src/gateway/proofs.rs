//! The rights of who joins what is open, where the brokers decide (`authorization=broker`).
//!
//! A broker is asked when a hub or tail opens its upstream. Who joins that later is of the same role, whose right may
//! have been taken back since: what the broker said counts for `authorizationCacheMillis`. After that a consumer like the
//! open one is opened beside it, in the role's name. It gives no permits, is never the active one, and closes as soon as
//! the broker has taken it; those who want to join wait for that, all for the same.

use rustc_hash::{FxHashMap, FxHashSet};

use super::catch_up::subscription_of;
use super::post::{HubKey, Join, MemberEvent, Post, TailKey};
use super::shard::Shard;
use super::tail_homes::is_feeder;
use crate::config::{Authorization, Config};
use crate::hub::{MemberId, Refusal};
use crate::pulsar::client::{ConsumerId, ConsumerSpec, Principal, StartPosition};
use crate::pulsar::topics::split_partition;
use crate::pulsar::{BrokerError, ErrorKind, SubscriptionType};

/// The broker serves all others first, and makes one of them the active one.
const LAST_PRIORITY_LEVEL: i32 = i32::MAX;

/// Who wants to join.
pub enum Applicant {
    Member(Box<Join>),
    /// A shard that has no readers of the tail yet.
    Tail {
        key: TailKey,
        shard: usize,
        joining: u64,
    },
    /// Readers on a shard that has others.
    Readers {
        shard: usize,
        joining: u64,
    },
}

/// What is being asked for one hub.
struct Asking {
    principal: Principal,
    /// One for each topic; those that the broker has not answered.
    consumers: FxHashSet<ConsumerId>,
    applicants: Vec<Applicant>,
}

/// Of the hubs of this shard that somebody else may join.
#[derive(Default)]
pub struct Proofs {
    /// When the broker was last known to let their role in.
    proven_ms: FxHashMap<HubKey, u64>,
    asking: FxHashMap<HubKey, Asking>,
    by_consumer: FxHashMap<ConsumerId, HubKey>,
}

impl Proofs {
    /// The first hub of this key is about to ask the broker itself.
    pub fn opens(&mut self, now_ms: u64, join: &Join) {
        let key = &join.key;
        let can_be_joined = key.private.is_none() || is_feeder(join.member);
        if key.speaker.is_some() && can_be_joined {
            self.proven_ms.entry(key.clone()).or_insert(now_ms);
        }
    }

    /// The last hub of this key has ended.
    pub fn closed(&mut self, key: &HubKey) {
        self.proven_ms.remove(key);
    }

    /// The socket has gone before it could join.
    pub fn forget_member(&mut self, member: MemberId) {
        let is_its = |it: &Applicant| matches!(it, Applicant::Member(it) if it.member == member);
        self.forget(is_its);
    }

    /// The same of a shard's last reader.
    pub fn forget_tail(&mut self, of_shard: usize, its_joining: u64) {
        self.forget(|applicant| match applicant {
            Applicant::Tail { shard, joining, .. } | Applicant::Readers { shard, joining } => {
                (*shard, *joining) == (of_shard, its_joining)
            }
            Applicant::Member(_) => false,
        });
    }

    fn forget(&mut self, is_gone: impl Fn(&Applicant) -> bool) {
        for asking in self.asking.values_mut() {
            asking.applicants.retain(|applicant| !is_gone(applicant));
        }
    }
}

impl Shard {
    /// Whether the broker has to be asked before somebody joins the hub in this place.
    pub(super) fn wants_proof(&self, now_ms: u64, place: usize) -> bool {
        let Some(local) = self.hubs.local.get(place) else {
            return false;
        };
        // Others that are taken refuse the socket themselves.
        let takes_more = matches!(
            local.hub.spec().subscription_type,
            SubscriptionType::Shared | SubscriptionType::Failover
        );
        let proven_ms = self.proofs.proven_ms.get(&local.key);
        (takes_more || local.key.private.is_some())
            && proven_ms.is_some_and(|proven_ms| is_old(&self.config, now_ms, *proven_ms))
    }

    /// Asks the broker, unless it is being asked; the applicant goes on, or is refused, when it has answered.
    pub(super) fn prove(&mut self, now_ms: u64, place: usize, applicant: Applicant) {
        let Some(local) = self.hubs.local.get(place) else {
            return;
        };
        let key = local.key.clone();
        if let Some(asking) = self.proofs.asking.get_mut(&key) {
            asking.applicants.push(applicant);
            return;
        }
        let specs = self.proof_specs(place);
        let principal = self.principals.take(key.speaker.as_ref());
        let mut asking = Asking {
            principal,
            consumers: FxHashSet::default(),
            applicants: vec![applicant],
        };
        for spec in specs {
            let consumer = self.consuming.client.open_consumer(now_ms, spec);
            asking.consumers.insert(consumer);
            self.proofs.by_consumer.insert(consumer, key.clone());
        }
        let nothing_is_open = asking.consumers.is_empty();
        self.proofs.asking.insert(key.clone(), asking);
        if nothing_is_open {
            self.proven(now_ms, &key, Ok(()));
        }
    }

    /// One consumer for each topic of the hub: a right is to a topic, not to a partition.
    fn proof_specs(&self, place: usize) -> Vec<ConsumerSpec> {
        let Some(local) = self.hubs.local.get(place) else {
            return Vec::new();
        };
        let open = local.consumers.iter().flatten();
        let specs = open.filter_map(|consumer| self.consuming.client.consumer_spec(*consumer));
        let mut topics = FxHashSet::default();
        let mut of_topics = Vec::new();
        for spec in specs {
            if !topics.insert(split_partition(&spec.topic).0) {
                continue;
            }
            let mut spec = ConsumerSpec {
                consumer_name: None,
                priority_level: LAST_PRIORITY_LEVEL,
                create_topic: false,
                ..spec.clone()
            };
            // A reader's subscription is its own.
            if local.key.private.is_some() {
                spec.subscription = subscription_of(local.key.speaker.as_ref());
                spec.start = Some(StartPosition::Latest);
            }
            of_topics.push(spec);
        }
        of_topics
    }

    /// What became of an upstream consumer. False: it was not opened to be asked about.
    pub(super) fn consumer_proven(
        &mut self,
        now_ms: u64,
        consumer: ConsumerId,
        result: Result<(), &BrokerError>,
    ) -> bool {
        let Some(key) = self.proofs.by_consumer.remove(&consumer) else {
            return false;
        };
        if result.is_ok() {
            self.consuming.client.close_consumer(now_ms, consumer);
        }
        if let Some(asking) = self.proofs.asking.get_mut(&key) {
            asking.consumers.remove(&consumer);
            let is_last = asking.consumers.is_empty();
            match let_in(result) {
                Ok(()) if !is_last => {}
                result => self.proven(now_ms, &key, result),
            }
        }
        true
    }

    /// The broker has let the role in everywhere, or refused it somewhere.
    fn proven(&mut self, now_ms: u64, key: &HubKey, result: Result<(), BrokerError>) {
        let Some(asking) = self.proofs.asking.remove(key) else {
            return;
        };
        for consumer in asking.consumers {
            self.proofs.by_consumer.remove(&consumer);
            self.consuming.client.close_consumer(now_ms, consumer);
        }
        if result.is_ok()
            && let Some(proven_ms) = self.proofs.proven_ms.get_mut(key)
        {
            *proven_ms = now_ms;
        }
        for applicant in asking.applicants {
            let result = result.clone().map_err(Refusal::Broker);
            self.applied(now_ms, applicant, result);
        }
        self.principals.release(asking.principal);
    }

    fn applied(&mut self, now_ms: u64, applicant: Applicant, result: Result<(), Refusal>) {
        match (applicant, result) {
            (Applicant::Member(join), Ok(())) => self.hub_join(now_ms, *join),
            (Applicant::Member(join), Err(refusal)) => {
                self.tell(join.member, MemberEvent::Refused(refusal));
            }
            (
                Applicant::Tail {
                    key,
                    shard,
                    joining,
                },
                Ok(()),
            ) => self.tail_join(now_ms, key, shard, joining),
            (Applicant::Tail { shard, joining, .. }, Err(refusal)) => {
                self.post(shard, Post::TailEnded { joining, refusal });
            }
            (Applicant::Readers { shard, joining }, result) => {
                self.tell_proven(shard, joining, result);
            }
        }
    }
}

/// How long what brokers say of a role's right counts. None: they are not asked.
pub(super) fn lasts_ms(config: &Config) -> Option<u64> {
    match config.authorization {
        Some(Authorization::Broker { cache_ms, .. }) => Some(cache_ms),
        _ => None,
    }
}

/// Whether what a broker said then does not count any more.
pub(super) fn is_old(config: &Config, now_ms: u64, proven_ms: u64) -> bool {
    lasts_ms(config).is_some_and(|lasts_ms| now_ms.saturating_sub(proven_ms) >= lasts_ms)
}

/// Brokers look at the right first: who is told that there is no room has it.
pub(super) fn let_in(result: Result<(), &BrokerError>) -> Result<(), BrokerError> {
    match result {
        Err(error)
            if !matches!(
                error.kind,
                ErrorKind::ConsumerBusy | ErrorKind::ProducerBusy
            ) =>
        {
            Err(error.clone())
        }
        _ => Ok(()),
    }
}
