//! Dead letters: after `maxRedeliverCount` redeliveries a message is in the dead-letter topic, as it was and with its origin,
//! and is settled on its own; nothing is lost when that topic cannot be had.

use std::collections::BTreeMap;

use pulsar::proto::{CompressionType, MessageMetadata};
use pws_fast::embedded;
use serde_json::{Value, json};

use crate::support::publisher::Publisher;
use crate::support::{Client, World, base64, eventually, id_fields, payload_of, take_from, topic};

const NACKS: &str = "negativeAckRedeliveryDelay=100";

fn dead(world: &World, dead_letter_topic: &str) -> Client {
    let query = "check?subscriptionInitialPosition=Earliest";
    world.consumer(dead_letter_topic, query)
}

fn count(message: &Value) -> i64 {
    message["redeliveryCount"].as_i64().expect("a count")
}

/// `MessageIdImpl.toString()` of an id on the wire.
fn java_id(id: &str) -> String {
    let fields: BTreeMap<u64, i64> = id_fields(id).into_iter().collect();
    let partition = fields.get(&3).copied().unwrap_or(-1);
    format!("{}:{}:{partition}", fields[&1], fields[&2])
}

#[test]
fn after_its_redeliveries_a_message_goes_to_the_dead_letter_topic_with_its_origin() {
    let world = World::start();
    for kind in ["Shared", "Key_Shared"] {
        let name = topic("dead");
        let query = format!("sub?subscriptionType={kind}&maxRedeliverCount=2&{NACKS}");
        let mut consumer = world.consumer(&name, &query);
        let mut graveyard = dead(&world, &format!("{name}-sub-DLQ"));
        let id = world.producer(&name).publish_json(json!({
            "payload": base64("one"), "properties": {"z": "1", "a": "2"}, "key": "k",
            "eventTime": "2021-10-29T16:01:38.967Z",
        }));
        for expected in 0..3 {
            let message = consumer.json();
            assert_eq!(count(&message), expected, "{kind}");
            consumer.nack(&message);
        }
        let letter = graveyard.json();
        assert_eq!(payload_of(&letter), "one");
        assert_eq!(
            letter["properties"],
            json!({
                "z": "1", "a": "2",
                "REAL_TOPIC": format!("persistent://public/default/{name}"),
                "REAL_SUBSCRIPTION": "sub",
                "ORIGIN_MESSAGE_ID": java_id(&id),
                "ORIGIN_MESSAGE_IDY_TIME": java_id(&id),
            })
        );
        assert_eq!(letter["key"], "k");
        assert_eq!(letter["eventTime"], "2021-10-29T16:01:38.967Z");
        eventually("it is acked", || world.backlog(&name, "sub") == 0);
        assert!(consumer.is_silent() && graveyard.is_silent());
    }
}

#[test]
fn an_ack_timeout_leads_to_the_named_topic_as_well() {
    let world = World::start();
    let (name, graves) = (topic("dead-timeout"), topic("graves"));
    world.admin().create_partitioned(&graves, 2);
    let mut graveyard = dead(&world, &graves);
    let query = format!(
        "sub?subscriptionType=Shared&maxRedeliverCount=1&deadLetterTopic={graves}&ackTimeoutMillis=1000&\
         receiverQueueSize=1"
    );
    let mut consumer = world.consumer(&name, &query);
    let mut producer = world.producer(&name);
    for payload in ["one", "two"] {
        producer.publish(payload);
    }
    let mut dead: Vec<String> = graveyard.receive_all(2);
    dead.sort();
    assert_eq!(dead, ["one", "two"]);
    let counts: Vec<i64> = (0..4).map(|_| count(&consumer.json())).collect();
    assert_eq!(counts.iter().filter(|count| **count == 1).count(), 2);
    eventually("both are acked", || world.backlog(&name, "sub") == 0);
}

#[test]
fn from_a_partition_on_whichever_shard_its_member_is() {
    let world = World::start();
    let name = topic("dead-partitions");
    world.admin().create_partitioned(&name, 2);
    let query = format!("sub?subscriptionType=Shared&maxRedeliverCount=1&{NACKS}");
    let mut sockets: Vec<Client> = (0..4).map(|_| world.consumer(&name, &query)).collect();
    let mut graveyard = dead(&world, &format!("{name}-sub-DLQ"));
    let path = format!("{name}?messageRoutingMode=RoundRobinPartition");
    let mut producer = world.producer(&path);
    let ids: BTreeMap<String, String> = (0..8)
        .map(|n| (n.to_string(), producer.publish(&n.to_string())))
        .collect();
    // Each of them twice.
    take_from(&mut sockets, 16, |_, socket, message| socket.nack(message));
    for _ in 0..8 {
        let letter = graveyard.json();
        graveyard.ack(&letter);
        let id = java_id(&ids[&payload_of(&letter)]);
        let partition = id.rsplit(':').next().expect("a partition");
        let source = format!("persistent://public/default/{name}-partition-{partition}");
        assert_eq!(letter["properties"]["ORIGIN_MESSAGE_ID"], id);
        assert_eq!(letter["properties"]["REAL_TOPIC"], source);
    }
    assert!(graveyard.is_silent());
}

