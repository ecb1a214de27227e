//! Cumulative acks.

use super::*;
use SubscriptionType::{Exclusive, Failover, KeyShared, Shared};

impl World {
    /// (entry, ack set) of the cumulative acks sent since last asked, after the gathering time.
    fn cumulative(&mut self) -> Vec<(u64, Vec<u64>)> {
        self.wait(super::super::limits::ACK_GATHER_MS);
        let sent = self.cumulative_commands();
        sent.into_iter()
            .map(|(_, entry, set)| (entry, set))
            .collect()
    }

    fn cumulative_commands(&mut self) -> Vec<(u64, u64, Vec<u64>)> {
        self.take(|effect| match effect {
            Effect::AckCumulative { tag, position, .. } => {
                Some((*tag, position.entry, position.ack_set.clone()))
            }
            _ => None,
        })
    }

    fn refused(&mut self) -> usize {
        let refused = |effect: &Effect| match effect {
            Effect::Answer { answer, .. } => answer.result.is_err().then_some(()),
            _ => None,
        };
        self.take(refused).len()
    }
}

#[test]
fn one_ack_settles_all_before_it_and_frees_what_it_settles() {
    for kind in [Exclusive, Failover] {
        let mut world = World::open(kind, 5);
        world.entries(0..8);
        assert_eq!(world.delivered_entries(), vec![0, 1, 2, 3, 4]);
        world.command(1, Command::Ack(id(1)));
        assert_eq!(world.delivered_entries(), vec![5]);
        world.command(1, Command::AckCumulative(id(3)));
        assert_eq!(world.delivered_entries(), vec![6, 7]);
        assert_eq!(world.cumulative(), vec![(3, vec![])]);
        // The single one before it is in it.
        assert!(world.ack_commands().is_empty());
        assert_eq!(world.refused(), 0);
    }
}

#[test]
fn what_waits_here_or_is_on_its_way_is_settled_too() {
    let mut world = World::open(Exclusive, 2);
    world.entries(0..4);
    world.out.clear();
    world.command(1, Command::AckCumulative(id(5)));
    world.entries(4..7);
    assert_eq!(world.delivered_entries(), vec![6]);
}

