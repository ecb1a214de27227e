//! Batching and compression of what is published: what shares an entry, when it goes out, and what is answered.

use super::*;

const MAX_DELAY_MS: u64 = 10;

fn batching_spec(max_messages: u32) -> ProducerSpec {
    ProducerSpec {
        batching: Some(BatchingSpec {
            max_messages,
            max_delay_ms: MAX_DELAY_MS,
        }),
        ..producer_spec()
    }
}

/// What an entry says: its metadata, and of its messages their own metadata and payload.
struct Sent {
    send: proto::CommandSend,
    metadata: proto::MessageMetadata,
    messages: Vec<(proto::SingleMessageMetadata, Bytes)>,
    payload: Bytes,
}

fn heard(world: &mut World) -> Sent {
    let said = world.heard(Type::Send);
    let mut bytes = BytesMut::from(&said.frame[..]);
    let frame = wire::split_frame(&mut bytes, 10_000_000).expect("legal");
    let body = wire::Body::parse(&frame.expect("whole").body).expect("a message");
    let metadata = proto::MessageMetadata::decode(body.metadata).expect("metadata");
    let mut messages = Vec::new();
    if let (Some(count), None) = (metadata.num_messages_in_batch, metadata.compression) {
        let mut rest = body.payload.clone();
        for _ in 0..count {
            let size = u32::from_be_bytes(rest.split_to(4)[..].try_into().expect("four"));
            let own = rest.split_to(size as usize);
            let own = proto::SingleMessageMetadata::decode(own).expect("metadata");
            let payload = rest.split_to(own.payload_size as usize);
            messages.push((own, payload));
        }
        assert!(rest.is_empty());
    }
    Sent {
        send: said.command.send.expect("the message's fields"),
        metadata,
        messages,
        payload: body.payload,
    }
}

fn batch_receipt(producer: ProducerId, first: u64, last: u64) -> BaseCommand {
    let mut command = receipt(producer, first);
    if let Some(receipt) = &mut command.send_receipt {
        receipt.highest_sequence_id = Some(last);
    }
    command
}

/// Tags and batch indexes of the receipts.
fn receipts(world: &mut World) -> Vec<(Tag, i32)> {
    world.pump();
    let events = world.events.drain(..);
    let receipts = events.map(|event| match event {
        Event::Receipt { tag, id, .. } => {
            assert_eq!(id.batch_size, 0, "as Java's acks");
            (tag, id.batch_index)
        }
        other => panic!("a receipt expected, {other:?}"),
    });
    receipts.collect()
}

#[test]
fn a_batch_goes_out_when_it_has_its_messages() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(batching_spec(3));
    let fields = SendFields {
        properties: &[("a", "1"), ("b", "2")],
        partition_key: Some("key"),
        event_time_ms: Some(77),
        publish_time_ms: 5,
        ..Default::default()
    };
    for tag in 0..3 {
        world.heard_nothing();
        world
            .client
            .send(world.now_ms, id, tag, &fields, 1, |out| {
                out.extend_from_slice(&[tag as u8]);
                Ok::<(), ()>(())
            })
            .expect("taken");
    }
    let sent = heard(&mut world);
    assert_eq!(sent.send.sequence_id, 0);
    assert_eq!(sent.send.highest_sequence_id, Some(2));
    assert_eq!(sent.send.num_messages, Some(3));
    assert_eq!(sent.metadata.sequence_id, 0);
    assert_eq!(sent.metadata.highest_sequence_id, Some(2));
    assert_eq!(sent.metadata.num_messages_in_batch, Some(3));
    assert_eq!(sent.metadata.publish_time, 5);
    assert_eq!(sent.metadata.producer_name, "p-1");
    // Key_Shared goes by the first message's key.
    assert_eq!(sent.metadata.partition_key.as_deref(), Some("key"));
    assert_eq!(sent.metadata.properties, []);
    assert_eq!(sent.metadata.event_time, None);
    for (index, (own, payload)) in sent.messages.iter().enumerate() {
        assert_eq!(payload[..], [index as u8]);
        assert_eq!(own.sequence_id, Some(index as u64));
        assert_eq!(own.partition_key.as_deref(), Some("key"));
        assert_eq!(own.event_time, Some(77));
        let properties: Vec<_> = own.properties.iter().collect();
        assert_eq!(properties.len(), 2);
        assert_eq!(
            (properties[1].key.as_str(), properties[1].value.as_str()),
            ("b", "2")
        );
    }
    world.say(connection, &batch_receipt(id, 0, 2));
    assert_eq!(receipts(&mut world), [(0, 0), (1, 1), (2, 2)]);
    assert_eq!(world.client.pending_bytes(), 0);
    assert_eq!(
        world
            .client
            .next_deadline_ms()
            .filter(|at| *at <= world.now_ms + MAX_DELAY_MS),
        None
    );
}

