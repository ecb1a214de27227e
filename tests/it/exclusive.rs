//! An Exclusive subscription has one consumer: a second socket is refused at the handshake, with the broker's words.

use crate::support::{World, topic};

const TAKEN: &str = "Exclusive consumer is already connected";

fn path(name: &str) -> String {
    format!("/ws/v2/consumer/persistent/public/default/{name}/sub")
}

#[test]
fn a_second_socket_is_refused_until_the_first_has_closed() {
    let world = World::start();
    let name = topic("exclusive");
    let mut first = world.consumer(&name, "sub");
    for _ in 0..3 {
        let (status, body) = world.refused(&path(&name));
        assert_eq!(status, 409, "{body}");
        assert!(body.contains(TAKEN), "{body}");
    }
    let mut producer = world.producer(&name);
    producer.publish("one");
    assert_eq!(first.receive(), "one");
    first.close();
    producer.publish("two");
    let mut second = world.consumer(&name, "sub");
    assert_eq!(second.receive(), "two");
}

#[test]
fn a_socket_on_another_gateway_is_refused_too() {
    let world = World::start();
    let beside = world.beside();
    let name = topic("elsewhere");
    let _first = world.consumer(&name, "sub");
    let (status, body) = beside.refused(&path(&name));
    assert_eq!(status, 409, "{body}");
    assert!(body.contains(TAKEN), "{body}");
}

#[test]
fn other_subscriptions_of_the_topic_are_open() {
    let world = World::start();
    let name = topic("others");
    let mut first = world.consumer(&name, "sub");
    let mut second = world.consumer(&name, "sub2");
    world.producer(&name).publish("one");
    assert_eq!(first.receive(), "one");
    assert_eq!(second.receive(), "one");
}

#[test]
fn a_new_subscription_begins_where_its_initial_position_says() {
    let world = World::start();
    let name = topic("position");
    let mut producer = world.producer(&name);
    producer.publish("one");
    let mut latest = world.consumer(&name, "latest");
    let mut earliest = world.consumer(&name, "earliest?subscriptionInitialPosition=Earliest");
    producer.publish("two");
    assert_eq!(latest.receive(), "two");
    assert_eq!(earliest.receive_all(2), ["one", "two"]);
}

#[test]
fn a_non_durable_subscription_goes_with_its_socket() {
    let world = World::start();
    let name = topic("non-durable");
    let mut consumer = world.consumer(&name, "sub?subscriptionMode=NonDurable");
    let mut producer = world.producer(&name);
    producer.publish("one");
    assert_eq!(consumer.payload(), "one");
    consumer.close();
    let stats = || world.admin().stats(&name).expect("the topic is there");
    crate::support::eventually("the subscription has gone", || {
        stats().subscription("sub").is_none()
    });
    let mut again = world.consumer(&name, "sub?subscriptionMode=NonDurable");
    producer.publish("two");
    assert_eq!(again.receive(), "two");
}
