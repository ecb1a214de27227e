//! Brokers that send garbage or lie: the connection ends, the process does not.

use proptest::prelude::*;

use super::*;

#[test]
fn garbage_closes_the_connection_and_everything_on_it_starts_again() {
    let mut world = World::new(config());
    let (producer, connection) = world.producer(producer_spec());
    world.send(producer, 1, b"x");
    world.heard_send();
    let rest = world.say_bytes(connection, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert!(rest.is_empty());
    assert_eq!(world.closed, vec![connection]);
    world.pass(100);
    world.accept(SERVICE);
    world.create_producer();
    assert_eq!(world.heard_send().0, 0);
    world.no_event();
}

#[test]
fn answers_to_other_questions_and_on_other_connections_close_the_connection() {
    let mut world = World::new(config());
    world.client.open_producer(world.now_ms, producer_spec());
    let service = world.accept(SERVICE);
    let (_, asked) = world.heard_lookup();
    world.say(service, &success(asked.request_id));
    assert_eq!(world.closed, vec![service]);
    // The question is asked again.
    world.pass(100);
    world.accept(SERVICE);
    world.find_producer();

    let mut world = World::new(config());
    world.client.open_producer(world.now_ms, producer_spec());
    let service = world.accept(SERVICE);
    world.answer_lookup("owner");
    let owner = world.accept("owner");
    let (_, asked) = world.heard_producer();
    world.say(service, &producer_success(asked.request_id, "p", -1));
    assert_eq!(world.closed, vec![service]);
    world.say(owner, &producer_success(asked.request_id, "p", -1));
    assert!(matches!(world.event(), Event::ProducerReady { .. }));
}

#[test]
fn commands_before_connected_close_the_connection() {
    let mut world = World::new(config());
    world.client.open_producer(world.now_ms, producer_spec());
    let (connection, _) = world.dial(SERVICE);
    world.say(connection, &receipt(ProducerId(0), 0));
    assert_eq!(world.closed, vec![connection]);
    world.no_event();
}

#[test]
fn a_command_of_a_newer_broker_is_passed_over() {
    let mut world = World::new(config());
    let (_, connection) = world.producer(producer_spec());
    world.say(
        connection,
        &BaseCommand {
            r#type: 99,
            ..base(Type::Ping)
        },
    );
    world.say(connection, &success(4_711));
    assert!(world.closed.is_empty());
    world.no_event();
}

/// A frame that may be a command, a broken one, or noise.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let command =
        (2i32..70, 0u64..8, 0u64..4, any::<i32>()).prop_map(|(kind, request, id, code)| {
            let command = BaseCommand {
                r#type: kind,
                connected: Some(proto::CommandConnected {
                    max_message_size: Some(code),
                    ..Default::default()
                }),
                success: Some(proto::CommandSuccess {
                    request_id: request,
                    schema: None,
                }),
                error: (code % 2 == 0).then(|| proto::CommandError {
                    request_id: request,
                    error: code,
                    message: String::new(),
                }),
                send_error: Some(proto::CommandSendError {
                    producer_id: id,
                    sequence_id: request,
                    error: code.rem_euclid(30),
                    message: String::new(),
                }),
                send_receipt: Some(proto::CommandSendReceipt {
                    producer_id: id,
                    sequence_id: request,
                    ..Default::default()
                }),
                message: Some(proto::CommandMessage {
                    consumer_id: id,
                    ..Default::default()
                }),
                close_producer: Some(proto::CommandCloseProducer {
                    producer_id: id,
                    request_id: request,
                }),
                close_consumer: Some(proto::CommandCloseConsumer {
                    consumer_id: id,
                    request_id: request,
                }),
                producer_success: (code % 3 == 0).then(|| proto::CommandProducerSuccess {
                    request_id: request,
                    producer_name: "n".to_owned(),
                    last_sequence_id: Some(i64::from(code) << 32),
                    producer_ready: Some(code % 5 != 0),
                    ..Default::default()
                }),
                lookup_topic_response: (code % 7 == 0).then(|| proto::CommandLookupTopicResponse {
                    request_id: request,
                    response: Some(code.rem_euclid(4)),
                    broker_service_url: Some("pulsar://h:1".to_owned()),
                    ..Default::default()
                }),
                ..Default::default()
            };
            wire::encode_command(&command).to_vec()
        });
    prop_oneof![
        4 => command,
        1 => proptest::collection::vec(any::<u8>(), 0..64),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 500 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_a_broker_sends_panics_the_machine(
        frames in proptest::collection::vec((0u64..3, noise(), 0u64..40_000), 0..40),
    ) {
        let mut world = World::new(config());
        let producer = world.client.open_producer(world.now_ms, producer_spec());
        world.client.open_consumer(world.now_ms, ConsumerSpec {
            durable: false,
            start: Some(StartPosition::Latest),
            ..consumer_spec()
        });
        world.client.count_partitions(world.now_ms, Principal::GATEWAY, TOPIC, 1);
        for (connection, bytes, pause_ms) in frames {
            world.pump();
            while let Some((dialled, _)) = world.dialled.pop_front() {
                world.client.connected(world.now_ms, dialled);
                world.say(dialled, &connected(1_000));
            }
            let newest = world.unread.keys().last().map_or(1, |id| id.0);
            world.say_bytes(ConnectionId(newest.saturating_sub(connection)), &bytes);
            let _ = world.client.send(
                world.now_ms,
                producer,
                0,
                &SendFields::default(),
                1,
                |out| { out.extend_from_slice(b"x"); Ok::<(), ()>(()) },
            );
            world.pass(pause_ms);
        }
    }
}
