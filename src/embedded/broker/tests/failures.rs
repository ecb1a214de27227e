//! Faults on request.

use super::super::{Nonsense, Refused};
use super::*;

#[test]
fn creations_are_refused_as_often_as_asked() {
    let mut world = World::new(Options::default());
    world.connect(2);
    world.broker.set_refused_creates(Refused {
        times: 1,
        error: ServerError::ServiceNotReady,
        message: "not yet".into(),
    });
    let refused = world.subscribe_with(2, 1, SubType::Shared, |_| {});
    assert_eq!(
        refused.err(),
        Some((ServerError::ServiceNotReady, "not yet".into()))
    );
    world.subscribe(2, 1, SubType::Shared);
}

#[test]
fn delayed_answers_come_in_order_and_late() {
    let mut world = World::new(Options::default());
    world.publish("m");
    world.connect(2);
    world.broker.set_answer_delay(30);
    world.subscribe(2, 1, SubType::Exclusive);
    assert!(world.flow(2, 1, 1).is_empty());
    assert_eq!(world.broker.next_deadline_ms(), Some(world.now_ms + 30));
    world.advance(30);
    let answers = world.answers(2);
    assert!(answers[0].command.success.is_some());
    assert_eq!(texts(&answers), ["m"]);
}

#[test]
fn a_stalled_broker_takes_nothing() {
    let mut world = World::new(Options::default());
    world.publish("m");
    world.broker.set_stalled(world.now_ms, true);
    let mut bytes = send_frame(1, 100, "late", 0, |_| {});
    world.feed(1, &mut bytes);
    assert!(!bytes.is_empty() && !world.broker.wants_input(1));
    world.broker.set_stalled(world.now_ms, false);
    assert!(world.broker.take_touched().contains(&1));
    world.feed(1, &mut bytes);
    assert!(bytes.is_empty());
    assert!(world.answers(1)[0].command.send_receipt.is_some());
}

#[test]
fn swallowed_receipts_are_stored_all_the_same() {
    let mut world = World::new(Options::default());
    world.publish("m");
    world.broker.set_swallow_receipts(true);
    assert!(world.send(1, 1, 100, "silent", |_| {}).is_empty());
    assert_eq!(world.broker.stats(TOPIC).unwrap().entries, 2);
}

#[test]
fn a_throttled_publisher_is_not_read_for_a_while() {
    let mut world = World::new(Options::default());
    world.publish("m");
    world.broker.set_publish_rate(world.now_ms, Some(1_000));
    assert_eq!(world.send(1, 1, 100, &"x".repeat(400), |_| {}).len(), 1);
    assert!(!world.broker.wants_input(1));
    let until = world.broker.next_deadline_ms().unwrap();
    assert!((300..600).contains(&(until - world.now_ms)));
    world.advance(until - world.now_ms);
    assert!(world.broker.wants_input(1));
    assert!(world.broker.take_touched().contains(&1));
}

#[test]
fn connections_can_be_cut() {
    let mut world = World::new(Options::default());
    world.publish("m");
    world.subscribe(2, 1, SubType::Shared);
    world.connect(3);
    assert_eq!(world.broker.drop_connections(world.now_ms), 3);
    assert!((1..=3).all(|connection| world.broker.is_closing(connection)));
    assert_eq!(world.numbers(), (1, vec![]));
    world.broker.disconnected(world.now_ms, 2);
    assert_eq!(world.broker.connection_count(), 2);
}

#[test]
fn an_abrupt_restart_forgets_acks_after_the_checkpoint() {
    let mut world = World::new(Options::default());
    for n in 0..3 {
        world.publish(&format!("m{n}"));
    }
    world.subscribe(2, 1, SubType::Shared);
    let got = world.flow(2, 1, 10);
    world.ack(2, 1, &ids(&got)[..1]);
    world.broker.checkpoint_acks();
    world.ack(2, 1, &ids(&got)[1..]);
    assert_eq!(world.numbers().0, 0);
    world.broker.restart(world.now_ms, 500, true);
    assert_eq!(world.numbers(), (2, vec![]));
    assert!(!world.broker.connected(world.now_ms, 8));
    for id in [1, 2] {
        world.broker.disconnected(world.now_ms, id);
    }
    world.advance(500);
    world.subscribe(2, 1, SubType::Shared);
    assert_eq!(texts(&world.flow(2, 1, 10)), ["m1", "m2"]);
}

#[test]
fn nonsense_is_what_it_says() {
    let mut world = World::new(Options::default());
    world.connect(1);
    for (nonsense, bytes) in [
        (Nonsense::Garbage, 40),
        (Nonsense::HugeFrame, 9),
        (Nonsense::HugeCommand, 10),
    ] {
        world.broker.write_nonsense(world.now_ms, nonsense);
        let mut segments = Vec::new();
        world.broker.take_output(1, &mut segments);
        assert_eq!(segments.iter().map(bytes::Bytes::len).sum::<usize>(), bytes);
    }
}

#[test]
fn a_deleted_topic_begins_anew() {
    let mut world = World::new(Options::default());
    world.publish("m");
    world.subscribe(2, 1, SubType::Shared);
    world.broker.delete_topic(world.now_ms, TOPIC).unwrap();
    assert!(world.broker.stats(TOPIC).is_none());
    assert!(world.answers(1)[0].command.close_producer.is_some());
    assert!(world.answers(2)[0].command.close_consumer.is_some());
    world.subscribe(2, 1, SubType::Shared);
    assert!(world.flow(2, 1, 10).is_empty());
}
