//! What the hubs of this shard are told, and when each is run.

use std::sync::Arc;

use super::hub_places::HubId;
use super::post::{Join, MemberEvent};
use super::proofs::Applicant;
use super::shard::{Shard, Timer};
use crate::hub::{Answer, Command, CommandRefused, Effect, Hub, Input, Limits, MemberId, Upstream};
use crate::pulsar::client::{ConsumerId, StartPosition};
use crate::pulsar::crypto::DataKey;
use crate::pulsar::{BrokerError, ErrorKind, MessageId};
use crate::runtime;

/// The largest entry after decompression. Brokers bound what is stored (5 MiB by default), not what it unpacks to; this
/// is a dozen times as much, and small enough that a lie costs one such buffer.
const MAX_UNCOMPRESSED_BYTES: usize = 64 * 1024 * 1024;

impl Shard {
    pub fn hub_join(&mut self, now_ms: u64, mut join: Join) {
        let limits = Limits {
            hub_retained_bytes: self.config.hub_retained_bytes,
            max_uncompressed_bytes: MAX_UNCOMPRESSED_BYTES,
            topics_update_ms: self.config.topics_update_ms,
            decrypts: self.key_keeper.is_some(),
            wall_zero_ms: runtime::wall_ms().saturating_sub(now_ms),
        };
        let mut found = self.hubs.place_with_room(&join);
        // What it has not heard yet may end it.
        while let Some(place) = found.filter(|place| self.hubs.is_busy(*place)) {
            self.with_hub(now_ms, place, |_, _| ());
            found = self.hubs.place_with_room(&join);
        }
        let place = match found {
            Some(place) if self.wants_proof(now_ms, place) => {
                return self.prove(now_ms, place, Applicant::Member(Box::new(join)));
            }
            Some(place) => place,
            None => {
                join.hub.principal = self.principals.take(join.key.speaker.as_ref());
                self.proofs.opens(now_ms, &join);
                self.hubs.insert(&join, limits)
            }
        };
        self.hubs.seat(&join, place);
        self.with_hub(now_ms, place, |hub, out| {
            hub.join(now_ms, join.member, join.spec, out)
        });
    }

    /// Ends all of them with the members that they still have: the shard is ending.
    pub fn shut_hubs(&mut self, now_ms: u64) {
        let places: Vec<usize> = self.hubs.local.iter().map(|(place, _)| place).collect();
        for place in places {
            self.with_hub(now_ms, place, |hub, out| hub.shut(out));
        }
        self.hubs.by_member.clear();
    }

    pub fn hub_leave(&mut self, now_ms: u64, member: MemberId) {
        match self.hubs.unseat(member) {
            Some(place) => self.with_hub(now_ms, place, |hub, out| hub.leave(now_ms, member, out)),
            None => self.proofs.forget_member(member),
        }
    }

    pub fn hub_command(&mut self, member: MemberId, command: Command) {
        let Some(place) = self.hubs.place_of(member) else {
            return self.command_after_unsubscribing(member, command);
        };
        let command = match command.acked() {
            Some(id) => self.ack_elsewhere(place, member, id, command),
            None => command,
        };
        self.hubs.put(place, Input::Command(member, command));
    }

    /// Tells the other hubs that have given out the message. What its own hub has to do then: where that one does not
    /// know the message, another answers.
    fn ack_elsewhere(
        &mut self,
        place: usize,
        member: MemberId,
        id: MessageId,
        command: Command,
    ) -> Command {
        let holders = self.hubs.other_holders(place, &id);
        let (own, mut request) = match holders.is_empty() || self.hubs.knows(place, &id) {
            true => (command, None),
            false => (Command::Handled, command.into_request()),
        };
        for holder in holders {
            let ack = Input::AckByOther {
                member,
                request: request.take(),
                id,
            };
            self.hubs.put(holder, ack);
        }
        own
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
        if let Some((place, slot)) = self.hubs.by_consumer.get(&consumer).copied() {
            self.hubs.put(place, Input::Upstream(slot, event));
        }
    }

    /// Hands the hubs what they have not heard yet. False: there was nothing.
    pub fn run_hubs(&mut self, now_ms: u64) -> bool {
        let busy = std::mem::take(&mut self.hubs.busy);
        for place in &busy {
            self.with_hub(now_ms, *place, |_, _| ());
        }
        !busy.is_empty()
    }

