//! MESSAGE, SEND_RECEIPT, ACK and FLOW against prost; unknown and unreasonable commands.

use super::*;
use crate::pulsar::types::MessageId;
use crate::pulsar::wire::hot::MAX_ACK_SET_WORDS;
use crate::pulsar::wire::varint::{put_bytes_field, put_varint, put_varint_field};
use crate::pulsar::wire::{
    AckHeader, AckId, AckValidationError, AssignedBroker, DecodeError, Incoming, MessageCommand,
    SendReceipt, assigned_broker, decode_command, encode_ack, encode_flow,
};
use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::{
    CommandAck, CommandCloseConsumer, CommandCloseProducer, CommandFlow, CommandMessage,
    CommandSendReceipt, CommandSuccess,
};

fn base(kind: Type) -> BaseCommand {
    BaseCommand {
        r#type: kind as i32,
        ..Default::default()
    }
}

/// A command with one submessage, put together field by field.
fn raw_command(kind: i32, number: u64, submessage: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    put_varint_field(&mut out, 1, kind as u64);
    put_bytes_field(&mut out, number, submessage);
    out
}

fn id_of(data: &MessageIdData) -> MessageId {
    MessageId::decode(&data.encode_to_vec()).unwrap()
}

#[test]
fn a_command_newer_than_the_proto_is_unknown_and_not_an_error() {
    const SOME_LATER_ONE: i32 = 99;
    let bytes = raw_command(SOME_LATER_ONE, 99, &[8, 1]);
    assert_eq!(
        decode_command(&bytes),
        Ok(Incoming::Unknown(SOME_LATER_ONE))
    );
}

#[test]
fn a_command_without_a_type_is_an_error() {
    assert_eq!(
        decode_command(&[0x12, 0]),
        Err(DecodeError::Missing("type"))
    );
}

#[test]
fn fields_come_in_any_order_with_strangers_between_them() {
    let mut message = BytesMut::new();
    put_varint_field(&mut message, 99, 5);
    put_varint_field(&mut message, 5, 3);
    put_bytes_field(&mut message, 2, &[16, 2, 8, 1]);
    put_varint_field(&mut message, 1, 7);
    let mut command = BytesMut::new();
    put_bytes_field(&mut command, 9, &message);
    put_bytes_field(&mut command, 77, b"?");
    put_varint_field(&mut command, 1, 9);
    let Ok(Incoming::Message(read)) = decode_command(&command) else {
        panic!("not a message");
    };
    assert_eq!((read.consumer_id, read.consumer_epoch), (7, Some(3)));
    assert_eq!((read.message_id.ledger, read.message_id.entry), (1, 2));
}

#[test]
fn an_ack_set_may_be_packed() {
    let mut packed = BytesMut::new();
    put_varint(&mut packed, u64::MAX);
    put_varint(&mut packed, 5);
    let mut message = BytesMut::from(&[8, 7, 0x12, 4, 8, 1, 16, 2][..]);
    put_varint_field(&mut message, 4, 9);
    put_bytes_field(&mut message, 4, &packed);
    let Ok(Incoming::Message(read)) = decode_command(&raw_command(9, 9, &message)) else {
        panic!("not a message");
    };
    assert_eq!(read.ack_set, [9, u64::MAX, 5]);
}

#[test]
fn what_no_batch_can_have_of_an_ack_set_is_not_kept_and_harms_nothing() {
    let mut message = BytesMut::from(&[8, 7, 0x12, 4, 8, 1, 16, 2][..]);
    put_bytes_field(&mut message, 4, &vec![1; MAX_ACK_SET_WORDS + 1]);
    let Ok(Incoming::Message(read)) = decode_command(&raw_command(9, 9, &message)) else {
        panic!("not a message");
    };
    assert_eq!(read.ack_set, [1; MAX_ACK_SET_WORDS]);
}

#[test]
fn a_message_without_its_required_fields_is_an_error() {
    for submessage in [&[][..], &[8, 7], &[8, 7, 0x12, 0], &[0x12, 4, 8, 1, 16, 2]] {
        assert!(decode_command(&raw_command(9, 9, submessage)).is_err());
    }
    assert!(decode_command(&[8, 9]).is_err());
    assert!(decode_command(&[8, 7]).is_err());
}

#[test]
fn a_cold_command_that_would_grow_beyond_reason_is_refused() {
    let text = "x".repeat(2 << 20);
    let bytes = raw_command(Type::Error as i32, 14, text.as_bytes());
    assert_eq!(
        decode_command(&bytes),
        Err(DecodeError::ColdCommandTooLarge(bytes.len()))
    );
}

#[test]
fn pings_and_cold_commands_are_told_apart() {
    assert_eq!(
        decode_command(&base(Type::Ping).encode_to_vec()),
        Ok(Incoming::Ping)
    );
    assert_eq!(
        decode_command(&base(Type::Pong).encode_to_vec()),
        Ok(Incoming::Pong)
    );
    let command = BaseCommand {
        success: Some(CommandSuccess {
            request_id: 3,
            schema: None,
        }),
        ..base(Type::Success)
    };
    assert_eq!(
        decode_command(&command.encode_to_vec()),
        Ok(Incoming::Other(Box::new(command)))
    );
}

