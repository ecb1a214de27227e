//! Acks and redelivery.

use super::*;

#[test]
fn an_ack_is_answered_and_lowers_the_backlog() {
    let mut world = World::new(Options::default());
    for n in 0..3 {
        world.publish(&format!("m{n}"));
    }
    world.subscribe(2, 1, SubType::Shared);
    let got = world.flow(2, 1, 10);
    assert_eq!(world.numbers(), (3, vec![("c1".into(), 7, 3)]));
    let answer = world.ack(2, 1, &ids(&got)[1..]).remove(0);
    let response = answer.command.ack_response.unwrap();
    assert_eq!((response.consumer_id, response.error), (1, None));
    assert_eq!(world.numbers(), (1, vec![("c1".into(), 7, 1)]));
    // An id that never was, and one twice.
    world.ack(2, 1, &[id((77, 0)), id((1, 99)), ids(&got)[1].clone()]);
    assert_eq!(world.numbers(), (1, vec![("c1".into(), 7, 1)]));
}

#[test]
fn a_cumulative_ack_is_ignored_on_shared() {
    let mut world = World::new(Options::default());
    for n in 0..3 {
        world.publish(&format!("m{n}"));
    }
    world.subscribe(2, 1, SubType::Shared);
    let got = world.flow(2, 1, 10);
    world.ack_as(2, 1, AckType::Cumulative, &ids(&got)[2..]);
    assert_eq!(world.numbers().0, 3);
    let other = |s: &mut CommandSubscribe| s.subscription = "x".into();
    world
        .subscribe_with(2, 2, SubType::Exclusive, other)
        .unwrap();
    let got = world.flow(2, 2, 10);
    world.ack_as(2, 2, AckType::Cumulative, &ids(&got)[1..2]);
    let stats = world.broker.stats(TOPIC).unwrap();
    assert_eq!(stats.subscriptions[1].backlog, 1);
}

#[test]
fn parts_of_a_batch_are_acked_where_the_broker_allows_it() {
    for (batch_index_acks, ack_set, unacked) in [(true, vec![0b10], 1), (false, vec![], 3)] {
        let mut world = World::new(Options {
            batch_index_acks,
            ..Options::default()
        });
        world.publish_with("batch", |m| m.num_messages_in_batch = Some(3));
        world.subscribe(2, 1, SubType::Shared);
        let mut acked = ids(&world.flow(2, 1, 10)).remove(0);
        acked.ack_set = vec![0b10];
        world.ack(2, 1, std::slice::from_ref(&acked));
        assert_eq!(world.numbers(), (1, vec![("c1".into(), 7, unacked)]));
        let again = messages(&world.redeliver(2, 1, &[])).remove(0);
        assert_eq!(again.ack_set, ack_set);
        assert_eq!(again.redelivery_count, Some(1));
        // The rest of it.
        acked.ack_set = vec![];
        world.ack(2, 1, &[acked]);
        assert_eq!(world.numbers().0, 0);
        assert_eq!(world.numbers().1[0].2, 0);
    }
}

#[test]
fn a_cumulative_ack_inside_a_batch_acks_what_is_before() {
    for (batch_index_acks, words) in [(true, vec![0b100]), (false, vec![])] {
        let mut world = World::new(Options {
            batch_index_acks,
            ..Options::default()
        });
        world.publish("before");
        world.publish_with("batch", |m| m.num_messages_in_batch = Some(3));
        world.subscribe(2, 1, SubType::Exclusive);
        let mut acked = ids(&world.flow(2, 1, 10)).remove(1);
        acked.ack_set = vec![0b100];
        world.ack_as(2, 1, AckType::Cumulative, &[acked]);
        assert_eq!(world.numbers().0, 1);
        let again = messages(&world.redeliver(2, 1, &[]));
        assert_eq!((again.len(), &again[0].ack_set), (1, &words));
    }
}

#[test]
fn only_what_is_asked_for_comes_again_on_shared_and_is_counted() {
    let mut world = World::new(Options::default());
    for n in 0..3 {
        world.publish(&format!("m{n}"));
    }
    world.subscribe(2, 1, SubType::Shared);
    let got = world.flow(2, 1, 10);
    let again = world.redeliver(2, 1, &ids(&got)[1..2]);
    assert_eq!(delivered(&again), [("m1".to_owned(), 1)]);
    let again = world.redeliver(2, 1, &ids(&got)[1..2]);
    assert_eq!(delivered(&again), [("m1".to_owned(), 2)]);
    // Not pending at this consumer: nothing.
    assert!(world.redeliver(2, 1, &[id((50, 1))]).is_empty());
    assert_eq!(world.numbers(), (3, vec![("c1".into(), 5, 3)]));
}

#[test]
fn a_redelivery_on_exclusive_brings_everything_and_counts_nothing() {
    let mut world = World::new(Options::default());
    for n in 0..3 {
        world.publish(&format!("m{n}"));
    }
    world.subscribe(2, 1, SubType::Exclusive);
    let got = world.flow(2, 1, 10);
    world.ack(2, 1, &ids(&got)[..1]);
    let redeliver = CommandRedeliverUnacknowledgedMessages {
        consumer_id: 1,
        message_ids: ids(&got)[2..].to_vec(),
        consumer_epoch: Some(9),
    };
    let again = world.ask(2, Type::RedeliverUnacknowledgedMessages, |c| {
        c.redeliver_unacknowledged_messages = Some(redeliver);
    });
    assert_eq!(
        delivered(&again),
        [("m1".to_owned(), 0), ("m2".to_owned(), 0)]
    );
    assert_eq!(messages(&again)[0].consumer_epoch, Some(9));
}

#[test]
fn what_a_leaving_consumer_held_goes_to_the_others_with_its_count_unchanged() {
    let mut world = World::new(Options::default());
    for n in 0..2 {
        world.publish(&format!("m{n}"));
    }
    world.subscribe(2, 1, SubType::Shared);
    world.subscribe(3, 1, SubType::Shared);
    let got = world.flow(2, 1, 10);
    world.redeliver(2, 1, &ids(&got)[1..]);
    world.flow(3, 1, 10);
    world.close_consumer(2, 1);
    let taken = delivered(&world.answers(3));
    assert_eq!(taken, [("m0".to_owned(), 0), ("m1".to_owned(), 1)]);
    assert_eq!(world.numbers(), (2, vec![("c1".into(), 8, 2)]));
    // With the last consumer the counts are forgotten, as by the broker.
    world.close_consumer(3, 1);
    world.subscribe(2, 1, SubType::Shared);
    let again = delivered(&world.flow(2, 1, 10));
    assert_eq!(again, [("m0".to_owned(), 0), ("m1".to_owned(), 0)]);
}

#[test]
fn an_ack_may_come_by_another_consumer() {
    let mut world = World::new(Options::default());
    world.publish("m");
    world.subscribe(2, 1, SubType::Shared);
    world.subscribe(3, 2, SubType::Shared);
    let got = world.flow(2, 1, 10);
    world.ack(3, 2, &ids(&got));
    assert_eq!(
        world.numbers().1,
        [("c1".into(), 9, 0), ("c2".into(), 0, 0)]
    );
}
