//! Joining and leaving, opening and closing the upstream, unsubscribing.

use std::collections::BTreeSet;

use super::Hub;
use super::effect::{Effect, MemberId, MemberSpec, Refusal, Topics};
use super::member::Member;
use super::requests::RequestNumber;
use super::slot::Link;
use crate::pulsar::client::{StartPosition, Tag};
use crate::pulsar::topics::{partition_index, partition_name};
use crate::pulsar::{BrokerError, ErrorKind, SubscriptionType};

/// AbstractDispatcherSingleActiveConsumer.internalAddConsumer.
const EXCLUSIVE_TAKEN: &str = "Exclusive consumer is already connected";

/// PersistentSubscription.doUnsubscribe.
const UNSUBSCRIBE_REFUSED: &str = "Unconnected or shared consumer attempting to unsubscribe";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    New,
    /// Topics or their partitions are not known yet.
    Counting,
    /// Some slot has not been ready so far.
    Opening,
    Open,
    Finished,
}

/// An `Unsubscribe` on its way, for the only member.
#[derive(Debug)]
pub(super) struct Unsubscribing {
    member: MemberId,
    /// Its client wants to know.
    request: Option<RequestNumber>,
    tag: Tag,
    /// Slots that have not answered.
    left: BTreeSet<usize>,
    /// Slots whose part of the subscription is deleted.
    deleted: Vec<usize>,
    error: Option<BrokerError>,
}

impl Hub {
    pub(super) fn admit(&mut self, member: MemberId, spec: MemberSpec, out: &mut Vec<Effect>) {
        if self.phase == Phase::Finished {
            return;
        }
        if let Some(text) = self.conflict(&spec) {
            out.push(Effect::Refused {
                member,
                refusal: Refusal::Busy(text),
            });
            return;
        }
        if self.phase == Phase::Open && self.unsubscribing.is_none() {
            self.welcome(member, spec, out);
            return;
        }
        self.waiting.push((member, spec));
        if self.phase == Phase::New {
            self.ask_for_topics(out);
        }
    }

    /// What the broker would say to one more consumer beside those that are here.
    fn conflict(&self, spec: &MemberSpec) -> Option<String> {
        let active = self.spec.subscription_type;
        if spec.subscription_type != active {
            return Some(format!(
                "Subscription is of different type. Active subscription type of '{}' is different than the connecting \
                 consumer's type '{}'.",
                broker_name(active),
                broker_name(spec.subscription_type)
            ));
        }
        let single = matches!(
            active,
            SubscriptionType::Exclusive | SubscriptionType::KeyShared
        );
        let taken = single && self.member_count() > 0;
        taken.then(|| EXCLUSIVE_TAKEN.to_owned())
    }

    /// The topic or partition that the slot's upstream consumer is on.
    pub(super) fn slot_topic(&self, slot: usize) -> String {
        let Some(slot) = self.slots.get(slot) else {
            return String::new();
        };
        match partition_index(&slot.topic) {
            ..0 => partition_name(&slot.topic, slot.partition),
            _ => slot.topic.to_string(),
        }
    }

    fn welcome(&mut self, member: MemberId, spec: MemberSpec, out: &mut Vec<Effect>) {
        self.dead_letters.stop_lingering();
        if self.is_failover() {
            self.candidates.add(member, &spec);
        }
        self.members.add(member, Member::new(spec));
        out.push(Effect::Joined { member });
    }

    fn welcome_waiting(&mut self, out: &mut Vec<Effect>) {
        for (member, spec) in std::mem::take(&mut self.waiting) {
            self.welcome(member, spec, out);
        }
    }

    /// As in Java every partition starts from the same id; ledgers tell them apart.
    pub(super) fn start_of(&self, partition: i32) -> Option<StartPosition> {
        let own = self
            .spec
            .starts
            .get(usize::try_from(partition).unwrap_or(0));
        own.or(self.spec.starts.last()).copied().or(self.spec.start)
    }

    pub(super) fn slot_ready(&mut self, slot: usize, out: &mut Vec<Effect>) {
        self.slots[slot].link = Link::Up;
        // What has worked and then goes for good is not just not there yet.
        self.slots[slot].may_go &= matches!(self.spec.topics, Topics::Pattern(_));
        self.opened_if_ready(out);
    }

    pub(super) fn opened_if_ready(&mut self, out: &mut Vec<Effect>) {
        let all = self.slots.iter().all(|slot| slot.link != Link::Opening);
        if self.phase == Phase::Opening && all && !self.seeks_its_start(out) {
            self.phase = Phase::Open;
            self.welcome_waiting(out);
        }
    }

    /// Refused at its creation, or gone for good. What came to an open hub does not end it, nor does a topic that
    /// was deleted between the listing and the opening.
    pub(super) fn slot_failed(&mut self, slot: usize, error: BrokerError, out: &mut Vec<Effect>) {
        let opening = self.phase == Phase::Opening;
        if !self.slots[slot].may_go || opening && error.kind != ErrorKind::NotFound {
            return self.fail(&error, Some(slot), out);
        }
        let topic = &self.slots[slot].topic;
        tracing::warn!(%topic, text = %error.message, "a topic cannot be consumed any more, or not yet");
        self.remove_slot(slot, out);
        self.opened_if_ready(out);
    }

    pub(super) fn fail(
        &mut self,
        error: &BrokerError,
        failed: Option<usize>,
        out: &mut Vec<Effect>,
    ) {
        let refusal = Refusal::Broker(error.clone());
        for (member, _) in std::mem::take(&mut self.waiting) {
            out.push(Effect::Refused {
                member,
                refusal: refusal.clone(),
            });
        }
        for member in self.members.ids() {
            out.push(Effect::Expelled {
                member,
                refusal: refusal.clone(),
            });
        }
        self.close_consumers(failed, out);
        self.finish(out);
    }

