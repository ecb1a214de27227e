//! Whose turn it is on a Shared subscription: round-robin among the available consumers of the best priority level.
//!
//! Only consumers that may be available are in the queue, so that ten thousand without permits cost nothing.

use std::collections::{BTreeMap, VecDeque};

use slab::Slab;

use super::connections::Connections;
use super::consumer::Consumer;

#[derive(Debug, Default)]
pub(super) struct Turns {
    /// By priority level, 0 first.
    levels: BTreeMap<i32, VecDeque<usize>>,
}

impl Turns {
    /// To be called whenever a consumer may have become available.
    pub fn enqueue(&mut self, key: usize, consumer: &mut Consumer) {
        if !consumer.queued {
            consumer.queued = true;
            let level = self.levels.entry(consumer.priority_level).or_default();
            level.push_back(key);
        }
    }

    /// Takes the next available one out of the queue. It is put back by `enqueue` while it stays available.
    pub fn next(
        &mut self,
        consumers: &mut Slab<Consumer>,
        connections: &Connections,
    ) -> Option<usize> {
        while let Some(mut level) = self.levels.first_entry() {
            while let Some(key) = level.get_mut().pop_front() {
                // The key may be that of a consumer that has gone, or of its successor.
                let Some(consumer) = consumers.get_mut(key).filter(|c| c.queued) else {
                    continue;
                };
                consumer.queued = false;
                if consumer.is_available(connections) {
                    return Some(key);
                }
            }
            level.remove();
        }
        None
    }
}
