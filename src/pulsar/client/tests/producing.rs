//! Producers: creation, pipelined sends, and what happens to unconfirmed messages when things break.

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
    world.answer_lookup(SERVICE);
    world.heard_producer()
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

pub(super) fn heard_message(world: &mut World) -> (proto::MessageMetadata, Bytes) {
    let mut bytes = BytesMut::from(&world.heard_send().1[..]);
    let frame = wire::split_frame(&mut bytes, 10_000).expect("legal");
    let body = wire::Body::parse(&frame.expect("whole").body).expect("a message");
    let metadata = proto::MessageMetadata::decode(body.metadata).expect("metadata");
    (metadata, body.payload)
}

/// One message of two bytes, which its owner has encrypted.
fn send_encrypted(world: &mut World, producer: ProducerId, encryption: SendEncryption<'_>) {
    let fields = SendFields {
        encryption: Some(encryption),
        ..Default::default()
    };
    let fill = |out: &mut BytesMut| {
        out.extend_from_slice(b"xy");
        Ok::<(), ()>(())
    };
    world
        .client
        .send(world.now_ms, producer, 1, &fields, 2, fill)
        .expect("taken");
}

const ENCRYPTED: SendEncryption<'_> = SendEncryption {
    param: Some(b"iv"),
    compression: Some(wire::Compression::Zlib),
    uncompressed_size: 77,
    keys: &[],
    batch_size: None,
};

