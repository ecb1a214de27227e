//! What the gateway shows to a broker that asks for a token, and asks again.
//!
//! Claim: a token out of a file is read for each connection and each challenge, so that one that is renewed in time
//! keeps connections, and one that is renewed late brings them back; a wrong one is told to clients as the broker says it.

use pws_fast::embedded::Options;

use crate::support::certificates::Folder;
use crate::support::{World, eventually, topic};

const PLUGIN: &str =
    "brokerClientAuthenticationPlugin=org.apache.pulsar.client.impl.auth.AuthenticationToken";
/// The broker refuses for a moment only.
const QUICK: &str = "brokerClient_maxBackoffIntervalNanos=200000000";

fn world(parameters: &str) -> World {
    let parameters = format!("brokerClientAuthenticationParameters={parameters}");
    World::embedded(Options::default(), &[PLUGIN, &parameters, QUICK])
}

#[test]
fn a_wrong_token_is_refused_as_the_broker_says_it() {
    let world = world("token:wrong");
    world.broker().faults().require_token(Some("right"));
    let text = "Failed to create producer/consumer: Failed to authenticate\n".to_owned();
    let refused = world.refused("/ws/v2/producer/persistent/public/default/t");
    assert_eq!(refused, (401, text));
    let text = "Failed to create reader: Failed to authenticate\n".to_owned();
    let refused = world.refused("/ws/v2/reader/persistent/public/default/t");
    assert_eq!(refused, (401, text));
}

#[test]
fn challenges_are_answered_with_what_the_file_holds_then() {
    let folder = Folder::new();
    let file = folder.write("token", "first\n");
    let world = world(&format!("file://{file}"));
    let faults = world.broker().faults();
    faults.require_token(Some("first"));
    let name = topic("challenged");
    let mut consumer = world.consumer(&name, "sub");
    let mut producer = world.producer(&name);
    faults.require_token(Some("second"));
    folder.write("token", "second\n");
    faults.challenge();
    // A lane for publishing, one for consuming.
    eventually("both have answered", || faults.renewed() >= 2);
    producer.publish("x");
    assert_eq!(consumer.receive(), "x");
    // What is shown to a new connection is new, too.
    faults.drop_connections();
    producer.publish("y");
    assert_eq!(consumer.receive(), "y");
}

#[test]
fn a_token_that_is_renewed_late_brings_the_sockets_back() {
    let folder = Folder::new();
    let file = folder.write("token", "first");
    let world = world(&format!("file://{file}"));
    let faults = world.broker().faults();
    faults.require_token(Some("first"));
    let name = topic("late");
    let mut producer = world.producer(&name);
    producer.publish("x");
    faults.require_token(Some("second"));
    faults.challenge();
    std::fs::remove_file(&file).expect("it is there");
    let path = format!("/ws/v2/reader/persistent/public/default/{name}?messageId=earliest");
    folder.write("token", "second");
    producer.publish("y");
    let mut reader = world.open(&path);
    assert_eq!([reader.receive(), reader.receive()], ["x", "y"]);
}
