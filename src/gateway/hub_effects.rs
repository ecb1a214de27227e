//! The way of a hub's effects: to its members, to its upstream, to whom it asks.

use super::encryption::KeyQuestion;
use super::lane::LaneKind;
use super::post::{MemberEvent, Post, SocketId};
use super::shard::Shard;
use super::topics::{Asked, Watcher};
use crate::hub::{Effect, Input, MemberId, Undecryptable};
use crate::pulsar::CryptoFailureAction;
use crate::pulsar::client::{Client, ConsumerId};

impl Shard {
    pub(super) fn hub_effect(&mut self, now_ms: u64, place: usize, effect: Effect) {
        match effect {
            // Who has left, or sits in another hub by now, is told nothing of what this one still had for it: a reader that
            // was moved would take it for what comes from its new place.
            Effect::Joined { member }
            | Effect::Deliver { member, .. }
            | Effect::Gap { member, .. }
            | Effect::Unsubscribed { member }
            | Effect::Refused { member, .. }
            | Effect::Expelled { member, .. }
                if self.hubs.place_of(member) != Some(place) => {}
            Effect::Joined { member } => self.tell(member, MemberEvent::Joined),
            Effect::Deliver { member, messages } => {
                self.tell(member, MemberEvent::Deliver(messages))
            }
            Effect::Gap { member, gap } => self.tell(member, MemberEvent::Gap(gap)),
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
                    hub: self.hubs.id_of(place),
                    topic: topic.clone(),
                };
                self.count_partitions(now_ms, LaneKind::Consuming, &topic, asked);
            }
            Effect::ListTopics(pattern) => {
                let hub = self.hubs.id_of(place);
                self.list_for_hub(now_ms, hub, &pattern);
            }
            Effect::WantDataKey(sealed) => {
                let hub = self.hubs.id_of(place);
                self.key_questions
                    .push(KeyQuestion::DataKey { hub, sealed });
            }
            Effect::PublishDeadLetter {
                letter,
                topic,
                source,
                message,
            } => self.publish_dead_letter(now_ms, place, letter, topic, &source, &message),
            Effect::TellSiblings(seek) => {
                let siblings: Vec<usize> = self.hubs.siblings(place).collect();
                for sibling in siblings {
                    self.hubs.put(sibling, Input::SeekByOther(seek.clone()));
                }
            }
            Effect::Undecryptable(noted) => self.tell_undecryptable(now_ms, place, &noted),
            Effect::Finished => self.hub_finished(now_ms, place),
            upstream => self.hub_upstream_effect(now_ms, place, upstream),
        }
    }

    fn hub_upstream_effect(&mut self, now_ms: u64, place: usize, effect: Effect) {
        match effect {
            Effect::OpenConsumer { slot, spec } => {
                let consumer = self.consuming.client.open_consumer(now_ms, spec);
                self.hubs.opened(place, slot, consumer);
            }
            Effect::CloseConsumer { slot } => {
                if let Some(consumer) = self.hubs.closed(place, slot) {
                    self.consuming.client.close_consumer(now_ms, consumer);
                }
            }
            Effect::Flow { slot, permits } => {
                self.on_consumer(place, slot, |client, consumer| {
                    client.flow(consumer, permits)
                });
            }
            Effect::Ack {
                slot,
                tag,
                positions,
            } => {
                self.on_consumer(place, slot, |client, consumer| {
                    client.ack(now_ms, consumer, tag, &positions);
                });
            }
            Effect::AckCumulative {
                slot,
                tag,
                position,
            } => {
                self.on_consumer(place, slot, |client, consumer| {
                    client.ack_cumulative(now_ms, consumer, tag, &position);
                });
            }
            Effect::AckUpTo {
                slot,
                ledger,
                entry,
            } => {
                self.on_consumer(place, slot, |client, consumer| {
                    client.ack_up_to(consumer, ledger, entry);
                });
            }
            Effect::Redeliver { slot, positions } => {
                self.on_consumer(place, slot, |client, consumer| {
                    client.redeliver(consumer, &positions);
                });
            }
            Effect::Seek { slot, tag, target } => {
                self.on_consumer(place, slot, |client, consumer| {
                    client.seek(now_ms, consumer, tag, target);
                });
            }
            Effect::Unsubscribe { slot, tag } => {
                self.on_consumer(place, slot, |client, consumer| {
                    client.unsubscribe(now_ms, consumer, tag);
                });
            }
            // The others are carried out by `hub_effect`.
            _ => {}
        }
    }

    /// What is discarded is gone for its subscription, and what fails is not given out: neither is to happen in silence.
    fn tell_undecryptable(&mut self, now_ms: u64, place: usize, noted: &Undecryptable) {
        let Some(local) = self.hubs.local.get(place) else {
            return;
        };
        let spec = local.hub.spec();
        let Undecryptable {
            topic,
            key,
            entries,
        } = noted;
        let subscription = &spec.subscription;
        let fate = match spec.crypto_failure_action {
            CryptoFailureAction::Discard => "are discarded (acked)",
            _ => "are not given out",
        };
        let about = format!("{topic} {subscription}");
        if let Some(unsaid) = self.hubs.undecryptable.due_for(now_ms, &about, *entries) {
            tracing::warn!(
                %topic, subscription, key, entries, unsaid,
                "encrypted messages for which this gateway has no fitting private key {fate}: see cryptoKeyDirectory, and \
                 cryptoFailureAction of the clients"
            );
        }
    }

    /// With the upstream consumer of a hub's slot, while it is open.
    fn on_consumer(
        &mut self,
        place: usize,
        slot: usize,
        act: impl FnOnce(&mut Client, ConsumerId),
    ) {
        if let Some(consumer) = self.hubs.consumer(place, slot) {
            act(&mut self.consuming.client, consumer);
        }
    }

    /// The hub has closed its upstream and has no members: its place is free.
    fn hub_finished(&mut self, now_ms: u64, place: usize) {
        self.close_dead_letters(now_ms, place);
        let Some(local) = self.hubs.local.try_remove(place) else {
            return;
        };
        for topic in local.counted() {
            self.unwatch_partitions(topic, local.hub.spec().principal, Watcher::Hub(local.id));
        }
        if self.hubs.forget_sibling(&local, place) {
            self.proofs.closed(&local.key);
        }
        self.principals.release(local.hub.spec().principal);
        for consumer in local.consumers.into_iter().flatten() {
            self.hubs.by_consumer.remove(&consumer);
        }
        if let Some((key, _)) = local.timer {
            self.wheel.cancel(key);
        }
    }

    /// To a member's socket, on whichever shard it is.
    pub fn tell(&mut self, member: MemberId, event: MemberEvent) {
        self.post(
            SocketId::of(member).shard(),
            Post::ToMember { member, event },
        );
    }
}
