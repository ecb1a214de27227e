//! SEND: byte for byte what prost would write, and rolled back when its payload does not come.

use super::*;
use crate::pulsar::wire::{
    Body, ChunkFields, Compression, EncodeSendError, MetadataFields, SendHeader,
    SingleMetadataFields, encode_encryption_key, encode_send,
};
use ::pulsar::message::Codec;
use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::{
    CommandSend, EncryptionKeys, KeyValue, MessageMetadata, SingleMessageMetadata,
};
use bytes::BufMut;
use tokio_util::codec::Decoder as _;

const HEADER: SendHeader = SendHeader {
    producer_id: 1,
    sequence_id: 2,
    num_messages: 1,
    highest_sequence_id: None,
    is_chunk: false,
};

fn fields() -> MetadataFields<'static> {
    MetadataFields {
        producer_name: "p",
        sequence_id: 2,
        publish_time_ms: 3,
        ..Default::default()
    }
}

#[test]
fn a_failing_or_miscounting_fill_leaves_nothing_behind() {
    let mut out = BytesMut::from(&b"before"[..]);
    let failed = encode_send(&HEADER, &fields(), 4, &mut out, |out| {
        out.put_slice(b"ab");
        Err("no")
    });
    assert_eq!(failed, Err(EncodeSendError::Fill("no")));
    assert_eq!(&out[..], b"before");
    for written in [&b""[..], b"abc", b"abcde"] {
        let failed = encode_send(&HEADER, &fields(), 4, &mut out, |out| {
            out.put_slice(written);
            Ok::<(), ()>(())
        });
        assert_eq!(
            failed,
            Err(EncodeSendError::PayloadLength {
                announced: 4,
                written: written.len()
            })
        );
        assert_eq!(&out[..], b"before");
    }
}

#[test]
fn a_payload_that_no_frame_can_hold_is_refused_unreserved() {
    let mut out = BytesMut::new();
    let refused = encode_send(&HEADER, &fields(), usize::MAX, &mut out, |_| {
        Ok::<(), ()>(())
    });
    assert_eq!(refused, Err(EncodeSendError::TooLarge));
    assert_eq!(out.capacity(), 0);
}

#[test]
fn frames_stand_behind_each_other() {
    let mut out = BytesMut::new();
    for payload in [&b"one"[..], b"", b"three"] {
        encode_send(&HEADER, &fields(), payload.len(), &mut out, |out| {
            out.put_slice(payload);
            Ok::<(), ()>(())
        })
        .unwrap();
    }
    for payload in [&b"one"[..], b"", b"three"] {
        let frame = split_frame(&mut out, MAX_FRAME_BYTES).unwrap().unwrap();
        assert_eq!(&Body::parse(&frame.body).unwrap().payload[..], payload);
    }
    assert!(out.is_empty());
}

/// Everything that [`MetadataFields`] borrows.
#[derive(Debug)]
struct Owned {
    producer_name: String,
    properties: Vec<(String, String)>,
    partition_key: Option<String>,
    replicate_to: Vec<String>,
    encryption_keys: Vec<(String, Vec<u8>)>,
    encryption_param: Option<Vec<u8>>,
    ordering_key: Option<Vec<u8>>,
    numbers: [Option<u64>; 5],
    flags: [bool; 4],
}

prop_compose! {
    fn owned()(
        producer_name in ".{0,20}",
        properties in vec((".{0,10}", ".{0,150}"), 0..4),
        partition_key in proptest::option::of(".{0,10}"),
        replicate_to in vec(".{0,10}", 0..3),
        encryption_keys in vec((".{0,5}", some_bytes(10)), 0..3),
        encryption_param in proptest::option::of(some_bytes(20)),
        ordering_key in proptest::option::of(some_bytes(20)),
        numbers in proptest::array::uniform5(proptest::option::of(number())),
        flags in any::<[bool; 4]>(),
    ) -> Owned {
        Owned {
            producer_name, properties, partition_key, replicate_to, encryption_keys, encryption_param, ordering_key,
            numbers, flags,
        }
    }
}

fn expected_metadata(owned: &Owned) -> MessageMetadata {
    let [event_time, deliver_at, batch, size, time] = owned.numbers;
    let [b64, compressed, null, algo] = owned.flags;
    MessageMetadata {
        producer_name: owned.producer_name.clone(),
        sequence_id: 9,
        publish_time: time.unwrap_or(0),
        properties: owned
            .properties
            .iter()
            .map(|(key, value)| KeyValue {
                key: key.clone(),
                value: value.clone(),
            })
            .collect(),
        partition_key: owned.partition_key.clone(),
        replicate_to: owned.replicate_to.clone(),
        compression: compressed.then_some(3),
        uncompressed_size: compressed.then_some(size.unwrap_or(0) as u32),
        num_messages_in_batch: batch.map(|count| count as i32),
        event_time,
        encryption_keys: owned.encryption_keys.iter().map(encryption_key).collect(),
        encryption_algo: algo.then(|| "RSA".into()),
        encryption_param: owned.encryption_param.clone(),
        partition_key_b64_encoded: b64.then_some(true),
        ordering_key: owned.ordering_key.clone(),
        deliver_at_time: deliver_at.map(|at| at as i64),
        highest_sequence_id: batch,
        null_value: null.then_some(true),
        ..Default::default()
    }
}

