//! Messages that their owner has encrypted.

use super::*;

/// One message of two bytes, which its owner has encrypted.
fn send_encrypted(world: &mut World, producer: ProducerId, encryption: SendEncryption<'_>) {
    let fields = SendFields {
        encryption: Some(encryption),
        ..Default::default()
    };
    let fill = |out: &mut BytesMut| {
        out.extend_from_slice(b"xy");
        Ok::<(), ()>(())
    };
    world
        .client
        .send(world.now_ms, producer, 1, &fields, 2, fill)
        .expect("taken");
}

const ENCRYPTED: SendEncryption<'_> = SendEncryption {
    param: Some(b"iv"),
    compression: Some(wire::Compression::Zlib),
    uncompressed_size: 77,
    keys: &[],
    batch_size: None,
};

fn is_as_encrypted(metadata: &proto::MessageMetadata, payload: &[u8]) {
    let key_value = |key: &str, value: &str| proto::KeyValue {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let keys = [
        proto::EncryptionKeys {
            key: "k1".to_owned(),
            value: b"v1".to_vec(),
            metadata: vec![key_value("a", "1"), key_value("b", "2")],
        },
        proto::EncryptionKeys {
            key: "k2".to_owned(),
            value: Vec::new(),
            metadata: Vec::new(),
        },
    ];
    assert_eq!(metadata.encryption_keys, keys);
    assert_eq!(metadata.encryption_algo, None);
    assert_eq!(metadata.encryption_param.as_deref(), Some(&b"iv"[..]));
    let zlib = wire::Compression::Zlib as i32;
    assert_eq!(metadata.compression, Some(zlib));
    assert_eq!(metadata.uncompressed_size, Some(77));
    assert_eq!(metadata.num_messages_in_batch, None);
    assert_eq!(payload, b"xy");
}

#[test]
fn what_the_owner_has_encrypted_goes_out_as_it_is_with_its_keys() {
    let mut world = World::new(config());
    let spec = ProducerSpec {
        compression: Some(wire::Compression::Lz4),
        batching: Some(BatchingSpec {
            max_messages: 0,
            max_delay_ms: 10,
        }),
        ..encrypting_spec()
    };
    let (id, _) = world.producer(spec);
    send_encrypted(&mut world, id, ENCRYPTED);
    let (metadata, payload) = heard_message(&mut world);
    is_as_encrypted(&metadata, &payload);
    let plain = SendEncryption {
        uncompressed_size: 2,
        ..SendEncryption::default()
    };
    send_encrypted(&mut world, id, plain);
    let (metadata, _) = heard_message(&mut world);
    assert_eq!(metadata.encryption_keys.len(), 2);
    assert_eq!(metadata.encryption_param, None);
    assert_eq!(metadata.compression, None);
    assert_eq!(metadata.uncompressed_size, Some(2));
}

#[test]
fn an_encrypted_message_from_before_its_producer_was_ready_is_the_same() {
    let mut world = World::new(config());
    let id = world.client.open_producer(world.now_ms, encrypting_spec());
    send_encrypted(&mut world, id, ENCRYPTED);
    world.accept(SERVICE);
    let (connection, asked) = world.find_producer();
    world.say(connection, &producer_success(asked.request_id, "mine", -1));
    let (metadata, payload) = heard_message(&mut world);
    is_as_encrypted(&metadata, &payload);
}
