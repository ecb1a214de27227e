//! Where a consumer goes on after a reconnect.

use super::*;
use crate::pulsar::client::resume::{First, Resume};

#[test]
fn a_reader_goes_on_behind_the_last_entry_and_is_not_given_it_again() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(reader_spec(StartPosition::Earliest));
    for entry in 0..3 {
        world.deliver(connection, consumer, entry, Some(10), None);
        assert_eq!(world.entry().entry, entry);
    }
    world.lose(connection);
    lost(&mut world, true);
    let (connection, asked) = resubscribe(&mut world);
    let start = asked.start_message_id.expect("a start");
    assert_eq!((start.ledger_id, start.entry_id), (5, 2));
    resumed(&mut world, connection, asked.request_id);
    // The broker steps one entry back; its permits are given back.
    world.deliver(connection, consumer, 2, Some(10), None);
    world.no_event();
    assert_eq!(world.permits_heard(), 10);
    world.deliver(connection, consumer, 3, None, None);
    assert_eq!(world.entry().entry, 3);
    world.heard_nothing();
}

#[test]
fn a_durable_consumer_is_given_again_what_the_broker_sends_again() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    world.deliver(connection, consumer, 0, None, None);
    assert_eq!(world.entry().entry, 0);
    world.lose(connection);
    lost(&mut world, true);
    let (connection, asked) = resubscribe(&mut world);
    assert_eq!(asked.start_message_id, None);
    resumed(&mut world, connection, asked.request_id);
    world.deliver(connection, consumer, 0, None, None);
    assert_eq!(world.entry().entry, 0);
}

#[test]
fn a_start_id_is_exclusive_and_inside_a_batch_the_owner_filters() {
    // A whole message: the entry that comes again is dropped.
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(reader_spec(StartPosition::After(id(8, -1))));
    world.deliver(connection, consumer, 8, None, None);
    world.no_event();
    assert_eq!(world.permits_heard(), 1);
    world.deliver(connection, consumer, 9, None, None);
    assert_eq!(world.entry().entry, 9);

    // A whole message, but the entry is a batch: nothing of it is behind the start.
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(reader_spec(StartPosition::After(id(8, -1))));
    world.deliver(connection, consumer, 8, Some(4), None);
    assert_eq!(world.entry().entry, 8);

    // An index: the entry comes and its owner skips.
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(reader_spec(StartPosition::After(id(8, 3))));
    world.deliver(connection, consumer, 8, Some(10), None);
    assert_eq!(world.entry().entry, 8);
}

#[test]
fn a_non_persistent_topic_has_no_ids_to_drop_by() {
    let mut world = World::new(config());
    let spec = ConsumerSpec {
        topic: "non-persistent://public/default/t".to_owned(),
        ..reader_spec(StartPosition::Latest)
    };
    let (consumer, connection) = world.consumer(spec);
    world.deliver(connection, consumer, 0, None, None);
    world.entry();
    world.lose(connection);
    lost(&mut world, true);
    let (connection, asked) = resubscribe(&mut world);
    resumed(&mut world, connection, asked.request_id);
    world.deliver(connection, consumer, 0, None, None);
    world.entry();
}

/// A reader at "latest" has its subscription, and asks where that is: the request id.
fn subscribed_at_latest(world: &mut World) -> u64 {
    let (connection, asked) = world.find_consumer();
    let start = asked.start_message_id.expect("a start");
    assert_eq!(start.ledger_id, i64::MAX as u64);
    world.say(connection, &success(asked.request_id));
    world.no_event();
    heard_last_id(world)
}

/// The same from the beginning.
fn at_latest() -> (World, ConsumerId, ConnectionId, u64) {
    at_latest_with(reader_spec(StartPosition::Latest))
}

fn at_latest_with(spec: ConsumerSpec) -> (World, ConsumerId, ConnectionId, u64) {
    let mut world = World::new(config());
    let consumer = world.client.open_consumer(world.now_ms, spec);
    let connection = world.accept(SERVICE);
    let request_id = subscribed_at_latest(&mut world);
    (world, consumer, connection, request_id)
}

#[test]
fn a_reader_at_latest_stays_where_latest_was() {
    stays_where_latest_was(reader_spec(StartPosition::Latest));
}

/// What was published before it was there again was lost.
#[test]
fn a_non_durable_consumer_at_latest_does_so_too() {
    stays_where_latest_was(ConsumerSpec {
        durable: false,
        ..consumer_spec()
    });
}

fn stays_where_latest_was(spec: ConsumerSpec) {
    let (mut world, consumer, connection, request_id) = at_latest_with(spec);
    world.say(connection, &last_id(request_id, 44, Some(41)));
    assert!(matches!(world.event(), Event::ConsumerReady { .. }));
    world.lose(connection);
    lost(&mut world, true);
    let (connection, asked) = resubscribe(&mut world);
    assert_eq!(asked.start_message_id.expect("a start").entry_id, 41);
    resumed(&mut world, connection, asked.request_id);
    world.deliver(connection, consumer, 41, None, None);
    assert_eq!(world.permits_heard(), 1);
    world.deliver(connection, consumer, 42, None, None);
    assert_eq!(world.entry().entry, 42);
}

