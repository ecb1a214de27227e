//! Sockets of one Shared subscription, on both shards: one upstream consumer serves them all.
//!
//! Claim: each message goes to one of them; what a socket leaves behind goes to the others, its redelivery count
//! unchanged; the last one that leaves takes the upstream consumer with it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Client, World, eventually, number, take_from, topic};

fn members(world: &World, name: &str, count: usize, window: u32) -> Vec<Client> {
    let query = format!("sub?subscriptionType=Shared&receiverQueueSize={window}");
    (0..count).map(|_| world.consumer(name, &query)).collect()
}

fn publish_numbers(world: &World, name: &str, numbers: std::ops::Range<usize>) {
    let mut producer = world.producer(name);
    for n in numbers {
        producer.publish(&n.to_string());
    }
}

#[test]
fn one_upstream_consumer_serves_them_all_and_each_message_goes_to_one() {
    let world = World::start();
    let name = topic("shared");
    // Sockets go to the shard with the fewest: two on each.
    let mut sockets = members(&world, &name, 4, 1000);
    assert_eq!(world.consumers(&name, "sub"), 1);
    publish_numbers(&world, &name, 0..400);
    let mut seen = BTreeSet::new();
    let mut shares = [0; 4];
    take_from(&mut sockets, 400, |place, socket, message| {
        assert!(seen.insert(number(message)), "given out twice: {message}");
        assert_eq!(message["redeliveryCount"], 0);
        socket.ack(message);
        shares[place] += 1;
    });
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
    eventually("all are acked", || world.backlog(&name, "sub") == 0);
    for socket in &mut sockets {
        assert!(socket.is_silent());
    }
    assert_eq!(world.consumers(&name, "sub"), 1);
}

#[test]
fn what_a_socket_leaves_behind_goes_to_the_others_with_its_count_unchanged() {
    let world = World::start();
    for cut in [false, true] {
        let name = topic("leaves");
        let mut first = members(&world, &name, 1, 10).remove(0);
        publish_numbers(&world, &name, 0..10);
        let held: Vec<Value> = (0..10).map(|_| first.json()).collect();
        first.ack(&held[3]);
        eventually("one is acked", || world.backlog(&name, "sub") == 9);
        let mut others = members(&world, &name, 2, 100);
        assert!(others.iter_mut().all(Client::is_silent));
        match cut {
            true => first.cut(),
            false => first.close(),
        }
        let mut passed = BTreeSet::new();
        let mut last = [None; 2];
        take_from(&mut others, 9, |place, other, message| {
            assert_eq!(message["redeliveryCount"], 0, "{message}");
            let before = last[place].replace(number(message));
            assert!(before < last[place], "out of order: {message}");
            assert!(passed.insert(number(message)), "twice: {message}");
            other.ack(message);
        });
        assert!(!passed.contains(&3), "it was acked");
        eventually("all are acked", || world.backlog(&name, "sub") == 0);
        assert_eq!(world.consumers(&name, "sub"), 1);
    }
}

#[test]
fn the_last_one_that_leaves_closes_the_upstream_and_the_topic_can_be_deleted() {
    let world = World::start();
    for cut in [false, true] {
        let name = topic("last");
        let mut sockets = members(&world, &name, 3, 10);
        publish_numbers(&world, &name, 0..5);
        eventually("the producer has gone", || {
            let stats = world.admin().stats(&name).expect("the topic is there");
            stats.publishers == 0
        });
        let last = sockets.pop().expect("three");
        sockets.into_iter().for_each(Client::close);
        assert_eq!(world.consumers(&name, "sub"), 1);
        assert_eq!(world.admin().delete(&name), 412);
        match cut {
            true => last.cut(),
            false => last.close(),
        }
        eventually("the upstream consumer has gone", || {
            world.consumers(&name, "sub") == 0
        });
        assert_eq!(world.admin().delete(&name), 204);
    }
}

#[test]
fn what_the_last_one_leaves_behind_is_there_for_the_next() {
    let world = World::start();
    let name = topic("next");
    let mut first = members(&world, &name, 1, 10).remove(0);
    publish_numbers(&world, &name, 0..6);
    let held: Vec<Value> = (0..6).map(|_| first.json()).collect();
    first.ack(&held[0]);
    first.ack(&held[4]);
    first.close();
    let mut second = members(&world, &name, 1, 10).remove(0);
    for expected in [1, 2, 3, 5] {
        let message = second.json();
        assert_eq!(number(&message), expected);
        // As with one broker consumer each: a closed consumer's messages come uncounted.
        assert_eq!(message["redeliveryCount"], 0);
        second.ack(&message);
    }
    assert!(second.is_silent());
}

#[test]
fn a_socket_with_a_full_window_does_not_stop_the_others() {
    let world = World::start();
    let name = topic("full");
    let mut slow = members(&world, &name, 1, 2).remove(0);
    publish_numbers(&world, &name, 0..2);
    let held = [slow.json(), slow.json()];
    let mut quick = members(&world, &name, 1, 3).remove(0);
    publish_numbers(&world, &name, 2..50);
    for n in 2..50 {
        assert_eq!(quick.receive(), n.to_string());
    }
    assert!(slow.is_silent());
    slow.ack(&held[0]);
    slow.ack(&held[1]);
    eventually("all are acked", || world.backlog(&name, "sub") == 0);
}

#[test]
fn a_socket_of_another_subscription_type_is_refused_as_the_broker_refuses_it() {
    let world = World::start();
    let name = topic("type");
    let _shared = members(&world, &name, 1, 2);
    for (other, shown) in [
        ("Exclusive", "Exclusive"),
        ("Failover", "Failover"),
        ("Key_Shared", "Key_Shared"),
    ] {
        let (status, body) = world.refused(&format!(
            "/ws/v2/consumer/persistent/public/default/{name}/sub?subscriptionType={other}"
        ));
        assert_eq!(status, 409, "{body}");
        assert!(
            body.contains(
                "Subscription is of different type. Active subscription type of 'Shared'"
            ) && body.contains(&format!("connecting consumer's type '{shown}'")),
            "{body}"
        );
    }
}

#[test]
fn two_gateways_share_a_subscription() {
    let world = World::start();
    let beside = world.beside();
    let name = topic("gateways");
    let mut sockets = members(&world, &name, 2, 1000);
    sockets.extend(members(&beside, &name, 2, 1000));
    assert_eq!(world.consumers(&name, "sub"), 2);
    publish_numbers(&world, &name, 0..100);
    let mut seen = BTreeSet::new();
    take_from(&mut sockets, 100, |_, socket, message| {
        assert!(seen.insert(number(message)), "twice: {message}");
        socket.ack(message);
    });
    eventually("all are acked", || world.backlog(&name, "sub") == 0);
}
