//! Tests of the whole room, by conversation. Expected texts are copied from the Java gateway 4.0.8 or computed with its
//! classes, but for what the README says "differs from the Java gateway".

mod base64;
mod coercions;
mod consumer_frames;
mod deliveries;
mod handshake;
mod hostile;
mod json_oracle;
mod parameters;
mod producer_frames;
mod property_order;
mod time;

use proptest::prelude::*;

use crate::api::{Query, append_ack, append_error, parse_publish};
use crate::pulsar::MessageId;

/// Enough to find a slip, few where an interpreter runs them.
const CASES: u32 = if cfg!(miri) { 8 } else { 512 };

/// Any text. Not a pattern: compiling one for all of Unicode is what an interpreter spends its time on.
fn any_text() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), 0..40)
        .prop_map(|characters| characters.into_iter().collect())
}

fn id(ledger: u64, entry: u64) -> MessageId {
    MessageId {
        ledger,
        entry,
        partition: -1,
        batch_index: -1,
        batch_size: 0,
    }
}

/// What a producer socket answers to `frame`, the broker storing it as `id`.
fn answer(frame: &str, id: &MessageId) -> String {
    let mut frame = frame.as_bytes().to_vec();
    let mut out = Vec::new();
    let decoded = parse_publish(&mut frame, false).and_then(|publish| {
        let mut payload = bytes::BytesMut::from("before");
        publish.decode_payload(&mut payload)?;
        assert_eq!(payload.len(), "before".len() + publish.payload_len());
        Ok(publish)
    });
    match decoded {
        Ok(publish) => append_ack(id, publish.context, &mut out),
        Err(error) => append_error(error.error, &error.message, error.context, &mut out),
    }
    String::from_utf8(out).unwrap()
}

fn query(raw: &str) -> Query {
    Query::parse(raw).unwrap()
}
