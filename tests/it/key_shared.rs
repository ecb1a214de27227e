//! Key_Shared sockets: each has an upstream consumer of its own, and the broker chooses between them.
//!
//! Claim: messages of one key come in order whoever gets them, a key stays where it is while nobody comes or goes, and a
//! socket that does not ack stops its own keys only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, World, base64, eventually, number, take_from, topic};

const QUERY: &str = "sub?subscriptionType=Key_Shared";
const KEYS: usize = 20;

fn publish(world: &World, name: &str, numbers: std::ops::Range<usize>) {
    let mut producer = world.producer(name);
    for n in numbers {
        let key = format!("key-{}", n % KEYS);
        producer.publish_json(json!({ "payload": base64(&n.to_string()), "key": key }));
    }
}

fn key_of(message: &Value) -> String {
    message["key"].as_str().expect("a key").to_owned()
}

/// What has come so far, by key.
#[derive(Default)]
struct Seen {
    last: BTreeMap<String, usize>,
    /// Since nobody came or went.
    owner: BTreeMap<String, usize>,
}

impl Seen {
    /// Takes and acks so many; each key stays with one socket and in order.
    fn take(&mut self, sockets: &mut [Client], count: usize) {
        take_from(sockets, count, |place, socket, message| {
            let (key, n) = (key_of(message), number(message));
            let owner = *self.owner.entry(key.clone()).or_insert(place);
            assert_eq!(owner, place, "{key} has moved");
            let before = self.last.insert(key.clone(), n);
            assert!(before < Some(n), "{key}: {n} after {before:?}");
            assert_eq!(message["redeliveryCount"], 0);
            socket.ack(message);
        });
    }

    fn changed(&mut self) {
        let owners: BTreeSet<usize> = self.owner.values().copied().collect();
        assert!(owners.len() > 1, "the keys are spread");
        self.owner.clear();
    }
}

#[test]
fn keys_stay_in_order_while_sockets_come_and_go() {
    let world = World::start();
    let name = topic("keys");
    let mut sockets: Vec<Client> = (0..3).map(|_| world.consumer(&name, QUERY)).collect();
    assert_eq!(world.consumers(&name, "sub"), 3);
    let mut seen = Seen::default();
    // Or who has acked goes, or gives a key away, before that is known.
    let all_acked = || eventually("all are acked", || world.backlog(&name, "sub") == 0);
    publish(&world, &name, 0..100);
    seen.take(&mut sockets, 100);
    all_acked();
    seen.changed();
    sockets.push(world.consumer(&name, QUERY));
    publish(&world, &name, 100..200);
    seen.take(&mut sockets, 100);
    all_acked();
    seen.changed();
    // It leaves with messages that it has not acked, and some that it has not even read.
    publish(&world, &name, 200..300);
    sockets.remove(0).cut();
    seen.take(&mut sockets, 100);
    seen.changed();
    eventually("it is gone", || world.consumers(&name, "sub") == 3);
    publish(&world, &name, 300..400);
    seen.take(&mut sockets, 100);
}

#[test]
fn a_key_moves_only_when_the_old_socket_has_settled_what_it_holds_of_it() {
    let world = World::start();
    let name = topic("moves");
    let mut old = world.consumer(&name, QUERY);
    publish(&world, &name, 0..KEYS);
    let held: Vec<Value> = (0..KEYS).map(|_| old.json()).collect();
    let mut new = world.consumer(&name, QUERY);
    publish(&world, &name, KEYS..2 * KEYS);
    // Some keys stay, and their next message comes; those that will move wait.
    assert!(new.is_silent());
    let mut moved = 0;
    for message in &held {
        old.ack(message);
    }
    let mut sockets = [old, new];
    take_from(&mut sockets, KEYS, |place, socket, message| {
        moved += place;
        assert!(number(message) >= KEYS);
        socket.ack(message);
    });
    assert!(moved > 0 && moved < KEYS, "{moved} have moved");
}

#[test]
fn a_socket_with_a_full_window_stops_its_own_keys_only() {
    let world = World::start();
    let name = topic("full");
    let mut stalled = world.consumer(&name, &format!("{QUERY}&receiverQueueSize=2"));
    let mut live = [world.consumer(&name, QUERY)];
    publish(&world, &name, 0..KEYS * 5);
    let own: BTreeSet<String> = (0..2).map(|_| key_of(&stalled.json())).collect();
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    let mut others = 0;
    eventually("every message of its keys comes", || {
        while let Some(message) = live[0].within(Duration::from_millis(20)) {
            assert!(!own.contains(&key_of(&message)));
            let before = last.insert(key_of(&message), number(&message));
            assert!(before < Some(number(&message)));
            live[0].ack(&message);
            others += 1;
        }
        others > 0 && others == last.len() * 5
    });
    assert!(stalled.is_silent());
}
