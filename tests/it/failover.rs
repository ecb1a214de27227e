//! Failover sockets, on both shards: one upstream consumer for each partition serves them all.
//!
//! Claim: on each partition one of them is active, the one that the broker would choose among as many consumers; when that
//! changes, the next one gets everything unsettled, in order and uncounted, and then what is new.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Client, World, base64, eventually, id_fields, number, take_from, topic};

fn member(world: &World, name: &str, consumer: &str, rest: &str) -> Client {
    world.consumer(
        name,
        &format!("sub?subscriptionType=Failover&consumerName={consumer}{rest}"),
    )
}

fn publish(world: &World, name: &str, numbers: std::ops::Range<usize>) {
    world.producer(name).publish_numbers(numbers);
}

/// The next deliveries are these numbers, seen for the first time as far as the client can tell.
fn expect(socket: &mut Client, numbers: impl IntoIterator<Item = usize>) -> Vec<Value> {
    let each = numbers.into_iter().map(|expected| {
        let message = expect_uncounted(socket);
        assert_eq!(number(&message), expected);
        message
    });
    each.collect()
}

fn expect_uncounted(socket: &mut Client) -> Value {
    let message = socket.json();
    assert_eq!(message["redeliveryCount"], 0, "{message}");
    message
}

/// Which of the sockets gets what is published now, by a message that it acks.
fn active(world: &World, name: &str, sockets: &mut [Client]) -> usize {
    publish(world, name, 0..1);
    let mut active = None;
    take_from(sockets, 1, |place, socket, message| {
        active = Some(place);
        socket.ack(message);
    });
    active.expect("one message")
}

#[test]
fn one_is_active_and_the_next_takes_over_with_what_is_unsettled() {
    let world = World::start();
    let name = topic("failover");
    let mut sockets: Vec<Client> = ["a", "b", "c", "d"]
        .map(|consumer| member(&world, &name, consumer, ""))
        .into();
    assert_eq!(world.consumers(&name, "sub"), 1);
    while sockets.len() > 1 {
        let place = active(&world, &name, &mut sockets);
        publish(&world, &name, 1..6);
        let mut active = sockets.remove(place);
        let held = expect(&mut active, 1..6);
        active.ack(&held[0]);
        active.ack(&held[2]);
        assert!(sockets.iter_mut().all(Client::is_silent));
        match sockets.len() {
            2 => active.cut(),
            _ => active.close(),
        }
        let mut left = Vec::new();
        take_from(&mut sockets, 3, |place, socket, message| {
            assert_eq!(message["redeliveryCount"], 0, "{message}");
            left.push((place, number(message)));
            socket.ack(message);
        });
        let next = left[0].0;
        assert_eq!(left, [(next, 2), (next, 4), (next, 5)]);
        publish(&world, &name, 6..8);
        for message in expect(&mut sockets[next], 6..8) {
            sockets[next].ack(&message);
        }
        eventually("all are acked", || world.backlog(&name, "sub") == 0);
    }
    assert_eq!(world.consumers(&name, "sub"), 1);
    sockets.remove(0).close();
    eventually("the upstream consumer has gone", || {
        world.consumers(&name, "sub") == 0
    });
}

#[test]
fn the_active_one_is_the_brokers_choice() {
    let shared = World::start();
    let own = World::with(&["upstream=per-socket"]);
    let names = ["kiwi", "fig", "plum", "pear", "date"];
    for _ in 0..3 {
        let name = topic("choice");
        let choice = |world: &World| {
            let mut sockets: Vec<Client> = names
                .map(|consumer| member(world, &name, consumer, ""))
                .into();
            let place = active(world, &name, &mut sockets);
            sockets.into_iter().for_each(Client::close);
            place
        };
        let brokers = choice(&own);
        // The embedded broker of the one world does not know the other's topics; on a real one all have to be gone.
        eventually("nobody is left", || own.consumers(&name, "sub") == 0);
        assert_eq!(choice(&shared), brokers);
    }
}

