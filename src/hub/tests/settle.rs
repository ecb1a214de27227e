//! Acks and negative acks: what they mean, and what the broker is told.

use super::*;
use crate::hub::unsettled::Index;
use SubscriptionType::{Exclusive, Shared};

#[test]
fn acks_are_gathered_for_ten_milliseconds() {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..3);
    world.command(1, Command::Ack(id(0)));
    world.wait(9);
    world.command(1, Command::Ack(id(2)));
    assert!(world.ack_commands().is_empty());
    world.wait(1);
    let commands = world.ack_commands();
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0].1.len(), 2);
    assert_eq!(world.hub.next_deadline_ms(), None);
}

#[test]
#[cfg_attr(miri, ignore = "a bound of thousands, interpreted")]
fn a_thousand_acks_go_at_once() {
    let mut world = World::open(Exclusive, 1000);
    world.entries(0..1000);
    let acks = (0..1000).map(|at| Command::Ack(id(at)));
    (world.hub).commands(0, MemberId(1), acks, &mut world.out);
    assert_eq!(world.ack_commands()[0].1.len(), 1000);
}

#[test]
fn a_batch_is_acked_in_part_and_then_as_a_whole() {
    let mut world = World::open(Exclusive, 10);
    world.batch(0, 3);
    world.command(1, Command::Ack(batch_id(0, 1, 3)));
    assert_eq!(world.acks(), vec![(0, vec![0b101])]);
    world.command(1, Command::Ack(batch_id(0, 0, 3)));
    world.command(1, Command::Ack(batch_id(0, 2, 3)));
    assert_eq!(world.acks(), vec![(0, vec![])]);
}

#[test]
fn an_id_without_an_index_acks_the_whole_batch_and_frees_all_of_it() {
    let mut world = World::open(Exclusive, 3);
    world.batch(0, 3);
    world.batch(1, 3);
    assert_eq!(world.delivered().len(), 3);
    world.command(1, Command::Ack(id(0)));
    assert_eq!(world.acks(), vec![(0, vec![])]);
    assert_eq!(world.delivered().len(), 3);
}

#[test]
fn acking_twice_is_told_once() {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..1);
    world.command(1, Command::Ack(id(0)));
    world.command(1, Command::Ack(id(0)));
    assert_eq!(world.acks(), vec![(0, vec![])]);
    world.command(1, Command::Ack(id(0)));
    assert!(world.acks().is_empty());
}

#[test]
fn an_ack_on_another_socket_frees_both_windows() {
    let mut world = World::open(Shared, 1);
    world.entries(0..1);
    world.join(2, member_spec(Shared, 1));
    world.entries(1..2);
    assert_eq!(world.delivered(), vec![(1, 0, -1, 0), (2, 1, -1, 0)]);
    world.command(2, Command::Ack(id(0)));
    world.entries(2..4);
    let mut members: Vec<_> = world.delivered().into_iter().map(|m| m.0).collect();
    members.sort_unstable();
    assert_eq!(members, vec![1, 2]);
    assert_eq!(world.acks(), vec![(0, vec![])]);
}

#[test]
fn an_ack_of_an_unknown_id_is_passed_on_exactly() {
    let mut world = World::open(Shared, 10);
    world.command(1, Command::Ack(id(5)));
    assert_eq!(world.acks(), vec![(5, vec![])]);
    world.command(1, Command::Ack(batch_id(6, 1, 3)));
    assert_eq!(world.acks(), vec![(6, vec![0b101])]);
    world.command(1, Command::Ack(batch_id(6, 0, 3)));
    assert_eq!(world.acks(), vec![(6, vec![0b100])]);
    world.command(1, Command::Ack(batch_id(6, 2, 3)));
    assert_eq!(world.acks(), vec![(6, vec![])]);
}

#[test]
fn an_ack_that_crosses_the_message_is_not_forgotten() {
    let mut world = World::open(Shared, 10);
    world.entries(0..1);
    world.command(1, Command::Ack(id(1)));
    world.command(1, Command::Ack(batch_id(2, 0, 2)));
    world.out.clear();
    world.entries(1..2);
    world.batch(2, 2);
    let got: Vec<_> = world.delivered().into_iter().map(|m| (m.1, m.2)).collect();
    assert_eq!(got, vec![(2, 1)]);
}

#[test]
fn made_up_ids_are_harmless() {
    let mut world = World::open(Shared, 10);
    world.entries(0..1);
    world.batch(1, 2);
    let unsettled = world.hub.retained_bytes();
    let ids = [
        batch_id(0, 0, 2),
        batch_id(1, 2, 2),
        batch_id(1, i32::MAX, i32::MAX),
        batch_id(9, 5, 2),
        batch_id(9, 0, i32::MAX),
        batch_id(9, 0, -1),
        batch_id(9, i32::MIN, i32::MIN + 1),
        MessageId {
            partition: 7,
            ..id(0)
        },
        MessageId {
            ledger: u64::MAX,
            entry: u64::MAX,
            ..id(0)
        },
    ];
    for id in ids {
        world.command(1, Command::Ack(id));
        world.command(1, Command::NegativeAck(id));
    }
    world.wait(100_000);
    assert_eq!(world.hub.retained_bytes(), unsettled);
    assert!(world.redelivers().is_empty());
}

