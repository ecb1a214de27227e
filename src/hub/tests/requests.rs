//! Commands with request ids: answered once, with the outcome, when the broker has confirmed.

use super::*;
use SubscriptionType::{Exclusive, Shared};

fn asked(request: &str, command: Command) -> Command {
    Command::Asked(Box::new(Asked {
        request: request.into(),
        command,
    }))
}

impl World {
    fn ask(&mut self, request: &str, command: Command) {
        self.command(1, asked(request, command));
    }

    /// What was answered since last asked: `id` or `id: text`.
    fn answers(&mut self) -> Vec<String> {
        self.take(|effect| match effect {
            Effect::Answer { answer, .. } => {
                let request = answer.request.as_deref().unwrap_or("-");
                Some(match &answer.result {
                    Ok(()) => request.to_owned(),
                    Err(CommandRefused::Invalid(text)) => format!("{request}: {text}"),
                    Err(CommandRefused::Broker(error)) => format!("{request}: {}", error.message),
                })
            }
            _ => None,
        })
    }

    /// Of single and of cumulative acks, since last asked.
    fn all_ack_tags(&mut self) -> Vec<u64> {
        self.take(|effect| match effect {
            Effect::Ack { tag, .. } | Effect::AckCumulative { tag, .. } => Some(*tag),
            _ => None,
        })
    }

    fn confirm(&mut self, result: Result<(), BrokerError>) {
        self.wait(super::super::limits::ACK_GATHER_MS);
        for (tag, _) in self.ack_commands() {
            self.ack_done(tag, result.clone());
        }
    }
}

#[test]
fn an_ack_is_answered_when_the_broker_has_it() {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..2);
    world.ask("1", Command::Ack(id(0)));
    world.command(1, Command::Ack(id(1)));
    world.wait(100);
    assert!(world.answers().is_empty());
    world.confirm(Ok(()));
    assert_eq!(world.answers(), ["1"]);
    assert_eq!(world.hub.next_deadline_ms(), None);
}

#[test]
fn acks_of_a_batch_are_answered_one_by_one() {
    let mut world = World::open(Exclusive, 10);
    world.batch(0, 3);
    world.ask("a", Command::Ack(batch_id(0, 0, 3)));
    world.wait(super::super::limits::ACK_GATHER_MS);
    world.ask("b", Command::Ack(batch_id(0, 1, 3)));
    let first = world.ack_commands();
    world.ack_done(first[0].0, Ok(()));
    assert_eq!(world.answers(), ["a"]);
    world.confirm(Ok(()));
    assert_eq!(world.answers(), ["b"]);
    world.ask("c", Command::Ack(batch_id(0, 7, 3)));
    assert_eq!(
        world.answers(),
        ["c: The batch has no message with this index"]
    );
}

#[test]
fn an_ack_that_was_given_before_goes_out_once_more() {
    let mut world = World::open(Shared, 10);
    world.entries(0..1);
    world.command(1, Command::Ack(id(0)));
    world.confirm(Ok(()));
    world.ask("again", Command::Ack(id(0)));
    assert!(world.answers().is_empty());
    world.confirm(Ok(()));
    assert_eq!(world.answers(), ["again"]);
}

#[test]
fn a_lost_connection_only_delays_the_answer() {
    let mut world = World::open(Shared, 10);
    world.entries(0..1);
    world.batch(1, 2);
    world.ask("whole", Command::Ack(id(0)));
    world.ask("part", Command::Ack(batch_id(1, 0, 2)));
    world.confirm(Err(refusal(ErrorKind::Retryable)));
    world.lose(true);
    assert!(world.answers().is_empty());
    world.confirm(Ok(()));
    let mut answers = world.answers();
    answers.sort();
    assert_eq!(answers, ["part", "whole"]);
}

#[test]
fn a_refused_ack_is_answered_with_the_brokers_text() {
    let mut world = World::open(Shared, 10);
    world.entries(0..1);
    world.ask("1", Command::Ack(id(0)));
    world.confirm(Err(refusal(ErrorKind::Other)));
    assert_eq!(world.answers(), ["1: no"]);
}

#[test]
fn a_broker_that_says_nothing_is_not_waited_for_without_end() {
    let mut world = World::open(Shared, 10);
    world.entries(0..1);
    world.ask("1", Command::Ack(id(0)));
    world.wait(super::super::limits::REQUEST_TIMEOUT_MS);
    let text = "1: The broker did not confirm it within 30000 ms";
    assert_eq!(world.answers(), [text]);
    assert_eq!(world.hub.next_deadline_ms(), None);
}

#[test]
#[cfg_attr(miri, ignore = "a bound of thousands, interpreted")]
fn there_is_an_end_to_unanswered_requests() {
    let mut world = World::open(Shared, 10);
    let most = super::super::limits::MAX_REQUESTS as u64;
    for at in 0..=most {
        world.ask("1", Command::Ack(id(at)));
    }
    assert_eq!(world.answers().len(), 1);
}

