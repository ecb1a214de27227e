//! Negative acks and ack timeouts: what comes again, in which order, and with which redelivery count.
//!
//! Shared: the message alone, its count raised by one. Exclusive: everything unsettled, in order, the count stays 0.

use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::Message;

use crate::support::{Client, World, eventually, payload_of, topic};

fn publish(world: &World, name: &str, payloads: &[&str]) {
    let mut producer = world.producer(name);
    for payload in payloads {
        producer.publish(payload);
    }
}

/// The next delivery: its payload and redelivery count.
fn next(consumer: &mut Client) -> (String, i64) {
    seen(&consumer.json())
}

fn seen(message: &Value) -> (String, i64) {
    let count = message["redeliveryCount"].as_i64().expect("a count");
    (payload_of(message), count)
}

fn pair(payload: &str, count: i64) -> (String, i64) {
    (payload.to_owned(), count)
}

#[test]
fn shared_a_nacked_message_comes_again_with_its_count_raised() {
    let world = World::start();
    let name = topic("nack");
    let query = "sub?subscriptionType=Shared&negativeAckRedeliveryDelay=100";
    let mut consumer = world.consumer(&name, query);
    publish(&world, &name, &["one", "two", "three"]);
    let messages: Vec<Value> = (0..3).map(|_| consumer.json()).collect();
    consumer.nack(&messages[1]);
    for count in 1..4 {
        let again = consumer.json();
        assert_eq!(seen(&again), pair("two", count));
        assert_eq!(again["messageId"], messages[1]["messageId"]);
        assert_eq!(again["publishTime"], messages[1]["publishTime"]);
        if count < 3 {
            consumer.nack(&again);
        }
    }
    for message in &messages {
        consumer.ack(message);
    }
    eventually("all are acked", || world.backlog(&name, "sub") == 0);
    assert!(consumer.is_silent());
}

#[test]
fn shared_a_nack_takes_effect_though_the_delay_is_0() {
    let world = World::start();
    let name = topic("nack-0");
    let query = "sub?subscriptionType=Shared&negativeAckRedeliveryDelay=0&receiverQueueSize=1";
    let mut consumer = world.consumer(&name, query);
    publish(&world, &name, &["one"]);
    let message = consumer.json();
    consumer.nack(&message);
    assert_eq!(next(&mut consumer), pair("one", 1));
}

#[test]
fn shared_an_ack_within_the_delay_wins_over_the_nack() {
    let world = World::start();
    let name = topic("nack-ack");
    let query = "sub?subscriptionType=Shared&negativeAckRedeliveryDelay=2000";
    let mut consumer = world.consumer(&name, query);
    publish(&world, &name, &["one", "two"]);
    let (one, two) = (consumer.json(), consumer.json());
    // In one piece, so that a slow machine does not let the delay pass in between.
    let id = |message: &Value| json!({ "messageId": message["messageId"] });
    let mut nack_one = id(&one);
    nack_one["type"] = json!("negativeAcknowledge");
    for frame in [nack_one, id(&one)] {
        let frame = Message::text(frame.to_string());
        consumer.raw().write(frame).expect("the socket is open");
    }
    consumer.nack(&two);
    // Nacked after it, so it comes after it, if that came.
    assert_eq!(next(&mut consumer), pair("two", 1));
    consumer.ack(&two);
    eventually("both are acked", || world.backlog(&name, "sub") == 0);
}

#[test]
fn exclusive_a_nack_brings_everything_unsettled_again_in_order() {
    let world = World::start();
    let name = topic("nack-exclusive");
    let mut consumer = world.consumer(&name, "sub?negativeAckRedeliveryDelay=100");
    publish(&world, &name, &["one", "two", "three", "four"]);
    let messages: Vec<Value> = (0..4).map(|_| consumer.json()).collect();
    consumer.ack(&messages[1]);
    consumer.nack(&messages[2]);
    let again: Vec<Value> = (0..3).map(|_| consumer.json()).collect();
    let seen: Vec<_> = again.iter().map(seen).collect();
    assert_eq!(seen, [pair("one", 0), pair("three", 0), pair("four", 0)]);
    for message in &again {
        consumer.ack(message);
    }
    eventually("all are acked", || world.backlog(&name, "sub") == 0);
    assert!(consumer.is_silent());
}

#[test]
fn shared_an_ack_timeout_brings_the_message_again_and_frees_the_window() {
    let world = World::start();
    let name = topic("timeout");
    let query = "sub?subscriptionType=Shared&ackTimeoutMillis=1000&receiverQueueSize=1";
    let mut consumer = world.consumer(&name, query);
    publish(&world, &name, &["one"]);
    assert_eq!(next(&mut consumer), pair("one", 0));
    assert_eq!(next(&mut consumer), pair("one", 1));
    publish(&world, &name, &["two"]);
    // A slow machine lets more timeouts pass before an ack has arrived.
    loop {
        let message = consumer.json();
        consumer.ack(&message);
        match seen(&message) {
            (payload, 0) if payload == "two" => break,
            (payload, count) => assert!(payload == "one" && count >= 2, "{message}"),
        }
    }
}

#[test]
fn exclusive_an_ack_timeout_brings_everything_unsettled_again_in_order() {
    let world = World::start();
    let name = topic("timeout-exclusive");
    let mut consumer = world.consumer(&name, "sub?ackTimeoutMillis=1000");
    publish(&world, &name, &["1", "2", "3"]);
    let first = consumer.json();
    assert_eq!(seen(&first), pair("1", 0));
    consumer.ack(&first);
    // Runs from the first unsettled one, each cut off by the next timeout; on a slow machine that may be anywhere.
    let (mut before, mut runs) = (1, 0);
    while runs < 2 || before < 3 {
        let message = consumer.json();
        let (payload, count) = seen(&message);
        let number: u32 = payload.parse().expect("a number");
        let begins_anew = number <= 2 && number <= before;
        assert!(
            begins_anew || number == before + 1,
            "{number} after {before}"
        );
        assert_eq!(count, 0);
        runs += u32::from(begins_anew);
        before = number;
    }
    eventually("all are acked", || {
        if let Some(message) = consumer.within(Duration::from_millis(50)) {
            consumer.ack(&message);
        }
        world.backlog(&name, "sub") == 0
    });
}

#[test]
fn a_nack_outlives_its_socket_while_others_are_there() {
    let world = World::start();
    let name = topic("nack-other");
    let mut first = world.consumer(
        &name,
        "sub?subscriptionType=Shared&negativeAckRedeliveryDelay=100",
    );
    publish(&world, &name, &["one"]);
    let message = first.json();
    let mut second = world.consumer(&name, "sub?subscriptionType=Shared");
    first.nack(&message);
    first.close();
    assert_eq!(next(&mut second), pair("one", 1));
}
