//! Nothing piles up in the gateway, on either side.
//!
//! Set-up: brokers that stop reading, clients that never read, on small bounds where that makes it quick. Claim: whoever
//! is too fast is made to wait by TCP, so that what the gateway holds stays bounded; once the slow side goes on, every
//! message is there once and in order; and nobody else waits.

use std::collections::VecDeque;
use std::time::Duration;

use pws_fast::embedded::Options;
use serde_json::json;

use crate::support::raw::frame;
use crate::support::{Neighbours, Raw, World, base64, payload_of, topic};

/// Far above what the gateway's bounds and the kernel's socket buffers (at most 4 MiB and 32 MiB) hold together.
const FAR_TOO_MUCH: usize = 256 << 20;

/// A busy machine lets nothing through for less than this.
const STUCK: Duration = Duration::from_secs(2);

fn producer_path(name: &str) -> String {
    format!("/ws/v2/producer/persistent/public/default/{name}")
}

fn message(number: usize, payload_bytes: usize) -> Vec<u8> {
    let payload = format!("{number:08}{}", "x".repeat(payload_bytes));
    let json = json!({ "payload": base64(&payload), "context": number.to_string() });
    frame(0x81, json.to_string().as_bytes())
}

/// The client sends what it can; how many whole messages the gateway will have seen once it reads again.
fn flood(client: &mut Raw, payload_bytes: usize, most: usize) -> usize {
    let mut sent = 0;
    while sent < most {
        let message = message(sent, payload_bytes);
        let bytes = client.push_until_stuck(&message, message.len(), STUCK);
        if bytes == 0 {
            return sent;
        }
        if bytes < message.len() {
            return sent + 1;
        }
        sent += 1;
    }
    panic!("{most} messages went through");
}

#[test]
fn a_stalled_broker_makes_the_producer_wait_and_loses_nothing() {
    let world = World::embedded(Options::default(), &["producerPendingBytes=262144"]);
    let mut neighbours = Neighbours::move_in(&world);
    let name = topic("stalled");
    let mut consumer = world.consumer(&name, "sub");
    let mut client = Raw::open(world.address(), &producer_path(&name));
    for round in 0..2 {
        world.broker().faults().stall(true);
        let sent = flood(&mut client, 10_000, FAR_TOO_MUCH / 10_000);
        world.broker().faults().stall(false);
        client.pay();
        for number in 0..sent {
            let answer: serde_json::Value = serde_json::from_str(&client.text()).expect("JSON");
            assert_eq!(answer["result"], "ok", "round {round}: {answer}");
            assert_eq!(answer["context"], number.to_string());
            let payload = consumer.receive();
            assert_eq!(payload[..8], format!("{number:08}"));
        }
        neighbours.are_well();
    }
    assert!(consumer.is_silent());
}

/// Properties and keys count as payloads do.
#[test]
fn what_a_message_carries_beside_its_payload_counts_too() {
    let world = World::embedded(Options::default(), &["producerPendingBytes=262144"]);
    let mut client = Raw::open(world.address(), &producer_path(&topic("properties")));
    let message = json!({ "payload": "", "key": "k".repeat(1000), "properties": { "p": "v".repeat(50_000) } });
    let message = frame(0x81, message.to_string().as_bytes());
    world.broker().faults().stall(true);
    let taken = client.push_until_stuck(&message, FAR_TOO_MUCH, STUCK);
    assert!(taken < FAR_TOO_MUCH, "{taken} bytes");
    world.broker().faults().stall(false);
}

/// A message that has timed out is the client's no more, but still waits for a broker that does not read.
#[test]
fn messages_that_time_out_do_not_make_room_for_ever() {
    let world = World::embedded(Options::default(), &["upstreamPendingBytes=8388608"]);
    let mut neighbours = Neighbours::move_in(&world);
    let path = format!("{}?sendTimeoutMillis=1", producer_path(&topic("given-up")));
    let mut client = Raw::open(world.address(), &path);
    world.broker().faults().stall(true);
    let message = message(0, 100_000);
    let taken = client.push_until_stuck(&message, FAR_TOO_MUCH, STUCK);
    assert!(taken < FAR_TOO_MUCH, "{taken} bytes");
    world.broker().faults().stall(false);
    neighbours.are_well();
}

