//! The home side of this shard's tails: one upstream reader each, encoded once, posted to every shard with readers.
//!
//! The upstream is a hub like any other; its only member is a feeder, which takes what it is given at once and gives
//! permits as the shards take what they were posted.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::catch_up::{by_permits, upstream_reader};
use super::post::{Join, MemberEvent, PLACES_MAX, Post, SocketId, TailKey};
use super::proofs::Applicant;
use super::shard::Shard;
use crate::hub::tail::{Batch, Feeder, Places, Point, Points};
use crate::hub::{Command, MemberId, Refusal};
use crate::pulsar::Message;
use crate::pulsar::client::StartPosition;
use crate::session;

/// The place in a shard's table that no socket has: feeders are members under it.
const FEEDER_PLACE: usize = PLACES_MAX - 1;

struct Home {
    key: TailKey,
    feeder: Feeder,
    /// What lies before the next message that is fed.
    fed: Points,
    /// Whose `isEndOfTopic` the hub has not answered, in order.
    askers: VecDeque<MemberId>,
}

#[derive(Default)]
pub struct TailHomes {
    by_key: FxHashMap<TailKey, MemberId>,
    by_feeder: FxHashMap<MemberId, Home>,
    generation: u32,
}

pub fn is_feeder(member: MemberId) -> bool {
    SocketId::of(member).place() == FEEDER_PLACE
}

impl Shard {
    /// A shard has readers of this tail.
    pub fn tail_join(&mut self, now_ms: u64, key: TailKey, shard: usize, joining: u64) {
        if let Some(member) = self.tail_homes.by_key.get(&key).copied() {
            if let Some(place) = self.hubs.place_of(member)
                && self.wants_proof(now_ms, place)
            {
                let applicant = Applicant::Tail {
                    key,
                    shard,
                    joining,
                };
                return self.prove(now_ms, place, applicant);
            }
            if let Some(home) = self.tail_homes.by_feeder.get_mut(&member) {
                home.feeder.join(shard, joining);
                if home.feeder.is_open() {
                    self.tell_tail_open(member, shard, joining);
                }
            }
            return;
        }
        self.tail_homes.generation = self.tail_homes.generation.wrapping_add(1);
        let member = SocketId::new(self.index, FEEDER_PLACE, self.tail_homes.generation).member();
        let mut feeder = Feeder::default();
        feeder.join(shard, joining);
        self.tail_homes.by_key.insert(key.clone(), member);
        let hub = upstream_reader(&key, None, vec![StartPosition::Latest]);
        let speaker = key.speaker.clone();
        let home = Home {
            key,
            feeder,
            fed: Points::everywhere(Point::EARLIEST),
            askers: VecDeque::new(),
        };
        self.tail_homes.by_feeder.insert(member, home);
        self.hub_join(now_ms, Join::private(member, hub, by_permits(), speaker));
    }

    /// New readers of a shard that has joined already. A tail that has ended meanwhile has told that shard so.
    pub fn prove_tail(&mut self, now_ms: u64, key: &TailKey, shard: usize, joining: u64) {
        let member = self.tail_homes.by_key.get(key);
        match member.and_then(|member| self.hubs.place_of(*member)) {
            Some(place) if self.wants_proof(now_ms, place) => {
                self.prove(now_ms, place, Applicant::Readers { shard, joining });
            }
            _ => self.tell_proven(shard, joining, Ok(())),
        }
    }

    pub(super) fn tell_proven(&mut self, shard: usize, joining: u64, result: Result<(), Refusal>) {
        self.post(shard, Post::TailProven { joining, result });
    }

    /// A shard has no readers of it any more. With the last one the upstream closes at once.
    pub fn tail_leave(&mut self, now_ms: u64, key: &TailKey, shard: usize, joining: u64) {
        self.proofs.forget_tail(shard, joining);
        let Some(member) = self.tail_homes.by_key.get(key).copied() else {
            return;
        };
        let Some(home) = self.tail_homes.by_feeder.get_mut(&member) else {
            return;
        };
        home.feeder.leave_joining(shard, joining);
        if home.feeder.is_unwanted() {
            self.forget_tail_home(member);
            self.hub_leave(now_ms, member);
        } else {
            self.grant_tail(member);
        }
    }

    /// A shard has put so many messages into its log.
    pub fn tail_taken(&mut self, feeder: MemberId, shard: usize, joining: u64, messages: u32) {
        if let Some(home) = self.tail_homes.by_feeder.get_mut(&feeder) {
            home.feeder.taken(shard, joining, messages);
            self.grant_tail(feeder);
        }
    }

