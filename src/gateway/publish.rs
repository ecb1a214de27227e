//! The publishing lane's answers, and their way to the producer sockets.

use super::post::SocketId;
use super::proofs::let_in;
use super::shard::Shard;
use super::sockets::Role;
use super::topics::Watcher;
use crate::api::Refusal;
use crate::pulsar::BrokerError;
use crate::pulsar::client::{Event, ProducerId, Tag};
use crate::runtime;
use crate::session::{At, Now, ProducerSession, Progress, Upstreams};

impl Shard {
    pub fn upstreams(&mut self) -> Upstreams<'_> {
        Upstreams {
            client: &mut self.publishing.client,
            producers: &mut self.producers,
        }
    }

    pub fn now(&self, mono_ms: u64) -> Now {
        Now {
            mono_ms,
            wall_ms: runtime::wall_ms(),
        }
    }

    pub fn on_publishing_event(&mut self, now_ms: u64, event: Event) {
        let Some(event) = self.on_dead_letter_event(now_ms, event) else {
            return;
        };
        match event {
            Event::Partitions { tag, result } => self.partitions_answered(now_ms, tag, result),
            Event::ProducerReady { producer, name, .. } => {
                if self.producer_proven(now_ms, producer, Ok(())) {
                    self.publishing.client.close_producer(now_ms, producer);
                    return;
                }
                let now = self.now(now_ms);
                for (owner, place) in self.producers.made(producer) {
                    let id = SocketId::tagged(owner);
                    self.open_producers(now_ms, id, |session, upstreams| {
                        session.ready(now, upstreams, place, &name)
                    });
                }
            }
            Event::ProducerFailed { producer, error } => {
                if self.producer_proven(now_ms, producer, Err(&error)) {
                    return;
                }
                for (owner, place) in self.producers.ended(producer) {
                    let error = error.clone();
                    self.open_producers(now_ms, SocketId::tagged(owner), |session, _| {
                        session.failed(place, producer, error)
                    });
                }
            }
            Event::Receipt {
                producer,
                tag,
                id: message,
            } => {
                self.counters.published += 1;
                self.answer(now_ms, producer, tag, |session, at, upstreams, out| {
                    session.receipt(at, upstreams, message, out);
                });
            }
            Event::SendFailed {
                producer,
                tag,
                error,
            } => {
                self.counters.publish_failures += 1;
                self.answer(now_ms, producer, tag, |session, at, upstreams, out| {
                    session.send_failed(at, upstreams, &error, out);
                });
            }
            // No consumer is opened on this lane.
            _ => {}
        }
    }

    /// What became of an upstream producer. False: it was not opened to see whether the broker lets its role in still.
    fn producer_proven(
        &mut self,
        now_ms: u64,
        proof: ProducerId,
        result: Result<(), &BrokerError>,
    ) -> bool {
        let result = let_in(result);
        let proved = self.producers.proved(now_ms, proof, result.is_ok());
        let Some((producer, applicants)) = proved else {
            return false;
        };
        let now = self.now(now_ms);
        for (owner, place) in applicants {
            let result = result.clone();
            let id = SocketId::tagged(owner);
            self.open_producers(now_ms, id, |session, upstreams| match result {
                Ok(()) => session.joined(now, upstreams, place),
                Err(error) => session.failed(place, producer, error),
            });
        }
        true
    }

    /// The topic of a new socket is counted.
    pub fn producer_partitions(
        &mut self,
        now_ms: u64,
        id: SocketId,
        result: Result<u32, BrokerError>,
    ) {
        let now = self.now(now_ms);
        let partitioned = result.as_ref().is_ok_and(|count| *count > 0);
        let mut topic = None;
        self.open_producers(now_ms, id, |session, upstreams| {
            topic = partitioned.then(|| session.topic().to_owned());
            session.counted(now, upstreams, result)
        });
        if let Some(topic) = topic {
            let principal = self.principals.of(id);
            self.watch_partitions(now_ms, &topic, principal, Watcher::Producer(id));
        }
    }

    /// Its topic has so many partitions by now.
    pub fn producer_partitions_now(&mut self, now_ms: u64, id: SocketId, count: u32) {
        let now = self.now(now_ms);
        self.open_producers(now_ms, id, |session, upstreams| {
            session.grown(now, upstreams, count)
        });
    }

    /// Of a producer socket: its session, what that publishes with, and where its answers go.
    fn producer_session(
        &mut self,
        id: SocketId,
    ) -> Option<(&mut ProducerSession, Upstreams<'_>, &mut Vec<u8>)> {
        let entry = self.sockets.get(id)?;
        let Role::Producer(session) = &mut entry.role else {
            return None;
        };
        let upstreams = Upstreams {
            client: &mut self.publishing.client,
            producers: &mut self.producers,
        };
        Some((session, upstreams, &mut entry.out))
    }

    /// A step of a session's opening; answers its handshake when it was the last.
    fn open_producers(
        &mut self,
        now_ms: u64,
        id: SocketId,
        step: impl FnOnce(&mut ProducerSession, &mut Upstreams<'_>) -> Progress,
    ) {
        let Some((session, mut upstreams, _)) = self.producer_session(id) else {
            return;
        };
        match step(session, &mut upstreams) {
            Progress::Waiting => {}
            Progress::Open => self.opened(id, Ok(())),
            Progress::Refused(error) => {
                self.opened(id, Err(Refusal::not_created(&error)));
                self.end_session(now_ms, id);
            }
        }
    }

    fn answer(
        &mut self,
        now_ms: u64,
        producer: ProducerId,
        owner: Tag,
        answer: impl FnOnce(&mut ProducerSession, At, &mut Upstreams<'_>, &mut Vec<u8>),
    ) {
        let Some(place) = self.producers.place(producer, owner) else {
            return;
        };
        let id = SocketId::tagged(owner);
        let Some((session, mut upstreams, out)) = self.producer_session(id) else {
            return;
        };
        let at = At {
            now_ms,
            place,
            producer,
        };
        answer(session, at, &mut upstreams, out);
        self.sockets.mark(id);
        self.answered.push(id);
    }
}
