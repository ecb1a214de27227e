//! Tails: readers share one upstream reader and a log of frames; who falls off the log loses nothing.

use ::pulsar::proto::ServerError;
use pws_fast::embedded;
use serde_json::json;

use crate::support::{Client, World, base64, eventually, payload_of, query_value, topic};

/// The smallest log that may be asked for: a dozen small messages.
pub const TINY_LOG: &[&str] = &["tailLogBytes=4096"];

/// What a test says that expects no gap, too: one that is found where there is none would end it.
pub const CLOSED_ON_GAP: &str = "closeReadersOnGap=true";

fn readers_at_broker(world: &World, name: &str) -> usize {
    let stats = world.admin().stats(name).expect("the topic is there");
    stats.subscriptions.len()
}

pub fn next(reader: &mut Client) -> u64 {
    let message = reader.json();
    reader.send("{}");
    payload_of(&message).parse().expect("a number")
}

pub fn publish(world: &World, name: &str, numbers: std::ops::Range<u64>) -> Vec<String> {
    let mut producer = world.producer(name);
    numbers.map(|n| producer.publish(&n.to_string())).collect()
}

#[test]
fn readers_at_latest_are_one_reader_to_the_broker() {
    let world = World::start();
    let name = topic("one-reader");
    let mut readers: Vec<Client> = (0..20).map(|_| world.reader(&name)).collect();
    assert_eq!(readers_at_broker(&world, &name), 1);
    publish(&world, &name, 0..3);
    for reader in &mut readers {
        assert_eq!([next(reader), next(reader), next(reader)], [0, 1, 2]);
    }
}

#[test]
fn a_reader_that_has_caught_up_needs_no_reader_of_its_own_any_more() {
    let world = World::start();
    let name = topic("joins");
    let ids = publish(&world, &name, 0..10);
    let mut earliest = world.reader(&format!("{name}?messageId=earliest"));
    let mut middle = world.reader(&format!("{name}?messageId={}", query_value(&ids[4])));
    (0..10).for_each(|n| assert_eq!(next(&mut earliest), n));
    (5..10).for_each(|n| assert_eq!(next(&mut middle), n));
    eventually("one reader is left at the broker", || {
        readers_at_broker(&world, &name) == 1
    });
    publish(&world, &name, 10..20);
    for reader in [&mut earliest, &mut middle] {
        (10..20).for_each(|n| assert_eq!(next(reader), n));
    }
}

#[test]
fn a_reader_that_falls_off_the_log_misses_nothing_and_sees_nothing_twice() {
    let world = World::with(&[TINY_LOG, &[CLOSED_ON_GAP]].concat());
    let name = topic("falls-off");
    let mut slow: Vec<Client> = [1, 3, 1000]
        .iter()
        .map(|window| world.reader(&format!("{name}?receiverQueueSize={window}")))
        .collect();
    let mut quick = world.reader(&name);
    publish(&world, &name, 0..300);
    (0..300).for_each(|n| assert_eq!(next(&mut quick), n));
    for reader in &mut slow {
        (0..300).for_each(|n| assert_eq!(next(reader), n));
    }
    publish(&world, &name, 300..310);
    for reader in slow.iter_mut().chain([&mut quick]) {
        (300..310).for_each(|n| assert_eq!(next(reader), n));
    }
    eventually("one reader is left at the broker", || {
        readers_at_broker(&world, &name) == 1
    });
}

#[test]
fn on_a_partitioned_topic_each_partition_goes_on_where_the_reader_was() {
    const PARTITIONS: u32 = 3;
    let world = World::with(TINY_LOG);
    let name = topic("partitions-fall-off");
    world.admin().create_partitioned(&name, PARTITIONS);
    let mut slow = world.reader(&format!("{name}?receiverQueueSize=2"));
    let mut earliest = world.reader(&format!("{name}?messageId=earliest"));
    let mut producer = world.producer(&name);
    const MESSAGES: u64 = 200;
    for n in 0..MESSAGES {
        producer.publish_json(json!({
            "payload": base64(&n.to_string()),
            "key": format!("key-{}", n % 11),
        }));
    }
    for reader in [&mut slow, &mut earliest] {
        let mut last = std::collections::BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..MESSAGES {
            let message = reader.json();
            reader.send("{}");
            let n: u64 = payload_of(&message).parse().expect("a number");
            assert!(seen.insert(n), "{n} came twice");
            let before = last.insert(message["key"].to_string(), n);
            assert!(
                before.is_none_or(|before| before < n),
                "{n} after {before:?}"
            );
        }
        assert!(reader.is_silent());
    }
}

