//! The driver's side of the broker: connections come, speak and go; time passes; output is fetched.

use ::pulsar::proto::CommandPing;
use ::pulsar::proto::base_command::Type;
use bytes::{Bytes, BytesMut};

use super::connection::{ConnectionId, Phase};
use super::consumer::Turn;
use super::timers::Alarm;
use super::{Broker, KEEP_ALIVE_MS, MAX_CONNECTIONS};
use crate::pulsar::wire::split_frame;

/// What a frame may be larger than the largest message (Java's `Commands.MESSAGE_SIZE_FRAME_PADDING`).
const FRAME_PADDING_BYTES: usize = 10 * 1024;

impl Broker {
    /// A client has connected. `false`: not wanted, close it.
    pub fn connected(&mut self, now_ms: u64, id: ConnectionId) -> bool {
        self.begin(now_ms);
        if self.connections.len() >= MAX_CONNECTIONS
            || self.now_ms < self.faults.refuse_connections_until_ms
        {
            return false;
        }
        self.connections.insert(id);
        true
    }

    /// Takes whole frames off `bytes` and leaves the rest; takes nothing while `wants_input` is false.
    pub fn received(&mut self, now_ms: u64, id: ConnectionId, bytes: &mut BytesMut) {
        self.begin(now_ms);
        let max_frame_bytes = self.options.max_message_bytes + FRAME_PADDING_BYTES;
        while self.wants_input(id) {
            match split_frame(bytes, max_frame_bytes) {
                Ok(Some(frame)) => {
                    if let Some(connection) = self.connections.touch(id) {
                        connection.heard_ms = self.now_ms;
                        connection.ping_unanswered = false;
                    }
                    if self.handle(id, &frame).is_err() {
                        self.close(id);
                    }
                }
                Ok(None) => break,
                Err(_) => self.close(id),
            }
        }
        self.end();
    }

    /// The connection is gone, whoever closed it.
    pub fn disconnected(&mut self, now_ms: u64, id: ConnectionId) {
        self.begin(now_ms);
        self.close(id);
        self.connections.remove(id);
        self.end();
    }

    pub fn tick(&mut self, now_ms: u64) {
        self.begin(now_ms);
        while let Some(alarm) = self.timers.pop_due(self.now_ms) {
            match alarm {
                Alarm::KeepAlive => self.keep_alive(),
                Alarm::Deliver {
                    topic,
                    subscription,
                } => {
                    self.forget_alarm(topic, subscription);
                    self.mark_dirty(topic, subscription);
                }
                Alarm::Connection(id) => {
                    if let Some(connection) = self.connections.touch(id) {
                        connection.alarm_ms = None;
                    }
                }
            }
        }
        self.end();
    }

