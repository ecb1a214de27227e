//! The hubs that live on this shard, and the way of their effects to members and to the upstream.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use slab::Slab;

use super::encryption::KeyQuestion;
use super::lane::LaneKind;
use super::post::{HubKey, Join, MemberEvent, SocketId};
use super::shard::{Shard, Timer};
use super::siblings::counted_window;
use super::topics::{Asked, HubPlace, Watcher};
use crate::hub::{
    Answer, Command, CommandRefused, Effect, Hub, Input, Limits, MemberId, Topics, Upstream,
};
use crate::pulsar::client::{ConsumerId, Principal, StartPosition};
use crate::pulsar::crypto::DataKey;
use crate::pulsar::{BrokerError, ErrorKind};
use crate::runtime::TimerKey;

/// The largest entry after decompression. Brokers bound what is stored (5 MiB by default), not what it unpacks to; this
/// is a dozen times as much, and small enough that a lie costs one such buffer.
const MAX_UNCOMPRESSED_BYTES: usize = 64 * 1024 * 1024;

pub(super) struct Place {
    generation: u32,
    key: HubKey,
    pub(super) hub: Hub,
    /// The windows of its members together.
    pub(super) windows: u64,
    /// The upstream consumer of each slot; None before it is opened and after it is closed.
    consumers: Vec<Option<ConsumerId>>,
    /// What it has not heard yet of this turn.
    inbox: Vec<Input>,
    /// The wheel's entry for the hub's next deadline, and that deadline.
    timer: Option<(TimerKey, u64)>,
}

/// A member's hub, and what it counts for there.
struct Seat {
    slot: usize,
    window: u64,
}

impl Place {
    pub(super) fn key(&self) -> &HubKey {
        &self.key
    }

    /// The topics whose partitions are watched, where they have any.
    fn counted(&self) -> &[Arc<str>] {
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
    by_member: FxHashMap<MemberId, Seat>,
    /// Which hub and slot of it an upstream consumer belongs to.
    by_consumer: FxHashMap<ConsumerId, (usize, usize)>,
    /// Places with something in their inbox; they may be gone.
    busy: Vec<usize>,
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

    fn new_place(&mut self, join: &Join, limits: Limits) -> usize {
        self.generation = self.generation.wrapping_add(1);
        let slot = self.places.insert(Place {
            generation: self.generation,
            key: join.key.clone(),
            hub: Hub::new(join.hub.clone(), limits),
            windows: 0,
            consumers: Vec::new(),
            inbox: Vec::new(),
            timer: None,
        });
        self.by_key.entry(join.key.clone()).or_default().push(slot);
        slot
    }

    fn seat(&mut self, join: &Join, slot: usize) {
        let window = counted_window(&join.spec);
        self.places[slot].windows += window;
        let seat = Seat { slot, window };
        self.by_member.insert(join.member, seat);
    }

    /// The member's hub, which knows it no more or is about to hear so.
    fn unseat(&mut self, member: MemberId) -> Option<usize> {
        let Seat { slot, window } = self.by_member.remove(&member)?;
        if let Some(place) = self.places.get_mut(slot) {
            place.windows -= window;
        }
        Some(slot)
    }

    /// For [`Shard::run_hubs`] later in this turn.
    fn put(&mut self, slot: usize, input: Input) {
        if let Some(place) = self.places.get_mut(slot) {
            if place.inbox.is_empty() {
                self.busy.push(slot);
            }
            place.inbox.push(input);
        }
    }

    fn hub_of(&self, member: MemberId) -> Option<usize> {
        Some(self.by_member.get(&member)?.slot)
    }

    /// The upstream consumer of a hub's slot, while it is open.
    fn consumer(&self, slot: usize, index: usize) -> Option<ConsumerId> {
        let consumers = &self.places.get(slot)?.consumers;
        consumers.get(index).copied().flatten()
    }

    fn opened(&mut self, slot: usize, index: usize, consumer: ConsumerId) {
        let Some(place) = self.places.get_mut(slot) else {
            return;
        };
        if place.consumers.len() <= index {
            place.consumers.resize(index + 1, None);
        }
        place.consumers[index] = Some(consumer);
        self.by_consumer.insert(consumer, (slot, index));
    }

    fn closed(&mut self, slot: usize, index: usize) -> Option<ConsumerId> {
        let place = self.places.get_mut(slot)?;
        let consumer = place.consumers.get_mut(index)?.take()?;
        self.by_consumer.remove(&consumer);
        Some(consumer)
    }

    fn place_of(&self, slot: usize) -> HubPlace {
        HubPlace {
            slot,
            generation: self.places[slot].generation,
        }
    }

    /// Its slot, while it is the same hub.
    fn slot_of(&self, hub: HubPlace) -> Option<usize> {
        (self.places.get(hub.slot)?.generation == hub.generation).then_some(hub.slot)
    }
}

impl Shard {
    pub fn hub_join(&mut self, now_ms: u64, mut join: Join) {
        let limits = Limits {
            hub_retained_bytes: self.config.hub_retained_bytes,
            max_uncompressed_bytes: MAX_UNCOMPRESSED_BYTES,
            topics_update_ms: self.config.topics_update_ms,
            decrypts: self.key_keeper.is_some(),
        };
        let slot = match self.hubs.place_with_room(&join) {
            Some(slot) => slot,
            None => {
                join.hub.principal = self.principals.take(join.key.speaker.as_ref());
                self.hubs.new_place(&join, limits)
            }
        };
        self.hubs.seat(&join, slot);
        self.with_hub(now_ms, slot, |hub, out| {
            hub.join(now_ms, join.member, join.spec, out)
        });
    }

