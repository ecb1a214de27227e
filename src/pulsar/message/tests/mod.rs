//! Splitting against batches that prost built; lies and garbage.

mod compression;
mod parts;

use ::prost::Message as _;
use ::pulsar::proto::{EncryptionKeys, MessageMetadata, SingleMessageMetadata};
use bytes::{BufMut, Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Compressor, Message, SplitError, open_encrypted, split};
use crate::pulsar::types::{Entry, MessageId};
use crate::pulsar::wire::tests::config;

const MAX_BYTES: usize = 1 << 20;

fn metadata() -> MessageMetadata {
    MessageMetadata {
        producer_name: "p".into(),
        sequence_id: 1,
        publish_time: 1234,
        ..Default::default()
    }
}

fn entry(metadata: &MessageMetadata, payload: impl Into<Bytes>) -> Entry {
    Entry {
        ledger: 5,
        entry: 6,
        partition: 2,
        redelivery_count: 3,
        ack_set: vec![],
        consumer_epoch: None,
        is_decrypted: false,
        metadata: metadata.encode_to_vec().into(),
        payload: payload.into(),
    }
}

/// An entry with these messages as its batch.
fn batch(messages: &[(SingleMessageMetadata, &[u8])]) -> Entry {
    let mut payload = BytesMut::new();
    for (single, bytes) in messages {
        let single = SingleMessageMetadata {
            payload_size: bytes.len() as i32,
            ..single.clone()
        }
        .encode_to_vec();
        payload.put_u32(single.len() as u32);
        payload.put_slice(&single);
        payload.put_slice(bytes);
    }
    let metadata = MessageMetadata {
        num_messages_in_batch: Some(messages.len() as i32),
        ..metadata()
    };
    entry(&metadata, payload.freeze())
}

fn batch_of(payloads: &[&[u8]]) -> Entry {
    let messages: Vec<_> = payloads
        .iter()
        .map(|payload| (SingleMessageMetadata::default(), *payload))
        .collect();
    batch(&messages)
}

fn indexes(messages: &[Message]) -> Vec<i32> {
    messages
        .iter()
        .map(|message| message.id.batch_index)
        .collect()
}

#[test]
fn a_plain_message_is_a_slice_of_its_entry() {
    let entry = entry(&metadata(), &b"hello"[..]);
    let messages = split(&entry, MAX_BYTES).unwrap();
    let [message] = &messages[..] else {
        panic!("one message");
    };
    assert_eq!(message.payload.as_ptr(), entry.payload.as_ptr());
    assert_eq!(message.metadata, entry.metadata);
    assert_eq!(
        (message.publish_time_ms, message.redelivery_count),
        (1234, 3)
    );
    assert_eq!(
        message.id,
        MessageId {
            ledger: 5,
            entry: 6,
            partition: 2,
            batch_index: -1,
            batch_size: 0
        }
    );
}

#[test]
fn a_batch_of_one_is_a_batch() {
    let messages = split(&batch_of(&[b"x"]), MAX_BYTES).unwrap();
    assert_eq!(
        (messages[0].id.batch_index, messages[0].id.batch_size),
        (0, 1)
    );
    assert_eq!(&messages[0].payload[..], b"x");
}

#[test]
fn acked_and_compacted_messages_are_left_out_and_keep_their_index() {
    let plain = SingleMessageMetadata::default();
    let compacted = SingleMessageMetadata {
        compacted_out: Some(true),
        ..plain.clone()
    };
    let mut entry = batch(&[
        (plain.clone(), b"0"),
        (compacted, b""),
        (plain.clone(), b"2"),
        (plain, b"3"),
    ]);
    assert_eq!(indexes(&split(&entry, MAX_BYTES).unwrap()), [0, 2, 3]);
    entry.ack_set = vec![0b1011];
    let messages = split(&entry, MAX_BYTES).unwrap();
    assert_eq!(indexes(&messages), [0, 3]);
    assert_eq!(messages[1].id.batch_size, 4);
    assert_eq!(&messages[1].payload[..], b"3");
    entry.ack_set = vec![0];
    assert!(split(&entry, MAX_BYTES).unwrap().is_empty());
}

#[test]
fn indexes_beyond_the_ack_set_are_acked() {
    let payloads = [&b"x"[..]; 130];
    let mut entry = batch_of(&payloads);
    entry.ack_set = vec![1, 1 << 63];
    assert_eq!(indexes(&split(&entry, MAX_BYTES).unwrap()), [0, 127]);
}

#[test]
fn an_uncompressed_payload_has_the_same_bound() {
    let entry = entry(&metadata(), vec![0; 11]);
    assert!(split(&entry, 11).is_ok());
    assert!(matches!(
        split(&entry, 10),
        Err(SplitError::TooLarge { .. })
    ));
}

