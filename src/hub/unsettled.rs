//! What became of each message of an entry: waiting, held by a member, delayed after a negative ack, settled.
//! One entry's state only; who asks and what follows is elsewhere.

use super::effect::MemberId;

/// One message (one index of a batch).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Index {
    /// In an entry that waits unopened.
    Arrived,
    /// In the hub's hands, for the next member with window.
    Queued,
    Held(MemberId),
    /// Negatively acked; the broker is asked for it at that time.
    Delayed {
        due_ms: u64,
    },
    /// On its way to a dead-letter topic.
    Dying,
    /// The broker will send it again.
    Absent,
    Settled,
}

impl Index {
    /// Whether something here still waits for it or holds it.
    pub fn is_live(self) -> bool {
        !matches!(self, Index::Absent | Index::Settled)
    }
}

/// One message of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Indexed {
    state: Index,
    /// What is charged for it.
    bytes: u32,
}

#[derive(Debug)]
pub(super) enum Indexes {
    /// Waiting as the broker sent it: what is in it is not known yet.
    Unopened,
    One(Index),
    Batch {
        states: Box<[Indexed]>,
        /// Not `Settled`.
        unsettled: u32,
        /// Neither `Settled` nor `Absent`.
        live: u32,
        /// What is before this one is settled by cumulative acks, which name it again and again.
        settled_below: u32,
    },
}

/// The state of one entry, and the bytes that are charged for what is live of it.
#[derive(Debug)]
pub(super) struct EntryState {
    pub indexes: Indexes,
    bytes: usize,
}

/// What a change made of the entry as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Every index is settled: the entry can be acked as a whole.
    Settled,
    /// Nothing waits or is held; some index will come again from the broker.
    Dormant,
    Live,
}

/// The message of a batch with this index, if there is one.
fn indexed(states: &mut [Indexed], index: i32) -> Option<&mut Indexed> {
    states.get_mut(usize::try_from(index).ok()?)
}

impl From<Indexes> for EntryState {
    fn from(indexes: Indexes) -> EntryState {
        EntryState { indexes, bytes: 0 }
    }
}

impl EntryState {
    pub fn unopened() -> EntryState {
        Indexes::Unopened.into()
    }

    /// A batch of which every index is settled, until it is told otherwise.
    pub fn settled_batch(size: usize) -> EntryState {
        let settled = Indexed {
            state: Index::Settled,
            bytes: 0,
        };
        let indexes = Indexes::Batch {
            states: vec![settled; size].into(),
            unsettled: 0,
            live: 0,
            settled_below: 0,
        };
        indexes.into()
    }

    /// What is charged for all of it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Charges for a message that is live. What that adds to what is charged.
    pub fn charge(&mut self, index: i32, bytes: usize) -> usize {
        // No message comes near 4 GiB.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Indexes::Batch { states, .. } = &mut self.indexes {
            match indexed(states, index) {
                Some(indexed) => indexed.bytes = indexed.bytes.saturating_add(bytes),
                None => return 0,
            }
        }
        self.bytes += bytes as usize;
        bytes as usize
    }

    /// Once the message is not live any more: what was charged for it.
    pub fn discharge(&mut self, index: i32) -> usize {
        let bytes = match &mut self.indexes {
            Indexes::Batch { states, .. } => indexed(states, index)
                .map_or(0, |indexed| std::mem::take(&mut indexed.bytes) as usize),
            _ => self.bytes,
        };
        self.bytes -= bytes;
        bytes
    }

    /// The state of a message; `None` for an index that the entry does not have.
    pub fn get(&self, index: i32) -> Option<Index> {
        match &self.indexes {
            Indexes::Unopened => None,
            Indexes::One(state) => (index < 0).then_some(*state),
            Indexes::Batch { states, .. } => {
                let indexed = states.get(usize::try_from(index).ok()?)?;
                Some(indexed.state)
            }
        }
    }

    /// Without effect for an index that the entry does not have.
    pub fn set(&mut self, index: i32, to: Index) {
        match &mut self.indexes {
            Indexes::Unopened => {}
            Indexes::One(state) => {
                if index < 0 {
                    *state = to;
                }
            }
            Indexes::Batch {
                states,
                unsettled,
                live,
                ..
            } => {
                let Some(Indexed { state, .. }) = indexed(states, index) else {
                    return;
                };
                *unsettled -= u32::from(*state != Index::Settled);
                *live -= u32::from(state.is_live());
                *state = to;
                *unsettled += u32::from(to != Index::Settled);
                *live += u32::from(to.is_live());
            }
        }
    }

    pub fn outcome(&self) -> Outcome {
        match &self.indexes {
            Indexes::Unopened => Outcome::Live,
            Indexes::One(Index::Settled) => Outcome::Settled,
            Indexes::One(Index::Absent) => Outcome::Dormant,
            Indexes::One(_) => Outcome::Live,
            Indexes::Batch { unsettled: 0, .. } => Outcome::Settled,
            Indexes::Batch { live: 0, .. } => Outcome::Dormant,
            Indexes::Batch { .. } => Outcome::Live,
        }
    }

    /// The entry has come again: what was absent has arrived. False: nothing was.
    pub fn arrived_again(&mut self) -> bool {
        let absent = self.indexes_in(Index::Absent);
        for index in &absent {
            self.set(*index, Index::Arrived);
        }
        !absent.is_empty()
    }

    pub fn indexes_in(&self, state: Index) -> Vec<i32> {
        self.all().filter(|i| self.get(*i) == Some(state)).collect()
    }

    /// How many of its messages wait or are held here.
    pub fn live(&self) -> u32 {
        match &self.indexes {
            Indexes::Unopened => 0,
            Indexes::One(state) => u32::from(state.is_live()),
            Indexes::Batch { live, .. } => *live,
        }
    }

    /// The indexes that an id means: all of them where it names none.
    pub fn meant_by(&self, batch_index: i32) -> std::ops::Range<i32> {
        match &self.indexes {
            Indexes::Unopened => 0..0,
            Indexes::One(_) if batch_index < 0 => -1..0,
            Indexes::One(_) => 0..0,
            Indexes::Batch { states, .. } if batch_index < 0 => 0..states.len() as i32,
            Indexes::Batch { states, .. } if (batch_index as usize) < states.len() => {
                batch_index..batch_index + 1
            }
            Indexes::Batch { .. } => 0..0,
        }
    }

    /// The indexes of a batch, up to this one, that no cumulative ack has settled. It is said to do so now: what is
    /// settled stays so.
    pub fn settling_up_to(&mut self, index: i32) -> std::ops::Range<i32> {
        match &mut self.indexes {
            Indexes::Batch { settled_below, .. } => {
                let from = *settled_below as i32;
                *settled_below = from.max(index + 1) as u32;
                from..index + 1
            }
            _ => 0..0,
        }
    }

    /// Every index that the entry has.
    pub fn all(&self) -> std::ops::Range<i32> {
        self.meant_by(-1)
    }

    /// Of a batch with both kinds: bit i set = message i is not settled. Else `None`.
    pub fn partial_ack_set(&self) -> Option<Vec<u64>> {
        let Indexes::Batch {
            states, unsettled, ..
        } = &self.indexes
        else {
            return None;
        };
        let partly = *unsettled > 0 && (*unsettled as usize) < states.len();
        partly.then(|| ack_set(states.iter().map(|of| of.state != Index::Settled)))
    }
}

