//! Acks, and their answers where there are any.

use super::*;

#[test]
fn a_corrupt_entry_is_acked_with_the_reason_and_reported() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    let mut bytes = message(consumer, 7, None, None).to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    world.say_bytes(connection, &bytes);
    assert!(matches!(
        world.event(),
        Event::CorruptEntry {
            ledger: 5,
            entry: 7,
            ..
        }
    ));
    let ack = world.heard(Type::Ack).command.ack.expect("its fields");
    assert_eq!(
        ack.validation_error(),
        proto::command_ack::ValidationError::ChecksumMismatch
    );
    assert_eq!(ack.request_id, None);
    assert_eq!(ack.message_id[0].entry_id, 7);
    assert!(world.closed.is_empty());
}

#[test]
fn acks_carry_their_positions_and_are_answered_by_tag() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    let partial = AckPosition {
        ack_set: vec![0b110],
        ..position(2)
    };
    world
        .client
        .ack(world.now_ms, consumer, 70, &[position(1), partial]);
    world.client.ack(world.now_ms, consumer, 71, &[position(3)]);
    let ack = world.heard(Type::Ack).command.ack.expect("its fields");
    assert_eq!(ack.message_id.len(), 2);
    assert_eq!(ack.message_id[1].ack_set, vec![0b110]);
    let second = world.heard(Type::Ack).command.ack.expect("its fields");
    let failed = Some(proto::ServerError::MetadataError as i32);
    world.say(
        connection,
        &ack_response(consumer, second.request_id.expect("an id"), failed),
    );
    world.say(
        connection,
        &ack_response(consumer, ack.request_id.expect("an id"), None),
    );
    assert!(matches!(
        world.event(),
        Event::AckDone { tag: 71, result: Err(error), .. } if error.message == "why"
    ));
    assert!(matches!(
        world.event(),
        Event::AckDone {
            tag: 70,
            result: Ok(()),
            ..
        }
    ));
}

#[test]
fn acks_that_were_not_answered_fail_before_the_loss_is_told_and_those_after_it_at_once() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    world.client.ack(world.now_ms, consumer, 1, &[position(1)]);
    world.client.ack(world.now_ms, consumer, 2, &[position(2)]);
    world.heard(Type::Ack);
    world.heard(Type::Ack);
    world.lose(connection);
    world.client.ack(world.now_ms, consumer, 3, &[position(3)]);
    for expected in [1, 2] {
        assert!(matches!(
            world.event(),
            Event::AckDone { tag, result: Err(error), .. }
                if tag == expected && error.kind == ErrorKind::Retryable
        ));
    }
    lost(&mut world, true);
    assert!(matches!(
        world.event(),
        Event::AckDone {
            tag: 3,
            result: Err(_),
            ..
        }
    ));
    let (connection, asked) = resubscribe(&mut world);
    resumed(&mut world, connection, asked.request_id);
    world.heard_nothing();
    world.no_event();
}

#[test]
fn an_ack_without_an_answer_times_out() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    world.client.ack(world.now_ms, consumer, 1, &[position(1)]);
    world.pass(20_000);
    world.say(connection, &commands::pong());
    world.pass(10_000);
    assert!(matches!(
        world.event(),
        Event::AckDone { tag: 1, result: Err(error), .. } if error.kind == ErrorKind::Timeout
    ));
}
