//! Partitions that are added while sockets are open: they are consumed, read and published to within the interval, and
//! nothing that is published to them before is missed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::support::{Client, Relay, World, eventually, id_fields, pause, topic};

/// Short, so that the tests need not wait a minute.
const INTERVAL: &str = "topicsUpdateMillis=200";

fn partition_of(id: &str) -> i64 {
    let fields = id_fields(id).into_iter();
    fields
        .rev()
        .find(|(field, _)| *field == 3)
        .expect("a partition")
        .1
}

/// Publishes until a message has gone to this partition; everything that was published.
fn publish_to(producer: &mut Client, partition: i64) -> BTreeSet<String> {
    let mut payloads = BTreeSet::new();
    eventually("the new partition is published to", || {
        let payload = topic("payload");
        let id = producer.publish(&payload);
        payloads.insert(payload);
        partition_of(&id) == partition
    });
    payloads
}

fn round_robin(world: &World, name: &str) -> Client {
    world.producer(&format!("{name}?messageRoutingMode=RoundRobinPartition"))
}

fn receive(consumer: &mut Client, count: usize) -> BTreeSet<String> {
    (0..count)
        .map(|_| {
            let message = consumer.json();
            consumer.ack(&message);
            crate::support::payload_of(&message)
        })
        .collect()
}

#[test]
fn open_sockets_find_new_partitions() {
    let world = World::with(&[INTERVAL]);
    let name = topic("grows");
    world.admin().create_partitioned(&name, 1);
    let mut consumer = world.consumer(&name, "sub");
    let mut shared = world.consumer(&name, "shared?subscriptionType=Shared");
    let mut failover = world.consumer(&name, "failover?subscriptionType=Failover");
    let mut keyed = world.consumer(&name, "keyed?subscriptionType=Key_Shared");
    let mut volatile = world.consumer(&name, "volatile?subscriptionMode=NonDurable");
    let mut several = world.open(&format!(
        "/ws/v3/consumer/several?topics={name},{name}-other"
    ));
    let mut reader = world.reader(&name);
    let mut earliest = world.reader(&format!("{name}?messageId=earliest"));
    let mut producer = round_robin(&world, &name);
    let mut published = publish_to(&mut producer, 0);
    world.admin().update_partitions(&name, 3);
    // A new socket knows all partitions: what it publishes before the others look is not missed.
    let mut early = round_robin(&world, &name);
    published.append(&mut publish_to(&mut early, 1));
    published.append(&mut publish_to(&mut early, 2));
    published.append(&mut publish_to(&mut producer, 2));
    for client in [
        &mut consumer,
        &mut shared,
        &mut failover,
        &mut keyed,
        &mut volatile,
        &mut several,
        &mut reader,
        &mut earliest,
    ] {
        assert_eq!(receive(client, published.len()), published);
    }
    for partition in 0..3 {
        let all_acked = || {
            let stats = world
                .admin()
                .stats(&format!("{name}-partition-{partition}"));
            let stats = stats.expect("the partition is there");
            let subscriptions = ["sub", "shared", "failover", "keyed", "several"];
            let mut subscriptions = subscriptions.iter().filter_map(|s| stats.subscription(s));
            subscriptions.all(|subscription| subscription.backlog == 0)
        };
        eventually("all is acked", all_acked);
    }
}

#[test]
fn keys_go_where_a_new_socket_sends_them() {
    let world = World::with(&[INTERVAL]);
    let name = topic("keys");
    world.admin().create_partitioned(&name, 1);
    let mut producer = world.producer(&name);
    producer.publish("first");
    world.admin().update_partitions(&name, 4);
    let mut fresh = world.producer(&name);
    let place = |producer: &mut Client, key: usize| {
        let message = serde_json::json!({"payload": "eA==", "key": format!("key-{key}")});
        partition_of(&producer.publish_json(message))
    };
    for key in 0..8 {
        let expected = place(&mut fresh, key);
        eventually("the key has moved", || {
            place(&mut producer, key) == expected
        });
    }
}

#[test]
fn a_member_that_comes_later_gets_from_new_partitions_too() {
    let world = World::with(&[INTERVAL]);
    let name = topic("later");
    world.admin().create_partitioned(&name, 1);
    let query = "sub?subscriptionType=Failover&consumerName=";
    let mut first = world.consumer(&name, &format!("{query}b"));
    world.admin().update_partitions(&name, 2);
    let mut producer = round_robin(&world, &name);
    publish_to(&mut producer, 1);
    // It is the first by name: of two partitions it gets the first, the other one the second.
    let mut second = world.consumer(&name, &format!("{query}a"));
    eventually("both get something", || {
        producer.publish("x");
        producer.publish("y");
        let mut got = [false, false];
        for (of, client) in [&mut first, &mut second].into_iter().enumerate() {
            while let Some(message) = client.within(std::time::Duration::from_millis(50)) {
                client.ack(&message);
                let id = message["messageId"].as_str().expect("an id");
                got[of] |= partition_of(id) == [1, 0][of];
            }
        }
        got == [true, true]
    });
}

#[test]
fn one_question_serves_all_sockets_of_a_topic() {
    let world = World::start();
    let relay = Relay::start(&world.broker_host());
    let gateway = world.beside_with(&[&format!("brokerServiceUrl={}", relay.url), INTERVAL]);
    let begin = Instant::now();
    let name = topic("questions");
    world.admin().create_partitioned(&name, 1);
    let mut sockets = Vec::new();
    for n in 0..6 {
        sockets.push(gateway.consumer(&name, "shared?subscriptionType=Shared"));
        sockets.push(gateway.consumer(&name, "keyed?subscriptionType=Key_Shared"));
        sockets.push(gateway.consumer(&name, &format!("sub{n}")));
        sockets.push(gateway.reader(&name));
        sockets.push(gateway.producer(&name));
    }
    eventually("it is asked", || relay.recounts() >= 8);
    // Two shards, and each asks at most once in an interval.
    let asked = u128::from(relay.recounts());
    let intervals = begin.elapsed().as_millis() / 200;
    assert!(asked <= 2 * (intervals + 1), "{asked} in {intervals}");
    // Nobody is left to ask for.
    for socket in sockets {
        socket.close();
    }
    eventually("no more is asked", || {
        let asked = relay.recounts();
        pause(Duration::from_millis(500));
        relay.recounts() == asked
    });
}
