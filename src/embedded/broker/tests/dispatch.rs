//! Who gets what, and when: permits, turns, failover, delayed delivery, non-persistent topics.

use super::*;

#[test]
fn permits_count_messages_and_a_batch_may_overdraw_them() {
    let mut world = World::new(Options::default());
    world.publish_with("batch", |m| m.num_messages_in_batch = Some(10));
    world.publish("single");
    world.subscribe(2, 1, SubType::Exclusive);
    assert!(world.answers(2).is_empty());
    assert_eq!(texts(&world.flow(2, 1, 1)), ["batch"]);
    assert_eq!(world.numbers().1[0].1, -9);
    assert!(world.flow(2, 1, 9).is_empty());
    assert_eq!(texts(&world.flow(2, 1, 1)), ["single"]);
}

#[test]
fn a_message_has_the_ids_that_its_receipt_had() {
    let mut world = World::new(Options::default());
    let position = world.publish("m");
    world
        .subscribe_with(2, 1, SubType::Exclusive, |s| s.consumer_epoch = Some(4))
        .unwrap();
    let message = messages(&world.flow(2, 1, 1)).remove(0);
    assert_eq!(
        (message.message_id.ledger_id, message.message_id.entry_id),
        position
    );
    assert_eq!(message.message_id.partition, Some(-1));
    assert_eq!(message.consumer_epoch, Some(4));
    assert_eq!(message.redelivery_count, None);
}

#[test]
fn shared_consumers_take_turns_of_twenty() {
    let mut world = World::new(Options::default());
    world.subscribe(2, 1, SubType::Shared);
    world.subscribe(3, 1, SubType::Shared);
    for n in 0..50 {
        world.publish(&format!("m{n}"));
    }
    // Permits of both come in before anything is dispatched to the second.
    let first = world.flow(2, 1, 25);
    let second = world.flow(3, 1, 25);
    assert_eq!((texts(&first).len(), texts(&second).len()), (25, 25));
    world.flow(2, 1, 100);
    world.flow(3, 1, 100);
    let mut bytes = BytesMut::new();
    for n in 0..60 {
        bytes.unsplit(send_frame(1, 1_000 + n, "more", 0, |_| {}));
    }
    world.feed(1, &mut bytes);
    let counts = [
        texts(&world.answers(2)).len(),
        texts(&world.answers(3)).len(),
    ];
    assert_eq!(counts, [40, 20]);
}

#[test]
fn the_lower_priority_level_number_is_served_first() {
    let mut world = World::new(Options::default());
    world
        .subscribe_with(2, 1, SubType::Shared, |s| s.priority_level = Some(1))
        .unwrap();
    world
        .subscribe_with(3, 1, SubType::Shared, |s| s.priority_level = Some(0))
        .unwrap();
    world.flow(2, 1, 10);
    world.flow(3, 1, 3);
    for _ in 0..5 {
        world.publish("m");
    }
    let counts = [
        texts(&world.answers(2)).len(),
        texts(&world.answers(3)).len(),
    ];
    assert_eq!(counts, [2, 3]);
}

#[test]
fn failover_has_one_active_consumer_and_the_next_gets_what_was_unacked() {
    let mut world = World::new(Options::default());
    let partition = "persistent://public/default/t-partition-1";
    let join = |world: &mut World, id: u64, name: &str| {
        let name = name.to_owned();
        world.subscribe_with(id, 1, SubType::Failover, |s| {
            s.topic = partition.into();
            s.consumer_name = Some(name);
        })
    };
    let active = |answers: &[Answer]| -> Vec<bool> {
        let changes = answers
            .iter()
            .filter_map(|a| a.command.active_consumer_change.as_ref());
        changes.map(|change| change.is_active()).collect()
    };
    let first = join(&mut world, 2, "a").unwrap();
    assert!(first[0].command.success.is_some());
    assert_eq!(active(&first), [true]);
    world.flow(2, 1, 10);
    // Partition 1 of two consumers: the second by name.
    let second = join(&mut world, 3, "b").unwrap();
    assert_eq!(active(&second), [true]);
    assert_eq!(active(&world.answers(2)), [false]);
    let third = join(&mut world, 4, "c").unwrap();
    // The active one stays: its neighbour is told before SUCCESS, as by the broker.
    assert_eq!(active(&third), [false]);
    assert!(third[1].command.success.is_some());
    world.produce_on(4, 1, partition);
    for text in ["m0", "m1"] {
        world.send(4, 1, 0, text, |_| {});
    }
    let got = world.flow(3, 1, 10);
    assert_eq!(texts(&got), ["m0", "m1"]);
    assert_eq!(messages(&got)[0].message_id.partition, Some(1));
    world.ack(3, 1, &ids(&got)[..1]);
    world.flow(4, 1, 10);
    world.broker.disconnected(world.now_ms, 3);
    let got = world.answers(4);
    assert_eq!(active(&got), [true]);
    assert_eq!(delivered(&got), [("m1".to_owned(), 0)]);
}