#[test]
fn a_message_that_has_come_too_often_for_others_is_not_given_to_who_has_a_limit() {
    let world = World::start();
    let name = topic("dead-on-arrival");
    let query = format!("sub?subscriptionType=Shared&pullMode=true&{NACKS}");
    let mut patient = world.consumer(&name, &query);
    let mut graveyard = dead(&world, &format!("{name}-sub-DLQ"));
    world.producer(&name).publish("one");
    for expected in 0..2 {
        patient.permit(1);
        let message = patient.json();
        assert_eq!(count(&message), expected);
        patient.nack(&message);
    }
    let mut strict = world.consumer(&name, "sub?subscriptionType=Shared&maxRedeliverCount=1");
    assert_eq!(graveyard.receive(), "one");
    eventually("it is acked", || world.backlog(&name, "sub") == 0);
    assert!(strict.is_silent() && patient.is_silent());
}

#[test]
fn where_there_is_no_dead_letter_topic_nothing_is_lost() {
    let world = World::start();
    let name = topic("dead-nowhere");
    let query = format!(
        "sub?subscriptionType=Shared&maxRedeliverCount=1&{NACKS}&deadLetterTopic=persistent://public/no-such-namespace/x"
    );
    let mut strict = world.consumer(&name, &query);
    let mut producer = world.producer(&name);
    producer.publish("one");
    for expected in 0..2 {
        let message = strict.json();
        assert_eq!(count(&message), expected);
        strict.nack(&message);
    }
    // The others go on meanwhile.
    producer.publish("two");
    assert_eq!(strict.receive(), "two");
    strict.close();
    let mut patient = world.consumer(&name, "sub?subscriptionType=Shared");
    assert_eq!(patient.receive(), "one");
    eventually("both are acked", || world.backlog(&name, "sub") == 0);
}

/// What was compressed to an entry need not fit into one as it is.
#[test]
fn one_that_is_larger_than_an_entry_gets_there_in_chunks() {
    let world = World::start();
    let name = topic("dead-large");
    let query = format!("sub?subscriptionType=Shared&maxRedeliverCount=1&{NACKS}");
    let mut consumer = world.consumer(&name, &query);
    let mut graveyard = dead(&world, &format!("{name}-sub-DLQ"));
    let payload = "a large message ".repeat(400_000);
    let mut publisher = Publisher::open(&world.broker_url(), &name);
    let metadata = MessageMetadata {
        compression: Some(CompressionType::Lz4 as i32),
        uncompressed_size: Some(payload.len() as u32),
        partition_key: Some("k".to_owned()),
        ..MessageMetadata::default()
    };
    publisher.publish(metadata, &lz4_flex::block::compress(payload.as_bytes()));
    for _ in 0..2 {
        let message = consumer.json();
        consumer.nack(&message);
    }
    let letter = graveyard.json();
    assert!(payload_of(&letter) == payload, "another payload");
    assert_eq!(letter["key"], "k");
    assert_eq!(letter["properties"]["REAL_SUBSCRIPTION"], "sub");
    graveyard.ack(&letter);
    eventually("it is acked", || world.backlog(&name, "sub") == 0);
    assert!(consumer.is_silent() && graveyard.is_silent());
}

#[test]
fn a_socket_that_leaves_while_its_message_is_published_leaves_no_second_one() {
    let world = World::embedded(embedded::Options::default(), &[]);
    let name = topic("dead-leaving");
    let query = format!("sub?subscriptionType=Shared&maxRedeliverCount=1&{NACKS}");
    let mut consumer = world.consumer(&name, &query);
    let mut graveyard = dead(&world, &format!("{name}-sub-DLQ"));
    world.producer(&name).publish("one");
    let message = consumer.json();
    consumer.nack(&message);
    let again = consumer.json();
    // The receipt is on its way for a second.
    world.broker().faults().delay_answers(1000);
    consumer.nack(&again);
    let graves = format!("{name}-sub-DLQ");
    eventually("it is published", || world.backlog(&graves, "check") == 1);
    consumer.close();
    world.broker().faults().delay_answers(0);
    eventually("it is acked", || world.backlog(&name, "sub") == 0);
    assert_eq!(graveyard.receive(), "one");
    assert!(graveyard.is_silent());
}

#[test]
fn the_producer_of_dead_letters_goes_with_its_subscription() {
    let world = World::start();
    let name = topic("dead-producer");
    let query = format!("sub?subscriptionType=Shared&maxRedeliverCount=1&{NACKS}");
    let mut consumer = world.consumer(&name, &query);
    let graves = format!("{name}-sub-DLQ");
    let mut graveyard = dead(&world, &graves);
    world.producer(&name).publish("one");
    for _ in 0..2 {
        let message = consumer.json();
        consumer.nack(&message);
    }
    assert_eq!(graveyard.receive(), "one");
    let publishers = || world.admin().stats(&graves).map_or(0, |s| s.publishers);
    assert_eq!(publishers(), 1);
    consumer.close();
    eventually("it is closed", || publishers() == 0);
}
