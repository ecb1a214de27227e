//! Topic names as the Java client takes them apart (`TopicName` of pulsar-common).

/// `TopicName.PARTITIONED_TOPIC_SUFFIX`.
const PARTITION_SUFFIX: &str = "-partition-";

/// `TopicName.getPartitionIndex`: −1 unless the name ends with a partition's number as Java writes it.
pub fn partition_index(topic: &str) -> i32 {
    split_partition(topic).1
}

/// The name of the topic, and which partition of it is meant: −1 when it is the topic as a whole.
pub fn split_partition(topic: &str) -> (&str, i32) {
    let split = topic
        .rsplit_once(PARTITION_SUFFIX)
        .and_then(|(name, digits)| {
            let index: i32 = digits.parse().ok()?;
            (index >= 0 && index.to_string() == digits).then_some((name, index))
        });
    split.unwrap_or((topic, -1))
}

/// The name of one partition; that of the topic itself for −1.
pub fn partition_name(topic: &str, partition: i32) -> String {
    match partition {
        ..0 => topic.to_owned(),
        _ => format!("{topic}{PARTITION_SUFFIX}{partition}"),
    }
}

pub fn is_persistent(topic: &str) -> bool {
    !topic.starts_with("non-persistent://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_of_a_topic_name_is_read_as_java_reads_it() {
        assert_eq!(partition_index("persistent://p/d/t-partition-3"), 3);
        assert_eq!(partition_index("persistent://p/d/t-partition-03"), -1);
        assert_eq!(partition_index("persistent://p/d/t-partition--1"), -1);
        assert_eq!(partition_index("persistent://p/d/t-partition-+1"), -1);
        assert_eq!(partition_index("persistent://p/d/t"), -1);
        assert_eq!(split_partition("t-partition-3"), ("t", 3));
        assert_eq!(partition_name("t", 3), "t-partition-3");
        assert_eq!(partition_name("t", -1), "t");
    }
}
