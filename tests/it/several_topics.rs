//! One consumer over several topics (`/ws/v3/consumer/{subscription}?topics=a,b`): ids as the Java gateway writes them,
//! acks that find their topic, one window over all, and what the broker refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Client, World, eventually, id_fields, payload_of, take_from, topic};

fn path(topics: &[&str], rest: &str) -> String {
    format!("/ws/v3/consumer/sub?topics={}{rest}", topics.join(","))
}

fn publish(world: &World, topic: &str, payloads: impl IntoIterator<Item = String>) {
    let mut producer = world.producer(&format!("{topic}?messageRoutingMode=RoundRobinPartition"));
    for payload in payloads {
        producer.publish(&payload);
    }
    producer.close();
}

fn numbered(prefix: &str, count: usize) -> impl Iterator<Item = String> + '_ {
    (0..count).map(move |n| format!("{prefix}{n}"))
}

fn backlog(world: &World, topic: &str) -> Option<u64> {
    let stats = world.admin().stats(topic)?;
    Some(stats.subscription("sub")?.backlog)
}

fn take(first: &mut Client, second: &mut Client, count: usize) -> Vec<(usize, Value)> {
    let mut taken = Vec::new();
    take_from(&mut [first, second], count, |of, _, message| {
        taken.push((of, message.clone()));
    });
    taken
}

fn acked(world: &World, topics: &[&str]) {
    for topic in topics {
        eventually("all is acked", || backlog(world, topic) == Some(0));
    }
}

#[test]
fn ids_name_partitions_where_there_are_some_and_acks_find_their_topic() {
    let world = World::start();
    let (plain, parts, volatile) = (topic("plain"), topic("parts"), topic("volatile"));
    world.admin().create_partitioned(&parts, 2);
    let topics = [
        plain.as_str(),
        &format!("public/default/{parts}"),
        &format!("non-persistent://public/default/{volatile}"),
    ];
    let mut consumer = world.open(&path(&topics, ""));
    let mut producer = world.open(&format!(
        "/ws/v2/producer/non-persistent/public/default/{volatile}"
    ));
    // The broker drops what comes before the permits.
    eventually("its messages come", || {
        producer.publish("warm-up");
        let message = consumer.within(Duration::from_millis(20));
        message.inspect(|message| consumer.ack(message)).is_some()
    });
    publish(&world, &plain, numbered("a", 3));
    publish(&world, &parts, numbered("b", 4));
    producer.publish("c0");
    let mut seen = BTreeSet::new();
    while seen.len() < 8 {
        let message = consumer.json();
        let payload = payload_of(&message);
        if payload == "warm-up" {
            consumer.ack(&message);
            continue;
        }
        let id = message["messageId"].as_str().expect("an id");
        let fields: BTreeMap<u64, i64> = id_fields(id).into_iter().collect();
        let partition = fields.get(&3).copied();
        assert_eq!(partition.is_some(), payload.starts_with('b'), "{fields:?}");
        assert!(seen.insert(payload), "{message}");
        consumer.ack(&message);
    }
    acked(&world, &[&plain, &format!("{parts}-partition-0")]);
    acked(&world, &[&format!("{parts}-partition-1")]);
}

#[test]
fn one_window_counts_over_all_topics_and_none_starves() {
    let world = World::start();
    let (busy, quiet) = (topic("busy"), topic("quiet"));
    let query = "&subscriptionInitialPosition=Earliest&receiverQueueSize=4";
    publish(&world, &busy, numbered("busy", 200));
    publish(&world, &quiet, numbered("quiet", 1));
    let mut consumer = world.open(&path(&[&busy, &quiet], query));
    let mut payloads = Vec::new();
    // Messages of both topics are at hand; the first window may be full before the quiet one's is there.
    for _ in 0..2 {
        let window: Vec<_> = (0..4).map(|_| consumer.json()).collect();
        assert!(consumer.is_silent());
        payloads.extend(window.iter().map(payload_of));
        window.iter().for_each(|message| consumer.ack(message));
    }
    assert!(payloads.contains(&"quiet0".to_owned()), "{payloads:?}");
}

#[test]
fn sockets_share_the_topics_and_ack_for_each_other() {
    let world = World::start();
    let (one, other) = (topic("one"), topic("other"));
    let query = "&subscriptionType=Shared&receiverQueueSize=20";
    let mut first = world.open(&path(&[&one, &other], query));
    // The same set in another order and other words.
    let named = format!("persistent://public/default/{one}");
    let mut second = world.open(&path(&[&other, &named], query));
    publish(&world, &one, numbered("a", 20));
    publish(&world, &other, numbered("b", 20));
    let got = take(&mut first, &mut second, 40);
    let payloads: BTreeSet<String> = got.iter().map(|(_, message)| payload_of(message)).collect();
    assert_eq!(payloads.len(), 40);
    for (of, message) in &got {
        let acker: &mut Client = if *of == 0 { &mut second } else { &mut first };
        acker.ack(message);
    }
    acked(&world, &[&one, &other]);
    // Both windows are open again.
    publish(&world, &one, numbered("c", 40));
    assert_eq!(take(&mut first, &mut second, 40).len(), 40);
}

