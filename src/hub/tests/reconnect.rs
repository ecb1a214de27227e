//! A lost upstream: nothing is lost, nothing is repeated.

use super::*;
use SubscriptionType::{Exclusive, Failover, Shared};

#[test]
fn what_members_hold_is_not_given_out_again() {
    let mut world = World::open(Shared, 10);
    world.entries(0..3);
    world.lose(true);
    world.out.clear();
    world.entries(0..4);
    assert_eq!(world.delivered_entries(), vec![3]);
    assert_eq!(world.hub.stats().repeats_suppressed, 3);
    world.command(1, Command::Ack(id(1)));
    assert_eq!(world.acks(), vec![(1, vec![])]);
}

#[test]
fn what_waited_is_dropped_and_comes_again_in_order() {
    let mut world = World::open(Exclusive, 2);
    world.entries(0..5);
    world.out.clear();
    world.lose(true);
    world.entries(0..6);
    for at in 0..6 {
        world.command(1, Command::Ack(id(at)));
    }
    assert_eq!(world.delivered_entries(), vec![2, 3, 4, 5]);
}

#[test]
fn after_a_reconnect_permits_are_given_anew_and_some_for_the_repeats() {
    let mut world = World::open(Shared, 10);
    world.entries(0..4);
    world.out.clear();
    world.upstream(Upstream::Lost { abrupt: true });
    world.command(1, Command::Ack(id(0)));
    assert!(world.flows().is_empty());
    world.upstream(Upstream::Resumed);
    // Seven places, and three messages that are held and may come again.
    assert_eq!(world.flows(), vec![10]);
}

#[test]
fn acks_that_were_not_confirmed_are_sent_again_before_the_permits() {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..4);
    world.command(1, Command::Ack(id(0)));
    let sent = {
        world.wait(10);
        world.ack_commands()
    };
    world.command(1, Command::Ack(id(1)));
    world.upstream(Upstream::Lost { abrupt: false });
    world.command(1, Command::Ack(id(2)));
    world.wait(100);
    assert!(world.ack_commands().is_empty());
    world.out.clear();
    world.upstream(Upstream::Resumed);
    assert!(matches!(
        world.out[..],
        [Effect::Ack { .. }, Effect::Flow { .. }]
    ));
    let again: Vec<_> = world.ack_commands().remove(0).1;
    let mut again: Vec<_> = again.into_iter().map(|p| p.entry).collect();
    again.sort_unstable();
    assert_eq!(again, vec![0, 1, 2]);
    assert_eq!(sent.len(), 1);
    world.entries(0..5);
    assert_eq!(world.delivered_entries(), vec![4]);
}

/// A member holds entry 1, and has acked entry 0, as the broker knows.
fn one_confirmed() -> World {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..2);
    world.command(1, Command::Ack(id(0)));
    world.wait(10);
    let tag = world.ack_commands()[0].0;
    world.ack_done(tag, Ok(()));
    world
}

#[test]
fn a_confirmed_ack_that_the_broker_forgot_is_made_again() {
    let mut world = one_confirmed();
    world.lose(true);
    world.out.clear();
    world.entries(0..3);
    assert_eq!(world.delivered_entries(), vec![2]);
    assert_eq!(world.acks(), vec![(0, vec![])]);
}

#[test]
fn after_a_cursor_reset_confirmed_messages_are_replayed() {
    let mut world = one_confirmed();
    world.command(1, Command::Ack(id(1)));
    world.lose(false);
    world.out.clear();
    world.entries(0..3);
    assert_eq!(world.delivered_entries(), vec![0, 2]);
}

#[test]
fn a_refused_ack_is_sent_again_with_the_next_connection() {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..1);
    world.command(1, Command::Ack(id(0)));
    world.wait(10);
    let tag = world.ack_commands()[0].0;
    world.ack_done(tag, Err(refusal(ErrorKind::Retryable)));
    world.lose(false);
    assert_eq!(world.ack_commands().len(), 1);
}

#[test]
fn acked_indexes_are_told_again_and_not_delivered_again() {
    let mut world = World::open(Shared, 10);
    world.batch(0, 3);
    world.command(1, Command::Ack(batch_id(0, 0, 3)));
    assert_eq!(world.acks(), vec![(0, vec![0b110])]);
    world.lose(true);
    assert_eq!(world.ack_commands().len(), 1);
    world.out.clear();
    world.batch(0, 3);
    assert!(world.delivered().is_empty());
    assert_eq!(world.acks(), vec![(0, vec![0b110])]);
}

#[test]
fn a_batch_that_was_given_out_in_part_is_completed() {
    let mut world = World::open(Shared, 2);
    world.batch(0, 4);
    assert_eq!(world.delivered().len(), 2);
    world.lose(true);
    world.batch(0, 4);
    world.command(1, Command::Ack(batch_id(0, 0, 4)));
    world.command(1, Command::Ack(batch_id(0, 1, 4)));
    let got: Vec<_> = world.delivered().into_iter().map(|m| m.2).collect();
    assert_eq!(got, vec![2, 3]);
}

