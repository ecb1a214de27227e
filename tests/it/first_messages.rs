//! The main walk: a message published on one socket comes out at a consumer and at readers, and is settled.

use serde_json::json;

use crate::support::{World, query_value, topic};

#[test]
fn a_message_goes_from_a_producer_to_a_consumer_and_readers() {
    let world = World::start();
    let name = topic("walk");
    let mut producer = world.producer(&name);
    let mut consumer = world.consumer(&name, "sub");
    let mut latest = world.reader(&name);
    let first = producer.publish("one");
    producer.publish("two");

    assert_eq!([consumer.receive(), consumer.receive()], ["one", "two"]);
    assert_eq!([latest.receive(), latest.receive()], ["one", "two"]);
    let mut earliest = world.reader(&format!("{name}?messageId=earliest"));
    assert_eq!([earliest.receive(), earliest.receive()], ["one", "two"]);
    let id = query_value(&first);
    let mut behind_first = world.reader(&format!("{name}?messageId={id}"));
    assert_eq!(behind_first.receive(), "two");
}

#[test]
fn deliveries_have_javas_fields_in_javas_order() {
    let world = World::start();
    let name = topic("fields");
    let mut consumer = world.consumer(&name, "sub");
    let mut producer = world.producer(&name);
    let id = producer.publish_json(json!({
        "payload": "eA==",
        "context": "ctx",
        "key": "k1",
        "properties": {"a": "1", "b": "2"},
        "eventTime": "2021-10-29T16:01:38.967-07:00",
    }));

    let text = consumer.text();
    let (head, tail) = text
        .split_once("\"publishTime\":\"")
        .expect("a publish time");
    assert_eq!(
        head,
        format!(
            "{{\"messageId\":\"{id}\",\"payload\":\"eA==\",\"properties\":{{\"a\":\"1\",\"b\":\"2\"}},"
        )
    );
    let (_, tail) = tail.split_once('"').expect("the end of the time");
    assert_eq!(
        tail,
        ",\"redeliveryCount\":0,\"eventTime\":\"2021-10-29T23:01:38.967Z\",\"key\":\"k1\"}"
    );
}

#[test]
fn acked_messages_do_not_come_again_and_unacked_ones_do() {
    let world = World::start();
    let name = topic("settled");
    let mut consumer = world.consumer(&name, "sub");
    let mut producer = world.producer(&name);
    for payload in ["one", "two", "three"] {
        producer.publish(payload);
    }
    assert_eq!(consumer.receive(), "one");
    assert_eq!(consumer.payload(), "two");
    assert_eq!(consumer.receive(), "three");
    consumer.close();

    let mut again = world.consumer(&name, "sub");
    assert_eq!(again.receive(), "two");
    assert!(again.is_silent());
}

/// The hub has messages at hand when the member joins: they must not overtake the answer to its handshake.
#[test]
fn messages_that_wait_in_the_hub_come_after_the_101() {
    let world = World::start();
    let name = topic("at-hand");
    let query = "sub?subscriptionType=Shared&receiverQueueSize";
    let mut full = world.consumer(&name, &format!("{query}=1"));
    let mut leaving = world.consumer(&name, &format!("{query}=2"));
    let mut producer = world.producer(&name);
    for payload in ["one", "two", "three"] {
        producer.publish(payload);
    }
    let held = full.json();
    let mut waiting = [leaving.payload(), leaving.payload()];
    leaving.close();
    for _ in 0..3 {
        let mut next = world.consumer(&name, &format!("{query}=2"));
        let mut taken = [next.payload(), next.payload()];
        taken.sort();
        waiting.sort();
        assert_eq!(taken, waiting);
        next.close();
    }
    full.ack(&held);
}