#[test]
fn an_id_of_one_partition_hides_nothing_that_comes_to_the_others() {
    let world = World::start();
    let name = topic("id-of-one");
    world.admin().create_partitioned(&name, 3);
    // It keeps the log open.
    let _other = world.reader(&name);
    let mut producer = world.producer(&format!("{name}?messageRoutingMode=RoundRobinPartition"));
    let ids: Vec<String> = (0..6).map(|n| producer.publish(&n.to_string())).collect();
    let of_id = |id: &String| world.reader(&format!("{name}?messageId={}", query_value(id)));
    let mut readers: Vec<Client> = ids[3..].iter().map(of_id).collect();
    (6..36).for_each(|n| drop(producer.publish(&n.to_string())));
    for reader in &mut readers {
        let mut got = Vec::new();
        while !(6..36).all(|n| got.contains(&n)) {
            got.push(next(reader));
        }
        assert!(reader.is_silent());
        let count = got.len();
        got.sort_unstable();
        got.dedup();
        assert_eq!(got.len(), count);
    }
}

#[test]
fn a_topic_may_be_named_as_any_partition_and_a_reader_of_it_sees_nothing_twice() {
    let world = World::with(TINY_LOG);
    // The number comes with every id: it is no size of anything.
    for partition in [1, 1_000_000] {
        let name = format!("{}-partition-{partition}", topic("by-name"));
        let mut slow = world.reader(&format!("{name}?receiverQueueSize=2"));
        let mut quick = world.reader(&name);
        publish(&world, &name, 0..200);
        for reader in [&mut quick, &mut slow] {
            (0..200).for_each(|n| assert_eq!(next(reader), n));
            assert!(reader.is_silent());
        }
    }
}

#[test]
fn a_reader_survives_a_lost_broker_whether_it_is_in_the_log_or_behind_it() {
    let world = World::with(&[TINY_LOG, &[CLOSED_ON_GAP]].concat());
    let name = topic("unloaded-tail");
    let mut slow = world.reader(&format!("{name}?receiverQueueSize=1"));
    let mut quick = world.reader(&name);
    publish(&world, &name, 0..100);
    (0..50).for_each(|n| assert_eq!(next(&mut quick), n));
    (0..10).for_each(|n| assert_eq!(next(&mut slow), n));
    world.admin().unload(&name);
    publish(&world, &name, 100..150);
    (50..150).for_each(|n| assert_eq!(next(&mut quick), n));
    (10..150).for_each(|n| assert_eq!(next(&mut slow), n));
}

#[test]
fn when_the_last_reader_goes_the_broker_side_goes_and_the_next_one_begins_anew() {
    let world = World::start();
    let name = topic("last-goes");
    for round in 0..3 {
        let mut readers: Vec<Client> = (0..4).map(|_| world.reader(&name)).collect();
        publish(&world, &name, round..round + 1);
        for reader in &mut readers {
            assert_eq!(next(reader), round);
        }
        readers.into_iter().for_each(Client::close);
        eventually("the broker has no reader", || {
            readers_at_broker(&world, &name) == 0
        });
    }
}

/// Many at a time, none waiting for the one before.
fn publish_quickly(world: &World, name: &str, numbers: std::ops::Range<u64>) {
    let mut producer = world.producer(name);
    let numbers: Vec<u64> = numbers.collect();
    for some in numbers.chunks(500) {
        for n in some {
            producer.send_json(json!({ "payload": base64(&n.to_string()) }));
        }
        for _ in some {
            assert_eq!(producer.json()["result"], "ok");
        }
    }
}

#[test]
fn with_flow_tcp_no_frames_are_needed() {
    // More than a tail has on its way at a time.
    const MESSAGES: u64 = 10_000;
    let world = World::with(TINY_LOG);
    let name = topic("flow-tcp");
    publish(&world, &name, 0..20);
    let mut earliest = world.reader(&format!("{name}?messageId=earliest&flow=tcp"));
    let mut latest = world.reader(&format!("{name}?flow=tcp&receiverQueueSize=1"));
    publish_quickly(&world, &name, 20..MESSAGES);
    for n in 0..MESSAGES {
        assert_eq!(earliest.payload(), n.to_string());
    }
    for n in 20..MESSAGES {
        assert_eq!(latest.payload(), n.to_string());
    }
}

#[test]
fn with_per_socket_upstreams_every_reader_is_one_to_the_broker() {
    let world = World::with(&["upstream=per-socket"]);
    let name = topic("readers-per-socket");
    let mut readers = [
        world.reader(&name),
        world.reader(&format!("{name}?flow=tcp")),
        world.reader(&format!("{name}?messageId=earliest&receiverQueueSize=2")),
    ];
    assert_eq!(readers_at_broker(&world, &name), 3);
    publish(&world, &name, 0..10);
    for reader in &mut readers {
        (0..10).for_each(|n| assert_eq!(next(reader), n));
    }
}

