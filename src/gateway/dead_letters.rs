//! Producers of dead-letter topics, on the home shard of the hub that they publish for.
//!
//! One outlet for each hub and topic, opened when it is first needed and closed with its hub; of a partitioned topic a
//! producer for each partition that something went to. What it has taken is bounded by the hub
//! (`hub::limits::MAX_DEAD_LETTERS`).

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use slab::Slab;

use super::lane::LaneKind;
use super::shard::Shard;
use super::topics::Asked;
use crate::api::{HashingScheme, RoutingMode};
use crate::pulsar::client::{Event, Principal, ProducerId, ProducerSpec, Tag};
use crate::pulsar::topics::partition_name;
use crate::pulsar::{BrokerError, ErrorKind, Message};
use crate::session::{DeadLetter, Router};

/// The Java client's default.
const SEND_TIMEOUT_MS: u64 = 30_000;

/// Random characters at the end of a producer name, as in Java: names are unique on a topic.
const NAME_CHARS: usize = 5;

/// One hub's way into one dead-letter topic.
struct Outlet {
    generation: u32,
    /// The hub's place.
    place: usize,
    topic: Arc<str>,
    /// The producer's.
    name: String,
    /// Some: the partitions are counted.
    router: Option<Router>,
    partitions: u32,
    producers: FxHashMap<usize, ProducerId>,
    /// Until the partitions are counted.
    waiting: Vec<Letter>,
    /// Letters in chunks, by their numbers.
    in_chunks: FxHashMap<u64, InChunks>,
}

/// Each chunk is answered; the letter is there when all are.
struct InChunks {
    unanswered: usize,
    error: Option<BrokerError>,
}

impl Outlet {
    /// One answer under this number. `None`: others are to come.
    fn answered(
        &mut self,
        number: u64,
        result: Result<(), BrokerError>,
    ) -> Option<Result<(), BrokerError>> {
        let Some(letter) = self.in_chunks.get_mut(&number) else {
            return Some(result);
        };
        letter.unanswered -= 1;
        if let Err(error) = result {
            letter.error.get_or_insert(error);
        }
        if letter.unanswered > 0 {
            return None;
        }
        let letter = self.in_chunks.remove(&number)?;
        Some(letter.error.map_or(Ok(()), Err))
    }
}

struct Letter {
    number: u64,
    source: String,
    message: Message,
}

#[derive(Default)]
pub struct DeadLetters {
    outlets: Slab<Outlet>,
    generation: u32,
    /// By the place of a hub, and a topic.
    by_topic: BTreeMap<(usize, Arc<str>), usize>,
    /// Which outlet, and which partition of it.
    by_producer: FxHashMap<ProducerId, (usize, usize)>,
}

impl DeadLetters {
    fn remove(&mut self, outlet: usize) -> Option<Outlet> {
        let removed = self.outlets.try_remove(outlet)?;
        self.by_topic
            .remove(&(removed.place, removed.topic.clone()));
        for producer in removed.producers.values() {
            self.by_producer.remove(producer);
        }
        Some(removed)
    }
}

impl Shard {
    /// For the hub in this place. Answered by [`Shard::hub_dead_letter`], in a later step.
    pub fn publish_dead_letter(
        &mut self,
        now_ms: u64,
        place: usize,
        number: u64,
        topic: Arc<str>,
        source: &str,
        message: &Message,
    ) {
        let outlet = self.outlet(now_ms, place, topic);
        let letter = Letter {
            number,
            source: source.to_owned(),
            message: message.clone(),
        };
        self.deliver_letter(now_ms, outlet, letter);
    }

    /// In whose name letters go there: its hub's.
    pub fn dead_letter_principal(&self, outlet: usize) -> Principal {
        let outlet = self.dead_letters.outlets.get(outlet);
        outlet.map_or(Principal::GATEWAY, |outlet| {
            self.hubs.principal(outlet.place)
        })
    }

    fn outlet(&mut self, now_ms: u64, place: usize, topic: Arc<str>) -> usize {
        let key = (place, topic);
        if let Some(outlet) = self.dead_letters.by_topic.get(&key) {
            return *outlet;
        }
        let end: String = std::iter::repeat_with(fastrand::alphanumeric)
            .take(NAME_CHARS)
            .collect();
        let name = self.dead_letter_producer_name(place).unwrap_or_default();
        let letters = &mut self.dead_letters;
        letters.generation = letters.generation.wrapping_add(1);
        let outlet = letters.outlets.insert(Outlet {
            generation: letters.generation,
            place,
            topic: key.1.clone(),
            name: format!("{name}-{end}-DLQ"),
            router: None,
            partitions: 0,
            producers: FxHashMap::default(),
            waiting: Vec::new(),
            in_chunks: FxHashMap::default(),
        });
        let asked = Asked::DeadLetterPartitions {
            outlet,
            generation: letters.generation,
        };
        letters.by_topic.insert(key.clone(), outlet);
        self.count_partitions(now_ms, LaneKind::Publishing, &key.1, asked);
        outlet
    }

