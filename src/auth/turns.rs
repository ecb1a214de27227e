//! Whose turn it is to have records read: so many at a time for each role, and its other accesses behind those (sans-IO).
//!
//! Who names ever new tenants and namespaces, which costs a right to nothing, waits for itself alone: the reads of others
//! find room, and so do their records.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::grants::Holder;

/// Reads that the accesses of one role have under way at a time. Half of what a shard asks the admin API at a time, and
/// hundreds of roles would have to ask at once for the records that are being read to leave no place for others.
const READS_MAX: usize = 16;

/// Accesses of one role that wait for their turn. A role with thousands of namespaces whose fleet reconnects at once needs
/// seconds for these where a read takes tens of milliseconds.
const QUEUE_MAX: usize = 1_024;

/// An access that still has something to be read after so long is told to come again: its client is about to give up. What
/// has been read for it is kept.
pub const QUEUED_MS: u64 = 10_000;

/// Those of all roles that have reads under way. A role whose queue is not empty has [`READS_MAX`] of them.
#[derive(Default)]
pub struct Turns {
    by_role: FxHashMap<Arc<str>, Turn>,
}

#[derive(Default)]
struct Turn {
    reads: usize,
    queue: VecDeque<Holder>,
}

impl Turns {
    /// Whether an access of the role may have one more record read now.
    pub fn is_free(&self, role: &str) -> bool {
        let turn = self.by_role.get(role);
        turn.is_none_or(|turn| turn.reads < READS_MAX)
    }

    /// A read begins, which [`Turns::ended`] ends.
    pub fn begin(&mut self, role: &Arc<str>) {
        self.by_role.entry(role.clone()).or_default().reads += 1;
    }

    pub fn ended(&mut self, role: &str) {
        if let Some(turn) = self.by_role.get_mut(role) {
            turn.reads = turn.reads.saturating_sub(1);
        }
    }

    /// False: too many wait.
    pub fn queue(&mut self, role: &Arc<str>, holder: Holder) -> bool {
        let queue = &mut self.by_role.entry(role.clone()).or_default().queue;
        let has_room = queue.len() < QUEUE_MAX;
        if has_room {
            queue.push_back(holder);
        }
        has_room
    }

    /// Whose turn it is now; to be asked again until there is nobody. It may have gone.
    pub fn next(&mut self, role: &str) -> Option<Holder> {
        let turn = self.by_role.get_mut(role)?;
        if turn.reads >= READS_MAX {
            return None;
        }
        let next = turn.queue.pop_front();
        if next.is_none() && turn.reads == 0 {
            self.by_role.remove(role);
        }
        next
    }
}