#[test]
fn a_broker_that_is_away_for_long_is_a_pause_for_readers_that_fell_off() {
    let settings = [
        TINY_LOG,
        &[
            CLOSED_ON_GAP,
            "brokerClient_operationTimeoutMs=1000",
            "brokerClient_maxBackoffIntervalNanos=200000000",
        ],
    ];
    let world = World::embedded(embedded::Options::default(), &settings.concat());
    let name = topic("away");
    let mut slow = world.reader(&format!("{name}?receiverQueueSize=1"));
    let mut keen = world.reader(&name);
    publish(&world, &name, 0..100);
    // What it gets says that the tail has got it too, and the log has left the slow one behind.
    (0..100).for_each(|n| assert_eq!(next(&mut keen), n));
    // It is caught up from 1 on, while there is no broker for longer than an upstream reader is waited for.
    world.broker().faults().restart(3_000);
    (0..100).for_each(|n| assert_eq!(next(&mut slow), n));
}

#[test]
fn a_passing_refusal_is_a_pause_for_readers_that_fell_off() {
    let world = World::embedded(embedded::Options::default(), TINY_LOG);
    let name = topic("refused-for-now");
    let mut slow = world.reader(&format!("{name}?receiverQueueSize=1"));
    let mut keen = world.reader(&name);
    publish(&world, &name, 0..100);
    (0..100).for_each(|n| assert_eq!(next(&mut keen), n));
    let faults = world.broker().faults();
    faults.refuse_creates(2, ServerError::TooManyRequests, "too many for now");
    (0..100).for_each(|n| assert_eq!(next(&mut slow), n));
}

/// On either shard there is a reader of each topic.
#[test]
fn a_topic_that_fills_the_logs_leaves_the_others_room() {
    let world = World::with(&["tailLogBytes=262144", "tailLogsBytes=262144"]);
    let (loud, quiet) = (topic("loud"), topic("quiet"));
    let mut keen = [world.reader(&loud), world.reader(&loud)];
    let slow = || world.reader(&format!("{quiet}?receiverQueueSize=1"));
    let mut slow = [slow(), slow()];
    let payload = base64(&"x".repeat(500));
    let mut producer = world.producer(&loud);
    for _ in 0..250 {
        producer.publish_json(json!({ "payload": payload }));
        keen.iter_mut().for_each(|reader| drop(reader.receive()));
    }
    publish(&world, &quiet, 0..6);
    for reader in &mut slow {
        for n in 0..6 {
            assert_eq!(next(reader), n);
            assert_eq!(readers_at_broker(&world, &quiet), 1, "behind {n}");
        }
    }
}

#[test]
fn a_client_that_takes_nothing_is_let_go_if_that_is_wished() {
    let world = World::with(&["slowConsumerTimeoutMillis=300"]);
    let (name, quiet) = (topic("takes-nothing"), topic("takes-nothing-quiet"));
    let _stalled = world.reader(&format!("{name}?flow=tcp"));
    let mut idle = world.reader(&quiet);
    let payload = base64(&"x".repeat(100_000));
    let mut producer = world.producer(&name);
    // Until its socket is full; then it is closed.
    eventually("the reader has gone", || {
        producer.publish_json(json!({ "payload": payload }));
        readers_at_broker(&world, &name) == 0
    });
    publish(&world, &quiet, 0..1);
    assert_eq!(next(&mut idle), 0);
}

/// Its topic has no tail yet: the reader's coming opens one, at a "latest" that the broker does not name at once.
#[test]
fn a_broker_that_cannot_say_where_latest_is_costs_a_reader_from_the_front_nothing() {
    let world = World::embedded(embedded::Options::default(), &[]);
    let name = topic("unsaid-latest");
    publish(&world, &name, 0..100);
    let error = ServerError::UnknownError;
    let faults = world.broker().faults();
    faults.refuse_last_ids(1, error, "Failed to recover Transaction Buffer.");
    let path = format!("{name}?messageId=earliest&receiverQueueSize=1");
    let mut reader = world.reader(&path);
    (0..100).for_each(|n| assert_eq!(next(&mut reader), n));
    eventually("it has joined its tail", || {
        readers_at_broker(&world, &name) == 1
    });
    publish(&world, &name, 100..110);
    (100..110).for_each(|n| assert_eq!(next(&mut reader), n));
}
