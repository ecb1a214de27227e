//! A gateway that is given only the brokers' web services (`serviceUrl`).
//!
//! Claim: topics of every kind are found as over the binary protocol, with the same refusals.

use pws_fast::embedded::Options;

use crate::support::{World, topic};

const REFUSING: &str = "127.0.0.1:9";

/// A second gateway on the world's broker, which it finds over HTTP alone.
fn over_http(world: &World, service_url: &str) -> World {
    world.beside_with(&["brokerServiceUrl=", &format!("serviceUrl={service_url}")])
}

fn walk(world: &World, name: &str) {
    let mut consumer = world.consumer(name, "sub?subscriptionType=Shared");
    let mut reader = world.reader(name);
    let mut producer = world.producer(name);
    producer.publish("x");
    assert_eq!(consumer.receive(), "x");
    assert_eq!(reader.receive(), "x");
}

#[test]
fn topics_are_found_over_http() {
    let broker = World::start();
    let web = broker.web_url();
    let world = over_http(&broker, &web);
    walk(&world, &topic("over-http"));
    walk(&world, &format!("{}%20with%2Bsigns%25", topic("over-http")));
    let partitioned = topic("over-http-partitioned");
    broker.admin().create_partitioned(&partitioned, 3);
    walk(&world, &partitioned);
    let v1 = topic("over-http-v1");
    let base = "persistent/sample/standalone/ns1";
    let mut consumer = world.open(&format!("/ws/consumer/{base}/{v1}/sub"));
    let mut producer = world.open(&format!("/ws/producer/{base}/{v1}"));
    producer.publish("v1");
    assert_eq!(consumer.receive(), "v1");
}

#[test]
fn topics_are_listed_over_http() {
    let broker = World::start();
    let world = over_http(&broker, &broker.web_url());
    let name = topic("listed");
    let topics = [format!("{name}-a"), format!("{name}-b")];
    let mut producers = topics.each_ref().map(|topic| world.producer(topic));
    let several = format!("/ws/v3/consumer/several?topics={}", topics.join(","));
    let pattern =
        format!("/ws/v3/consumer/pattern?topicsPattern=persistent://public/default/{name}-.*");
    let mut consumers = [world.open(&several), world.open(&pattern)];
    for producer in &mut producers {
        producer.publish("x");
    }
    for consumer in &mut consumers {
        assert_eq!([consumer.receive(), consumer.receive()], ["x", "x"]);
    }
}

#[test]
fn several_web_services_are_tried_in_turn() {
    let broker = World::start();
    let web = broker.web_url();
    let there = web.strip_prefix("http://").expect("its URL");
    for list in [
        format!("http://{REFUSING},{there}"),
        format!("http://{there},http://{REFUSING}"),
    ] {
        walk(&over_http(&broker, &list), &topic("several"));
    }
}

#[test]
fn a_missing_namespace_is_404_over_http_too() {
    let broker = World::start();
    let world = over_http(&broker, &broker.web_url());
    for (path, text) in [
        ("producer/persistent/public/nons/t", "producer/consumer"),
        ("consumer/persistent/noten/default/t/s", "producer/consumer"),
        ("reader/persistent/public/nons/t", "reader"),
    ] {
        let refused = world.refused(&format!("/ws/v2/{path}"));
        let text = format!("Failed to create {text}: Namespace not found\n");
        assert_eq!(refused, (404, text));
    }
}

#[test]
fn the_brokers_own_url_wins() {
    let broker = World::start();
    let url = format!("serviceUrl=http://{REFUSING}");
    walk(&broker.beside_with(&[&url]), &topic("wins"));
}

#[test]
fn redirects_and_passing_refusals_are_only_a_delay() {
    let broker = World::embedded(Options::default(), &[]);
    let world = over_http(&broker, &broker.web_url());
    let faults = broker.broker().faults();
    faults.redirect_lookups(5);
    walk(&world, &topic("redirected"));
    let busy = ::pulsar::proto::ServerError::ServiceNotReady;
    faults.refuse_lookups(3, busy, "not yet");
    walk(&world, &topic("not-yet"));
}