#[test]
fn a_reader_at_latest_of_a_topic_that_has_ended_is_told_so() {
    let (mut world, consumer, connection, request_id) = at_latest();
    world.say(connection, &end_of_topic(consumer));
    world.no_event();
    world.say(connection, &last_id(request_id, 44, Some(44)));
    assert!(matches!(world.event(), Event::ConsumerReady { .. }));
    assert!(matches!(world.event(), Event::EndOfTopic { .. }));
}

/// Where "latest" was would be guessed, and a tail that begins at a guess loses what lies behind it.
#[test]
fn a_reader_at_latest_is_not_ready_before_the_broker_has_said_where_that_is() {
    let (mut world, consumer, connection, request_id) = at_latest();
    let refused = error(request_id, proto::ServerError::UnknownError, "no");
    world.say(connection, &refused);
    world.no_event();
    // The broker has it still: it is to forget it first.
    world.heard(Type::CloseConsumer);
    world.pass(100);
    let request_id = subscribed_at_latest(&mut world);
    world.say(connection, &last_id(request_id, 44, Some(41)));
    assert!(matches!(world.event(), Event::ConsumerReady { .. }));
    let start = StartPosition::After(MessageId {
        batch_size: 0,
        ..id(41, -1)
    });
    assert_eq!(world.client.start_of(consumer), Some(start));
}

fn seek_failed(world: &mut World) {
    assert!(matches!(
        world.event(),
        Event::Seeked { result: Err(_), .. }
    ));
}

#[test]
fn a_seek_that_fails_with_its_connection_moves_nothing() {
    let (mut world, consumer, connection, _) = seeking();
    world.deliver(connection, consumer, 10, None, None);
    world.entry();
    world.lose(connection);
    seek_failed(&mut world);
    lost(&mut world, true);
    let (_, asked) = resubscribe(&mut world);
    assert_eq!(asked.start_message_id.expect("a start").entry_id, 10);
}

#[test]
fn a_seek_that_the_broker_refuses_when_it_has_closed_the_consumer_moves_nothing() {
    let (mut world, consumer, connection, request_id) = seeking();
    world.say(connection, &close_consumer(consumer));
    lost(&mut world, false);
    let refused = error(request_id, proto::ServerError::MetadataError, "no");
    world.say(connection, &refused);
    seek_failed(&mut world);
    world.pass(100);
    let (_, asked) = world.find_consumer();
    assert_eq!(asked.start_message_id.expect("a start").entry_id, 9);
}

/// What an entry shows that is the first to come after `resume` lost its cursor.
fn first_of(resume: &mut Resume, ledger: u64, entry: u64) -> First {
    resume.lost();
    resume.subscribed();
    let id = MessageId {
        ledger,
        ..id(entry, -1)
    };
    resume.first(&id, || false)
}

#[test]
fn what_is_missing_shows_with_the_first_entry_that_comes() {
    let spec = reader_spec(StartPosition::Earliest);
    let first = |ledger, entry| {
        let mut resume = Resume::new(&spec);
        resume.gave_out(&id(10, -1));
        first_of(&mut resume, ledger, entry)
    };
    assert_eq!(first(5, 10), First::Repeat);
    assert_eq!(first(5, 11), First::Wanted);
    assert_eq!(first(5, 15), First::Behind(Gap::Certain));
    assert_eq!(first(6, 0), First::Behind(Gap::Possible));
    assert_eq!(first(4, 15), First::Wanted);
}

#[test]
fn nothing_is_missing_behind_what_the_broker_did_not_give_out() {
    let wanted = |mut resume: Resume| {
        for (ledger, entry) in [(5, 15), (6, 0)] {
            assert_eq!(first_of(&mut resume, ledger, entry), First::Wanted);
        }
    };
    // "Latest" may be behind a marker, which is never given out.
    let mut latest = Resume::new(&reader_spec(StartPosition::Latest));
    latest.fix(5, 10);
    wanted(latest);
    let start = StartPosition::After(id(10, -1));
    wanted(Resume::new(&reader_spec(start)));
    let mut moved = Resume::new(&reader_spec(StartPosition::Earliest));
    moved.gave_out(&id(10, -1));
    moved.seeking(SeekTarget::Message(id(3, -1)));
    wanted(moved);
    // A compacted topic has holes of its own.
    let compacted = ConsumerSpec {
        read_compacted: true,
        ..reader_spec(StartPosition::Earliest)
    };
    let mut compacted = Resume::new(&compacted);
    compacted.gave_out(&id(10, -1));
    wanted(compacted);
}

#[test]
fn a_gap_is_told_before_the_entry_behind_it_and_once() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(reader_spec(StartPosition::Earliest));
    world.deliver(connection, consumer, 10, None, None);
    world.entry();
    world.lose(connection);
    lost(&mut world, true);
    let (connection, asked) = resubscribe(&mut world);
    resumed(&mut world, connection, asked.request_id);
    world.deliver(connection, consumer, 15, None, None);
    let gap = Gap::Certain;
    assert!(matches!(world.event(), Event::Gap { gap: it, .. } if it == gap));
    assert_eq!(world.entry().entry, 15);
    world.deliver(connection, consumer, 19, None, None);
    assert_eq!(world.entry().entry, 19);
}
