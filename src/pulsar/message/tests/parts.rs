//! What a client is told of a message, against the metadata that prost wrote.

use super::compression::compress;
use super::*;
use ::pulsar::proto::KeyValue;

/// As a client sees a message.
#[derive(Debug, PartialEq)]
struct Seen {
    key: Option<String>,
    key_is_base64: bool,
    ordering_key: Option<Vec<u8>>,
    event_time_ms: Option<u64>,
    null_value: bool,
    properties: Vec<(String, String)>,
}

fn seen(message: &Message) -> Seen {
    let parts = message.parts();
    Seen {
        key: parts.key.map(|key| key.into_owned()),
        key_is_base64: parts.key_is_base64,
        ordering_key: parts.ordering_key.map(<[u8]>::to_vec),
        event_time_ms: parts.event_time_ms,
        null_value: parts.null_value,
        properties: parts
            .properties
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect(),
    }
}

#[test]
fn a_message_takes_from_its_batch_what_it_does_not_say_itself() {
    let with_time = SingleMessageMetadata {
        event_time: Some(8),
        ..Default::default()
    };
    let entry = batch(&[(SingleMessageMetadata::default(), b"a"), (with_time, b"b")]);
    let metadata = MessageMetadata {
        event_time: Some(7),
        num_messages_in_batch: Some(2),
        ..metadata()
    };
    let entry = Entry {
        metadata: metadata.encode_to_vec().into(),
        ..entry
    };
    let messages = split(&entry, MAX_BYTES).unwrap();
    assert_eq!(messages[0].parts().event_time_ms, Some(7));
    assert_eq!(messages[1].parts().event_time_ms, Some(8));
}

#[test]
fn text_that_is_not_utf8_is_replaced() {
    let mut metadata = BytesMut::from(&metadata().encode_to_vec()[..]);
    metadata.put_slice(&[0x32, 2, b'k', 0xff]);
    metadata.put_slice(&[0x22, 6, 0x0a, 1, 0xfe, 0x12, 1, 0xfd]);
    let entry = Entry {
        metadata: metadata.freeze(),
        ..entry(&MessageMetadata::default(), vec![])
    };
    let seen = seen(&split(&entry, MAX_BYTES).unwrap()[0]);
    assert_eq!(seen.key.as_deref(), Some("k\u{fffd}"));
    assert_eq!(seen.properties, [("\u{fffd}".into(), "\u{fffd}".into())]);
}

#[test]
fn an_event_time_of_zero_is_none() {
    let metadata = MessageMetadata {
        event_time: Some(0),
        ..metadata()
    };
    let messages = split(&entry(&metadata, vec![]), MAX_BYTES).unwrap();
    assert_eq!(messages[0].parts().event_time_ms, None);
}

fn property(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: value.into(),
    }
}

prop_compose! {
    fn single()(
        properties in vec((".{0,9}", ".{0,9}"), 0..4),
        partition_key in proptest::option::of(".{0,9}"),
        event_time in proptest::option::of(any::<u64>()),
        ordering_key in proptest::option::of(vec(any::<u8>(), 0..9)),
        b64 in any::<bool>(),
        null_value in any::<bool>(),
    ) -> SingleMessageMetadata {
        SingleMessageMetadata {
            properties: properties.iter().map(|(key, value)| property(key, value)).collect(),
            partition_key,
            event_time,
            ordering_key,
            partition_key_b64_encoded: Some(b64),
            null_value: Some(null_value),
            ..Default::default()
        }
    }
}