fn is_as_encrypted(metadata: &proto::MessageMetadata, payload: &[u8]) {
    let key_value = |key: &str, value: &str| proto::KeyValue {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let keys = [
        proto::EncryptionKeys {
            key: "k1".to_owned(),
            value: b"v1".to_vec(),
            metadata: vec![key_value("a", "1"), key_value("b", "2")],
        },
        proto::EncryptionKeys {
            key: "k2".to_owned(),
            value: Vec::new(),
            metadata: Vec::new(),
        },
    ];
    assert_eq!(metadata.encryption_keys, keys);
    assert_eq!(metadata.encryption_algo, None);
    assert_eq!(metadata.encryption_param.as_deref(), Some(&b"iv"[..]));
    let zlib = wire::Compression::Zlib as i32;
    assert_eq!(metadata.compression, Some(zlib));
    assert_eq!(metadata.uncompressed_size, Some(77));
    assert_eq!(metadata.num_messages_in_batch, None);
    assert_eq!(payload, b"xy");
}

#[test]
fn what_the_owner_has_encrypted_goes_out_as_it_is_with_its_keys() {
    let mut world = World::new(config());
    let spec = ProducerSpec {
        compression: Some(wire::Compression::Lz4),
        batching: Some(BatchingSpec {
            max_messages: 0,
            max_delay_ms: 10,
        }),
        ..encrypting_spec()
    };
    let (id, _) = world.producer(spec);
    send_encrypted(&mut world, id, ENCRYPTED);
    let (metadata, payload) = heard_message(&mut world);
    is_as_encrypted(&metadata, &payload);
    let plain = SendEncryption {
        uncompressed_size: 2,
        ..SendEncryption::default()
    };
    send_encrypted(&mut world, id, plain);
    let (metadata, _) = heard_message(&mut world);
    assert_eq!(metadata.encryption_keys.len(), 2);
    assert_eq!(metadata.encryption_param, None);
    assert_eq!(metadata.compression, None);
    assert_eq!(metadata.uncompressed_size, Some(2));
}

#[test]
fn an_encrypted_message_from_before_its_producer_was_ready_is_the_same() {
    let mut world = World::new(config());
    let id = world.client.open_producer(world.now_ms, encrypting_spec());
    send_encrypted(&mut world, id, ENCRYPTED);
    world.accept(SERVICE);
    world.answer_lookup(SERVICE);
    let (connection, asked) = world.heard_producer();
    world.say(connection, &producer_success(asked.request_id, "mine", -1));
    let (metadata, payload) = heard_message(&mut world);
    is_as_encrypted(&metadata, &payload);
}

#[test]
fn a_producer_is_asked_for_with_its_fields_and_reported_ready() {
    let mut world = World::new(config());
    let spec = ProducerSpec {
        name: Some("mine".to_owned()),
        ..encrypting_spec()
    };
    let id = world.client.open_producer(world.now_ms, spec);
    world.accept(SERVICE);
    world.answer_lookup(SERVICE);
    let (connection, asked) = world.heard_producer();
    assert_eq!(asked.topic, TOPIC);
    assert_eq!(asked.producer_name.as_deref(), Some("mine"));
    assert_eq!(asked.user_provided_producer_name, Some(true));
    assert_eq!(asked.encrypted, Some(true));
    assert_eq!(asked.epoch, Some(0));
    world.say(connection, &producer_success(asked.request_id, "mine", 41));
    match world.event() {
        Event::ProducerReady {
            producer,
            name,
            last_sequence_id,
        } => assert_eq!(
            (producer, name.as_str(), last_sequence_id),
            (id, "mine", 41)
        ),
        other => panic!("{other:?}"),
    }
    world.send(id, 1, b"x");
    assert_eq!(world.heard_send().0, 42);
}

#[test]
fn the_initial_sequence_id_goes_before_the_brokers() {
    let mut world = World::new(config());
    let spec = ProducerSpec {
        initial_sequence_id: Some(99),
        ..producer_spec()
    };
    let (id, _) = world.producer(spec);
    world.send(id, 1, b"x");
    assert_eq!(world.heard_send().0, 100);
}

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
fn an_own_sequence_id_is_used_and_does_not_move_the_producers() {
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
    assert_eq!(world.heard_send().0, 0);
    world.say(connection, &receipt(id, 0));
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
    world.answer_lookup(SERVICE);
    let (connection, asked) = world.heard_producer();
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
fn after_a_lost_connection_the_same_frames_go_out_again_in_order_and_once() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    for tag in 0..5 {
        world.send(id, tag, &[tag as u8; 5_000]);
    }
    let first: Vec<_> = (0..5).map(|_| world.heard_send()).collect();
    world.say(connection, &receipt(id, 0));
    world.say(connection, &receipt(id, 1));
    assert_eq!(receipt_tags(&mut world), vec![0, 1]);
    world.lose(connection);
    world.send(id, 5, b"while away");
    world.no_event();

    let (connection, asked) = reconnect(&mut world);
    assert_eq!(asked.producer_name.as_deref(), Some("p-1"));
    assert_eq!(asked.user_provided_producer_name, Some(false));
    assert_eq!(asked.epoch, Some(1));
    world.heard_nothing();
    // The broker's idea of the last sequence id no longer counts.
    world.say(connection, &producer_success(asked.request_id, "p-1", 77));
    let again: Vec<_> = (0..3).map(|_| world.heard_send()).collect();
    assert_eq!(again, first[2..]);
    assert_eq!(world.heard_send().0, 5);
    world.heard_nothing();
    for sequence_id in 2..6 {
        world.say(connection, &receipt(id, sequence_id));
    }
    assert_eq!(receipt_tags(&mut world), vec![2, 3, 4, 5]);
}

#[test]
fn a_producer_closed_by_the_broker_is_created_again_on_the_same_connection() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    world.heard_send();
    world.say(connection, &close_producer(id));
    world.say(connection, &receipt(id, 0));
    world.no_event();
    world.pass(100);
    world.answer_lookup(SERVICE);
    let (again, asked) = world.heard_producer();
    assert_eq!(again, connection);
    world.say(connection, &producer_success(asked.request_id, "p-1", -1));
    assert_eq!(world.heard_send().0, 0);
    world.say(connection, &receipt(id, 0));
    assert_eq!(receipt_tags(&mut world), vec![1]);
}

#[test]
fn a_close_that_names_the_next_owner_needs_no_lookup() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    // assignedBrokerServiceUrl is field 3, which the proto types do not have.
    let url = b"pulsar://next:6650";
    let mut close = vec![8, id.0 as u8, 16, 0, 26, url.len() as u8];
    close.extend_from_slice(url);
    let mut command = vec![8, Type::CloseProducer as u8, 0x7a, close.len() as u8];
    command.extend_from_slice(&close);
    let mut frame = (command.len() as u32 + 4).to_be_bytes().to_vec();
    frame.extend_from_slice(&(command.len() as u32).to_be_bytes());
    frame.extend_from_slice(&command);
    world.say_bytes(connection, &frame);
    let next = world.accept("next");
    assert_eq!(world.heard_producer().0, next);
}

