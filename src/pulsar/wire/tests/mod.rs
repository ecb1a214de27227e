//! Hand-written codecs against prost and the `pulsar` crate's own frames; lies and garbage.

mod commands;
mod frames;
mod ids;
mod send;

use ::prost::Message as _;
use ::pulsar::proto::{BaseCommand, MessageIdData};
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Frame, MAX_FRAME_BYTES, split_frame};

/// Few cases under Miri, which is some hundred times slower and has no files to keep failures in.
pub(crate) fn config() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// The one frame in `bytes`, and nothing behind it.
fn only_frame(mut bytes: BytesMut) -> Frame {
    let frame = split_frame(&mut bytes, MAX_FRAME_BYTES)
        .expect("sizes are right")
        .expect("it is complete");
    assert!(bytes.is_empty());
    frame
}

fn prost_command(frame: &Frame) -> BaseCommand {
    BaseCommand::decode(&frame.command[..]).expect("prost reads it")
}

/// Numbers at the borders of every varint length, and any others.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0u64..300,
        Just(u64::MAX),
        (0u32..64).prop_map(|shift| 1 << shift)
    ]
}

fn some_bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..max)
}

prop_compose! {
    /// An id as a broker or a client may send it: every field present or not.
    fn id_data()(
        ledger_id in number(),
        entry_id in number(),
        partition in proptest::option::of(any::<i32>()),
        batch_index in proptest::option::of(any::<i32>()),
        ack_set in vec(any::<i64>(), 0..4),
        batch_size in proptest::option::of(0..=i32::MAX),
        with_chunk in any::<bool>(),
    ) -> MessageIdData {
        let first_chunk_message_id = with_chunk.then(|| {
            Box::new(MessageIdData { ledger_id: 1, entry_id: 2, ..Default::default() })
        });
        MessageIdData { ledger_id, entry_id, partition, batch_index, ack_set, batch_size, first_chunk_message_id }
    }
}
