//! Dead letters: which messages go, and what becomes of them.

use super::*;
use SubscriptionType::{Exclusive, KeyShared, Shared};

fn policy(max_redeliver_count: u32) -> Option<DeadLetterPolicy> {
    Some(DeadLetterPolicy {
        max_redeliver_count,
        topic: "dlq".into(),
    })
}

fn spec(subscription_type: SubscriptionType, max_redeliver_count: u32) -> MemberSpec {
    MemberSpec {
        dead_letter: policy(max_redeliver_count),
        ..member_spec(subscription_type, 10)
    }
}

fn world(subscription_type: SubscriptionType, max_redeliver_count: u32) -> World {
    let mut world = World::new(hub_spec(subscription_type));
    world.open_with(spec(subscription_type, max_redeliver_count));
    world
}

fn counted(at: u64, redelivery_count: u32) -> Upstream {
    Upstream::Entry(Entry {
        redelivery_count,
        ..entry(at, None)
    })
}

impl World {
    /// (letter, entry, batch index) of what was to be published since last asked.
    fn letters(&mut self) -> Vec<(u64, u64, i32)> {
        self.take(|effect| match effect {
            Effect::PublishDeadLetter {
                letter, message, ..
            } => Some((*letter, message.id.entry, message.id.batch_index)),
            _ => None,
        })
    }

    fn letter_done(&mut self, letter: u64, result: Result<(), BrokerError>) {
        (self.hub).dead_letter_done(self.now_ms, letter, result, &mut self.out);
    }

    fn is_finished(&self) -> bool {
        self.out.iter().any(|e| matches!(e, Effect::Finished))
    }
}

#[test]
fn after_its_last_redelivery_a_message_is_published_and_then_acked() {
    for kind in [Shared, KeyShared] {
        let mut world = world(kind, 1);
        world.upstream(counted(0, 1));
        assert_eq!(world.delivered(), vec![(1, 0, -1, 1)]);
        world.command(1, Command::NegativeAck(id(0)));
        world.wait(2000);
        assert!(world.redelivers().is_empty());
        let letters = world.letters();
        assert_eq!(letters, vec![(1, 0, -1)]);
        assert!(world.acks().is_empty());
        world.letter_done(1, Ok(()));
        assert_eq!(world.acks(), vec![(0, vec![])]);
        assert_eq!(world.hub.retained_bytes(), 0);
    }
}

#[test]
fn before_it_is_redelivered() {
    let mut world = world(Shared, 2);
    world.upstream(counted(0, 1));
    world.command(1, Command::NegativeAck(id(0)));
    world.wait(2000);
    assert_eq!(world.redelivers(), vec![vec![0]]);
    assert!(world.letters().is_empty());
}

#[test]
fn an_ack_timeout_leads_there_too() {
    let mut world = World::new(hub_spec(Shared));
    world.open_with(MemberSpec {
        ack_timeout_ms: 1000,
        ..spec(Shared, 1)
    });
    world.upstream(counted(0, 1));
    world.wait(1000);
    assert_eq!(world.letters(), vec![(1, 0, -1)]);
    assert!(world.redelivers().is_empty());
}

#[test]
fn a_message_that_comes_with_a_higher_count_is_not_delivered() {
    let mut world = world(Shared, 1);
    world.upstream(counted(0, 2));
    world.upstream(counted(1, 0));
    assert_eq!(world.delivered(), vec![(1, 1, -1, 0)]);
    assert_eq!(world.letters(), vec![(1, 0, -1)]);
}

#[test]
fn a_member_without_a_policy_gets_it_all_the_same() {
    let mut world = World::open(Shared, 10);
    world.join(2, spec(Shared, 1));
    for at in 0..4 {
        world.upstream(counted(at, 2));
    }
    let to: Vec<u64> = world.delivered().into_iter().map(|m| m.0).collect();
    assert!(!to.is_empty() && to.iter().all(|member| *member == 1));
    assert_eq!(to.len() + world.letters().len(), 4);
}

#[test]
fn on_exclusive_there_are_no_counts_and_no_dead_letters() {
    let mut world = world(Exclusive, 1);
    world.upstream(counted(0, 5));
    assert_eq!(world.delivered_entries(), vec![0]);
    world.command(1, Command::NegativeAck(id(0)));
    world.wait(2000);
    assert!(world.letters().is_empty());
}

#[test]
fn what_the_topic_does_not_take_is_redelivered_a_little_later() {
    let mut world = world(Shared, 1);
    world.upstream(counted(0, 2));
    for (round, delay_ms) in [100, 200, 400].into_iter().enumerate() {
        let letter = world.letters()[0].0;
        world.letter_done(letter, Err(refusal(ErrorKind::NotFound)));
        world.wait(delay_ms - 1);
        assert!(world.redelivers().is_empty());
        world.wait(1);
        assert_eq!(world.redelivers(), vec![vec![0]]);
        world.upstream(counted(0, 3 + round as u32));
    }
    let letter = world.letters()[0].0;
    world.letter_done(letter, Ok(()));
    assert_eq!(world.acks(), vec![(0, vec![])]);
}

