//! Seeks, and hubs that begin at a publish time.

use super::*;
use crate::pulsar::client::SeekTarget;
use SubscriptionType::{Exclusive, Shared};

impl World {
    fn seeks(&mut self) -> Vec<(u64, SeekTarget)> {
        self.take(|effect| match effect {
            Effect::Seek { tag, target, .. } => Some((*tag, *target)),
            _ => None,
        })
    }

    fn seek_answers(&mut self) -> Vec<Result<(), CommandRefused>> {
        self.take(|effect| match effect {
            Effect::Answer { answer, .. } => Some(answer.result.clone()),
            _ => None,
        })
    }

    fn ask_seek(&mut self, target: SeekTarget) -> u64 {
        let asked = Asked {
            request: "1".into(),
            command: Command::Seek(target),
        };
        self.command(1, Command::Asked(Box::new(asked)));
        self.seeks()[0].0
    }
}

fn sought(tag: u64) -> Upstream {
    Upstream::Sought {
        tag,
        result: Ok(()),
    }
}

#[test]
fn whoever_held_what_it_comes_anew_and_acked_messages_too() {
    for (lost_first, resumed_first) in [(true, false), (true, true), (false, false)] {
        let mut world = World::open(Shared, 2);
        world.join(2, member_spec(Shared, 2));
        world.entries(0..4);
        world.command(1, Command::Ack(id(0)));
        world.command(2, Command::NegativeAck(id(1)));
        world.out.clear();
        let tag = world.ask_seek(SeekTarget::Earliest);
        assert_eq!(world.ack_commands().len(), 1);
        let lost = Upstream::Lost { abrupt: false };
        if lost_first {
            world.upstream(lost.clone());
        }
        if resumed_first {
            world.upstream(Upstream::Resumed);
            assert!(world.flows().is_empty());
        }
        world.upstream(sought(tag));
        assert_eq!(world.seek_answers(), [Ok(())]);
        if !lost_first {
            world.upstream(lost);
        }
        if !resumed_first {
            world.upstream(Upstream::Resumed);
        }
        assert_eq!(world.flows(), [4]);
        world.entries(0..4);
        assert_eq!(world.delivered_entries().len(), 4);
        world.wait(10_000);
        assert!(world.redelivers().is_empty() && world.ack_commands().is_empty());
    }
}

#[test]
fn acks_before_it_go_before_it_and_nothing_goes_meanwhile() {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..2);
    world.out.clear();
    world.command(1, Command::Ack(id(0)));
    world.command(1, Command::Seek(SeekTarget::Latest));
    let order: Vec<bool> = (world.out.iter())
        .filter_map(|effect| match effect {
            Effect::Ack { .. } => Some(false),
            Effect::Seek { .. } => Some(true),
            _ => None,
        })
        .collect();
    assert_eq!(order, [false, true]);
    let tag = world.seeks()[0].0;
    world.out.clear();
    world.command(1, Command::Ack(id(1)));
    world.entries(2..3);
    world.wait(5_000);
    assert!(world.out.is_empty());
    world.upstream(sought(tag));
    assert!(world.acks().is_empty() && world.delivered().is_empty());
    // Nobody asked for an answer.
    assert!(world.seek_answers().is_empty());
}

#[test]
fn a_refused_seek_leaves_everything_as_it_was() {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..2);
    world.out.clear();
    let tag = world.ask_seek(SeekTarget::Message(id(0)));
    world.command(1, Command::Ack(id(1)));
    world.entries(2..3);
    world.upstream(Upstream::Sought {
        tag,
        result: Err(refusal(ErrorKind::Other)),
    });
    let refused = CommandRefused::Broker(refusal(ErrorKind::Other));
    assert_eq!(world.seek_answers(), [Err(refused)]);
    assert_eq!(world.delivered_entries(), vec![2]);
    assert_eq!(world.acks(), vec![(1, vec![])]);
}

#[test]
fn one_at_a_time_and_only_while_connected() {
    let mut world = World::open(Exclusive, 10);
    let tag = world.ask_seek(SeekTarget::Earliest);
    world.command(1, Command::Seek(SeekTarget::Latest));
    assert_eq!(world.seek_answers().len(), 1);
    world.upstream(sought(tag));
    assert_eq!(world.seek_answers(), [Ok(())]);
    world.upstream(Upstream::Lost { abrupt: true });
    world.command(1, Command::Seek(SeekTarget::Latest));
    assert!(matches!(
        world.seek_answers()[..],
        [Err(CommandRefused::Broker(_))]
    ));
}

#[test]
fn an_id_moves_its_own_partition_only() {
    let mut world = World::new(hub_spec(Exclusive));
    world.join(1, member_spec(Exclusive, 10));
    let topic = "persistent://public/default/t";
    (world.hub).partitions(0, topic, Ok(2), &mut world.out);
    for slot in 0..2 {
        (world.hub).upstream(0, slot, Upstream::Ready, &mut world.out);
    }
    world.out.clear();
    let id = MessageId {
        partition: 1,
        ..id(0)
    };
    world.command(1, Command::Seek(SeekTarget::Message(id)));
    let slots = world.take(|effect| match effect {
        Effect::Seek { slot, .. } => Some(*slot),
        _ => None,
    });
    assert_eq!(slots, [1]);
    world.command(1, Command::Seek(SeekTarget::Earliest));
    assert_eq!(world.seek_answers().len(), 1);
}

impl World {
    fn told_siblings(&mut self) -> Vec<SiblingSeek> {
        self.take(|effect| match effect {
            Effect::TellSiblings(seek) => Some((**seek).clone()),
            _ => None,
        })
    }

