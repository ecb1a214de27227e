//! Messages that go to a dead-letter topic: which do, their way there, and what becomes of them then.
//!
//! As Java's ConsumerImpl: a message that was redelivered `maxRedeliverCount` times already is published when it is asked
//! for again, and one that comes with a higher count is not given to the member at all. Once published it is acked. When
//! that fails it is redelivered, and tried again when it comes. The policy is the member's own, and of a batch only the
//! messages meant are published (Java publishes all of them).

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Hub;
use super::arrival::message_bytes;
use super::effect::{DeadLetterPolicy, Effect, MemberId};
use super::lifecycle::Phase;
use super::limits::{DEAD_LETTER_LINGER_MS, DEAD_LETTER_RETRY_MAX_MS, DEAD_LETTER_RETRY_MS};
use super::slot::Position;
use super::unsettled::Index;
use crate::pulsar::{BrokerError, Message};

/// A message and the topic that it is to be published to.
#[derive(Debug)]
pub(super) struct Letter {
    topic: Arc<str>,
    message: Message,
    /// How often it has come since it was to be published for the first time: each time that failed.
    failures: u32,
}

#[derive(Debug, Default)]
pub(super) struct DeadLetters {
    /// Negatively acked, their delay not over: what to do instead of asking the broker for them.
    condemned: BTreeMap<Position, Letter>,
    /// Being published, by the number that the answer will carry; with how often that has failed.
    published: FxHashMap<u64, (Position, u32)>,
    next: u64,
    /// The last member has gone; the hub waits until then for the answers.
    lingers_until_ms: Option<u64>,
}

impl DeadLetters {
    /// How many are being published.
    pub fn on_their_way(&self) -> usize {
        self.published.len()
    }

    /// It is settled, or someone else's now.
    pub fn pardon(&mut self, position: &Position) {
        self.condemned.remove(position);
    }

    /// For the same hub with nothing in it: numbers are not used again, for answers may still come.
    pub fn emptied(self) -> DeadLetters {
        DeadLetters {
            next: self.next,
            ..DeadLetters::default()
        }
    }

    pub fn lingers_until_ms(&self) -> Option<u64> {
        self.lingers_until_ms
    }

    pub fn stop_lingering(&mut self) {
        self.lingers_until_ms = None;
    }
}

fn retry_delay_ms(failures: u32) -> u64 {
    let doubled = DEAD_LETTER_RETRY_MS << failures.min(16);
    doubled.min(DEAD_LETTER_RETRY_MAX_MS)
}

/// One more than allowed is the first time that it is not given to the member.
fn failures(policy: &DeadLetterPolicy, message: &Message) -> u32 {
    let allowed = policy.max_redeliver_count.saturating_add(1);
    message.redelivery_count.saturating_sub(allowed)
}

impl Hub {
    /// Whether the message has come too often to be given to this member.
    pub(super) fn is_dead_for(&self, member: MemberId, slot: usize, message: &Message) -> bool {
        self.redeliveries_left(member, slot, message)
            .is_some_and(|left| left < 0)
    }

    /// Whether the message would be published, were it asked for again: then it must be kept.
    pub(super) fn may_die_with(&self, member: MemberId, slot: usize, message: &Message) -> bool {
        self.redeliveries_left(member, slot, message)
            .is_some_and(|left| left <= 0)
    }

    /// `None`: without end.
    fn redeliveries_left(&self, member: MemberId, slot: usize, message: &Message) -> Option<i64> {
        if !self.redelivers_single() || !self.is_acked_upstream(slot) {
            return None;
        }
        let policy = self.members.get(member)?.spec.dead_letter.as_ref()?;
        Some(i64::from(policy.max_redeliver_count) - i64::from(message.redelivery_count))
    }

    /// The letter that a held message becomes when it is asked for again.
    fn letter(&self, member: MemberId, position: &Position) -> Option<Letter> {
        let holder = self.members.get(member)?;
        let message = holder.held.get(position)?.message.as_ref()?;
        if !self.may_die_with(member, position.slot as usize, message) {
            return None;
        }
        let policy = holder.spec.dead_letter.as_ref()?;
        Some(Letter {
            topic: policy.topic.clone(),
            message: message.clone(),
            failures: failures(policy, message),
        })
    }

    /// Before a held message is put aside for its negative-ack delay.
    pub(super) fn condemn(&mut self, member: MemberId, position: Position) {
        if let Some(letter) = self.letter(member, &position) {
            self.dead_letters.condemned.insert(position, letter);
        }
    }