#[test]
fn a_receipt_that_skips_a_message_brings_a_new_connection_and_all_again() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    for tag in 0..3 {
        world.send(id, tag, b"x");
        world.heard_send();
    }
    world.say(connection, &receipt(id, 1));
    assert_eq!(world.closed, vec![connection]);
    world.no_event();
    let (connection, asked) = reconnect(&mut world);
    world.say(connection, &producer_success(asked.request_id, "p-1", -1));
    for sequence_id in 0..3 {
        assert_eq!(world.heard_send().0, sequence_id);
        world.say(connection, &receipt(id, sequence_id));
    }
    assert_eq!(receipt_tags(&mut world), vec![0, 1, 2]);
}

/// The broker writes the new message first and says at once that it has the other one already.
#[test]
fn a_duplicate_that_is_confirmed_before_its_turn_is_reported_in_its_turn() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    for (tag, sequence_id) in [(1, 6), (2, 5), (3, 4), (4, 7)] {
        let fields = SendFields {
            sequence_id: Some(sequence_id),
            ..Default::default()
        };
        let empty = |_: &mut BytesMut| Ok::<(), ()>(());
        let taken = world.client.send(world.now_ms, id, tag, &fields, 0, empty);
        taken.expect("taken");
    }
    let duplicate = |sequence_id| {
        let mut command = receipt(id, sequence_id);
        if let Some(receipt) = &mut command.send_receipt {
            receipt.message_id = Some(MessageIdData {
                ledger_id: u64::MAX,
                entry_id: u64::MAX,
                ..Default::default()
            });
        }
        command
    };
    world.say(connection, &duplicate(5));
    world.say(connection, &duplicate(4));
    world.no_event();
    world.say(connection, &receipt(id, 6));
    assert_eq!(receipt_tags(&mut world), vec![1, 2, 3]);
    world.say(connection, &receipt(id, 7));
    assert_eq!(receipt_tags(&mut world), vec![4]);
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
fn the_send_timeout_fails_all_of_the_owners_messages_and_late_receipts_are_ignored() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    world.pass(20_000);
    world.say(connection, &commands::pong());
    world.send(id, 1, b"x");
    world.pass(9_999);
    world.no_event();
    world.pass(1);
    match world.events.front() {
        Some(Event::SendFailed { error, .. }) => assert_eq!(
            error.message,
            format!(
                "The producer p-1 can not send message to the topic {TOPIC} within given timeout"
            )
        ),
        other => panic!("{other:?}"),
    }
    assert_eq!(failed_tags(&mut world, ErrorKind::Timeout), vec![1, 1]);
    assert_eq!(world.client.pending_bytes(), 0);
    world.send(id, 3, b"x");
    for sequence_id in 0..3 {
        world.say(connection, &receipt(id, sequence_id));
    }
    assert_eq!(receipt_tags(&mut world), vec![3]);
}

/// What one owner's timeout leaves in the queue of a producer that others share.
#[test]
fn owners_that_share_a_producer_time_out_each_for_itself() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    world.pass(20_000);
    world.say(connection, &commands::pong());
    world.send(id, 2, b"x");
    world.send(id, 1, b"x");
    world.pass(10_000);
    assert_eq!(failed_tags(&mut world, ErrorKind::Timeout), vec![1, 1]);
    world.send(id, 1, b"x");
    for sequence_id in 0..4 {
        world.say(connection, &receipt(id, sequence_id));
    }
    assert_eq!(receipt_tags(&mut world), vec![2, 1]);
    assert_eq!(world.client.pending_bytes(), 0);
    assert!(world.closed.is_empty());
}

#[test]
fn what_has_timed_out_is_not_sent_again_with_what_has_not() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    world.pass(20_000);
    world.say(connection, &commands::pong());
    world.send(id, 2, b"x");
    world.pass(10_000);
    assert_eq!(failed_tags(&mut world, ErrorKind::Timeout), vec![1]);
    while world.said.pop_front().is_some() {}
    world.lose(connection);
    let (again, request) = reconnect(&mut world);
    world.say(again, &producer_success(request.request_id, "p-1", 0));
    assert_eq!(world.heard_send().0, 1);
    world.say(again, &receipt(id, 1));
    assert_eq!(receipt_tags(&mut world), vec![2]);
    assert_eq!(world.client.pending_bytes(), 0);
}