/// The words of CommandAck's `ack_set`, from "is unacked" by index; without the zero words at the end, as Java's
/// BitSet writes them.
pub(super) fn ack_set(unacked: impl Iterator<Item = bool>) -> Vec<u64> {
    let mut words = Vec::new();
    for (index, unacked) in unacked.enumerate() {
        if index / 64 == words.len() {
            words.push(0);
        }
        words[index / 64] |= u64::from(unacked) << (index % 64);
    }
    trim(&mut words);
    words
}

/// Takes the zero words at the end away.
pub(super) fn trim(words: &mut Vec<u64>) {
    while words.last() == Some(&0) {
        words.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_counts_what_is_unsettled_and_what_is_live() {
        let mut state = EntryState::settled_batch(3);
        assert_eq!(state.outcome(), Outcome::Settled);
        state.set(0, Index::Queued);
        state.set(2, Index::Absent);
        assert_eq!(state.outcome(), Outcome::Live);
        assert!(state.arrived_again());
        assert!(!state.arrived_again());
        state.set(2, Index::Absent);
        assert_eq!(state.partial_ack_set(), Some(vec![0b101]));
        state.set(0, Index::Settled);
        assert_eq!(state.outcome(), Outcome::Dormant);
        state.set(2, Index::Settled);
        assert_eq!(state.outcome(), Outcome::Settled);
        assert_eq!(state.partial_ack_set(), None);
    }

    #[test]
    fn an_index_that_is_not_there_is_harmless() {
        let mut one = EntryState::from(Indexes::One(Index::Queued));
        one.set(0, Index::Settled);
        assert_eq!(one.outcome(), Outcome::Live);
        assert!(one.meant_by(0).is_empty());
        let mut batch = EntryState::settled_batch(2);
        batch.set(2, Index::Queued);
        assert_eq!(batch.outcome(), Outcome::Settled);
        assert!(batch.meant_by(2).is_empty());
        assert!(batch.meant_by(i32::MAX).is_empty());
        assert_eq!(batch.meant_by(-1), 0..2);
    }

    #[test]
    fn cumulative_acks_go_over_an_index_once() {
        let mut batch = EntryState::settled_batch(100);
        assert_eq!(batch.settling_up_to(49), 0..50);
        assert!(batch.settling_up_to(49).is_empty());
        assert!(batch.settling_up_to(3).is_empty());
        assert_eq!(batch.settling_up_to(99), 50..100);
    }

    #[test]
    fn an_ack_set_has_no_zero_words_at_its_end() {
        assert_eq!(ack_set((0..130).map(|i| i == 65)), vec![0, 2]);
        assert_eq!(ack_set((0..130).map(|i| i == 129)), vec![0, 0, 2]);
    }
}
