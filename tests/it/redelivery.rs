//! Negative acks and ack timeouts: what comes again, in which order, and with which redelivery count.
//!
//! Shared: the message alone, its count raised by one. Exclusive: everything unsettled, in order, the count stays 0.

use serde_json::Value;

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

fn backlog(world: &World, name: &str) -> u64 {
    let stats = world.admin().stats(name).expect("the topic is there");
    stats.subscription("sub").expect("the subscription").backlog
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
    eventually("all are acked", || backlog(&world, &name) == 0);
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
    consumer.nack(&one);
    consumer.ack(&one);
    consumer.nack(&two);
    // Nacked after it, so it comes after it, if that came.
    assert_eq!(next(&mut consumer), pair("two", 1));
    consumer.ack(&two);
    eventually("both are acked", || backlog(&world, &name) == 0);
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
    eventually("all are acked", || backlog(&world, &name) == 0);
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
    let third = consumer.json();
    assert_eq!(seen(&third), pair("one", 2));
    consumer.ack(&third);
    publish(&world, &name, &["two"]);
    assert_eq!(next(&mut consumer), pair("two", 0));
}

#[test]
fn exclusive_an_ack_timeout_brings_everything_unsettled_again_in_order() {
    let world = World::start();
    let name = topic("timeout-exclusive");
    let mut consumer = world.consumer(&name, "sub?ackTimeoutMillis=1000");
    publish(&world, &name, &["one", "two", "three"]);
    let messages: Vec<Value> = (0..3).map(|_| consumer.json()).collect();
    consumer.ack(&messages[0]);
    let again: Vec<Value> = (0..2).map(|_| consumer.json()).collect();
    let seen: Vec<_> = again.iter().map(seen).collect();
    assert_eq!(seen, [pair("two", 0), pair("three", 0)]);
    for message in &again {
        consumer.ack(message);
    }
    eventually("all are acked", || backlog(&world, &name) == 0);
}

#[test]
fn a_message_nacked_by_one_socket_may_go_to_another() {
    let world = World::start();
    let name = topic("nack-other");
    let mut first = world.consumer(
        &name,
        "sub?subscriptionType=Shared&negativeAckRedeliveryDelay=100",
    );
    publish(&world, &name, &["one"]);
    let message = first.json();
    // From now on only the second has window: the first is in pull mode's place of a full window.
    let mut second = world.consumer(&name, "sub?subscriptionType=Shared");
    first.nack(&message);
    first.close();
    assert_eq!(next(&mut second), pair("one", 1));
}
