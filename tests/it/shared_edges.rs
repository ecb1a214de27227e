//! Where sharing an upstream consumer could show: batches of which single messages are settled here and there, several
//! gateways, non-durable subscriptions, subscription types that clash, the initial position.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Client, World, base64, eventually, number, payload_of, take_from, topic};

const SHARED: &str = "sub?subscriptionType=Shared";

/// One entry with these payloads.
fn publish_batch(world: &World, name: &str, payloads: &[&str]) {
    let query = format!(
        "{name}?batchingEnabled=true&batchingMaxPublishDelay=10000&batchingMaxMessages={}",
        payloads.len()
    );
    let mut producer = world.producer(&query);
    for payload in payloads {
        producer.send_json(json!({ "payload": base64(payload) }));
    }
    for _ in payloads {
        assert_eq!(producer.json()["result"], "ok");
    }
}

fn payloads(messages: &[Value]) -> Vec<String> {
    messages.iter().map(payload_of).collect()
}

#[test]
fn of_a_batch_only_the_message_that_was_nacked_comes_again() {
    let world = World::start();
    let name = topic("batch-nack");
    let query = format!("{SHARED}&negativeAckRedeliveryDelay=200");
    let mut sockets = [world.consumer(&name, &query), world.consumer(&name, &query)];
    publish_batch(&world, &name, &["a", "b", "c", "d"]);
    let mut held = Vec::new();
    take_from(
        &mut sockets,
        4,
        |place, socket, message| match payload_of(message).as_str() {
            "a" => socket.ack(message),
            "c" => socket.nack(message),
            _ => held.push((place, message.clone())),
        },
    );
    take_from(&mut sockets, 1, |_, socket, message| {
        assert_eq!(payload_of(message), "c");
        assert_eq!(message["redeliveryCount"], 1);
        socket.ack(message);
    });
    assert!(sockets.iter_mut().all(Client::is_silent));
    assert_eq!(world.backlog(&name, "sub"), 1);
    for (place, message) in held {
        sockets[place].ack(&message);
    }
    eventually("the entry is acked", || world.backlog(&name, "sub") == 0);
}

#[test]
fn an_ack_on_another_gateway_is_never_one_of_the_whole_batch() {
    let world = World::start();
    let beside = world.beside();
    let name = topic("batch-elsewhere");
    let mut first = world.consumer(&name, SHARED);
    publish_batch(&world, &name, &["a", "b", "c"]);
    let held: Vec<Value> = (0..3).map(|_| first.json()).collect();
    let mut second = beside.consumer(&name, SHARED);
    assert_eq!(world.consumers(&name, "sub"), 2);
    second.ack(&held[0]);
    second.ack(&held[1]);
    // The answer goes through the hub, behind the acks.
    assert!(second.is_silent());
    assert_eq!(world.backlog(&name, "sub"), 1);
    first.close();
    assert_eq!(payload_of(&second.json()), "c");
    assert!(second.is_silent());
    second.ack(&held[2]);
    eventually("the entry is acked", || world.backlog(&name, "sub") == 0);
}

#[test]
fn in_pull_mode_another_socket_of_the_subscription_acks_single_messages_of_a_batch() {
    let world = World::start();
    let name = topic("batch-pull");
    let pull = format!("{SHARED}&pullMode=true");
    let mut taker = world.consumer(&name, &pull);
    let mut acker = world.consumer(&name, &pull);
    publish_batch(&world, &name, &["a", "b", "c"]);
    taker.permit(3);
    let held: Vec<Value> = (0..3).map(|_| taker.json()).collect();
    assert_eq!(payloads(&held), ["a", "b", "c"]);
    acker.ack(&held[1]);
    assert!(acker.is_silent());
    assert_eq!(world.backlog(&name, "sub"), 1);
    acker.permit(10);
    taker.cut();
    assert_eq!(payload_of(&acker.json()), "a");
    assert_eq!(payload_of(&acker.json()), "c");
    assert!(acker.is_silent());
    acker.ack(&held[0]);
    acker.ack(&held[2]);
    eventually("the entry is acked", || world.backlog(&name, "sub") == 0);
}