/// The broker answers such an ack with success and moves nothing.
#[test]
fn an_id_beyond_the_end_of_the_topic_settles_nothing_that_comes_after_the_answer() {
    for came in [0, 3] {
        let mut world = World::open(Exclusive, 10);
        world.entries(0..came);
        world.command(1, Command::AckCumulative(id(1000)));
        world.wait(super::super::limits::ACK_GATHER_MS);
        let tag = world.cumulative_commands()[0].0;
        world.ack_done(tag, Ok(()));
        world.out.clear();
        world.entries(0..came + 3);
        assert_eq!(world.delivered_entries(), vec![came, came + 1, came + 2]);
        let acked: Vec<_> = world.acks().into_iter().map(|(entry, _)| entry).collect();
        assert_eq!(acked, (0..came).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_not_confirmed_yet_stays_settled_when_an_earlier_one_is_confirmed() {
    let mut world = World::open(Exclusive, 10);
    world.command(1, Command::AckCumulative(id(2)));
    world.wait(super::super::limits::ACK_GATHER_MS);
    let tag = world.cumulative_commands()[0].0;
    world.command(1, Command::AckCumulative(id(4)));
    world.ack_done(tag, Ok(()));
    world.entries(3..6);
    assert_eq!(world.delivered_entries(), vec![5]);
}

#[test]
fn within_a_batch_it_goes_up_to_its_index() {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..1);
    world.batch(1, 4);
    world.command(1, Command::Ack(batch_id(1, 3, 4)));
    world.command(1, Command::AckCumulative(batch_id(1, 1, 4)));
    assert_eq!(world.cumulative(), vec![(1, vec![0b0100])]);
    world.out.clear();
    world.command(1, Command::AckCumulative(batch_id(1, 3, 4)));
    assert_eq!(world.cumulative(), vec![(1, vec![])]);
    assert_eq!(world.hub.retained_bytes(), 0);
}

#[test]
fn within_a_batch_that_is_not_here() {
    let mut world = World::open(Exclusive, 10);
    world.command(1, Command::AckCumulative(batch_id(1, 1, 4)));
    assert_eq!(world.cumulative(), vec![(1, vec![0b1100])]);
    world.entries(0..1);
    world.batch(1, 4);
    let got: Vec<_> = world.delivered().into_iter().map(|m| (m.1, m.2)).collect();
    assert_eq!(got, vec![(1, 2), (1, 3)]);
}

#[test]
fn it_goes_out_again_on_the_next_connection_until_it_is_confirmed() {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..4);
    world.out.clear();
    world.command(1, Command::AckCumulative(id(1)));
    world.command(1, Command::AckCumulative(id(2)));
    assert_eq!(world.cumulative(), vec![(2, vec![])]);
    for abrupt in [true, false] {
        world.lose(abrupt);
        let sent = world.cumulative_commands();
        assert_eq!(sent[0].1, 2, "abrupt: {abrupt}");
        world.entries(0..4);
        assert!(world.delivered().is_empty(), "abrupt: {abrupt}");
    }
    world.lose(true);
    let tag = world.cumulative_commands()[0].0;
    world.ack_done(tag, Ok(()));
    world.lose(true);
    assert!(world.cumulative_commands().is_empty());
    world.entries(0..4);
    assert!(world.delivered().is_empty());
    world.wait(super::super::limits::ACK_GATHER_MS);
    for (tag, _) in world.ack_commands() {
        world.ack_done(tag, Ok(()));
    }
    // An administrator's reset replays what was confirmed, and not what the member holds.
    world.lose(false);
    world.entries(0..4);
    assert_eq!(world.delivered_entries(), vec![0, 1, 2]);
}

/// The new cluster numbers its ledgers by itself, most likely with smaller numbers.
#[test]
fn it_says_nothing_about_the_messages_of_another_cluster() {
    for confirmed in [false, true] {
        let mut world = World::open(Exclusive, 10);
        world.entries(0..4);
        world.command(1, Command::AckCumulative(id(2)));
        world.wait(super::super::limits::ACK_GATHER_MS);
        let tag = world.cumulative_commands()[0].0;
        if confirmed {
            world.ack_done(tag, Ok(()));
        }
        world.out.clear();
        world.migrate();
        assert!(world.cumulative_commands().is_empty());
        world.entries(0..5);
        assert_eq!(world.delivered_entries(), vec![0, 1, 2, 3, 4]);
        assert!(world.acks().is_empty());
    }
}

#[test]
fn it_takes_back_negative_acks() {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..2);
    world.command(1, Command::NegativeAck(id(0)));
    world.command(1, Command::AckCumulative(id(1)));
    world.wait(2000);
    assert!(world.redelivers().is_empty());
}

#[test]
fn where_messages_are_settled_one_by_one_it_is_refused() {
    for kind in [Shared, KeyShared] {
        let mut world = World::open(kind, 10);
        world.entries(0..2);
        world.command(1, Command::AckCumulative(id(1)));
        assert_eq!(world.refused(), 1);
        assert!(world.acks().is_empty() && world.cumulative().is_empty());
    }
}

#[test]
fn ids_that_lie_cost_nothing() {
    let mut world = World::open(Exclusive, 10);
    world.batch(0, 2);
    for id in [
        batch_id(0, 2, 4),
        batch_id(0, i32::MAX, i32::MAX),
        batch_id(5, i32::MAX - 1, i32::MAX),
        batch_id(5, 3, 3),
    ] {
        world.command(1, Command::AckCumulative(id));
    }
    assert_eq!(world.refused(), 4);
    world.command(1, Command::AckCumulative(batch_id(0, 0, i32::MAX)));
    assert_eq!(world.cumulative(), vec![(0, vec![0b10])]);
}

#[test]
fn it_is_answered_when_the_broker_has_it() {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..2);
    let asked = Asked {
        request: "1".into(),
        command: Command::AckCumulative(id(1)),
    };
    world.command(1, Command::Asked(Box::new(asked)));
    world.wait(100);
    let answers = |world: &mut World| {
        let answer = |effect: &Effect| match effect {
            Effect::Answer { answer, .. } => Some(answer.clone()),
            _ => None,
        };
        world.take(answer)
    };
    assert!(answers(&mut world).is_empty());
    let tag = world.cumulative_commands()[0].0;
    world.ack_done(tag, Ok(()));
    assert_eq!(answers(&mut world)[0].result, Ok(()));
}