    pub(super) fn dismiss(&mut self, now_ms: u64, member: MemberId, out: &mut Vec<Effect>) {
        let known = self.member_count();
        self.waiting.retain(|(waiting, _)| *waiting != member);
        self.candidates.remove(member);
        if let Some(left) = self.members.remove(member) {
            self.pass_on(left);
        }
        if self.member_count() == 0 && known > 0 && !self.lingers(now_ms) {
            self.shut(out);
        }
    }

    /// Ends the hub, whoever is still in it: acks go out, the broker replays what was not settled.
    pub fn shut(&mut self, out: &mut Vec<Effect>) {
        if self.phase == Phase::Finished {
            return;
        }
        self.send_all_acks(out);
        self.close_consumers(None, out);
        self.finish(out);
    }

    fn close_consumers(&mut self, except: Option<usize>, out: &mut Vec<Effect>) {
        for slot in self.open_slots().filter(|slot| Some(*slot) != except) {
            out.push(Effect::CloseConsumer { slot });
        }
    }

    pub(super) fn open_slots(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.slots.len()).filter(|slot| self.slots[*slot].link != Link::Closed)
    }

    fn finish(&mut self, out: &mut Vec<Effect>) {
        self.leave_seek(out);
        *self = Hub {
            phase: Phase::Finished,
            stats: self.stats,
            ..Hub::new(self.spec.clone(), self.limits)
        };
        out.push(Effect::Finished);
    }

    /// With others attached it is refused as the broker refuses it; alone it is the broker's to say.
    pub(super) fn unsubscribe(
        &mut self,
        member: MemberId,
        request: Option<RequestNumber>,
        out: &mut Vec<Effect>,
    ) {
        if self.member_count() > 1 || self.unsubscribing.is_some() {
            let error = BrokerError {
                kind: ErrorKind::Retryable,
                message: UNSUBSCRIBE_REFUSED.to_owned(),
            };
            return self.unsubscribe_failed(member, request, error, out);
        }
        self.send_all_acks(out);
        self.next_tag += 1;
        self.unsubscribing = Some(Unsubscribing {
            member,
            request,
            tag: self.next_tag,
            left: self.open_slots().collect(),
            deleted: Vec::new(),
            error: None,
        });
        if self.live_slots() == 0 {
            // A pattern that has met no topic.
            return self.all_unsubscribed(out);
        }
        for slot in self.open_slots() {
            out.push(Effect::Unsubscribe {
                slot,
                tag: self.next_tag,
            });
        }
    }

    pub(super) fn unsubscribed(
        &mut self,
        slot: usize,
        tag: Tag,
        result: Result<(), BrokerError>,
        out: &mut Vec<Effect>,
    ) {
        let Some(state) = self.unsubscribing.as_mut() else {
            return;
        };
        if state.tag != tag || !state.left.remove(&slot) {
            return;
        }
        match result {
            Ok(()) => state.deleted.push(slot),
            Err(error) => {
                state.error.get_or_insert(error);
            }
        }
        self.all_unsubscribed(out);
    }

    /// The slot is gone, and so is its answer.
    pub(super) fn unsubscribe_without(&mut self, slot: usize, out: &mut Vec<Effect>) {
        if let Some(state) = &mut self.unsubscribing {
            state.left.remove(&slot);
            self.all_unsubscribed(out);
        }
    }

    /// Once all have answered.
    fn all_unsubscribed(&mut self, out: &mut Vec<Effect>) {
        let Some(state) = self.unsubscribing.take_if(|state| state.left.is_empty()) else {
            return;
        };
        match state.error {
            Some(error) => {
                // The client machine knows these consumers no more; the others are where they were.
                for slot in state.deleted {
                    self.reopen_slot(slot, out);
                }
                let member = state.member;
                if self.members.contains(member) {
                    self.unsubscribe_failed(member, state.request, error, out);
                }
                self.welcome_waiting(out);
            }
            None => {
                out.push(Effect::Unsubscribed {
                    member: state.member,
                });
                if let Some(number) = state.request {
                    self.answer(number, Ok(()), out);
                }
                self.begin_again(out);
            }
        }
    }

    fn unsubscribe_failed(
        &mut self,
        member: MemberId,
        request: Option<RequestNumber>,
        error: BrokerError,
        out: &mut Vec<Effect>,
    ) {
        match request {
            Some(number) => self.refuse(number, &error.message, out),
            None => out.push(Effect::UnsubscribeFailed { member, error }),
        }
    }

    /// The subscription is deleted. Its member's socket stays open, known to nobody; who came meanwhile makes
    /// the subscription anew, as a consumer that connects to the broker then does.
    fn begin_again(&mut self, out: &mut Vec<Effect>) {
        self.close_consumers(None, out);
        if self.waiting.is_empty() {
            return self.finish(out);
        }
        self.leave_seek(out);
        *self = Hub {
            stats: self.stats,
            next_tag: self.next_tag,
            // A key that is asked for is answered still.
            decryption: self.decryption.take(),
            dead_letters: std::mem::take(&mut self.dead_letters).emptied(),
            requests: std::mem::take(&mut self.requests).emptied(),
            waiting: std::mem::take(&mut self.waiting),
            ..Hub::new(self.spec.clone(), self.limits)
        };
        self.ask_for_topics(out);
    }
}

/// CommandSubscribe.SubType by name.
fn broker_name(subscription_type: SubscriptionType) -> &'static str {
    match subscription_type {
        SubscriptionType::Exclusive => "Exclusive",
        SubscriptionType::Shared => "Shared",
        SubscriptionType::Failover => "Failover",
        SubscriptionType::KeyShared => "Key_Shared",
    }
}
