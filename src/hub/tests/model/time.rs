//! What the passing of time does: delays that end, messages that time out.

use super::*;

impl Model {
    pub(super) fn wait(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(at_ms) = self.hub.next_deadline_ms().filter(|at| *at <= end_ms) {
            self.now_ms = at_ms.max(self.now_ms);
            let mut out = Vec::new();
            self.hub.tick(self.now_ms, &mut out);
            self.hub.check_retained_bytes();
            self.time_passed();
            self.carry_out(out);
        }
        self.now_ms = end_ms;
    }

    /// What may come again now. On Exclusive and Failover that is everything of the partition.
    fn time_passed(&mut self) {
        let mut slots = BTreeSet::new();
        let keys: Vec<Key> = self.fates.keys().copied().collect();
        for key in &keys {
            let is_due = match self.fates[key] {
                Fate::Delayed { due_ms } => due_ms <= self.now_ms,
                Fate::Held { by, since_ms } => {
                    let timeout_ms = self.clients[&by].spec.ack_timeout_ms;
                    timeout_ms > 0 && since_ms + timeout_ms <= self.now_ms
                }
                _ => false,
            };
            if is_due {
                self.take_back(MemberId(0), *key, Fate::Free);
                // Without a connection nobody is told, and after it was lost something may come that was sent before.
                let next = match self.wires[key.0].was_lost {
                    true => Next::NotLess,
                    false => Next::More,
                };
                self.counts.expect(*key, next);
                slots.insert(key.0);
            }
        }
        if self.in_order() {
            slots.into_iter().for_each(|slot| self.begins_again(slot));
        }
    }

    /// Everything unsettled of the partition comes once more, in order.
    pub(super) fn begins_again(&mut self, slot: usize) {
        self.wires[slot].last = None;
        let of_slot = (slot, 0, i32::MIN)..(slot + 1, 0, i32::MIN);
        let keys: Vec<Key> = self.fates.range(of_slot).map(|(key, _)| *key).collect();
        for key in keys {
            if self.fates[&key] != Fate::Acked {
                self.take_back(MemberId(0), key, Fate::Free);
            }
        }
    }
}