#[test]
fn a_delayed_message_waits_on_shared_only() {
    let mut world = World::new(Options::default());
    let at = world.now_ms as i64 + 5_000;
    world.publish_with("later", |m| m.deliver_at_time = Some(at));
    world.publish("now");
    world.subscribe(2, 1, SubType::Shared);
    assert_eq!(texts(&world.flow(2, 1, 10)), ["now"]);
    world.advance(4_999);
    assert!(world.answers(2).is_empty());
    world.advance(1);
    assert_eq!(delivered(&world.answers(2)), [("later".to_owned(), 0)]);
    let other = |s: &mut CommandSubscribe| s.subscription = "other".into();
    world.publish_with("later", |m| m.deliver_at_time = Some(at + 60_000));
    world
        .subscribe_with(2, 2, SubType::Exclusive, other)
        .unwrap();
    assert_eq!(texts(&world.flow(2, 2, 10)), ["later", "now", "later"]);
}

#[test]
fn a_non_persistent_message_goes_to_who_has_permits_now() {
    let mut world = World::new(Options::default());
    let topic = "non-persistent://public/default/t";
    let join = |s: &mut CommandSubscribe| s.topic = topic.into();
    world.subscribe_with(2, 1, SubType::Shared, join).unwrap();
    world.produce_on(2, 1, topic);
    let receipt = |answers: &[Answer]| {
        let found = answers.iter().find_map(|a| a.command.send_receipt.clone());
        found.unwrap().message_id.unwrap()
    };
    let answers = world.send(2, 1, 0, "missed", |_| {});
    assert!(texts(&answers).is_empty());
    let position = receipt(&answers);
    assert_eq!((position.ledger_id, position.entry_id), (0, 0));
    world.flow(2, 1, 1);
    for text in ["seen", "missed"] {
        let answers = world.send(2, 1, 0, text, |_| {});
        assert_eq!(texts(&answers).len(), usize::from(text == "seen"));
        if text == "seen" {
            assert_eq!(ids(&answers)[0].entry_id, 0);
            assert_eq!(world.ack(2, 1, &ids(&answers)).len(), 1);
        }
    }
    assert_eq!(world.broker.stats(topic).unwrap().missed_deliveries, 2);
}

#[test]
fn the_end_of_a_topic_is_told_when_all_is_acked() {
    let mut world = World::new(Options::default());
    world.publish("last");
    world.subscribe(2, 1, SubType::Exclusive);
    let got = world.flow(2, 1, 10);
    world.broker.terminate(world.now_ms, TOPIC).unwrap();
    assert!(world.answers(2).is_empty());
    let closed = world.answers(1);
    assert_eq!(closed.len(), 1);
    assert!(closed[0].command.close_producer.is_some());
    // Nothing comes back to a producer that is closed.
    assert!(world.send(1, 1, 99, "no", |_| {}).is_empty());
    let end = |answers: &[Answer]| {
        let ends = answers
            .iter()
            .filter(|a| a.command.reached_end_of_topic.is_some());
        ends.count()
    };
    assert_eq!(end(&world.ack(2, 1, &ids(&got))), 1);
    assert_eq!(end(&world.ack(2, 1, &ids(&got))), 0);
}
