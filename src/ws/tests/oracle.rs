//! Properties: tungstenite is the other opinion on what bytes mean, and cutting bytes changes nothing.

use proptest::prelude::*;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame, FrameHeader};

use super::*;

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