#[test]
fn a_confirmed_message_does_not_time_the_later_ones_out() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    world.pass(20_000);
    world.say(connection, &receipt(id, 0));
    world.send(id, 2, b"x");
    world.pass(20_000);
    world.say(connection, &commands::pong());
    assert_eq!(receipt_tags(&mut world), vec![1]);
    world.pass(10_000);
    assert_eq!(failed_tags(&mut world, ErrorKind::Timeout), vec![2]);
}

#[test]
fn without_a_send_timeout_messages_wait_for_ever() {
    let mut world = World::new(config());
    let spec = ProducerSpec {
        send_timeout_ms: 0,
        ..producer_spec()
    };
    let (id, connection) = world.producer(spec);
    world.send(id, 1, b"x");
    world.lose(connection);
    world.pass(3_600_000);
    world.no_event();
}

#[test]
fn a_message_too_large_is_refused_in_its_turn_and_harms_no_other() {
    let mut world = World::new(config());
    let id = world.client.open_producer(world.now_ms, producer_spec());
    world.pump();
    let (connection, _) = world.dialled.pop_front().expect("dialled");
    world.client.connected(world.now_ms, connection);
    world.heard(Type::Connect);
    world.say(connection, &connected(100));
    world.answer_lookup(SERVICE);
    let (_, asked) = world.heard_producer();
    world.say(connection, &producer_success(asked.request_id, "p", -1));
    assert!(matches!(world.event(), Event::ProducerReady { .. }));
    world.send(id, 1, b"x");
    world.send(id, 2, &[0; 101]);
    // The payload fits, its metadata does not.
    world.send(id, 3, &[0; 99]);
    world.send(id, 4, b"x");
    world.no_event();
    assert_eq!(world.heard_send().0, 0);
    assert_eq!(world.heard_send().0, 1);
    world.say(connection, &receipt(id, 0));
    assert!(matches!(world.event(), Event::Receipt { tag: 1, .. }));
    assert_eq!(
        failed_tags(&mut world, ErrorKind::MessageTooLarge),
        vec![2, 3]
    );
    world.say(connection, &receipt(id, 1));
    assert_eq!(receipt_tags(&mut world), vec![4]);
    assert_eq!(world.client.pending_bytes(), 0);
}

#[test]
fn a_quota_that_refuses_answers_what_is_pending_and_one_that_holds_lets_it_wait() {
    use proto::ServerError::{
        ProducerBlockedQuotaExceededError, ProducerBlockedQuotaExceededException,
    };
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    world.heard_send();
    world.say(connection, &close_producer(id));
    world.pass(100);
    world.answer_lookup(SERVICE);
    let (_, asked) = world.heard_producer();
    let held = error(asked.request_id, ProducerBlockedQuotaExceededError, "held");
    world.say(connection, &held);
    world.no_event();
    world.pass(200);
    world.answer_lookup(SERVICE);
    let (_, asked) = world.heard_producer();
    let refused = error(
        asked.request_id,
        ProducerBlockedQuotaExceededException,
        "full",
    );
    world.say(connection, &refused);
    assert_eq!(failed_tags(&mut world, ErrorKind::QuotaExceeded), vec![1]);
    // When there is room again the producer works as before.
    world.send(id, 2, b"y");
    world.pass(400);
    world.answer_lookup(SERVICE);
    let (_, asked) = world.heard_producer();
    world.say(connection, &producer_success(asked.request_id, "p-1", -1));
    assert_eq!(world.heard_send().0, 1);
    world.say(connection, &receipt(id, 1));
    assert_eq!(receipt_tags(&mut world), vec![2]);
}

