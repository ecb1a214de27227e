//! Shared subscriptions that have more than one hub in this process: one for each priority level, and a further one where
//! the windows are more than the broker lets one consumer leave unacked.
//!
//! Claim: the sockets notice nothing of it. Who does not ack stops nobody else, and a message may be acked on any of them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, World, eventually, number, take_from, topic};

fn member(world: &World, name: &str, level: u32, window: usize) -> Client {
    let query =
        format!("sub?subscriptionType=Shared&priorityLevel={level}&receiverQueueSize={window}");
    world.consumer(name, &query)
}

#[test]
fn sixty_sockets_that_never_ack_do_not_stop_the_one_that_does() {
    const STALLED: usize = 60;
    const WINDOW: usize = 1000;
    let world = World::start();
    let name = topic("stalled");
    let stalled: Vec<Client> = (0..STALLED)
        .map(|_| member(&world, &name, 0, WINDOW))
        .collect();
    let mut live = member(&world, &name, 0, WINDOW);
    // 40,000 behind the first upstream consumer, the rest behind a second.
    assert_eq!(world.consumers(&name, "sub"), 2);
    let mut producer = world.producer(&name);
    let mut published = 0;
    let mut seen = BTreeSet::new();
    // Until the others hold all that they may. They have what the live one has not got.
    loop {
        let held = published - seen.len();
        if held < STALLED * WINDOW {
            let more = STALLED * WINDOW - held + WINDOW;
            producer.publish_numbers(published..published + more);
            published += more;
        }
        match live.within(Duration::from_secs(1)) {
            Some(message) => {
                assert!(seen.insert(number(&message)), "twice: {message}");
                live.ack(&message);
            }
            None if held == STALLED * WINDOW => break,
            // A busy machine took a while.
            None => {}
        }
    }
    producer.publish_numbers(published..published + 3 * WINDOW);
    for n in published..published + 3 * WINDOW {
        assert_eq!(live.receive(), n.to_string());
    }
    drop(producer);
    live.close();
    stalled.into_iter().for_each(Client::cut);
    eventually("both upstream consumers have gone", || {
        world.consumers(&name, "sub") == 0
    });
}

#[test]
fn a_socket_in_pull_mode_that_never_acks_does_not_stop_the_others() {
    const PUBLISHED: usize = 60_000;
    let world = World::start();
    let name = topic("hoards");
    let mut early = member(&world, &name, 0, 10);
    let mut hoarder = world.consumer(&name, "sub?subscriptionType=Shared&pullMode=true");
    assert_eq!(world.consumers(&name, "sub"), 1);
    hoarder.permit(PUBLISHED as i64);
    world.producer(&name).publish_numbers(0..PUBLISHED);
    let mut hoarded = 0;
    eventually("it has what one may hold", || {
        while hoarder.within(Duration::from_secs(1)).is_some() {
            hoarded += 1;
        }
        hoarded >= 40_000
    });
    assert!(hoarded < 50_000, "{hoarded}");
    // Behind the same upstream consumer, and behind one of its own.
    let late = member(&world, &name, 0, 1000);
    assert_eq!(world.consumers(&name, "sub"), 2);
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let message = early.json();
        assert!(seen.insert(number(&message)), "twice: {message}");
        early.ack(&message);
    }
    let mut others = [early, late];
    take_from(
        &mut others,
        PUBLISHED - hoarded - 100,
        |_, socket, message| {
            assert!(seen.insert(number(message)), "twice: {message}");
            socket.ack(message);
        },
    );
    assert!(hoarder.is_silent());
    eventually("only what is hoarded is unacked", || {
        world.backlog(&name, "sub") == hoarded as u64
    });
}

#[test]
fn a_further_upstream_consumer_goes_with_its_members_and_its_room_is_used_again() {
    let world = World::start();
    let name = topic("room");
    let mut sockets: Vec<Client> = (0..41).map(|_| member(&world, &name, 0, 1000)).collect();
    assert_eq!(world.consumers(&name, "sub"), 2);
    sockets.pop().expect("the 41st").close();
    eventually("the second one has gone", || {
        world.consumers(&name, "sub") == 1
    });
    sockets.pop().expect("the 40th").close();
    // Whoever comes before the hub knows of that makes a second one.
    eventually("its room is used again", || {
        let next = member(&world, &name, 0, 1000);
        if world.consumers(&name, "sub") == 1 {
            sockets.push(next);
            return true;
        }
        next.close();
        eventually("the second one has gone", || {
            world.consumers(&name, "sub") == 1
        });
        false
    });
    sockets.push(member(&world, &name, 0, 1));
    assert_eq!(world.consumers(&name, "sub"), 2);
}

