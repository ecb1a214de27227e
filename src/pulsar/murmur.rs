//! MurmurHash3, as Pulsar uses it to choose between partitions, keys and consumers.

/// x86 32 bit, seed 0. Java's `Murmur3_32Hash.makeHash` is this without the sign bit.
pub fn murmur3_32(data: &[u8]) -> u32 {
    const C1: u32 = 0xcc9e_2d51;
    const C2: u32 = 0x1b87_3593;
    let scramble = |k: u32| k.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);
    let mut hash = 0u32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        hash = (hash ^ scramble(k))
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }
    let tail = chunks
        .remainder()
        .iter()
        .rev()
        .fold(0u32, |k, &b| (k << 8) | u32::from(b));
    hash ^= scramble(tail);
    hash ^= data.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// Points that one consumer has on the ring (CONSUMER_CONSISTENT_HASH_REPLICAS).
const RING_POINTS: u32 = 100;

/// How far behind a topic's place on the hash ring the consumer's first point is: without partitions the broker's active
/// Failover consumer is the nearest one (AbstractDispatcherSingleActiveConsumer.peekConsumerIndexFromHashRing).
pub fn ring_distance(topic: &str, consumer_name: &str) -> u32 {
    const JAVA_INT_MAX: u32 = i32::MAX as u32;
    let place = murmur3_32(topic.as_bytes()) & JAVA_INT_MAX;
    let points = (0..RING_POINTS).map(|point| {
        let point = murmur3_32(format!("{consumer_name}{point}").as_bytes()) & JAVA_INT_MAX;
        point.wrapping_sub(place) & JAVA_INT_MAX
    });
    points.min().unwrap_or(JAVA_INT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur_is_the_published_one() {
        assert_eq!(murmur3_32(b""), 0);
        assert_eq!(murmur3_32(b"test"), 0xba6b_d213);
        assert_eq!(murmur3_32(b"Hello, world!"), 0xc036_3e43);
    }
}
