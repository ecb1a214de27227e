//! Exclusive and Failover: one active consumer reads in order (`PersistentDispatcherSingleActiveConsumer`).

use std::cmp::Reverse;

use ::pulsar::proto::CommandActiveConsumerChange;
use ::pulsar::proto::base_command::Type;
use slab::Slab;

use super::connections::Connections;
use super::consumer::{Consumer, Turn};
use super::cursor::Cursor;
use crate::pulsar::murmur::ring_distance;

#[derive(Debug)]
pub(super) struct Single {
    pub active: Option<usize>,
    /// The next entry to deliver.
    next: u64,
    failover: bool,
    /// The active one has changed, and nobody has been told.
    unannounced: bool,
}

impl Single {
    pub fn new(failover: bool) -> Single {
        Single {
            active: None,
            next: 0,
            failover,
            unannounced: false,
        }
    }

    /// Delivery begins again at the first unacked entry.
    pub fn rewind(&mut self, cursor: &Cursor) {
        self.next = cursor.mark();
    }

    /// Chooses the active consumer; after a change what is unacked comes again. Returns whether it changed.
    pub fn pick(
        &mut self,
        consumers: &Slab<Consumer>,
        cursor: &Cursor,
        topic: &str,
        partition: i32,
    ) -> bool {
        let chosen = choose(consumers, topic, partition);
        if chosen == self.active {
            return false;
        }
        self.active = chosen;
        self.rewind(cursor);
        self.unannounced = true;
        true
    }

    /// After a change all consumers are told (Failover). This comes with the turn's end, behind SUCCESS for a new one;
    /// the broker waits a second (activeConsumerFailoverDelayTimeMillis).
    pub fn announce(&mut self, consumers: &Slab<Consumer>, connections: &mut Connections) {
        if std::mem::take(&mut self.unannounced) {
            for (key, consumer) in consumers {
                self.tell(key, consumer, connections);
            }
        }
    }

    /// Tells one consumer whether it is the active one.
    pub fn tell(&self, key: usize, consumer: &Consumer, connections: &mut Connections) {
        if self.failover
            && let Some(connection) = connections.touch(consumer.connection)
        {
            let change = CommandActiveConsumerChange {
                consumer_id: consumer.consumer_id,
                is_active: Some(self.active == Some(key)),
            };
            connection.send(Type::ActiveConsumerChange, &change);
        }
    }

    pub fn dispatch(
        &mut self,
        consumers: &mut Slab<Consumer>,
        cursor: &Cursor,
        turn: &mut Turn<'_>,
    ) {
        let Some(consumer) = self.active.and_then(|key| consumers.get_mut(key)) else {
            return;
        };
        self.next = self.next.max(cursor.mark()).max(turn.log.start());
        while self.next < turn.log.end() && consumer.is_available(turn.connections) {
            let index = self.next;
            self.next += 1;
            if !cursor.is_acked(index) {
                consumer.deliver(turn, cursor, index, 0);
            }
        }
    }
}

/// Of the consumers of the best priority level, sorted by name: the one at the partition index modulo their number.
/// Without partitions it is the next one on a hash ring of topic and consumer names.
fn choose(consumers: &Slab<Consumer>, topic: &str, partition: i32) -> Option<usize> {
    let best = consumers.iter().map(|(_, c)| c.priority_level).min()?;
    let mut candidates: Vec<(usize, &Consumer)> = consumers
        .iter()
        .filter(|(_, c)| c.priority_level == best)
        .collect();
    candidates.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let chosen = match usize::try_from(partition) {
        Ok(partition) => candidates.get(partition % candidates.len()),
        Err(_) => candidates
            .iter()
            .min_by_key(|(key, c)| (ring_distance(topic, &c.name), Reverse(*key))),
    };
    chosen.map(|(key, _)| *key)
}
