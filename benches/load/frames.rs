//! Frames as they are on the wire, without a WebSocket library: the clients are not to be what limits a run.

use std::time::{SystemTime, UNIX_EPOCH};

pub const PAYLOAD_BYTES: usize = 128;

/// What a payload begins with, all digits: its number and when it was published (µs since 1970).
const NUMBER: std::ops::Range<usize> = 0..12;
const TIME: std::ops::Range<usize> = 12..30;

pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

fn payload(number: u64) -> String {
    let mut payload = format!("{number:012}{:018}", now_us()).into_bytes();
    payload.resize(PAYLOAD_BYTES, b'.');
    base64_simd::STANDARD.encode_to_string(payload)
}

/// A message as a gateway would send it.
pub fn delivery(number: u64) -> Vec<u8> {
    let text = format!(
        "{{\"messageId\":\"CBAQADAA\",\"payload\":\"{}\",\"properties\":{{}},\
         \"publishTime\":\"2026-11-20T17:47:23.156Z\",\"redeliveryCount\":0}}",
        payload(number)
    );
    let mut frame = vec![0x81, 126];
    frame.extend_from_slice(&(text.len() as u16).to_be_bytes());
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// A producer's frame.
pub fn publish(number: u64) -> Vec<u8> {
    client(format!("{{\"payload\":\"{}\"}}", payload(number)).as_bytes())
}

/// A consumer's or reader's frame about the message of this frame.
pub fn ack(text: &[u8]) -> Vec<u8> {
    let id = text
        .strip_prefix(b"{\"messageId\":\"")
        .and_then(|rest| rest.split(|byte| *byte == b'"').next())
        .expect("a message id");
    let mut ack = b"{\"messageId\":\"".to_vec();
    ack.extend_from_slice(id);
    ack.extend_from_slice(b"\"}");
    client(&ack)
}

/// A client's text frame of up to 65,535 bytes, masked with zeros.
fn client(text: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
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

/// Number and time of a delivery.
pub fn stamp(text: &[u8]) -> (u64, u64) {
    const NAME: &[u8] = b"\"payload\":\"";
    let at = text.windows(NAME.len()).position(|window| window == NAME);
    let begin = at.expect("a payload") + NAME.len();
    let decoded = base64_simd::STANDARD
        .decode_to_vec(&text[begin..begin + 40])
        .expect("base64");
    let number = |range: std::ops::Range<usize>| {
        let digits = std::str::from_utf8(&decoded[range]).expect("digits");
        digits.parse().expect("a number")
    };
    (number(NUMBER), number(TIME))
}
