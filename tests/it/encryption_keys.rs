//! End-to-end encryption with the gateway's own keys: producers that name some, consumers and readers that have some.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::support::on_broker::entries;
use crate::support::{World, base64, eventually, payload_of, take_from, topic};

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pulsar/crypto/tests/keys");

fn with_keys() -> World {
    World::with(&[&format!("cryptoKeyDirectory={KEYS}")])
}

/// A folder of a test's own for keys.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let path = std::env::temp_dir().join(topic("keys"));
        fs::create_dir(&path).expect("a folder");
        Folder(path)
    }

    /// Puts one of the tests' keys there under another name.
    fn put(&self, key: &str, kind: &str, name: &str) {
        let to = self.0.join(format!("{name}.{kind}.pem"));
        fs::copy(format!("{KEYS}/{key}.{kind}.pem"), to).expect("copied");
    }

    fn setting(&self) -> String {
        format!("cryptoKeyDirectory={}", self.0.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn who_has_a_key_reads_what_was_encrypted_for_it_and_nobody_else() {
    let world = with_keys();
    let without = world.beside();
    for parameters in [
        "",
        "&compressionType=LZ4",
        "&batchingEnabled=true&batchingMaxMessages=3&compressionType=ZSTD",
    ] {
        let name = topic("for-two");
        let mut consumer = world.consumer(&name, "sub?subscriptionType=Shared");
        let mut reader = world.reader(&name);
        let mut outsider = without.consumer(&name, "outside?cryptoFailureAction=CONSUME");
        let mut producer =
            world.producer(&format!("{name}?encryptionKeys=secp521r1,rsa{parameters}"));
        for payload in ["one", "two", "three"] {
            producer.send_json(json!({ "payload": base64(payload), "key": "k" }));
        }
        for _ in 0..3 {
            let ack = producer.json();
            assert_eq!(ack["result"], "ok", "{ack}");
        }
        for payload in ["one", "two", "three"] {
            let message = consumer.json();
            assert_eq!(payload_of(&message), payload);
            // As in Java, it is told how the message was encrypted.
            let keys = message["encryptionContext"]["keys"].as_object();
            let keys = keys.expect("keys");
            assert!(keys.len() == 2 && keys.contains_key("rsa") && keys.contains_key("secp521r1"));
            consumer.ack(&message);
            let read = reader.json();
            assert_eq!(payload_of(&read), payload);
            assert!(read.get("encryptionContext").is_none());
        }
        let stored = outsider.json();
        assert!(
            stored["encryptionContext"]["batchSize"].is_null() != parameters.contains("batching")
        );
        for (_, payload) in entries(&world.broker_url(), &name, 1) {
            assert!(!payload.windows(3).any(|part| part == b"one"));
        }
        eventually("all of it is acked", || world.backlog(&name, "sub") == 0);
    }
}

#[test]
fn partitions_share_the_data_key() {
    let world = with_keys();
    let name = topic("encrypted-partitions");
    world.admin().create_partitioned(&name, 2);
    let mut consumer = world.consumer(&name, "sub");
    let mut producer = world.producer(&format!(
        "{name}?encryptionKeys=prime256v1&messageRoutingMode=RoundRobinPartition"
    ));
    let mut sent = vec!["a", "b", "c", "d"];
    for payload in &sent {
        producer.publish(payload);
    }
    for _ in 0..4 {
        let message = consumer.json();
        sent.retain(|payload| *payload != payload_of(&message));
        consumer.ack(&message);
    }
    assert!(sent.is_empty());
    let of = |partition| {
        let kept = entries(
            &world.broker_url(),
            &format!("{name}-partition-{partition}"),
            2,
        );
        kept.into_iter()
            .map(|(metadata, _)| metadata)
            .collect::<Vec<_>>()
    };
    let (one, other) = (of(0), of(1));
    assert_eq!(one[0].encryption_keys, other[0].encryption_keys);
    let mut vectors: Vec<_> = one
        .iter()
        .chain(&other)
        .map(|it| it.encryption_param.clone())
        .collect();
    vectors.sort_unstable();
    vectors.dedup();
    assert_eq!(vectors.len(), 4, "no vector comes twice");
}

#[test]
fn a_key_that_is_not_there_refuses_the_producer_and_names_lead_nowhere() {
    let world = with_keys();
    let name = topic("no-key");
    let path = |keys: &str| {
        format!("/ws/v2/producer/persistent/public/default/{name}?encryptionKeys={keys}")
    };
    for (keys, text) in [
        (
            "nobody",
            "Failed to load public key nobody: there is no such key",
        ),
        (
            "rsa,nobody",
            "Failed to load public key nobody: there is no such key",
        ),
        (
            "..%2Fkeys%2Frsa",
            "Failed to load public key ../keys/rsa: the name is none of a key",
        ),
        ("%2Fetc%2Fpasswd%00", "the name is none of a key"),
    ] {
        let (status, body) = world.refused(&path(keys));
        assert_eq!(status, 500, "{body}");
        assert!(
            body.contains("Failed to create producer/consumer: "),
            "{body}"
        );
        assert!(body.contains(text), "{body}");
    }
    let (status, body) = world.refused(&path(","));
    assert!(
        status == 400 && body.contains("Encryption key cannot be blank"),
        "{body}"
    );
    let (status, body) = world.beside().refused(&path("rsa"));
    assert!(
        status == 400 && body.contains("Can't add encryption key"),
        "{body}"
    );
}

#[test]
fn what_fails_is_read_once_its_key_is_there() {
    let folder = Folder::new();
    let world = World::with(&[&folder.setting()]);
    let name = topic("late-key");
    folder.put("rsa", "public", "bob");
    let mut failing = world.consumer(&name, "sub?subscriptionType=Shared&ackTimeoutMillis=1000");
    let mut reader = world.reader(&format!("{name}?cryptoFailureAction=CONSUME"));
    world
        .producer(&format!("{name}?encryptionKeys=bob"))
        .publish("secret");
    world.producer(&name).publish("plain");
    assert_ne!(payload_bytes(&reader.json()), b"secret");
    let plain = failing.json();
    assert_eq!(payload_of(&plain), "plain");
    failing.ack(&plain);
    folder.put("rsa", "private", "bob");
    let message = failing.json();
    assert_eq!(payload_of(&message), "secret");
    failing.ack(&message);
}

#[test]
fn the_consumers_of_a_failover_subscription_and_a_reader_get_what_a_producer_encrypts() {
    let world = with_keys();
    let name = topic("encrypted-failover");
    let query = "sub?subscriptionType=Failover&consumerName";
    // By the topic's name one of them is active.
    let mut consumers =
        ["a", "b"].map(|consumer| world.consumer(&name, &format!("{query}={consumer}")));
    let mut reader = world.reader(&name);
    let mut producer = world.producer(&format!("{name}?encryptionKeys=secp521r1"));
    for number in 0..10 {
        producer.publish(&format!("message {number}"));
    }
    let expected: Vec<String> = (0..10).map(|number| format!("message {number}")).collect();
    let mut received = Vec::new();
    take_from(&mut consumers, 10, |_, _, message| {
        received.push(payload_of(message))
    });
    assert_eq!(received, expected);
    for expected in expected {
        assert_eq!(payload_of(&reader.json()), expected);
    }
}

#[test]
fn a_dead_letter_that_nobody_here_could_decrypt_still_can_be() {
    let world = with_keys();
    let without = world.beside();
    for batching in [false, true] {
        let name = topic("encrypted-dead");
        let query =
            "sub?subscriptionType=Shared&maxRedeliverCount=1&negativeAckRedeliveryDelay=100";
        let mut consumer = without.consumer(&name, &format!("{query}&cryptoFailureAction=CONSUME"));
        let dead = format!("{name}-sub-DLQ");
        let mut graveyard = world.consumer(&dead, "check?subscriptionInitialPosition=Earliest");
        let mut producer = world.producer(&format!(
            "{name}?encryptionKeys=rsa&compressionType=LZ4&batchingEnabled={batching}&batchingMaxMessages=2"
        ));
        for payload in ["one", "two"] {
            producer.send_json(json!({ "payload": base64(payload) }));
        }
        let entries = if batching { 1 } else { 2 };
        for _ in 0..2 * entries {
            let message = consumer.json();
            consumer.nack(&message);
        }
        for payload in ["one", "two"] {
            let letter = graveyard.json();
            assert_eq!(payload_of(&letter), payload);
            graveyard.ack(&letter);
        }
    }
}

fn payload_bytes(message: &serde_json::Value) -> Vec<u8> {
    let payload = message["payload"].as_str().expect("a payload");
    base64_simd::STANDARD
        .decode_to_vec(payload)
        .expect("base64")
}
