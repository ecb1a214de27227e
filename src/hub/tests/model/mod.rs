//! Random members, acks, negative acks, timeouts, seeks and lost connections against a simple broker, on every kind of
//! subscription and for readers; Key_Shared, where the broker chooses between hubs of one member each, is in `keyed`.
//!
//! Claims: no message is held by two members; none comes again except after a negative ack, a timeout, a member's
//! leaving, a seek or a new hub; windows and permits are never exceeded; on Exclusive and Failover the order holds, and each
//! partition is the active member's alone; redelivery counts rise when a message is asked for again and never else; what is
//! retained is what is live; and in the end, when members ack what they get, everything is acked and nothing is retained. A failure prints its seed;
//! `PWS_SEED=n` replays it.

mod broker;
mod counts;
mod keyed;
mod members;
mod seeks;
mod steps;
mod time;
mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::pulsar::client::StartPosition;
use broker::{Broker, expected};
use counts::{Counts, Next};

/// Partition, entry, batch index.
type Key = (usize, u64, i32);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// May be delivered.
    Free,
    Held {
        by: MemberId,
        since_ms: u64,
    },
    Delayed {
        due_ms: u64,
    },
    /// Or read, by a reader.
    Acked,
}

struct Client {
    spec: MemberSpec,
    charged: u32,
    permits: u32,
    clogged: bool,
}

impl Client {
    fn open(&self) -> u32 {
        match (self.clogged, self.spec.pull_mode) {
            (true, _) => 0,
            (_, true) => self.permits,
            _ => self.spec.window - self.charged,
        }
    }

    fn free(&mut self) {
        self.charged = self.charged.saturating_sub(1);
    }
}

/// The way between the hub and one partition's broker.
#[derive(Default)]
struct Wire {
    to_broker: VecDeque<Effect>,
    to_hub: VecDeque<Upstream>,
    /// How many of the first in `to_hub` the client machine has passed on already.
    passed: usize,
    /// The client machine's.
    epoch: u64,
    /// Permits given and not used up, as the hub can know.
    outstanding: i64,
    /// The seek that the hub has not heard the end of.
    sought: Option<u64>,
    /// Who gets what comes here, on Exclusive and Failover.
    active: Option<MemberId>,
    /// Since the hub began.
    was_lost: bool,
    /// A reader's: what the client machine resumes at.
    resume_at: u64,
    /// The order that deliveries keep there.
    last: Option<(u64, i32)>,
}

struct Model {
    rng: fastrand::Rng,
    kind: SubscriptionType,
    /// From the topic's beginning; each has all of it.
    is_reader: bool,
    hub: Hub,
    now_ms: u64,
    brokers: Vec<Broker>,
    wires: Vec<Wire>,
    clients: BTreeMap<MemberId, Client>,
    next_member: u64,
    fates: BTreeMap<Key, Fate>,
    counts: Counts,
    /// Partitions that another hub's seek moves.
    sought_by_others: Vec<usize>,
    finished: bool,
}

impl Model {
    fn new(seed: u64) -> Model {
        let mut rng = fastrand::Rng::with_seed(seed);
        let kind = [
            SubscriptionType::Exclusive,
            SubscriptionType::Failover,
            SubscriptionType::Shared,
        ][rng.usize(0..3)];
        let is_reader = kind == SubscriptionType::Exclusive && rng.bool();
        let shared = kind == SubscriptionType::Shared;
        let partitions = rng.usize(0..3);
        let knows_indexes = rng.bool();
        let partition = |slot: usize| if partitions == 0 { -1 } else { slot as i32 };
        let brokers =
            (0..partitions.max(1)).map(|slot| Broker::new(shared, knows_indexes, partition(slot)));
        Model {
            hub: Hub::new(spec_of(kind, is_reader), LIMITS),
            kind,
            is_reader,
            now_ms: 0,
            brokers: brokers.collect(),
            wires: (0..partitions.max(1)).map(|_| Wire::default()).collect(),
            clients: BTreeMap::new(),
            next_member: 0,
            fates: BTreeMap::new(),
            counts: Counts::default(),
            sought_by_others: Vec::new(),
            finished: true,
            rng,
        }
    }

