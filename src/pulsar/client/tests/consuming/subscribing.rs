//! Subscribing, entries, and what the broker tells of its own accord.

use super::*;

#[test]
fn subscribe_carries_every_field() {
    let mut world = World::new(config());
    let spec = ConsumerSpec {
        subscription_type: SubscriptionType::KeyShared,
        initial_position: InitialPosition::Earliest,
        consumer_name: Some("me".to_owned()),
        priority_level: 3,
        read_compacted: true,
        ..consumer_spec()
    };
    world.client.open_consumer(world.now_ms, spec);
    world.accept(SERVICE);
    let (_, asked) = world.find_consumer();
    assert_eq!(asked.topic, TOPIC);
    assert_eq!(asked.subscription, "s");
    assert_eq!(
        asked.sub_type(),
        proto::command_subscribe::SubType::KeyShared
    );
    assert_eq!(asked.initial_position, Some(1));
    assert_eq!(asked.consumer_name.as_deref(), Some("me"));
    assert_eq!(asked.priority_level, Some(3));
    assert_eq!(asked.read_compacted, Some(true));
    assert_eq!(asked.durable, Some(true));
    assert_eq!(asked.start_message_id, None);
    assert_eq!(asked.force_topic_creation, Some(true));
}

#[test]
fn a_consumer_without_a_name_keeps_the_one_it_gets() {
    let mut world = World::new(config());
    world.client.open_consumer(world.now_ms, consumer_spec());
    world.accept(SERVICE);
    let (connection, first) = world.find_consumer();
    assert_eq!(first.consumer_name.as_ref().map(String::len), Some(5));
    world.say(connection, &success(first.request_id));
    world.lose(connection);
    let (_, second) = resubscribe(&mut world);
    assert_eq!(second.consumer_name, first.consumer_name);
}

#[test]
fn entries_come_out_as_they_came_in() {
    let mut world = World::new(config());
    let spec = ConsumerSpec {
        partition: 4,
        ..consumer_spec()
    };
    let (consumer, connection) = world.consumer(spec);
    world.client.flow(consumer, 10);
    assert_eq!(world.permits_heard(), 10);
    world.deliver(connection, consumer, 0, Some(3), Some(0));
    let entry = world.entry();
    assert_eq!((entry.ledger, entry.entry, entry.partition), (5, 0, 4));
    assert_eq!(&entry.payload[..], b"payload");
    let metadata = proto::MessageMetadata::decode(entry.metadata).expect("metadata");
    assert_eq!(metadata.num_messages_in_batch, Some(3));
}

#[test]
fn a_consumer_closed_by_the_broker_is_lost_in_order_and_comes_back() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    world.say(connection, &close_consumer(consumer));
    lost(&mut world, false);
    // Permits and entries of before count for nothing.
    world.client.flow(consumer, 10);
    world.deliver(connection, consumer, 1, None, None);
    world.no_event();
    world.pass(100);
    let (connection, asked) = world.find_consumer();
    resumed(&mut world, connection, asked.request_id);
    world.heard_nothing();
    world.client.flow(consumer, 10);
    assert_eq!(world.permits_heard(), 10);
}

#[test]
fn a_busy_subscription_fails_the_opening_but_not_a_reconnect() {
    let busy = |request_id| {
        error(
            request_id,
            proto::ServerError::ConsumerBusy,
            "Exclusive consumer is already connected",
        )
    };
    let mut world = World::new(config());
    world.client.open_consumer(world.now_ms, consumer_spec());
    world.accept(SERVICE);
    let (connection, asked) = world.find_consumer();
    world.say(connection, &busy(asked.request_id));
    assert!(matches!(
        world.event(),
        Event::ConsumerFailed { error, .. } if error.kind == ErrorKind::ConsumerBusy
    ));
    world.heard_nothing();

    let mut world = World::new(config());
    let (_, connection) = world.consumer(consumer_spec());
    world.lose(connection);
    lost(&mut world, true);
    let (connection, asked) = resubscribe(&mut world);
    world.say(connection, &busy(asked.request_id));
    world.no_event();
    world.pass(200);
    let (connection, asked) = world.find_consumer();
    resumed(&mut world, connection, asked.request_id);
}

#[test]
fn a_deleted_topic_ends_the_consumer() {
    let mut world = World::new(config());
    let (_, connection) = world.consumer(consumer_spec());
    world.lose(connection);
    lost(&mut world, true);
    let (connection, asked) = resubscribe(&mut world);
    let gone = error(asked.request_id, proto::ServerError::TopicNotFound, "gone");
    world.say(connection, &gone);
    assert!(matches!(
        world.event(),
        Event::ConsumerFailed { error, .. } if error.kind == ErrorKind::NotFound
    ));
    world.pass(1_000);
    world.heard_nothing();
}

#[test]
fn notices_reach_the_owner_and_only_from_the_consumers_connection() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    let end = end_of_topic(consumer);
    let change = BaseCommand {
        active_consumer_change: Some(proto::CommandActiveConsumerChange {
            consumer_id: consumer.0,
            is_active: Some(true),
        }),
        ..base(Type::ActiveConsumerChange)
    };
    world.say(connection, &end);
    world.say(connection, &change);
    assert!(matches!(world.event(), Event::EndOfTopic { .. }));
    assert!(matches!(
        world.event(),
        Event::ActiveChanged { active: true, .. }
    ));
    world.client.close_consumer(world.now_ms, consumer);
    world.heard(Type::CloseConsumer);
    world.say(connection, &end);
    world.deliver(connection, consumer, 0, None, None);
    world.no_event();
}
