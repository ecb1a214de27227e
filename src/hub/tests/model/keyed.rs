//! Key_Shared: a hub of one member each, and a simple dispatcher that gives each key to one of them.
//!
//! Claims: messages of a key come in order for the first time, whoever gets them, and a key moves only when nothing of it is
//! held; nothing is held twice, and in the end everything is acked; windows hold, and redelivery counts rise only with a
//! negative ack.

use super::*;

const KEYS: u8 = 8;

struct Consumer {
    hub: Hub,
    spec: MemberSpec,
    charged: u32,
    /// What its client holds.
    held: BTreeSet<u64>,
    to_broker: VecDeque<Effect>,
    to_hub: VecDeque<Upstream>,
    // As the broker sees it.
    permits: i64,
    pending: BTreeSet<u64>,
}

struct Keyed {
    rng: fastrand::Rng,
    now_ms: u64,
    consumers: BTreeMap<MemberId, Consumer>,
    next_member: u64,
    /// The key of each entry.
    topic: Vec<u8>,
    /// Given out by no consumer, in order: everything that was read and cannot go yet, or comes again.
    waiting: BTreeSet<u64>,
    acked: BTreeSet<u64>,
    redeliveries: BTreeMap<u64, u32>,
    /// Of the first deliveries, by key.
    last: BTreeMap<u8, u64>,
    seen: BTreeSet<u64>,
}

