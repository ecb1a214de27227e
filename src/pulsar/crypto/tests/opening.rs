//! A consumer's data keys: asked for once, kept, forgotten.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::super::{DataKey, DataKeys, Opened, Tried};
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
        consumer_epoch: None,
        is_decrypted: false,
    }
}

/// An entry that was not looked at before.
fn open(keys: &mut DataKeys, now_ms: u64, entry: &Entry) -> Opened {
    keys.open(now_ms, entry, &mut Tried::default())
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
    assert_eq!(&*wanted(open(&mut keys, 0, &one)), b"k");
    assert!(matches!(open(&mut keys, 0, &one), Opened::Waits));
    keys.answer(0, Some(key));
    assert_eq!(payload(open(&mut keys, 0, &one)), &b"text"[..]);
    assert_eq!(payload(open(&mut keys, 3 * HOUR_MS, &one)), &b"text"[..]);
    // Since it was used last.
    assert_eq!(payload(open(&mut keys, 6 * HOUR_MS, &one)), &b"text"[..]);
    wanted(open(&mut keys, 10 * HOUR_MS, &one));
}

#[test]
fn the_keys_of_an_entry_are_tried_in_turn() {
    let (key, _) = data_key();
    let one = entry(&key, &[b"of another", b"damaged", b"ours"]);
    let mut keys = DataKeys::default();
    assert_eq!(&*wanted(open(&mut keys, 0, &one)), b"of another");
    keys.answer(0, None);
    assert_eq!(&*wanted(open(&mut keys, 0, &one)), b"damaged");
    keys.answer(0, Some(data_key().0));
    assert_eq!(&*wanted(open(&mut keys, 0, &one)), b"ours");
    keys.answer(0, Some(key));
    assert_eq!(payload(open(&mut keys, 0, &one)), &b"text"[..]);
    // Nobody asks for the others again.
    assert_eq!(payload(open(&mut keys, HOUR_MS, &one)), &b"text"[..]);
}

/// Makes all of them known, as the same key.
fn knows(keys: &mut DataKeys, key: &Arc<DataKey>, values: &[&[u8]]) {
    for value in values {
        wanted(open(keys, 0, &entry(key, &[value])));
        keys.answer(0, Some(Arc::clone(key)));
    }
}

/// A publisher may list a key that we know a hundred times, and break the payload: each try is a pass over it.
#[test]
fn a_broken_entry_is_tried_with_a_few_keys_only_and_with_each_once() {
    let (key, _) = data_key();
    let mut keys = DataKeys::default();
    knows(&mut keys, &key, &[b"a", b"b", b"c", b"d"]);
    let broken = |values: &[&[u8]]| {
        let mut broken = entry(&key, values);
        broken.payload = Bytes::from_static(b"twenty bytes and more");
        broken
    };
    let failed = |keys: &mut DataKeys, entry: &Entry, tried: &mut Tried| {
        let opened = keys.open(0, entry, tried);
        assert!(matches!(opened, Opened::Undecryptable), "{opened:?}");
        tried.failed().collect::<Vec<_>>()
    };
    let mut tried = Tried::default();
    let same = broken(&[&b"a"[..]; 100]);
    assert_eq!(failed(&mut keys, &same, &mut tried), [0]);
    assert_eq!(failed(&mut keys, &same, &mut tried), [0]);
    let four = broken(&[b"a", b"b", b"c", b"d"]);
    assert_eq!(failed(&mut keys, &four, &mut Tried::default()), [0, 1, 2]);
    // What has failed is not tried again when another key is known.
    let mut tried = Tried::default();
    let mixed = broken(&[b"a", b"new", b"a", b"b"]);
    wanted(keys.open(0, &mixed, &mut tried));
    assert_eq!(tried.failed().collect::<Vec<_>>(), [0, 3]);
    keys.answer(0, Some(Arc::clone(&key)));
    assert_eq!(failed(&mut keys, &mixed, &mut tried), [0, 3, 1]);
}

#[test]
fn a_key_that_is_not_ours_is_asked_for_again_after_a_while() {
    let (key, _) = data_key();
    let one = entry(&key, &[b"k"]);
    let mut keys = DataKeys::default();
    wanted(open(&mut keys, 0, &one));
    keys.answer(0, None);
    assert!(matches!(
        open(&mut keys, 4_999, &one),
        Opened::Undecryptable
    ));
    wanted(open(&mut keys, 5_000, &one));
    keys.answer(5_000, Some(key));
    payload(open(&mut keys, 5_000, &one));
}

/// The questions take longer than a refusal is remembered: such an entry stopped its topic for good.
#[test]
fn an_entry_asks_for_each_of_its_keys_once_however_long_that_takes() {
    let (key, _) = data_key();
    let values: Vec<[u8; 2]> = (0..200_u16).map(u16::to_be_bytes).collect();
    let values: Vec<&[u8]> = values.iter().map(|value| &value[..]).collect();
    let one = entry(&key, &values);
    let mut keys = DataKeys::default();
    let mut tried = Tried::default();
    let mut now_ms = 0;
    for asked in &values[..100] {
        assert_eq!(&*wanted(keys.open(now_ms, &one, &mut tried)), *asked);
        now_ms += 1_000;
        keys.answer(now_ms, None);
    }
    let opened = keys.open(now_ms, &one, &mut tried);
    assert!(matches!(opened, Opened::Undecryptable), "{opened:?}");
    // When it comes again it may be another private key's.
    assert_eq!(&*wanted(open(&mut keys, now_ms, &one)), values[0]);
}

#[test]
fn what_waits_is_looked_at_again_when_something_is_answered() {
    let (key, _) = data_key();
    let mut keys = DataKeys::default();
    let mut tried = Tried::default();
    wanted(keys.open(0, &entry(&key, &[b"a"]), &mut tried));
    let nothing = entry(&key, &[]);
    assert!(matches!(keys.open(0, &nothing, &mut tried), Opened::Waits));
    keys.answer(0, None);
    let opened = keys.open(0, &nothing, &mut tried);
    assert!(matches!(opened, Opened::Undecryptable));
}

#[test]
fn an_encrypted_key_that_is_too_long_is_none() {
    let (key, _) = data_key();
    let one = entry(&key, &[&[0; 1025]]);
    assert!(matches!(
        open(&mut DataKeys::default(), 0, &one),
        Opened::Undecryptable
    ));
    assert!(matches!(
        open(&mut DataKeys::default(), 0, &entry(&key, &[])),
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
        wanted(open(&mut keys, number, &one));
        keys.answer(number, Some(Arc::clone(&key)));
    }
    assert_eq!(keys.known(), 1024);
    // The ones that were used last.
    payload(open(
        &mut keys,
        3_000,
        &entry(&key, &[&2_999_u64.to_be_bytes()]),
    ));
    wanted(open(
        &mut keys,
        3_000,
        &entry(&key, &[&0_u64.to_be_bytes()]),
    ));
}
