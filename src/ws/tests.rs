//! The decoder and the encoder against the rules of RFC 6455 and against tungstenite.

use std::ops::ControlFlow;

use proptest::prelude::*;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame, FrameHeader};

use super::*;

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
    let mut decoder = Decoder::new(MAX_MESSAGE_BYTES);
    let mut seen = Vec::new();
    let mut input = bytes.to_vec();
    let mut rest = &mut input[..];
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let cut = cuts.next().map_or(rest.len(), |cut| rest.len().min(*cut));
        let (piece, after) = rest.split_at_mut(cut);
        let fed = decoder.feed(piece, &mut |event| {
            seen.push(event.into());
            ControlFlow::Continue(())
        });
        if fed.is_err() {
            return (seen, fed);
        }
        rest = after;
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

#[test]
fn an_idle_decoder_is_small_and_holds_nothing() {
    assert!(size_of::<Decoder>() <= 24);
}

#[test]
fn a_message_in_one_frame_is_handed_out_where_it_lies() {
    let mut input = frame(0x81, b"{\"payload\":\"\"}");
    let start = input.as_ptr() as usize + 6;
    let mut at = 0;
    let mut decoder = Decoder::new(MAX_MESSAGE_BYTES);
    let mut on_event = |event: Event<'_>| {
        if let Event::Text(bytes) = event {
            at = bytes.as_ptr() as usize;
        }
        ControlFlow::Continue(())
    };
    decoder.feed(&mut input, &mut on_event).unwrap();
    assert_eq!(at, start);
}

#[test]
fn control_frames_come_between_fragments() {
    let bytes = [
        frame(0x01, b"one "),
        frame(0x89, b"?"),
        frame(0x00, b"two "),
        frame(0x80, b"three"),
    ]
    .concat();
    let expected = vec![
        Seen::Ping(b"?".to_vec()),
        Seen::Text("one two three".into()),
    ];
    for cut in 1..bytes.len() {
        assert_eq!(decode_chopped(&bytes, &[cut]), (expected.clone(), Ok(())));
    }
}

