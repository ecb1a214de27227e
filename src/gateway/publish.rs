//! The publishing lane's answers, and their way to the producer sockets.

use super::post::SocketId;
use super::shard::Shard;
use super::sockets::Role;
use super::topics::Watcher;
use crate::api::Refusal;
use crate::pulsar::BrokerError;
use crate::pulsar::client::{Client, Event, ProducerId};
use crate::runtime;
use crate::session::{Now, ProducerSession, Progress};

impl Shard {
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
            Event::Refused { broker, error, .. } => {
                self.publishing.refused(now_ms, &broker, &error);
            }
            Event::Partitions { tag, result } => self.partitions_answered(now_ms, tag, result),
            Event::ProducerReady { producer, name, .. } => {
                let now = self.now(now_ms);
                if let Some((id, partition)) = self.producers.get(&producer).copied() {
                    self.open_producers(now_ms, id, |session, client| {
                        session.ready(now, client, partition, &name)
                    });
                }
            }
            Event::ProducerFailed { producer, error } => {
                if let Some((id, partition)) = self.producers.remove(&producer) {
                    self.open_producers(now_ms, id, |session, _| session.failed(partition, error));
                }
            }
            Event::Receipt {
                producer,
                id: message,
                ..
            } => {
                self.counters.published += 1;
                self.answer(producer, |session, partition, out| {
                    session.receipt(partition, message, out)
                });
            }
            Event::SendFailed {
                producer, error, ..
            } => {
                self.counters.publish_failures += 1;
                self.answer(producer, |session, partition, out| {
                    session.send_failed(partition, &error, out)
                });
            }
            // No consumer is opened on this lane.
            _ => {}
        }
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
        self.open_producers(now_ms, id, |session, client| {
            topic = partitioned.then(|| session.topic().to_owned());
            session.counted(now, client, result)
        });
        if let Some(topic) = topic {
            self.watch_partitions(now_ms, &topic, Watcher::Producer(id));
        }
    }

    /// Its topic has so many partitions by now.
    pub fn producer_partitions_now(&mut self, now_ms: u64, id: SocketId, count: u32) {
        let now = self.now(now_ms);
        self.open_producers(now_ms, id, |session, client| {
            session.grown(now, client, count)
        });
    }

    /// A step of a session's opening; answers its handshake when it was the last.
    fn open_producers(
        &mut self,
        now_ms: u64,
        id: SocketId,
        step: impl FnOnce(&mut ProducerSession, &mut Client) -> Progress,
    ) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Producer(session) = &mut entry.role else {
            return;
        };
        let progress = step(session, &mut self.publishing.client);
        for (partition, producer) in session.producers().enumerate() {
            self.producers.entry(producer).or_insert((id, partition));
        }
        match progress {
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
        producer: ProducerId,
        answer: impl FnOnce(&mut ProducerSession, usize, &mut Vec<u8>),
    ) {
        let Some((id, partition)) = self.producers.get(&producer).copied() else {
            return;
        };
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Producer(session) = &mut entry.role else {
            return;
        };
        answer(session, partition, &mut entry.out);
        self.sockets.mark(id);
        self.answered.push(id);
    }
}
