//! TOPIC_MIGRATED: whom it concerns, and where look-ups go afterwards.

use bytes::BufMut;

use super::*;

/// Resource types of CommandTopicMigrated.
const PRODUCER: u64 = 0;
const CONSUMER: u64 = 1;

fn topic_migrated(kind: u64, id: u64, url: &str) -> Vec<u8> {
    let mut message = vec![0x08, id as u8, 0x10, kind as u8, 0x1a, url.len() as u8];
    message.extend_from_slice(url.as_bytes());
    let mut command = vec![0x08, 68, 0xa2, 0x04, message.len() as u8];
    command.extend_from_slice(&message);
    let mut frame = Vec::new();
    frame.put_u32(command.len() as u32 + 4);
    frame.put_u32(command.len() as u32);
    frame.extend_from_slice(&command);
    frame
}

#[test]
fn a_producer_is_looked_up_in_the_cluster_that_its_topic_went_to() {
    let mut world = World::new(config());
    let (producer, connection) = world.producer(producer_spec());
    world.send(producer, 1, b"kept");
    world.heard_send();
    let said = topic_migrated(PRODUCER, producer.0, "pulsar://blue:6650");
    world.say_bytes(connection, &said);
    world.heard_nothing();
    world.say(connection, &close_producer(producer));
    world.pass(100);
    world.accept("blue");
    world.answer_lookup("blue-3");
    let owner = world.accept("blue-3");
    let (_, asked) = world.heard_producer();
    world.say(owner, &producer_success(asked.request_id, "p-1", -1));
    assert_eq!(world.heard_send().0, 0);
    // It stays there: the next look-up is asked in that cluster too.
    world.lose(owner);
    world.pass(200);
    world.heard(Type::Lookup);
    assert!(world.dialled.is_empty());
}

/// A consumer whose broker says that something of the kind that has its id is elsewhere now, and closes the consumer.
fn migrated(kind: u64, url: &str) -> (World, ConnectionId) {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    world.say_bytes(connection, &topic_migrated(kind, consumer.0, url));
    world.say(connection, &close_consumer(consumer));
    world.pass(100);
    (world, connection)
}

#[test]
fn of_a_cluster_with_several_hosts_the_first_is_asked() {
    for (url, host) in [
        ("pulsar://blue-1:6650,blue-2:6650", "blue-1"),
        ("pulsar://:0,blue-2:6650/", "blue-2"),
    ] {
        let (mut world, _) = migrated(CONSUMER, url);
        world.accept(host);
    }
}

#[test]
fn others_of_the_topic_and_partition_counts_stay() {
    let (mut world, connection) = migrated(PRODUCER, "pulsar://blue:6650");
    assert_eq!(world.heard_lookup().0, connection);
    world
        .client
        .count_partitions(world.now_ms, Principal::GATEWAY, TOPIC, 1);
    assert_eq!(
        world.heard(Type::PartitionedMetadata).connection,
        connection
    );
}

#[test]
fn a_cluster_without_a_usable_url_changes_nothing() {
    for url in [
        "",
        "http://blue",
        "pulsar+ssl://blue:6651",
        "pulsar://b\r\n",
    ] {
        let (mut world, connection) = migrated(CONSUMER, url);
        assert_eq!(world.heard_lookup().0, connection, "{url:?}");
    }
}

/// Before CONNECTED nothing but CONNECTED is in order.
#[test]
fn a_migration_before_connected_is_a_violation() {
    let mut world = World::new(config());
    world.client.open_producer(world.now_ms, producer_spec());
    world.pump();
    let (connection, _) = world.dialled.pop_front().expect("dialled");
    world.client.connected(world.now_ms, connection);
    world.pump();
    let said = topic_migrated(PRODUCER, 0, "pulsar://blue:6650");
    world.say_bytes(connection, &said);
    assert_eq!(world.closed, [connection]);
}

#[test]
fn a_consumer_is_told_that_it_is_in_another_cluster_and_a_reader_begins_there_at_the_front() {
    for durable in [true, false] {
        let mut world = World::new(config());
        let (consumer, connection) = world.consumer(ConsumerSpec {
            durable,
            start: (!durable).then_some(StartPosition::Earliest),
            ..consumer_spec()
        });
        world.deliver(connection, consumer, 7, None, None);
        world.entry();
        let said = topic_migrated(CONSUMER, consumer.0, "pulsar://blue:6650");
        world.say_bytes(connection, &said);
        world.say(connection, &close_consumer(consumer));
        assert!(matches!(world.event(), Event::ConsumerLost { .. }));
        world.pass(100);
        world.accept("blue");
        // It is there after the second try.
        for _ in 0..2 {
            world.answer_lookup("blue");
            let (owner, asked) = world.heard_subscribe();
            let start = asked.start_message_id;
            assert_eq!(start.map(|id| id.ledger_id), (!durable).then_some(u64::MAX));
            let busy = error(asked.request_id, proto::ServerError::ServiceNotReady, "no");
            world.say(owner, &busy);
            world.pass(1000);
        }
        world.answer_lookup("blue");
        let (owner, asked) = world.heard_subscribe();
        world.say(owner, &success(asked.request_id));
        assert!(matches!(world.event(), Event::ConsumerMigrated { .. }));
        assert!(matches!(world.event(), Event::ConsumerResumed { .. }));
        world.deliver(owner, consumer, 7, None, None);
        assert_eq!(world.entry().entry, 7);
        // It is told once.
        world.lose(owner);
        assert!(matches!(world.event(), Event::ConsumerLost { .. }));
        world.pass(1000);
        world.accept("blue");
        world.answer_lookup("blue");
        let (owner, asked) = world.heard_subscribe();
        world.say(owner, &success(asked.request_id));
        assert!(matches!(world.event(), Event::ConsumerResumed { .. }));
    }
}