    /// A topic's first count.
    pub fn hub_partitions(
        &mut self,
        now_ms: u64,
        hub: HubId,
        topic: &str,
        result: Result<u32, BrokerError>,
    ) {
        if let Some(place) = self.hubs.place_by_id(hub) {
            self.with_hub(now_ms, place, |hub, out| {
                hub.partitions(now_ms, topic, result, out)
            });
        }
    }

    pub fn hub_partitions_now(&mut self, now_ms: u64, hub: HubId, topic: &str, count: u32) {
        if let Some(place) = self.hubs.place_by_id(hub) {
            self.with_hub(now_ms, place, |hub, out| {
                hub.partitions_now(now_ms, topic, count, out)
            });
        }
    }

    pub fn hub_topics(
        &mut self,
        now_ms: u64,
        hub: HubId,
        result: Result<Arc<Vec<String>>, BrokerError>,
    ) {
        if let Some(place) = self.hubs.place_by_id(hub) {
            self.with_hub(now_ms, place, |hub, out| {
                hub.topics_listed(now_ms, result, out)
            });
        }
    }

    /// The hub's data key, decrypted.
    pub fn hub_data_key(&mut self, now_ms: u64, hub: HubId, key: Option<Arc<DataKey>>) {
        if let Some(place) = self.hubs.place_by_id(hub) {
            self.with_hub(now_ms, place, |hub, out| hub.data_key(now_ms, key, out));
        }
    }

    /// What became of a dead letter of the hub in this place.
    pub fn hub_dead_letter(
        &mut self,
        now_ms: u64,
        place: usize,
        letter: u64,
        result: Result<(), BrokerError>,
    ) {
        self.with_hub(now_ms, place, |hub, out| {
            hub.dead_letter_done(now_ms, letter, result, out)
        });
    }

    /// The name that the dead-letter producers of the hub in this place go by, up to a random end.
    pub fn dead_letter_producer_name(&self, place: usize) -> Option<String> {
        let local = self.hubs.local.get(place)?;
        Some(local.hub.dead_letter_producer_name())
    }

    /// The subscription of the hub in this place.
    pub fn hub_subscription(&self, place: usize) -> Option<&str> {
        Some(&self.hubs.local.get(place)?.key.subscription)
    }

    /// Where the upstream consumers of this member's hub would begin, slot by slot.
    pub fn hub_starts(&self, member: MemberId) -> impl Iterator<Item = Option<StartPosition>> {
        let place = self.hubs.place_of(member);
        let local = place.and_then(|place| self.hubs.local.get(place));
        let consumers = local.into_iter().flat_map(|local| &local.consumers);
        consumers.map(|consumer| self.consuming.client.start_of((*consumer)?))
    }

    pub fn hub_timer(&mut self, now_ms: u64, hub: HubId) {
        if let Some(place) = self.hubs.place_by_id(hub) {
            self.hubs.local[place].timer = None;
            self.with_hub(now_ms, place, |hub, out| hub.tick(now_ms, out));
        }
    }

    /// Runs a hub's inbox and one more input through it, then carries its effects on and sets its timer anew.
    fn with_hub(
        &mut self,
        now_ms: u64,
        place: usize,
        input: impl FnOnce(&mut Hub, &mut Vec<Effect>),
    ) {
        let Some(local) = self.hubs.local.get_mut(place) else {
            return;
        };
        let mut effects = std::mem::take(&mut self.effects);
        let mut strangers = Vec::new();
        if !local.inbox.is_empty() {
            let inputs = std::mem::take(&mut local.inbox);
            (local.hub).run(now_ms, inputs, &mut strangers, &mut effects);
        }
        input(&mut local.hub, &mut effects);
        for effect in effects.drain(..) {
            self.hub_effect(now_ms, place, effect);
        }
        self.effects = effects;
        for (member, command) in strangers {
            self.command_after_unsubscribing(member, command);
        }
        self.arm_hub(place);
    }

    fn arm_hub(&mut self, place: usize) {
        let Some(local) = self.hubs.local.get_mut(place) else {
            return;
        };
        let due_ms = local.hub.next_deadline_ms();
        match (local.timer, due_ms) {
            (Some((_, armed_ms)), Some(due_ms)) if armed_ms <= due_ms => {}
            (_, None) => {}
            (armed, Some(due_ms)) => {
                if let Some((key, _)) = armed {
                    self.wheel.cancel(key);
                }
                let key = self.wheel.insert(due_ms, Timer::Hub(local.id));
                local.timer = Some((key, due_ms));
            }
        }
    }
}