    fn hear_seek(&mut self, stage: SeekStage) {
        let seek = SiblingSeek {
            topic: TOPIC.to_owned(),
            target: SeekTarget::Earliest,
            stage,
        };
        let heard = [Input::SeekByOther(Box::new(seek))];
        (self.hub).run(self.now_ms, heard, &mut Vec::new(), &mut self.out);
    }
}

/// It only saw that its consumer was closed in order: it acked again what it had acked of the batch, and kept back what
/// it held, so that the seek replayed neither.
#[test]
fn a_hub_beside_the_one_that_seeks_pauses_and_forgets_too() {
    for outcome_first in [false, true] {
        let mut world = World::open(Shared, 10);
        world.batch(0, 3);
        world.entries(1..3);
        world.command(1, Command::Ack(batch_id(0, 1, 3)));
        world.command(1, Command::Ack(id(1)));
        world.out.clear();
        world.hear_seek(SeekStage::Begun);
        world.entries(3..4);
        if outcome_first {
            world.hear_seek(SeekStage::Moved);
        }
        world.upstream(Upstream::Lost { abrupt: false });
        world.upstream(Upstream::Resumed);
        if !outcome_first {
            world.wait(10_000);
            assert!(world.out.is_empty(), "{:?}", world.out);
            world.hear_seek(SeekStage::Moved);
        }
        assert!(world.acks().is_empty());
        world.out.clear();
        world.batch(0, 3);
        world.entries(1..4);
        let got: Vec<_> = world.delivered().into_iter().map(|m| (m.1, m.2)).collect();
        assert_eq!(got, [(0, 0), (0, 1), (0, 2), (1, -1), (2, -1), (3, -1)]);
    }
}

#[test]
fn a_refused_seek_of_another_hub_changes_nothing() {
    let mut world = World::open(Shared, 10);
    world.entries(0..2);
    world.command(1, Command::Ack(id(0)));
    world.out.clear();
    world.hear_seek(SeekStage::Begun);
    world.command(1, Command::Seek(SeekTarget::Latest));
    assert_eq!(world.seek_answers().len(), 1);
    assert!(world.seeks().is_empty());
    world.entries(2..3);
    assert!(world.delivered().is_empty());
    world.hear_seek(SeekStage::Refused);
    assert_eq!(world.delivered_entries(), [2]);
    assert_eq!(world.acks(), [(0, vec![])]);
    // An end without a beginning is of a seek that was before this consumer.
    world.hear_seek(SeekStage::Moved);
    world.command(1, Command::Ack(id(1)));
    assert_eq!(world.acks(), [(1, vec![])]);
}

#[test]
fn other_hubs_hear_of_a_seek_and_always_of_its_end() {
    let told = |stage| SiblingSeek {
        topic: TOPIC.to_owned(),
        target: SeekTarget::Earliest,
        stage,
    };
    for (result, stage) in [
        (Ok(()), SeekStage::Moved),
        (Err(refusal(ErrorKind::Other)), SeekStage::Refused),
    ] {
        let mut world = World::open(Shared, 10);
        let tag = world.ask_seek(SeekTarget::Earliest);
        assert_eq!(world.told_siblings(), [told(SeekStage::Begun)]);
        world.upstream(Upstream::Sought { tag, result });
        assert_eq!(world.told_siblings(), [told(stage)]);
    }
    let mut world = World::open(Shared, 10);
    world.ask_seek(SeekTarget::Earliest);
    world.told_siblings();
    world.leave(1);
    assert_eq!(world.told_siblings(), [told(SeekStage::Moved)]);
}

fn from_time(time_ms: u64) -> World {
    let mut world = World::new(HubSpec {
        durable: false,
        start: Some(crate::pulsar::client::StartPosition::Earliest),
        start_time_ms: Some(time_ms),
        ..hub_spec(Exclusive)
    });
    world.join(1, member_spec(Exclusive, 10));
    let topic = "persistent://public/default/t";
    (world.hub).partitions(0, topic, Ok(0), &mut world.out);
    world.out.clear();
    world.upstream(Upstream::Ready);
    world
}

#[test]
fn a_hub_that_begins_at_a_time_opens_when_it_is_there() {
    let mut world = from_time(1);
    let joined = |effect: &Effect| matches!(effect, Effect::Joined { .. });
    let seeks = world.seeks();
    assert_eq!(seeks[0].1, SeekTarget::PublishTime(1));
    assert!(!world.out.iter().any(joined) && world.flows().is_empty());
    world.upstream(Upstream::Lost { abrupt: false });
    world.upstream(sought(seeks[0].0));
    assert!(world.out.iter().any(joined));
    world.upstream(Upstream::Resumed);
    assert_eq!(world.flows(), [10]);
    world.entries(0..2);
    assert_eq!(world.delivered_entries(), vec![0, 1]);
    assert!(world.seeks().is_empty());
}

#[test]
fn what_is_older_than_the_time_is_skipped_when_its_cursor_was_lost() {
    // Entries of these tests are published at 1.
    let mut world = from_time(2);
    let tag = world.seeks()[0].0;
    world.upstream(sought(tag));
    world.lose(true);
    world.entries(0..2);
    assert!(world.delivered().is_empty());
}

#[test]
fn a_time_that_cannot_be_found_refuses_the_reader() {
    let mut world = from_time(1);
    let tag = world.seeks()[0].0;
    let result = Err(refusal(ErrorKind::Other));
    world.upstream(Upstream::Sought { tag, result });
    let refused = |effect: &Effect| matches!(effect, Effect::Refused { .. });
    assert!(world.out.iter().any(refused));
}