#[test]
fn the_next_owner_is_read_from_a_close_and_its_absence_too() {
    let url = b"pulsar://b:6650";
    for (kind, number) in [(Type::CloseProducer, 15), (Type::CloseConsumer, 16)] {
        let mut close = BytesMut::from(&[8, 1, 16, 2][..]);
        assert_eq!(
            assigned_broker(&raw_command(kind as i32, number, &close)),
            None
        );
        put_bytes_field(&mut close, 3, url);
        let bytes = raw_command(kind as i32, number, &close);
        assert_eq!(
            assigned_broker(&bytes),
            Some(AssignedBroker {
                service_url: Some("pulsar://b:6650".into()),
                service_url_tls: None
            })
        );
        let Ok(Incoming::Other(command)) = decode_command(&bytes) else {
            panic!("not a close");
        };
        let (producer, consumer) = match kind {
            Type::CloseProducer => (
                Some(CommandCloseProducer {
                    producer_id: 1,
                    request_id: 2,
                }),
                None,
            ),
            _ => (
                None,
                Some(CommandCloseConsumer {
                    consumer_id: 1,
                    request_id: 2,
                }),
            ),
        };
        assert_eq!(
            (command.close_producer, command.close_consumer),
            (producer, consumer)
        );
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_message_of_prost_is_read_here(
        consumer_id in number(), data in id_data(), redelivery_count in proptest::option::of(any::<u32>()),
        ack_set in vec(any::<i64>(), 0..5), consumer_epoch in proptest::option::of(number()),
    ) {
        let command = BaseCommand {
            message: Some(CommandMessage {
                consumer_id, message_id: data.clone(), redelivery_count, ack_set: ack_set.clone(), consumer_epoch,
            }),
            ..base(Type::Message)
        };
        prop_assert_eq!(decode_command(&command.encode_to_vec()), Ok(Incoming::Message(MessageCommand {
            consumer_id,
            message_id: id_of(&data),
            redelivery_count: redelivery_count.unwrap_or(0),
            ack_set: ack_set.iter().map(|word| *word as u64).collect(),
            consumer_epoch,
        })));
    }

    #[test]
    fn a_receipt_of_prost_is_read_here(
        producer_id in number(), sequence_id in number(), data in proptest::option::of(id_data()),
        highest_sequence_id in proptest::option::of(number()),
    ) {
        let command = BaseCommand {
            send_receipt: Some(CommandSendReceipt {
                producer_id, sequence_id, message_id: data.clone(), highest_sequence_id,
            }),
            ..base(Type::SendReceipt)
        };
        prop_assert_eq!(decode_command(&command.encode_to_vec()), Ok(Incoming::SendReceipt(SendReceipt {
            producer_id,
            sequence_id,
            message_id: data.as_ref().map(id_of),
            highest_sequence_id: highest_sequence_id.unwrap_or(0),
        })));
    }

    #[test]
    fn an_ack_is_what_prost_would_write(
        consumer_id in number(), cumulative in any::<bool>(), request_id in proptest::option::of(number()),
        corrupt in any::<bool>(), ids in vec((number(), number(), vec(any::<u64>(), 0..4)), 0..4),
    ) {
        let validation_error = corrupt.then_some(AckValidationError::ChecksumMismatch);
        let header = AckHeader { consumer_id, cumulative, validation_error, request_id };
        let mut out = BytesMut::new();
        let ack_ids = ids.iter().map(|(ledger, entry, ack_set)| AckId { ledger: *ledger, entry: *entry, ack_set });
        encode_ack(&header, ack_ids, &mut out);
        let expected = BaseCommand {
            ack: Some(CommandAck {
                consumer_id,
                ack_type: i32::from(cumulative),
                message_id: ids.into_iter().map(|(ledger_id, entry_id, ack_set)| MessageIdData {
                    ledger_id,
                    entry_id,
                    ack_set: ack_set.into_iter().map(|word| word as i64).collect(),
                    ..Default::default()
                }).collect(),
                validation_error: validation_error.map(|error| error as i32),
                request_id,
                ..Default::default()
            }),
            ..base(Type::Ack)
        };
        let frame = only_frame(out);
        prop_assert!(frame.body.is_empty());
        prop_assert_eq!(&frame.command[..], expected.encode_to_vec());
    }

    #[test]
    fn a_flow_is_what_prost_would_write(consumer_id in number(), message_permits in any::<u32>()) {
        let mut out = BytesMut::new();
        encode_flow(consumer_id, message_permits, &mut out);
        let expected = BaseCommand { flow: Some(CommandFlow { consumer_id, message_permits }), ..base(Type::Flow) };
        prop_assert_eq!(&only_frame(out).command[..], expected.encode_to_vec());
    }

    #[test]
    fn any_bytes_are_a_command_or_an_error(kind in 0..70u8, number in 0..70u64, bytes in some_bytes(64)) {
        let _ = decode_command(&bytes);
        let _ = assigned_broker(&bytes);
        let command = raw_command(i32::from(kind), number, &bytes);
        let _ = decode_command(&command);
        let command = raw_command(i32::from(kind), u64::from(kind), &bytes);
        let _ = decode_command(&command);
        let _ = assigned_broker(&command);
    }
}
