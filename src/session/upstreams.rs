//! The upstream producers of one shard's producer sockets, and which sockets share one.
//!
//! Sockets share the producer of a topic or partition when all that the broker is told of it is equal. To each of them
//! it looks like one of its own: answers go to whom the message was from, its end to all. One that has lost its broker
//! takes no new sockets: they ask for one more, and hear from the broker what is wrong.

use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::pulsar::client::{Client, Principal, ProducerId, ProducerSpec, Tag};
use crate::pulsar::wire::Compression;

/// Who uses which upstream producer. An owner is a socket, named by the tag of its messages.
#[derive(Default)]
pub struct Producers {
    /// Some: the brokers decide who may publish, and what they have said of a role counts for so long.
    proof_lasts_ms: Option<u64>,
    users: FxHashMap<ProducerId, Users>,
    /// Those that new sockets may join.
    shared: FxHashMap<Wishes, ProducerId>,
    /// By a producer that is opened to see whether the broker lets its role in still: the shared one that others want to
    /// join.
    proofs: FxHashMap<ProducerId, ProducerId>,
}

/// Owners, and the place (a partition) that the producer has at each.
enum Users {
    One(Tag, usize),
    Many(Box<Many>),
}

/// What the broker is told of a producer that can be shared.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Wishes {
    principal: Principal,
    topic: String,
    send_timeout_ms: u64,
    encryption_keys: Arc<[Bytes]>,
    compression: Option<Compression>,
}

impl Wishes {
    /// A shared producer has no name, no first sequence id, no batches and no data key.
    fn of(spec: &ProducerSpec) -> Wishes {
        let ProducerSpec {
            principal,
            topic,
            name: _,
            initial_sequence_id: _,
            send_timeout_ms,
            encryption_keys,
            sealing: _,
            compression,
            batching: _,
        } = spec;
        Wishes {
            principal: *principal,
            topic: topic.clone(),
            send_timeout_ms: *send_timeout_ms,
            encryption_keys: encryption_keys.clone(),
            compression: *compression,
        }
    }
}

struct Many {
    wishes: Wishes,
    places: FxHashMap<Tag, usize>,
    /// The broker has made it.
    ready: bool,
    /// When the broker was last known to let its role in.
    proven_ms: u64,
    /// Who joins when the broker has let it in again.
    applicants: Vec<Tag>,
}

impl Producers {
    pub fn new(proof_lasts_ms: Option<u64>) -> Producers {
        Producers {
            proof_lasts_ms,
            ..Producers::default()
        }
    }

    /// The place that the producer has at this owner.
    pub fn place(&self, producer: ProducerId, owner: Tag) -> Option<usize> {
        match self.users.get(&producer)? {
            Users::One(only, place) => (*only == owner).then_some(*place),
            Users::Many(many) => many.places.get(&owner).copied(),
        }
    }

    /// The broker has made it: whom it concerns.
    pub fn made(&mut self, producer: ProducerId) -> Vec<(Tag, usize)> {
        let Some(users) = self.users.get_mut(&producer) else {
            return Vec::new();
        };
        if let Users::Many(many) = users {
            many.ready = true;
        }
        users.all()
    }

    /// It is gone for good: whom it concerns.
    pub fn ended(&mut self, producer: ProducerId) -> Vec<(Tag, usize)> {
        self.forget(producer)
            .map_or(Vec::new(), |users| users.all())
    }

    /// Whether this producer was to show that the broker lets its role in. Then: the shared one, and those who wanted to
    /// join it.
    pub fn proved(
        &mut self,
        now_ms: u64,
        proof: ProducerId,
        is_let_in: bool,
    ) -> Option<(ProducerId, Vec<(Tag, usize)>)> {
        let producer = self.proofs.remove(&proof)?;
        let Some(Users::Many(many)) = self.users.get_mut(&producer) else {
            return Some((producer, Vec::new()));
        };
        if is_let_in {
            many.proven_ms = now_ms;
        }
        let applicants = std::mem::take(&mut many.applicants).into_iter();
        let at = applicants.filter_map(|tag| Some((tag, *many.places.get(&tag)?)));
        Some((producer, at.collect()))
    }

