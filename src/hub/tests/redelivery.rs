//! Negative acks, ack timeouts.

use super::*;
use SubscriptionType::{Exclusive, Shared};

fn again(at: u64, batch: Option<i32>) -> Upstream {
    let entry = Entry {
        redelivery_count: 1,
        ..entry(at, batch)
    };
    Upstream::Entry(entry)
}

#[test]
fn a_negative_ack_asks_for_the_message_again_after_its_delay() {
    let mut world = World::open(Shared, 10);
    world.entries(0..2);
    world.out.clear();
    world.command(1, Command::NegativeAck(id(1)));
    world.wait(999);
    assert!(world.redelivers().is_empty());
    world.wait(1 + super::super::limits::NACK_GROUP_MS);
    assert_eq!(world.redelivers(), vec![vec![1]]);
    world.upstream(again(1, None));
    assert_eq!(world.delivered(), vec![(1, 1, -1, 1)]);
    assert_eq!(world.hub.next_deadline_ms(), None);
}

#[test]
fn what_the_broker_has_skipped_is_asked_for_once_more() {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..3);
    world.command(1, Command::Ack(id(0)));
    world.out.clear();
    world.upstream(Upstream::Skipped);
    assert_eq!(world.redelivers(), vec![Vec::<u64>::new()]);
    for at in 1..4 {
        world.upstream(Upstream::Entry(Entry {
            consumer_epoch: Some(1),
            ..entry(at, None)
        }));
    }
    assert_eq!(world.delivered_entries(), vec![1, 2, 3]);
}

#[test]
fn a_negative_ack_without_delay_still_waits_as_in_java() {
    let mut world = World::new(hub_spec(Shared));
    world.open_with(MemberSpec {
        negative_ack_delay_ms: 0,
        ..member_spec(Shared, 10)
    });
    world.entries(0..1);
    world.command(1, Command::NegativeAck(id(0)));
    world.wait(99);
    assert!(world.redelivers().is_empty());
    world.wait(30);
    assert_eq!(world.redelivers(), vec![vec![0]]);
}

#[test]
#[cfg_attr(miri, ignore = "a bound of thousands, interpreted")]
fn negative_acks_of_the_same_moment_go_together() {
    let mut world = World::open(Shared, 1000);
    world.entries(0..500);
    let nacks = (0..500).map(|at| Command::NegativeAck(id(at)));
    (world.hub).commands(0, MemberId(1), nacks, &mut world.out);
    world.wait(2000);
    let redelivers = world.redelivers();
    assert_eq!(redelivers.len(), 1);
    assert_eq!(redelivers[0].len(), 500);
}

#[test]
fn of_a_redelivered_batch_only_what_was_asked_for_comes() {
    let mut world = World::open(Shared, 10);
    world.batch(0, 4);
    world.command(1, Command::Ack(batch_id(0, 0, 4)));
    world.command(1, Command::NegativeAck(batch_id(0, 2, 4)));
    world.wait(2000);
    assert_eq!(world.redelivers(), vec![vec![0]]);
    world.out.clear();
    world.upstream(again(0, Some(4)));
    assert_eq!(world.delivered(), vec![(1, 0, 2, 1)]);
    world.upstream(again(0, Some(4)));
    assert!(world.delivered().is_empty());
}

#[test]
fn acked_indexes_of_a_batch_are_remembered_when_the_rest_was_asked_for() {
    let mut world = World::open(Shared, 10);
    world.batch(0, 3);
    world.command(1, Command::Ack(batch_id(0, 1, 3)));
    world.command(1, Command::NegativeAck(id(0)));
    world.wait(2000);
    assert_eq!(world.hub.retained_bytes(), 0);
    world.out.clear();
    world.upstream(again(0, Some(3)));
    let got: Vec<_> = world.delivered().into_iter().map(|m| m.2).collect();
    assert_eq!(got, vec![0, 2]);
    world.command(1, Command::Ack(batch_id(0, 0, 3)));
    world.command(1, Command::Ack(batch_id(0, 2, 3)));
    assert_eq!(world.acks(), vec![(0, vec![])]);
}

/// What came again was charged once more each time and given back with the entry as a whole: after a while the hub
/// asked the broker for nothing.
#[test]
fn a_half_held_batch_is_charged_for_what_is_live_however_often_the_rest_comes() {
    let mut world = World::open(Shared, 10);
    world.batch(0, 2);
    let both = world.hub.retained_bytes();
    for _ in 0..100 {
        world.command(1, Command::NegativeAck(batch_id(0, 1, 2)));
        world.wait(2000);
        assert_eq!(world.hub.retained_bytes(), both / 2);
        world.upstream(again(0, Some(2)));
        assert_eq!(world.hub.retained_bytes(), both);
    }
    world.command(1, Command::Ack(batch_id(0, 0, 2)));
    assert_eq!(world.hub.retained_bytes(), both / 2);
    world.command(1, Command::Ack(batch_id(0, 1, 2)));
    assert_eq!(world.hub.retained_bytes(), 0);
}

