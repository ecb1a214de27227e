//! `unsubscribe`: alone it deletes the subscription, and the socket stays, silent; with others it is error 3.

use crate::support::{Closed, World, eventually, topic};

const UNSUBSCRIBE: &str = r#"{"type":"unsubscribe"}"#;

fn has_subscription(world: &World, name: &str) -> bool {
    let stats = world.admin().stats(name).expect("the topic is there");
    stats.subscription("sub").is_some()
}

#[test]
fn unsubscribing_alone_deletes_the_subscription_and_the_socket_stays_open_and_silent() {
    let world = World::start();
    for kind in ["Exclusive", "Shared", "Failover", "Key_Shared"] {
        let name = topic("alone");
        let mut consumer = world.consumer(&name, &format!("sub?subscriptionType={kind}"));
        let mut producer = world.producer(&name);
        producer.publish("one");
        assert_eq!(consumer.payload(), "one", "{kind}");
        assert!(has_subscription(&world, &name));
        consumer.send(UNSUBSCRIBE);
        eventually("it is gone", || !has_subscription(&world, &name));
        producer.publish("two");
        // It is open all the same, and answers.
        assert!(consumer.is_silent(), "{kind}");

        // Who comes now makes it anew, at the end of the topic.
        let mut again = world.consumer(&name, &format!("sub?subscriptionType={kind}"));
        producer.publish("three");
        assert_eq!(again.receive(), "three", "{kind}");
        consumer.close();
        producer.publish("four");
        assert_eq!(again.receive(), "four", "{kind}");
    }
}

#[test]
fn unsubscribing_a_second_time_is_error_3() {
    let world = World::start();
    let name = topic("twice");
    let mut consumer = world.consumer(&name, "sub");
    consumer.send(UNSUBSCRIBE);
    eventually("it is gone", || !has_subscription(&world, &name));
    assert_eq!(consumer.end_of_topic(), Some(false));
    consumer.send(r#"{"messageId":"CBAQADAA"}"#);
    assert_eq!(consumer.end_of_topic(), Some(false));
    consumer.send(UNSUBSCRIBE);
    assert_eq!(consumer.closed().code, 4003);
}

#[test]
fn unsubscribing_with_others_attached_is_error_3_and_changes_nothing() {
    let world = World::start();
    let name = topic("others");
    let mut first = world.consumer(&name, "sub?subscriptionType=Shared");
    let mut second = world.consumer(&name, "sub?subscriptionType=Shared");
    let mut producer = world.producer(&name);
    first.send(UNSUBSCRIBE);
    let Closed { code, reason } = first.closed();
    assert_eq!(code, 4003, "{reason}");
    assert!(has_subscription(&world, &name));
    producer.publish("one");
    producer.publish("two");
    // The first one may have been given some before its end was known.
    let mut received = second.receive_all(2);
    received.sort_unstable();
    assert_eq!(received, ["one", "two"]);
}

#[test]
fn unsubscribing_with_others_on_another_gateway_is_refused_by_the_broker() {
    let world = World::start();
    let beside = world.beside();
    let name = topic("beside");
    let mut first = world.consumer(&name, "sub?subscriptionType=Shared");
    let mut second = beside.consumer(&name, "sub?subscriptionType=Shared");
    first.send(UNSUBSCRIBE);
    assert_eq!(first.closed().code, 4003);
    world.producer(&name).publish("one");
    assert_eq!(second.receive(), "one");
}
