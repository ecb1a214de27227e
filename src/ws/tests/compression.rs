//! Compressed messages, in and out (RFC 7692): the RFC's examples, bounds, hostile data, and flate2 as the other side.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::*;
use crate::ws::deflate::{BYTES_PER_TURN, MESSAGE_BYTES_MAX, MESSAGE_BYTES_MIN};
use crate::ws::inflate::INFLATED_BYTES_PER_FEED;

fn decode_compressed(
    context: Context,
    bytes: &[u8],
    cuts: &[usize],
) -> (Vec<Seen>, Result<(), Violation>) {
    let decoder = Decoder::with_compression(MAX_MESSAGE_BYTES, context);
    decode_with(decoder, bytes, cuts)
}

/// What a client sends of these messages, all with one context.
fn compressed(messages: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut stream = Compress::new(Compression::default(), false);
    let compress = |message: &&[u8]| {
        let mut out = Vec::with_capacity(message.len() + 1024);
        stream
            .compress_vec(message, &mut out, FlushCompress::Sync)
            .unwrap();
        // A flush of nothing behind a flush gives nothing (RFC 7692 §7.2.3.6).
        match out.strip_suffix(&[0, 0, 0xff, 0xff]) {
            Some(out) => out.to_vec(),
            None => vec![0],
        }
    };
    messages.iter().map(compress).collect()
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let fragments = [frame(0x41, &hello[..3]), frame(0x80, &hello[3..])].concat();
    let stored = [
        0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
    ];
    let ended = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let two_blocks = [
        0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
    ];
    for bytes in [
        frame(0xc1, &hello),
        fragments,
        frame(0xc1, &stored),
        frame(0xc1, &ended),
        // Without the byte that should follow the end of a stream.
        frame(0xc1, &ended[..7]),
        frame(0xc1, &two_blocks),
        frame(0x81, b"Hello"),
    ] {
        for context in [Context::Kept, Context::Dropped] {
            let twice = [&bytes[..], &bytes].concat();
            let expected = vec![Seen::Text("Hello".into()); 2];
            for cut in (1..twice.len()).step_by(if cfg!(miri) { 9 } else { 1 }) {
                let decoded = decode_compressed(context, &twice, &[cut]);
                assert_eq!(decoded, (expected.clone(), Ok(())), "{bytes:?}");
            }
        }
    }
}

