//! Messages that the broker refuses, or does not answer in time.

use super::*;

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
    let connection = world.accept_up_to(100, SERVICE);
    let (_, asked) = world.find_producer();
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
    let (_, asked) = world.find_producer();
    let held = error(asked.request_id, ProducerBlockedQuotaExceededError, "held");
    world.say(connection, &held);
    world.no_event();
    world.pass(200);
    let (_, asked) = world.find_producer();
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
    assert_eq!(world.create_producer(), connection);
    assert_eq!(world.heard_send().0, 1);
    world.say(connection, &receipt(id, 1));
    assert_eq!(receipt_tags(&mut world), vec![2]);
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
    world.create_producer();
    assert_eq!(world.heard_send().0, 0);
}

/// The broker refuses at once what its topic does not take, while it still writes what came before.
#[test]
fn a_refusal_before_its_turn_is_reported_in_its_turn_and_harms_no_other() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    for tag in 1..=3 {
        world.send(id, tag, b"x");
    }
    let not_allowed = send_error(id, 1, proto::ServerError::NotAllowedError);
    world.say(connection, &not_allowed);
    world.no_event();
    world.say(connection, &receipt(id, 0));
    assert!(matches!(world.event(), Event::Receipt { tag: 1, .. }));
    assert_eq!(failed_tags(&mut world, ErrorKind::Invalid), vec![2]);
    world.say(connection, &receipt(id, 2));
    assert_eq!(receipt_tags(&mut world), vec![3]);
    assert!(world.closed.is_empty());
    assert_eq!(world.client.pending_bytes(), 0);
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
