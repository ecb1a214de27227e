//! Redelivery, unsubscribe, seek, last message id.

use super::*;

#[test]
fn redelivery_of_everything_raises_the_epoch_and_drops_what_was_under_way() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    world.deliver(connection, consumer, 0, None, Some(0));
    world.entry();
    world.client.redeliver(consumer, &[(5, 0)]);
    let said = world.heard(Type::RedeliverUnacknowledgedMessages);
    let command = said.command.redeliver_unacknowledged_messages;
    let command = command.expect("its fields");
    assert_eq!(command.consumer_epoch, Some(1));
    assert!(command.message_ids.is_empty());
    world.deliver(connection, consumer, 1, Some(6), Some(0));
    world.no_event();
    assert_eq!(world.permits_heard(), 6);
    world.deliver(connection, consumer, 0, None, Some(1));
    assert_eq!(world.entry().entry, 0);
    // A topic without epochs.
    world.deliver(connection, consumer, 1, None, None);
    assert_eq!(world.entry().entry, 1);
    world.lose(connection);
    lost(&mut world, true);
    let (_, asked) = resubscribe(&mut world);
    assert_eq!(asked.consumer_epoch, Some(1));
}

/// Seen with Pulsar 4.0.8: a read of entry 6 was under way when it rewound to 1; entries 1 and 2 came, then 6, then 7.
#[test]
fn what_was_read_before_a_redelivery_and_comes_behind_it_tells_of_entries_that_were_skipped() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    world.client.redeliver(consumer, &[]);
    world.heard(Type::RedeliverUnacknowledgedMessages);
    world.deliver(connection, consumer, 5, None, Some(0));
    world.no_event();
    for entry in [1, 2] {
        world.deliver(connection, consumer, entry, None, Some(1));
        assert_eq!(world.entry().entry, entry);
    }
    world.deliver(connection, consumer, 6, None, Some(0));
    assert!(matches!(world.event(), Event::EntriesSkipped { .. }));
    world.client.redeliver(consumer, &[]);
    for entry in [7, 8] {
        world.deliver(connection, consumer, entry, None, Some(1));
    }
    world.no_event();
    world.deliver(connection, consumer, 1, None, Some(2));
    assert_eq!(world.entry().entry, 1);
}

#[test]
fn single_redeliveries_are_for_shared_subscriptions_and_are_sent_in_portions() {
    let mut world = World::new(config());
    let spec = ConsumerSpec {
        subscription_type: SubscriptionType::Shared,
        ..consumer_spec()
    };
    let (consumer, _) = world.consumer(spec);
    let positions: Vec<(u64, u64)> = (0..2_500).map(|entry| (5, entry)).collect();
    world.client.redeliver(consumer, &positions);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let said = world.heard(Type::RedeliverUnacknowledgedMessages);
        let command = said.command.redeliver_unacknowledged_messages;
        let command = command.expect("its fields");
        assert_eq!(command.consumer_epoch, None);
        assert!(command.message_ids.len() <= 1_000);
        ids.extend(
            command
                .message_ids
                .iter()
                .map(|id| (id.ledger_id, id.entry_id)),
        );
    }
    assert_eq!(ids, positions);
}

#[test]
fn after_an_unsubscribe_the_consumer_is_gone_and_a_refused_one_changes_nothing() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    world.client.unsubscribe(world.now_ms, consumer, 9);
    let said = world.heard(Type::Unsubscribe);
    let asked = said.command.unsubscribe.expect("its fields");
    let refused = error(
        asked.request_id,
        proto::ServerError::MetadataError,
        "Unconnected or shared consumer attempting to unsubscribe",
    );
    world.say(connection, &refused);
    assert!(matches!(
        world.event(),
        Event::Unsubscribed {
            tag: 9,
            result: Err(_),
            ..
        }
    ));
    world.deliver(connection, consumer, 0, None, None);
    world.entry();
    world.client.unsubscribe(world.now_ms, consumer, 10);
    let said = world.heard(Type::Unsubscribe);
    let asked = said.command.unsubscribe.expect("its fields");
    world.say(connection, &success(asked.request_id));
    assert!(matches!(
        world.event(),
        Event::Unsubscribed {
            tag: 10,
            result: Ok(()),
            ..
        }
    ));
    world.deliver(connection, consumer, 1, None, None);
    world.lose(connection);
    world.pass(60_000);
    world.no_event();
    world.heard_nothing();
}

#[test]
fn a_seek_is_answered_although_the_broker_closes_the_consumer_first() {
    let (mut world, consumer, connection, request_id) = seeking();
    world.deliver(connection, consumer, 10, None, None);
    world.entry();
    world.say(connection, &close_consumer(consumer));
    lost(&mut world, false);
    world.say(connection, &success(request_id));
    assert!(matches!(
        world.event(),
        Event::Seeked {
            tag: 1,
            result: Ok(()),
            ..
        }
    ));
    world.pass(100);
    let (connection, asked) = world.find_consumer();
    assert_eq!(asked.start_message_id.expect("a start").entry_id, 3);
    resumed(&mut world, connection, asked.request_id);
    world.deliver(connection, consumer, 3, None, None);
    world.no_event();
    assert_eq!(world.permits_heard(), 1);
    world.deliver(connection, consumer, 4, None, None);
    assert_eq!(world.entry().entry, 4);
}

#[test]
fn the_last_message_id_comes_with_the_partition() {
    let mut world = World::new(config());
    let spec = ConsumerSpec {
        partition: 2,
        ..consumer_spec()
    };
    let (consumer, connection) = world.consumer(spec);
    world.client.last_message_id(world.now_ms, consumer, 5);
    let request_id = heard_last_id(&mut world);
    world.say(connection, &last_id(request_id, 44, None));
    match world.event() {
        Event::LastMessageId { tag, result, .. } => {
            let last = result.expect("an id");
            assert_eq!((tag, last.entry, last.partition), (5, 44, 2));
        }
        other => panic!("{other:?}"),
    }
}
