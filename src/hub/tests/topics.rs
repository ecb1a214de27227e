//! Several topics, patterns, new partitions: slots that come and go.

use std::sync::Arc;

use super::*;
use crate::pulsar::PatternText;
use crate::pulsar::client::{ConsumerSpec, StartPosition};
use SubscriptionType::{Exclusive, Shared};

const A: &str = "persistent://public/default/a";
const B: &str = "persistent://public/default/b";

fn two_topics(window: u32) -> World {
    let mut spec = hub_spec(Shared);
    spec.topics = Topics::Named(vec![A.into(), B.into()]);
    let mut world = World::new(spec);
    world.join(1, member_spec(Shared, window));
    for topic in [A, B] {
        world.hub.partitions(0, topic, Ok(0), &mut world.out);
    }
    ready(&mut world, &[0, 1]);
    world.out.clear();
    world
}

fn ready(world: &mut World, slots: &[usize]) {
    for slot in slots {
        world
            .hub
            .upstream(world.now_ms, *slot, Upstream::Ready, &mut world.out);
    }
}

fn opened(world: &mut World) -> Vec<(usize, ConsumerSpec)> {
    world.take(|effect| match effect {
        Effect::OpenConsumer { slot, spec } => Some((*slot, spec.clone())),
        _ => None,
    })
}

fn arrive(world: &mut World, slot: usize, ledger: u64, at: u64) {
    let entry = Entry {
        ledger,
        ..entry(at, None)
    };
    let event = Upstream::Entry(entry);
    world
        .hub
        .upstream(world.now_ms, slot, event, &mut world.out);
}

fn of_ledger(ledger: u64, entry: u64) -> MessageId {
    MessageId {
        ledger,
        ..id(entry)
    }
}

/// (slot, ledger, entry) of the acks sent.
fn acks(world: &mut World) -> Vec<(usize, u64, u64)> {
    world.wait(super::super::limits::ACK_GATHER_MS);
    let sent = world.take(|effect| match effect {
        Effect::Ack {
            slot, positions, ..
        } => Some((*slot, positions.clone())),
        _ => None,
    });
    sent.into_iter()
        .flat_map(|(slot, positions)| {
            positions
                .into_iter()
                .map(move |at| (slot, at.ledger, at.entry))
        })
        .collect()
}

#[test]
fn members_join_when_every_topic_is_counted_and_open() {
    let mut spec = hub_spec(Shared);
    spec.topics = Topics::Named(vec![A.into(), B.into()]);
    let mut world = World::new(spec);
    world.join(1, member_spec(Shared, 5));
    world.hub.partitions(0, B, Ok(2), &mut world.out);
    assert!(opened(&mut world).is_empty());
    world.hub.partitions(0, A, Ok(0), &mut world.out);
    let names: Vec<_> = opened(&mut world)
        .into_iter()
        .map(|(_, spec)| (spec.topic, spec.partition))
        .collect();
    let expected = [
        (A.to_owned(), -1),
        (format!("{B}-partition-0"), 0),
        (format!("{B}-partition-1"), 1),
    ];
    assert_eq!(names, expected);
    ready(&mut world, &[0, 2]);
    let joined = |effect: &Effect| matches!(effect, Effect::Joined { .. });
    assert!(!world.out.iter().any(joined));
    ready(&mut world, &[1]);
    assert!(world.out.iter().any(joined));
}

#[test]
fn an_ack_goes_to_the_topic_of_its_ledger() {
    let mut world = two_topics(10);
    arrive(&mut world, 0, 7, 0);
    arrive(&mut world, 1, 8, 0);
    world.command(1, Command::Ack(of_ledger(8, 0)));
    assert_eq!(acks(&mut world), [(1, 8, 0)]);
    world.command(1, Command::Ack(of_ledger(7, 0)));
    assert_eq!(acks(&mut world), [(0, 7, 0)]);
}

