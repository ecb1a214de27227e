//! The order in which the Java client hands out a message's properties, which clients may have come to rely on.
//!
//! `MessageImpl` collects those of a batched message into a `TreeMap`, all others with `Collectors.toMap`, i.e. with
//! `HashMap.merge`. Its order is that of the table; inside a bucket `merge` puts new entries in front, and a growing
//! table keeps the order. Not followed: buckets that Java turns into trees, which takes eight keys with the same hash
//! bits in one message.

use std::borrow::Cow;
use std::cmp::Reverse;

use super::linked_map::LinkedMap;

pub type Property<'a> = (Cow<'a, str>, Cow<'a, str>);

/// `java.util.HashMap`: its first table, its load factor of 3/4, and the crowded bucket that makes a small table grow.
const FIRST_TABLE: usize = 16;
const CROWDED_BUCKET: usize = 7;
const TREES_FROM_TABLE: usize = 64;

/// Properties of a message outside a batch, in published order, to Java's order. Of equal names the last value counts.
pub fn hash_map<'a>(published: impl Iterator<Item = Property<'a>>) -> Vec<Property<'a>> {
    let mut map = LinkedMap::default();
    let mut hashes: Vec<u32> = Vec::new();
    let mut table = FIRST_TABLE;
    for (name, value) in published {
        // Java looks before it knows whether the name is new.
        if map.len() > table / 4 * 3 {
            table *= 2;
        }
        let hash = spread_hash(&name);
        map.put(name, value);
        if map.len() == hashes.len() {
            continue;
        }
        let bucket_of = |hash: &u32| *hash as usize & (table - 1);
        if table < TREES_FROM_TABLE {
            let bucket = bucket_of(&hash);
            let mates = hashes
                .iter()
                .filter(|other| bucket_of(other) == bucket)
                .count();
            if mates >= CROWDED_BUCKET {
                table *= 2;
            }
        }
        hashes.push(hash);
    }
    let mut places: Vec<usize> = (0..hashes.len()).collect();
    places.sort_unstable_by_key(|place| (hashes[*place] as usize & (table - 1), Reverse(*place)));
    let mut entries: Vec<Option<Property>> = map.into_entries().into_iter().map(Some).collect();
    places
        .iter()
        .filter_map(|place| entries[*place].take())
        .collect()
}

/// Properties of a batched message: sorted by UTF-16 units. Of equal names the last value counts.
pub fn tree_map<'a>(published: impl Iterator<Item = Property<'a>>) -> Vec<Property<'a>> {
    let mut map = LinkedMap::default();
    for (name, value) in published {
        map.put(name, value);
    }
    let mut entries = map.into_entries();
    entries.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    entries
}

/// `HashMap.hash(String.hashCode())`.
fn spread_hash(name: &str) -> u32 {
    let units = name.encode_utf16();
    let hash = units.fold(0u32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(unit.into())
    });
    hash ^ (hash >> 16)
}