#[test]
fn a_name_that_is_taken_fails_the_opening_but_not_a_reconnect() {
    let busy = |request_id| {
        error(
            request_id,
            proto::ServerError::ProducerBusy,
            "Producer with name 'mine' is already connected to topic",
        )
    };
    let mut world = World::new(config());
    let id = world.client.open_producer(world.now_ms, producer_spec());
    world.accept(SERVICE);
    world.answer_lookup(SERVICE);
    let (connection, asked) = world.heard_producer();
    world.say(connection, &busy(asked.request_id));
    assert!(matches!(
        world.event(),
        Event::ProducerFailed { producer, error } if producer == id && error.kind == ErrorKind::ProducerBusy
    ));

    let mut world = World::new(config());
    let (_, connection) = world.producer(producer_spec());
    world.lose(connection);
    let (connection, asked) = reconnect(&mut world);
    world.say(connection, &busy(asked.request_id));
    world.no_event();
    world.pass(200);
    world.answer_lookup(SERVICE);
    let (connection, asked) = world.heard_producer();
    assert_eq!(asked.epoch, Some(2));
    world.say(connection, &producer_success(asked.request_id, "p-1", -1));
    world.no_event();
}

#[test]
fn a_passing_refusal_of_the_opening_is_retried_until_the_operation_timeout() {
    let mut world = World::new(config());
    let start_ms = world.now_ms;
    world.client.open_producer(start_ms, producer_spec());
    world.accept(SERVICE);
    let mut tries = 0;
    while world.events.is_empty() {
        assert!(world.now_ms <= start_ms + 30_000);
        world.pump();
        while !world.said.is_empty() {
            world.answer_lookup(SERVICE);
            let (connection, asked) = world.heard_producer();
            tries += 1;
            let refused = error(
                asked.request_id,
                proto::ServerError::ServiceNotReady,
                "not yet",
            );
            world.say(connection, &refused);
        }
        world.pass(10);
    }
    assert!((8..12).contains(&tries), "{tries}");
    assert_eq!(world.now_ms, start_ms + 30_000);
    assert!(matches!(
        world.event(),
        Event::ProducerFailed { error, .. } if error.kind == ErrorKind::Timeout
    ));
}

#[test]
fn an_opening_without_an_answer_is_closed_at_the_broker_too() {
    let mut world = World::new(config());
    let id = world.client.open_producer(world.now_ms, producer_spec());
    let connection = world.accept(SERVICE);
    world.answer_lookup(SERVICE);
    world.heard_producer();
    world.pass(15_000);
    world.say(connection, &commands::pong());
    world.pass(15_000);
    let closed = world.heard(Type::CloseProducer).command.close_producer;
    assert_eq!(closed.expect("its fields").producer_id, id.0);
    assert!(matches!(
        world.event(),
        Event::ProducerFailed { error, .. } if error.kind == ErrorKind::Timeout
    ));
    world.no_event();
}

#[test]
fn a_creation_that_the_broker_has_queued_waits_as_long_as_it_takes() {
    let mut world = World::new(config());
    world.client.open_producer(world.now_ms, producer_spec());
    let connection = world.accept(SERVICE);
    world.answer_lookup(SERVICE);
    let (_, asked) = world.heard_producer();
    let mut queued = producer_success(asked.request_id, "p", -1);
    if let Some(success) = &mut queued.producer_success {
        success.producer_ready = Some(false);
    }
    world.say(connection, &queued);
    for _ in 0..10 {
        world.pass(20_000);
        world.say(connection, &commands::pong());
    }
    world.no_event();
    world.say(connection, &producer_success(asked.request_id, "p", -1));
    assert!(matches!(world.event(), Event::ProducerReady { .. }));
}

#[test]
fn what_can_never_heal_ends_a_producer_after_its_messages() {
    let cases = [
        (proto::ServerError::TopicNotFound, ErrorKind::NotFound),
        (
            proto::ServerError::TopicTerminatedError,
            ErrorKind::TopicTerminated,
        ),
        (
            proto::ServerError::ProducerFenced,
            ErrorKind::ProducerFenced,
        ),
    ];
    for (server_error, kind) in cases {
        let mut world = World::new(config());
        let (id, connection) = world.producer(producer_spec());
        world.send(id, 1, b"x");
        world.send(id, 2, b"x");
        world.heard_send();
        world.heard_send();
        world.lose(connection);
        let (connection, asked) = reconnect(&mut world);
        world.say(connection, &error(asked.request_id, server_error, "gone"));
        assert_eq!(failed_tags(&mut world, kind), vec![1, 2]);
        assert!(matches!(world.event(), Event::ProducerFailed { .. }));
        assert_eq!(world.client.pending_bytes(), 0);
    }
}