#[test]
fn an_ack_of_an_unknown_ledger_waits_for_it_and_frees_the_window() {
    let mut world = two_topics(2);
    arrive(&mut world, 0, 7, 0);
    arrive(&mut world, 0, 7, 1);
    arrive(&mut world, 0, 7, 2);
    assert_eq!(world.delivered_entries(), [0, 1]);
    // Another gateway's delivery.
    world.command(1, Command::Ack(of_ledger(9, 5)));
    assert_eq!(world.delivered_entries(), [2]);
    assert!(acks(&mut world).is_empty());
    arrive(&mut world, 1, 9, 5);
    assert!(world.delivered().is_empty());
    // Once for the client, once because it came all the same.
    assert_eq!(acks(&mut world), [(1, 9, 5), (1, 9, 5)]);
}

#[test]
fn topics_take_turns() {
    let mut world = two_topics(1);
    for at in 0..3 {
        arrive(&mut world, 0, 7, at);
        arrive(&mut world, 1, 8, 10 + at);
    }
    let mut order = world.delivered_entries();
    while let Some(last) = order.last().copied().filter(|_| order.len() < 6) {
        let ledger = if last < 10 { 7 } else { 8 };
        world.command(1, Command::Ack(of_ledger(ledger, last)));
        order.append(&mut world.delivered_entries());
    }
    assert_eq!(order, [0, 10, 1, 11, 2, 12]);
}

#[test]
fn new_partitions_are_consumed_from_their_beginning() {
    let mut world = World::new(hub_spec(Exclusive));
    world.join(1, member_spec(Exclusive, 5));
    world.hub.partitions(0, TOPIC, Ok(1), &mut world.out);
    // Not before the hub is open: it is told again.
    world.hub.partitions_now(0, TOPIC, 2, &mut world.out);
    ready(&mut world, &[0]);
    world.out.clear();
    world.hub.partitions_now(0, TOPIC, 1, &mut world.out);
    assert!(opened(&mut world).is_empty());
    world.hub.partitions_now(0, TOPIC, 2, &mut world.out);
    let new = opened(&mut world);
    let [(1, spec)] = &new[..] else {
        panic!("{new:?}")
    };
    assert_eq!(spec.topic, format!("{TOPIC}-partition-1"));
    assert_eq!(spec.initial_position, InitialPosition::Earliest);
    // Refused: tried again with the next count. The members stay.
    let busy = Upstream::Failed(refusal(ErrorKind::ConsumerBusy));
    world.hub.upstream(0, 1, busy, &mut world.out);
    assert!(
        !world
            .out
            .iter()
            .any(|e| matches!(e, Effect::Expelled { .. }))
    );
    world.hub.partitions_now(0, TOPIC, 2, &mut world.out);
    assert_eq!(opened(&mut world).len(), 1);
    ready(&mut world, &[1]);
    world.hub.partitions_now(0, TOPIC, 2, &mut world.out);
    assert!(opened(&mut world).is_empty());
    assert!(!world.flows().is_empty());
}

#[test]
fn a_reader_of_the_latest_reads_new_partitions_from_their_beginning() {
    let mut spec = hub_spec(Exclusive);
    spec.start = Some(StartPosition::Latest);
    spec.durable = false;
    let mut world = World::new(spec);
    world.join(1, member_spec(Exclusive, 5));
    world.hub.partitions(0, TOPIC, Ok(1), &mut world.out);
    ready(&mut world, &[0]);
    opened(&mut world);
    world.hub.partitions_now(0, TOPIC, 2, &mut world.out);
    let new = opened(&mut world);
    assert_eq!(new[0].1.start, Some(StartPosition::Earliest));
}

#[test]
fn a_subscription_that_is_being_deleted_is_not_made_anew_on_a_new_partition() {
    let mut world = World::new(hub_spec(Exclusive));
    world.join(1, member_spec(Exclusive, 5));
    world.hub.partitions(0, TOPIC, Ok(1), &mut world.out);
    ready(&mut world, &[0]);
    opened(&mut world);
    world.command(1, Command::Unsubscribe);
    world.hub.partitions_now(0, TOPIC, 2, &mut world.out);
    assert!(opened(&mut world).is_empty());
}