#[test]
fn a_negative_ack_keeps_its_delay_over_a_reconnect() {
    let mut world = World::open(Shared, 10);
    world.entries(0..1);
    world.command(1, Command::NegativeAck(id(0)));
    world.lose(true);
    world.out.clear();
    world.entries(0..1);
    assert!(world.delivered().is_empty());
    world.wait(2000);
    assert_eq!(world.redelivers(), vec![vec![0]]);
    world.entries(0..1);
    assert_eq!(world.delivered_entries(), vec![0]);
}

#[test]
fn what_becomes_due_without_a_connection_comes_with_the_next_one() {
    let mut world = World::open(Shared, 10);
    world.entries(0..1);
    world.command(1, Command::NegativeAck(id(0)));
    world.upstream(Upstream::Lost { abrupt: true });
    world.wait(2000);
    assert!(world.redelivers().is_empty());
    world.upstream(Upstream::Resumed);
    world.out.clear();
    world.entries(0..1);
    assert_eq!(world.delivered_entries(), vec![0]);
}

#[test]
fn what_a_member_left_is_not_lost_with_the_connection() {
    let mut world = World::open(Shared, 1);
    world.entries(0..1);
    world.join(2, member_spec(Shared, 1));
    world.entries(1..2);
    world.out.clear();
    world.leave(1);
    world.lose(true);
    world.entries(0..2);
    assert!(world.delivered().is_empty());
    world.command(2, Command::Ack(id(1)));
    assert_eq!(world.delivered(), vec![(2, 0, -1, 0)]);
}

#[test]
fn nothing_of_one_cluster_counts_in_another() {
    let mut world = World::open(Shared, 6);
    world.entries(0..3);
    world.batch(3, 3);
    world.command(1, Command::Ack(id(0)));
    world.command(1, Command::NegativeAck(id(2)));
    world.command(1, Command::Ack(batch_id(3, 0, 3)));
    world.out.clear();
    world.migrate();
    assert!(world.ack_commands().is_empty());
    // What its client has not settled takes places still.
    world.entries(0..4);
    assert_eq!(world.delivered_entries(), vec![0, 1, 2]);
    world.wait(2000);
    assert!(world.redelivers().is_empty() && world.ack_commands().is_empty());
}

#[test]
fn a_client_that_waits_for_the_answer_to_an_ack_hears_that_its_topic_has_gone_elsewhere() {
    let mut world = World::open(Shared, 10);
    world.entries(0..2);
    for at in [0, 1] {
        let asked = Asked {
            request: "1".into(),
            command: Command::Ack(id(at)),
        };
        world.command(1, Command::Asked(Box::new(asked)));
        world.wait(100 * (1 - at));
    }
    let tag = world.ack_commands()[0].0;
    world.ack_done(tag, Err(refusal(ErrorKind::Retryable)));
    world.migrate();
    let refused = |effect: &Effect| match effect {
        Effect::Answer { answer, .. } => answer.result.is_err().then_some(()),
        _ => None,
    };
    assert_eq!(world.take(refused).len(), 2);
}

#[test]
fn a_non_durable_consumer_keeps_what_waits() {
    let mut world = World::new(HubSpec {
        durable: false,
        ..hub_spec(Exclusive)
    });
    world.open_with(member_spec(Exclusive, 1));
    world.entries(0..3);
    world.out.clear();
    world.lose(true);
    world.entries(3..4);
    for at in 0..3 {
        world.command(1, Command::Ack(id(at)));
    }
    assert_eq!(world.delivered_entries(), vec![1, 2, 3]);
}

/// What came before the loss does not come again: the broker's new cursor begins behind it.
#[test]
fn a_non_durable_consumer_keeps_what_waits_when_another_message_is_asked_for_again() {
    let mut world = World::new(HubSpec {
        durable: false,
        ..hub_spec(Exclusive)
    });
    world.open_with(member_spec(Exclusive, 2));
    world.entries(0..5);
    world.lose(true);
    world.entries(5..7);
    world.command(1, Command::NegativeAck(id(1)));
    assert_eq!(world.delivered_entries(), vec![0, 1, 2]);
    world.wait(2000);
    assert_eq!(world.redelivers().len(), 1);
    for at in 5..7 {
        world.upstream(Upstream::Entry(Entry {
            consumer_epoch: Some(1),
            ..entry(at, None)
        }));
    }
    for at in [0, 2, 3, 4] {
        world.command(1, Command::Ack(id(at)));
    }
    assert_eq!(world.delivered_entries(), vec![3, 4, 5, 6]);
}

#[test]
fn of_a_non_durable_one_the_next_active_member_gets_what_waits() {
    let mut world = World::new(HubSpec {
        durable: false,
        ..hub_spec(Failover)
    });
    world.open_with(member_spec(Failover, 2));
    world.entries(0..5);
    world.lose(true);
    world.out.clear();
    // Of equal names the last one is active.
    world.join(2, member_spec(Failover, 10));
    assert_eq!(
        world.delivered(),
        [2, 3, 4].map(|at| (2, at, -1, 0)),
        "{:?}",
        world.out
    );
    assert!(!world.hub.knows(&id(0)) && world.hub.knows(&id(4)));
}