impl Keyed {
    fn new(seed: u64) -> Keyed {
        Keyed {
            rng: fastrand::Rng::with_seed(seed),
            now_ms: 0,
            consumers: BTreeMap::new(),
            next_member: 0,
            topic: Vec::new(),
            waiting: BTreeSet::new(),
            acked: BTreeSet::new(),
            redeliveries: BTreeMap::new(),
            last: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    fn join(&mut self) {
        self.next_member += 1;
        let member = MemberId(self.next_member);
        let kind = SubscriptionType::KeyShared;
        let window = self.rng.u32(1..10);
        let consumer = Consumer {
            hub: Hub::new(hub_spec(kind), LIMITS),
            spec: MemberSpec {
                negative_ack_delay_ms: self.rng.u64(100..300),
                ..member_spec(kind, window)
            },
            charged: 0,
            held: BTreeSet::new(),
            to_broker: VecDeque::new(),
            to_hub: VecDeque::new(),
            permits: 0,
            pending: BTreeSet::new(),
        };
        let spec = consumer.spec.clone();
        self.consumers.insert(member, consumer);
        self.call(member, |hub, now_ms, out| {
            hub.join(now_ms, member, spec, out);
            hub.partitions(now_ms, TOPIC, Ok(0), out);
            hub.upstream(now_ms, 0, Upstream::Ready, out);
        });
    }

    /// The hub closes its upstream with its only member; what was not acked is for the others, uncounted.
    fn leave(&mut self, member: MemberId) {
        self.call(member, |hub, now_ms, out| hub.leave(now_ms, member, out));
        while self.broker_takes(member) {}
        let gone = self.consumers.remove(&member).unwrap();
        self.waiting.extend(gone.pending);
    }

    fn call(&mut self, member: MemberId, call: impl FnOnce(&mut Hub, u64, &mut Vec<Effect>)) {
        let mut out = Vec::new();
        let consumer = self.consumers.get_mut(&member).unwrap();
        call(&mut consumer.hub, self.now_ms, &mut out);
        for effect in out {
            match effect {
                Effect::Deliver {
                    member: to,
                    messages,
                } => {
                    assert_eq!(to, member);
                    messages
                        .iter()
                        .for_each(|message| self.delivered(member, message));
                }
                Effect::Flow { .. } | Effect::Ack { .. } | Effect::Redeliver { .. } => {
                    let consumer = self.consumers.get_mut(&member).unwrap();
                    consumer.to_broker.push_back(effect);
                }
                _ => {}
            }
        }
    }

    fn delivered(&mut self, member: MemberId, message: &Message) {
        let at = message.id.entry;
        let key = self.topic[at as usize];
        for (other, consumer) in &self.consumers {
            let of_key = |at: &&u64| self.topic[**at as usize] == key;
            let holds = consumer.held.iter().find(of_key);
            assert!(
                *other == member || holds.is_none(),
                "{key} is at {other:?} too"
            );
        }
        assert!(!self.acked.contains(&at), "{at} is acked");
        let count = self.redeliveries.get(&at).copied().unwrap_or(0);
        assert_eq!(message.redelivery_count, count);
        if self.seen.insert(at) {
            let before = self.last.insert(key, at);
            assert!(before < Some(at), "{key}: {at} after {before:?}");
        }
        let consumer = self.consumers.get_mut(&member).unwrap();
        assert!(consumer.held.insert(at), "{at} is held already");
        consumer.charged += 1;
        assert!(consumer.charged <= consumer.spec.window);
    }

    // The broker.

    fn owner(&self, key: u8) -> Option<MemberId> {
        let hash = |member: &MemberId| {
            crate::pulsar::murmur::murmur3_32(format!("{key}-{}", member.0).as_bytes())
        };
        self.consumers.keys().copied().max_by_key(hash)
    }

    /// The first entry that may go: no other consumer has something of its key, and its own has permits.
    fn dispatch(&mut self) {
        for at in self.waiting.clone() {
            let key = self.topic[at as usize];
            let Some(owner) = self.owner(key) else {
                continue;
            };
            let of_key = |at: &u64| self.topic[*at as usize] == key;
            let mut others = self
                .consumers
                .iter()
                .filter(|(member, _)| **member != owner);
            if others.any(|(_, other)| other.pending.iter().any(of_key)) {
                continue;
            }
            let redelivery_count = self.redeliveries.get(&at).copied().unwrap_or(0);
            let consumer = self.consumers.get_mut(&owner).unwrap();
            if consumer.permits <= 0 {
                continue;
            }
            consumer.permits -= 1;
            consumer.pending.insert(at);
            self.waiting.remove(&at);
            consumer.to_hub.push_back(Upstream::Entry(Entry {
                redelivery_count,
                ..entry(at, None)
            }));
            return;
        }
    }

    fn broker_takes(&mut self, member: MemberId) -> bool {
        let consumer = self.consumers.get_mut(&member).unwrap();
        let Some(effect) = consumer.to_broker.pop_front() else {
            return false;
        };
        match effect {
            Effect::Flow { permits, .. } => {
                consumer.permits += i64::from(permits);
                let bound = i64::from(consumer.spec.window) + 1;
                assert!(consumer.permits <= bound, "{} permits", consumer.permits);
            }
            Effect::Ack { tag, positions, .. } => {
                for position in positions {
                    consumer.pending.remove(&position.entry);
                    self.acked.insert(position.entry);
                }
                let result = Ok(());
                consumer.to_hub.push_back(Upstream::AckDone { tag, result });
            }
            Effect::Redeliver { positions, .. } => {
                for (_, at) in positions {
                    if consumer.pending.remove(&at) {
                        *self.redeliveries.entry(at).or_default() += 1;
                        self.waiting.insert(at);
                    }
                }
            }
            _ => {}
        }
        true
    }

    fn hub_takes(&mut self, member: MemberId) {
        let consumer = self.consumers.get_mut(&member).unwrap();
        let most = self.rng.usize(1..5).min(consumer.to_hub.len());
        let run: Vec<_> = consumer
            .to_hub
            .drain(..most)
            .map(|event| (0, event))
            .collect();
        self.call(member, |hub, now_ms, out| {
            hub.upstream_run(now_ms, run, out)
        });
    }

    // The clients.

    fn settle(&mut self, member: MemberId, nack: bool) {
        let consumer = self.consumers.get_mut(&member).unwrap();
        let Some(at) = self
            .rng
            .choice(consumer.held.iter().copied().collect::<Vec<_>>())
        else {
            return;
        };
        consumer.held.remove(&at);
        consumer.charged -= 1;
        let command = match nack {
            true => Command::NegativeAck(id(at)),
            false => Command::Ack(id(at)),
        };
        self.call(member, |hub, now_ms, out| {
            hub.command(now_ms, member, command, out)
        });
    }

    fn wait(&mut self, ms: u64) {
        self.now_ms += ms;
        let members: Vec<_> = self.consumers.keys().copied().collect();
        for member in members {
            self.call(member, |hub, now_ms, out| hub.tick(now_ms, out));
        }
    }

    fn step(&mut self) {
        let members: Vec<_> = self.consumers.keys().copied().collect();
        let Some(member) = self.rng.choice(members) else {
            return self.join();
        };
        match self.rng.u8(0..100) {
            0..15 => {
                self.waiting.insert(self.topic.len() as u64);
                self.topic.push(self.rng.u8(0..KEYS));
            }
            15..40 => self.dispatch(),
            40..55 => self.hub_takes(member),
            55..65 => {
                self.broker_takes(member);
            }
            65..83 => self.settle(member, false),
            83..86 => self.settle(member, true),
            86..88 => self.join(),
            88 => self.leave(member),
            _ => {
                let ms = self.rng.u64(0..60);
                self.wait(ms);
            }
        }
    }

    fn settle_everything(&mut self) {
        self.join();
        for _ in 0..100 + 10 * self.topic.len() {
            let members: Vec<_> = self.consumers.keys().copied().collect();
            for member in members {
                while self.broker_takes(member) {}
                self.dispatch();
                self.hub_takes(member);
                self.settle(member, false);
            }
            self.wait(20);
            if self.acked.len() == self.topic.len() {
                return;
            }
        }
        panic!("not settled: {:?} wait", self.waiting);
    }
}

fn run(seed: u64) {
    let said = Seed(seed);
    let mut model = Keyed::new(seed);
    let steps = if cfg!(miri) { 100 } else { 1000 };
    for _ in 0..steps {
        model.step();
    }
    model.settle_everything();
    drop(said);
}

#[test]
fn keys_stay_in_order_and_with_one_member() {
    match seed_given() {
        Some(seed) => run(seed),
        None => (0..if cfg!(miri) { 1 } else { 40 }).for_each(run),
    }
}
