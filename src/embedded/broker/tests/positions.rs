//! Where consumers begin, seeks, unload, and the last message id.

use ::pulsar::proto::{CommandGetLastMessageId, CommandSeek};

use super::*;

fn reader(start: Option<MessageIdData>, latest: bool) -> impl FnOnce(&mut CommandSubscribe) {
    move |s| {
        s.subscription = "reader".into();
        s.durable = Some(false);
        s.start_message_id = start;
        s.initial_position = Some(i32::from(!latest));
    }
}

/// What a reader from there gets.
fn read(world: &mut World, start: Option<MessageIdData>, latest: bool) -> Vec<String> {
    world
        .subscribe_with(2, 9, SubType::Exclusive, reader(start, latest))
        .unwrap();
    let got = texts(&world.flow(2, 9, 100));
    world.close_consumer(2, 9);
    got
}

#[test]
fn a_reader_begins_with_the_entry_it_names() {
    let mut world = World::new(Options::default());
    let positions: Vec<(u64, u64)> = (0..3).map(|n| world.publish(&format!("m{n}"))).collect();
    let all = ["m0", "m1", "m2"];
    assert_eq!(read(&mut world, Some(id((u64::MAX, u64::MAX))), true), all);
    assert_eq!(read(&mut world, Some(id(positions[1])), true), all[1..]);
    let latest = id((i64::MAX as u64, i64::MAX as u64));
    assert!(read(&mut world, Some(latest.clone()), true).is_empty());
    // Behind the end the initial position counts: the broker's own surprise.
    assert_eq!(read(&mut world, Some(latest), false), all);
    assert!(read(&mut world, None, true).is_empty());
    // Non-durable: nothing is left.
    assert!(world.broker.stats(TOPIC).unwrap().subscriptions.is_empty());
}

#[test]
fn a_durable_subscription_stays_where_it_was() {
    let mut world = World::new(Options::default());
    world.publish("m0");
    let latest = |s: &mut CommandSubscribe| s.initial_position = Some(0);
    world
        .subscribe_with(2, 1, SubType::Exclusive, latest)
        .unwrap();
    world.close_consumer(2, 1);
    world.publish("m1");
    world.subscribe(2, 1, SubType::Exclusive);
    assert_eq!(texts(&world.flow(2, 1, 10)), ["m1"]);
}

fn seek(world: &mut World, seek: CommandSeek) -> Vec<Answer> {
    world.ask(2, Type::Seek, |c| c.seek = Some(seek))
}

#[test]
fn a_seek_closes_the_consumer_and_moves_the_cursor() {
    let mut world = World::new(Options::default());
    let mut positions = Vec::new();
    for n in 0..4 {
        positions.push(world.publish(&format!("m{n}")));
        world.advance(1_000);
    }
    world.subscribe(2, 1, SubType::Shared);
    let got = world.flow(2, 1, 10);
    world.ack(2, 1, &ids(&got));
    let by_id = CommandSeek {
        consumer_id: 1,
        request_id: 70,
        message_id: Some(id(positions[2])),
        message_publish_time: None,
    };
    let answers = seek(&mut world, by_id);
    assert_eq!(
        answers[0]
            .command
            .close_consumer
            .as_ref()
            .unwrap()
            .consumer_id,
        1
    );
    assert_eq!(answers[1].command.success.as_ref().unwrap().request_id, 70);
    world.subscribe(2, 1, SubType::Shared);
    assert_eq!(texts(&world.flow(2, 1, 10)), ["m2", "m3"]);
    let by_time = CommandSeek {
        consumer_id: 1,
        request_id: 71,
        message_id: None,
        message_publish_time: Some(1_000_000 + 500),
    };
    seek(&mut world, by_time.clone());
    let gone = seek(&mut world, by_time);
    assert_eq!(
        gone[0].command.error.as_ref().unwrap().message,
        "Consumer not found"
    );
    world.subscribe(2, 1, SubType::Shared);
    assert_eq!(texts(&world.flow(2, 1, 10)), ["m1", "m2", "m3"]);
}

#[test]
fn an_administrators_reset_does_the_same() {
    let mut world = World::new(Options::default());
    world.publish("m0");
    world.subscribe(2, 1, SubType::Exclusive);
    let got = world.flow(2, 1, 10);
    world.ack(2, 1, &ids(&got));
    world
        .broker
        .reset_cursor(world.now_ms, TOPIC, "s", 0)
        .unwrap();
    assert!(world.answers(2)[0].command.close_consumer.is_some());
    assert_eq!(world.numbers(), (1, vec![]));
    world
        .broker
        .reset_cursor(world.now_ms, TOPIC, "s", u64::MAX)
        .unwrap();
    assert_eq!(world.numbers().0, 0);
    let missing = world.broker.reset_cursor(world.now_ms, TOPIC, "x", 0);
    assert_eq!(missing.unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn an_unload_closes_everyone_and_begins_a_ledger() {
    let mut world = World::new(Options::default());
    let before = world.publish("m0");
    world.subscribe(2, 1, SubType::Exclusive);
    world.flow(2, 1, 10);
    world.broker.unload(world.now_ms, TOPIC).unwrap();
    let closed = world.answers(1)[0].command.close_producer.unwrap();
    assert_eq!((closed.producer_id, closed.request_id), (1, u64::MAX));
    assert!(world.answers(2)[0].command.close_consumer.is_some());
    let after = world.publish("m1");
    assert!(after.0 > before.0 && after.1 == 0);
    world.subscribe(2, 1, SubType::Exclusive);
    assert_eq!(texts(&world.flow(2, 1, 10)), ["m0", "m1"]);
}

#[test]
fn the_last_message_id_names_the_last_of_a_batch() {
    let mut world = World::new(Options::default());
    world.subscribe(2, 1, SubType::Exclusive);
    let last = |world: &mut World| {
        let request = CommandGetLastMessageId {
            consumer_id: 1,
            request_id: 8,
        };
        let answers = world.ask(2, Type::GetLastMessageId, |c| {
            c.get_last_message_id = Some(request);
        });
        answers[0]
            .command
            .get_last_message_id_response
            .clone()
            .unwrap()
    };
    let empty = last(&mut world).last_message_id;
    assert_eq!((empty.ledger_id, empty.entry_id), (u64::MAX, u64::MAX));
    let position = world.publish_with("b", |m| m.num_messages_in_batch = Some(5));
    let found = last(&mut world);
    let id = found.last_message_id;
    assert_eq!(
        (id.ledger_id, id.entry_id, id.batch_index),
        (position.0, position.1, Some(4))
    );
    let mark = found.consumer_mark_delete_position.unwrap();
    assert_eq!((mark.ledger_id, mark.entry_id), (position.0, u64::MAX));
}
