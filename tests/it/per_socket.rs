//! `upstream=per-socket`: every socket has an upstream consumer of its own, as with the Java gateway.

use std::collections::BTreeSet;

use crate::support::{World, eventually, number, payload_of, take_from, topic};

const SHARED: &str = "sub?subscriptionType=Shared&receiverQueueSize=10";

#[test]
fn the_broker_sees_one_consumer_per_socket() {
    let world = World::with(&["upstream=per-socket"]);
    let name = topic("per-socket");
    let mut sockets: Vec<_> = (0..4).map(|_| world.consumer(&name, SHARED)).collect();
    assert_eq!(world.consumers(&name, "sub"), 4);
    let mut producer = world.producer(&name);
    for n in 0..100 {
        producer.publish(&n.to_string());
    }
    let mut seen = BTreeSet::new();
    take_from(&mut sockets, 100, |_, socket, message| {
        assert!(seen.insert(payload_of(message)), "twice: {message}");
        socket.ack(message);
    });
    sockets.pop().expect("four").close();
    eventually("its consumer has gone", || {
        world.consumers(&name, "sub") == 3
    });
}

#[test]
fn what_a_socket_leaves_behind_the_broker_gives_to_the_others() {
    let world = World::with(&["upstream=per-socket"]);
    let name = topic("leaves");
    let mut first = world.consumer(&name, SHARED);
    let mut producer = world.producer(&name);
    producer.publish("one");
    producer.publish("two");
    assert_eq!(first.receive(), "one");
    assert_eq!(first.payload(), "two");
    let mut second = world.consumer(&name, SHARED);
    first.close();
    assert_eq!(second.receive(), "two");
}

#[test]
fn a_second_exclusive_socket_is_refused_by_the_broker() {
    let world = World::with(&["upstream=per-socket"]);
    let name = topic("exclusive");
    let _first = world.consumer(&name, "sub");
    let (status, body) = world.refused(&format!(
        "/ws/v2/consumer/persistent/public/default/{name}/sub"
    ));
    assert_eq!(status, 409, "{body}");
    assert!(
        body.contains("Exclusive consumer is already connected"),
        "{body}"
    );
}

/// Its hub kept what it had given out, and asked for no more when that was as much as it may keep.
#[test]
fn who_receives_in_pull_mode_goes_on_while_another_socket_acks() {
    const PUBLISHED: usize = 1000;
    let world = World::with(&["upstream=per-socket", "hubRetainedBytes=16384"]);
    let name = topic("acked-elsewhere");
    let query = "sub?subscriptionType=Shared&pullMode=true";
    let mut receiver = world.consumer(&name, query);
    let mut other = world.consumer(&name, query);
    receiver.permit(1_000_000);
    world.producer(&name).publish_numbers(0..PUBLISHED);
    for n in 0..PUBLISHED {
        let message = receiver.json();
        assert_eq!(number(&message), n);
        other.ack(&message);
    }
    eventually("all are acked", || world.backlog(&name, "sub") == 0);
}
