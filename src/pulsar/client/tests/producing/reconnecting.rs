//! What happens to unconfirmed messages when a connection, a producer or a receipt is lost.

use super::*;

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
    world.no_event();
    world.pass(100);
    let (again, asked) = world.find_producer();
    assert_eq!(again, connection);
    world.say(connection, &producer_success(asked.request_id, "p-1", -1));
    assert_eq!(world.heard_send().0, 0);
    world.say(connection, &receipt(id, 0));
    assert_eq!(receipt_tags(&mut world), vec![1]);
}

/// The broker closes a producer in order, and goes on writing what it has got.
#[test]
fn receipts_that_follow_the_close_of_a_producer_count_and_only_the_rest_is_sent_again() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    for tag in 0..4 {
        world.send(id, tag, b"x");
        world.heard_send();
    }
    world.say(connection, &close_producer(id));
    world.say(connection, &receipt(id, 0));
    assert_eq!(receipt_tags(&mut world), vec![0]);
    world.pass(100);
    world.answer_lookup("next");
    let next = world.accept("next");
    let (_, asked) = world.heard_producer();
    world.say(connection, &receipt(id, 1));
    // The second one is missing: whatever that means, it is sent again with all that follows.
    world.say(connection, &receipt(id, 3));
    assert_eq!(receipt_tags(&mut world), vec![1]);
    world.say(next, &producer_success(asked.request_id, "p-1", -1));
    assert_eq!(world.heard_send().0, 2);
    assert_eq!(world.heard_send().0, 3);
    world.say(connection, &receipt(id, 2));
    world.no_event();
    world.say(next, &receipt(id, 2));
    world.say(next, &receipt(id, 3));
    assert_eq!(receipt_tags(&mut world), vec![2, 3]);
    assert!(world.closed.is_empty());
    assert_eq!(world.client.pending_bytes(), 0);
}

/// The broker still has it where it was: elsewhere its name would be taken.
#[test]
fn after_an_error_a_producer_is_created_again_on_the_connection_where_the_broker_has_it() {
    let mut world = World::new(ClientConfig {
        connections_per_broker: 2,
        ..config()
    });
    let producers = world.producers(4);
    let (id, connection) = producers[1];
    let other = producers.iter().find(|(_, other)| *other != connection);
    let (other, _) = *other.expect("on the other connection");
    world.client.close_producer(world.now_ms, other);
    world.heard(Type::CloseProducer);
    world.send(id, 1, b"x");
    world.heard_send();
    let failed = send_error(id, 0, proto::ServerError::PersistenceError);
    world.say(connection, &failed);
    world.pass(100);
    world.answer_lookup(SERVICE);
    assert_eq!(world.heard_producer().0, connection);
}

#[test]
fn a_message_that_the_next_broker_would_not_take_is_refused_in_its_turn_and_not_sent_there() {
    let mut world = World::new(config());
    let (id, connection) = world.producer(producer_spec());
    world.send(id, 1, b"x");
    world.send(id, 2, &[0; 200]);
    world.send(id, 3, b"x");
    for sequence_id in 0..3 {
        assert_eq!(world.heard_send().0, sequence_id);
    }
    world.lose(connection);
    world.pass(100);
    let connection = world.accept_up_to(100, SERVICE);
    assert_eq!(world.create_producer(), connection);
    assert_eq!(world.heard_send().0, 0);
    assert_eq!(world.heard_send().0, 2);
    world.heard_nothing();
    world.say(connection, &receipt(id, 0));
    assert!(matches!(world.event(), Event::Receipt { tag: 1, .. }));
    let refused = failed_tags(&mut world, ErrorKind::MessageTooLarge);
    assert_eq!(refused, vec![2]);
    world.say(connection, &receipt(id, 2));
    assert_eq!(receipt_tags(&mut world), vec![3]);
    assert_eq!(world.client.pending_bytes(), 0);
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
        world.send_numbered(id, tag, sequence_id);
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