#[test]
fn a_lower_priority_level_number_takes_over_when_it_joins() {
    let world = World::start();
    let name = topic("level");
    let mut first = member(&world, &name, "a", "&priorityLevel=2");
    publish(&world, &name, 0..4);
    let held = expect(&mut first, 0..4);
    first.ack(&held[1]);
    eventually("that is acked", || world.backlog(&name, "sub") == 3);
    let mut second = member(&world, &name, "b", "&priorityLevel=1");
    let taken = expect(&mut second, [0, 2, 3]);
    publish(&world, &name, 4..5);
    expect(&mut second, [4]);
    assert!(first.is_silent());
    // What the first one had got it may still ack; the second has it no more then.
    first.ack(&held[0]);
    second.ack(&taken[1]);
    eventually("those are acked", || world.backlog(&name, "sub") == 2);
    second.close();
    expect(&mut first, [3, 4]);
    let mut last = member(&world, &name, "c", "&priorityLevel=3");
    publish(&world, &name, 5..6);
    expect(&mut first, [5]);
    assert!(last.is_silent());
}

#[test]
fn a_negative_ack_brings_everything_unsettled_again_in_order() {
    let world = World::start();
    let name = topic("again");
    let query = "&negativeAckRedeliveryDelay=200";
    let (mut active, mut standby) = active_and_standby(&world, &name, query);
    publish(&world, &name, 1..7);
    let held = expect(&mut active, 1..7);
    active.ack(&held[0]);
    active.ack(&held[3]);
    // The broker does not listen to who is not active.
    standby.nack(&held[1]);
    assert!(active.is_silent_for(std::time::Duration::from_millis(600)));
    active.nack(&held[4]);
    for message in expect(&mut active, [2, 3, 5, 6]) {
        active.ack(&message);
    }
    assert!(standby.is_silent());
    eventually("all are acked", || world.backlog(&name, "sub") == 0);
}

#[test]
fn an_ack_timeout_brings_everything_unsettled_again_in_order() {
    let world = World::start();
    let name = topic("again");
    let query = "&ackTimeoutMillis=1000";
    let (mut active, mut standby) = active_and_standby(&world, &name, query);
    publish(&world, &name, 1..7);
    let held = whole_run(&mut active, &[1, 2, 3, 4, 5, 6]);
    active.ack(&held[0]);
    active.ack(&held[3]);
    for message in whole_run(&mut active, &[2, 3, 5, 6]) {
        active.ack(&message);
    }
    assert!(standby.is_silent());
    eventually("all are acked", || world.backlog(&name, "sub") == 0);
}

fn active_and_standby(world: &World, name: &str, query: &str) -> (Client, Client) {
    let mut sockets = vec![
        member(world, name, "a", query),
        member(world, name, "b", query),
    ];
    let active = active(world, name, &mut sockets);
    (sockets.remove(active), sockets.remove(0))
}

/// Deliveries until there is a run of exactly these. On a slow machine a timeout cuts a run off anywhere, also before the
/// acks of 1 and 4 count; the next one begins with the first that is unsettled.
fn whole_run(socket: &mut Client, numbers: &[usize]) -> Vec<Value> {
    let mut run: Vec<Value> = Vec::new();
    while !run.iter().map(number).eq(numbers.iter().copied()) {
        let message = expect_uncounted(socket);
        let (last, next) = (run.last().map_or(0, number), number(&message));
        if next <= last {
            run.clear();
        }
        let last = run.last().map_or(0, number);
        let are_acked = (last + 1..next).all(|skipped| [1, 4].contains(&skipped));
        assert!(are_acked, "{next} after {last}");
        run.push(message);
    }
    run
}

/// Publishes numbers with the partition's index as key, so many to each of four partitions.
fn publish_to_partitions(world: &World, name: &str, numbers: std::ops::Range<usize>) {
    for partition in 0..4 {
        let mut producer = world.producer(&format!("{name}-partition-{partition}"));
        for n in numbers.clone() {
            producer.publish_json(json!({
                "payload": base64(&n.to_string()), "key": partition.to_string()
            }));
        }
    }
}