fn encryption_key((key, value): &(String, Vec<u8>)) -> EncryptionKeys {
    EncryptionKeys {
        key: key.clone(),
        value: value.clone(),
        metadata: vec![KeyValue {
            key: "of the".into(),
            value: "key".into(),
        }],
    }
}

/// The frame of `owned` by the hand-written encoder.
fn encode(owned: &Owned, header: &SendHeader, payload: &[u8]) -> BytesMut {
    let [event_time, deliver_at, batch, size, time] = owned.numbers;
    let [b64, compressed, null, algo] = owned.flags;
    let properties: Vec<_> = owned
        .properties
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let clusters: Vec<_> = owned.replicate_to.iter().map(String::as_str).collect();
    let keys: Vec<_> = owned
        .encryption_keys
        .iter()
        .map(|(key, value)| encode_encryption_key(key, value, &[("of the", "key")]))
        .collect();
    let metadata = MetadataFields {
        producer_name: &owned.producer_name,
        sequence_id: 9,
        publish_time_ms: time.unwrap_or(0),
        properties: &properties,
        partition_key: owned.partition_key.as_deref(),
        partition_key_b64_encoded: b64,
        replicate_to: &clusters,
        compression: compressed.then_some(Compression::Zstd),
        uncompressed_size: compressed.then_some(size.unwrap_or(0) as u32),
        num_messages_in_batch: batch.map(|count| count as i32),
        event_time_ms: event_time,
        encryption_keys: &keys,
        encryption_algo: algo.then_some("RSA"),
        encryption_param: owned.encryption_param.as_deref(),
        ordering_key: owned.ordering_key.as_deref(),
        deliver_at_time_ms: deliver_at.map(|at| at as i64),
        highest_sequence_id: batch,
        null_value: null,
        chunk: header.is_chunk.then_some(ChunkFields {
            uuid: &owned.producer_name,
            chunk_id: header.num_messages as i32,
            num_chunks_from_msg: i32::MAX,
            total_chunk_msg_size: -1,
        }),
    };
    let mut out = BytesMut::new();
    let mut capacity = 0;
    encode_send(header, &metadata, payload.len(), &mut out, |out| {
        capacity = out.capacity();
        out.put_slice(payload);
        Ok::<(), ()>(())
    })
    .unwrap();
    assert_eq!(out.capacity(), capacity, "the reservation was too small");
    out
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn command_and_metadata_are_what_prost_would_write(
        owned in owned(), payload in some_bytes(300), producer_id in number(), sequence_id in number(),
        num_messages in 0..=i32::MAX, highest_sequence_id in proptest::option::of(number()), is_chunk in any::<bool>(),
    ) {
        let header = SendHeader { producer_id, sequence_id, num_messages: num_messages as u32, highest_sequence_id, is_chunk };
        let bytes = encode(&owned, &header, &payload);
        let read = Codec.decode(&mut bytes.clone()).unwrap().unwrap();
        let expected_command = BaseCommand {
            r#type: Type::Send as i32,
            send: Some(CommandSend {
                producer_id,
                sequence_id,
                num_messages: Some(num_messages),
                highest_sequence_id,
                is_chunk: is_chunk.then_some(true),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut expected = expected_metadata(&owned);
        if is_chunk {
            expected.uuid = Some(owned.producer_name.clone());
            expected.chunk_id = Some(num_messages);
            expected.num_chunks_from_msg = Some(i32::MAX);
            expected.total_chunk_msg_size = Some(-1);
        }
        prop_assert_eq!(&read.command, &expected_command);
        let read = read.payload.unwrap();
        prop_assert_eq!(&read.metadata, &expected);
        prop_assert_eq!(&read.data, &payload);

        let frame = only_frame(bytes);
        let body = Body::parse(&frame.body).unwrap();
        prop_assert_eq!(&frame.command[..], expected_command.encode_to_vec());
        prop_assert_eq!(&body.metadata[..], expected.encode_to_vec());
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_metadata_of_a_batched_message_is_what_prost_would_write(owned in owned(), payload_len in 0..i32::MAX) {
        let [event_time, _, _, _, sequence_id] = owned.numbers;
        let [b64, _, null, _] = owned.flags;
        let properties: Vec<_> = owned.properties.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let fields = SingleMetadataFields {
            properties: &properties,
            partition_key: owned.partition_key.as_deref(),
            partition_key_b64_encoded: b64,
            ordering_key: owned.ordering_key.as_deref(),
            event_time_ms: event_time,
            sequence_id: sequence_id.unwrap_or(0),
            null_value: null,
        };
        let whole = expected_metadata(&owned);
        let expected = SingleMessageMetadata {
            properties: whole.properties,
            partition_key: whole.partition_key,
            payload_size: payload_len,
            event_time,
            partition_key_b64_encoded: b64.then_some(true),
            ordering_key: whole.ordering_key,
            sequence_id: Some(sequence_id.unwrap_or(0)),
            null_value: null.then_some(true),
            ..Default::default()
        }.encode_to_vec();
        let mut out = BytesMut::new();
        fields.put(payload_len as usize, &mut out);
        prop_assert_eq!(&out[..4], &(expected.len() as u32).to_be_bytes());
        prop_assert_eq!(&out[4..], &expected[..]);
        prop_assert_eq!(fields.encoded_len(payload_len as usize), expected.len());
    }
}
