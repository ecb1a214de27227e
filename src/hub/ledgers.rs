//! Which topic a ledger belongs to. Ids on the wire do not name their topic; ledger ids are unique in a cluster.
//! Only hubs over several topics need it.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::limits::{MAX_LEDGERS, MAX_STRAY_ACKS};
use crate::pulsar::MessageId;

#[derive(Debug, Default)]
pub(super) struct Ledgers {
    slot_of: FxHashMap<u64, usize>,
    /// In the order in which they were met; over the bound the oldest is forgotten.
    order: VecDeque<u64>,
    /// Acks of ledgers that are not known yet, the oldest first.
    strays: VecDeque<MessageId>,
}

impl Ledgers {
    pub fn slot(&self, ledger: u64) -> Option<usize> {
        self.slot_of.get(&ledger).copied()
    }

    /// An entry of this ledger came from the slot's topic. The acks that waited for that.
    pub fn note(&mut self, ledger: u64, slot: usize) -> Vec<MessageId> {
        if self.slot_of.insert(ledger, slot).is_some() {
            return Vec::new();
        }
        self.order.push_back(ledger);
        if self.order.len() > MAX_LEDGERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.slot_of.remove(&oldest);
        }
        if self.strays.is_empty() {
            return Vec::new();
        }
        let strays = std::mem::take(&mut self.strays);
        let (met, strays) = strays.into_iter().partition(|id| id.ledger == ledger);
        self.strays = strays;
        met.into()
    }

    /// An ack whose topic is not known: another gateway's delivery, or made up.
    pub fn stray(&mut self, id: MessageId) {
        self.strays.push_back(id);
        if self.strays.len() > MAX_STRAY_ACKS {
            self.strays.pop_front();
        }
    }

    /// The slot is another topic's from now on.
    pub fn forget_slot(&mut self, slot: usize) {
        let slot_of = &mut self.slot_of;
        slot_of.retain(|_, of| *of != slot);
        self.order.retain(|ledger| slot_of.contains_key(ledger));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ledger: u64) -> MessageId {
        MessageId {
            ledger,
            entry: 1,
            partition: -1,
            batch_index: -1,
            batch_size: 0,
        }
    }

    #[test]
    fn an_ack_waits_until_its_ledger_is_met() {
        let mut ledgers = Ledgers::default();
        ledgers.stray(id(7));
        ledgers.stray(id(8));
        assert_eq!(ledgers.note(7, 3), [id(7)]);
        assert_eq!(ledgers.slot(7), Some(3));
        assert_eq!(ledgers.note(7, 3), []);
        ledgers.forget_slot(3);
        assert_eq!(ledgers.slot(7), None);
        assert_eq!(ledgers.note(8, 4), [id(8)]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "a bound of thousands, interpreted")]
    fn both_tables_forget_the_oldest_over_their_bounds() {
        let mut ledgers = Ledgers::default();
        for ledger in 0..=MAX_LEDGERS as u64 {
            ledgers.note(ledger, 0);
        }
        assert_eq!(ledgers.slot(0), None);
        assert_eq!(ledgers.slot(1), Some(0));
        for ledger in 0..=MAX_STRAY_ACKS as u64 {
            ledgers.stray(id(ledger + 1_000_000));
        }
        assert_eq!(ledgers.note(1_000_000, 0), []);
        assert_eq!(ledgers.note(1_000_001, 0), [id(1_000_001)]);
    }
}
