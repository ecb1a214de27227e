//! Consumers: subscribing, entries, acks, and where they go on after a reconnect.

use super::*;

fn reader_spec(start: StartPosition) -> ConsumerSpec {
    ConsumerSpec {
        durable: false,
        start: Some(start),
        ..consumer_spec()
    }
}

fn id(entry: u64, batch_index: i32) -> MessageId {
    MessageId {
        ledger: 5,
        entry,
        partition: -1,
        batch_index,
        batch_size: if batch_index < 0 { 0 } else { 10 },
    }
}

fn position(entry: u64) -> AckPosition {
    AckPosition {
        ledger: 5,
        entry,
        ack_set: Vec::new(),
    }
}

fn ack_response(consumer: ConsumerId, request_id: u64, error: Option<i32>) -> BaseCommand {
    BaseCommand {
        ack_response: Some(proto::CommandAckResponse {
            consumer_id: consumer.0,
            request_id: Some(request_id),
            error,
            message: error.map(|_| "why".to_owned()),
            ..Default::default()
        }),
        ..base(Type::AckResponse)
    }
}

fn last_id(request_id: u64, last_entry: u64, mark_delete_entry: Option<u64>) -> BaseCommand {
    let at = |entry_id| MessageIdData {
        ledger_id: 5,
        entry_id,
        ..Default::default()
    };
    BaseCommand {
        get_last_message_id_response: Some(proto::CommandGetLastMessageIdResponse {
            request_id,
            last_message_id: at(last_entry),
            consumer_mark_delete_position: mark_delete_entry.map(at),
        }),
        ..base(Type::GetLastMessageIdResponse)
    }
}

/// The consumer finds its broker again; SUBSCRIBE's start, and the connection, which has not answered yet.
fn resubscribe(world: &mut World) -> (ConnectionId, proto::CommandSubscribe) {
    world.pass(100);
    world.accept(SERVICE);
    world.answer_lookup(SERVICE);
    world.heard_subscribe()
}

fn lost(world: &mut World, expected_abrupt: bool) {
    match world.event() {
        Event::ConsumerLost { abrupt, .. } => assert_eq!(abrupt, expected_abrupt),
        other => panic!("{other:?}"),
    }
}

fn resumed(world: &mut World, connection: ConnectionId, request_id: u64) {
    world.say(connection, &success(request_id));
    assert!(matches!(world.event(), Event::ConsumerResumed { .. }));
}

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
    world.answer_lookup(SERVICE);
    let (_, asked) = world.heard_subscribe();
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
    world.answer_lookup(SERVICE);
    let (connection, first) = world.heard_subscribe();
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
fn a_corrupt_entry_is_acked_with_the_reason_and_reported() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    let mut bytes = message(consumer, 7, None, None).to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    world.say_bytes(connection, &bytes);
    assert!(matches!(
        world.event(),
        Event::CorruptEntry {
            ledger: 5,
            entry: 7,
            ..
        }
    ));
    let ack = world.heard(Type::Ack).command.ack.expect("its fields");
    assert_eq!(
        ack.validation_error(),
        proto::command_ack::ValidationError::ChecksumMismatch
    );
    assert_eq!(ack.request_id, None);
    assert_eq!(ack.message_id[0].entry_id, 7);
    assert!(world.closed.is_empty());
}

#[test]
fn acks_carry_their_positions_and_are_answered_by_tag() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    let partial = AckPosition {
        ack_set: vec![0b110],
        ..position(2)
    };
    world
        .client
        .ack(world.now_ms, consumer, 70, &[position(1), partial]);
    world.client.ack(world.now_ms, consumer, 71, &[position(3)]);
    let ack = world.heard(Type::Ack).command.ack.expect("its fields");
    assert_eq!(ack.message_id.len(), 2);
    assert_eq!(ack.message_id[1].ack_set, vec![0b110]);
    let second = world.heard(Type::Ack).command.ack.expect("its fields");
    let failed = Some(proto::ServerError::MetadataError as i32);
    world.say(
        connection,
        &ack_response(consumer, second.request_id.expect("an id"), failed),
    );
    world.say(
        connection,
        &ack_response(consumer, ack.request_id.expect("an id"), None),
    );
    assert!(matches!(
        world.event(),
        Event::AckDone { tag: 71, result: Err(error), .. } if error.message == "why"
    ));
    assert!(matches!(
        world.event(),
        Event::AckDone {
            tag: 70,
            result: Ok(()),
            ..
        }
    ));
}

#[test]
fn acks_that_were_not_answered_fail_before_the_loss_is_told_and_those_after_it_at_once() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    world.client.ack(world.now_ms, consumer, 1, &[position(1)]);
    world.client.ack(world.now_ms, consumer, 2, &[position(2)]);
    world.heard(Type::Ack);
    world.heard(Type::Ack);
    world.lose(connection);
    world.client.ack(world.now_ms, consumer, 3, &[position(3)]);
    for expected in [1, 2] {
        assert!(matches!(
            world.event(),
            Event::AckDone { tag, result: Err(error), .. }
                if tag == expected && error.kind == ErrorKind::Retryable
        ));
    }
    lost(&mut world, true);
    assert!(matches!(
        world.event(),
        Event::AckDone {
            tag: 3,
            result: Err(_),
            ..
        }
    ));
    let (connection, asked) = resubscribe(&mut world);
    resumed(&mut world, connection, asked.request_id);
    world.heard_nothing();
    world.no_event();
}

