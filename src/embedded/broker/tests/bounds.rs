//! Bounds: memory, unacked messages, slow connections.

use super::super::consumer::MAX_UNACKED_MESSAGES;
use super::*;

#[test]
fn the_oldest_messages_go_first_and_who_needed_them_skips() {
    let mut world = World::new(Options {
        topic_bytes: 2_000,
        ..Options::default()
    });
    world.subscribe(2, 1, SubType::Exclusive);
    for n in 0..50 {
        world.publish(&format!("m{n}"));
    }
    let stats = world.broker.stats(TOPIC).unwrap();
    assert!(stats.bytes <= 2_000);
    assert_eq!(stats.dropped_entries + stats.entries, 50);
    assert_eq!(stats.subscriptions[0].skipped, stats.dropped_entries);
    assert_eq!(stats.subscriptions[0].backlog, stats.entries);
    let first = format!("m{}", stats.dropped_entries);
    assert_eq!(texts(&world.flow(2, 1, 100))[0], first);
}

#[test]
fn all_topics_together_are_bounded_too() {
    let mut world = World::new(Options {
        total_bytes: 5_000,
        ..Options::default()
    });
    world.publish("small");
    world.produce_on(1, 2, "large");
    for n in 0..100 {
        world.send(1, 2, n, "xxxxxxxxxxxxxxxxxxxxxxxxxx", |_| {});
    }
    let bytes = |topic: &str| world.broker.stats(topic).unwrap().bytes;
    assert!(bytes("large") + bytes(TOPIC) <= 5_000);
    assert_eq!(world.broker.stats(TOPIC).unwrap().entries, 1);
}

#[test]
fn a_consumer_with_too_much_unacked_is_blocked_until_half() {
    let mut world = World::new(Options::default());
    world.subscribe(2, 1, SubType::Shared);
    world.flow(2, 1, 1_000_000);
    for _ in 0..6 {
        world.publish_with("b", |m| m.num_messages_in_batch = Some(10_000));
    }
    let got = world.answers(2);
    assert_eq!(got.len(), 5);
    assert_eq!(world.numbers().1[0].2, MAX_UNACKED_MESSAGES);
    let more = world.flow(2, 1, 7);
    assert!(more.is_empty());
    world.ack(2, 1, &ids(&got)[..2]);
    assert!(world.broker.stats(TOPIC).unwrap().subscriptions[0].consumers[0].blocked);
    let after = world.ack(2, 1, &ids(&got)[2..3]);
    assert_eq!(texts(&after), ["b"]);
}

#[test]
#[cfg_attr(miri, ignore = "checksums of megabytes take Miri many minutes")]
fn a_slow_connection_stops_only_itself() {
    let mut world = World::new(Options::default());
    world.subscribe(2, 1, SubType::Shared);
    world.subscribe(3, 1, SubType::Shared);
    world.flow(2, 1, 1_000);
    let large = "x".repeat(400 * 1024);
    for _ in 0..5 {
        world.publish(&large);
    }
    // Nothing was written: one more than the bound may be under way.
    let mut waiting = Vec::new();
    world.broker.take_output(2, &mut waiting);
    let bytes: usize = waiting.iter().map(bytes::Bytes::len).sum();
    assert!(bytes < 2 * 1024 * 1024, "{bytes}");
    assert_eq!(texts(&world.flow(3, 1, 1)), [large.as_str()]);
    world.broker.written(world.now_ms, 2, bytes);
    assert!(!texts(&world.answers(2)).is_empty());
}

#[test]
fn a_message_that_is_too_large_is_refused_alone() {
    let mut world = World::new(Options {
        max_message_bytes: 100,
        ..Options::default()
    });
    world.publish("fits");
    let refused = world.send(1, 1, 50, &"x".repeat(200), |_| {});
    let refused = refused[0].command.send_error.clone().unwrap();
    assert_eq!(refused.error(), ServerError::NotAllowedError);
    assert_eq!(refused.message, "Exceed maximum message size");
    world.publish("fits too");
}

#[test]
fn batches_that_lie_are_refused() {
    let mut world = World::new(Options::default());
    world.publish("first");
    for size in [0, -1, i32::MAX] {
        let answers = world.send(1, 1, 50, "x", |m| m.num_messages_in_batch = Some(size));
        assert!(answers[0].command.send_error.is_some(), "{size}");
    }
}
