//! Which partition a message goes to: the Java client's choice, exactly.
//!
//! Source: `SinglePartitionMessageRouterImpl`, `RoundRobinPartitionMessageRouterImpl`, `JavaStringHash` and
//! `Murmur3_32Hash` of the Java client 4.0.8.

use crate::api::{HashingScheme, RoutingMode};

/// The partition choice of one producer socket.
pub struct Router {
    mode: RoutingMode,
    hashing: HashingScheme,
    partitions: u32,
    /// SinglePartition: where keyless messages go. RoundRobinPartition: where the next one goes.
    next: u32,
}

impl Router {
    /// `first` picks the first partition of keyless messages; Java takes a random one.
    pub fn new(mode: RoutingMode, hashing: HashingScheme, partitions: u32, first: u32) -> Router {
        let partitions = partitions.max(1);
        Router {
            mode,
            hashing,
            partitions,
            next: first % partitions,
        }
    }

    /// The partition of the next message, 0 to partitions − 1.
    pub fn choose(&mut self, key: Option<&str>) -> usize {
        if self.partitions == 1 {
            return 0;
        }
        if let Some(key) = key {
            let hash = match self.hashing {
                HashingScheme::JavaStringHash => java_string_hash(key),
                HashingScheme::Murmur3_32Hash => murmur3_32(key.as_bytes()),
            };
            return ((hash & i32::MAX as u32) % self.partitions) as usize;
        }
        let chosen = self.next;
        if self.mode == RoutingMode::RoundRobinPartition {
            self.next = (self.next + 1) % self.partitions;
        }
        chosen as usize
    }
}

/// `String.hashCode()`: over UTF-16 code units.
fn java_string_hash(key: &str) -> u32 {
    key.encode_utf16().fold(0u32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(unit as u32)
    })
}

/// MurmurHash3 x86 32-bit, seed 0.
fn murmur3_32(data: &[u8]) -> u32 {
    const C1: u32 = 0xcc9e_2d51;
    const C2: u32 = 0x1b87_3593;
    let mix = |k: u32| k.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);

    let mut hash = 0u32;
    let mut blocks = data.chunks_exact(4);
    for block in &mut blocks {
        hash ^= mix(u32::from_le_bytes([block[0], block[1], block[2], block[3]]));
        hash = hash
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }
    let tail = blocks.remainder();
    if !tail.is_empty() {
        let k = tail
            .iter()
            .rev()
            .fold(0u32, |k, byte| (k << 8) | *byte as u32);
        hash ^= mix(k);
    }
    hash ^= data.len() as u32;
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with the Java client 4.0.8 (`Murmur3Hash32.getInstance().makeHash(key)`, `JavaStringHash`), modulo 3 and 5.
    #[test]
    fn keys_go_to_the_partitions_that_the_java_client_chooses() {
        for (key, partitions, expected) in [("key1", 3, 0), ("pulsar", 3, 1), ("0002", 5, 3)] {
            let mut router = Router::new(
                RoutingMode::SinglePartition,
                HashingScheme::Murmur3_32Hash,
                partitions,
                0,
            );
            assert_eq!(router.choose(Some(key)), expected, "{key} of {partitions}");
        }
        // "hello".hashCode() = 99162322, "Aa" and "BB" collide at 2112, "ü" is one UTF-16 unit (252).
        for (key, hash) in [
            ("hello", 99_162_322),
            ("Aa", 2112),
            ("BB", 2112),
            ("ü", 252),
            ("", 0),
        ] {
            assert_eq!(java_string_hash(key), hash);
        }
    }

    #[test]
    fn single_partition_keeps_to_one_and_round_robin_goes_around() {
        let mut single = Router::new(
            RoutingMode::SinglePartition,
            HashingScheme::JavaStringHash,
            3,
            4,
        );
        assert_eq!([single.choose(None), single.choose(None)], [1, 1]);
        let mut around = Router::new(
            RoutingMode::RoundRobinPartition,
            HashingScheme::JavaStringHash,
            3,
            2,
        );
        assert_eq!(
            [
                around.choose(None),
                around.choose(None),
                around.choose(None)
            ],
            [2, 0, 1]
        );
        assert_eq!(around.choose(Some("hello")), (99_162_322 % 3) as usize);
    }
}