#[test]
fn partitions_are_dealt_out_by_name_and_again_when_members_come_and_go() {
    let world = World::start();
    let name = topic("partitions");
    world.admin().create_partitioned(&name, 4);
    // Their order is that of their names.
    let mut sockets = vec![
        member(&world, &name, "a", "&receiverQueueSize=5"),
        member(&world, &name, "c", ""),
    ];
    let mut acked: BTreeMap<usize, usize> = BTreeMap::new();
    let mut expected_owners =
        |sockets: &mut [Client], count: usize, owner: &dyn Fn(usize) -> usize| {
            take_from(sockets, count, |place, socket, message| {
                assert_eq!(message["redeliveryCount"], 0);
                let partition = message["key"].as_str().expect("a key").parse().unwrap();
                let in_id = id_fields(message["messageId"].as_str().expect("an id"));
                assert!(
                    in_id.contains(&(3, partition as i64)) || partition == 0,
                    "{in_id:?}"
                );
                let next = acked.entry(partition).or_default();
                assert_eq!(number(message), *next, "partition {partition}");
                assert_eq!(place, owner(partition), "partition {partition}");
                *next += 1;
                socket.ack(message);
            });
        };
    // What the broker has not heard of yet comes again to the next owner.
    let all_are_acked = || {
        (0..4).all(|partition| world.backlog(&format!("{name}-partition-{partition}"), "sub") == 0)
    };
    publish_to_partitions(&world, &name, 0..10);
    expected_owners(&mut sockets, 40, &|partition| partition % 2);
    eventually("all are acked", all_are_acked);
    // "b" comes between the two: partition 0 and 3 are a's, 1 is b's, 2 is c's.
    sockets.insert(1, member(&world, &name, "b", ""));
    publish_to_partitions(&world, &name, 10..20);
    expected_owners(&mut sockets, 40, &|partition| partition % 3);
    eventually("all are acked", all_are_acked);
    sockets.remove(0).close();
    publish_to_partitions(&world, &name, 20..30);
    expected_owners(&mut sockets, 40, &|partition| partition % 2);
    assert!(sockets.iter_mut().all(Client::is_silent));
}

#[test]
fn a_full_window_stops_its_own_partitions_only() {
    let world = World::start();
    let name = topic("full");
    world.admin().create_partitioned(&name, 2);
    let mut slow = member(&world, &name, "a", "&receiverQueueSize=2");
    let mut quick = member(&world, &name, "b", "&receiverQueueSize=3");
    for partition in 0..2 {
        let of = format!("{name}-partition-{partition}");
        publish(&world, &of, 0..20);
    }
    let held = expect(&mut slow, 0..2);
    for message in expect(&mut quick, 0..3) {
        quick.ack(&message);
    }
    for n in 3..20 {
        let message = expect(&mut quick, [n]).remove(0);
        quick.ack(&message);
    }
    assert!(slow.is_silent());
    slow.ack(&held[0]);
    expect(&mut slow, [2]);
}

#[test]
fn two_gateways_share_a_failover_subscription() {
    let world = World::start();
    let beside = world.beside();
    let name = topic("gateways");
    let mut sockets = vec![
        member(&world, &name, "a", ""),
        member(&beside, &name, "b", ""),
        member(&world, &name, "c", ""),
        member(&beside, &name, "d", ""),
    ];
    assert_eq!(world.consumers(&name, "sub"), 2);
    let mut n = 1;
    while !sockets.is_empty() {
        let place = active(&world, &name, &mut sockets);
        publish(&world, &name, n..n + 5);
        let held = expect(&mut sockets[place], n..n + 5);
        let mut leaving = sockets.remove(place);
        leaving.ack(&held[0]);
        leaving.close();
        let mut left = Vec::new();
        if sockets.is_empty() {
            break;
        }
        take_from(&mut sockets, 4, |place, socket, message| {
            left.push((place, number(message)));
            socket.ack(message);
        });
        let next = left[0].0;
        let expected: Vec<_> = (n + 1..n + 5).map(|n| (next, n)).collect();
        assert_eq!(left, expected);
        n += 5;
    }
}