#[test]
fn a_frame_that_no_client_may_send_is_a_protocol_violation() {
    let unmasked = |first: u8| vec![first, 0];
    let with_length =
        |second: u8, length: &[u8]| [&[0x82, 0x80 | second][..], length, &[0; 4]].concat();
    for (what, bytes) in [
        ("unmasked", unmasked(0x81)),
        ("unmasked close", unmasked(0x88)),
        ("rsv1", frame(0xc1, b"x")),
        ("rsv2", frame(0xa1, b"x")),
        ("rsv3", frame(0x91, b"x")),
        ("opcode 3", frame(0x83, b"x")),
        ("opcode 7", frame(0x87, b"")),
        ("opcode 11", frame(0x8b, b"")),
        ("opcode 15", frame(0x8f, b"x")),
        ("fragmented ping", frame(0x09, b"x")),
        ("fragmented close", frame(0x08, b"")),
        ("long ping", frame(0x89, &[0; 126])),
        ("long close", frame(0x88, &[b'x'; 126])),
        ("continuation of nothing", frame(0x80, b"x")),
        ("fragment of nothing", frame(0x00, b"x")),
        ("16 bits for 125", with_length(126, &125_u16.to_be_bytes())),
        (
            "64 bits for 65535",
            with_length(127, &65535_u64.to_be_bytes()),
        ),
        ("64 bits for 0", with_length(127, &0_u64.to_be_bytes())),
        (
            "top bit",
            with_length(127, &(1_u64 << 63 | 70_000).to_be_bytes()),
        ),
        (
            "text inside a message",
            [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
        ),
        (
            "binary inside a message",
            [frame(0x02, b"a"), frame(0x02, b"b")].concat(),
        ),
        ("half a close code", frame(0x88, &[3])),
        ("close code 1005", frame(0x88, &1005_u16.to_be_bytes())),
        ("close code 999", frame(0x88, &999_u16.to_be_bytes())),
    ] {
        assert_eq!(violation(&bytes), 1002, "{what}");
    }
}

#[test]
fn a_message_of_the_bound_passes_and_one_byte_more_is_too_big() {
    let bound = vec![b'x'; MAX_MESSAGE_BYTES];
    assert_eq!(
        decode(&frame(0x82, &bound)).0,
        [Seen::Binary(bound.clone())]
    );
    assert_eq!(violation(&frame(0x82, &[0; MAX_MESSAGE_BYTES + 1])), 1009);

    let fragments =
        |last: usize| [frame(0x01, &bound[..600]), frame(0x80, &bound[..last])].concat();
    assert_eq!(decode(&fragments(400)).0.len(), 1);
    assert_eq!(violation(&fragments(401)), 1009);
}

#[test]
fn a_length_over_the_bound_is_refused_at_its_header() {
    for claimed in [MAX_MESSAGE_BYTES as u64 + 1, 1 << 20, u64::MAX >> 1] {
        let mut header = Vec::new();
        let opcode = OpCode::Data(Data::Text);
        FrameHeader {
            opcode,
            mask: Some([0; 4]),
            ..FrameHeader::default()
        }
        .format(claimed, &mut header)
        .unwrap();
        assert_eq!(violation(&header), 1009);
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_at_the_piece_that_shows_it() {
    assert_eq!(violation(&frame(0x81, b"\xc0\xaf")), 1007);
    assert_eq!(violation(&frame(0x81, b"\xed\xa0\x80")), 1007);
    assert_eq!(violation(&frame(0x81, b"\xf4\x90\x80\x80")), 1007);
    assert_eq!(
        violation(&frame(0x81, "€".as_bytes().split_last().unwrap().1)),
        1007
    );
    assert_eq!(
        violation(&[frame(0x01, b"\xe2\x82"), frame(0x80, b"")].concat()),
        1007
    );
    // At the fragment, before the message ends.
    assert_eq!(violation(&frame(0x01, b"ok \xff")), 1007);
    // Inside a frame, before the frame ends.
    let frame = frame(0x81, b"ok \xff and more");
    assert_eq!(decode(&frame[..10]).1, Err(Violation::INVALID_TEXT));
    assert_eq!(violation(&super::tests::frame(0x88, b"\x03\xe8\xff")), 1007);
}

#[test]
fn a_character_may_be_cut_anywhere() {
    let text = "κόσμε €𐍈";
    for cut in 0..=text.len() {
        let (a, b) = text.as_bytes().split_at(cut);
        let bytes = [frame(0x01, a), frame(0x00, b""), frame(0x80, b)].concat();
        assert_eq!(decode_chopped(&bytes, &[3]).0, [Seen::Text(text.into())]);
    }
}

#[test]
fn nothing_is_read_after_a_close() {
    let bytes = [
        frame(0x88, b"\x03\xe8bye"),
        frame(0x81, b"late"),
        vec![0xff; 9],
    ]
    .concat();
    let expected = (vec![Seen::Close(Some(1000), "bye".into())], Ok(()));
    assert_eq!(decode(&bytes), expected);
    assert_eq!(decode_chopped(&bytes, &[2]), expected);
    assert_eq!(
        decode(&frame(0x88, b"")).0,
        [Seen::Close(None, String::new())]
    );
}

#[test]
fn nothing_is_read_after_a_violation_or_a_break() {
    let mut decoder = Decoder::new(10);
    let mut count = 0;
    assert!(
        decoder
            .feed(&mut frame(0x83, b""), &mut |_| ControlFlow::Continue(()))
            .is_err()
    );
    assert_eq!(
        decoder.feed(&mut frame(0x81, b"x"), &mut |_| panic!(
            "an event after the end"
        )),
        Ok(())
    );

    let mut decoder = Decoder::new(10);
    let mut two = [frame(0x81, b"a"), frame(0x81, b"b")].concat();
    for _ in 0..2 {
        let fed = decoder.feed(&mut two, &mut |_| {
            count += 1;
            ControlFlow::Break(())
        });
        assert_eq!(fed, Ok(()));
    }
    assert_eq!(count, 1);
}

#[test]
fn close_reasons_are_cut_between_characters() {
    let close = encode::close_frame(4001, &"ü".repeat(100));
    assert_eq!(close.len(), 2 + 2 + 122);
    assert!(std::str::from_utf8(&close[4..]).is_ok());
    assert_eq!(encode::close_frame(1006, "gone"), &[0x88, 0][..]);
}

#[test]
fn frames_follow_each_other_in_one_buffer_whatever_was_expected() {
    for expected in [0, 125, 126, 65_535, 65_536] {
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'p'; len];
            let mut out = encode::text_frame(b"before").to_vec();
            let start = encode::begin_text(&mut out, expected);
            out.extend_from_slice(&payload);
            encode::finish(&mut out, start);
            out.extend_from_slice(&encode::text_frame(b"after"));
            let whole = [
                &encode::text_frame(b"before")[..],
                &encode::text_frame(&payload),
                &encode::text_frame(b"after"),
            ];
            assert!(out == whole.concat(), "expected {expected}, was {len}");
        }
    }
}

/// What a client may send, as tungstenite's frames.
fn client_message() -> impl Strategy<Value = (Vec<(OpCode, bool, Vec<u8>)>, Seen)> {
    let fragments = |opcode: Data, bytes: Vec<u8>, cut: usize| {
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        if first.is_empty() {
            return vec![(OpCode::Data(opcode), true, bytes)];
        }
        let ping = (OpCode::Control(Control::Pong), true, vec![]);
        vec![
            (OpCode::Data(opcode), false, first.to_vec()),
            ping,
            (OpCode::Data(Data::Continue), true, second.to_vec()),
        ]
    };
    let bytes = || proptest::collection::vec(any::<u8>(), 0..400);
    let control = || proptest::collection::vec(any::<u8>(), 0..126);
    prop_oneof![
        ("\\PC{0,120}", 0_usize..400).prop_map(move |(text, cut)| (
            fragments(Data::Text, text.clone().into_bytes(), cut),
            Seen::Text(text)
        )),
        (bytes(), 0_usize..400).prop_map(move |(bytes, cut)| (
            fragments(Data::Binary, bytes.clone(), cut),
            Seen::Binary(bytes)
        )),
        control().prop_map(|bytes| (
            vec![(OpCode::Control(Control::Ping), true, bytes.clone())],
            Seen::Ping(bytes)
        )),
        control().prop_map(|bytes| (
            vec![(OpCode::Control(Control::Pong), true, bytes.clone())],
            Seen::Pong(bytes)
        )),
    ]
}

fn masked(opcode: OpCode, is_final: bool, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut out = Vec::new();
    let header = FrameHeader {
        opcode,
        is_final,
        mask: Some(mask),
        ..FrameHeader::default()
    };
    header.format(payload.len() as u64, &mut out).unwrap();
    out.extend(
        payload
            .iter()
            .enumerate()
            .map(|(i, byte)| byte ^ mask[i % 4]),
    );
    out
}

/// A stream that tungstenite reads from memory, and writes nowhere.
struct Memory(std::io::Cursor<Vec<u8>>);

impl std::io::Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl std::io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }))]

    #[test]
    fn what_a_client_sends_is_what_comes_out_however_it_is_cut(
        messages in proptest::collection::vec(client_message(), 0..8),
        mask in any::<[u8; 4]>(),
        cuts in proptest::collection::vec(1_usize..200, 1..6),
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (frames, seen) in messages {
            let fragmented = frames.len() > 1;
            for (opcode, is_final, payload) in frames {
                bytes.extend(masked(opcode, is_final, &payload, mask));
            }
            if fragmented {
                expected.push(Seen::Pong(vec![]));
            }
            expected.push(seen);
        }
        prop_assert_eq!(decode(&bytes), (expected.clone(), Ok(())));
        prop_assert_eq!(decode_chopped(&bytes, &cuts), (expected, Ok(())));
    }

    #[test]
    fn random_bytes_never_panic_and_cutting_them_changes_nothing(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        cuts in proptest::collection::vec(1_usize..20, 1..6),
        fix_header in any::<bool>(),
    ) {
        let mut bytes = bytes;
        if fix_header && bytes.len() > 1 {
            // Most random headers end at once: make the first one acceptable.
            bytes[0] = 0x80 | [1, 2, 8, 9, 10, 0][usize::from(bytes[0]) % 6];
            bytes[1] |= 0x80;
        }
        prop_assert_eq!(decode(&bytes), decode_chopped(&bytes, &cuts));
    }

    #[test]
    fn tungstenite_accepts_what_we_accept(
        messages in proptest::collection::vec(client_message(), 0..6),
        flip in proptest::option::of((any::<prop::sample::Index>(), 0_u8..8)),
    ) {
        let mut bytes: Vec<u8> =
            messages.iter().flat_map(|(frames, _)| frames).flat_map(|(opcode, is_final, payload)| masked(*opcode, *is_final, payload, [9, 8, 7, 6])).collect();
        if let Some((at, bit)) = flip && !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        let (ours, result) = decode(&bytes);
        let theirs = tungstenite_reads(bytes);
        // We are the stricter one (padded lengths, early bounds): what we gave out, they gave out first.
        prop_assert!(theirs.starts_with(&ours), "ours {:?} {:?}, theirs {:?}", ours, result, theirs);
        if result.is_ok() {
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn tungstenite_reads_what_we_encode(text in "\\PC{0,300}", bytes in proptest::collection::vec(any::<u8>(), 0..126), code in 3000_u16..5000) {
        let reason: String = text.chars().take(30).collect();
        let out = [
            encode::text_frame(text.as_bytes()),
            encode::frame(OpCode::Data(Data::Binary), &bytes),
            encode::ping(&bytes),
            encode::pong(&bytes),
            encode::close_frame(code, &reason),
        ].concat();
        let frames = [
            Frame::message(text.clone().into_bytes(), OpCode::Data(Data::Text), true),
            Frame::message(bytes.clone(), OpCode::Data(Data::Binary), true),
            Frame::ping(bytes.clone()),
            Frame::pong(bytes),
            Frame::close(Some(CloseFrame { code: CloseCode::from(code), reason: reason.into() })),
        ];
        let mut expected = Vec::new();
        for frame in frames {
            frame.format(&mut expected).unwrap();
        }
        prop_assert_eq!(out, expected);
    }
}

/// The events that tungstenite's own server finds in `bytes`.
fn tungstenite_reads(bytes: Vec<u8>) -> Vec<Seen> {
    use tungstenite::protocol::{Role, WebSocketConfig};
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .read_buffer_size(4096);
    let stream = Memory(std::io::Cursor::new(bytes));
    let mut socket = tungstenite::WebSocket::from_raw_socket(stream, Role::Server, Some(config));
    let mut seen = Vec::new();
    while let Ok(message) = socket.read() {
        seen.push(match message {
            tungstenite::Message::Text(text) => Seen::Text(text.to_string()),
            tungstenite::Message::Binary(bytes) => Seen::Binary(bytes.to_vec()),
            tungstenite::Message::Ping(bytes) => Seen::Ping(bytes.to_vec()),
            tungstenite::Message::Pong(bytes) => Seen::Pong(bytes.to_vec()),
            tungstenite::Message::Close(None) => Seen::Close(None, String::new()),
            tungstenite::Message::Close(Some(close)) => {
                Seen::Close(Some(close.code.into()), close.reason.to_string())
            }
            tungstenite::Message::Frame(_) => continue,
        });
    }
    seen
}