#[test]
fn a_negative_ack_and_a_lost_socket_bring_messages_again() {
    let world = World::start();
    let (one, other) = (topic("one"), topic("other"));
    let query = "&subscriptionType=Shared&negativeAckRedeliveryDelay=100";
    let mut first = world.open(&path(&[&one, &other], query));
    publish(&world, &one, numbered("a", 1));
    publish(&world, &other, numbered("b", 1));
    let mut messages = [first.json(), first.json()];
    messages.sort_by_key(payload_of);
    first.nack(&messages[1]);
    let again = first.json();
    assert_eq!(payload_of(&again), "b0");
    assert_eq!(again["redeliveryCount"], 1);
    let mut second = world.open(&path(&[&one, &other], query));
    first.cut();
    for message in [second.json(), second.json()] {
        second.ack(&message);
    }
    acked(&world, &[&one, &other]);
}

#[test]
fn every_type_of_subscription_is_served() {
    let world = World::start();
    for kind in ["Exclusive", "Failover", "Shared", "Key_Shared"] {
        let (one, other) = (topic("one"), topic("other"));
        world.admin().create_partitioned(&other, 2);
        let query = format!("&subscriptionType={kind}");
        let mut consumer = world.open(&path(&[&one, &other], &query));
        publish(&world, &one, numbered("a", 10));
        publish(&world, &other, numbered("b", 10));
        for _ in 0..20 {
            let message = consumer.json();
            consumer.ack(&message);
        }
        acked(&world, &[&one, &format!("{other}-partition-1")]);
        let second = Client::open(world.address(), &path(&[&one, &other], &query));
        match kind {
            "Exclusive" => assert_eq!(second.err().map(|(status, _)| status), Some(409)),
            _ => drop(second.expect("a second one")),
        }
    }
}

#[test]
fn one_topic_that_cannot_be_had_refuses_all() {
    let world = World::start();
    let name = topic("here");
    let (status, text) = world.refused(&path(&[&name, &format!("public/nowhere/{name}")], ""));
    assert_eq!(status, 404, "{text}");
    let taken = topic("taken");
    let _holder = world.consumer(&taken, "sub");
    let (status, text) = world.refused(&path(&[&name, &taken], ""));
    assert_eq!(status, 409, "{text}");
    // Nothing stays behind of what could be had: the broker has been told, though perhaps on another connection than
    // that which the next socket's hub is on.
    let path = path(&[&name], "");
    eventually("the topic is free", || {
        Client::open(world.address(), &path).is_ok()
    });
}

#[test]
fn a_topic_and_one_of_its_partitions_are_consumed_once() {
    let world = World::start();
    let name = topic("twice");
    world.admin().create_partitioned(&name, 2);
    let partition = format!("{name}-partition-0");
    let mut consumer = world.open(&path(&[&name, &partition], ""));
    publish(&world, &name, numbered("a", 10));
    let payloads: BTreeSet<String> = (0..10).map(|_| consumer.receive()).collect();
    assert_eq!(payloads.len(), 10);
    assert!(consumer.is_silent());
}

#[test]
fn the_end_is_that_of_all_topics_and_unsubscribing_is_from_all() {
    let world = World::start();
    let (one, other) = (topic("one"), topic("other"));
    let mut consumer = world.open(&path(&[&one, &other], ""));
    assert_eq!(consumer.end_of_topic(), Some(false));
    world.admin().terminate(&one);
    assert_eq!(consumer.end_of_topic(), Some(false));
    world.admin().terminate(&other);
    eventually("the end is told", || consumer.end_of_topic() == Some(true));
    consumer.send(r#"{"type":"unsubscribe"}"#);
    for name in [&one, &other] {
        let gone = || {
            let stats = world.admin().stats(name);
            stats.is_none_or(|stats| stats.subscription("sub").is_none())
        };
        eventually("the subscription is deleted", gone);
    }
}

#[test]
fn one_topic_alone_is_the_same_as_on_a_v2_path() {
    let world = World::start();
    let name = topic("alone");
    let mut several = world.open(&path(&[&name], "&subscriptionType=Shared"));
    let mut single = world.consumer(&name, "sub?subscriptionType=Shared");
    publish(&world, &name, numbered("a", 10));
    let got = take(&mut several, &mut single, 10);
    assert_eq!(got.len(), 10);
    for (_, message) in &got {
        single.ack(message);
    }
    acked(&world, &[&name]);
}