#[test]
#[cfg_attr(
    miri,
    ignore = "the backend that Miri runs reads zeros before the start"
)]
fn a_message_refers_to_the_one_before_only_where_the_context_is_kept() {
    let hello = frame(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    let same = frame(0xc1, &[0xf2, 0x00, 0x11, 0x00, 0x00]);
    let bytes = [hello, frame(0x89, b"?"), same].concat();
    let (seen, result) = decode_compressed(Context::Kept, &bytes, &[]);
    let hello = Seen::Text("Hello".into());
    let ping = Seen::Ping(b"?".to_vec());
    assert_eq!(
        (seen, result),
        (vec![hello.clone(), ping.clone(), hello.clone()], Ok(()))
    );
    let (seen, result) = decode_compressed(Context::Dropped, &bytes, &[]);
    assert_eq!(seen, [hello, ping]);
    assert_eq!(result, Err(Violation::CORRUPT));
}

#[test]
fn empty_messages_come_out_empty() {
    for empty in [
        frame(0xc1, &[0]),
        frame(0xc1, &[]),
        [frame(0x41, &[]), frame(0x00, &[0]), frame(0x80, &[])].concat(),
    ] {
        let bytes = [&empty[..], &frame(0xc1, &compressed(&[b"x"])[0])].concat();
        for cut in [1, 2, 100] {
            let decoded = decode_compressed(Context::Kept, &bytes, &[cut]);
            let expected = vec![Seen::Text(String::new()), Seen::Text("x".into())];
            assert_eq!(decoded, (expected, Ok(())));
        }
    }
}

#[test]
fn the_mark_stands_on_the_first_frame_of_a_message_and_only_when_agreed() {
    let code = |bytes: &[u8]| {
        let (_, result) = decode_compressed(Context::Kept, bytes, &[]);
        result.map_or_else(|violation| violation.code, |()| 0)
    };
    assert_eq!(violation(&frame(0xc1, &[0])), 1002);
    assert_eq!(code(&frame(0xc9, b"")), 1002);
    assert_eq!(code(&frame(0xc8, b"")), 1002);
    let [message] = &compressed(&[b"x"])[..] else {
        panic!()
    };
    assert_eq!(
        code(&[frame(0x41, message), frame(0xc0, b"")].concat()),
        1002
    );
    assert_eq!(code(&frame(0xa1, message)), 1002);
    assert_eq!(code(&frame(0xe1, message)), 1002);
}

#[test]
fn what_is_not_deflated_or_not_text_is_told_as_bad_data() {
    for bad in [&[0xff; 5][..], &[0x07, 1, 2, 3], &[0x01, 0, 0, 0, 0]] {
        let bytes = frame(0xc1, bad);
        for cut in [1, 100] {
            let (seen, result) = decode_compressed(Context::Kept, &bytes, &[cut]);
            assert_eq!((seen, result), (vec![], Err(Violation::CORRUPT)), "{bad:?}");
        }
    }
    let bytes = frame(0xc1, &compressed(&[b"\xff"])[0]);
    let (_, result) = decode_compressed(Context::Kept, &bytes, &[]);
    assert_eq!(result, Err(Violation::INVALID_TEXT));
}

#[test]
#[cfg_attr(miri, ignore = "takes Miri minutes")]
fn the_longest_message_counts_inflated() {
    let code = |len: usize| {
        let text = vec![b'x'; len];
        let bytes = frame(0xc1, &compressed(&[&text])[0]);
        let (seen, result) = decode_compressed(Context::Dropped, &bytes, &[7]);
        assert_eq!(seen.is_empty(), result.is_err());
        result.map_or_else(|violation| violation.code, |()| 0)
    };
    assert_eq!(code(MAX_MESSAGE_BYTES), 0);
    assert_eq!(code(MAX_MESSAGE_BYTES + 1), 1009);
    assert_eq!(code(1_000_000), 1009);
}

#[test]
#[cfg_attr(miri, ignore = "takes Miri minutes")]
fn one_feed_makes_little_more_of_its_input_than_a_read_without_compression_brings() {
    const MESSAGE_BYTES: usize = 100_000;
    let text = vec![b'x'; MESSAGE_BYTES];
    let message = frame(0xc1, &compressed(&[&text])[0]);
    let mut bytes = message.repeat(20);
    let mut decoder = Decoder::with_compression(MESSAGE_BYTES, Context::Dropped);
    let (mut at, mut seen) = (0, 0);
    while at < bytes.len() {
        let before = seen;
        let taken = decoder
            .feed(&mut bytes[at..], &mut |event| {
                assert!(matches!(event, Event::Text(got) if got == text));
                seen += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(taken > 0);
        assert!((seen - before) * MESSAGE_BYTES <= INFLATED_BYTES_PER_FEED + MESSAGE_BYTES);
        at += taken;
    }
    assert_eq!(seen, 20);
}

/// What a client makes of compressed frames of the server: the messages.
fn read_back(frames: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = frames;
    let mut client = Vec::new();
    while let Some((whole, behind)) = encode::split_first(rest) {
        client.extend(frame(whole.frame[0], whole.payload));
        rest = behind;
    }
    let decoder = Decoder::with_compression(MESSAGE_BYTES_MAX * 2, Context::Dropped);
    let (seen, result) = decode_with(decoder, &client, &[]);
    assert_eq!(result, Ok(()));
    let bytes = |seen: Seen| match seen {
        Seen::Text(text) => text.into_bytes(),
        Seen::Binary(bytes) | Seen::Ping(bytes) => bytes,
        other => panic!("{other:?}"),
    };
    seen.into_iter().map(bytes).collect()
}

fn is_compressed(frame: &[u8]) -> bool {
    frame[0] & 0x40 != 0
}

#[test]
#[cfg_attr(miri, ignore = "takes Miri minutes")]
fn messages_are_compressed_where_that_is_worth_it() {
    let mut deflater = Deflater::default();
    let mut recode = |frame: Bytes, window| {
        deflater.begin_turn();
        deflater.recode(frame.to_vec(), window)
    };
    let text = |len: usize| encode::text_frame(&b"abc ".repeat(len / 4)[..]);
    for (frame, window, wanted) in [
        (text(MESSAGE_BYTES_MIN), Window::FULL, true),
        (text(MESSAGE_BYTES_MIN - 4), Window::FULL, false),
        (text(MESSAGE_BYTES_MAX / 2), Window::FULL, true),
        (text(MESSAGE_BYTES_MAX + 4), Window::FULL, false),
        (text(512), Window::new(9), true),
        (text(516), Window::new(9), false),
        (encode::ping(&[b'x'; 125]), Window::FULL, false),
    ] {
        let before = frame.to_vec();
        let after = recode(frame, window);
        assert_eq!(is_compressed(&after), wanted, "{} bytes", before.len());
        assert_eq!(before == after, !wanted);
        assert_eq!(read_back(&after), read_back(&before));
    }
}

#[test]
fn what_does_not_become_shorter_stays_as_it_is() {
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(1000)
    .collect();
    let frame = encode::frame(OpCode::Data(Data::Binary), &noise).to_vec();
    assert_eq!(
        Deflater::default().recode(frame.clone(), Window::FULL),
        frame
    );
}

#[test]
#[cfg_attr(miri, ignore = "takes Miri minutes")]
fn what_one_turn_has_no_time_for_goes_as_it_is() {
    let frame = encode::text_frame(&b"abc ".repeat(10_000));
    let frames = frame.repeat(10);
    let mut deflater = Deflater::default();
    for _ in 0..2 {
        deflater.begin_turn();
        let out = deflater.recode(frames.clone(), Window::FULL);
        assert!(deflater.is_spent());
        let few = BYTES_PER_TURN / frame.len() + 1;
        assert!(out.len() > frame.len() * (10 - few));
        assert!(out.len() < frame.len() * (11 - few));
        assert_eq!(read_back(&out), read_back(&frames));
    }
}

/// Texts that refer to each other and to themselves.
fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let message = prop_oneof![
        "\\PC{0,200}".prop_map(String::into_bytes),
        ("[a-c]{1,9}", 0_usize..100).prop_map(|(text, times)| text.repeat(times).into_bytes()),
    ];
    proptest::collection::vec(message, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 256 }))]

    #[test]
    fn what_a_client_compresses_comes_out_however_it_is_cut(
        messages in messages(),
        fragments in proptest::collection::vec(0_usize..50, 1..5),
        cuts in proptest::collection::vec(1_usize..200, 1..6),
    ) {
        let plain: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let mut bytes = Vec::new();
        for message in compressed(&plain) {
            let mut rest = &message[..];
            let mut first = 0x41;
            for fragment in &fragments {
                let (piece, after) = rest.split_at((*fragment).min(rest.len()));
                bytes.extend(frame(first, piece));
                (first, rest) = (0x00, after);
            }
            bytes.extend(frame(first | 0x80, rest));
        }
        let expected: Vec<Seen> = messages
            .iter()
            .map(|message| Seen::Text(String::from_utf8(message.clone()).unwrap()))
            .collect();
        prop_assert_eq!(decode_compressed(Context::Kept, &bytes, &cuts), (expected, Ok(())));
    }

    #[test]
    fn what_is_compressed_comes_out_at_the_client(messages in messages(), bits in 8_u8..16) {
        let frames: Vec<u8> = messages.iter().flat_map(|it| encode::text_frame(it)).collect();
        let out = Deflater::default().recode(frames, Window::new(bits));
        prop_assert_eq!(read_back(&out), messages);
    }

    #[test]
    fn random_compressed_bytes_never_panic_and_cutting_them_changes_nothing(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..4),
        cuts in proptest::collection::vec(1_usize..20, 1..6),
    ) {
        let bytes: Vec<u8> = payloads.iter().flat_map(|payload| frame(0xc2, payload)).collect();
        prop_assert_eq!(
            decode_compressed(Context::Kept, &bytes, &[]),
            decode_compressed(Context::Kept, &bytes, &cuts)
        );
    }
}