/// A frame of sixty bytes made the hub look at all of it.
#[test]
fn of_a_large_batch_a_negative_ack_looks_only_at_what_members_hold() {
    for size in [4, 1000] {
        let mut world = World::open(Shared, 2);
        world.batch(0, size);
        world.join(2, member_spec(Shared, 1));
        world.entries(1..2);
        world.command(1, Command::Ack(batch_id(0, 0, size)));
        let mut held: Vec<_> = world.delivered().into_iter().map(|m| m.2).collect();
        held.retain(|index| *index != 0);
        let mut looked_at = world.hub.held_of(0, (1, 0), -1);
        looked_at.sort_unstable();
        assert_eq!(looked_at, held);
        assert!(!held.is_empty());
        world.command(1, Command::NegativeAck(id(0)));
        assert!(!looked_at.iter().any(|index| {
            let entry = world.hub.slots[0].entries.get(&(1, 0));
            matches!(entry.unwrap().get(*index), Some(Index::Held(_)))
        }));
        world.wait(2000);
        assert_eq!(world.redelivers(), [[0]]);
    }
}

#[test]
fn what_is_acked_while_it_waits_is_not_delivered() {
    let mut world = World::open(Shared, 1);
    world.entries(0..3);
    world.batch(3, 3);
    assert_eq!(world.delivered_entries(), vec![0]);
    world.join(2, pull());
    world.command(2, Command::Ack(id(1)));
    world.command(2, Command::Ack(batch_id(3, 1, 3)));
    world.command(2, Command::Permit(10));
    let got: Vec<_> = world.delivered().into_iter().map(|m| (m.1, m.2)).collect();
    assert_eq!(got, vec![(2, -1), (3, 0), (3, 2)]);
    assert_eq!(world.acks(), vec![(1, vec![]), (3, vec![0b101])]);
}

#[test]
fn what_a_member_left_goes_to_the_others_in_order_and_first() {
    let mut world = World::open(Shared, 4);
    world.entries(0..3);
    world.batch(3, 3);
    world.join(2, pull());
    world.command(1, Command::Ack(id(1)));
    world.out.clear();
    world.leave(1);
    assert!(world.delivered().is_empty());
    world.command(2, Command::Permit(100));
    let got: Vec<_> = world.delivered().into_iter().map(|m| (m.1, m.2)).collect();
    // The ack has opened the window for one more of the batch before.
    assert_eq!(got, vec![(0, -1), (2, -1), (3, 0), (3, 1), (3, 2)]);
    assert!(world.redelivers().is_empty());
    assert_eq!(world.hub.stats().passed_on, 4);
}

#[test]
fn stats_count_what_happened() {
    let mut world = World::open(Shared, 10);
    world.entries(0..3);
    world.command(1, Command::Ack(id(0)));
    world.command(1, Command::NegativeAck(id(1)));
    world.wait(2000);
    let stats = world.hub.stats();
    assert_eq!(stats.delivered, 3);
    assert_eq!(stats.acked, 1);
    assert_eq!(stats.negative_acked, 1);
    assert_eq!(stats.redelivered, 1);
}

/// It may be settled already: by acks on other sockets, of which a hub of one socket hears nothing.
#[test]
#[cfg_attr(miri, ignore = "a bound of a million, interpreted")]
fn a_hub_of_one_socket_lets_the_oldest_go_where_more_is_held_than_it_can_follow() {
    const BATCH: i32 = 1000;
    let mut world = World::new(HubSpec {
        private: true,
        ..hub_spec(Shared)
    });
    world.open_with(MemberSpec {
        pull_mode: true,
        ..member_spec(Shared, 0)
    });
    world.command(1, Command::Permit(i32::MAX as u32));
    let batches = (super::super::limits::MAX_UNSETTLED_MESSAGES / BATCH as usize) as u64;
    for at in 0..batches + 2 {
        world.out.clear();
        world.batch(at, BATCH);
        world.wait(100);
        assert_eq!(world.delivered().len(), BATCH as usize);
    }
    assert!(world.hub.knows(&id(2)) && !world.hub.knows(&id(1)));
    assert_eq!(world.hub.retained_bytes(), 0);
    // The broker is asked for more, and a late ack is passed on.
    world.batch(batches + 2, BATCH);
    assert!(!world.flows().is_empty());
    world.command(1, Command::Ack(id(0)));
    assert_eq!(world.acks(), [(0, vec![])]);
}
