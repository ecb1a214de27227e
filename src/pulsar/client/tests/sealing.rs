//! Producers whose messages the machine encrypts.

use std::sync::Arc;

use super::producing::heard_message;
use super::*;
use crate::pulsar::crypto::{DataKey, PrivateKey, PublicKey, Sealing, Unsealed};

const READER: (&str, &str, &str) = (
    "alice",
    include_str!("../../crypto/tests/keys/prime256v1.public.pem"),
    include_str!("../../crypto/tests/keys/prime256v1.private.pem"),
);

fn sealing() -> Arc<Sealing> {
    let (name, public, _) = READER;
    let public = PublicKey::from_pem(public).expect("a key");
    let mut unsealed = Unsealed::new().expect("random numbers");
    unsealed.add(name, &public).expect("random numbers");
    Arc::new(unsealed.seal())
}

/// What alice sees of an entry: its payloads.
fn as_alice_sees_it(metadata: &proto::MessageMetadata, payload: &[u8]) -> Vec<Bytes> {
    let (name, _, private) = READER;
    let [key] = &metadata.encryption_keys[..] else {
        panic!("one key")
    };
    assert_eq!(key.key, name);
    let private = PrivateKey::from_pem(private).expect("a key");
    let data_key = private.decrypt(&key.value).expect("it is for alice");
    let data_key = DataKey::new(&data_key).expect("a data key");
    let iv = metadata.encryption_param.as_deref().expect("a vector");
    let entry = crate::pulsar::Entry {
        ledger: 1,
        entry: 1,
        partition: -1,
        redelivery_count: 0,
        ack_set: Vec::new(),
        consumer_epoch: None,
        metadata: metadata.encode_to_vec().into(),
        payload: data_key.decrypt(iv, payload).expect("decrypted"),
        is_decrypted: true,
    };
    let messages = crate::pulsar::message::split(&entry, 10_000).expect("messages");
    messages
        .into_iter()
        .map(|message| message.payload)
        .collect()
}

fn send_text(world: &mut World, producer: ProducerId, text: &str) {
    let fill = |out: &mut BytesMut| {
        out.extend_from_slice(text.as_bytes());
        Ok::<(), ()>(())
    };
    let fields = SendFields::default();
    let sent = (world.client).send(world.now_ms, producer, 1, &fields, text.len(), fill);
    sent.expect("taken");
}

#[test]
#[cfg_attr(miri, ignore = "curves are slow there")]
fn messages_are_encrypted_whole_batches_and_after_compression() {
    for compression in [None, Some(wire::Compression::Lz4)] {
        let mut world = World::new(config());
        let spec = ProducerSpec {
            sealing: Some(sealing()),
            compression,
            batching: Some(BatchingSpec {
                max_messages: 2,
                max_delay_ms: 10,
            }),
            ..producer_spec()
        };
        let (id, _) = world.producer(spec);
        send_text(
            &mut world,
            id,
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        );
        send_text(&mut world, id, "b");
        let (metadata, payload) = heard_message(&mut world);
        assert_eq!(metadata.num_messages_in_batch, Some(2));
        assert_eq!(metadata.compression, compression.map(|it| it as i32));
        assert!(metadata.uncompressed_size > Some(50));
        let seen = as_alice_sees_it(&metadata, &payload);
        assert_eq!(
            seen,
            ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b"]
        );
    }
}

#[test]
#[cfg_attr(miri, ignore = "curves are slow there")]
fn another_data_key_counts_from_the_next_message_on() {
    let mut world = World::new(config());
    let spec = ProducerSpec {
        sealing: Some(sealing()),
        ..producer_spec()
    };
    let (id, _) = world.producer(spec);
    send_text(&mut world, id, "one");
    let (before, payload) = heard_message(&mut world);
    assert_eq!(as_alice_sees_it(&before, &payload), ["one"]);
    world.client.reseal(id, sealing());
    send_text(&mut world, id, "");
    let (after, payload) = heard_message(&mut world);
    assert_eq!(as_alice_sees_it(&after, &payload), [""]);
    assert_ne!(before.encryption_keys, after.encryption_keys);
}
