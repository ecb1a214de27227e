//! Messages that another client has encrypted: `cryptoFailureAction` says what becomes of them.

use pulsar::proto::{EncryptionKeys, MessageMetadata};
use serde_json::json;

use crate::support::publisher::Publisher;
use crate::support::{World, eventually, payload_of, topic};

fn encrypted(batch: Option<i32>) -> MessageMetadata {
    MessageMetadata {
        encryption_keys: vec![EncryptionKeys {
            key: "k1".to_owned(),
            value: b"data key".to_vec(),
            metadata: Vec::new(),
        }],
        encryption_param: Some(b"param".to_vec()),
        num_messages_in_batch: batch,
        ..MessageMetadata::default()
    }
}

fn publish(world: &World, name: &str) {
    let mut publisher = Publisher::open(&world.broker_url(), name);
    publisher.publish(encrypted(None), b"secret one");
    publisher.publish(encrypted(Some(3)), b"secret batch");
    publisher.publish(MessageMetadata::default(), b"plain");
}

#[test]
fn consume_hands_them_over_as_they_are_with_the_context_to_consumers_only() {
    let world = World::start();
    let name = topic("encrypted-consume");
    let own = world.beside_with(&["upstream=per-socket"]);
    let mut consumer = world.consumer(&name, "sub?cryptoFailureAction=CONSUME");
    let mut live = world.reader(&format!("{name}?cryptoFailureAction=CONSUME"));
    publish(&world, &name);
    let from_the_start = format!("{name}?cryptoFailureAction=CONSUME&messageId=earliest");
    let mut catching_up = world.reader(&from_the_start);
    let mut alone = own.reader(&from_the_start);
    for (payload, batch_size) in [("secret one", json!(null)), ("secret batch", json!(3))] {
        let message = consumer.json();
        assert_eq!(payload_of(&message), payload);
        assert_eq!(
            message["encryptionContext"],
            json!({
                "keys": {"k1": {"keyValue": "ZGF0YSBrZXk=", "metadata": {}}},
                "param": "cGFyYW0=",
                "compressionType": "NONE",
                "uncompressedMessageSize": 0,
                "batchSize": batch_size,
            })
        );
        consumer.ack(&message);
        for reader in [&mut live, &mut catching_up, &mut alone] {
            let read = reader.json();
            assert_eq!(read["messageId"], message["messageId"]);
            assert_eq!(payload_of(&read), payload);
            assert!(read.get("encryptionContext").is_none());
        }
    }
    let plain = consumer.json();
    assert!(plain.get("encryptionContext").is_none());
    consumer.ack(&plain);
    eventually("all of it is acked", || world.backlog(&name, "sub") == 0);
}

#[test]
fn discard_acks_them_unseen_and_fail_leaves_them() {
    let world = World::start();
    let name = topic("encrypted-not-consumed");
    let mut discarding = world.consumer(&name, "discard?cryptoFailureAction=DISCARD");
    let mut failing = world.consumer(&name, "fail");
    let mut reader = world.reader(&name);
    publish(&world, &name);
    for socket in [&mut discarding, &mut failing, &mut reader] {
        let message = socket.json();
        assert_eq!(payload_of(&message), "plain");
        socket.ack(&message);
    }
    eventually("the plain one is acked, the others on one side", || {
        (world.backlog(&name, "discard") == 0) && (world.backlog(&name, "fail") > 0)
    });
    failing.close();
    eventually("it has gone", || world.consumers(&name, "fail") == 0);
    // What was left is there for one who can do something with it.
    let mut consuming = world.consumer(&name, "fail?cryptoFailureAction=CONSUME");
    assert_eq!(consuming.payload(), "secret one");
    assert_eq!(consuming.payload(), "secret batch");
}

#[test]
fn sockets_of_one_subscription_may_differ_in_what_they_do() {
    let world = World::start();
    let name = topic("encrypted-shared");
    let query = "sub?subscriptionType=Shared&cryptoFailureAction";
    let mut consuming = world.consumer(&name, &format!("{query}=CONSUME"));
    let discarding = world.consumer(&name, &format!("{query}=DISCARD"));
    drop(discarding);
    eventually("the other one is alone", || {
        world.consumers(&name, "sub") == 1
    });
    publish(&world, &name);
    for expected in ["secret one", "secret batch", "plain"] {
        assert_eq!(consuming.payload(), expected);
    }
}
