//! The commands that every message causes: our codec against prost on the `pulsar` crate's types.

use bytes::{BufMut, BytesMut};
use divan::{Bencher, black_box};
use prost::Message as _;
use pulsar::proto::base_command::Type;
use pulsar::proto::{
    BaseCommand, CommandAck, CommandMessage, CommandSend, CommandSendReceipt, MessageIdData,
    MessageMetadata,
};
use pws_fast::pulsar::wire;

/// The payload of a SEND, checksum included.
const PAYLOAD_BYTES: [usize; 2] = [128, 1024];

const ID: MessageIdData = MessageIdData {
    ledger_id: 123_456,
    entry_id: 4_321,
    partition: Some(3),
    batch_index: None,
    ack_set: Vec::new(),
    batch_size: None,
    first_chunk_message_id: None,
};

fn message() -> BaseCommand {
    BaseCommand {
        r#type: Type::Message as i32,
        message: Some(CommandMessage {
            consumer_id: 7,
            message_id: ID,
            redelivery_count: Some(0),
            ..CommandMessage::default()
        }),
        ..BaseCommand::default()
    }
}

fn receipt() -> BaseCommand {
    BaseCommand {
        r#type: Type::SendReceipt as i32,
        send_receipt: Some(CommandSendReceipt {
            producer_id: 7,
            sequence_id: 99_999,
            message_id: Some(ID),
            highest_sequence_id: Some(0),
        }),
        ..BaseCommand::default()
    }
}

fn ours_reads(bencher: Bencher, command: &BaseCommand) {
    let bytes = command.encode_to_vec();
    bencher.bench(|| wire::decode_command(black_box(&bytes)).unwrap());
}

fn prost_reads(bencher: Bencher, command: &BaseCommand) {
    let bytes = command.encode_to_vec();
    bencher.bench(|| BaseCommand::decode(black_box(&bytes[..])).unwrap());
}

#[divan::bench_group]
mod message_in {
    use super::*;

    #[divan::bench]
    fn ours(bencher: Bencher) {
        ours_reads(bencher, &message());
    }

    #[divan::bench]
    fn prost(bencher: Bencher) {
        prost_reads(bencher, &message());
    }
}

#[divan::bench_group]
mod send_receipt_in {
    use super::*;

    #[divan::bench]
    fn ours(bencher: Bencher) {
        ours_reads(bencher, &receipt());
    }

    #[divan::bench]
    fn prost(bencher: Bencher) {
        prost_reads(bencher, &receipt());
    }
}

#[divan::bench_group]
mod send_out {
    use super::*;

    #[divan::bench(args = PAYLOAD_BYTES)]
    fn ours(bencher: Bencher, bytes: usize) {
        let payload = crate::payload(bytes);
        let mut out = BytesMut::with_capacity(2 * bytes + 512);
        bencher.bench_local(|| {
            out.clear();
            let header = wire::SendHeader {
                producer_id: 7,
                sequence_id: 99_999,
                num_messages: 1,
                highest_sequence_id: None,
                is_chunk: false,
            };
            let metadata = wire::MetadataFields {
                producer_name: "standalone-0-1",
                sequence_id: 99_999,
                publish_time_ms: 1_700_000_000_000,
                ..Default::default()
            };
            let fill = |out: &mut BytesMut| {
                out.put_slice(&payload);
                Ok::<(), ()>(())
            };
            wire::encode_send(black_box(&header), &metadata, bytes, &mut out, fill).unwrap();
        });
    }

    #[divan::bench(args = PAYLOAD_BYTES)]
    fn prost(bencher: Bencher, bytes: usize) {
        let payload = crate::payload(bytes);
        let mut out = BytesMut::with_capacity(2 * bytes + 512);
        bencher.bench_local(|| {
            out.clear();
            let command = BaseCommand {
                r#type: Type::Send as i32,
                send: Some(CommandSend {
                    producer_id: 7,
                    sequence_id: 99_999,
                    num_messages: Some(1),
                    ..CommandSend::default()
                }),
                ..BaseCommand::default()
            };
            let metadata = MessageMetadata {
                producer_name: "standalone-0-1".into(),
                sequence_id: 99_999,
                publish_time: 1_700_000_000_000,
                ..MessageMetadata::default()
            };
            let metadata = metadata.encode_to_vec();
            wire::append_command_with_body(black_box(&command), &metadata, &payload, &mut out);
        });
    }
}

#[divan::bench_group]
mod ack_out {
    use super::*;

    #[divan::bench]
    fn ours(bencher: Bencher) {
        let mut out = BytesMut::with_capacity(256);
        bencher.bench_local(|| {
            out.clear();
            let header = wire::AckHeader {
                consumer_id: 7,
                cumulative: false,
                validation_error: None,
                request_id: None,
            };
            let id = wire::AckId {
                ledger: ID.ledger_id,
                entry: ID.entry_id,
                ack_set: &[],
            };
            wire::encode_ack(black_box(&header), [id].into_iter(), &mut out);
        });
    }

    #[divan::bench]
    fn prost(bencher: Bencher) {
        let mut out = BytesMut::with_capacity(256);
        bencher.bench_local(|| {
            out.clear();
            let command = BaseCommand {
                r#type: Type::Ack as i32,
                ack: Some(CommandAck {
                    consumer_id: 7,
                    message_id: vec![MessageIdData {
                        ledger_id: ID.ledger_id,
                        entry_id: ID.entry_id,
                        ..MessageIdData::default()
                    }],
                    ..CommandAck::default()
                }),
                ..BaseCommand::default()
            };
            wire::append_command(black_box(&command), &mut out);
        });
    }
}