    fn deliver_letter(&mut self, now_ms: u64, outlet: usize, letter: Letter) {
        let now = self.now(now_ms);
        let Some(at) = self.dead_letters.outlets.get(outlet) else {
            return;
        };
        let place = at.place;
        let principal = self.hubs.principal(place);
        let subscription = self.hub_subscription(place).unwrap_or_default().to_owned();
        let dead = DeadLetter::new(&letter.message, &letter.source, &subscription);
        let letters = &mut self.dead_letters;
        let Some(at) = letters.outlets.get_mut(outlet) else {
            return;
        };
        let Some(router) = &mut at.router else {
            at.waiting.push(letter);
            return;
        };
        let partition = router.choose(dead.key(), now.wall_ms);
        let client = &mut self.publishing.client;
        let producer = *at.producers.entry(partition).or_insert_with(|| {
            let spec = producer_spec(principal, &at.topic, at.partitions, partition, &at.name);
            client.open_producer(now_ms, spec)
        });
        letters.by_producer.insert(producer, (outlet, partition));
        // Numbers are not used again, nor is the producer's name.
        let uuid = format!("{}-{}", at.name, letter.number);
        match dead.send(now, client, producer, letter.number, &uuid) {
            Ok(1) => {}
            Ok(chunks) => {
                let in_chunks = InChunks {
                    unanswered: chunks,
                    error: None,
                };
                at.in_chunks.insert(letter.number, in_chunks);
            }
            Err(_) => {
                let error = BrokerError {
                    kind: ErrorKind::Other,
                    message: "the dead letter could not be sent".to_owned(),
                };
                self.hub_dead_letter(now_ms, place, letter.number, Err(error));
            }
        }
    }

    /// The publishing lane's events that are about dead letters; gives back those that are not.
    pub fn on_dead_letter_event(&mut self, now_ms: u64, event: Event) -> Option<Event> {
        match event {
            Event::Receipt { producer, tag, .. } if self.is_outlets(producer) => {
                self.letter_answered(now_ms, producer, tag, Ok(()));
            }
            Event::SendFailed {
                producer,
                tag,
                error,
            } if self.is_outlets(producer) => {
                self.letter_answered(now_ms, producer, tag, Err(error));
            }
            Event::ProducerReady { producer, .. } if self.is_outlets(producer) => {}
            Event::ProducerFailed { producer, .. } if self.is_outlets(producer) => {
                // The next letter makes a new one.
                let letters = &mut self.dead_letters;
                if let Some((outlet, partition)) = letters.by_producer.remove(&producer)
                    && let Some(outlet) = letters.outlets.get_mut(outlet)
                {
                    outlet.producers.remove(&partition);
                }
            }
            other => return Some(other),
        }
        None
    }

    fn is_outlets(&self, producer: ProducerId) -> bool {
        self.dead_letters.by_producer.contains_key(&producer)
    }

    pub fn letters_counted(
        &mut self,
        now_ms: u64,
        outlet: usize,
        generation: u32,
        count: Result<u32, BrokerError>,
    ) {
        let at = self.dead_letters.outlets.get(outlet);
        if at.is_none_or(|at| at.generation != generation) {
            return;
        }
        match count {
            Ok(count) => {
                let Some(at) = self.dead_letters.outlets.get_mut(outlet) else {
                    return;
                };
                let (mode, hashing) = (
                    RoutingMode::RoundRobinPartition,
                    HashingScheme::JavaStringHash,
                );
                at.partitions = count;
                at.router = Some(Router::new(mode, hashing, None, count, fastrand::u32(..)));
                for letter in std::mem::take(&mut at.waiting) {
                    self.deliver_letter(now_ms, outlet, letter);
                }
            }
            Err(error) => {
                // It is counted anew for the next letter.
                let Some(removed) = self.dead_letters.remove(outlet) else {
                    return;
                };
                warn(&removed.topic, &error);
                for letter in removed.waiting {
                    let error = error.clone();
                    self.hub_dead_letter(now_ms, removed.place, letter.number, Err(error));
                }
            }
        }
    }

    fn letter_answered(
        &mut self,
        now_ms: u64,
        producer: ProducerId,
        number: Tag,
        result: Result<(), BrokerError>,
    ) {
        let letters = &mut self.dead_letters;
        let outlet = letters.by_producer.get(&producer);
        let Some(outlet) = outlet.and_then(|(outlet, _)| letters.outlets.get_mut(*outlet)) else {
            return;
        };
        let Some(result) = outlet.answered(number, result) else {
            return;
        };
        if let Err(error) = &result {
            warn(&outlet.topic, error);
        }
        let place = outlet.place;
        self.hub_dead_letter(now_ms, place, number, result);
    }

    /// The hub in this place has ended.
    pub fn close_dead_letters(&mut self, now_ms: u64, place: usize) {
        let from_hub_on = self.dead_letters.by_topic.range((place, Arc::from(""))..);
        let of_hub: Vec<usize> = from_hub_on
            .take_while(|((of, _), _)| *of == place)
            .map(|(_, outlet)| *outlet)
            .collect();
        for outlet in of_hub {
            let Some(removed) = self.dead_letters.remove(outlet) else {
                continue;
            };
            for producer in removed.producers.into_values() {
                self.publishing.client.close_producer(now_ms, producer);
            }
        }
    }
}

fn producer_spec(
    principal: Principal,
    topic: &str,
    partitions: u32,
    partition: usize,
    name: &str,
) -> ProducerSpec {
    ProducerSpec {
        principal,
        topic: match partitions {
            0 => topic.to_owned(),
            _ => partition_name(topic, partition as i32),
        },
        name: Some(name.to_owned()),
        initial_sequence_id: None,
        send_timeout_ms: SEND_TIMEOUT_MS,
        encryption_keys: Arc::default(),
        sealing: None,
        compression: None,
        batching: None,
    }
}

fn warn(topic: &str, error: &BrokerError) {
    tracing::warn!(topic, error = %error.message, "a message could not be published to its dead-letter topic; it will be tried again");
}