#[test]
fn the_lower_priority_level_number_is_served_first() {
    let world = World::start();
    let name = topic("levels");
    let mut second = member(&world, &name, 1, 100);
    let mut first = [member(&world, &name, 0, 10), member(&world, &name, 0, 10)];
    assert_eq!(world.consumers(&name, "sub"), 2);
    let mut producer = world.producer(&name);
    let mut held = Vec::new();
    for half in [0..10, 10..20] {
        for n in half {
            producer.publish(&n.to_string());
        }
        take_from(&mut first, 10, |place, _, message| {
            held.push((place, message.clone()));
        });
        // In turn among themselves: of what comes at once each gets its share, rounded up for whose turn it is.
        let of_the_first = held.iter().filter(|(place, _)| *place == 0).count();
        assert!(
            (3..=held.len() - 3).contains(&of_the_first),
            "{of_the_first}"
        );
    }
    assert!(second.is_silent(), "the first level had room");
    // Their windows are full: the next level's turn, until they have room again.
    for n in 20..25 {
        producer.publish(&n.to_string());
        assert_eq!(second.receive(), n.to_string());
    }
    for (place, message) in &held {
        first[*place].ack(message);
    }
    eventually("those are acked", || world.backlog(&name, "sub") == 0);
    for n in 25..40 {
        producer.publish(&n.to_string());
    }
    let mut seen = BTreeSet::new();
    take_from(&mut first, 15, |_, socket, message| {
        seen.insert(number(message));
        socket.ack(message);
    });
    assert_eq!(seen, (25..40).collect());
    assert!(second.is_silent());
}

#[test]
fn a_message_may_be_acked_on_a_socket_of_another_hub() {
    let world = World::start();
    let name = topic("elsewhere");
    let mut first = member(&world, &name, 0, 3);
    let mut producer = world.producer(&name);
    for n in 0..3 {
        producer.publish(&n.to_string());
    }
    let held: Vec<Value> = (0..3).map(|_| first.json()).collect();
    let mut other = member(&world, &name, 1, 10);
    assert_eq!(world.consumers(&name, "sub"), 2);
    other.ack(&held[0]);
    other.ack(&held[1]);
    eventually("the broker has them", || world.backlog(&name, "sub") == 1);
    // The one that had got them has room for as many again.
    producer.publish("3");
    assert_eq!(first.receive(), "3");
    // What it leaves behind goes to its own hub's next member, without what is acked.
    let mut next = member(&world, &name, 0, 10);
    eventually("that one is acked", || world.backlog(&name, "sub") == 1);
    first.cut();
    assert_eq!(next.receive(), "2");
    assert!(next.is_silent());
    assert!(other.is_silent());
    eventually("all are acked", || world.backlog(&name, "sub") == 0);
}

/// The other hub was told by its own connection only that the broker had closed its consumer: it acked its part of the
/// batch once more, and took what came anew for what its member had already.
#[test]
fn a_seek_on_one_socket_begins_those_of_all_hubs_anew() {
    let world = World::start();
    let name = topic("sought");
    let mut second = member(&world, &name, 1, 10);
    let query = "batchingEnabled=true&batchingMaxMessages=3&batchingMaxPublishDelay=60000";
    let mut producer = world.producer(&format!("{name}?{query}"));
    producer.publish_numbers(0..3);
    let held: Vec<Value> = (0..3).map(|_| second.json()).collect();
    second.send_json(json!({ "messageId": held[1]["messageId"], "requestId": "ack" }));
    assert_eq!(second.json(), json!({ "result": "ok", "requestId": "ack" }));
    let mut first = member(&world, &name, 0, 10);
    assert_eq!(world.consumers(&name, "sub"), 2);
    first.send_json(json!({ "type": "seek", "messageId": "earliest", "requestId": "seek" }));
    assert_eq!(first.json(), json!({ "result": "ok", "requestId": "seek" }));
    let mut seen = Vec::new();
    let mut both = [first, second];
    take_from(&mut both, 3, |_, socket, message| {
        seen.push(number(message));
        socket.ack(message);
    });
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2]);
    eventually("all are acked", || world.backlog(&name, "sub") == 0);
    assert!(both.iter_mut().all(Client::is_silent));
}

/// Its hub went on holding it for its member, and gave it to the next one when that left.
#[test]
fn what_was_acked_behind_one_hub_is_not_passed_on_by_another() {
    let world = World::start();
    let name = topic("acked-there");
    let mut first = member(&world, &name, 0, 1);
    let mut producer = world.producer(&name);
    producer.publish("0");
    assert_eq!(number(&first.json()), 0);
    let mut other = member(&world, &name, 1, 10);
    // The broker gives it to the consumer that has room.
    world.admin().unload(&name);
    let again = other.json();
    assert_eq!(number(&again), 0);
    other.ack(&again);
    eventually("the broker has it", || world.backlog(&name, "sub") == 0);
    let mut next = member(&world, &name, 0, 10);
    first.cut();
    assert!(next.is_silent());
    producer.publish("1");
    assert_eq!(next.receive(), "1");
}
