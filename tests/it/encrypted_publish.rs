//! Clients that encrypt what they publish: their keys and params stand in the entries, whose payload is theirs.

use pulsar::proto::{CompressionType, EncryptionKeys, KeyValue};
use serde_json::{Value, json};

use crate::support::on_broker::entries;
use crate::support::{Client, World, base64, query_value, topic};

/// A producer socket of a client with these keys.
fn encrypting(world: &World, topic: &str, keys: &Value, parameters: &str) -> Client {
    let keys = query_value(&base64(&keys.to_string()));
    world.producer(&format!("{topic}?encryptionKeys={keys}{parameters}"))
}

fn two_keys() -> Value {
    json!({
        "k1": {"keyValue": base64("one"), "metadata": {"by": "test", "version": "1"}},
        "k2": {"keyValue": base64("two")},
    })
}

fn as_kept() -> Vec<EncryptionKeys> {
    let key_value = |key: &str, value: &str| KeyValue {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    vec![
        EncryptionKeys {
            key: "k1".to_owned(),
            value: b"one".to_vec(),
            metadata: vec![key_value("by", "test"), key_value("version", "1")],
        },
        EncryptionKeys {
            key: "k2".to_owned(),
            value: b"two".to_vec(),
            metadata: Vec::new(),
        },
    ]
}

#[test]
fn keys_params_and_compression_of_the_client_are_in_the_entries() {
    let world = World::start();
    let name = topic("encrypted");
    let ignored = "&batchingEnabled=true&batchingMaxMessages=0&compressionType=ZSTD";
    let mut producer = encrypting(&world, &name, &two_keys(), ignored);
    producer.publish_json(json!({
        "payload": base64("secret"), "encryptionParam": base64("iv"), "key": "k", "properties": {"p": "q"},
    }));
    producer.publish_json(json!({
        "payload": base64("packed"), "encryptionParam": base64("iv2"),
        "compressionType": "LZ4", "uncompressedMessageSize": 1000,
    }));
    producer.publish_json(json!({ "payload": base64("bare") }));
    producer.publish_json(json!({
        "payload": base64("sizeless"), "compressionType": "SNAPPY", "uncompressedMessageSize": 0,
    }));
    let kept = entries(&world.broker_url(), &name, 4);
    let said: Vec<_> = kept
        .iter()
        .map(|(metadata, payload)| {
            assert_eq!(metadata.encryption_keys, as_kept());
            assert_eq!(metadata.encryption_algo, None);
            assert_eq!(metadata.num_messages_in_batch, None);
            let param = metadata.encryption_param.as_deref();
            let size = metadata.uncompressed_size;
            (&payload[..], param, metadata.compression(), size)
        })
        .collect();
    let (none, lz4, snappy) = (
        CompressionType::None,
        CompressionType::Lz4,
        CompressionType::Snappy,
    );
    assert_eq!(
        said,
        [
            (&b"secret"[..], Some(&b"iv"[..]), none, Some(6)),
            (b"packed", Some(b"iv2"), lz4, Some(1000)),
            (b"bare", None, none, Some(4)),
            (b"sizeless", None, snappy, Some(8)),
        ]
    );
    assert_eq!(kept[0].0.partition_key.as_deref(), Some("k"));
    assert_eq!(kept[0].0.properties.len(), 1);
}

#[test]
fn what_is_wrong_with_the_encryption_of_a_message_is_answered_and_not_published() {
    let world = World::start();
    let name = topic("encrypted-badly");
    let mut producer = encrypting(&world, &name, &two_keys(), "");
    for (wrong, text) in [
        (
            json!({ "encryptionParam": "*" }),
            "Invalid Base64 encryptionParam error=",
        ),
        (
            json!({ "compressionType": "LZ4" }),
            "the params compressionType and uncompressedMessageSize",
        ),
        (
            json!({ "uncompressedMessageSize": 7 }),
            "the params compressionType and uncompressedMessageSize",
        ),
    ] {
        let mut message = wrong;
        message["payload"] = base64("x").into();
        message["context"] = "c".into();
        producer.send_json(message);
        let answer = producer.json();
        assert_eq!(answer["result"], "send-error:7", "{answer}");
        assert_eq!(answer["context"], "c");
        let said = answer["errorMsg"].as_str().expect("a text");
        assert!(said.starts_with(text), "{said}");
    }
    producer.publish("fine");
    let kept = entries(&world.broker_url(), &name, 1);
    assert_eq!(&kept[0].1[..], b"fine");
}

#[test]
fn every_partition_gets_the_keys() {
    let world = World::start();
    let name = topic("encrypted-partitions");
    world.admin().create_partitioned(&name, 2);
    let round = "&messageRoutingMode=RoundRobinPartition";
    let mut producer = encrypting(&world, &name, &two_keys(), round);
    for payload in ["a", "b"] {
        producer.publish(payload);
    }
    for partition in 0..2 {
        let partition = format!("{name}-partition-{partition}");
        let kept = entries(&world.broker_url(), &partition, 1);
        assert_eq!(kept[0].0.encryption_keys, as_kept());
    }
}
