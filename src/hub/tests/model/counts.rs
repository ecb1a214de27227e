//! The redelivery count that a message comes with: raised by a negative ack or a timeout and by nothing else.

use super::*;

/// What the next delivery of a message may say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    /// Its member has left.
    Same,
    /// It was asked for again.
    More,
    /// The connection was lost, or the hub is another one: others may have asked for what is in the same batch.
    NotLess,
}

#[derive(Default)]
pub(super) struct Counts(BTreeMap<Key, (u32, Next)>);

impl Counts {
    pub fn delivered(&mut self, key: Key, count: u32) {
        match self.0.insert(key, (count, Next::NotLess)) {
            None => {}
            Some((last, Next::Same)) => assert_eq!(count, last, "{key:?} was passed on"),
            Some((last, Next::More)) => assert!(count > last, "{key:?} was asked for again"),
            Some((last, Next::NotLess)) => assert!(count >= last, "{key:?}"),
        }
    }

    pub fn expect(&mut self, key: Key, next: Next) {
        if let Some((_, expected)) = self.0.get_mut(&key) {
            *expected = next;
        }
    }

    pub fn expect_nothing_of(&mut self, slot: usize) {
        for ((of, ..), (_, next)) in &mut self.0 {
            if *of == slot {
                *next = Next::NotLess;
            }
        }
    }
}