#[test]
fn an_ack_without_an_answer_times_out() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    world.client.ack(world.now_ms, consumer, 1, &[position(1)]);
    world.pass(20_000);
    world.say(connection, &commands::pong());
    world.pass(10_000);
    assert!(matches!(
        world.event(),
        Event::AckDone { tag: 1, result: Err(error), .. } if error.kind == ErrorKind::Timeout
    ));
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
    world.answer_lookup(SERVICE);
    let (connection, asked) = world.heard_subscribe();
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
    world.answer_lookup(SERVICE);
    let (connection, asked) = world.heard_subscribe();
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
    world.answer_lookup(SERVICE);
    let (connection, asked) = world.heard_subscribe();
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

#[test]
fn a_reader_at_latest_stays_where_latest_was() {
    let mut world = World::new(config());
    let consumer = world
        .client
        .open_consumer(world.now_ms, reader_spec(StartPosition::Latest));
    world.accept(SERVICE);
    world.answer_lookup(SERVICE);
    let (connection, asked) = world.heard_subscribe();
    let start = asked.start_message_id.expect("a start");
    assert_eq!(start.ledger_id, i64::MAX as u64);
    world.say(connection, &success(asked.request_id));
    world.no_event();
    let said = world.heard(Type::GetLastMessageId);
    let request_id = said.command.get_last_message_id.expect("fields").request_id;
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
    let mut world = World::new(config());
    let consumer = world
        .client
        .open_consumer(world.now_ms, reader_spec(StartPosition::Latest));
    world.accept(SERVICE);
    world.answer_lookup(SERVICE);
    let (connection, asked) = world.heard_subscribe();
    world.say(connection, &success(asked.request_id));
    let said = world.heard(Type::GetLastMessageId);
    let end = BaseCommand {
        reached_end_of_topic: Some(proto::CommandReachedEndOfTopic {
            consumer_id: consumer.0,
        }),
        ..base(Type::ReachedEndOfTopic)
    };
    world.say(connection, &end);
    world.no_event();
    let request_id = said.command.get_last_message_id.expect("fields").request_id;
    world.say(connection, &last_id(request_id, 44, Some(44)));
    assert!(matches!(world.event(), Event::ConsumerReady { .. }));
    assert!(matches!(world.event(), Event::EndOfTopic { .. }));
}

#[test]
fn a_reader_at_latest_reads_even_where_the_broker_cannot_say_where_that_is() {
    let mut world = World::new(config());
    world
        .client
        .open_consumer(world.now_ms, reader_spec(StartPosition::Latest));
    world.accept(SERVICE);
    world.answer_lookup(SERVICE);
    let (connection, asked) = world.heard_subscribe();
    world.say(connection, &success(asked.request_id));
    let said = world.heard(Type::GetLastMessageId);
    let request_id = said.command.get_last_message_id.expect("fields").request_id;
    let refused = error(request_id, proto::ServerError::UnknownError, "no");
    world.say(connection, &refused);
    assert!(matches!(world.event(), Event::ConsumerReady { .. }));
}

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
    let asked = world
        .heard(Type::Unsubscribe)
        .command
        .unsubscribe
        .expect("fields");
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
    let asked = world
        .heard(Type::Unsubscribe)
        .command
        .unsubscribe
        .expect("fields");
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
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(reader_spec(StartPosition::Earliest));
    world.deliver(connection, consumer, 9, None, None);
    world.entry();
    let target = SeekTarget::Message(id(4, -1));
    world.client.seek(world.now_ms, consumer, 1, target);
    let asked = world.heard(Type::Seek).command.seek.expect("its fields");
    assert_eq!(asked.message_id.expect("a target").entry_id, 4);
    world.deliver(connection, consumer, 10, None, None);
    world.entry();
    world.say(connection, &close_consumer(consumer));
    lost(&mut world, false);
    world.say(connection, &success(asked.request_id));
    assert!(matches!(
        world.event(),
        Event::Seeked {
            tag: 1,
            result: Ok(()),
            ..
        }
    ));
    world.pass(100);
    world.answer_lookup(SERVICE);
    let (connection, asked) = world.heard_subscribe();
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
    let said = world.heard(Type::GetLastMessageId);
    let request_id = said.command.get_last_message_id.expect("fields").request_id;
    world.say(connection, &last_id(request_id, 44, None));
    match world.event() {
        Event::LastMessageId { tag, result, .. } => {
            let last = result.expect("an id");
            assert_eq!((tag, last.entry, last.partition), (5, 44, 2));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn notices_reach_the_owner_and_only_from_the_consumers_connection() {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(consumer_spec());
    let end = BaseCommand {
        reached_end_of_topic: Some(proto::CommandReachedEndOfTopic {
            consumer_id: consumer.0,
        }),
        ..base(Type::ReachedEndOfTopic)
    };
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