#[test]
fn a_batch_goes_out_after_its_delay_and_one_message_alone_as_any_other() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(batching_spec(0));
    world.send(id, 1, b"one");
    world.pass(MAX_DELAY_MS - 1);
    world.heard_nothing();
    world.pass(1);
    let sent = heard(&mut world);
    assert_eq!(sent.metadata.num_messages_in_batch, None);
    assert_eq!(sent.send.highest_sequence_id, None);
    assert_eq!(&sent.payload[..], b"one");
    world.send(id, 2, b"two");
    world.pass(MAX_DELAY_MS / 2);
    world.send(id, 3, b"three");
    world.pass(MAX_DELAY_MS / 2);
    assert_eq!(heard(&mut world).messages.len(), 2);
    // As the broker confirms what is no batch.
    world.say(connection, &batch_receipt(id, 0, u64::MAX));
    world.say(connection, &batch_receipt(id, 1, 2));
    assert_eq!(receipts(&mut world), [(1, -1), (2, 0), (3, 1)]);
}

#[test]
fn a_batch_goes_out_before_it_passes_its_bytes() {
    let mut world = World::new(config());
    let (id, _) = world.producer(batching_spec(0));
    // 128 KiB of payload.
    for tag in 0..3 {
        world.send(id, tag, &[1; 60 * 1024]);
    }
    assert_eq!(heard(&mut world).messages.len(), 2);
    world.send(id, 3, &[1; 68 * 1024]);
    assert_eq!(heard(&mut world).messages.len(), 2);
    world.heard_nothing();
    // One that is a batch by itself does not wait, nor what came before it.
    world.send(id, 4, b"small");
    world.send(id, 5, &[1; 128 * 1024]);
    assert_eq!(&heard(&mut world).payload[..], b"small");
    assert_eq!(heard(&mut world).payload.len(), 128 * 1024);
    world.heard_nothing();
}

#[test]
fn metadata_does_not_make_a_batch_larger_than_the_broker_takes() {
    let mut world = World::new(config());
    let (id, _) = world.producer(batching_spec(0));
    let value = "v".repeat(1024 * 1024);
    let fields = SendFields {
        properties: &[("k", &value)],
        ..Default::default()
    };
    for tag in 0..4 {
        let empty = |_: &mut BytesMut| Ok::<(), ()>(());
        let taken = world.client.send(world.now_ms, id, tag, &fields, 0, empty);
        taken.expect("taken");
    }
    assert_eq!(heard(&mut world).messages.len(), 2);
    world.pass(MAX_DELAY_MS);
    assert_eq!(heard(&mut world).messages.len(), 2);
}

#[test]
fn what_may_not_be_batched_goes_alone_and_in_order() {
    let mut world = World::new(config());
    let (id, _) = world.producer(batching_spec(0));
    let mut send = |tag, fields: SendFields<'_>| {
        let one = |out: &mut BytesMut| {
            out.extend_from_slice(&[tag as u8]);
            Ok::<(), ()>(())
        };
        let taken = world.client.send(world.now_ms, id, tag, &fields, 1, one);
        taken.expect("taken");
    };
    let to = |replicate_to| SendFields {
        replicate_to,
        ..Default::default()
    };
    send(0, to(&[]));
    send(1, to(&[]));
    let delayed = SendFields {
        deliver_at_ms: Some(9),
        ..Default::default()
    };
    send(2, delayed);
    send(3, to(&["east"]));
    send(4, to(&["east"]));
    send(5, to(&["west"]));
    world.pass(MAX_DELAY_MS);
    assert_eq!(heard(&mut world).messages.len(), 2);
    assert_eq!(heard(&mut world).metadata.deliver_at_time, Some(9));
    let east = heard(&mut world);
    assert_eq!(east.metadata.replicate_to, ["east"]);
    assert_eq!(east.messages.len(), 2);
    let west = heard(&mut world);
    assert_eq!(west.metadata.replicate_to, ["west"]);
    assert_eq!(west.payload[..], [5]);
    world.heard_nothing();
}

/// The broker drops a batch as a whole: what it may know already must not take new messages with it.
#[test]
fn a_repeated_sequence_id_shares_no_batch_with_new_ones() {
    let mut world = World::new(config());
    let (id, _) = world.producer(batching_spec(0));
    for (tag, sequence_id) in [(0, 10), (1, 11), (2, 11), (3, 12), (4, 13)] {
        world.send_numbered(id, tag, sequence_id);
    }
    world.pass(MAX_DELAY_MS);
    let ids = |sent: &Sent| (sent.send.sequence_id, sent.send.highest_sequence_id);
    assert_eq!(ids(&heard(&mut world)), (10, Some(11)));
    assert_eq!(ids(&heard(&mut world)), (11, None));
    assert_eq!(ids(&heard(&mut world)), (12, Some(13)));
}

