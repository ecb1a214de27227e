//! Clients that are gone from one moment to the next, in every state. What they held is free again: their place among
//! the connections (bounded here to a little more than the neighbours need), their session, and what the broker keeps
//! for it.

use std::time::Duration;

use pws_fast::embedded::Options;

use crate::support::raw::{frame, upgrade_request};
use crate::support::{Neighbours, Raw, World, eventually, topic};

/// How a client goes.
#[derive(Clone, Copy, Debug)]
enum Exit {
    /// RST: it crashed.
    Reset,
    /// FIN without a close frame.
    End,
}

const EXITS: [Exit; 2] = [Exit::Reset, Exit::End];

fn vanish(client: Raw, exit: Exit) {
    match exit {
        Exit::Reset => client.reset(),
        Exit::End => drop(client),
    }
}

fn paths(name: &str) -> [String; 4] {
    [
        format!("/ws/v2/producer/persistent/public/default/{name}"),
        format!("/ws/v2/consumer/persistent/public/default/{name}/alone"),
        format!("/ws/v2/consumer/persistent/public/default/{name}/sub?subscriptionType=Shared"),
        format!("/ws/v2/reader/persistent/public/default/{name}"),
    ]
}

/// The broker knows of nobody on the topic any more.
fn until_unused(world: &World, name: &str) {
    eventually("the broker's side is closed", || {
        let stats = world.admin().stats(name);
        stats.is_none_or(|stats| !stats.is_in_use())
    });
}

#[test]
fn a_client_gone_before_or_in_its_request_frees_its_place() {
    let world = World::with(&["maxHttpServerConnections=6"]);
    let mut neighbours = Neighbours::move_in(&world);
    for exit in EXITS {
        for begin in ["", "GET /ws", "GET / HTTP/1.1\r\nHost: "] {
            super::silence::until_let_in(&world);
            let mut client = Raw::connect(world.address());
            client.try_send(begin.as_bytes());
            vanish(client, exit);
        }
    }
    super::silence::until_let_in(&world);
    neighbours.are_well();
}

/// The upstream never answers; that its client has gone is noticed all the same.
#[test]
fn a_client_gone_while_the_broker_thinks_frees_its_place() {
    let world = World::embedded(Options::default(), &["maxHttpServerConnections=6"]);
    let mut neighbours = Neighbours::move_in(&world);
    for exit in EXITS {
        let name = topic("thinking");
        world.producer(&name).close();
        super::silence::until_let_in(&world);
        world.broker().faults().stall(true);
        for path in paths(&name) {
            super::silence::until_let_in(&world);
            let mut client = Raw::connect(world.address());
            client.send(upgrade_request(&path).as_bytes());
            vanish(client, exit);
        }
        super::silence::until_let_in(&world);
        world.broker().faults().stall(false);
        neighbours.are_well();
        until_unused(&world, &name);
        assert_eq!(world.admin().delete(&name) / 100, 2);
    }
}

/// As above, but the broker's answer is on its way when the client goes.
#[test]
fn a_client_gone_while_the_broker_answers_leaves_nothing_at_the_broker() {
    let world = World::embedded(Options::default(), &[]);
    let mut neighbours = Neighbours::move_in(&world);
    let name = topic("answering");
    for round in 0..20 {
        world.broker().faults().delay_answers(round % 4);
        for path in paths(&name) {
            for exit in EXITS {
                let mut client = Raw::connect(world.address());
                client.send(upgrade_request(&path).as_bytes());
                vanish(client, exit);
            }
        }
    }
    world.broker().faults().delay_answers(0);
    neighbours.are_well();
    until_unused(&world, &name);
}

#[test]
fn a_client_gone_in_the_middle_of_deliveries_leaves_all_of_them_to_the_next() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    for exit in EXITS {
        let name = topic("middle");
        let mut producer = world.producer(&name);
        let [_, alone, shared, reader] = paths(&name);
        let mut clients = [alone, shared, reader].map(|path| Raw::open(world.address(), &path));
        let payload = "x".repeat(10_000);
        for _ in 0..200 {
            producer.publish(&payload);
        }
        for client in &mut clients {
            client.text();
        }
        for client in clients {
            vanish(client, exit);
        }
        producer.close();
        until_unused(&world, &name);
        for subscription in [
            "alone?subscriptionType=Exclusive",
            "sub?subscriptionType=Shared",
        ] {
            let mut consumer = world.consumer(&name, subscription);
            for _ in 0..200 {
                assert_eq!(consumer.receive(), payload);
            }
        }
        neighbours.are_well();
    }
}

#[test]
fn a_member_that_vanishes_leaves_its_messages_to_the_others() {
    let world = World::start();
    for exit in EXITS {
        let name = topic("left");
        let path = &paths(&name)[2];
        let mut leaving = Raw::open(world.address(), path);
        let mut staying = world.consumer(&name, "sub?subscriptionType=Shared");
        let mut producer = world.producer(&name);
        for n in 0..20 {
            producer.publish(&n.to_string());
        }
        leaving.text();
        vanish(leaving, exit);
        let mut all: Vec<u32> = (0..20)
            .map(|_| staying.receive().parse().expect("a number"))
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
    }
}

#[test]
fn a_producer_gone_with_unconfirmed_publishes_frees_its_place() {
    let world = World::embedded(Options::default(), &["maxHttpServerConnections=6"]);
    let mut neighbours = Neighbours::move_in(&world);
    for exit in EXITS {
        let name = topic("unconfirmed");
        super::silence::until_let_in(&world);
        let mut client = Raw::open(world.address(), &paths(&name)[0]);
        world.broker().faults().swallow_receipts(true);
        for _ in 0..100 {
            client.say(r#"{"payload":"eA=="}"#);
        }
        vanish(client, exit);
        super::silence::until_let_in(&world);
        until_unused(&world, &name);
        world.broker().faults().swallow_receipts(false);
        neighbours.are_well();
    }
}

/// Its socket is not read any more, because the broker does not take what it has sent: that it is gone shows elsewhere.
#[test]
fn a_producer_gone_while_it_is_made_to_wait_frees_its_place() {
    let settings = ["maxHttpServerConnections=6", "producerPendingBytes=65536"];
    let world = World::embedded(Options::default(), &settings);
    let mut neighbours = Neighbours::move_in(&world);
    let payload = "A".repeat(40_000);
    let message = frame(0x81, format!(r#"{{"payload":"{payload}"}}"#).as_bytes());
    for _ in 0..3 {
        let path = format!("{}?sendTimeoutMillis=0", paths(&topic("waiting"))[0]);
        let mut client = Raw::open(world.address(), &path);
        world.broker().faults().stall(true);
        client.push_until_stuck(&message, 64 << 20, Duration::from_millis(500));
        client.reset();
        super::silence::until_let_in(&world);
        world.broker().faults().stall(false);
        neighbours.are_well();
    }
}
