//! Consumers of a pattern (`/ws/v3/consumer/{subscription}?topicsPattern=regex`): the topics that match, those that come
//! later, and those that go.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{Client, World, eventually, payload_of, topic};

const INTERVAL: &str = "topicsUpdateMillis=200";

fn consume(world: &World, pattern: &str, rest: &str) -> Client {
    let pattern = pattern.replace('+', "%2B");
    world.open(&format!(
        "/ws/v3/consumer/sub?topicsPattern={pattern}{rest}"
    ))
}

fn producer(world: &World, topic: &str) -> Client {
    world.open(&format!(
        "/ws/v2/producer/{}",
        topic.replacen("://", "/", 1)
    ))
}

fn publish(world: &World, topic: &str, payload: &str) {
    let mut producer = producer(world, topic);
    producer.publish(payload);
    producer.close();
}

fn full(name: &str) -> String {
    format!("persistent://public/default/{name}")
}

#[test]
fn what_matches_is_consumed_and_nothing_else() {
    let world = World::with(&[INTERVAL]);
    let name = topic("pattern");
    let parts = format!("{name}-parts");
    world.admin().create_partitioned(&parts, 2);
    for rest in ["a", "b", "parts"] {
        publish(&world, &full(&format!("{name}-{rest}")), rest);
    }
    publish(&world, &full(&format!("x{name}-a")), "other name");
    let earliest = "&subscriptionInitialPosition=Earliest";
    let all = [
        (
            format!("persistent://public/default/{name}-.*"),
            vec!["a", "b", "parts"],
        ),
        (
            format!("public/default/{name}-(a|parts)"),
            vec!["a", "parts"],
        ),
        (format!(".*/{name}-b"), vec![]),
        (format!(".*{name}-b"), vec!["b"]),
        // In Java the whole name must match, so that this one finds nothing there.
        (format!("{name}-[ab]"), vec!["a", "b"]),
        (format!("persistent://public/default/{name}"), vec![]),
    ];
    for (at, (pattern, expected)) in all.iter().enumerate() {
        if pattern.starts_with(".*/") {
            continue;
        }
        let pattern = pattern.replace('|', "%7C");
        let path = format!("/ws/v3/consumer/s{at}?topicsPattern={pattern}{earliest}");
        let mut consumer = world.open(&path);
        let got: BTreeSet<String> = expected.iter().map(|_| consumer.receive()).collect();
        let expected: BTreeSet<String> = expected.iter().map(|s| s.to_string()).collect();
        assert_eq!(got, expected, "{pattern}");
        assert!(consumer.is_silent(), "{pattern}");
    }
}

#[test]
fn a_pattern_waits_for_topics_and_finds_partitions_too() {
    let world = World::with(&[INTERVAL]);
    let name = topic("waits");
    let query = "&subscriptionInitialPosition=Earliest&subscriptionType=Shared";
    let mut consumer = consume(&world, &full(&format!("{name}.*")), query);
    let mut second = consume(&world, &full(&format!("{name}.*")), query);
    assert_eq!(
        consumer.end_of_topic(),
        Some(true),
        "as Java says of no topic"
    );
    publish(&world, &full(&format!("{name}-1")), "one");
    let message = loop {
        if let Some(message) = consumer.within(Duration::from_millis(20)) {
            consumer.ack(&message);
            break message;
        }
        if let Some(message) = second.within(Duration::from_millis(20)) {
            second.ack(&message);
            break message;
        }
    };
    assert_eq!(payload_of(&message), "one");
    second.close();
    let parts = format!("{name}-2");
    world.admin().create_partitioned(&parts, 1);
    publish(&world, &full(&parts), "two");
    assert_eq!(consumer.payload(), "two");
    world.admin().update_partitions(&parts, 2);
    let mut robin = world.producer(&format!("{parts}?messageRoutingMode=RoundRobinPartition"));
    robin.publish("three");
    robin.publish("four");
    let got = BTreeSet::from([consumer.receive(), consumer.receive()]);
    assert_eq!(got, BTreeSet::from(["three".to_owned(), "four".to_owned()]));
}

#[test]
fn a_deleted_topic_leaves_and_may_come_back() {
    let world = World::with(&[INTERVAL]);
    let name = topic("leaves");
    let (stays, goes) = (
        full(&format!("{name}-stays")),
        full(&format!("{name}-goes")),
    );
    publish(&world, &stays, "0");
    publish(&world, &goes, "0");
    let query = "&subscriptionInitialPosition=Earliest&receiverQueueSize=10";
    let mut consumer = consume(&world, &full(&format!("{name}-.*")), query);
    for _ in 0..2 {
        let message = consumer.json();
        consumer.ack(&message);
    }
    world.admin().delete_forced(&goes);
    eventually("it is gone and stays away", || {
        crate::support::pause(Duration::from_millis(500));
        world.admin().stats(&goes).is_none()
    });
    publish(&world, &stays, "1");
    assert_eq!(consumer.receive(), "1");
    publish(&world, &goes, "2");
    assert_eq!(consumer.receive(), "2");
}

#[test]
fn a_pattern_is_about_its_namespace_and_domain() {
    let world = World::with(&[INTERVAL]);
    let name = topic("domain");
    let namespace = format!("public/ns-{name}");
    world.admin().create_namespace(&namespace);
    let here = format!("persistent://{namespace}/{name}");
    publish(&world, &here, "here");
    publish(&world, &full(&name), "elsewhere");
    let query = "&subscriptionInitialPosition=Earliest";
    let mut consumer = consume(&world, &format!("{namespace}/.*"), query);
    assert_eq!(consumer.receive(), "here");
    assert!(consumer.is_silent());

    let volatile = format!("non-persistent://public/default/{name}");
    let mut producer = producer(&world, &volatile);
    let mut volatile = consume(&world, &volatile, "");
    // The broker drops what comes before the permits.
    eventually("it comes", || {
        producer.publish("gone with the wind");
        let message = volatile.within(Duration::from_millis(20));
        message.is_some_and(|message| payload_of(&message) == "gone with the wind")
    });
}

#[test]
fn unsubscribing_is_from_all_topics_that_match() {
    let world = World::with(&[INTERVAL]);
    let name = topic("unsubscribe");
    publish(&world, &full(&format!("{name}-a")), "a");
    publish(&world, &full(&format!("{name}-b")), "b");
    let pattern = full(&format!("{name}-.*"));
    let mut consumer = consume(&world, &pattern, "");
    consumer.send(r#"{"type":"unsubscribe"}"#);
    for rest in ["a", "b"] {
        eventually("the subscription is deleted", || {
            let stats = world.admin().stats(&format!("{name}-{rest}"));
            stats.is_none_or(|stats| stats.subscription("sub").is_none())
        });
    }
    // Of nothing it is done at once.
    let mut nothing = consume(&world, &full(&format!("{name}-nothing")), "");
    nothing.send(r#"{"type":"unsubscribe","requestId":1}"#);
    assert_eq!(nothing.json()["requestId"], 1);
}

#[test]
fn what_is_no_pattern_is_refused() {
    let world = World::start();
    for pattern in ["[a-", "(?=a)b", "", ".*/x"] {
        let path = format!("/ws/v3/consumer/sub?topicsPattern={pattern}");
        let (status, text) = world.refused(&path);
        assert_eq!(status, 400, "{text}");
    }
}
