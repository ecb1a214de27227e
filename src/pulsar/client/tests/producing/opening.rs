//! From the creation of a producer to its end.

use super::*;

#[test]
fn a_producer_is_asked_for_with_its_fields_and_reported_ready() {
    let mut world = World::new(config());
    let spec = ProducerSpec {
        name: Some("mine".to_owned()),
        ..encrypting_spec()
    };
    let id = world.client.open_producer(world.now_ms, spec);
    world.accept(SERVICE);
    let (connection, asked) = world.find_producer();
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
    let (connection, asked) = world.find_producer();
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
    let (connection, asked) = world.find_producer();
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
            let (connection, asked) = world.find_producer();
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
    world.find_producer();
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
    let (_, asked) = world.find_producer();
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

#[test]
fn one_in_the_place_of_one_that_was_open_outlasts_what_passes() {
    let mut world = World::new(ClientConfig {
        backoff_last_ms: 1_000,
        ..config()
    });
    let id = world.client.prepare_producer(producer_spec());
    world.send(id, 1, b"x");
    world.heard_nothing();
    world.client.start_producer(world.now_ms, id);
    // Nobody is there for longer than the first opening of a producer may take.
    for _ in 0..400 {
        world.pass(100);
        while let Some((connection, _)) = world.dialled.pop_front() {
            let now_ms = world.now_ms;
            world.client.connect_failed(now_ms, connection, "refused");
        }
    }
    assert_eq!(failed_tags(&mut world, ErrorKind::Timeout), vec![1]);
    world.no_event();
    while world.dialled.is_empty() {
        world.pass(100);
    }
    let connection = world.accept(SERVICE);
    let (_, asked) = world.find_producer();
    let busy = proto::ServerError::TooManyRequests;
    world.say(connection, &error(asked.request_id, busy, "too many"));
    world.no_event();
    world.send(id, 2, b"x");
    while world.said.is_empty() {
        world.pass(100);
    }
    let (_, asked) = world.find_producer();
    world.say(connection, &producer_success(asked.request_id, "p", -1));
    assert!(matches!(world.event(), Event::ProducerReady { .. }));
    assert_eq!(world.heard_send().0, 0);
}