    /// Ends all of them with the members that they still have: the shard is ending.
    pub fn shut_hubs(&mut self, now_ms: u64) {
        let slots: Vec<usize> = self.hubs.places.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.with_hub(now_ms, slot, |hub, out| hub.shut(out));
        }
        self.hubs.by_member.clear();
    }

    pub fn hub_leave(&mut self, now_ms: u64, member: MemberId) {
        if let Some(slot) = self.hubs.unseat(member) {
            self.with_hub(now_ms, slot, |hub, out| hub.leave(now_ms, member, out));
        }
    }

    pub fn hub_command(&mut self, member: MemberId, command: Command) {
        let Some(slot) = self.hubs.hub_of(member) else {
            return self.command_after_unsubscribing(member, command);
        };
        let mut command = command;
        if let Some(id) = command.acked()
            && let Some(holder) = self.hubs.holder(slot, &id)
        {
            self.hubs.put(
                holder,
                Input::AckByOther {
                    member,
                    request: command.into_request(),
                    id,
                },
            );
            command = Command::Handled;
        }
        self.hubs.put(slot, Input::Command(member, command));
    }

    /// No hub knows the member any more; its open socket is answered as Java's closed consumer answers.
    fn command_after_unsubscribing(&mut self, member: MemberId, command: Command) {
        match command {
            Command::IsEndOfTopic => self.tell(member, MemberEvent::EndOfTopic(false)),
            Command::Unsubscribe => {
                let error = BrokerError {
                    kind: ErrorKind::Other,
                    message: "Consumer was already closed".to_owned(),
                };
                self.tell(member, MemberEvent::UnsubscribeFailed(error));
            }
            Command::Asked(asked) => {
                let text = "Consumer was already closed".to_owned();
                let answer = Answer {
                    request: Some(asked.request),
                    result: Err(CommandRefused::Invalid(text)),
                };
                self.tell(member, MemberEvent::Answer(answer));
            }
            _ => {}
        }
    }

    pub fn hub_upstream(&mut self, consumer: ConsumerId, event: Upstream) {
        if let Some((slot, index)) = self.hubs.by_consumer.get(&consumer).copied() {
            self.hubs.put(slot, Input::Upstream(index, event));
        }
    }

    /// Hands the hubs what they have not heard yet. False: there was nothing.
    pub fn run_hubs(&mut self, now_ms: u64) -> bool {
        let busy = std::mem::take(&mut self.hubs.busy);
        for slot in &busy {
            self.with_hub(now_ms, *slot, |_, _| ());
        }
        !busy.is_empty()
    }

    /// A topic's first count.
    pub fn hub_partitions(
        &mut self,
        now_ms: u64,
        hub: HubPlace,
        topic: &str,
        result: Result<u32, BrokerError>,
    ) {
        if let Some(slot) = self.hubs.slot_of(hub) {
            self.with_hub(now_ms, slot, |hub, out| {
                hub.partitions(now_ms, topic, result, out)
            });
        }
    }

    pub fn hub_partitions_now(&mut self, now_ms: u64, hub: HubPlace, topic: &str, count: u32) {
        if let Some(slot) = self.hubs.slot_of(hub) {
            self.with_hub(now_ms, slot, |hub, out| {
                hub.partitions_now(now_ms, topic, count, out)
            });
        }
    }

