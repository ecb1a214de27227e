//! Non-persistent topics: ids say nothing there, deliveries are counted, and acks and nacks only free the window.
//!
//! The broker drops what comes while a consumer has no permits, and permits take their time on the way: so a test begins
//! with messages that may get lost, until one has come, and publishes more slowly than the window opens.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{Client, World, eventually, payload_of, take_from, topic};

const WARM_UP: &str = "warm-up";

fn open(world: &World, role: &str, rest: &str) -> Client {
    world.open(&format!(
        "/ws/v2/{role}/non-persistent/public/default/{rest}"
    ))
}

/// Publishes until every socket has got something; what is left of that is acked.
fn warm_up(producer: &mut Client, sockets: &mut [Client]) {
    for socket in sockets {
        take_until(producer, socket, WARM_UP);
    }
}

/// Publishes the same until the socket gets it.
fn take_until(producer: &mut Client, socket: &mut Client, payload: &str) {
    eventually("a message comes", || {
        producer.publish(payload);
        let message = socket.within(Duration::from_millis(20));
        message.inspect(|message| socket.ack(message)).is_some()
    });
}

/// The next delivery that is no warm-up, acked.
fn receive(socket: &mut Client) -> String {
    loop {
        let payload = socket.receive();
        if payload != WARM_UP {
            return payload;
        }
    }
}

#[test]
fn consumers_and_readers_get_what_is_published_while_they_are_there() {
    let world = World::start();
    let name = topic("np");
    let mut producer = open(&world, "producer", &name);
    producer.publish("nobody is there");
    let mut sockets = [
        open(&world, "consumer", &format!("{name}/sub")),
        open(
            &world,
            "consumer",
            &format!("{name}/shared?subscriptionType=Shared"),
        ),
        open(&world, "reader", &name),
    ];
    warm_up(&mut producer, &mut sockets);
    for n in 0..50 {
        producer.publish(&n.to_string());
    }
    for socket in &mut sockets {
        for n in 0..50 {
            assert_eq!(receive(socket), n.to_string());
        }
    }
}

#[test]
fn acks_and_nacks_free_the_window_and_nothing_comes_again() {
    let world = World::start();
    let name = topic("np-window");
    let mut producer = open(&world, "producer", &name);
    let query = "sub?subscriptionType=Shared&receiverQueueSize=4&negativeAckRedeliveryDelay=0";
    let mut consumer = open(&world, "consumer", &format!("{name}/{query}"));
    let (mut published, mut taken, mut last) = (0, 0, None);
    eventually("the window opens again and again", || {
        producer.publish(&published.to_string());
        published += 1;
        if let Some(message) = consumer.within(Duration::from_millis(20)) {
            let number: Option<u32> = payload_of(&message).parse().ok();
            assert!(last < number, "{message} after {last:?}");
            last = number;
            assert_eq!(message["redeliveryCount"], 0);
            match taken % 2 {
                0 => consumer.ack(&message),
                _ => consumer.nack(&message),
            }
            taken += 1;
        }
        taken == 40
    });
}

#[test]
fn a_full_window_gets_nothing() {
    let world = World::start();
    let name = topic("np-full");
    let mut producer = open(&world, "producer", &name);
    let mut consumer = open(
        &world,
        "consumer",
        &format!("{name}/sub?receiverQueueSize=4"),
    );
    let mut taken = 0;
    eventually("the window is full", || {
        producer.publish("x");
        taken += u32::from(consumer.within(Duration::from_millis(20)).is_some());
        taken == 4
    });
    for _ in 0..20 {
        producer.publish("y");
    }
    assert!(consumer.is_silent());
}

#[test]
fn a_reader_that_falls_off_its_log_is_closed_if_that_is_wished() {
    let world = World::with(&["tailLogBytes=4096", "closeReadersOnGap=true"]);
    let name = topic("np-gap");
    let mut reader = open(&world, "reader", &format!("{name}?receiverQueueSize=1"));
    let mut producer = open(&world, "producer", &name);
    for n in 0..200 {
        producer.publish(&n.to_string());
    }
    assert_eq!(reader.closed().code, 4008);
}

#[test]
fn shared_sockets_get_each_message_once() {
    let world = World::start();
    let name = topic("np-shared");
    let query = format!("{name}/sub?subscriptionType=Shared");
    let mut sockets: Vec<Client> = (0..4).map(|_| open(&world, "consumer", &query)).collect();
    let mut producer = open(&world, "producer", &name);
    warm_up(&mut producer, &mut sockets);
    for n in 0..100 {
        producer.publish(&n.to_string());
    }
    let mut seen = BTreeSet::new();
    let mut shares = [0; 4];
    eventually("all have come", || {
        take_from(&mut sockets, 1, |place, socket, message| {
            socket.ack(message);
            let payload = payload_of(message);
            if payload != WARM_UP {
                assert!(seen.insert(payload), "twice: {message}");
                shares[place] += 1;
            }
        });
        seen.len() == 100
    });
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
    // One leaves; the others go on.
    sockets.pop().expect("four").close();
    for n in 100..130 {
        producer.publish(&n.to_string());
    }
    take_from(&mut sockets, 30, |_, socket, message| {
        socket.ack(message);
        assert!(seen.insert(payload_of(message)), "twice: {message}");
    });
}

#[test]
fn an_ack_timeout_frees_the_window() {
    let world = World::start();
    let name = topic("np-timeout");
    let mut producer = open(&world, "producer", &name);
    let query = format!("{name}/sub?receiverQueueSize=1&ackTimeoutMillis=1000");
    let mut consumer = open(&world, "consumer", &query);
    for payload in ["a", "b", "c"] {
        eventually("a message comes although none is acked", || {
            producer.publish(payload);
            consumer.within(Duration::from_millis(20)).is_some()
        });
    }
}
