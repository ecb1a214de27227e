//! The rules of the hub, one by one, and a model of the broker that tries them all together.

mod chunks;
mod cumulative;
mod dead_letters;
mod decryption;
mod delivery;
mod failover;
mod lifecycle;
mod model;
mod portion;
mod reconnect;
mod redelivery;
mod requests;
mod seek;
mod settle;
mod topics;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message as _;

use super::*;
use crate::pulsar::client::AckPosition;
use crate::pulsar::{Entry, ErrorKind, InitialPosition, MessageId};

pub(crate) const TOPIC: &str = "persistent://public/default/t";

pub(super) const LIMITS: Limits = Limits {
    topics_update_ms: 60_000,
    hub_retained_bytes: 1 << 20,
    max_uncompressed_bytes: 1 << 20,
    decrypts: false,
    wall_zero_ms: 1_000_000_000,
};

pub(crate) fn hub_spec(subscription_type: SubscriptionType) -> HubSpec {
    HubSpec {
        topics: Topics::one(TOPIC),
        subscription: "s".to_owned(),
        subscription_type,
        durable: true,
        private: false,
        initial_position: InitialPosition::Latest,
        start: None,
        starts: Vec::new(),
        consumer_name: None,
        priority_level: 0,
        start_time_ms: None,
        read_compacted: false,
        crypto_failure_action: Default::default(),
        principal: Default::default(),
    }
}

pub(crate) fn member_spec(subscription_type: SubscriptionType, window: u32) -> MemberSpec {
    MemberSpec {
        subscription_type,
        consumer_name: "c".to_owned(),
        priority_level: 0,
        window,
        pull_mode: false,
        ack_timeout_ms: 0,
        negative_ack_delay_ms: 1000,
        dead_letter: None,
    }
}

/// In pull mode, without any permits.
pub(super) fn pull() -> MemberSpec {
    MemberSpec {
        pull_mode: true,
        ..member_spec(SubscriptionType::Shared, 0)
    }
}

/// An entry of ledger 1: a single message, or a batch of so many.
pub(crate) fn entry(entry: u64, batch: Option<i32>) -> Entry {
    let metadata = ::pulsar::proto::MessageMetadata {
        producer_name: "p".to_owned(),
        publish_time: 1,
        num_messages_in_batch: batch,
        ..Default::default()
    };
    let mut payload = BytesMut::new();
    match batch {
        None => payload.put_slice(b"payload"),
        Some(size) => {
            for _ in 0..size {
                let single = ::pulsar::proto::SingleMessageMetadata {
                    payload_size: 1,
                    ..Default::default()
                };
                payload.put_u32(single.encoded_len() as u32);
                payload.put_slice(&single.encode_to_vec());
                payload.put_u8(b'x');
            }
        }
    }
    Entry {
        ledger: 1,
        entry,
        partition: -1,
        redelivery_count: 0,
        ack_set: Vec::new(),
        consumer_epoch: None,
        is_decrypted: false,
        metadata: Bytes::from(metadata.encode_to_vec()),
        payload: payload.freeze(),
    }
}

pub(crate) fn id(entry: u64) -> MessageId {
    batch_id(entry, -1, 0)
}

pub(super) fn batch_id(entry: u64, batch_index: i32, batch_size: i32) -> MessageId {
    MessageId {
        ledger: 1,
        entry,
        partition: -1,
        batch_index,
        batch_size,
    }
}

pub(super) fn refusal(kind: ErrorKind) -> BrokerError {
    BrokerError {
        kind,
        message: "no".to_owned(),
    }
}

/// What the gateway says in one run, a piece at a time.
impl Hub {
    /// What is retained is what lies in the slots and what is in the making, and an entry of which nothing is live is charged nothing.
    pub fn check_retained_bytes(&self) {
        let mut sum = self.incomplete_bytes;
        for slot in &self.slots {
            let waiting = slot.queue.iter();
            sum += slot.opened_bytes
                + waiting
                    .map(|it| arrival::entry_bytes(&it.entry))
                    .sum::<usize>();
            for (key, entry) in &slot.entries {
                assert!(entry.live() > 0 || entry.bytes() == 0, "{key:?}: {entry:?}");
                sum += entry.bytes();
            }
        }
        assert_eq!(self.retained_bytes, sum);
    }

    pub fn command(
        &mut self,
        now_ms: u64,
        member: MemberId,
        command: Command,
        out: &mut Vec<Effect>,
    ) {
        self.commands(now_ms, member, [command], out);
    }

    pub fn commands(
        &mut self,
        now_ms: u64,
        member: MemberId,
        commands: impl IntoIterator<Item = Command>,
        out: &mut Vec<Effect>,
    ) {
        let commands = commands.into_iter();
        let inputs = commands.map(|command| Input::Command(member, command));
        self.run(now_ms, inputs, &mut Vec::new(), out);
    }

    pub fn upstream(&mut self, now_ms: u64, slot: usize, event: Upstream, out: &mut Vec<Effect>) {
        self.upstream_run(now_ms, [(slot, event)], out);
    }

    pub fn upstream_run(
        &mut self,
        now_ms: u64,
        events: impl IntoIterator<Item = (usize, Upstream)>,
        out: &mut Vec<Effect>,
    ) {
        let inputs = events.into_iter();
        let inputs = inputs.map(|(slot, event)| Input::Upstream(slot, event));
        self.run(now_ms, inputs, &mut Vec::new(), out);
    }
}

