//! Frames as they are on the wire, without a WebSocket library: the clients are not to be what limits a run.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use base64_simd::{Out, STANDARD};

pub const PAYLOAD_BYTES: usize = 128;

/// What a payload begins with, all digits: its number and when it was published (µs since 1970).
const NUMBER: Range<usize> = 0..12;
const TIME: Range<usize> = 12..30;
/// The same in base64: 12 digits fill 16 characters exactly, so that a number is one text.
pub const NUMBER_CHARS: usize = 16;
const STAMP_CHARS: usize = 40;

pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

fn payload(number: u64, bytes: usize, at_us: u64) -> String {
    let mut payload = format!("{number:012}{at_us:018}").into_bytes();
    payload.resize(bytes.max(TIME.end), b'.');
    STANDARD.encode_to_string(payload)
}

/// The first characters of a number's payload.
pub fn number_text(number: u64) -> [u8; NUMBER_CHARS] {
    let mut text = [0; NUMBER_CHARS];
    let digits = format!("{number:012}");
    let _ = STANDARD.encode(digits.as_bytes(), Out::from_slice(&mut text));
    text
}

/// The text of a message as a gateway would send it.
pub fn delivery_text(number: u64) -> String {
    format!(
        "{{\"messageId\":\"CBAQADAA\",\"payload\":\"{}\",\"properties\":{{}},\
         \"publishTime\":\"2026-11-20T17:47:23.156Z\",\"redeliveryCount\":0}}",
        payload(number, PAYLOAD_BYTES, now_us())
    )
}

/// The same in a frame.
pub fn delivery(number: u64) -> Vec<u8> {
    let text = delivery_text(number);
    let mut frame = vec![0x81, 126];
    frame.extend_from_slice(&(text.len() as u16).to_be_bytes());
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// A producer's frame, with a payload of this length, published at this time.
pub fn publish(number: u64, bytes: usize, at_us: u64) -> Vec<u8> {
    client(format!("{{\"payload\":\"{}\"}}", payload(number, bytes, at_us)).as_bytes())
}

/// Appends a consumer's or reader's frame about the message of this text.
pub fn ack(text: &[u8], out: &mut Vec<u8>) {
    let end = quote(text, ID.len());
    let head = [0x81, 0x80 | (end + 2) as u8, 0, 0, 0, 0];
    out.extend_from_slice(&head);
    out.extend_from_slice(&text[..end]);
    out.extend_from_slice(b"\"}");
}

/// A client's text frame of up to 65,535 bytes, masked with zeros.
fn client(text: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 | 126);
            let len = u16::try_from(len).expect("a frame of the bench");
            frame.extend_from_slice(&len.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text);
    frame
}

/// The text of the first whole frame of a server, and the length of the frame.
pub fn first(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let [opcode, short, ..] = *bytes else {
        return None;
    };
    assert_eq!(opcode, 0x81, "a text frame");
    let (header, len) = match short {
        126 => {
            let length = bytes.get(2..4)?;
            (4, u16::from_be_bytes([length[0], length[1]]) as usize)
        }
        127 => panic!("no frame here is that long"),
        len => (2, usize::from(len)),
    };
    Some((bytes.get(header..header + len)?, header + len))
}

const ID: &[u8] = b"{\"messageId\":\"";
const PAYLOAD: &[u8] = b"\",\"payload\":\"";

fn quote(text: &[u8], from: usize) -> usize {
    let end = text[from..].iter().position(|byte| *byte == b'"');
    from + end.expect("the end of an id")
}

/// Where the payload begins in a delivery.
pub fn payload_at(text: &[u8]) -> usize {
    assert!(text.starts_with(ID), "{}", String::from_utf8_lossy(text));
    let end = quote(text, ID.len());
    assert!(text[end..].starts_with(PAYLOAD), "the payload comes next");
    end + PAYLOAD.len()
}

/// Number and time of a delivery.
pub fn stamp(text: &[u8]) -> (u64, u64) {
    let begin = payload_at(text);
    let mut decoded = [0; TIME.end];
    STANDARD
        .decode(
            &text[begin..begin + STAMP_CHARS],
            Out::from_slice(&mut decoded),
        )
        .expect("base64");
    let number = |range: Range<usize>| {
        let digits = std::str::from_utf8(&decoded[range]).expect("digits");
        digits.parse().expect("a number")
    };
    (number(NUMBER), number(TIME))
}
