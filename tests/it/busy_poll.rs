//! `--busy-poll`: shards that never sleep serve as others do, and end when they are told to.

use std::time::Duration;

use crate::support::process::Gateway;
use crate::support::{World, eventually, topic};

#[test]
fn shards_that_never_sleep_serve_and_end() {
    let mut world = World::with(&["busyPoll=true"]);
    let name = topic("busy");
    let mut consumer = world.consumer(&name, "sub");
    let mut reader = world.reader(&name);
    let mut producer = world.producer(&name);
    for n in 0..50 {
        producer.publish(&n.to_string());
        assert_eq!(consumer.receive(), n.to_string());
        assert_eq!(reader.receive(), n.to_string());
    }
    for client in [consumer, reader, producer] {
        client.close();
    }
    world.stop_gateway();
}

/// More than a gateway uses that has nothing to do and sleeps, for as long as a test waits.
const MUCH: Duration = Duration::from_secs(2);

#[test]
fn a_core_that_has_nothing_to_do_does_not_sleep() {
    let mut gateway = Gateway::start(&["--port", "0", "--busy-poll"]);
    gateway.address();
    let begin = gateway.cpu_time();
    eventually("its CPU time passes", || gateway.cpu_time() - begin > MUCH);
    gateway.signal("TERM");
    assert_eq!(gateway.exit_status(), Some(0));
}
