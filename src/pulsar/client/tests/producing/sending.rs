//! Pipelined sends and their receipts.

use super::*;

#[test]
fn sends_do_not_wait_for_receipts_and_these_come_in_order() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    for tag in 10..15 {
        world.send(id, tag, b"payload");
    }
    for sequence_id in 0..5 {
        let (sent, frame) = world.heard_send();
        assert_eq!(sent, sequence_id);
        let mut bytes = BytesMut::from(&frame[..]);
        let frame = wire::split_frame(&mut bytes, 10_000)
            .expect("legal")
            .expect("whole");
        let body = wire::Body::parse(&frame.body).expect("a message");
        let metadata = proto::MessageMetadata::decode(body.metadata).expect("metadata");
        assert_eq!(metadata.producer_name, "p-1");
        assert_eq!(metadata.sequence_id, sequence_id);
        assert_eq!(&body.payload[..], b"payload");
    }
    assert!(world.client.pending_bytes() > 5 * 7);
    for sequence_id in 0..5 {
        world.say(connection, &receipt(id, sequence_id));
    }
    assert_eq!(receipt_tags(&mut world), (10..15).collect::<Vec<_>>());
    assert_eq!(world.client.pending_bytes(), 0);
}

#[test]
fn an_own_sequence_id_is_used_and_the_next_message_has_a_higher_one() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    let fields = SendFields {
        sequence_id: Some(1_000),
        ..Default::default()
    };
    world
        .client
        .send(world.now_ms, id, 1, &fields, 0, |_| Ok::<(), ()>(()))
        .expect("taken");
    assert_eq!(world.heard_send().0, 1_000);
    world.say(connection, &receipt(id, 1_000));
    world.send(id, 2, b"x");
    assert_eq!(world.heard_send().0, 1_001);
    world.say(connection, &receipt(id, 1_001));
    assert_eq!(receipt_tags(&mut world), vec![1, 2]);
}

#[test]
fn a_payload_that_cannot_be_written_sends_nothing_and_uses_no_sequence_id() {
    let mut world = World::new(config());
    let (id, _) = world.producer(producer_spec());
    let fields = SendFields::default();
    let refused = world
        .client
        .send(world.now_ms, id, 1, &fields, 3, |_| Err("bad base64"));
    assert_eq!(refused, Err(SendRefused::Fill("bad base64")));
    let refused = world
        .client
        .send(world.now_ms, id, 1, &fields, 3, |_| Ok::<(), ()>(()));
    assert_eq!(refused, Err(SendRefused::PayloadLength));
    assert_eq!(world.client.pending_bytes(), 0);
    world.heard_nothing();
    world.send(id, 2, b"x");
    assert_eq!(world.heard_send().0, 0);
    let refused = world
        .client
        .send(world.now_ms, ProducerId(77), 1, &fields, 0, |_| {
            Ok::<(), ()>(())
        });
    assert_eq!(refused, Err(SendRefused::NoProducer));
}

#[test]
fn messages_before_the_producer_is_ready_go_out_when_it_is() {
    let mut world = World::new(config());
    let id = world.client.open_producer(world.now_ms, producer_spec());
    let fields = SendFields {
        properties: &[("k", "v")],
        partition_key: Some("key"),
        ..Default::default()
    };
    for tag in 0..3 {
        world
            .client
            .send(world.now_ms, id, tag, &fields, 2, |out| {
                out.extend_from_slice(b"ab");
                Ok::<(), ()>(())
            })
            .expect("taken");
    }
    world.accept(SERVICE);
    let (connection, asked) = world.find_producer();
    world.heard_nothing();
    world.say(connection, &producer_success(asked.request_id, "p", 6));
    assert!(matches!(world.event(), Event::ProducerReady { .. }));
    for sequence_id in 7..10 {
        let (sent, frame) = world.heard_send();
        assert_eq!(sent, sequence_id);
        assert!(frame.ends_with(b"ab"));
        world.say(connection, &receipt(id, sequence_id));
    }
    assert_eq!(receipt_tags(&mut world), vec![0, 1, 2]);
    assert_eq!(world.client.pending_bytes(), 0);
}

#[test]
fn a_receipt_given_twice_is_ignored() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    world.send(id, 2, b"x");
    world.say(connection, &receipt(id, 0));
    world.say(connection, &receipt(id, 0));
    world.say(connection, &receipt(id, 1));
    world.say(connection, &receipt(id, 1));
    assert_eq!(receipt_tags(&mut world), vec![1, 2]);
    assert!(world.closed.is_empty());
}

#[test]
fn chunks_have_one_sequence_id_and_each_its_receipt() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    for chunk_id in 0..3 {
        let fields = SendFields {
            chunk: Some(wire::ChunkFields {
                uuid: "u",
                chunk_id,
                num_chunks_from_msg: 3,
                total_chunk_msg_size: 3,
            }),
            ..Default::default()
        };
        let fill = |out: &mut BytesMut| {
            out.extend_from_slice(b"c");
            Ok::<(), ()>(())
        };
        let taken = world.client.send(world.now_ms, id, 2, &fields, 1, fill);
        taken.expect("taken");
    }
    world.send(id, 3, b"x");
    let mut sent = Vec::new();
    for _ in 0..5 {
        let (sequence_id, frame) = world.heard_send();
        let frame = wire::split_frame(&mut BytesMut::from(&frame[..]), 10_000);
        let frame = frame.expect("legal").expect("whole");
        let command = BaseCommand::decode(&frame.command[..]).expect("a command");
        let body = wire::Body::parse(&frame.body).expect("a message");
        let metadata = proto::MessageMetadata::decode(body.metadata).expect("metadata");
        let is_chunk = command.send.expect("its fields").is_chunk();
        assert_eq!(is_chunk, metadata.uuid.is_some());
        sent.push((sequence_id, metadata.chunk_id));
    }
    let expected = [
        (0, None),
        (1, Some(0)),
        (1, Some(1)),
        (1, Some(2)),
        (2, None),
    ];
    assert_eq!(sent, expected);
    for sequence_id in [0, 1, 1, 1, 2] {
        world.say(connection, &receipt(id, sequence_id));
    }
    assert_eq!(receipt_tags(&mut world), vec![1, 2, 2, 2, 3]);
    assert!(world.closed.is_empty());
}