    /// A message is due to be asked for again. True: it goes to its dead-letter topic instead.
    pub(super) fn bury_instead(&mut self, position: Position, out: &mut Vec<Effect>) -> bool {
        let letter = match self.index(&position) {
            Some(Index::Held(member)) => self.letter(member, &position),
            _ => self.dead_letters.condemned.remove(&position),
        };
        match letter {
            Some(letter) => {
                self.publish_dead(position, letter, out);
                true
            }
            None => false,
        }
    }

    /// A message whose turn it is, and that is dead for the member it would go to.
    pub(super) fn bury(
        &mut self,
        member: MemberId,
        position: Position,
        message: &Message,
        out: &mut Vec<Effect>,
    ) {
        let policy = self.members.get(member);
        let Some(policy) = policy.and_then(|member| member.spec.dead_letter.as_ref()) else {
            return;
        };
        let letter = Letter {
            topic: policy.topic.clone(),
            message: message.unpinned(),
            failures: failures(policy, message),
        };
        self.charge_kept(&position, message);
        self.publish_dead(position, letter, out);
    }

    /// The bytes of a kept message count as long as it is. Where members share messages they count anyway.
    pub(super) fn charge_kept(&mut self, position: &Position, message: &Message) {
        if self.passes_on(position.slot as usize) {
            return;
        }
        let slot = &mut self.slots[position.slot as usize];
        if let Some(entry) = slot.entries.get_mut(&position.key()) {
            self.retained_bytes += entry.charge(position.index, message_bytes(message));
        }
    }

    fn publish_dead(&mut self, position: Position, letter: Letter, out: &mut Vec<Effect>) {
        let slot = position.slot as usize;
        self.take_back(slot, position.key(), position.index, Index::Dying);
        self.dead_letters.next += 1;
        let number = self.dead_letters.next;
        let published = &mut self.dead_letters.published;
        published.insert(number, (position, letter.failures));
        out.push(Effect::PublishDeadLetter {
            letter: number,
            topic: letter.topic,
            source: self.slot_topic(slot),
            message: letter.message,
        });
    }

    /// The answer to [`Effect::PublishDeadLetter`].
    pub fn dead_letter_done(
        &mut self,
        now_ms: u64,
        letter: u64,
        result: Result<(), BrokerError>,
        out: &mut Vec<Effect>,
    ) {
        let Some((position, failures)) = self.dead_letters.published.remove(&letter) else {
            return;
        };
        let (slot, key) = (position.slot as usize, position.key());
        let dying = self.index(&position) == Some(Index::Dying);
        match result {
            Ok(()) => {
                self.stats.dead_letters += 1;
                if dying {
                    self.take_back(slot, key, position.index, Index::Settled);
                    self.settled_some(now_ms, slot, key);
                    self.send_full_acks(slot, out);
                }
            }
            Err(_) => {
                let due_ms = now_ms.saturating_add(retry_delay_ms(failures));
                self.stats.dead_letters_failed += 1;
                if dying {
                    self.take_back(slot, key, position.index, Index::Delayed { due_ms });
                    self.delayed.insert((due_ms, position));
                }
            }
        }
        self.linger_on(now_ms, out);
        self.pump(now_ms, out);
    }

    /// What the names of its dead-letter producers begin with, as in Java: topic, subscription and consumer name.
    pub fn dead_letter_producer_name(&self) -> String {
        let consumer = self.spec.consumer_name.as_deref().unwrap_or_default();
        format!(
            "{}-{}-{consumer}",
            self.spec.topics.name(),
            self.spec.subscription
        )
    }

    /// The last member has gone. True: letters are on their way, and their acks are waited for; else they would
    /// be published again by whoever gets these messages next.
    pub(super) fn lingers(&mut self, now_ms: u64) -> bool {
        let lingers = self.phase == Phase::Open && self.dead_letters.on_their_way() > 0;
        if lingers {
            self.dead_letters.lingers_until_ms = Some(now_ms.saturating_add(DEAD_LETTER_LINGER_MS));
        }
        lingers
    }

    /// Ends a hub that only waited for its letters.
    pub(super) fn linger_on(&mut self, now_ms: u64, out: &mut Vec<Effect>) {
        if let Some(until_ms) = self.dead_letters.lingers_until_ms
            && (until_ms <= now_ms || self.dead_letters.on_their_way() == 0)
        {
            self.shut(out);
        }
    }
}
