//! The old paths with a cluster in them name V1 topics.

use crate::support::{World, eventually, query_value, topic};

/// The broker looks for no such namespace: it is the cluster's own.
const NAMESPACE: &str = "public/standalone/v1";

#[test]
fn publish_consume_and_read_by_the_old_paths() {
    let world = World::start();
    let name = topic("v1");
    let path = |role: &str| format!("/ws/{role}/persistent/{NAMESPACE}/{name}");
    let mut producer = world.open(&path("producer"));
    let mut consumer = world.open(&format!("{}/sub", path("consumer")));
    let mut latest = world.open(&path("reader"));
    let first = producer.publish("one");
    producer.publish("two");
    assert_eq!(consumer.receive_all(2), ["one", "two"]);
    assert_eq!(latest.receive_all(2), ["one", "two"]);
    let mut behind = world.open(&format!(
        "{}?messageId={}",
        path("reader"),
        query_value(&first)
    ));
    assert_eq!(behind.receive(), "two");
    let full = format!("persistent://{NAMESPACE}/{name}");
    eventually("both are acked", || world.backlog(&full, "sub") == 0);
}