#[test]
fn a_batch_that_waits_again_survives_that_the_rest_of_it_times_out() {
    let mut world = World::open(Shared, 4);
    world.batch(0, 2);
    world.entries(1..3);
    world.out.clear();
    world.command(1, Command::NegativeAck(batch_id(0, 0, 2)));
    world.entries(3..4);
    world.wait(2000);
    world.upstream(again(0, Some(2)));
    world.command(1, Command::NegativeAck(batch_id(0, 1, 2)));
    world.wait(2000);
    world.upstream(again(0, Some(2)));
    for at in 1..4 {
        world.command(1, Command::Ack(id(at)));
    }
    let mut got: Vec<_> = world.delivered().into_iter().map(|m| (m.1, m.2)).collect();
    got.sort_unstable();
    assert_eq!(got, vec![(0, 0), (0, 1), (3, -1)]);
}

#[test]
fn an_ack_after_a_negative_ack_takes_it_back() {
    let mut world = World::open(Shared, 10);
    world.entries(0..1);
    world.command(1, Command::NegativeAck(id(0)));
    world.command(1, Command::Ack(id(0)));
    world.wait(2000);
    assert!(world.redelivers().is_empty());
    assert_eq!(world.ack_commands().len(), 1);
}

#[test]
fn an_ack_that_crosses_the_redelivery_is_not_forgotten() {
    let mut world = World::open(Shared, 10);
    world.entries(0..1);
    world.command(1, Command::NegativeAck(id(0)));
    world.wait(2000);
    world.command(1, Command::Ack(id(0)));
    assert_eq!(world.acks(), vec![(0, vec![])]);
    world.out.clear();
    world.upstream(again(0, None));
    assert!(world.delivered().is_empty());
    assert_eq!(world.acks(), vec![(0, vec![])]);
}

#[test]
fn on_exclusive_everything_unsettled_comes_again_in_order() {
    let mut world = World::open(Exclusive, 4);
    world.entries(0..6);
    world.command(1, Command::Ack(id(1)));
    world.out.clear();
    world.command(1, Command::NegativeAck(id(2)));
    world.wait(2000);
    let kinds: Vec<_> = (world.out.iter())
        .filter(|e| matches!(e, Effect::Ack { .. } | Effect::Redeliver { .. }))
        .collect();
    assert!(matches!(
        kinds[..],
        [Effect::Ack { .. }, Effect::Redeliver { positions, .. }] if positions.is_empty()
    ));
    world.out.clear();
    for at in [0, 2, 3, 4, 5] {
        world.upstream(Upstream::Entry(entry(at, None)));
    }
    assert_eq!(world.delivered_entries(), vec![0, 2, 3, 4]);
}

#[test]
fn on_exclusive_deliveries_of_an_older_epoch_are_dropped() {
    let mut world = World::open(Exclusive, 10);
    let of_epoch = |at, consumer_epoch| {
        Upstream::Entry(Entry {
            consumer_epoch: Some(consumer_epoch),
            ..entry(at, None)
        })
    };
    for round in 0..2 {
        world.upstream(of_epoch(0, round));
        world.command(1, Command::NegativeAck(id(0)));
        world.wait(2000);
        world.out.clear();
        // It was under way when everything was asked for again.
        world.upstream(of_epoch(1, round));
        assert_eq!(world.delivered_entries(), Vec::<u64>::new());
    }
    world.upstream(of_epoch(0, 2));
    world.upstream(of_epoch(1, 2));
    assert_eq!(world.delivered_entries(), vec![0, 1]);
    assert_eq!(world.hub.stats().stale_epoch, 2);
}

fn with_timeout(subscription_type: SubscriptionType) -> World {
    let mut world = World::new(hub_spec(subscription_type));
    world.open_with(MemberSpec {
        ack_timeout_ms: 1000,
        ..member_spec(subscription_type, 2)
    });
    world
}

#[test]
fn an_ack_timeout_redelivers_without_delay_and_frees_the_window() {
    let mut world = with_timeout(Shared);
    world.entries(0..1);
    world.wait(500);
    world.entries(1..3);
    assert_eq!(world.delivered_entries(), vec![0, 1]);
    world.wait(499);
    assert!(world.redelivers().is_empty());
    world.wait(1);
    assert_eq!(world.redelivers(), vec![vec![0]]);
    assert_eq!(world.delivered_entries(), vec![2]);
    world.command(1, Command::Ack(id(1)));
    world.command(1, Command::Ack(id(2)));
    world.wait(5000);
    assert!(world.redelivers().is_empty());
    assert_eq!(world.hub.stats().ack_timeouts, 1);
}

#[test]
fn an_ack_timeout_on_exclusive_redelivers_everything() {
    let mut world = with_timeout(Exclusive);
    world.entries(0..4);
    world.out.clear();
    world.wait(1000);
    assert_eq!(world.redelivers(), vec![Vec::<u64>::new()]);
    world.entries(0..4);
    assert_eq!(world.delivered_entries(), vec![0, 1]);
}

#[test]
#[cfg_attr(miri, ignore = "a bound of thousands, interpreted")]
fn timers_do_not_grow_with_what_is_settled() {
    let mut world = with_timeout(Shared);
    for at in 0..10_000 {
        world.entries(at..at + 1);
        world.command(1, Command::Ack(id(at)));
    }
    world.wait(1000);
    world.out.clear();
    assert_eq!(world.hub.next_deadline_ms(), None);
    assert_eq!(world.hub.stats().ack_timeouts, 0);
}
