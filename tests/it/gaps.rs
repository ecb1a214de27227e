//! What the broker has no more when a reader wants it.
//!
//! Set-up: a broker that keeps few messages, or drops its ledgers; readers behind their log, in it, and on the way to it.
//! Claim: who misses something hears of it, if that is wished, and goes on behind it otherwise; nobody else does.

use pws_fast::embedded;
use serde_json::json;

use crate::support::{Client, World, base64, eventually, topic};
use crate::tails::{CLOSED_ON_GAP, TINY_LOG, next, publish};

/// A broker that keeps a dozen messages of a kilobyte, and a reader that was sent the first of two hundred.
fn behind_what_the_broker_keeps(settings: &[&str]) -> (World, Client) {
    let options = embedded::Options {
        topic_bytes: 16 * 1024,
        ..embedded::Options::default()
    };
    let settings = [TINY_LOG, settings].concat();
    let world = World::embedded(options, &settings);
    let name = topic("beyond-retention");
    let mut reader = world.reader(&format!("{name}?receiverQueueSize=1"));
    let mut producer = world.producer(&name);
    let number = |number: u32| format!("{number:01000}");
    producer.publish(&number(0));
    assert_eq!(reader.payload(), number(0));
    (1..200).for_each(|n| drop(producer.publish(&number(n))));
    // Its window has room from here on.
    reader.send("{}");
    (world, reader)
}

#[test]
fn a_reader_goes_on_behind_what_the_broker_has_no_more() {
    let (_world, mut reader) = behind_what_the_broker_keeps(&[]);
    let first = next(&mut reader);
    assert!(first > 100, "{first}");
    (first + 1..200).for_each(|number| assert_eq!(next(&mut reader), number));
}

#[test]
fn a_reader_is_closed_on_a_gap_if_that_is_wished() {
    let (_world, mut reader) = behind_what_the_broker_keeps(&[CLOSED_ON_GAP]);
    let closed = reader.closed();
    assert_eq!(closed.code, 4008);
}

/// A gateway whose broker keeps a dozen messages of a kilobyte, in one ledger, and another that publishes there while the
/// first one does without it.
fn with_a_forgetful_broker() -> (World, World) {
    let options = embedded::Options {
        topic_bytes: 16 * 1024,
        ..embedded::Options::default()
    };
    // Time for the others to publish.
    let settings = [
        CLOSED_ON_GAP,
        "brokerClient_initialBackoffIntervalNanos=5000000000",
    ];
    let world = World::embedded(options, &settings);
    let beside = world.beside();
    (world, beside)
}

/// Two hundred messages come while the gateway has lost its broker.
fn lose_much(world: &World, beside: &World, name: &str) {
    world.broker().faults().drop_connections();
    let mut producer = beside.producer(name);
    for n in 0..200 {
        producer.publish(&format!("{n:01000}"));
    }
}

#[test]
fn what_went_from_the_broker_while_it_was_lost_is_a_gap_for_all_of_its_readers() {
    let (world, beside) = with_a_forgetful_broker();
    let name = topic("gap-of-a-tail");
    let mut readers: Vec<Client> = (0..4).map(|_| world.reader(&name)).collect();
    publish(&beside, &name, 0..1);
    readers
        .iter_mut()
        .for_each(|reader| assert_eq!(next(reader), 0));
    lose_much(&world, &beside, &name);
    for reader in &mut readers {
        assert_eq!(reader.closed().code, 4008);
    }
}

/// Of an entry with four messages the others wait in the gateway, so that its own upstream reader asks the broker for
/// nothing and sees no gap; and in the log that it goes on in the gap is some messages away.
#[test]
fn a_reader_that_comes_into_its_log_before_a_gap_hears_of_it() {
    let (world, beside) = with_a_forgetful_broker();
    let name = topic("gap-ahead");
    let batch = "batchingEnabled=true&batchingMaxMessages=4&batchingMaxPublishDelay=60000";
    let mut producer = beside.producer(&format!("{name}?{batch}"));
    for n in 0..4 {
        producer.send_json(json!({ "payload": base64(&n.to_string()) }));
    }
    (0..4).for_each(|_| assert_eq!(producer.json()["result"], "ok"));
    // On either shard: what they get, and what they hear, its log has.
    let mut in_the_log: Vec<Client> = (0..4).map(|_| world.reader(&name)).collect();
    let mut reader = world.reader(&format!("{name}?messageId=earliest&receiverQueueSize=1"));
    assert_eq!(next(&mut reader), 0);
    publish(&beside, &name, 4..7);
    for other in &mut in_the_log {
        (4..7).for_each(|n| assert_eq!(next(other), n));
    }
    lose_much(&world, &beside, &name);
    for other in &mut in_the_log {
        assert_eq!(other.closed().code, 4008);
    }
    (1..4).for_each(|n| assert_eq!(next(&mut reader), n));
    assert_eq!(reader.closed().code, 4008);
}

/// Every ledger goes once all durable subscriptions are behind it, and the topic goes on in a new one.
#[test]
fn readers_stay_where_a_ledger_went_of_which_they_had_all() {
    let world = World::with(&[CLOSED_ON_GAP]);
    let name = topic("ledger-went");
    let mut consumer = world.consumer(&name, "sub");
    let mut readers: Vec<Client> = (0..3).map(|_| world.reader(&name)).collect();
    for round in 0..3 {
        let numbers = round * 10..round * 10 + 10;
        publish(&world, &name, numbers.clone());
        for n in numbers {
            assert_eq!(consumer.receive(), n.to_string());
            readers
                .iter_mut()
                .for_each(|reader| assert_eq!(next(reader), n));
        }
        // Brokers say yes to an ack that comes while they unload the topic, and forget it.
        eventually("all are acked", || world.backlog(&name, "sub") == 0);
        world.admin().unload(&name);
    }
}
