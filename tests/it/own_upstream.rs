//! Key_Shared sockets: each has an upstream consumer of its own, and the broker chooses between them.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::{Client, World, base64, payload_of, take_from, topic};

fn consumers(world: &World, name: &str) -> usize {
    let stats = world.admin().stats(name).expect("the topic is there");
    stats
        .subscription("sub")
        .expect("the subscription")
        .consumers
}

#[test]
fn key_shared_a_key_stays_with_one_socket_and_in_order() {
    let world = World::start();
    let name = topic("keys");
    let query = "sub?subscriptionType=Key_Shared";
    let mut sockets: Vec<Client> = (0..3).map(|_| world.consumer(&name, query)).collect();
    assert_eq!(consumers(&world, &name), 3);
    let mut producer = world.producer(&name);
    const KEYS: usize = 20;
    const MESSAGES: usize = 200;
    for n in 0..MESSAGES {
        let key = format!("key-{}", n % KEYS);
        producer.publish_json(json!({ "payload": base64(&n.to_string()), "key": key }));
    }
    let mut owner: BTreeMap<String, usize> = BTreeMap::new();
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    take_from(&mut sockets, MESSAGES, |place, socket, message| {
        let key = message["key"].as_str().expect("a key").to_owned();
        let n: usize = payload_of(message).parse().expect("a number");
        assert_eq!(*owner.entry(key.clone()).or_insert(place), place, "{key}");
        let before = last.insert(key.clone(), n);
        assert!(before < Some(n), "{key}: {n} after {before:?}");
        socket.ack(message);
    });
    let owners: std::collections::BTreeSet<_> = owner.values().collect();
    assert!(owners.len() > 1, "the keys are spread");
}
