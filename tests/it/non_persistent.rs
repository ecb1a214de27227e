//! Non-persistent topics: ids say nothing there, deliveries are counted, and acks and nacks only free the window.

use crate::support::{Client, World, payload_of, take_from, topic};
use std::collections::BTreeSet;

fn open(world: &World, role: &str, rest: &str) -> Client {
    world.open(&format!(
        "/ws/v2/{role}/non-persistent/public/default/{rest}"
    ))
}

#[test]
fn consumers_and_readers_get_what_is_published_while_they_are_there() {
    let world = World::start();
    let name = topic("np");
    let mut producer = open(&world, "producer", &name);
    producer.publish("nobody is there");
    let mut exclusive = open(&world, "consumer", &format!("{name}/sub"));
    let mut reader = open(&world, "reader", &name);
    for n in 0..50 {
        let message = n.to_string();
        producer.publish(&message);
        assert_eq!(exclusive.receive(), message);
        assert_eq!(reader.receive(), message);
    }
}

#[test]
fn acks_and_nacks_only_free_the_window() {
    let world = World::start();
    let name = topic("np-window");
    let mut producer = open(&world, "producer", &name);
    let query = "sub?subscriptionType=Shared&receiverQueueSize=4&negativeAckRedeliveryDelay=0";
    let mut consumer = open(&world, "consumer", &format!("{name}/{query}"));
    for round in 0..5 {
        for n in 0..4 {
            producer.publish(&format!("{round}-{n}"));
        }
        for n in 0..4 {
            let message = consumer.json();
            assert_eq!(payload_of(&message), format!("{round}-{n}"));
            assert_eq!(message["redeliveryCount"], 0);
            match n % 2 {
                0 => consumer.ack(&message),
                _ => consumer.nack(&message),
            }
        }
        // Also nothing comes again.
        assert!(consumer.is_silent());
    }
    // A full window: what comes now is lost beyond what the broker was allowed to send.
    for n in 0..20 {
        producer.publish(&n.to_string());
    }
    for n in 0..4 {
        assert_eq!(consumer.payload(), n.to_string());
    }
    assert!(consumer.is_silent());
}

#[test]
fn shared_sockets_get_each_message_once() {
    let world = World::start();
    let name = topic("np-shared");
    let query = format!("{name}/sub?subscriptionType=Shared");
    let mut sockets: Vec<Client> = (0..4).map(|_| open(&world, "consumer", &query)).collect();
    let mut producer = open(&world, "producer", &name);
    let mut seen = BTreeSet::new();
    for n in 0..100 {
        producer.publish(&n.to_string());
    }
    let mut shares = [0; 4];
    take_from(&mut sockets, 100, |place, socket, message| {
        assert!(seen.insert(payload_of(message)), "twice: {message}");
        socket.ack(message);
        shares[place] += 1;
    });
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
    // One leaves; the others go on.
    sockets.pop().expect("four").close();
    for n in 0..30 {
        producer.publish(&n.to_string());
    }
    take_from(&mut sockets, 30, |_, socket, message| socket.ack(message));
}
