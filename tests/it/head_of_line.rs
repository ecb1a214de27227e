//! A socket whose client does not read delays no other.
//!
//! Set-up: readers and consumers of the same topic and of others that never read their sockets, on both shards, beside
//! ones that do. Claim: those that do get everything, in order.

use crate::support::{Neighbours, Raw, World, topic};

const MESSAGES: usize = 120;

#[test]
fn stalled_readers_and_consumers_delay_nobody() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    let name = topic("stalled");
    let reader = format!("/ws/v2/reader/persistent/public/default/{name}");
    let consumer = format!("/ws/v2/consumer/persistent/public/default/{name}/stalled");
    let stalled: Vec<Raw> = [&reader, &reader, &reader, &consumer]
        .map(|path| Raw::open(world.address(), path))
        .into();
    let mut reading = [
        world.reader(&name),
        world.reader(&name),
        world.consumer(&name, "sub"),
    ];
    let mut producer = world.producer(&name);
    let filler = "x".repeat(100_000);
    for number in 0..MESSAGES {
        producer.publish(&format!("{number:08}{filler}"));
        for client in &mut reading {
            assert_eq!(client.receive()[..8], format!("{number:08}"));
        }
        if number % 40 == 0 {
            neighbours.are_well();
        }
    }
    drop(stalled);
    neighbours.are_well();
}

/// A stalled socket that reads at last has missed nothing.
#[test]
fn a_stalled_reader_catches_up() {
    let world = World::start();
    let name = topic("catches-up");
    let mut stalled = Raw::open(
        world.address(),
        &format!("/ws/v2/reader/persistent/public/default/{name}"),
    );
    let mut producer = world.producer(&name);
    let filler = "x".repeat(100_000);
    for number in 0..MESSAGES {
        producer.publish(&format!("{number:08}{filler}"));
    }
    for number in 0..MESSAGES {
        let message = serde_json::from_str(&stalled.text()).expect("JSON");
        assert_eq!(
            crate::support::payload_of(&message)[..8],
            format!("{number:08}")
        );
        stalled.say("{}");
    }
}