#[test]
fn that_others_are_taken_makes_its_next_try_no_earlier() {
    let mut world = world(Shared, 1);
    world.upstream(counted(0, 4));
    world.upstream(counted(1, 2));
    let letters = world.letters();
    world.letter_done(letters[1].0, Ok(()));
    world.letter_done(letters[0].0, Err(refusal(ErrorKind::MessageTooLarge)));
    world.wait(399);
    assert!(world.redelivers().is_empty());
    world.wait(1);
    assert_eq!(world.redelivers(), vec![vec![0]]);
}

#[test]
fn an_ack_within_the_delay_wins() {
    let mut world = world(Shared, 1);
    world.upstream(counted(0, 1));
    world.command(1, Command::NegativeAck(id(0)));
    world.command(1, Command::Ack(id(0)));
    world.wait(2000);
    assert!(world.letters().is_empty());
    assert_eq!(world.ack_commands().len(), 1);
}

#[test]
fn an_ack_while_it_is_published_makes_no_second_one() {
    let mut world = world(Shared, 1);
    world.upstream(counted(0, 2));
    world.command(1, Command::Ack(id(0)));
    assert_eq!(world.acks(), vec![(0, vec![])]);
    world.letter_done(1, Ok(()));
    assert!(world.acks().is_empty());
}

#[test]
fn of_a_batch_only_what_is_meant_goes() {
    let mut world = world(Shared, 1);
    world.upstream(Upstream::Entry(Entry {
        redelivery_count: 1,
        ..entry(0, Some(3))
    }));
    world.command(1, Command::NegativeAck(batch_id(0, 1, 3)));
    world.wait(2000);
    assert_eq!(world.letters(), vec![(1, 0, 1)]);
    world.letter_done(1, Ok(()));
    assert_eq!(world.acks(), vec![(0, vec![0b101])]);
}

#[test]
fn it_outlives_its_member_while_others_are_there() {
    let mut world = world(Shared, 1);
    world.join(2, member_spec(Shared, 10));
    world.upstream(counted(0, 1));
    let holder = world.delivered()[0].0;
    assert_eq!(holder, 1);
    world.command(1, Command::NegativeAck(id(0)));
    world.leave(1);
    world.wait(2000);
    assert_eq!(world.letters().len(), 1);
    world.letter_done(1, Ok(()));
    assert_eq!(world.acks(), vec![(0, vec![])]);
}

#[test]
fn the_hub_of_the_last_member_waits_for_its_letters() {
    let mut world = world(Shared, 1);
    world.upstream(counted(0, 2));
    world.leave(1);
    assert!(!world.is_finished());
    world.letter_done(1, Ok(()));
    assert!(world.is_finished());
    assert_eq!(world.ack_commands().len(), 1);
}

#[test]
fn but_not_for_ever() {
    let mut world = world(Shared, 1);
    world.upstream(counted(0, 2));
    world.leave(1);
    world.wait(super::super::limits::DEAD_LETTER_LINGER_MS);
    assert!(world.is_finished());
    assert!(world.ack_commands().is_empty());
}

#[test]
fn who_comes_meanwhile_has_the_hub() {
    let mut world = world(Shared, 1);
    world.upstream(counted(0, 2));
    world.leave(1);
    world.join(2, member_spec(Shared, 10));
    world.letter_done(1, Ok(()));
    world.wait(10_000);
    assert!(!world.is_finished());
    world.entries(1..2);
    assert_eq!(world.delivered(), vec![(2, 1, -1, 0)]);
}

#[test]
fn a_lost_connection_brings_no_second_letter() {
    let mut world = world(Shared, 1);
    world.upstream(counted(0, 2));
    world.letters();
    world.lose(true);
    world.upstream(counted(0, 0));
    assert!(world.delivered().is_empty() && world.letters().is_empty());
    world.letter_done(1, Ok(()));
    assert_eq!(world.acks(), vec![(0, vec![])]);
}

#[test]
#[cfg_attr(miri, ignore = "a bound of thousands, interpreted")]
fn a_topic_full_of_dead_messages_is_asked_for_in_measure() {
    let mut world = world(Shared, 1);
    let most = super::super::limits::MAX_DEAD_LETTERS as u64;
    for at in 0..most {
        world.upstream(counted(at, 2));
    }
    world.flows();
    world.letters();
    world.upstream(counted(most, 2));
    assert!(world.flows().is_empty());
    for letter in 1..=10 {
        world.letter_done(letter, Ok(()));
    }
    assert!(!world.flows().is_empty());
}
