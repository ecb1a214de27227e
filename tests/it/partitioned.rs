//! Partitioned topics: message ids carry the partition, order holds within each, and acks find their way back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    World, base64, eventually, id_fields, number, payload_of, query_value, take_from, topic,
};

const PARTITIONS: u32 = 3;

fn partition_of(id: &str) -> i64 {
    let fields: BTreeMap<u64, i64> = id_fields(id).into_iter().collect();
    assert!(fields.contains_key(&6), "a batch size, always: {fields:?}");
    // MessageIdData.partition.
    fields[&3]
}

/// Publishes so many numbers in turn to the partitions.
fn publish(world: &World, name: &str, count: usize) -> Vec<String> {
    let mut producer = world.producer(&format!("{name}?messageRoutingMode=RoundRobinPartition"));
    (0..count)
        .map(|n| producer.publish(&n.to_string()))
        .collect()
}

fn backlog(world: &World, name: &str) -> u64 {
    let of = |partition| world.backlog(&format!("{name}-partition-{partition}"), "sub");
    (0..PARTITIONS).map(of).sum()
}

#[derive(Default)]
struct Checker {
    last: BTreeMap<i64, usize>,
    ids: BTreeSet<String>,
}

impl Checker {
    fn check(&mut self, message: &Value) {
        let id = message["messageId"].as_str().expect("an id");
        let n = number(message);
        assert!(self.ids.insert(id.to_owned()), "twice: {message}");
        let before = self.last.insert(partition_of(id), n);
        assert!(before < Some(n), "out of order: {message}");
    }
}

#[test]
fn ids_carry_the_partition_and_order_holds_within_it() {
    let world = World::start();
    let name = topic("partitions");
    world.admin().create_partitioned(&name, PARTITIONS);
    let mut consumer = world.consumer(&name, "sub");
    let mut reader = world.reader(&name);
    let acks = publish(&world, &name, 90);
    let partitions: BTreeSet<i64> = acks.iter().map(|id| partition_of(id)).collect();
    assert_eq!(partitions, BTreeSet::from([0, 1, 2]));

    let mut seen = Checker::default();
    for _ in 0..90 {
        let message = consumer.json();
        seen.check(&message);
        consumer.ack(&message);
    }
    assert_eq!(seen.ids, acks.into_iter().collect());
    eventually("all are acked", || backlog(&world, &name) == 0);
    let mut read = Checker::default();
    for _ in 0..90 {
        read.check(&reader.json());
        reader.send("{}");
    }
    assert_eq!(read.ids, seen.ids);
    consumer.close();
    let mut earliest = world.reader(&format!("{name}?messageId=earliest"));
    for _ in 0..90 {
        earliest.receive();
    }
}

#[test]
fn a_small_window_reaches_every_partition() {
    let world = World::start();
    let name = topic("window");
    world.admin().create_partitioned(&name, PARTITIONS);
    let mut consumer = world.consumer(&name, "sub?receiverQueueSize=1");
    publish(&world, &name, 30);
    let mut seen = Checker::default();
    for _ in 0..30 {
        let message = consumer.json();
        assert!(consumer.is_silent_for(Duration::from_millis(5)));
        seen.check(&message);
        consumer.ack(&message);
    }
    eventually("all are acked", || backlog(&world, &name) == 0);
}

#[test]
fn one_key_goes_to_one_partition() {
    let world = World::start();
    let name = topic("key");
    world.admin().create_partitioned(&name, PARTITIONS);
    let mut producer = world.producer(&format!("{name}?messageRoutingMode=RoundRobinPartition"));
    for key in ["a", "b", "c", "d"] {
        let message = json!({ "payload": base64(key), "key": key });
        let partitions: BTreeSet<i64> = (0..5)
            .map(|_| partition_of(&producer.publish_json(message.clone())))
            .collect();
        assert_eq!(partitions.len(), 1, "{key}");
    }
    // Without a key SinglePartition, the default, keeps to one of them.
    let mut single = world.producer(&name);
    let partitions: BTreeSet<i64> = (0..6).map(|_| partition_of(&single.publish("x"))).collect();
    assert_eq!(partitions.len(), 1);
}

#[test]
fn shared_sockets_ack_and_nack_over_partitions_and_across_sockets() {
    let world = World::start();
    let name = topic("shared");
    world.admin().create_partitioned(&name, PARTITIONS);
    let query = "sub?subscriptionType=Shared&negativeAckRedeliveryDelay=100";
    let mut first = world.consumer(&name, query);
    publish(&world, &name, 30);
    let messages: Vec<Value> = (0..30).map(|_| first.json()).collect();
    let mut second = world.consumer(&name, query);
    // Every fifth message is nacked, the rest acked on the other socket.
    for (n, message) in messages.iter().enumerate() {
        match n % 5 {
            0 => first.nack(message),
            _ => second.ack(message),
        }
    }
    let mut again = BTreeSet::new();
    take_from(&mut [&mut first, &mut second], 6, |_, socket, message| {
        assert_eq!(message["redeliveryCount"], 1, "{message}");
        assert!(again.insert(payload_of(message)), "twice: {message}");
        socket.ack(message);
    });
    eventually("all are acked", || backlog(&world, &name) == 0);
    assert!(first.is_silent() && second.is_silent());
}

#[test]
fn a_partition_can_be_named_by_itself() {
    let world = World::start();
    let name = topic("one");
    world.admin().create_partitioned(&name, PARTITIONS);
    let partition = format!("{name}-partition-1");
    let mut consumer = world.consumer(&partition, "sub");
    let mut producer = world.producer(&partition);
    let id = producer.publish("one");
    let message = consumer.json();
    // As in Java the consumer's ids carry the partition; the producer takes it for a topic without any.
    let delivered = message["messageId"].as_str().expect("an id");
    assert_eq!(partition_of(delivered), 1);
    let without: Vec<_> = id_fields(delivered)
        .into_iter()
        .filter(|(n, _)| *n != 3)
        .collect();
    assert_eq!(id_fields(&id), without);
    consumer.ack(&message);
    let mut behind = world.reader(&format!("{partition}?messageId={}", query_value(&id)));
    producer.publish("two");
    assert_eq!(behind.receive(), "two");
    assert_eq!(consumer.receive(), "two");
    eventually("it is acked", || world.backlog(&partition, "sub") == 0);
}
