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

fn reader_spec(start: StartPosition) -> ConsumerSpec {
    ConsumerSpec {
        durable: false,
        start: Some(start),
        ..consumer_spec()
    }
}