    /// A reader asks whether the topic has ended.
    pub fn tail_end_of_topic(&mut self, feeder: MemberId, asker: MemberId) {
        match self.tail_homes.by_feeder.get_mut(&feeder) {
            Some(home) => {
                home.askers.push_back(asker);
                self.hub_command(feeder, Command::IsEndOfTopic);
            }
            None => self.tell(asker, MemberEvent::EndOfTopic(false)),
        }
    }

    /// What the tail's hub says.
    pub fn feeder_event(&mut self, member: MemberId, event: MemberEvent) {
        let Some(home) = self.tail_homes.by_feeder.get_mut(&member) else {
            return;
        };
        match event {
            MemberEvent::Joined => self.tail_joined(member),
            MemberEvent::Deliver(messages) => self.feed(member, &messages),
            MemberEvent::Gap(gap) => {
                let shards: Vec<_> = home.feeder.shards().collect();
                for (shard, joining) in shards {
                    self.post(shard, Post::TailGap { joining, gap });
                }
            }
            MemberEvent::EndOfTopic(reached) => {
                if let Some(asker) = home.askers.pop_front() {
                    self.tell(asker, MemberEvent::EndOfTopic(reached));
                }
            }
            MemberEvent::Refused(refusal) | MemberEvent::Expelled(refusal) => {
                self.end_tail(member, &refusal);
            }
            // It never unsubscribes.
            _ => {}
        }
    }

    /// Its hub has no permits yet: where its upstream begins is what lies before the first message.
    fn tail_joined(&mut self, member: MemberId) {
        let base = self.tail_base(member);
        let Some(home) = self.tail_homes.by_feeder.get_mut(&member) else {
            return;
        };
        home.fed = base;
        home.feeder.opened();
        let shards: Vec<_> = home.feeder.shards().collect();
        for (shard, joining) in shards {
            self.tell_tail_open(member, shard, joining);
        }
        self.grant_tail(member);
    }

    fn feed(&mut self, member: MemberId, messages: &[Message]) {
        let Some(home) = self.tail_homes.by_feeder.get_mut(&member) else {
            return;
        };
        let places = Places::of_topic(&home.key.topic);
        let batch = Arc::new(encode(places, messages));
        for message in messages {
            let begun = message.oldest_begun.as_deref().copied();
            let point = Point::behind(&message.id);
            home.fed.advance(places.of(&message.id), point, begun);
        }
        home.feeder.posted(messages.len() as u32);
        let shards: Vec<_> = home.feeder.shards().collect();
        for (shard, joining) in shards {
            let batch = batch.clone();
            self.post(shard, Post::TailFrames { joining, batch });
        }
        self.grant_tail(member);
    }

    fn grant_tail(&mut self, member: MemberId) {
        let home = self.tail_homes.by_feeder.get_mut(&member);
        let permits = home.map_or(0, |home| home.feeder.grant());
        if permits > 0 {
            self.hub_command(member, Command::Permit(permits));
        }
    }

    fn tell_tail_open(&mut self, member: MemberId, shard: usize, joining: u64) {
        let home = self.tail_homes.by_feeder.get(&member);
        let Some(base) = home.map(|home| home.fed.clone()) else {
            return;
        };
        self.post(
            shard,
            Post::TailOpen {
                joining,
                feeder: member,
                base,
            },
        );
    }

    /// Where the upstream of a tail that has just been opened begins: its slots are in the order of the partitions still.
    fn tail_base(&self, member: MemberId) -> Points {
        let starts = self.hub_starts(member);
        let points = starts.map(|start| start.and_then(Point::of_start));
        Points::new(
            points
                .map(|point| point.unwrap_or(Point::EARLIEST))
                .collect(),
        )
    }

    /// The upstream could not be opened, or is gone for good.
    fn end_tail(&mut self, member: MemberId, refusal: &Refusal) {
        let Some(home) = self.forget_tail_home(member) else {
            return;
        };
        for (shard, joining) in home.feeder.shards() {
            let refusal = refusal.clone();
            self.post(shard, Post::TailEnded { joining, refusal });
        }
    }

    fn forget_tail_home(&mut self, member: MemberId) -> Option<Home> {
        let home = self.tail_homes.by_feeder.remove(&member)?;
        self.tail_homes.by_key.remove(&home.key);
        for asker in &home.askers {
            self.tell(*asker, MemberEvent::EndOfTopic(false));
        }
        Some(home)
    }
}

fn encode(places: Places, messages: &[Message]) -> Batch {
    let bytes = messages.iter().map(session::reader::frame_size_hint).sum();
    let mut batch = Batch::with_capacity(bytes, messages.len());
    for message in messages {
        batch.push(places.of(&message.id), &message.id, |out| {
            session::reader::append(message, out);
        });
        if let Some(begun) = &message.oldest_begun {
            batch.note_begun(**begun);
        }
    }
    batch
}