/// As above, with producers that go instead of messages that time out.
#[test]
fn producers_that_go_do_not_make_room_for_ever() {
    let world = World::embedded(Options::default(), &["upstreamPendingBytes=4194304"]);
    let mut neighbours = Neighbours::move_in(&world);
    let name = topic("gone");
    let mut clients: VecDeque<Raw> = (0..40)
        .map(|_| Raw::open(world.address(), &producer_path(&name)))
        .collect();
    world.broker().faults().stall(true);
    let message = message(0, 100_000);
    let mut taken = 0;
    while let Some(mut client) = clients.pop_front() {
        taken += client.push_until_stuck(&message, FAR_TOO_MUCH, Duration::from_millis(100));
    }
    assert!(taken < FAR_TOO_MUCH, "{taken} bytes");
    world.broker().faults().stall(false);
    neighbours.are_well();
}

#[test]
fn a_client_that_does_not_read_its_answers_is_not_read_either() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    let name = topic("deaf");
    let ping = frame(0x89, &[b'p'; 125]).repeat(100);
    let bad_json = frame(0x81, b"{").repeat(1000);
    let question = frame(0x81, br#"{"type":"isEndOfTopic"}"#).repeat(1000);
    let consumer = format!("/ws/v2/consumer/persistent/public/default/{name}/sub");
    let reader = format!("/ws/v2/reader/persistent/public/default/{name}");
    for (path, says) in [
        (&producer_path(&name), &ping),
        (&producer_path(&name), &bad_json),
        (&consumer, &question),
        (&consumer, &ping),
        (&reader, &question),
    ] {
        let mut client = Raw::open(world.address(), path);
        let taken = client.push_until_stuck(says, FAR_TOO_MUCH, STUCK);
        assert!(taken < FAR_TOO_MUCH, "{path}: {taken} bytes");
        neighbours.are_well();
        // It reads at last, and is served again.
        client.read_in_background();
        client.pay();
        client.send(&frame(0x88, b"\x03\xe8"));
        client.until_background_ends();
    }
}

/// 300 messages of 100 KB for two members, of which one never reads: its share is what its socket holds, the rest goes
/// to the other; and when it goes, what it held goes there as well.
#[test]
fn the_others_get_the_share_of_a_consumer_that_does_not_read() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    let name = topic("slow");
    let shared = "sub?subscriptionType=Shared";
    let path = format!("/ws/v2/consumer/persistent/public/default/{name}/{shared}");
    let slow = Raw::open(world.address(), &path);
    let mut quick = world.consumer(&name, shared);
    let mut producer = world.producer(&name);
    let filler = "x".repeat(100_000);
    const COUNT: usize = 300;
    for number in 0..COUNT {
        producer.publish(&format!("{number:08}{filler}"));
    }
    let mut seen = vec![0; COUNT];
    let mut take = |payload: &str| seen[payload[..8].parse::<usize>().expect("a number")] += 1;
    // The slow one holds what its bound and the kernel's buffers allow: far from half of all.
    for _ in 0..COUNT * 2 / 3 {
        take(&quick.receive());
    }
    neighbours.are_well();
    slow.reset();
    for _ in COUNT * 2 / 3..COUNT {
        take(&quick.receive());
    }
    assert!(seen.iter().all(|count| *count == 1), "{seen:?}");
    assert!(quick.is_silent());
}

#[test]
fn a_consumer_that_reads_again_gets_everything_in_order() {
    let world = World::start();
    let name = topic("late");
    let path = format!("/ws/v2/consumer/persistent/public/default/{name}/sub");
    let mut slow = Raw::open(world.address(), &path);
    let mut producer = world.producer(&name);
    let filler = "x".repeat(100_000);
    for number in 0..200 {
        producer.publish(&format!("{number:08}{filler}"));
    }
    for number in 0..200 {
        let message: serde_json::Value = serde_json::from_str(&slow.text()).expect("JSON");
        assert_eq!(payload_of(&message)[..8], format!("{number:08}"));
        slow.say(&json!({ "messageId": message["messageId"] }).to_string());
    }
}