fn pattern_hub(window: u32) -> World {
    let pattern = PatternText::new("public/default/[ab]", "public/default")
        .compile()
        .expect("a pattern");
    let mut spec = hub_spec(Shared);
    spec.topics = Topics::Pattern(Arc::new(pattern));
    let mut world = World::new(spec);
    world.join(1, member_spec(Shared, window));
    assert!(matches!(world.out[..], [Effect::ListTopics(_)]));
    world.out.clear();
    world
}

fn list(world: &mut World, names: &[&str]) {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    world
        .hub
        .topics_listed(world.now_ms, Ok(Arc::new(names)), &mut world.out);
}

#[test]
#[cfg_attr(miri, ignore = "compiles regular expressions")]
fn a_pattern_without_topics_is_open_and_asks_again() {
    let mut world = pattern_hub(5);
    list(&mut world, &["persistent://public/default/c"]);
    assert!(matches!(world.out[..], [Effect::Joined { .. }]));
    world.out.clear();
    world.wait(LIMITS.topics_update_ms);
    assert!(matches!(world.out[..], [Effect::ListTopics(_)]));
    list(&mut world, &[A]);
    let new = opened(&mut world);
    assert_eq!(new.len(), 1);
    assert_eq!(new[0].1.initial_position, InitialPosition::Latest);
    assert!(!new[0].1.create_topic);
    // A question that fails is asked again, too.
    world.wait(LIMITS.topics_update_ms);
    let failed = Err(refusal(ErrorKind::Timeout));
    world
        .hub
        .topics_listed(world.now_ms, failed, &mut world.out);
    world.out.clear();
    world.wait(LIMITS.topics_update_ms);
    assert!(matches!(world.out[..], [Effect::ListTopics(_)]));
}

#[test]
#[cfg_attr(miri, ignore = "compiles regular expressions")]
fn a_topic_that_is_gone_takes_its_messages_along_and_its_place_is_used_again() {
    let mut world = pattern_hub(2);
    list(&mut world, &[A, B]);
    ready(&mut world, &[0, 1]);
    arrive(&mut world, 0, 7, 0);
    arrive(&mut world, 1, 8, 1);
    arrive(&mut world, 0, 7, 2);
    assert_eq!(world.delivered_entries(), [0, 1]);
    list(&mut world, &[B]);
    let closed = |effect: &Effect| matches!(effect, Effect::CloseConsumer { slot: 0 });
    assert!(world.out.iter().any(closed));
    // Its client still has entry 0: the window stays charged until it acks.
    arrive(&mut world, 1, 8, 3);
    assert!(world.delivered().is_empty());
    world.command(1, Command::Ack(of_ledger(7, 0)));
    assert_eq!(world.delivered_entries(), [3]);
    assert!(acks(&mut world).is_empty());
    list(&mut world, &[A, B]);
    assert_eq!(opened(&mut world)[0].0, 0);
    assert!(world.hub.retained_bytes() > 0);
    world.leave(1);
    assert!(matches!(world.out.last(), Some(Effect::Finished)));
}

#[test]
#[cfg_attr(miri, ignore = "compiles regular expressions")]
fn a_topic_that_goes_while_it_is_moved_ends_its_seek_on_other_hubs() {
    let mut world = pattern_hub(5);
    list(&mut world, &[A, B]);
    ready(&mut world, &[0, 1]);
    world.command(
        1,
        Command::Seek(crate::pulsar::client::SeekTarget::Earliest),
    );
    world.out.clear();
    list(&mut world, &[B]);
    let told = world.take(|effect| match effect {
        Effect::TellSiblings(seek) => Some((seek.topic.clone(), seek.stage)),
        _ => None,
    });
    assert_eq!(told, [(A.to_owned(), SeekStage::Moved)]);
}

