//! The publishing lane's answers, and their way to the producer sockets; back-pressure the other way.

use super::post::SocketId;
use super::shard::Shard;
use super::sockets::Role;
use crate::api::Refusal;
use crate::pulsar::client::{Client, Event, ProducerId};
use crate::runtime::{self, Notify};
use crate::session::{Now, ProducerSession, Progress};

impl Shard {
    pub fn now(&self, mono_ms: u64) -> Now {
        Now {
            mono_ms,
            wall_ms: runtime::wall_ms(),
        }
    }

    pub fn on_publishing_event(&mut self, now_ms: u64, event: Event) {
        match event {
            Event::Partitions { tag, result } => {
                let now = self.now(now_ms);
                self.open_producers(now_ms, SocketId::from_tag(tag), |session, client| {
                    session.counted(now, client, result)
                });
            }
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

    /// Some: this producer has as much unconfirmed as it may; its socket is read again when this is notified.
    /// TCP then pushes the client back.
    pub fn wait_for_upstream(&mut self, id: SocketId) -> Option<Notify> {
        let full = self.is_full(id, 1);
        let entry = self.sockets.get(id)?;
        if !full {
            entry.resume = None;
            return None;
        }
        self.paused.insert(id);
        Some(entry.resume.get_or_insert_with(Notify::new).clone())
    }

    /// Whether a producer has reached 1/`part` of its own bound or of the shard's.
    fn is_full(&mut self, id: SocketId, part: usize) -> bool {
        let socket_bytes_max = self.config.producer_pending_bytes / part;
        let shard_is_full = self.upstream_is_full(part);
        let entry = self.sockets.get(id);
        let Some(entry) = entry.filter(|entry| entry.closing.is_open()) else {
            return false;
        };
        let Role::Producer(session) = &entry.role else {
            return false;
        };
        session.pending_bytes() >= socket_bytes_max || (shard_is_full && session.has_pending())
    }

    fn upstream_is_full(&self, part: usize) -> bool {
        self.publishing.client.pending_bytes() >= self.config.upstream_pending_bytes / part
    }

    /// After receipts: sockets that waited are read again once half of their room is free; those that were only kept
    /// open for their last receipts end.
    pub fn after_receipts(&mut self, now_ms: u64) {
        let answered = std::mem::take(&mut self.answered);
        if self.draining {
            for id in &answered {
                self.end_for_shutdown(now_ms, *id);
            }
        }
        if self.paused.is_empty() || answered.is_empty() {
            return;
        }
        // Only its own receipts free a socket that waits for its own bound. One that waits for the shard's has something
        // pending, too; but when the shard has room, nobody is to wait for a slow topic of its own.
        let is_full = self.upstream_is_full(2);
        let was_full = std::mem::replace(&mut self.upstream_was_full, is_full);
        let candidates = match was_full && !is_full {
            true => self.paused.iter().copied().collect(),
            false => answered,
        };
        for id in candidates {
            if self.paused.contains(&id) && !self.is_full(id, 2) {
                self.paused.remove(&id);
                let entry = self.sockets.get(id);
                if let Some(resume) = entry.and_then(|entry| entry.resume.as_ref()) {
                    resume.notify();
                }
            }
        }
    }
}