    /// Exclusive and Failover: one member gets all of a partition, and redelivery is of everything.
    fn in_order(&self) -> bool {
        self.kind != SubscriptionType::Shared
    }

    fn id(&self, (slot, entry, index): Key) -> MessageId {
        let size = self.brokers[slot].topic[entry as usize].unwrap_or(0);
        MessageId {
            partition: if self.brokers.len() == 1 {
                -1
            } else {
                slot as i32
            },
            ..batch_id(entry, index, size)
        }
    }

    fn publish(&mut self) {
        let slot = self.rng.usize(0..self.brokers.len());
        let batch = self.rng.bool().then(|| self.rng.i32(1..6));
        let entry = self.brokers[slot].topic.len() as u64;
        self.brokers[slot].topic.push(batch);
        let indexes = batch.map_or(-1..0, |size| 0..size);
        for index in indexes {
            self.fates.insert((slot, entry, index), Fate::Free);
        }
    }

    // What the hub says.

    fn carry_out(&mut self, out: Vec<Effect>) {
        for effect in out {
            match effect {
                Effect::Joined { member } => assert!(self.clients.contains_key(&member)),
                Effect::Deliver { member, messages } => {
                    assert!(!messages.is_empty());
                    for message in messages {
                        self.delivered(member, &message);
                    }
                }
                Effect::Flow { slot, permits } => self.flowed(slot, permits),
                Effect::Redeliver { slot, .. } => {
                    self.redelivery_sent(slot);
                    self.wires[slot].to_broker.push_back(effect);
                }
                Effect::Ack { slot, .. } | Effect::AckCumulative { slot, .. } => {
                    self.wires[slot].to_broker.push_back(effect);
                }
                Effect::Seek { slot, tag, .. } => {
                    self.wires[slot].sought = Some(tag);
                    self.wires[slot].to_broker.push_back(effect);
                }
                Effect::TellSiblings(_) => {}
                Effect::CloseConsumer { slot } => self.wires[slot].to_broker.push_back(effect),
                Effect::AckUpTo { slot, entry, .. } => self.read_up_to(slot, entry),
                Effect::Finished => self.finish(),
                Effect::CountPartitions { .. } | Effect::OpenConsumer { .. } => {}
                other => panic!("not expected here: {other:?}"),
            }
        }
    }

    fn delivered(&mut self, member: MemberId, message: &Message) {
        let slot = message.id.partition.max(0) as usize;
        let key = (slot, message.id.entry, message.id.batch_index);
        let since_ms = self.now_ms;
        let fate = self.fates.get_mut(&key).expect("published");
        assert_eq!(*fate, Fate::Free, "{key:?} is delivered to {member:?}");
        *fate = match self.is_reader {
            true => Fate::Acked,
            false => Fate::Held {
                by: member,
                since_ms,
            },
        };
        let client = self.clients.get_mut(&member).expect("a live member");
        assert!(client.open() > 0, "{member:?} has no window");
        if client.spec.pull_mode {
            client.permits -= 1;
        } else {
            client.charged += 1;
        }
        if !self.in_order() {
            self.counts.delivered(key, message.redelivery_count);
        } else {
            assert_eq!(message.redelivery_count, 0);
            assert_eq!(Some(member), self.wires[slot].active);
            let last = &mut self.wires[slot].last;
            assert!(*last < Some((key.1, key.2)), "{key:?} comes after {last:?}");
            *last = Some((key.1, key.2));
        }
    }

    /// A reader says so only of what it has given out as a whole.
    fn read_up_to(&mut self, slot: usize, entry: u64) {
        let upto = (slot, 0, i32::MIN)..(slot, entry + 1, i32::MIN);
        let mut read = self.fates.range(upto);
        assert!(self.is_reader && read.all(|(_, fate)| *fate == Fate::Acked));
    }

