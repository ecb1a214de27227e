//! Producers.

mod encrypted;
mod opening;
mod reconnecting;
mod refusing;
mod sending;

use super::*;

fn receipt_tags(world: &mut World) -> Vec<Tag> {
    world.pump();
    world
        .events
        .drain(..)
        .map(|event| match event {
            Event::Receipt { tag, .. } => tag,
            other => panic!("a receipt expected, {other:?}"),
        })
        .collect()
}

fn failed_tags(world: &mut World, kind: ErrorKind) -> Vec<Tag> {
    world.pump();
    let mut tags = Vec::new();
    while let Some(Event::SendFailed { tag, error, .. }) = world.events.front() {
        assert_eq!(error.kind, kind, "{error:?}");
        tags.push(*tag);
        world.events.pop_front();
    }
    tags
}

/// The producer finds its broker again on a new connection.
fn reconnect(world: &mut World) -> (ConnectionId, proto::CommandProducer) {
    world.pass(100);
    world.accept(SERVICE);
    world.find_producer()
}

fn encrypting_spec() -> ProducerSpec {
    let keys = [
        wire::encode_encryption_key("k1", b"v1", &[("a", "1"), ("b", "2")]),
        wire::encode_encryption_key("k2", b"", &[]),
    ];
    ProducerSpec {
        encryption_keys: Arc::new(keys),
        ..producer_spec()
    }
}

pub fn heard_message(world: &mut World) -> (proto::MessageMetadata, Bytes) {
    let mut bytes = BytesMut::from(&world.heard_send().1[..]);
    let frame = wire::split_frame(&mut bytes, 10_000).expect("legal");
    let body = wire::Body::parse(&frame.expect("whole").body).expect("a message");
    let metadata = proto::MessageMetadata::decode(body.metadata).expect("metadata");
    (metadata, body.payload)
}
