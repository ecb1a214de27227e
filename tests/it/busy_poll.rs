//! `--busy-poll`: shards that never sleep serve as others do, and end when they are told to.

use crate::support::{World, topic};

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