fn expected(single: &SingleMessageMetadata) -> Seen {
    Seen {
        key: single.partition_key.clone(),
        key_is_base64: single.partition_key_b64_encoded(),
        ordering_key: single.ordering_key.clone(),
        event_time_ms: single.event_time.filter(|time| *time != 0),
        null_value: single.null_value(),
        properties: single
            .properties
            .iter()
            .map(|property| (property.key.clone(), property.value.clone()))
            .collect(),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_batch_of_prost_comes_out_as_it_went_in(
        messages in vec((single(), vec(any::<u8>(), 0..40)), 1..8),
        compression in 0..if cfg!(miri) { 1 } else { 5 },
    ) {
        let pairs: Vec<_> = messages.iter().map(|(single, bytes)| (single.clone(), &bytes[..])).collect();
        let mut entry = batch(&pairs);
        if compression > 0 {
            let metadata = MessageMetadata {
                num_messages_in_batch: Some(messages.len() as i32),
                compression: Some(compression),
                uncompressed_size: Some(entry.payload.len() as u32),
                ..metadata()
            };
            entry.payload = compress(compression, &entry.payload).into();
            entry.metadata = metadata.encode_to_vec().into();
        }
        let read = split(&entry, MAX_BYTES).unwrap();
        prop_assert_eq!(read.len(), messages.len());
        for (index, (read, (single, payload))) in read.iter().zip(&messages).enumerate() {
            prop_assert_eq!(read.id.batch_index, index as i32);
            prop_assert_eq!(&read.payload[..], &payload[..]);
            prop_assert_eq!(seen(read), expected(single));
        }
    }

    #[test]
    fn the_metadata_of_a_plain_message_is_read_as_prost_reads_it(single in single()) {
        let metadata = MessageMetadata {
            properties: single.properties.clone(),
            partition_key: single.partition_key.clone(),
            event_time: single.event_time,
            ordering_key: single.ordering_key.clone(),
            partition_key_b64_encoded: single.partition_key_b64_encoded,
            null_value: single.null_value,
            ..metadata()
        };
        let messages = split(&entry(&metadata, vec![]), MAX_BYTES).unwrap();
        prop_assert_eq!(seen(&messages[0]), expected(&single));
    }

    #[test]
    fn any_metadata_and_payload_are_split_or_refused(metadata in vec(any::<u8>(), 0..64), payload in vec(any::<u8>(), 0..64), batch_index in -1..1i32) {
        let entry = Entry { metadata: metadata.clone().into(), ..entry(&MessageMetadata::default(), payload.clone()) };
        let _ = split(&entry, MAX_BYTES);
        let id = MessageId { ledger: 0, entry: 0, partition: -1, batch_index, batch_size: 0 };
        let message = Message { id, first_chunk: None, oldest_begun: None, redelivery_count: 0, publish_time_ms: 0, metadata: metadata.into(), decrypted_from: None, payload: payload.into() };
        seen(&message);
    }
}

#[test]
fn a_small_message_that_is_kept_lets_the_read_buffer_go_and_a_large_one_is_not_copied() {
    let read = Bytes::from(vec![7u8; 64 * 1024]);
    let message = |payload: Bytes| Message {
        id: crate::pulsar::MessageId {
            ledger: 1,
            entry: 2,
            partition: -1,
            batch_index: -1,
            batch_size: 0,
        },
        first_chunk: None,
        oldest_begun: None,
        redelivery_count: 3,
        publish_time_ms: 4,
        metadata: read.slice(..10),
        payload,
        decrypted_from: None,
    };
    let within = |bytes: &Bytes| read.as_ptr_range().contains(&bytes.as_ptr());

    let small = message(read.slice(10..110));
    let kept = small.unpinned();
    assert_eq!(
        (&kept.metadata, &kept.payload),
        (&small.metadata, &small.payload)
    );
    assert_eq!(
        (kept.id, kept.redelivery_count, kept.publish_time_ms),
        (small.id, 3, 4)
    );
    assert!(!within(&kept.metadata) && !within(&kept.payload));

    let mut large = message(read.slice(10..40_000));
    assert!(within(&large.unpinned().payload));
    // What a batch unpacks to may be many times as large as one of its messages.
    large.id.batch_index = 0;
    assert!(!within(&large.unpinned().payload));
}