    fn forget(&mut self, producer: ProducerId) -> Option<Users> {
        let users = self.users.remove(&producer)?;
        if let Users::Many(many) = &users
            && self.shared.get(&many.wishes) == Some(&producer)
        {
            self.shared.remove(&many.wishes);
        }
        Some(users)
    }
}

impl Users {
    fn all(&self) -> Vec<(Tag, usize)> {
        match self {
            Users::One(owner, place) => vec![(*owner, *place)],
            Users::Many(many) => many.places.iter().map(|(tag, at)| (*tag, *at)).collect(),
        }
    }
}

/// What sessions publish with.
pub struct Upstreams<'a> {
    pub client: &'a mut Client,
    pub producers: &'a mut Producers,
}

impl Upstreams<'_> {
    /// A producer of the owner's own.
    pub fn open(
        &mut self,
        now_ms: u64,
        owner: Tag,
        place: usize,
        spec: ProducerSpec,
    ) -> ProducerId {
        let producer = self.client.open_producer(now_ms, spec);
        let users = Users::One(owner, place);
        self.producers.users.insert(producer, users);
        producer
    }

    /// As [`Upstreams::open`], but it asks for nothing before [`Client::start_producer`]; what it is sent waits.
    pub fn prepare(&mut self, owner: Tag, place: usize, spec: ProducerSpec) -> ProducerId {
        let producer = self.client.prepare_producer(spec);
        let users = Users::One(owner, place);
        self.producers.users.insert(producer, users);
        producer
    }

    /// A producer that others with the same wishes use, too. True: the broker has made it already, and the owner may use
    /// it. Otherwise [`Producers::made`] or [`Producers::proved`] names the owner when it may.
    pub fn share(
        &mut self,
        now_ms: u64,
        owner: Tag,
        place: usize,
        spec: ProducerSpec,
    ) -> (ProducerId, bool) {
        let wishes = Wishes::of(&spec);
        let proof_lasts_ms = self.producers.proof_lasts_ms;
        if let Some(producer) = self.producers.shared.get(&wishes).copied()
            && let Some(Users::Many(many)) = self.producers.users.get_mut(&producer)
            && (!many.ready || self.client.producer_connection(producer).is_some())
        {
            many.places.insert(owner, place);
            // The right is to the topic: the other partitions are opened when the first may be used.
            let lasts_ms = proof_lasts_ms.filter(|_| many.ready && place == 0);
            if lasts_ms.is_none_or(|lasts_ms| now_ms.saturating_sub(many.proven_ms) < lasts_ms) {
                return (producer, many.ready);
            }
            many.applicants.push(owner);
            if many.applicants.len() == 1 {
                let proof = self.client.open_producer(now_ms, spec);
                self.producers.proofs.insert(proof, producer);
            }
            return (producer, false);
        }
        let producer = self.client.open_producer(now_ms, spec);
        let many = Many {
            wishes: wishes.clone(),
            places: FxHashMap::from_iter([(owner, place)]),
            ready: false,
            proven_ms: now_ms,
            applicants: Vec::new(),
        };
        let users = Users::Many(Box::new(many));
        self.producers.users.insert(producer, users);
        self.producers.shared.insert(wishes, producer);
        (producer, false)
    }

    /// The owner does not use it any more; the last one closes it.
    pub fn leave(&mut self, now_ms: u64, owner: Tag, producer: ProducerId) {
        if let Some(Users::Many(many)) = self.producers.users.get_mut(&producer) {
            many.places.remove(&owner);
            if !many.places.is_empty() {
                return;
            }
        }
        if self.producers.forget(producer).is_some() {
            self.client.close_producer(now_ms, producer);
        }
    }
}
