//! Readers that fell off their log are caught up so many at a time (`maxCatchUpReaders`), the others in turn; and nobody
//! keeps a turn of which it makes no use.
//!
//! Set-up: one turn for each of the two shards, and as many sockets of each kind on either.

use serde_json::json;

use crate::support::{Client, Raw, World, topic};
use crate::tails::{next, publish};

/// The smallest log, and the fewest turns.
const SETTINGS: &[&str] = &["tailLogBytes=4096", "maxCatchUpReaders=1"];

const MESSAGES: u64 = 100;

/// Two of them on each shard, in no log any more: all but one message is to be caught up, one at a time.
fn behind_their_log(world: &World) -> Vec<Client> {
    let name = topic("behind");
    let path = format!("{name}?receiverQueueSize=1");
    let readers = (0..4).map(|_| world.reader(&path)).collect();
    let mut keen = world.reader(&name);
    publish(world, &name, 0..MESSAGES);
    (0..MESSAGES).for_each(|n| assert_eq!(next(&mut keen), n));
    readers
}

fn are_caught_up(readers: &mut [Client]) {
    // Each holds a turn when it has got one more, and is not read from until the others have, too.
    for n in 0..3 {
        readers
            .iter_mut()
            .for_each(|reader| assert_eq!(next(reader), n));
    }
    for reader in readers {
        (3..MESSAGES).for_each(|n| assert_eq!(next(reader), n));
    }
}

#[test]
fn readers_that_fell_off_are_caught_up_in_turn() {
    let world = World::with(&["tailLogBytes=4096", "maxCatchUpReaders=1"]);
    let name = topic("in-turn");
    let mut slow: Vec<Client> = (0..6)
        .map(|_| world.reader(&format!("{name}?receiverQueueSize=3")))
        .collect();
    publish(&world, &name, 0..100);
    // One that goes while it waits or is caught up makes room for the next.
    slow.swap_remove(1).cut();
    for reader in &mut slow {
        (0..100).for_each(|n| assert_eq!(next(reader), n));
    }
}

#[test]
fn a_reader_with_a_full_window_gives_its_turn_away() {
    let world = World::with(SETTINGS);
    are_caught_up(&mut behind_their_log(&world));
}

#[test]
fn a_reader_for_whom_there_is_nothing_gives_its_turn_away() {
    let world = World::with(SETTINGS);
    let empty = topic("empty");
    let mut idle = [world.reader(&empty), world.reader(&empty)];
    for reader in &mut idle {
        reader.send_json(json!({ "type": "seek", "messageId": "earliest", "requestId": 1 }));
        assert_eq!(reader.json()["result"], "ok");
    }
    are_caught_up(&mut behind_their_log(&world));
    publish(&world, &empty, 0..3);
    for reader in &mut idle {
        (0..3).for_each(|n| assert_eq!(next(reader), n));
    }
}

#[test]
fn a_reader_whose_client_does_not_read_gives_its_turn_away_and_goes_on_when_it_does() {
    const LARGE: usize = 1_000;
    let world = World::with(SETTINGS);
    let name = topic("clogged");
    let payload = |n: usize| format!("{n:05}{}", "x".repeat(20_000));
    let mut producer = world.producer(&name);
    (0..LARGE).for_each(|n| drop(producer.publish(&payload(n))));
    let path = format!("/ws/v2/reader/persistent/public/default/{name}?flow=tcp");
    let mut clogged = [0, 1].map(|_| Raw::open(world.address(), &path));
    for reader in &mut clogged {
        reader.say(r#"{"type":"seek","messageId":"earliest","requestId":"back"}"#);
        assert!(reader.text().contains("back"));
    }
    are_caught_up(&mut behind_their_log(&world));
    for reader in &mut clogged {
        for n in 0..LARGE {
            let message = serde_json::from_str(&reader.text()).expect("JSON");
            assert_eq!(crate::support::payload_of(&message), payload(n));
        }
    }
}
