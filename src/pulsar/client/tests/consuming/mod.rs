//! Consumers.

mod acking;
mod requests;
mod resuming;
mod subscribing;

use super::*;

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

/// GET_LAST_MESSAGE_ID; its request id.
fn heard_last_id(world: &mut World) -> u64 {
    let said = world.heard(Type::GetLastMessageId);
    let asked = said.command.get_last_message_id.expect("its fields");
    asked.request_id
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

fn end_of_topic(consumer: ConsumerId) -> BaseCommand {
    BaseCommand {
        reached_end_of_topic: Some(proto::CommandReachedEndOfTopic {
            consumer_id: consumer.0,
        }),
        ..base(Type::ReachedEndOfTopic)
    }
}

/// The consumer finds its broker again; SUBSCRIBE's start, and the connection, which has not answered yet.
fn resubscribe(world: &mut World) -> (ConnectionId, proto::CommandSubscribe) {
    world.pass(100);
    world.accept(SERVICE);
    world.find_consumer()
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

fn reader_spec(start: StartPosition) -> ConsumerSpec {
    ConsumerSpec {
        durable: false,
        start: Some(start),
        ..consumer_spec()
    }
}

/// A reader at entry 9 whose seek to entry 4 is on its way.
fn seeking() -> (World, ConsumerId, ConnectionId, u64) {
    let mut world = World::new(config());
    let (consumer, connection) = world.consumer(reader_spec(StartPosition::Earliest));
    world.deliver(connection, consumer, 9, None, None);
    world.entry();
    let target = SeekTarget::Message(id(4, -1));
    world.client.seek(world.now_ms, consumer, 1, target);
    let asked = world.heard(Type::Seek).command.seek.expect("its fields");
    assert_eq!(asked.message_id.expect("a target").entry_id, 4);
    (world, consumer, connection, asked.request_id)
}
