//! JSON in and out: our reader and our templates against simd-json and serde_json.
//!
//! Readers in place (ours, simd-json) get a fresh copy of the frame each time, which is counted; serde_json needs none.
//! simd-json's tape alone is the least that any use of it costs: no field is looked for.

use std::collections::BTreeMap;
use std::fmt;

use base64_simd::Out;
use bytes::{Bytes, BytesMut};
use divan::{Bencher, black_box};
use prost::Message as _;
use pulsar::proto::{KeyValue, MessageMetadata};
use pws_fast::api;
use pws_fast::pulsar::{Message, MessageId};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use simd_json::{Buffers, Tape};

/// One text frame of a client.
struct Frame {
    name: &'static str,
    text: Vec<u8>,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} B", self.name, self.text.len())
    }
}

fn commands() -> Vec<Frame> {
    let frame = |name, text: &str| Frame {
        name,
        text: text.into(),
    };
    vec![
        frame("ack", r#"{"messageId":"CBAQADAA"}"#),
        frame(
            "nack",
            r#"{"type":"negativeAcknowledge","messageId":"CBAQADAA"}"#,
        ),
    ]
}

fn publishes() -> Vec<Frame> {
    let frame = |name, bytes| {
        let payload = base64_simd::STANDARD.encode_to_string(crate::payload(bytes));
        let text = format!(
            r#"{{"payload":"{payload}","properties":{{"key1":"value1","key2":"value2"}},"context":"1","key":"k"}}"#
        );
        Frame {
            name,
            text: text.into(),
        }
    };
    vec![
        frame("payload of 128 B", 128),
        frame("payload of 1 KiB", 1024),
        frame("payload of 64 KiB", 65_536),
    ]
}

/// Runs `read` on a fresh copy of the frame.
fn in_place(bencher: Bencher, frame: &Frame, mut read: impl FnMut(&mut [u8])) {
    let mut copy = frame.text.clone();
    bencher.bench_local(|| {
        copy.copy_from_slice(&frame.text);
        read(black_box(&mut copy));
    });
}

fn simd_json_tape(bencher: Bencher, frame: &Frame) {
    let mut buffers = Buffers::new(frame.text.len());
    let mut spare = Some(Tape::null());
    in_place(bencher, frame, |text| {
        let mut tape = spare.take().unwrap_or_else(Tape::null).reset();
        simd_json::fill_tape(text, &mut buffers, &mut tape).unwrap();
        spare = Some(black_box(tape).reset());
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommandFields<'a> {
    r#type: Option<&'a str>,
    message_id: Option<&'a str>,
    permit_messages: Option<i32>,
}

impl CommandFields<'_> {
    /// What is left to do when the fields are there: the id.
    fn take(&self) {
        let mut id = [0; 64];
        let text = self.message_id.unwrap_or_default().as_bytes();
        let id = base64_simd::STANDARD.decode(text, Out::from_slice(&mut id));
        black_box(MessageId::decode(id.unwrap()).unwrap());
        black_box((self.r#type, self.permit_messages));
    }
}

#[divan::bench_group]
mod command {
    use super::*;

    #[divan::bench(args = commands())]
    fn ours(bencher: Bencher, frame: &Frame) {
        in_place(bencher, frame, |text| {
            black_box(api::parse_command(text).unwrap());
        });
    }

    #[divan::bench(args = commands())]
    fn simd_json_tape_alone(bencher: Bencher, frame: &Frame) {
        simd_json_tape(bencher, frame);
    }

    #[divan::bench(args = commands())]
    fn simd_json_serde(bencher: Bencher, frame: &Frame) {
        let mut buffers = Buffers::new(frame.text.len());
        in_place(bencher, frame, |text| {
            let fields = simd_json::serde::from_slice_with_buffers(text, &mut buffers);
            CommandFields::take(&fields.unwrap());
        });
    }

    #[divan::bench(args = commands())]
    fn serde_json(bencher: Bencher, frame: &Frame) {
        bencher.bench(|| {
            let fields = serde_json::from_slice(black_box(&frame.text));
            CommandFields::take(&fields.unwrap());
        });
    }
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "filled, as the gateway fills its own")]
struct PublishFields<'a> {
    payload: &'a str,
    #[serde(borrow)]
    properties: FxHashMap<&'a str, &'a str>,
    context: Option<&'a str>,
    key: Option<&'a str>,
}

#[divan::bench_group]
mod publish {
    use super::*;

    #[divan::bench(args = publishes())]
    fn ours(bencher: Bencher, frame: &Frame) {
        in_place(bencher, frame, |text| {
            black_box(api::parse_publish(text, false).unwrap());
        });
    }

    /// What the others leave to be done.
    #[divan::bench(args = publishes())]
    fn ours_with_the_payload_decoded(bencher: Bencher, frame: &Frame) {
        let mut out = BytesMut::with_capacity(frame.text.len());
        in_place(bencher, frame, |text| {
            out.clear();
            let publish = api::parse_publish(text, false).unwrap();
            publish.decode_payload(&mut out).unwrap();
        });
    }

    #[divan::bench(args = publishes())]
    fn simd_json_tape_alone(bencher: Bencher, frame: &Frame) {
        simd_json_tape(bencher, frame);
    }

    #[divan::bench(args = publishes())]
    fn simd_json_serde(bencher: Bencher, frame: &Frame) {
        let mut buffers = Buffers::new(frame.text.len());
        in_place(bencher, frame, |text| {
            let fields = simd_json::serde::from_slice_with_buffers(text, &mut buffers);
            black_box::<PublishFields<'_>>(fields.unwrap());
        });
    }

    #[divan::bench(args = publishes())]
    fn serde_json(bencher: Bencher, frame: &Frame) {
        bencher.bench(|| {
            let fields = serde_json::from_slice(black_box(&frame.text));
            black_box::<PublishFields<'_>>(fields.unwrap());
        });
    }
}

const DELIVERED_BYTES: [usize; 2] = [128, 1024];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryFields<'a> {
    message_id: &'a str,
    payload: &'a str,
    properties: BTreeMap<&'a str, &'a str>,
    publish_time: &'a str,
    redelivery_count: u32,
    key: &'a str,
}

#[divan::bench_group]
mod delivery {
    use super::*;

    #[divan::bench(args = DELIVERED_BYTES)]
    fn ours(bencher: Bencher, bytes: usize) {
        encode(bencher, &metadata(), bytes);
    }

    /// With two properties: their order is that of a Java `HashMap`, which has to be worked out.
    #[divan::bench(args = DELIVERED_BYTES)]
    fn ours_with_two_properties(bencher: Bencher, bytes: usize) {
        let property = |key: &str, value: &str| KeyValue {
            key: key.into(),
            value: value.into(),
        };
        let metadata = MessageMetadata {
            properties: vec![property("key1", "value1"), property("key2", "value2")],
            ..metadata()
        };
        encode(bencher, &metadata, bytes);
    }

    /// Id, time and key are ready texts here; only the payload has to become one.
    #[divan::bench(args = DELIVERED_BYTES)]
    fn serde_json(bencher: Bencher, bytes: usize) {
        rival(bencher, bytes, |fields, out| {
            serde_json::to_writer(out, fields).unwrap();
        });
    }

    #[divan::bench(args = DELIVERED_BYTES)]
    fn simd_json(bencher: Bencher, bytes: usize) {
        rival(bencher, bytes, |fields, out| {
            simd_json::serde::to_writer(out, fields).unwrap();
        });
    }

    fn metadata() -> MessageMetadata {
        MessageMetadata {
            producer_name: "standalone-0-1".into(),
            publish_time: 1_700_000_000_000,
            partition_key: Some("k".into()),
            ..MessageMetadata::default()
        }
    }

    fn encode(bencher: Bencher, metadata: &MessageMetadata, bytes: usize) {
        let message = message(metadata, bytes);
        let mut out = Vec::with_capacity(2 * api::delivery_size_hint(&message));
        bencher.bench_local(|| {
            out.clear();
            api::append_delivery(black_box(&message), &mut out);
        });
    }

    fn rival(bencher: Bencher, bytes: usize, write: impl Fn(&DeliveryFields<'_>, &mut Vec<u8>)) {
        let payload = crate::payload(bytes);
        let mut text = String::with_capacity(2 * bytes);
        let mut out = Vec::with_capacity(2 * bytes + 512);
        bencher.bench_local(|| {
            text.clear();
            out.clear();
            base64_simd::STANDARD.encode_append(black_box(&payload), &mut text);
            let fields = DeliveryFields {
                message_id: "CBAQADAA",
                payload: &text,
                properties: BTreeMap::new(),
                publish_time: "2023-11-14T22:13:20Z",
                redelivery_count: 0,
                key: "k",
            };
            write(black_box(&fields), &mut out);
        });
    }

    fn message(metadata: &MessageMetadata, bytes: usize) -> Message {
        Message {
            id: MessageId {
                ledger: 16,
                entry: 4,
                partition: 0,
                batch_index: -1,
                batch_size: 0,
            },
            first_chunk: None,
            oldest_begun: None,
            redelivery_count: 0,
            publish_time_ms: metadata.publish_time,
            metadata: Bytes::from(metadata.encode_to_vec()),
            payload: Bytes::from(crate::payload(bytes)),
            decrypted_from: None,
        }
    }
}