#[test]
fn gateways_come_and_go_on_one_subscription_and_nothing_is_lost() {
    let world = World::start();
    let name = topic("come-and-go");
    let query = format!("{SHARED}&receiverQueueSize=20");
    let mut sockets = vec![world.consumer(&name, &query), world.consumer(&name, &query)];
    let mut producer = world.producer(&name);
    let mut acked = BTreeSet::new();
    let ack = |acked: &mut BTreeSet<usize>, socket: &mut Client, message: &Value| {
        assert_eq!(message["redeliveryCount"], 0, "{message}");
        assert!(acked.insert(number(message)), "acked already: {message}");
        socket.ack(message);
    };
    for round in 0..3 {
        let beside = world.beside();
        let mut others = vec![
            beside.consumer(&name, &query),
            beside.consumer(&name, &query),
        ];
        let from = round * 100;
        producer.publish_numbers(from..from + 50);
        take_from(&mut others, 10, |_, socket, message| {
            ack(&mut acked, socket, message)
        });
        // Or they go with acks that nobody has read.
        eventually("theirs are acked", || {
            world.backlog(&name, "sub") == (from + 50 - acked.len()) as u64
        });
        drop(others);
        drop(beside);
        producer.publish_numbers(from + 50..from + 100);
        let left = (round + 1) * 100 - acked.len();
        take_from(&mut sockets, left, |_, socket, message| {
            ack(&mut acked, socket, message)
        });
    }
    eventually("all are acked", || world.backlog(&name, "sub") == 0);
}

#[test]
fn a_non_durable_subscription_is_shared_and_goes_with_its_last_socket() {
    let world = World::start();
    let name = topic("non-durable");
    let query = format!("{SHARED}&subscriptionMode=NonDurable");
    let mut sockets = vec![world.consumer(&name, &query), world.consumer(&name, &query)];
    assert_eq!(world.consumers(&name, "sub"), 1);
    world.producer(&name).publish_numbers(0..20);
    let mut seen = BTreeSet::new();
    let mut unacked = 0;
    take_from(&mut sockets, 20, |place, socket, message| {
        seen.insert(payload_of(message));
        match place {
            0 => unacked += 1,
            _ => socket.ack(message),
        }
    });
    assert_eq!(seen.len(), 20);
    sockets.remove(0).cut();
    take_from(&mut sockets, unacked, |_, socket, message| {
        assert_eq!(message["redeliveryCount"], 0);
        socket.ack(message);
    });
    sockets.remove(0).close();
    let gone = || {
        let stats = world.admin().stats(&name);
        stats.is_none_or(|stats| stats.subscription("sub").is_none())
    };
    eventually("the subscription is gone", gone);
}

#[test]
fn a_type_that_clashes_is_refused_whatever_hub_and_gateway_the_others_are_on() {
    let world = World::start();
    let beside = world.beside();
    let types = ["Exclusive", "Failover", "Shared", "Key_Shared"];
    for active in types {
        let name = topic("clash");
        let path = |kind: &str, rest: &str| {
            format!(
                "/ws/v2/consumer/persistent/public/default/{name}/sub?subscriptionType={kind}{rest}"
            )
        };
        let _first = world.open(&path(active, "&priorityLevel=3"));
        for other in types.into_iter().filter(|other| *other != active) {
            for (gateway, rest) in [(&world, ""), (&world, "&priorityLevel=1"), (&beside, "")] {
                let (status, body) = gateway.refused(&path(other, rest));
                assert_eq!(status, 409, "{other} beside {active}: {body}");
                assert!(body.contains("Subscription is of different type"), "{body}");
            }
        }
        if active == "Exclusive" {
            for gateway in [&world, &beside] {
                let (status, body) = gateway.refused(&path(active, ""));
                assert_eq!(status, 409, "{body}");
            }
        }
    }
}

#[test]
fn the_first_sockets_initial_position_makes_the_subscription_and_the_seconds_changes_nothing() {
    let world = World::start();
    for kind in ["Shared", "Failover"] {
        let name = topic("initial");
        world.producer(&name).publish_numbers(0..3);
        let query = |position: &str, level: u32| {
            format!(
                "sub?subscriptionType={kind}&subscriptionInitialPosition={position}&priorityLevel={level}"
            )
        };
        let mut first = world.consumer(&name, &query("Earliest", 1));
        let mut second = world.consumer(&name, &query("Latest", 2));
        for n in 0..3 {
            assert_eq!(first.receive(), n.to_string());
        }
        assert!(second.is_silent());
        let mut late = world.consumer(&name, &format!("late?subscriptionType={kind}"));
        assert!(late.is_silent());
    }
}
