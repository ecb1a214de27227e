//! Joining, leaving, refusals, unsubscribing.

use super::*;
use SubscriptionType::{Exclusive, Shared};

#[test]
fn the_first_member_opens_one_consumer_per_partition_and_joins_when_all_are_ready() {
    let mut world = World::new(hub_spec(Shared));
    world.join(1, member_spec(Shared, 5));
    assert!(matches!(world.out[..], [Effect::CountPartitions { .. }]));
    world.out.clear();
    world.hub.partitions(0, TOPIC, Ok(2), &mut world.out);
    world.join(2, member_spec(Shared, 5));
    let topics: Vec<_> = (world.out.iter())
        .map(|effect| match effect {
            Effect::OpenConsumer { slot, spec } => (*slot, spec.partition, spec.topic.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    let topic = |partition| format!("persistent://public/default/t-partition-{partition}");
    assert_eq!(topics, vec![(0, 0, topic(0)), (1, 1, topic(1))]);
    world.out.clear();
    world.hub.upstream(0, 1, Upstream::Ready, &mut world.out);
    assert!(world.out.is_empty());
    world.hub.upstream(0, 0, Upstream::Ready, &mut world.out);
    assert!(matches!(
        world.out[..],
        [
            Effect::Joined {
                member: MemberId(1)
            },
            Effect::Joined {
                member: MemberId(2)
            },
            Effect::Flow {
                slot: 0,
                permits: 5
            },
            Effect::Flow {
                slot: 1,
                permits: 5
            },
        ]
    ));
}

#[test]
fn one_partition_named_by_the_client_is_told_in_its_ids() {
    let mut spec = hub_spec(Exclusive);
    let topic = format!("{TOPIC}-partition-3");
    spec.topics = Topics::one(&topic);
    let mut world = World::new(spec);
    world.join(1, member_spec(Exclusive, 5));
    world.hub.partitions(0, &topic, Ok(0), &mut world.out);
    let Some(Effect::OpenConsumer { spec, .. }) = world.out.last() else {
        panic!("{:?}", world.out);
    };
    assert_eq!(spec.partition, 3);
}

#[test]
fn a_failure_before_joining_refuses_everybody_and_closes_what_was_opened() {
    let mut world = World::new(hub_spec(Shared));
    world.join(1, member_spec(Shared, 5));
    world.join(2, member_spec(Shared, 5));
    world.hub.partitions(0, TOPIC, Ok(2), &mut world.out);
    world.hub.upstream(0, 0, Upstream::Ready, &mut world.out);
    world.out.clear();
    let failed = Upstream::Failed(refusal(ErrorKind::ConsumerBusy));
    world.hub.upstream(0, 1, failed, &mut world.out);
    assert!(matches!(
        world.out[..],
        [
            Effect::Refused {
                member: MemberId(1),
                refusal: Refusal::Broker(_)
            },
            Effect::Refused {
                member: MemberId(2),
                refusal: Refusal::Broker(_)
            },
            Effect::CloseConsumer { slot: 0 },
            Effect::Finished,
        ]
    ));
}

#[test]
fn a_topic_that_is_not_there_refuses() {
    let mut world = World::new(hub_spec(Shared));
    world.join(1, member_spec(Shared, 5));
    world.out.clear();
    let missing = Err(refusal(ErrorKind::NotFound));
    world.hub.partitions(0, TOPIC, missing, &mut world.out);
    assert!(matches!(
        world.out[..],
        [Effect::Refused { .. }, Effect::Finished]
    ));
}

#[test]
fn more_partitions_than_anybody_has_are_a_failure() {
    let mut world = World::new(hub_spec(Shared));
    world.join(1, member_spec(Shared, 5));
    world.out.clear();
    world.hub.partitions(0, TOPIC, Ok(u32::MAX), &mut world.out);
    assert!(matches!(
        world.out[..],
        [Effect::Refused { .. }, Effect::Finished]
    ));
}

#[test]
fn a_failure_after_joining_expels_everybody() {
    let mut world = World::open(Shared, 5);
    world.upstream(Upstream::Failed(refusal(ErrorKind::NotFound)));
    assert!(matches!(
        world.out[..],
        [
            Effect::Expelled {
                member: MemberId(1),
                ..
            },
            Effect::Finished
        ]
    ));
    world.out.clear();
    world.command(1, Command::Ack(id(0)));
    world.upstream(Upstream::Resumed);
    world.leave(1);
    assert!(world.out.is_empty());
}

fn busy_text(world: &World) -> &str {
    match world.out.last() {
        Some(Effect::Refused {
            refusal: Refusal::Busy(text),
            ..
        }) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_second_exclusive_member_is_refused_in_the_brokers_words() {
    let mut world = World::open(Exclusive, 5);
    world.join(2, member_spec(Exclusive, 5));
    assert_eq!(busy_text(&world), "Exclusive consumer is already connected");
}

#[test]
fn another_subscription_type_is_refused_in_the_brokers_words() {
    let mut world = World::open(Exclusive, 5);
    world.join(2, member_spec(SubscriptionType::KeyShared, 5));
    assert_eq!(
        busy_text(&world),
        "Subscription is of different type. Active subscription type of 'Exclusive' is different than the connecting \
         consumer's type 'Key_Shared'."
    );
}

#[test]
fn a_hub_that_is_shut_with_members_sends_its_acks_and_closes_the_upstream() {
    let mut world = World::open(Shared, 5);
    world.entries(0..2);
    world.command(1, Command::Ack(id(0)));
    world.out.clear();
    world.hub.shut(&mut world.out);
    assert!(matches!(
        world.out[..],
        [
            Effect::Ack { slot: 0, .. },
            Effect::CloseConsumer { slot: 0 },
            Effect::Finished
        ]
    ));
    world.out.clear();
    world.hub.shut(&mut world.out);
    world.leave(1);
    assert!(world.out.is_empty());
}

#[test]
fn the_last_member_sends_its_acks_and_closes_the_upstream() {
    let mut world = World::open(Shared, 5);
    world.entries(0..2);
    world.command(1, Command::Ack(id(0)));
    world.out.clear();
    world.leave(1);
    assert!(matches!(
        world.out[..],
        [
            Effect::Ack { .. },
            Effect::CloseConsumer { slot: 0 },
            Effect::Finished
        ]
    ));
    assert_eq!(world.hub.retained_bytes(), 0);
}

#[test]
fn a_member_that_leaves_before_it_has_joined_closes_what_was_opened() {
    let mut world = World::new(hub_spec(Exclusive));
    world.join(1, member_spec(Exclusive, 5));
    world.hub.partitions(0, TOPIC, Ok(0), &mut world.out);
    world.out.clear();
    world.leave(1);
    assert!(matches!(
        world.out[..],
        [Effect::CloseConsumer { slot: 0 }, Effect::Finished]
    ));
}

#[test]
fn unsubscribing_beside_others_is_refused_in_the_brokers_words() {
    let mut world = World::open(Shared, 5);
    world.join(2, member_spec(Shared, 5));
    world.command(1, Command::Unsubscribe);
    let Some(Effect::UnsubscribeFailed { member, error }) = world.out.last() else {
        panic!("{:?}", world.out);
    };
    assert_eq!(*member, MemberId(1));
    assert_eq!(
        error.message,
        "Unconnected or shared consumer attempting to unsubscribe"
    );
}

fn unsubscribe(world: &mut World, result: Result<(), BrokerError>) {
    world.command(1, Command::Unsubscribe);
    let Some(&Effect::Unsubscribe { slot: 0, tag }) = world.out.last() else {
        panic!("{:?}", world.out);
    };
    world.out.clear();
    world.join(2, member_spec(Shared, 5));
    assert!(world.out.is_empty());
    world.upstream(Upstream::Unsubscribed { tag, result });
}

#[test]
fn after_unsubscribing_the_upstream_closes_silently_and_who_came_meanwhile_begins_anew() {
    let mut world = World::open(Shared, 5);
    unsubscribe(&mut world, Ok(()));
    assert!(matches!(
        world.out[..],
        [
            Effect::Unsubscribed {
                member: MemberId(1)
            },
            Effect::CloseConsumer { slot: 0 },
            Effect::CountPartitions { .. }
        ]
    ));
    world.out.clear();
    world.hub.partitions(0, TOPIC, Ok(0), &mut world.out);
    world.upstream(Upstream::Ready);
    assert!(matches!(
        world.out[1],
        Effect::Joined {
            member: MemberId(2)
        }
    ));
    world.out.clear();
    world.leave(1);
    world.command(1, Command::IsEndOfTopic);
    assert!(world.out.is_empty());
}

#[test]
fn unsubscribing_alone_finishes_the_hub() {
    let mut world = World::open(Exclusive, 5);
    world.command(1, Command::Unsubscribe);
    let Some(&Effect::Unsubscribe { tag, .. }) = world.out.last() else {
        panic!("{:?}", world.out);
    };
    world.out.clear();
    let result = Ok(());
    world.upstream(Upstream::Unsubscribed { tag, result });
    assert!(matches!(
        world.out[..],
        [
            Effect::Unsubscribed {
                member: MemberId(1)
            },
            Effect::CloseConsumer { slot: 0 },
            Effect::Finished
        ]
    ));
}

#[test]
fn a_refused_unsubscribe_leaves_everything_as_it_was() {
    let mut world = World::open(Shared, 5);
    unsubscribe(&mut world, Err(refusal(ErrorKind::Retryable)));
    assert!(matches!(
        world.out[..2],
        [
            Effect::UnsubscribeFailed {
                member: MemberId(1),
                ..
            },
            Effect::Joined {
                member: MemberId(2)
            },
        ]
    ));
    world.out.clear();
    world.entries(0..2);
    assert_eq!(world.delivered_entries(), vec![0, 1]);
}

/// One partition's part of the subscription was deleted when the other one's connection broke: the client machine knew
/// the first one's consumer no more, and nothing ever came from that partition again.
#[test]
fn what_a_failed_unsubscribe_has_deleted_is_opened_anew() {
    let mut world = World::new(hub_spec(Shared));
    world.join(1, member_spec(Shared, 5));
    world.hub.partitions(0, TOPIC, Ok(2), &mut world.out);
    for slot in 0..2 {
        world.hub.upstream(0, slot, Upstream::Ready, &mut world.out);
    }
    world.command(1, Command::Unsubscribe);
    let Some(&Effect::Unsubscribe { tag, .. }) = world.out.last() else {
        panic!("{:?}", world.out);
    };
    world.out.clear();
    let answered = |result| Upstream::Unsubscribed { tag, result };
    (world.hub).upstream(0, 0, answered(Ok(())), &mut world.out);
    let lost = Err(refusal(ErrorKind::Retryable));
    (world.hub).upstream(0, 1, answered(lost), &mut world.out);
    assert!(matches!(
        &world.out[..3],
        [
            Effect::CloseConsumer { slot: 0 },
            Effect::OpenConsumer { slot: 0, spec },
            Effect::UnsubscribeFailed { .. },
        ] if spec.partition == 0
    ));
    world.out.clear();
    world.hub.upstream(0, 0, Upstream::Ready, &mut world.out);
    assert!(matches!(world.out[..], [Effect::Flow { slot: 0, .. }]));
    let arrived = Upstream::Entry(Entry {
        partition: 0,
        ..entry(7, None)
    });
    (world.hub).upstream(0, 0, arrived, &mut world.out);
    assert_eq!(world.delivered_entries(), [7]);
}

/// Its answer never came: the hub waited for it for ever, and nothing was delivered any more.
#[test]
fn an_unsubscribe_does_not_wait_for_a_partition_that_went_meanwhile() {
    let mut world = World::new(hub_spec(Shared));
    world.join(1, member_spec(Shared, 5));
    world.hub.partitions(0, TOPIC, Ok(1), &mut world.out);
    world.hub.upstream(0, 0, Upstream::Ready, &mut world.out);
    world.hub.partitions_now(0, TOPIC, 2, &mut world.out);
    world.command(1, Command::Unsubscribe);
    let Some(&Effect::Unsubscribe { slot: 1, tag }) = world.out.last() else {
        panic!("{:?}", world.out);
    };
    let result = Ok(());
    let answered = Upstream::Unsubscribed { tag, result };
    world.hub.upstream(0, 0, answered, &mut world.out);
    let failed = Upstream::Failed(refusal(ErrorKind::NotFound));
    world.hub.upstream(0, 1, failed, &mut world.out);
    assert!(matches!(world.out.last(), Some(Effect::Finished)));
}

#[test]
fn a_member_that_left_hears_nothing_of_its_unsubscribe() {
    let mut world = World::open(Shared, 5);
    world.command(1, Command::Unsubscribe);
    let Some(&Effect::Unsubscribe { tag, .. }) = world.out.last() else {
        panic!("{:?}", world.out);
    };
    world.join(2, member_spec(Shared, 5));
    world.leave(1);
    world.out.clear();
    let result = Err(refusal(ErrorKind::Retryable));
    world.upstream(Upstream::Unsubscribed { tag, result });
    assert!(matches!(
        world.out[0],
        Effect::Joined {
            member: MemberId(2)
        }
    ));
}

#[test]
fn the_end_of_the_topic_is_reached_when_every_partition_says_so() {
    let mut world = World::new(hub_spec(Shared));
    world.join(1, member_spec(Shared, 5));
    world.hub.partitions(0, TOPIC, Ok(2), &mut world.out);
    for slot in 0..2 {
        world.hub.upstream(0, slot, Upstream::Ready, &mut world.out);
    }
    for slot in 0..2 {
        world.out.clear();
        world.command(1, Command::IsEndOfTopic);
        assert!(matches!(
            world.out[..],
            [Effect::EndOfTopic { reached: false, .. }]
        ));
        (world.hub).upstream(0, slot, Upstream::EndOfTopic, &mut world.out);
    }
    world.out.clear();
    world.command(1, Command::IsEndOfTopic);
    assert!(matches!(
        world.out[..],
        [Effect::EndOfTopic { reached: true, .. }]
    ));
}

#[test]
fn those_who_have_left_stand_in_no_line() {
    for subscription_type in [Shared, SubscriptionType::Failover] {
        let mut world = World::open(subscription_type, 5);
        for comes in 0..10_000 {
            world.join(2 + comes, member_spec(subscription_type, 5));
            world.leave(2 + comes);
            world.out.clear();
        }
        let in_line = world.hub.members.in_line();
        assert!(in_line < 100, "{subscription_type:?}: {in_line}");
        world.entries(0..1);
        assert_eq!(world.delivered_entries(), [0]);
    }
}
