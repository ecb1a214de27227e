//! Connections: the handshake, sharing, keep-alive, and how they end.

use super::*;

#[test]
fn the_first_frame_is_connect_with_version_and_features() {
    let mut world = World::new(config());
    world.client.open_producer(world.now_ms, producer_spec());
    world.pump();
    // Not before the connection is up.
    assert!(world.said.is_empty());
    let (_, connect) = world.dial(SERVICE);
    assert!(connect.client_version.starts_with("pws-fast-"));
    assert_eq!(connect.protocol_version, Some(21));
    assert_eq!(connect.proxy_to_broker_url, None);
    let features = connect.feature_flags.expect("features");
    assert_eq!(features.supports_auth_refresh, Some(true));
    assert_eq!(features.supports_broker_entry_metadata, Some(false));
    assert_eq!(features.supports_partial_producer, Some(true));
    world.heard_nothing();
}

#[test]
fn a_ping_is_answered_and_silence_is_asked_after_and_then_ends_the_connection() {
    let mut world = World::new(config());
    let (_, connection) = world.producer(producer_spec());
    world.say(connection, &commands::ping());
    world.heard(Type::Pong);

    world.pass(30_000);
    world.heard(Type::Ping);
    world.pass(10_000);
    world.say(connection, &commands::pong());
    world.pass(25_000);
    assert!(world.closed.is_empty());
    world.pass(34_999);
    assert!(world.closed.is_empty());
    world.heard(Type::Ping);
    world.pass(1);
    assert_eq!(world.closed, vec![connection]);
    world.pass(100);
    world.accept(SERVICE);
    world.find_producer();
}

#[test]
fn a_connection_with_traffic_is_not_pinged() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    for entry in 0..20 {
        world.pass(10_000);
        world.deliver(connection, consumer, entry, None, None);
        assert!(matches!(world.event(), Event::Entry { .. }));
    }
    world.heard_nothing();
}

#[test]
fn a_handshake_without_an_answer_is_given_up_and_tried_again() {
    let mut world = World::new(config());
    world.client.open_producer(world.now_ms, producer_spec());
    let (first, _) = world.dial(SERVICE);
    world.pass(10_000);
    assert_eq!(world.closed, vec![first]);
    world.pass(200);
    world.accept(SERVICE);
    world.find_producer();
}

#[test]
fn a_refused_connect_fails_the_opening_with_the_brokers_words() {
    let mut world = World::new(config());
    let id = world.client.open_producer(world.now_ms, producer_spec());
    let (connection, _) = world.dial(SERVICE);
    let refused = error(
        u64::MAX,
        proto::ServerError::AuthenticationError,
        "Failed to authenticate",
    );
    world.say(connection, &refused);
    assert_eq!(world.closed, vec![connection]);
    assert!(matches!(
        world.event(),
        Event::Refused { principal: Principal::GATEWAY, broker, error }
            if broker == "service:6650" && error.kind == ErrorKind::Unauthenticated
    ));
    match world.event() {
        Event::ProducerFailed { producer, error } => {
            assert_eq!(producer, id);
            assert_eq!(error.kind, ErrorKind::Unauthenticated);
            assert_eq!(error.message, "Failed to authenticate");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn producers_spread_over_the_connections_per_broker_and_no_further() {
    let mut world = World::new(ClientConfig {
        connections_per_broker: 2,
        ..config()
    });
    let mut used = BTreeMap::new();
    for (_, connection) in world.producers(6) {
        *used.entry(connection).or_insert(0) += 1;
    }
    assert_eq!(used.into_values().collect::<Vec<_>>(), vec![3, 3]);
}

#[test]
fn a_connection_that_nobody_uses_is_closed_after_a_while() {
    let mut world = World::new(config());
    let (producer, connection) = world.producer(producer_spec());
    world.client.close_producer(world.now_ms, producer);
    let close = world.heard(Type::CloseProducer).command.close_producer;
    let request_id = close.expect("its fields").request_id;
    world.say(connection, &success(request_id));
    world.pass(59_000);
    assert!(world.closed.is_empty());
    world.pass(2_000);
    assert_eq!(world.closed, vec![connection]);
    assert_eq!(world.client.next_deadline_ms(), None);
}

#[test]
fn small_commands_leave_in_one_write() {
    let mut world = World::new(config());
    let (consumer, _) = world.consumer(consumer_spec());
    let before = world.writes;
    for _ in 0..50 {
        world.client.flow(consumer, 10);
    }
    world.pump();
    assert_eq!(world.writes - before, 1);
    assert_eq!(world.said.len(), 50);
}

#[test]
fn half_frames_wait_for_their_rest() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    let bytes = message(consumer, 3, None, None);
    let mut buffer = BytesMut::new();
    for byte in &bytes[..] {
        assert!(world.client.poll_event().is_none());
        buffer.extend_from_slice(&[*byte]);
        world.client.received(world.now_ms, connection, &mut buffer);
    }
    assert!(buffer.is_empty());
    assert_eq!(world.entry().entry, 3);
}

/// The only one that was no broker, which was asked for the service address; why.
fn no_broker(world: &World) -> &str {
    let [(address, why)] = &world.no_brokers[..] else {
        panic!("{:?}", world.no_brokers);
    };
    assert_eq!(address, "service:6650");
    why
}

#[test]
fn who_does_not_welcome_us_as_a_broker_does_is_told_with_its_address() {
    // A port that wants TLS closes, or sends an alert first; the third is a web service's.
    let answers: [(&[u8], &str); 4] = [
        (b"", "before CONNECTED"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "TLS"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (b"\x00\x00\x00\x00\x00\x00\x00\x00", "cannot hold"),
    ];
    for (answer, says) in answers {
        let mut world = World::new(config());
        world.client.open_producer(world.now_ms, producer_spec());
        let (connection, _) = world.dial(SERVICE);
        match answer {
            b"" => world.lose(connection),
            answer => drop(world.say_bytes(connection, answer)),
        }
        let why = no_broker(&world);
        assert!(why.contains(says), "{why}");
    }
}

#[test]
fn who_does_not_answer_the_handshake_in_time_is_told_with_its_address() {
    let mut world = World::new(config());
    world.client.open_producer(world.now_ms, producer_spec());
    world.dial(SERVICE);
    world.pass(10_000);
    let why = no_broker(&world);
    assert!(why.contains("in time"), "{why}");
}

#[test]
fn a_broker_that_was_one_and_is_lost_is_no_news() {
    let mut world = World::new(config());
    let (_, connection) = world.consumer(consumer_spec());
    world.lose(connection);
    assert_eq!(world.no_brokers, []);
}