#[test]
fn a_batch_goes_out_again_unchanged_after_a_reconnect() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(batching_spec(2));
    world.send(id, 0, b"a");
    world.send(id, 1, b"b");
    let (_, first) = world.heard_send();
    world.send(id, 2, b"c");
    world.lose(connection);
    world.send(id, 3, b"d");
    world.pass(100);
    let connection = world.accept(SERVICE);
    assert_eq!(world.create_producer(), connection);
    assert_eq!(world.heard_send().1, first);
    assert_eq!(heard(&mut world).messages.len(), 2);
    world.say(connection, &batch_receipt(id, 0, 1));
    world.say(connection, &batch_receipt(id, 2, 3));
    assert_eq!(receipts(&mut world), [(0, 0), (1, 1), (2, 0), (3, 1)]);
}

#[test]
fn a_refused_or_late_batch_answers_each_of_its_messages() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(batching_spec(2));
    for tag in 0..5 {
        world.send(id, tag, b"x");
    }
    // An error names the last message of its batch.
    let refused = send_error(id, 1, proto::ServerError::NotAllowedError);
    world.say(connection, &refused);
    for tag in 0..2 {
        assert!(matches!(world.event(), Event::SendFailed { tag: of, .. } if of == tag));
    }
    world.no_event();
    // What waits for company when the time is up is late, too.
    world.lose(connection);
    world.pass(30_000);
    for tag in 2..5 {
        assert!(matches!(world.event(), Event::SendFailed { tag: of, .. } if of == tag));
    }
    assert_eq!(world.client.pending_bytes(), 0);
}

#[test]
fn a_payload_that_cannot_be_written_harms_no_batch() {
    let mut world = World::new(config());
    let (id, _) = world.producer(batching_spec(0));
    let fields = SendFields::default();
    for tag in 0..3 {
        let client = &mut world.client;
        let refused = client.send(world.now_ms, id, 9, &fields, 3, |_| Err("bad base64"));
        assert_eq!(refused, Err(SendRefused::Fill("bad base64")));
        let nothing = |_: &mut BytesMut| Ok::<(), ()>(());
        let refused = client.send(world.now_ms, id, 9, &fields, 3, nothing);
        assert_eq!(refused, Err(SendRefused::PayloadLength));
        world.send(id, tag, b"x");
    }
    world.pass(MAX_DELAY_MS);
    let sent = heard(&mut world);
    let payloads: Vec<_> = sent
        .messages
        .iter()
        .map(|(_, payload)| &payload[..])
        .collect();
    assert_eq!(payloads, [b"x", b"x", b"x"]);
    assert_eq!(sent.metadata.highest_sequence_id, Some(2));
}

#[test]
fn a_closing_producer_leaves_its_batch_with_the_broker() {
    let mut world = World::new(config());
    let (id, _) = world.producer(batching_spec(0));
    world.send(id, 0, b"x");
    world.client.close_producer(world.now_ms, id);
    assert_eq!(&heard(&mut world).payload[..], b"x");
    world.heard(Type::CloseProducer);
    assert_eq!(world.client.pending_bytes(), 0);
    world.pass(1_000);
    world.no_event();
}

#[test]
fn all_batches_can_be_told_not_to_wait() {
    let mut world = World::new(config());
    let (id, _) = world.producer(batching_spec(0));
    world.send(id, 0, b"x");
    world.client.flush_batches(world.now_ms);
    assert_eq!(&heard(&mut world).payload[..], b"x");
}

#[test]
#[cfg_attr(miri, ignore = "zstd is C")]
fn entries_are_compressed_with_their_size_and_measured_after_it() {
    for compression in [
        wire::Compression::Lz4,
        wire::Compression::Zlib,
        wire::Compression::Zstd,
        wire::Compression::Snappy,
    ] {
        let mut world = World::new(config());
        let spec = ProducerSpec {
            compression: Some(compression),
            ..batching_spec(2)
        };
        let (id, _) = world.producer(spec);
        world.send(id, 0, b"x");
        world.send(id, 1, b"y");
        let sent = heard(&mut world);
        assert_eq!(sent.metadata.compression, Some(compression as i32));
        assert_eq!(sent.metadata.num_messages_in_batch, Some(2));
        // More than the broker takes, until it is compressed.
        let large = vec![7; 6 * 1024 * 1024];
        world.send(id, 2, &large);
        let sent = heard(&mut world);
        assert_eq!(sent.metadata.uncompressed_size, Some(large.len() as u32));
        assert!(sent.payload.len() < 1024 * 1024);
        let mut rng = fastrand::Rng::with_seed(1);
        let noise: Vec<u8> = large.iter().map(|_| rng.u8(..)).collect();
        world.send(id, 3, b"before");
        world.send(id, 4, &noise);
        assert_eq!(heard(&mut world).send.sequence_id, 3);
        world.heard_nothing();
    }
}
