//! A consumer's data keys: asked for once, kept, forgotten.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::super::{DataKey, DataKeys, Opened};
use super::data_key;
use crate::pulsar::Entry;
use crate::pulsar::wire::encode_encryption_key;
use crate::pulsar::wire::varint::put_varint;

const HOUR_MS: u64 = 60 * 60 * 1000;

/// An entry whose data key came encrypted to each of these values.
fn entry(key: &DataKey, values: &[&[u8]]) -> Entry {
    let mut payload = BytesMut::from(&b"text"[..]);
    assert!(key.encrypt(&[9; 12], &mut payload));
    let mut metadata = BytesMut::new();
    for value in values {
        let encoded = encode_encryption_key("alice", value, &[]);
        metadata.extend_from_slice(&[13 << 3 | 2]);
        put_varint(&mut metadata, encoded.len() as u64);
        metadata.extend_from_slice(&encoded);
    }
    metadata.extend_from_slice(&[15 << 3 | 2, 12]);
    metadata.extend_from_slice(&[9; 12]);
    Entry {
        ledger: 1,
        entry: 1,
        partition: -1,
        metadata: metadata.freeze(),
        payload: payload.freeze(),
        redelivery_count: 0,
        ack_set: Default::default(),
        consumer_epoch: 0,
        is_decrypted: false,
    }
}

fn payload(opened: Opened) -> Bytes {
    match opened {
        Opened::Payload(payload) => payload,
        other => panic!("{other:?}"),
    }
}

fn wanted(opened: Opened) -> Box<[u8]> {
    match opened {
        Opened::Wants(sealed) => {
            assert_eq!(sealed.name, "alice");
            sealed.value
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_data_key_is_asked_for_once() {
    let (key, _) = data_key();
    let one = entry(&key, &[b"k"]);
    let mut keys = DataKeys::default();
    assert_eq!(&*wanted(keys.open(0, &one)), b"k");
    assert!(matches!(keys.open(0, &one), Opened::Waits));
    keys.answer(0, Some(key));
    assert_eq!(payload(keys.open(0, &one)), &b"text"[..]);
    assert_eq!(payload(keys.open(3 * HOUR_MS, &one)), &b"text"[..]);
    // Since it was used last.
    assert_eq!(payload(keys.open(6 * HOUR_MS, &one)), &b"text"[..]);
    wanted(keys.open(10 * HOUR_MS, &one));
}

#[test]
fn the_keys_of_an_entry_are_tried_in_turn() {
    let (key, _) = data_key();
    let one = entry(&key, &[b"of another", b"damaged", b"ours"]);
    let mut keys = DataKeys::default();
    assert_eq!(&*wanted(keys.open(0, &one)), b"of another");
    keys.answer(0, None);
    assert_eq!(&*wanted(keys.open(0, &one)), b"damaged");
    keys.answer(0, Some(data_key().0));
    assert_eq!(&*wanted(keys.open(0, &one)), b"ours");
    keys.answer(0, Some(key));
    assert_eq!(payload(keys.open(0, &one)), &b"text"[..]);
    // Nobody asks for the others again.
    assert_eq!(payload(keys.open(HOUR_MS, &one)), &b"text"[..]);
}

#[test]
fn a_key_that_is_not_ours_is_asked_for_again_after_a_while() {
    let (key, _) = data_key();
    let one = entry(&key, &[b"k"]);
    let mut keys = DataKeys::default();
    wanted(keys.open(0, &one));
    keys.answer(0, None);
    assert!(matches!(keys.open(4_999, &one), Opened::Undecryptable));
    wanted(keys.open(5_000, &one));
    keys.answer(5_000, Some(key));
    payload(keys.open(5_000, &one));
}

#[test]
fn an_encrypted_key_that_is_too_long_is_none() {
    let (key, _) = data_key();
    let one = entry(&key, &[&[0; 1025]]);
    assert!(matches!(
        DataKeys::default().open(0, &one),
        Opened::Undecryptable
    ));
    assert!(matches!(
        DataKeys::default().open(0, &entry(&key, &[])),
        Opened::Undecryptable
    ));
}

#[test]
#[cfg_attr(miri, ignore = "many keys")]
fn the_keys_that_are_kept_are_bounded() {
    let (key, _) = data_key();
    let mut keys = DataKeys::default();
    for number in 0..3_000_u64 {
        let one = entry(&key, &[&number.to_be_bytes()]);
        wanted(keys.open(number, &one));
        keys.answer(number, Some(Arc::clone(&key)));
    }
    assert_eq!(keys.known(), 1024);
    // The ones that were used last.
    payload(keys.open(3_000, &entry(&key, &[&2_999_u64.to_be_bytes()])));
    wanted(keys.open(3_000, &entry(&key, &[&0_u64.to_be_bytes()])));
}
