//! Failover and Key_Shared sockets: each has an upstream consumer of its own, and the broker chooses between them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::support::{Client, World, base64, payload_of, topic, until};

fn consumers(world: &World, name: &str) -> usize {
    let stats = world.admin().stats(name).expect("the topic is there");
    stats
        .subscription("sub")
        .expect("the subscription")
        .consumers
}

#[test]
fn failover_one_is_active_and_the_other_takes_over_with_what_is_unsettled() {
    let world = World::start();
    let name = topic("failover");
    let query = "sub?subscriptionType=Failover";
    let mut sockets = vec![world.consumer(&name, query), world.consumer(&name, query)];
    assert_eq!(consumers(&world, &name), 2);
    let mut producer = world.producer(&name);
    for payload in ["one", "two", "three"] {
        producer.publish(payload);
    }
    // Which one is active is the broker's choice.
    let place = loop {
        let mut places = sockets.iter_mut();
        if let Some(place) = places.position(|socket| {
            let message = socket.within(Duration::from_millis(50));
            message.inspect(|message| socket.ack(message)).is_some()
        }) {
            break place;
        }
    };
    let mut active = sockets.remove(place);
    let mut standby = sockets.remove(0);
    assert_eq!([active.payload(), active.payload()], ["two", "three"]);
    assert!(standby.is_silent());
    active.close();
    assert_eq!(standby.receive_all(2), ["two", "three"]);
    producer.publish("four");
    assert_eq!(standby.receive(), "four");
    until("one is left", || consumers(&world, &name) == 1);
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
    let mut count = 0;
    while count < MESSAGES {
        for (place, socket) in sockets.iter_mut().enumerate() {
            while let Some(message) = socket.within(Duration::from_millis(50)) {
                let key = message["key"].as_str().expect("a key").to_owned();
                let n: usize = payload_of(&message).parse().expect("a number");
                assert_eq!(*owner.entry(key.clone()).or_insert(place), place, "{key}");
                let before = last.insert(key.clone(), n);
                assert!(before < Some(n), "{key}: {n} after {before:?}");
                socket.ack(&message);
                count += 1;
            }
        }
    }
    let owners: std::collections::BTreeSet<_> = owner.values().collect();
    assert!(owners.len() > 1, "the keys are spread");
}
