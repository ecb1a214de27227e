//! The paths: what one message costs in this process, from bytes to bytes, without the kernel.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use prost::Message as _;
use pulsar::proto::{KeyValue, MessageMetadata};
use pws_fast::api::{self, Flow};
use pws_fast::hub::tail::{Batch, Form, FrameLog, Points};
use pws_fast::pulsar::client::StartPosition;
use pws_fast::pulsar::message::split;
use pws_fast::pulsar::{Entry, MessageId};
use pws_fast::session::reader::{self, Reading};
use pws_fast::ws::{Decoder, Event};

/// `encode`: an entry of the broker to one frame in a batch. `push`: that frame to one socket of a tail. `handled`: a
/// reader's frame that frees one place of its window. `publish`: a client's message to payload and fields.
pub const NAMES: &[&str] = &["encode", "push", "handled", "publish"];

const PAYLOAD_BYTES: usize = 128;
/// Bytes that the kernel is offered at a time, as in the gateway.
const BYTES_PER_SEND: usize = 256 * 1024;
const FRAME_BYTES_MAX: usize = 1024 * 1024;

pub fn run(path: &str, count: u64) {
    match path {
        "encode" => {
            let entry = entry();
            (0..count).for_each(|_| drop(black_box(batch(&entry))));
        }
        "push" => push(count),
        "handled" => handled(count),
        "publish" => publish(count),
        _ => panic!("no path is called {path}"),
    }
}

fn entry() -> Entry {
    let metadata = MessageMetadata {
        producer_name: "standalone-0-0".to_owned(),
        sequence_id: 1,
        publish_time: 1_763_660_843_156,
        properties: vec![KeyValue {
            key: "key".to_owned(),
            value: "value".to_owned(),
        }],
        ..MessageMetadata::default()
    };
    Entry {
        ledger: 16,
        entry: 1,
        partition: -1,
        redelivery_count: 0,
        ack_set: Vec::new(),
        consumer_epoch: Some(0),
        metadata: Bytes::from(metadata.encode_to_vec()),
        payload: Bytes::from(vec![b'x'; PAYLOAD_BYTES]),
        is_decrypted: false,
    }
}

fn batch(entry: &Entry) -> Arc<Batch> {
    let messages = split(entry, FRAME_BYTES_MAX).expect("a message");
    let bytes = messages.iter().map(reader::frame_size_hint).sum();
    let mut batch = Batch::with_capacity(bytes, messages.len());
    for message in &messages {
        batch.push(0, &message.id, |out| reader::append(message, out));
    }
    Arc::new(batch)
}

fn push(count: u64) {
    let mut log = FrameLog::new(Points::everywhere(behind_all()));
    log.push(batch(&entry()));
    let mut pieces = Vec::new();
    for _ in 0..count {
        let mut reading = Reading::new(Flow::Tcp, StartPosition::Latest);
        reading.go_live(log.first());
        let next = reading.next().expect("in the log");
        pieces.clear();
        let bytes = log.run(
            next,
            reading.open().into(),
            BYTES_PER_SEND,
            reading.seen(),
            Form::Plain,
            &mut pieces,
        );
        black_box(&pieces);
        let (number, rest) = log.advance(next, black_box(bytes), Form::Plain);
        reading.charge(number - next);
        reading.sent_to(number);
        black_box((rest.len(), &reading));
    }
}

fn behind_all() -> pws_fast::hub::tail::Point {
    pws_fast::hub::tail::Point::behind(&MessageId {
        ledger: 15,
        entry: 0,
        partition: -1,
        batch_index: -1,
        batch_size: 0,
    })
}

fn handled(count: u64) {
    let mut decoder = Decoder::new(FRAME_BYTES_MAX);
    let mut reading = Reading::new(Flow::Window(1000), StartPosition::Latest);
    let masked = masked(br#"{"messageId":"CBAQADAA"}"#);
    for _ in 0..count {
        reading.charge(1);
        // Read in place.
        let mut frame = masked.clone();
        let fed = decoder.feed(&mut frame, &mut |event| {
            if let Event::Text(text) = event {
                api::parse_reader_command(text).expect("a command");
                reading.handled();
            }
            ControlFlow::Continue(())
        });
        fed.expect("a frame");
    }
    black_box(&reading);
}

fn publish(count: u64) {
    let payload = base64_simd::STANDARD.encode_to_string(vec![b'x'; PAYLOAD_BYTES]);
    let text = format!(r#"{{"payload":"{payload}","properties":{{"key":"value"}},"context":"1"}}"#);
    let mut decoder = Decoder::new(FRAME_BYTES_MAX);
    let mut out = BytesMut::with_capacity(PAYLOAD_BYTES);
    let masked = masked(text.as_bytes());
    for _ in 0..count {
        let mut frame = masked.clone();
        let fed = decoder.feed(&mut frame, &mut |event| {
            if let Event::Text(text) = event {
                let message = api::parse_publish(text, false).expect("a message");
                message.decode_payload(&mut out).expect("base64");
                black_box(&message);
            }
            out.clear();
            ControlFlow::Continue(())
        });
        fed.expect("a frame");
    }
}

/// A client's text frame of up to 65,535 bytes.
fn masked(text: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x4c, 0x45, 0x46, 0x54];
    let mut frame = vec![0x81];
    match text.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    let masked = text.iter().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}
