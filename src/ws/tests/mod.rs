//! What the tests of frames share: a client's frames, and the decoder fed with them in pieces.
//! `compression` is about permessage-deflate; `rules` holds the decoder and the encoder against RFC 6455, `oracle` against tungstenite and against random bytes.

use std::ops::ControlFlow;

use tungstenite::protocol::frame::FrameHeader;

use super::*;

mod compression;
mod oracle;
mod rules;

const MAX_MESSAGE_BYTES: usize = 1000;

#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(bytes) => Seen::Text(String::from_utf8(bytes.to_vec()).unwrap()),
            Event::Binary(bytes) => Seen::Binary(bytes.to_vec()),
            Event::Ping(bytes) => Seen::Ping(bytes.to_vec()),
            Event::Pong(bytes) => Seen::Pong(bytes.to_vec()),
            Event::Close { code, reason } => Seen::Close(code, reason.to_owned()),
        }
    }
}

/// Feeds `bytes` cut into pieces of these lengths, over and over.
fn decode_chopped(bytes: &[u8], cuts: &[usize]) -> (Vec<Seen>, Result<(), Violation>) {
    decode_with(Decoder::new(MAX_MESSAGE_BYTES), bytes, cuts)
}

fn decode_with(
    mut decoder: Decoder,
    bytes: &[u8],
    cuts: &[usize],
) -> (Vec<Seen>, Result<(), Violation>) {
    let mut seen = Vec::new();
    let mut input = bytes.to_vec();
    let mut rest = &mut input[..];
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let cut = cuts.next().map_or(rest.len(), |cut| rest.len().min(*cut));
        let fed = decoder.feed(&mut rest[..cut], &mut |event| {
            seen.push(event.into());
            ControlFlow::Continue(())
        });
        match fed {
            Ok(taken) => rest = &mut rest[taken..],
            Err(violation) => return (seen, Err(violation)),
        }
    }
    (seen, Ok(()))
}

fn decode(bytes: &[u8]) -> (Vec<Seen>, Result<(), Violation>) {
    decode_chopped(bytes, &[])
}

/// The code of the violation, after no event.
fn violation(bytes: &[u8]) -> u16 {
    let (seen, result) = decode(bytes);
    assert_eq!(seen, []);
    // However it is cut, the same rule is broken.
    assert_eq!(decode_chopped(bytes, &[1]).1, result);
    result.map_or_else(|violation| violation.code, |()| 0)
}

/// A client's frame: `first` is FIN, RSV and opcode.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut out = Vec::new();
    let masked = FrameHeader {
        mask: Some(mask),
        ..FrameHeader::default()
    };
    masked.format(payload.len() as u64, &mut out).unwrap();
    out[0] = first;
    out.extend(
        payload
            .iter()
            .enumerate()
            .map(|(i, byte)| byte ^ mask[i % 4]),
    );
    out
}