    fn flowed(&mut self, slot: usize, permits: u32) {
        assert!(permits > 0);
        self.wires[slot].outstanding += i64::from(permits);
        self.wires[slot]
            .to_broker
            .push_back(Effect::Flow { slot, permits });
        // On Failover the windows of others are of no use to a partition.
        let active = self.wires[slot].active;
        let failover = self.kind == SubscriptionType::Failover;
        let clients = self.clients.iter();
        let clients = clients.filter(|(member, _)| !failover || Some(**member) == active);
        let open: i64 = clients.map(|(_, client)| i64::from(client.open())).sum();
        let wires = self.wires.iter();
        let wires = wires.filter(|wire| wire.active == active);
        let live = |fate: &&Fate| !matches!(fate, Fate::Free | Fate::Acked);
        let held = self.fates.values().filter(live).count() as i64;
        let given: i64 = wires.map(|wire| wire.outstanding.max(0)).sum();
        let slots = self.wires.len() as i64;
        // Windows may have shrunk since the others got theirs; then a slot gets one.
        let fair = self.wires[slot].outstanding <= 1 + held || given <= open + held + slots;
        assert!(fair, "{given} permits for {open} + {held}");
    }

    /// What is under way is dropped by the client machine, its permits given back; but for what it has passed on.
    fn redelivery_sent(&mut self, slot: usize) {
        if self.in_order() {
            let wire = &mut self.wires[slot];
            wire.epoch += 1;
            wire.passed = self.rng.usize(wire.passed..=wire.to_hub.len());
            let (stale, kept) = wire
                .to_hub
                .split_off(wire.passed)
                .into_iter()
                .partition(|event| matches!(event, Upstream::Entry(_)));
            wire.to_hub.extend::<VecDeque<Upstream>>(kept);
            let stale: VecDeque<Upstream> = stale;
            for event in stale {
                self.give_back(slot, &event);
            }
        }
    }

    fn give_back(&mut self, slot: usize, event: &Upstream) {
        if let Upstream::Entry(entry) = event {
            let permits = expected(entry) as u32;
            let flow = Effect::Flow { slot, permits };
            self.wires[slot].to_broker.push_back(flow);
        }
    }

    fn finish(&mut self) {
        assert!(self.clients.is_empty());
        self.finished = true;
        self.sought_by_others.clear();
        for slot in 0..self.wires.len() {
            while self.broker_takes(slot) {}
            self.brokers[slot].disconnect();
            // What a crash forgets of an earlier hub's acks, nobody could make good.
            self.brokers[slot].persist();
            self.wires[slot] = Wire::default();
            self.counts.expect_nothing_of(slot);
        }
        // The broker replays what it knows no ack of.
        for ((slot, entry, index), fate) in &mut self.fates {
            let acked = !self.is_reader && self.brokers[*slot].has_acked(*entry, *index);
            *fate = if acked { Fate::Acked } else { Fate::Free };
        }
    }

    fn call(&mut self, call: impl FnOnce(&mut Hub, u64, &mut Vec<Effect>)) {
        let mut out = Vec::new();
        call(&mut self.hub, self.now_ms, &mut out);
        self.hub.check_retained_bytes();
        self.carry_out(out);
    }

    /// Whether `member` held it.
    fn take_back(&mut self, member: MemberId, key: Key, to: Fate) -> bool {
        let fate = self.fates.get_mut(&key).unwrap();
        let was = std::mem::replace(fate, to);
        if let Fate::Held { by, .. } = was {
            self.clients.get_mut(&by).unwrap().free();
            return by == member;
        }
        false
    }
}

fn spec_of(kind: SubscriptionType, is_reader: bool) -> HubSpec {
    HubSpec {
        durable: !is_reader,
        start: is_reader.then_some(StartPosition::Earliest),
        ..hub_spec(kind)
    }
}

/// Says which seed it was when a run panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay with PWS_SEED={}", self.0);
        }
    }
}

fn seed_given() -> Option<u64> {
    std::env::var("PWS_SEED").ok()?.parse().ok()
}

fn run(seed: u64) {
    let said = Seed(seed);
    let mut model = Model::new(seed);
    model.join();
    let steps = if cfg!(miri) { 100 } else { 1000 };
    for _ in 0..steps {
        model.step();
    }
    model.settle_everything();
    assert_eq!(model.hub.retained_bytes(), 0);
    assert_eq!(model.hub.held, 0);
    drop(said);
}

#[test]
fn nothing_is_lost_and_nothing_is_repeated() {
    if let Some(seed) = seed_given() {
        return run(seed);
    }
    for seed in 0..if cfg!(miri) { 1 } else { 200 } {
        run(seed);
    }
}
