//! A map in the order of first mention, as Java's `LinkedHashMap`.

use std::collections::HashMap;
use std::hash::Hash;

/// Up to this many entries, a key is looked for among them; beyond, in a hash map of places, so that input full of
/// entries costs no square of their number. 16 short keys are compared faster than one is hashed.
const LINEAR_MAX: usize = 16;

pub struct LinkedMap<K, V> {
    entries: Vec<(K, V)>,
    /// Empty up to [`LINEAR_MAX`] entries.
    places: HashMap<K, usize>,
}

impl<K, V> Default for LinkedMap<K, V> {
    fn default() -> LinkedMap<K, V> {
        LinkedMap {
            entries: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<K: Clone + Eq + Hash, V> LinkedMap<K, V> {
    /// A key that is there keeps its place and gets the new value.
    pub fn put(&mut self, key: K, value: V) {
        match self.place(&key) {
            Some(place) => self.entries[place].1 = value,
            None => {
                self.entries.push((key, value));
                self.note_last();
            }
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn into_entries(self) -> Vec<(K, V)> {
        self.entries
    }

    fn place(&self, key: &K) -> Option<usize> {
        match self.entries.len() {
            ..=LINEAR_MAX => self.entries.iter().position(|(known, _)| known == key),
            _ => self.places.get(key).copied(),
        }
    }

    fn note_last(&mut self) {
        let first = match self.entries.len().checked_sub(LINEAR_MAX + 1) {
            None => return,
            Some(0) => 0,
            Some(_) => self.entries.len() - 1,
        };
        let noted = self.entries.iter().enumerate().skip(first);
        self.places
            .extend(noted.map(|(place, (key, _))| (key.clone(), place)));
    }
}