    /// When `tick` has something to do.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.timers.next_ms()
    }

    /// Connections that have output, want input again, or are to be closed.
    pub fn take_touched(&mut self) -> Vec<ConnectionId> {
        self.connections.take_touched()
    }

    /// Moves what may be written to `segments`.
    pub fn take_output(&mut self, id: ConnectionId, segments: &mut Vec<Bytes>) {
        if let Some(connection) = self.connections.quiet(id) {
            connection.output.take(segments);
        }
    }

    /// So many bytes were written. A connection that was slow gets messages again.
    pub fn written(&mut self, now_ms: u64, id: ConnectionId, bytes: usize) {
        self.begin(now_ms);
        let connection = self.connections.quiet(id);
        let drained = connection.is_some_and(|c| c.output.written(bytes));
        if drained {
            let connection = self.connections.get(id);
            let consumers =
                connection.map_or(Vec::new(), |c| c.consumers.values().copied().collect());
            for at in consumers {
                if let Some(subscription) = self.subscription_mut(at.topic, at.subscription) {
                    subscription.available(at.consumer);
                }
                self.mark_dirty(at.topic, at.subscription);
            }
        }
        self.end();
    }

    /// Whether bytes of this connection would be taken.
    pub fn wants_input(&self, id: ConnectionId) -> bool {
        !self.faults.stalled
            && self.connections.get(id).is_some_and(|connection| {
                connection.phase != Phase::Closing && self.now_ms >= connection.paused_until_ms
            })
    }

    /// Whether the driver is to close it, once nothing is left to write.
    pub fn is_closing(&self, id: ConnectionId) -> bool {
        !matches!(
            self.connections.phase(id),
            Some(Phase::Handshake | Phase::Connected)
        )
    }

    /// Lets go everything that the connection had. The driver will close it.
    pub(super) fn close(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.touch(id) else {
            return;
        };
        connection.phase = Phase::Closing;
        let consumers = std::mem::take(&mut connection.consumers);
        let producers = std::mem::take(&mut connection.producers);
        for at in consumers.into_values() {
            self.remove_consumer(at);
        }
        for producer in producers.into_values() {
            if let Some(topic) = self.topics.get_mut(producer.topic) {
                topic.producers.remove(&*producer.name);
            }
        }
    }

    fn keep_alive(&mut self) {
        for id in self.connections.ids() {
            let now_ms = self.now_ms;
            let silent = |heard_ms: u64| now_ms.saturating_sub(heard_ms) >= KEEP_ALIVE_MS;
            let Some(connection) = self.connections.get(id) else {
                continue;
            };
            if !silent(connection.heard_ms) {
                continue;
            }
            if connection.ping_unanswered || connection.phase == Phase::Handshake {
                self.close(id);
            } else if let Some(connection) = self.connections.touch(id) {
                connection.ping_unanswered = true;
                connection.heard_ms = now_ms;
                connection.send(Type::Ping, &CommandPing {});
            }
        }
        self.timers
            .set(self.now_ms + KEEP_ALIVE_MS / 2, Alarm::KeepAlive);
    }

    /// Ends every turn: dispatches what was marked, and looks after held output.
    pub(super) fn end(&mut self) {
        while let Some((topic, subscription)) = self.dirty.pop() {
            self.dispatch(topic, subscription);
        }
        for id in self.connections.touched().to_vec() {
            let Some(connection) = self.connections.touch(id) else {
                continue;
            };
            let held_until = connection.output.release(self.now_ms);
            let paused_until = connection.paused_until_ms;
            let paused_until = (paused_until > self.now_ms).then_some(paused_until);
            if let Some(at_ms) = held_until.into_iter().chain(paused_until).min()
                && connection.alarm_ms.is_none_or(|set| at_ms < set)
            {
                connection.alarm_ms = Some(at_ms);
                self.timers.set(at_ms, Alarm::Connection(id));
            }
        }
    }

    fn dispatch(&mut self, topic_key: usize, subscription_key: usize) {
        let Some(topic) = self.topics.get_mut(topic_key) else {
            return;
        };
        let Some(subscription) = topic.subscriptions.get_mut(subscription_key) else {
            return;
        };
        subscription.dirty = false;
        subscription.announce(&mut self.connections);
        if !topic.name.persistent {
            return;
        }
        let mut turn = Turn {
            log: &topic.log,
            connections: &mut self.connections,
            partition: topic.name.partition,
            now_ms: self.now_ms,
        };
        let due_ms = subscription.dispatch(&mut turn);
        if let Some(due_ms) = due_ms
            && subscription.alarm_ms.is_none_or(|at| due_ms < at)
        {
            subscription.alarm_ms = Some(due_ms);
            let alarm = Alarm::Deliver {
                topic: topic_key,
                subscription: subscription_key,
            };
            self.timers.set(due_ms, alarm);
        }
    }

    fn forget_alarm(&mut self, topic: usize, subscription: usize) {
        if let Some(subscription) = self.subscription_mut(topic, subscription) {
            subscription.alarm_ms = None;
        }
    }
}
