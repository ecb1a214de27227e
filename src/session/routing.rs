//! Which partition a message goes to: the Java client's choice, exactly.
//!
//! Source: `SinglePartitionMessageRouterImpl`, `RoundRobinPartitionMessageRouterImpl`, `JavaStringHash` and
//! `Murmur3_32Hash` of the Java client 4.0.8.

use crate::api::{HashingScheme, RoutingMode};
use crate::pulsar::murmur::murmur3_32;

/// Java's default `roundRobinRouterBatchingPartitionSwitchFrequency`: how many publish delays a partition is kept, so
/// that its batches get full.
const DELAYS_PER_PARTITION: u64 = 10;

/// The partition choice of one producer socket.
pub struct Router {
    keyless: Keyless,
    hashing: HashingScheme,
    partitions: u32,
}

/// Where messages without a key go.
enum Keyless {
    /// Always there.
    One(u32),
    /// There the next time.
    Next(u32),
    /// A new one with each window of the clock.
    Window { first: u32, window_ms: u64 },
}

impl Router {
    /// `batch_delay_ms`: how long batches wait, where there are any. `first` picks the first partition of keyless
    /// messages; Java takes a random one.
    pub fn new(
        mode: RoutingMode,
        hashing: HashingScheme,
        batch_delay_ms: Option<u32>,
        partitions: u32,
        first: u32,
    ) -> Router {
        let partitions = partitions.max(1);
        let first = first % partitions;
        let keyless = match (mode, batch_delay_ms) {
            (RoutingMode::SinglePartition, _) => Keyless::One(first),
            (RoutingMode::RoundRobinPartition, None) => Keyless::Next(first),
            (RoutingMode::RoundRobinPartition, Some(delay_ms)) => Keyless::Window {
                first,
                window_ms: u64::from(delay_ms.max(1)) * DELAYS_PER_PARTITION,
            },
        };
        Router {
            keyless,
            hashing,
            partitions,
        }
    }

    /// The topic has more partitions now; keys go to others than before, as in Java.
    pub fn grow(&mut self, partitions: u32) {
        self.partitions = self.partitions.max(partitions);
    }

    /// The partition of the next message, 0 to partitions − 1. `wall_ms` since 1970.
    pub fn choose(&mut self, key: Option<&str>, wall_ms: u64) -> usize {
        if self.partitions == 1 {
            return 0;
        }
        let partition = match (key, &mut self.keyless) {
            (Some(key), _) => key_hash(self.hashing, key) % self.partitions,
            (None, Keyless::One(partition)) => *partition,
            (None, Keyless::Next(next)) => {
                let chosen = *next;
                *next = (chosen + 1) % self.partitions;
                chosen
            }
            (None, Keyless::Window { first, window_ms }) => {
                let window = wall_ms / *window_ms + u64::from(*first);
                (window % u64::from(self.partitions)) as u32
            }
        };
        partition as usize
    }
}

/// What Java's `Hash` gives: never negative.
fn key_hash(hashing: HashingScheme, key: &str) -> u32 {
    let hash = match hashing {
        HashingScheme::JavaStringHash => java_string_hash(key),
        HashingScheme::Murmur3_32Hash => murmur3_32(key.as_bytes()),
    };
    hash & i32::MAX as u32
}

/// `String.hashCode()`: over UTF-16 code units.
fn java_string_hash(key: &str) -> u32 {
    key.encode_utf16().fold(0u32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(unit as u32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key as JSON, its JavaStringHash, its Murmur3_32Hash: what the classes of the Java client 4.0.8 give.
    const JAVA_KEY_HASHES: &str = include_str!("java_key_hashes.tsv");

    const JAVA: HashingScheme = HashingScheme::JavaStringHash;

    fn around(batch_delay_ms: Option<u32>, partitions: u32, first: u32) -> Router {
        let mode = RoutingMode::RoundRobinPartition;
        Router::new(mode, JAVA, batch_delay_ms, partitions, first)
    }

    #[test]
    fn keys_have_the_hashes_of_the_java_client() {
        for line in JAVA_KEY_HASHES.lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            let [key, java, murmur] = columns[..] else {
                panic!("three columns: {line}");
            };
            let key: String = serde_json::from_str(key).expect("a JSON string");
            let hash = |hashing| key_hash(hashing, &key).to_string();
            assert_eq!(hash(HashingScheme::JavaStringHash), java, "{key}");
            assert_eq!(hash(HashingScheme::Murmur3_32Hash), murmur, "{key}");
        }
    }

    #[test]
    fn a_key_goes_before_every_routing_mode() {
        let single = Router::new(RoutingMode::SinglePartition, JAVA, None, 3, 1);
        for mut router in [single, around(None, 3, 1), around(Some(1), 3, 1)] {
            for wall_ms in [0, 10, 20] {
                assert_eq!(router.choose(Some("hello"), wall_ms), 99_162_322 % 3);
            }
        }
        let murmur = HashingScheme::Murmur3_32Hash;
        let mut murmur = Router::new(RoutingMode::SinglePartition, murmur, None, 5, 0);
        assert_eq!(murmur.choose(Some("hello"), 0), 613_153_351 % 5);
    }

    #[test]
    fn single_partition_keeps_to_one_and_round_robin_goes_around() {
        let mut single = Router::new(RoutingMode::SinglePartition, JAVA, Some(10), 3, 4);
        assert_eq!([0; 3].map(|_| single.choose(None, 0)), [1, 1, 1]);
        let mut around = around(None, 3, 2);
        assert_eq!([0; 4].map(|_| around.choose(None, 0)), [2, 0, 1, 2]);
    }

    /// (delay, first, partitions, chosen at these times) by `RoundRobinPartitionMessageRouterImpl` of the Java client 4.0.8.
    #[test]
    fn round_robin_of_batches_changes_the_partition_with_the_clock_as_java_does() {
        const TIMES_MS: [u64; 9] = [
            0,
            9,
            10,
            99,
            100,
            101,
            1_234_567_890_123,
            1_234_567_890_223,
            1_799_999_999_999,
        ];
        for (delay_ms, first, partitions, expected) in [
            (1, 0, 3, [0, 0, 1, 0, 1, 1, 0, 1, 2]),
            (1, 2, 7, [2, 2, 3, 4, 5, 5, 6, 2, 3]),
            (10, 2, 3, [2, 2, 2, 2, 0, 0, 0, 1, 1]),
            (10, 6, 7, [6, 6, 6, 6, 0, 0, 2, 3, 1]),
            (250, 0, 3, [0, 0, 0, 0, 0, 0, 0, 0, 2]),
            (250, 6, 7, [6, 6, 6, 6, 6, 6, 3, 3, 4]),
        ] {
            let mut router = around(Some(delay_ms), partitions, first);
            let chosen = TIMES_MS.map(|wall_ms| router.choose(None, wall_ms));
            assert_eq!(chosen, expected, "{delay_ms} ms, {first} of {partitions}");
        }
    }
}
