//! Key_Shared: one key, one consumer, in order.

use std::collections::HashMap;

use ::pulsar::proto::{IntRange, KeySharedMeta};

use super::*;

fn publish_key(world: &mut World, key: &str, text: &str) {
    world.publish_with(text, |m| m.partition_key = Some(key.into()));
}

#[test]
fn a_key_stays_with_one_consumer() {
    let mut world = World::new(Options::default());
    for id in 2..5 {
        world.subscribe(id, 1, SubType::KeyShared);
        world.flow(id, 1, 1_000);
    }
    for n in 0..100 {
        let key = format!("k{}", n % 10);
        publish_key(&mut world, &key, &format!("{key} {}", n / 10));
    }
    let mut owners: HashMap<String, (u64, Vec<String>)> = HashMap::new();
    for id in 2..5 {
        for text in texts(&world.answers(id)) {
            let (key, n) = text.split_once(' ').unwrap();
            let (owner, seen) = owners.entry(key.into()).or_insert((id, Vec::new()));
            assert_eq!(*owner, id, "{key} went to two");
            seen.push(n.into());
        }
    }
    assert_eq!(owners.len(), 10);
    let in_order: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    assert!(owners.values().all(|(_, seen)| *seen == in_order));
}

#[test]
fn a_key_moves_only_when_its_old_consumer_has_settled() {
    let mut world = World::new(Options::default());
    world.subscribe(2, 1, SubType::KeyShared);
    world.flow(2, 1, 100);
    let keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
    for key in &keys {
        publish_key(&mut world, key, key);
    }
    let first = world.answers(2);
    assert_eq!(texts(&first), keys);
    world.subscribe(3, 1, SubType::KeyShared);
    world.flow(3, 1, 100);
    for key in &keys {
        publish_key(&mut world, key, key);
    }
    let stayed = texts(&world.answers(2));
    assert!(!stayed.is_empty() && stayed.len() < 20);
    // The rest belongs to the new one, and waits.
    assert!(world.answers(3).is_empty());
    world.ack(2, 1, &ids(&first));
    let mut all = [stayed, texts(&world.answers(3))].concat();
    all.sort();
    let mut wanted = keys.clone();
    wanted.sort();
    assert_eq!(all, wanted);
}

#[test]
fn a_full_consumer_stops_its_own_keys_only() {
    let mut world = World::new(Options::default());
    world.subscribe(2, 1, SubType::KeyShared);
    world.subscribe(3, 1, SubType::KeyShared);
    world.flow(3, 1, 1_000);
    let keys: Vec<String> = (0..40).map(|n| format!("k{n}")).collect();
    for key in &keys {
        publish_key(&mut world, key, key);
    }
    let others = texts(&world.answers(3));
    assert!(!others.is_empty());
    let own = texts(&world.flow(2, 1, 1_000));
    assert_eq!(own.len() + others.len(), 40);
    let waited: Vec<&String> = keys.iter().filter(|key| !others.contains(key)).collect();
    assert_eq!(own.iter().collect::<Vec<_>>(), waited);
}

#[test]
fn a_leaving_consumers_keys_go_on_in_order() {
    let mut world = World::new(Options::default());
    world.subscribe(2, 1, SubType::KeyShared);
    world.subscribe(3, 1, SubType::KeyShared);
    world.flow(2, 1, 2);
    world.flow(3, 1, 1_000);
    for n in 0..20 {
        publish_key(
            &mut world,
            &format!("k{}", n % 4),
            &format!("k{} {n}", n % 4),
        );
    }
    let before = texts(&world.answers(3));
    world.broker.disconnected(world.now_ms, 2);
    let after = texts(&world.answers(3));
    assert_eq!(before.len() + after.len(), 20);
    for key in ["k0", "k1", "k2", "k3"] {
        let numbers: Vec<u32> = before
            .iter()
            .chain(&after)
            .filter_map(|text| text.strip_prefix(key)?.trim().parse().ok())
            .collect();
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
    }
}

#[test]
fn sticky_consumers_name_their_ranges() {
    let mut world = World::new(Options::default());
    let sticky = |start: i32, end: i32| {
        move |s: &mut CommandSubscribe| {
            s.key_shared_meta = Some(KeySharedMeta {
                key_shared_mode: 1,
                hash_ranges: vec![IntRange { start, end }],
                allow_out_of_order_delivery: None,
            });
        }
    };
    world
        .subscribe_with(2, 1, SubType::KeyShared, sticky(0, 30_000))
        .unwrap();
    let conflict = world.subscribe_with(3, 1, SubType::KeyShared, sticky(30_000, 65_535));
    assert_eq!(conflict.err().unwrap().0, ServerError::ConsumerAssignError);
    world
        .subscribe_with(3, 1, SubType::KeyShared, sticky(30_001, 65_535))
        .unwrap();
    world.flow(2, 1, 100);
    world.flow(3, 1, 100);
    for n in 0..30 {
        publish_key(&mut world, &format!("k{n}"), "m");
    }
    let (first, second) = (world.answers(2).len(), world.answers(3).len());
    assert!(first > 0 && second > 0);
    assert_eq!(first + second, 30);
}

#[test]
fn a_redelivered_entry_keeps_its_keys_order() {
    let mut world = World::new(Options::default());
    world.subscribe(2, 1, SubType::KeyShared);
    for n in 0..4 {
        publish_key(&mut world, "k", &format!("m{n}"));
    }
    let got = world.flow(2, 1, 2);
    world.redeliver(2, 1, &[]);
    let again = delivered(&world.flow(2, 1, 10));
    let wanted = [("m0", 1), ("m1", 1), ("m2", 0), ("m3", 0)];
    assert_eq!(again, wanted.map(|(text, count)| (text.to_owned(), count)));
    assert_eq!(got.len(), 2);
}
