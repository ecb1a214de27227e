//! What consumers tell their subscription: permits, acks, and what they want again.

use super::ack_set;
use super::consumer::Consumer;
use super::consumer::Pending;
use super::multiple::unacked_messages;
use super::subscription::{Dispatcher, Subscription};

impl Subscription {
    pub fn flow(&mut self, key: usize, permits: u32) {
        if let Some(consumer) = self.consumers.get_mut(key) {
            consumer.flow(permits);
        }
        self.available(key);
    }

    /// A consumer may have become available: permits, acks, or its connection was drained.
    pub fn available(&mut self, key: usize) {
        if let (Dispatcher::Multiple(multiple), Some(consumer)) =
            (&mut self.dispatcher, self.consumers.get_mut(key))
        {
            multiple.available(key, consumer);
        }
    }

    /// CommandAck, individual, of one id. `unacked`: the ack_set of the id, empty for the whole entry.
    pub fn ack(&mut self, key: usize, index: u64, batch_size: u32, unacked: Option<&[u64]>) {
        let held = self.holder(key, index);
        let before = unacked_messages(&self.cursor, index, batch_size);
        match unacked {
            Some(set) => self.cursor.ack_part(index, set, batch_size),
            None => u32::from(self.cursor.ack(index)),
        };
        let whole = self.cursor.is_acked(index);
        let Dispatcher::Multiple(multiple) = &mut self.dispatcher else {
            return;
        };
        if let Some((holder, _)) = held
            && let Some(consumer) = self.consumers.get_mut(holder)
        {
            let after = match whole {
                true => 0,
                false => unacked_messages(&self.cursor, index, batch_size),
            };
            consumer.unacked -= before - after;
            multiple.count(after - before);
            if whole {
                consumer.pending.remove(&index);
            }
            if consumer.unblock_at_half() {
                multiple.available(holder, consumer);
            }
        }
        if whole {
            multiple.acked(index, held);
        }
    }

    /// CommandAck, cumulative. Ignored on Shared and Key_Shared, as in the broker.
    pub fn ack_cumulative(&mut self, index: u64, batch_size: u32, unacked: Option<&[u64]>) {
        if let Dispatcher::Multiple(_) = self.dispatcher {
            return;
        }
        match unacked {
            None => self.cursor.ack_below(index.saturating_add(1)),
            Some(set) => {
                self.cursor.ack_below(index);
                self.cursor.ack_part(index, set, batch_size);
            }
        }
    }

    /// Who holds an entry: the consumer itself, or another one (an ack may come by another consumer).
    fn holder(&self, key: usize, index: u64) -> Option<(usize, Pending)> {
        let held_by = |key: usize, c: &Consumer| c.pending.get(&index).map(|&p| (key, p));
        let own = self.consumers.get(key).and_then(|c| held_by(key, c));
        own.or_else(|| self.consumers.iter().find_map(|(key, c)| held_by(key, c)))
    }

    /// CommandRedeliverUnacknowledgedMessages. `indexes`: `None` for all that the consumer holds.
    pub fn redeliver(&mut self, key: usize, indexes: Option<&[u64]>, epoch: Option<u64>) {
        let Some(consumer) = self.consumers.get_mut(key) else {
            return;
        };
        match &mut self.dispatcher {
            Dispatcher::Single(single) => {
                // Single messages cannot come again here: order would be lost. All of them do.
                if epoch > consumer.epoch {
                    consumer.epoch = epoch;
                }
                if single.active == Some(key) {
                    single.rewind(&self.cursor);
                }
            }
            Dispatcher::Multiple(multiple) => {
                let all: Vec<u64> = match indexes {
                    Some(_) => Vec::new(),
                    None => consumer.pending.keys().copied().collect(),
                };
                for &index in indexes.unwrap_or(&all) {
                    let Some(pending) = consumer.pending.remove(&index) else {
                        continue;
                    };
                    let messages = unacked_messages(&self.cursor, index, pending.batch_size);
                    consumer.unacked -= messages;
                    multiple.count(-messages);
                    multiple.redeliver(key, index, pending, &self.cursor);
                }
                consumer.unblock();
                multiple.available(key, consumer);
            }
        }
    }

    /// Puts the cursor before `index`. The caller has closed the consumers that the broker closes.
    pub fn reset(&mut self, index: u64, unacked: Option<(&[u64], u32)>) {
        self.cursor.reset(index);
        if let Some((set, batch_size)) = unacked {
            self.cursor.ack_part(index, set, batch_size);
        }
        if let Dispatcher::Single(single) = &mut self.dispatcher {
            single.rewind(&self.cursor);
        }
    }
}

/// The ack_set of an id, if it has one.
pub(super) fn ack_set_of(words: &[i64], batch_size: u32) -> Option<Vec<u64>> {
    (!words.is_empty()).then(|| ack_set::from_client(words, batch_size))
}