#[test]
fn send_errors_are_sorted_as_in_the_java_client() {
    // A terminated topic: everything fails, the producer is gone.
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    world.heard_send();
    let terminated = send_error(id, 0, proto::ServerError::TopicTerminatedError);
    world.say(connection, &terminated);
    assert!(matches!(
        world.events.front(),
        Some(Event::SendFailed { error, .. }) if error.message.ends_with("produces to has been terminated")
    ));
    assert_eq!(failed_tags(&mut world, ErrorKind::TopicTerminated), vec![1]);
    assert!(matches!(world.event(), Event::ProducerFailed { .. }));
    world.heard(Type::CloseProducer);

    // Not allowed: this message fails, the next goes on.
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    world.send(id, 2, b"x");
    world.say(
        connection,
        &send_error(id, 0, proto::ServerError::NotAllowedError),
    );
    assert_eq!(failed_tags(&mut world, ErrorKind::Invalid), vec![1]);
    world.say(connection, &receipt(id, 1));
    assert_eq!(receipt_tags(&mut world), vec![2]);

    // Anything else: the producer is created again and sends again; the connection stays.
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    world.heard_send();
    world.say(
        connection,
        &send_error(id, 0, proto::ServerError::PersistenceError),
    );
    world.no_event();
    assert!(world.closed.is_empty());
    world.pass(100);
    world.answer_lookup(SERVICE);
    let (connection, asked) = world.heard_producer();
    world.say(connection, &producer_success(asked.request_id, "p-1", -1));
    assert_eq!(world.heard_send().0, 0);
}

#[test]
fn a_disputed_checksum_is_sent_again_a_few_times_and_then_fails() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    world.send(id, 2, b"x");
    for _ in 0..3 {
        assert_eq!(world.heard_send().0, 0);
        assert_eq!(world.heard_send().0, 1);
        world.say(
            connection,
            &send_error(id, 0, proto::ServerError::ChecksumError),
        );
    }
    world.said.clear();
    world.no_event();
    world.say(
        connection,
        &send_error(id, 0, proto::ServerError::ChecksumError),
    );
    assert_eq!(failed_tags(&mut world, ErrorKind::Retryable), vec![1]);
    world.heard_nothing();
}

#[test]
fn reconnects_that_bring_no_receipt_back_off_further() {
    let mut world = World::new(config());
    let (id, mut connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    world.heard_send();
    let mut delays = Vec::new();
    for _ in 0..6 {
        world.say(
            connection,
            &send_error(id, 0, proto::ServerError::PersistenceError),
        );
        let lost_ms = world.now_ms;
        while world.said.is_empty() {
            world.pass(1);
        }
        delays.push(world.now_ms - lost_ms);
        world.answer_lookup(SERVICE);
        let asked;
        (connection, asked) = world.heard_producer();
        world.say(connection, &producer_success(asked.request_id, "p-1", -1));
        world.heard_send();
    }
    assert!(delays[5] >= 1_600, "{delays:?}");
    world.say(connection, &receipt(id, 0));
    world.say(connection, &close_producer(id));
    world.pass(100);
    world.heard(Type::Lookup);
}

#[test]
fn a_closed_producer_is_silent_and_counts_no_more() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    world.heard_send();
    world.client.close_producer(world.now_ms, id);
    world.heard(Type::CloseProducer);
    assert_eq!(world.client.pending_bytes(), 0);
    world.say(connection, &receipt(id, 0));
    world.pass(31_000);
    world.no_event();
}

#[test]
fn closing_at_any_stage_of_the_opening_leaves_nothing_behind() {
    for stage in 0..4 {
        let mut world = World::new(config());
        let id = world.client.open_producer(world.now_ms, producer_spec());
        if stage > 0 {
            world.accept(SERVICE);
        }
        if stage > 1 {
            world.answer_lookup("owner");
        }
        if stage > 2 {
            world.accept("owner");
        }
        world.client.close_producer(world.now_ms, id);
        // The connections and the questions that are out end by themselves.
        for _ in 0..30 {
            world.pass(10_000);
        }
        world.no_event();
        assert_eq!(world.client.next_deadline_ms(), None, "stage {stage}");
    }
}