#[test]
fn what_needs_no_broker_is_answered_at_once() {
    let mut world = World::open(Shared, 10);
    world.entries(0..1);
    world.ask("1", Command::NegativeAck(id(0)));
    world.ask("2", Command::NegativeAck(id(0)));
    world.ask("3", Command::Permit(1));
    assert_eq!(
        world.answers(),
        [
            "1",
            "2: No message with this id is unsettled here",
            "3: Permits are for sockets with pullMode=true"
        ]
    );
}

#[test]
fn unsubscribing_is_answered_either_way_and_closes_nothing() {
    let mut world = World::open(Shared, 10);
    world.join(2, member_spec(Shared, 10));
    world.out.clear();
    world.ask("1", Command::Unsubscribe);
    assert_eq!(
        world.answers(),
        ["1: Unconnected or shared consumer attempting to unsubscribe"]
    );
    world.leave(2);
    world.ask("2", Command::Unsubscribe);
    let tag = world.take(|effect| match effect {
        Effect::Unsubscribe { tag, .. } => Some(*tag),
        _ => None,
    })[0];
    let result = Ok(());
    world.upstream(Upstream::Unsubscribed { tag, result });
    assert_eq!(world.answers(), ["2"]);
    let failed = |effect: &Effect| matches!(effect, Effect::UnsubscribeFailed { .. });
    assert!(!world.out.iter().any(failed));
}

#[test]
fn an_ack_at_a_sibling_is_answered_from_there() {
    let mut world = World::open(Shared, 10);
    world.entries(0..1);
    let ack = Input::AckByOther {
        member: MemberId(77),
        request: Some("7".into()),
        id: id(0),
    };
    (world.hub).run(world.now_ms, [ack], &mut Vec::new(), &mut world.out);
    world.confirm(Ok(()));
    assert_eq!(world.answers(), ["7"]);
}

/// Of two within the gathering time the furthest is sent, and stands for both.
#[test]
fn an_ack_that_a_cumulative_one_has_overtaken_is_answered_with_that() {
    let single = || Command::Ack(id(0));
    let cumulative = |at| Command::AckCumulative(id(at));
    let cases = [
        [cumulative(1), cumulative(2)],
        [cumulative(2), cumulative(1)],
        [single(), cumulative(2)],
        [Command::Ack(id(2)), cumulative(2)],
    ];
    for [first, second] in cases {
        let mut world = World::open(Exclusive, 10);
        world.entries(0..4);
        world.ask("1", first);
        world.ask("2", second);
        world.wait(super::super::limits::ACK_GATHER_MS);
        for tag in world.all_ack_tags() {
            world.ack_done(tag, Ok(()));
        }
        let mut answers = world.answers();
        answers.sort();
        assert_eq!(answers, ["1", "2"]);
        assert_eq!(world.hub.next_deadline_ms(), None);
    }
}

#[test]
fn cumulative_acks_that_were_sent_and_lost_are_answered_with_the_furthest() {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..4);
    let mut tags = Vec::new();
    for at in 0..2 {
        world.ask(&at.to_string(), Command::AckCumulative(id(at)));
        world.wait(super::super::limits::ACK_GATHER_MS);
        tags.extend(world.all_ack_tags());
    }
    for tag in tags {
        world.ack_done(tag, Err(refusal(ErrorKind::Retryable)));
    }
    world.lose(true);
    world.wait(super::super::limits::ACK_GATHER_MS);
    let again = world.all_ack_tags();
    assert_eq!(again.len(), 1);
    world.ack_done(again[0], Ok(()));
    assert_eq!(world.answers(), ["0", "1"]);
}

/// Who gave no id hears of refusals, and there is none.
#[test]
fn overtaken_cumulative_acks_without_an_id_are_not_said_to_be_unconfirmed() {
    let mut world = World::open(Exclusive, 10);
    world.entries(0..4);
    for at in 0..4 {
        world.command(1, Command::AckCumulative(id(at)));
    }
    world.wait(super::super::limits::ACK_GATHER_MS);
    for tag in world.all_ack_tags() {
        world.ack_done(tag, Ok(()));
    }
    world.wait(super::super::limits::REQUEST_TIMEOUT_MS);
    assert_eq!(world.answers(), Vec::<String>::new());
}

/// Some are always open: nothing else of them may stay than what somebody waits for.
#[test]
fn nothing_is_kept_of_acks_that_nobody_waits_for_any_more() {
    let mut world = World::open(Exclusive, 100);
    world.entries(0..100);
    world.upstream(Upstream::Lost { abrupt: true });
    for at in 0..100 {
        world.ask("late", Command::Ack(id(at)));
        world.wait(super::super::limits::REQUEST_TIMEOUT_MS / 2);
    }
    assert!(world.hub.requests.watched() < 4);
}
