//! One rule of RFC 6455 a test.

use std::ops::ControlFlow;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::*;

#[test]
fn an_idle_decoder_is_small_and_holds_nothing() {
    assert!(size_of::<Decoder>() <= 32);
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
    let bytes = frame(0x81, b"ok \xff and more");
    assert_eq!(decode(&bytes[..10]).1, Err(Violation::INVALID_TEXT));
    assert_eq!(violation(&frame(0x88, b"\x03\xe8\xff")), 1007);
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
        Ok(7)
    );

    let mut decoder = Decoder::new(10);
    let mut two = [frame(0x81, b"a"), frame(0x81, b"b")].concat();
    for _ in 0..2 {
        let fed = decoder.feed(&mut two, &mut |_| {
            count += 1;
            ControlFlow::Break(())
        });
        assert_eq!(fed, Ok(two.len()));
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