#[test]
#[cfg_attr(miri, ignore = "compiles regular expressions")]
fn a_deleted_topic_ends_no_pattern_and_a_refused_one_only_at_first() {
    let mut world = pattern_hub(5);
    list(&mut world, &[A, B]);
    let gone = || Upstream::Failed(refusal(ErrorKind::NotFound));
    world.hub.upstream(0, 0, gone(), &mut world.out);
    ready(&mut world, &[1]);
    assert!(world.out.iter().any(|e| matches!(e, Effect::Joined { .. })));
    world.hub.upstream(0, 1, gone(), &mut world.out);
    assert_eq!(world.hub.member_count(), 1);

    let mut world = pattern_hub(5);
    list(&mut world, &[A, B]);
    let busy = Upstream::Failed(refusal(ErrorKind::ConsumerBusy));
    world.hub.upstream(0, 0, busy, &mut world.out);
    assert!(
        world
            .out
            .iter()
            .any(|e| matches!(e, Effect::Refused { .. }))
    );
}

#[test]
#[cfg_attr(miri, ignore = "compiles regular expressions")]
fn an_unsubscribe_that_fails_while_topics_are_listed_ends_no_listing() {
    let mut world = pattern_hub(5);
    list(&mut world, &[A]);
    ready(&mut world, &[0]);
    world.wait(LIMITS.topics_update_ms);
    world.out.clear();
    world.command(1, Command::Unsubscribe);
    list(&mut world, &[A, B]);
    let tag = world.take(|effect| match effect {
        Effect::Unsubscribe { tag, .. } => Some(*tag),
        _ => None,
    })[0];
    let result = Err(refusal(ErrorKind::Timeout));
    world.upstream(Upstream::Unsubscribed { tag, result });
    world.out.clear();
    world.wait(LIMITS.topics_update_ms);
    assert!(matches!(world.out[..], [Effect::ListTopics(_)]));
    list(&mut world, &[A, B]);
    assert_eq!(opened(&mut world).len(), 1);
}

/// A pattern may cost milliseconds for each name: all of a namespace at once, the shard did nothing else for seconds.
#[test]
#[cfg_attr(miri, ignore = "compiles regular expressions")]
fn a_long_list_is_looked_at_in_portions_and_what_is_known_is_not_looked_at_again() {
    let mut world = pattern_hub(5);
    let mut names: Vec<String> = (0..1000)
        .map(|n| format!("persistent://public/default/{n:0100}"))
        .collect();
    names.push(A.to_owned());
    let list = |world: &mut World, names: &[String]| {
        let names = Ok(Arc::new(names.to_vec()));
        (world.hub).topics_listed(world.now_ms, names, &mut world.out);
        let mut turns = 0;
        while world.hub.matching.is_some() {
            turns += 1;
            world.now_ms += 1;
            assert_eq!(world.hub.next_deadline_ms(), Some(world.now_ms));
            world.hub.tick(world.now_ms, &mut world.out);
        }
        turns
    };
    assert!(list(&mut world, &names) > 10);
    let topics: Vec<_> = opened(&mut world)
        .into_iter()
        .map(|of| of.1.topic)
        .collect();
    assert_eq!(topics, [A]);
    names.push(B.to_owned());
    assert_eq!(list(&mut world, &names), 0);
    assert_eq!(opened(&mut world)[0].1.topic, B);
    // The next one is asked for.
    world.wait(5_000);
    assert!(
        world
            .out
            .iter()
            .any(|effect| matches!(effect, Effect::ListTopics(_)))
    );
    names.retain(|name| name != A);
    assert_eq!(list(&mut world, &names), 0);
    let closed = |effect: &Effect| matches!(effect, Effect::CloseConsumer { slot: 0 });
    assert!(world.out.iter().any(closed));
}