    pub fn hub_topics(
        &mut self,
        now_ms: u64,
        hub: HubPlace,
        result: Result<Arc<Vec<String>>, BrokerError>,
    ) {
        if let Some(slot) = self.hubs.slot_of(hub) {
            self.with_hub(now_ms, slot, |hub, out| {
                hub.topics_listed(now_ms, result, out)
            });
        }
    }

    /// The hub's data key, decrypted.
    pub fn hub_data_key(&mut self, now_ms: u64, hub: HubPlace, key: Option<Arc<DataKey>>) {
        if let Some(slot) = self.hubs.slot_of(hub) {
            self.with_hub(now_ms, slot, |hub, out| hub.data_key(now_ms, key, out));
        }
    }

    /// What became of a dead letter of the hub in this place.
    pub fn hub_dead_letter(
        &mut self,
        now_ms: u64,
        slot: usize,
        letter: u64,
        result: Result<(), BrokerError>,
    ) {
        self.with_hub(now_ms, slot, |hub, out| {
            hub.dead_letter_done(now_ms, letter, result, out)
        });
    }

    /// The name that the dead-letter producers of the hub in this place go by, up to a random end.
    pub fn dead_letter_producer_name(&self, slot: usize) -> Option<String> {
        let place = self.hubs.places.get(slot)?;
        Some(place.hub.dead_letter_producer_name())
    }

    /// The subscription of the hub in this place.
    pub fn hub_subscription(&self, slot: usize) -> Option<&str> {
        Some(&self.hubs.places.get(slot)?.key.subscription)
    }

    /// Where the upstream consumers of this member's hub would begin, slot by slot.
    pub fn hub_starts(&self, member: MemberId) -> impl Iterator<Item = Option<StartPosition>> {
        let slot = self.hubs.by_member.get(&member);
        let place = slot.and_then(|seat| self.hubs.places.get(seat.slot));
        let consumers = place.into_iter().flat_map(|place| &place.consumers);
        consumers.map(|consumer| self.consuming.client.start_of((*consumer)?))
    }

    pub fn hub_timer(&mut self, now_ms: u64, slot: usize, generation: u32) {
        if let Some(place) = self
            .hubs
            .places
            .get_mut(slot)
            .filter(|place| place.generation == generation)
        {
            place.timer = None;
            self.with_hub(now_ms, slot, |hub, out| hub.tick(now_ms, out));
        }
    }

    /// Runs a hub's inbox and one more input through it, then carries its effects on and sets its timer anew.
    fn with_hub(
        &mut self,
        now_ms: u64,
        slot: usize,
        input: impl FnOnce(&mut Hub, &mut Vec<Effect>),
    ) {
        let Some(place) = self.hubs.places.get_mut(slot) else {
            return;
        };
        let mut effects = std::mem::take(&mut self.effects);
        let mut strangers = Vec::new();
        if !place.inbox.is_empty() {
            let inputs = std::mem::take(&mut place.inbox);
            (place.hub).run(now_ms, inputs, &mut strangers, &mut effects);
        }
        input(&mut place.hub, &mut effects);
        for effect in effects.drain(..) {
            self.hub_effect(now_ms, slot, effect);
        }
        self.effects = effects;
        for (member, command) in strangers {
            self.command_after_unsubscribing(member, command);
        }
        self.arm_hub(slot);
    }

    fn arm_hub(&mut self, slot: usize) {
        let Some(place) = self.hubs.places.get_mut(slot) else {
            return;
        };
        let due_ms = place.hub.next_deadline_ms();
        match (place.timer, due_ms) {
            (Some((_, armed_ms)), Some(due_ms)) if armed_ms <= due_ms => {}
            (_, None) => {}
            (armed, Some(due_ms)) => {
                if let Some((key, _)) = armed {
                    self.wheel.cancel(key);
                }
                let key = self.wheel.insert(
                    due_ms,
                    Timer::Hub {
                        slot,
                        generation: place.generation,
                    },
                );
                place.timer = Some((key, due_ms));
            }
        }
    }