#[test]
fn encrypted_and_chunked_entries_are_told_apart() {
    let encrypted = MessageMetadata {
        encryption_keys: vec![EncryptionKeys {
            key: "k".into(),
            value: vec![1],
            metadata: vec![],
        }],
        ..metadata()
    };
    assert_eq!(
        split(&entry(&encrypted, vec![]), MAX_BYTES).unwrap_err(),
        SplitError::Encrypted
    );
    let chunk = MessageMetadata {
        num_chunks_from_msg: Some(2),
        ..metadata()
    };
    assert_eq!(
        split(&entry(&chunk, vec![]), MAX_BYTES).unwrap_err(),
        SplitError::Chunked
    );
    let only_chunk = MessageMetadata {
        num_chunks_from_msg: Some(1),
        ..metadata()
    };
    assert!(split(&entry(&only_chunk, vec![]), MAX_BYTES).is_ok());
}

#[test]
fn a_count_that_lies_is_refused_without_memory_for_it() {
    for count in [-1, i32::MIN, 3, 1 << 20, i32::MAX] {
        let lie = MessageMetadata {
            num_messages_in_batch: Some(count),
            ..metadata()
        };
        let payload = batch_of(&[b"a", b"b"]).payload;
        assert_eq!(
            split(&entry(&lie, payload), MAX_BYTES).unwrap_err(),
            SplitError::Batch,
            "{count}"
        );
    }
}

/// Each becomes a `Message`, however little of the entry it takes: a kilobyte may hold a hundred thousand of them.
#[test]
#[cfg_attr(miri, ignore = "many messages")]
fn a_batch_has_no_more_messages_than_a_producer_makes() {
    const MAX_BYTES: usize = 64 << 20;
    let batch = |count: usize, message: &[u8]| {
        let metadata = MessageMetadata {
            num_messages_in_batch: Some(count as i32),
            ..metadata()
        };
        entry(&metadata, message.repeat(count))
    };
    let empty = [0, 0, 0, 2, 0x18, 0];
    let too_many = batch((1 << 18) + 1, &empty);
    assert_eq!(split(&too_many, MAX_BYTES).unwrap_err(), SplitError::Batch);
    // 128 KiB, byte by byte, with a sequence id.
    let small = [0, 0, 0, 4, 0x18, 1, 0x40, 5, b'x'];
    let full = split(&batch(128 * 1024, &small), MAX_BYTES).unwrap();
    assert_eq!(full.len(), 128 * 1024);
}

#[test]
fn sizes_that_lie_within_a_batch_are_refused() {
    let whole = batch_of(&[b"aaaaaaaa", b"bbbbbbbb"]);
    for end in 0..whole.payload.len() {
        let cut = Entry {
            payload: whole.payload.slice(..end),
            ..whole.clone()
        };
        assert!(split(&cut, MAX_BYTES).is_err(), "{end}");
    }
    let negative = [
        0, 0, 0, 11, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
    ];
    let negative = Entry {
        payload: Bytes::copy_from_slice(&negative),
        ..batch_of(&[b""])
    };
    assert_eq!(split(&negative, MAX_BYTES).unwrap_err(), SplitError::Batch);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_batch_bytes_are_split_or_refused(count in 0..8i32, payload in vec(0..12u8, 0..96)) {
        let metadata = MessageMetadata { num_messages_in_batch: Some(count), ..metadata() };
        if let Ok(messages) = split(&entry(&metadata, payload), MAX_BYTES) {
            prop_assert!(messages.len() <= count as usize);
        }
    }
}

#[test]
fn an_decrypted_from_opens_as_one_message_that_is_as_it_is_stored() {
    let encrypted = MessageMetadata {
        encryption_keys: vec![EncryptionKeys {
            key: "k".into(),
            value: vec![1],
            metadata: vec![],
        }],
        compression: Some(1),
        uncompressed_size: Some(u32::MAX),
        num_messages_in_batch: Some(3),
        ..metadata()
    };
    let stored = entry(&encrypted, b"stored".to_vec());
    let message = open_encrypted(&stored, MAX_BYTES).unwrap();
    assert_eq!((message.id.batch_index, message.id.batch_size), (-1, 0));
    assert_eq!(&message.payload[..], b"stored");
    assert_eq!(message.encryption().batch_size, Some(3));
    assert!(message.parts().is_encrypted);
    let chunk = MessageMetadata {
        num_chunks_from_msg: Some(2),
        ..encrypted
    };
    assert_eq!(
        open_encrypted(&entry(&chunk, vec![]), MAX_BYTES).unwrap_err(),
        SplitError::Chunked
    );
}