/// A hub, its clock, and what it has said since it was last asked.
pub(super) struct World {
    pub hub: Hub,
    pub now_ms: u64,
    pub out: Vec<Effect>,
}

impl World {
    pub fn new(spec: HubSpec) -> World {
        World {
            hub: Hub::new(spec, LIMITS),
            now_ms: 0,
            out: Vec::new(),
        }
    }

    /// Open on an unpartitioned topic, with member 1.
    pub fn open(subscription_type: SubscriptionType, window: u32) -> World {
        let mut world = World::new(hub_spec(subscription_type));
        world.open_with(member_spec(subscription_type, window));
        world
    }

    pub fn open_with(&mut self, member: MemberSpec) {
        self.join(1, member);
        let topic = self.hub.spec().topics.name().to_owned();
        self.hub
            .partitions(self.now_ms, &topic, Ok(0), &mut self.out);
        self.upstream(Upstream::Ready);
        let joined = |effect: &Effect| matches!(effect, Effect::Joined { .. });
        assert!(self.out.iter().any(joined));
        self.out.clear();
    }

    pub fn join(&mut self, member: u64, spec: MemberSpec) {
        (self.hub).join(self.now_ms, MemberId(member), spec, &mut self.out);
    }

    pub fn leave(&mut self, member: u64) {
        (self.hub).leave(self.now_ms, MemberId(member), &mut self.out);
    }

    pub fn command(&mut self, member: u64, command: Command) {
        let member = MemberId(member);
        (self.hub).command(self.now_ms, member, command, &mut self.out);
    }

    pub fn upstream(&mut self, event: Upstream) {
        self.hub.upstream(self.now_ms, 0, event, &mut self.out);
    }

    /// Single messages.
    pub fn entries(&mut self, entries: std::ops::Range<u64>) {
        let events = entries.map(|at| (0, Upstream::Entry(entry(at, None))));
        self.hub.upstream_run(self.now_ms, events, &mut self.out);
    }

    pub fn batch(&mut self, at: u64, size: i32) {
        self.upstream(Upstream::Entry(entry(at, Some(size))));
    }

    /// Lets time pass, deadline by deadline.
    pub fn wait(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(next_ms) = self.hub.next_deadline_ms().filter(|at| *at <= end_ms) {
            self.now_ms = next_ms.max(self.now_ms);
            self.hub.tick(self.now_ms, &mut self.out);
        }
        self.now_ms = end_ms;
    }

    pub fn lose(&mut self, abrupt: bool) {
        self.upstream(Upstream::Lost { abrupt });
        self.upstream(Upstream::Resumed);
    }

    /// The topic goes to another cluster.
    pub fn migrate(&mut self) {
        self.upstream(Upstream::Lost { abrupt: false });
        self.upstream(Upstream::Migrated);
        self.upstream(Upstream::Resumed);
    }

    fn take<T>(&mut self, pick: impl Fn(&Effect) -> Option<T>) -> Vec<T> {
        let picked = self.out.iter().filter_map(&pick).collect();
        self.out.retain(|effect| pick(effect).is_none());
        picked
    }

    /// (member, entry, batch index, redelivery count) of what was delivered since last asked.
    pub fn delivered(&mut self) -> Vec<(u64, u64, i32, u32)> {
        let runs = self.take(|effect| match effect {
            Effect::Deliver { member, messages } => Some((member.0, messages.clone())),
            _ => None,
        });
        let all = runs.into_iter().flat_map(|(member, messages)| {
            messages
                .into_iter()
                .map(move |m| (member, m.id.entry, m.id.batch_index, m.redelivery_count))
        });
        all.collect()
    }

    /// The entries that were delivered, whoever got them.
    pub fn delivered_entries(&mut self) -> Vec<u64> {
        let all = self.delivered();
        all.into_iter().map(|(_, entry, ..)| entry).collect()
    }

    pub fn flows(&mut self) -> Vec<u32> {
        self.take(|effect| match effect {
            Effect::Flow { permits, .. } => Some(*permits),
            _ => None,
        })
    }

    /// (tag, positions) of the acks sent since last asked.
    pub fn ack_commands(&mut self) -> Vec<(u64, Vec<AckPosition>)> {
        self.take(|effect| match effect {
            Effect::Ack { tag, positions, .. } => Some((*tag, positions.clone())),
            _ => None,
        })
    }

    /// The broker answers the ACK with this tag.
    pub fn ack_done(&mut self, tag: u64, result: Result<(), BrokerError>) {
        self.upstream(Upstream::AckDone { tag, result });
    }

    /// (entry, ack set) of the acks sent since last asked, after the gathering time.
    pub fn acks(&mut self) -> Vec<(u64, Vec<u64>)> {
        self.wait(super::limits::ACK_GATHER_MS);
        let commands = self.ack_commands();
        let positions = commands.into_iter().flat_map(|(_, positions)| positions);
        positions.map(|p| (p.entry, p.ack_set)).collect()
    }

    pub fn redelivers(&mut self) -> Vec<Vec<u64>> {
        self.take(|effect| match effect {
            Effect::Redeliver { positions, .. } => {
                Some(positions.iter().map(|(_, entry)| *entry).collect())
            }
            _ => None,
        })
    }
}