    fn hub_effect(&mut self, now_ms: u64, slot: usize, effect: Effect) {
        match effect {
            Effect::Joined { member } => self.tell(member, MemberEvent::Joined),
            Effect::Deliver { member, messages } => {
                self.tell(member, MemberEvent::Deliver(messages))
            }
            Effect::EndOfTopic { member, reached } => {
                self.tell(member, MemberEvent::EndOfTopic(reached))
            }
            Effect::Answer { member, answer } => self.tell(member, MemberEvent::Answer(answer)),
            Effect::UnsubscribeFailed { member, error } => {
                self.tell(member, MemberEvent::UnsubscribeFailed(error))
            }
            Effect::Unsubscribed { member } => {
                self.hubs.unseat(member);
            }
            Effect::Refused { member, refusal } => {
                self.hubs.unseat(member);
                self.tell(member, MemberEvent::Refused(refusal));
            }
            Effect::Expelled { member, refusal } => {
                self.hubs.unseat(member);
                self.tell(member, MemberEvent::Expelled(refusal));
            }
            Effect::CountPartitions { topic } => {
                let asked = Asked::HubPartitions {
                    hub: self.hubs.place_of(slot),
                    topic: topic.clone(),
                };
                self.count_partitions(now_ms, LaneKind::Consuming, &topic, asked);
            }
            Effect::ListTopics(pattern) => {
                let hub = self.hubs.place_of(slot);
                self.list_for_hub(now_ms, hub, &pattern);
            }
            Effect::WantDataKey(sealed) => {
                let hub = self.hubs.place_of(slot);
                self.key_questions
                    .push(KeyQuestion::DataKey { hub, sealed });
            }
            Effect::PublishDeadLetter {
                letter,
                topic,
                source,
                message,
            } => self.publish_dead_letter(now_ms, slot, letter, topic, &source, &message),
            Effect::Finished => self.hub_finished(now_ms, slot),
            upstream => self.hub_upstream_effect(now_ms, slot, upstream),
        }
    }

    fn hub_upstream_effect(&mut self, now_ms: u64, slot: usize, effect: Effect) {
        let client = &mut self.consuming.client;
        let hubs = &mut self.hubs;
        match effect {
            Effect::OpenConsumer { slot: index, spec } => {
                let consumer = client.open_consumer(now_ms, spec);
                hubs.opened(slot, index, consumer);
            }
            Effect::CloseConsumer { slot: index } => {
                if let Some(consumer) = hubs.closed(slot, index) {
                    client.close_consumer(now_ms, consumer);
                }
            }
            Effect::Flow {
                slot: index,
                permits,
            } => {
                if let Some(consumer) = hubs.consumer(slot, index) {
                    client.flow(consumer, permits);
                }
            }
            Effect::Ack {
                slot: index,
                tag,
                positions,
            } => {
                if let Some(consumer) = hubs.consumer(slot, index) {
                    client.ack(now_ms, consumer, tag, &positions);
                }
            }
            Effect::Seek {
                slot: index,
                tag,
                target,
            } => {
                if let Some(consumer) = hubs.consumer(slot, index) {
                    client.seek(now_ms, consumer, tag, target);
                }
            }
            Effect::AckCumulative {
                slot: index,
                tag,
                position,
            } => {
                if let Some(consumer) = hubs.consumer(slot, index) {
                    client.ack_cumulative(now_ms, consumer, tag, &position);
                }
            }
            Effect::AckUpTo {
                slot: index,
                ledger,
                entry,
            } => {
                if let Some(consumer) = hubs.consumer(slot, index) {
                    client.ack_up_to(consumer, ledger, entry);
                }
            }
            Effect::Redeliver {
                slot: index,
                positions,
            } => {
                if let Some(consumer) = hubs.consumer(slot, index) {
                    client.redeliver(consumer, &positions);
                }
            }
            Effect::Unsubscribe { slot: index, tag } => {
                if let Some(consumer) = hubs.consumer(slot, index) {
                    client.unsubscribe(now_ms, consumer, tag);
                }
            }
            // The others are carried out by `hub_effect`.
            _ => {}
        }
    }

    /// The hub has closed its upstream and has no members: its place is free.
    fn hub_finished(&mut self, now_ms: u64, slot: usize) {
        self.close_dead_letters(now_ms, slot);
        let Some(place) = self.hubs.places.try_remove(slot) else {
            return;
        };
        let hub = HubPlace {
            slot,
            generation: place.generation,
        };
        for topic in place.counted() {
            self.unwatch_partitions(topic, place.hub.spec().principal, Watcher::Hub(hub));
        }
        self.hubs.forget_sibling(&place.key, slot);
        self.principals.release(place.hub.spec().principal);
        for consumer in place.consumers.into_iter().flatten() {
            self.hubs.by_consumer.remove(&consumer);
        }
        if let Some((key, _)) = place.timer {
            self.wheel.cancel(key);
        }
    }

    /// To a member's socket, on whichever shard it is.
    pub fn tell(&mut self, member: MemberId, event: MemberEvent) {
        self.post(
            SocketId::of(member).shard(),
            super::post::Post::ToMember { member, event },
        );
    }
}
