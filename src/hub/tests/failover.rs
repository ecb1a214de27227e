//! Failover: who is active, what a change of it asks of the broker, and whose windows count.

use super::*;

fn failover(name: &str, priority_level: i32, window: u32) -> MemberSpec {
    MemberSpec {
        consumer_name: name.to_owned(),
        priority_level,
        ..member_spec(SubscriptionType::Failover, window)
    }
}

/// Member 1 is active and holds entries 0 to 2.
fn holding() -> World {
    let mut world = World::new(hub_spec(SubscriptionType::Failover));
    world.open_with(failover("m", 1, 3));
    world.entries(0..5);
    assert_eq!(world.delivered_entries(), [0, 1, 2]);
    world.flows();
    world
}

#[test]
fn the_upstream_is_named_as_the_member_that_will_be_active() {
    let mut world = World::new(hub_spec(SubscriptionType::Failover));
    for (member, name, level) in [(1, "a", 3), (2, "z", 2), (3, "c", 2)] {
        world.join(member, failover(name, level, 1));
    }
    world.hub.partitions(0, TOPIC, Ok(3), &mut world.out);
    let named = world.take(|effect| match effect {
        Effect::OpenConsumer { spec, .. } => {
            Some((spec.consumer_name.clone().unwrap(), spec.priority_level))
        }
        _ => None,
    });
    let named: Vec<_> = named
        .iter()
        .map(|(name, level)| (&**name, *level))
        .collect();
    assert_eq!(named, [("c", 2), ("z", 2), ("c", 2)]);
}

#[test]
fn a_change_of_the_active_one_asks_for_everything_that_is_given_out() {
    let mut world = holding();
    world.command(1, Command::Ack(id(1)));
    world.delivered();
    world.join(2, failover("a", 0, 10));
    // The broker has to know what is acked before it begins again.
    let tail: Vec<_> = (world.out.iter())
        .filter(|effect| matches!(effect, Effect::Ack { .. } | Effect::Redeliver { .. }))
        .collect();
    assert!(matches!(
        tail[..],
        [Effect::Ack { .. }, Effect::Redeliver { .. }]
    ));
    assert_eq!(world.delivered(), []);
    for at in [0, 2, 3, 4] {
        let entry = Entry {
            consumer_epoch: Some(1),
            ..entry(at, None)
        };
        world.upstream(Upstream::Entry(entry));
    }
    let all = [(2, 0, -1, 0), (2, 2, -1, 0), (2, 3, -1, 0), (2, 4, -1, 0)];
    assert_eq!(world.delivered(), all);
}

/// It was read from the connection before, and stands behind what the new one gets.
#[test]
fn what_was_under_way_when_the_active_one_changed_does_not_come_before_what_that_one_held() {
    let mut world = holding();
    let of_epoch = |at, consumer_epoch| {
        Upstream::Entry(Entry {
            consumer_epoch: Some(consumer_epoch),
            ..entry(at, None)
        })
    };
    world.join(2, failover("a", 0, 10));
    world.upstream(of_epoch(5, 0));
    assert_eq!(world.delivered(), []);
    for at in 0..6 {
        world.upstream(of_epoch(at, 1));
    }
    assert_eq!(world.delivered_entries(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn what_only_waits_goes_to_the_new_one_without_asking_again() {
    let mut world = holding();
    world.command(1, Command::Clogged);
    for at in 0..3 {
        world.command(1, Command::Ack(id(at)));
    }
    world.join(2, failover("a", 0, 10));
    assert_eq!(world.redelivers(), Vec::<Vec<u64>>::new());
    assert_eq!(world.delivered(), [(2, 3, -1, 0), (2, 4, -1, 0)]);
}

#[test]
fn only_the_active_ones_window_brings_permits() {
    let mut world = holding();
    world.join(2, failover("n", 2, 100));
    assert_eq!(world.flows(), Vec::<u32>::new());
    world.leave(1);
    // Two entries came that there had been no permits for.
    assert_eq!(world.flows().iter().sum::<u32>(), 102);
}

#[test]
fn who_is_not_active_has_no_say_in_redelivery() {
    let mut world = holding();
    world.join(2, failover("n", 2, 10));
    world.command(2, Command::NegativeAck(id(0)));
    world.wait(5000);
    assert_eq!(world.redelivers(), Vec::<Vec<u64>>::new());
    world.command(1, Command::NegativeAck(id(0)));
    world.wait(5000);
    assert_eq!(world.redelivers(), [Vec::<u64>::new()]);
}
