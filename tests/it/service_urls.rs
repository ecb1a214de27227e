//! Several service URLs.
//!
//! Set-up: a broker that is there, between ports that refuse connections and one that accepts them and says nothing.
//! Claim: sockets open all the same, wherever in the list it stands; the silent one costs one connection attempt.

use std::net::TcpListener;

use crate::support::{World, topic};

/// Nobody listens there (discard).
const REFUSING: &str = "127.0.0.1:9";

fn walk(world: &World) {
    let name = topic("urls");
    let mut consumer = world.consumer(&name, "sub");
    let mut reader = world.reader(&name);
    let mut producer = world.producer(&name);
    producer.publish("x");
    assert_eq!(consumer.receive(), "x");
    assert_eq!(reader.receive(), "x");
}

#[test]
fn brokers_that_refuse_connections_are_passed_over() {
    let world = World::start();
    let there = world.broker_host();
    for list in [
        format!("pulsar://{REFUSING},{there}"),
        format!("pulsar://{there},{REFUSING}"),
        format!("pulsar://{REFUSING},pulsar://{REFUSING},pulsar://{there}"),
    ] {
        // Long enough that a pause before the next URL would be a failure.
        let settings = [
            &*format!("brokerServiceUrl={list}"),
            "brokerClient_initialBackoffIntervalNanos=60000000000",
            "brokerClient_maxBackoffIntervalNanos=60000000000",
        ];
        walk(&world.beside_with(&settings));
    }
}

#[test]
fn a_broker_that_says_nothing_costs_one_connection_attempt() {
    let world = World::start();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_host = silent.local_addr().expect("its address");
    let there = world.broker_host();
    let url = format!("brokerServiceUrl=pulsar://{silent_host},{there}");
    walk(&world.beside_with(&[&url, "brokerClient_connectionTimeoutMs=300"]));
}
