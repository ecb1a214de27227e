//! Frames that RFC 6455 forbids, and messages over the bound.

use serde_json::json;

use crate::support::raw::{claiming, frame};
use crate::support::{Neighbours, Raw, World, topic};

/// The default of webSocketMaxTextFrameSize.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// One of each kind, on its topic.
fn paths(name: &str) -> [String; 3] {
    [
        format!("/ws/v2/producer/persistent/public/default/{name}"),
        format!("/ws/v2/consumer/persistent/public/default/{name}/sub?subscriptionType=Shared"),
        format!("/ws/v2/reader/persistent/public/default/{name}"),
    ]
}

#[test]
fn forbidden_frames_close_the_socket_with_the_code_for_it() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    let close_with = |code: u16| frame(0x88, &code.to_be_bytes());
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("no mask", b"\x81\x02{}".to_vec(), 1002),
        ("no mask, ping", b"\x89\x00".to_vec(), 1002),
        ("RSV1", frame(0xc1, b"{}"), 1002),
        ("RSV2", frame(0xa1, b"{}"), 1002),
        ("RSV3", frame(0x91, b"{}"), 1002),
        ("opcode 3", frame(0x83, b"{}"), 1002),
        ("opcode 7", frame(0x87, b"{}"), 1002),
        ("opcode 11", frame(0x8b, b""), 1002),
        ("opcode 15", frame(0x8f, b""), 1002),
        ("fragmented ping", frame(0x09, b"a"), 1002),
        ("long ping", frame(0x89, &[b'a'; 126]), 1002),
        ("continuation of nothing", frame(0x80, b"{}"), 1002),
        (
            "a text within a text",
            [frame(0x01, b"{"), frame(0x81, b"}")].concat(),
            1002,
        ),
        (
            "16-bit length of 2",
            b"\x81\xfe\x00\x02abcd{}".to_vec(),
            1002,
        ),
        (
            "64-bit length of 2",
            b"\x81\xff\0\0\0\0\0\0\0\x02abcd{}".to_vec(),
            1002,
        ),
        (
            "length with the top bit",
            claiming(0x81, 1 << 63, b""),
            1002,
        ),
        ("half a close code", frame(0x88, b"\x03"), 1002),
        ("close code 999", close_with(999), 1002),
        ("close code 1005", close_with(1005), 1002),
        ("close code 1006", close_with(1006), 1002),
        ("close code 5000", close_with(5000), 1002),
        ("close reason not UTF-8", frame(0x88, b"\x03\xe8\xff"), 1007),
        (
            "text not UTF-8",
            frame(0x81, b"{\"payload\":\"\xff\"}"),
            1007,
        ),
        ("overlong text", frame(0x81, b"\xc0\xaf"), 1007),
        ("half a character", frame(0x81, b"\xe2\x82"), 1007),
        (
            "one byte too many",
            claiming(0x81, MESSAGE_BYTES_MAX as u64 + 1, b""),
            1009,
        ),
        ("exabytes", claiming(0x82, i64::MAX as u64, b"abc"), 1009),
    ];
    for path in paths(&topic("frames")) {
        for (what, bytes, code) in &cases {
            let mut client = Raw::open(world.address(), &path);
            client.send(bytes);
            assert_eq!(client.close_code(), *code, "{what} on {path}");
            // Nothing behind it is looked at.
            client.try_send(&frame(0x89, b"anybody there?"));
            assert_eq!(client.rest(), b"", "{what} on {path}");
        }
    }
    neighbours.are_well();
}

#[test]
fn frames_before_the_101_are_kept_for_after_it_or_refused_when_there_are_many() {
    let world = World::start();
    let name = topic("early");
    let mut consumer = world.consumer(&name, "sub");
    let path = &paths(&name)[0];
    let request = crate::support::raw::upgrade_request(path);

    let mut hasty = Raw::connect(world.address());
    hasty.send(&[request.as_bytes(), &frame(0x81, br#"{"payload":"eA=="}"#)].concat());
    let mut wrong = Raw::connect(world.address());
    wrong.send(&[request.as_bytes(), b"\x81\x02{}"].concat());
    assert!(hasty.http_head().starts_with("HTTP/1.1 101 "));
    assert!(hasty.text().starts_with(r#"{"result":"ok""#));
    assert_eq!(consumer.receive(), "x");
    assert!(wrong.http_head().starts_with("HTTP/1.1 101 "));
    assert_eq!(wrong.close_code(), 1002);
    assert_eq!(wrong.rest(), b"");
}

/// `{"payload":"AAA…"}` of exactly so many bytes.
fn message_of(bytes: usize) -> String {
    let frame = json!({ "payload": "" }).to_string();
    let payload = "A".repeat(bytes - frame.len());
    frame.replace("\"\"", &format!("\"{payload}\""))
}

#[test]
fn a_message_of_the_largest_size_passes_and_one_byte_more_is_1009() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    let name = topic("large");
    let path = &paths(&name)[0];
    let mut consumer = world.consumer(&name, "sub");
    let largest = message_of(MESSAGE_BYTES_MAX);
    let (first, rest) = largest.as_bytes().split_at(1000);
    let in_fragments = [frame(0x01, first), frame(0x00, b""), frame(0x80, rest)].concat();
    for frames in [
        frame(0x81, largest.as_bytes()),
        frame(0x82, largest.as_bytes()),
        in_fragments,
    ] {
        let mut client = Raw::open(world.address(), path);
        client.send(&frames);
        assert!(client.text().starts_with(r#"{"result":"ok""#));
        let payload = consumer.receive();
        assert_eq!(payload.len(), (MESSAGE_BYTES_MAX - 14) * 3 / 4);
    }

    let too_large = message_of(MESSAGE_BYTES_MAX + 1);
    let (first, rest) = too_large.as_bytes().split_at(1000);
    let in_fragments = [frame(0x01, first), frame(0x80, rest)].concat();
    for frames in [frame(0x81, too_large.as_bytes()), in_fragments] {
        let mut client = Raw::open(world.address(), path);
        client.try_send(&frames);
        assert_eq!(client.close_code(), 1009);
        assert_eq!(client.rest(), b"");
    }
    neighbours.are_well();
}

#[test]
fn the_close_handshake_echoes_the_clients_code() {
    let world = World::start();
    for path in paths(&topic("closing")) {
        for code in [1000_u16, 1001, 3000, 4999] {
            let mut client = Raw::open(world.address(), &path);
            client.send(&frame(0x88, &[&code.to_be_bytes()[..], b"bye"].concat()));
            assert_eq!(client.close_code(), code);
            assert_eq!(client.rest(), b"");
        }
        let mut client = Raw::open(world.address(), &path);
        client.send(&frame(0x88, b""));
        assert_eq!(client.close_code(), 1005);
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn a_ping_is_answered_between_the_fragments_of_a_message() {
    let world = World::start();
    let mut client = Raw::open(world.address(), &paths(&topic("pings"))[0]);
    client.send(&frame(0x01, br#"{"payload":"#));
    client.send(&frame(0x89, b"are you there?"));
    let pong = client.frame();
    assert_eq!(
        (pong.opcode, pong.payload.as_slice()),
        (10, &b"are you there?"[..])
    );
    client.send(&frame(0x89, b""));
    assert_eq!(client.frame().opcode, 10);
    client.send(&frame(0x8a, b"nobody asked"));
    client.send(&frame(0x80, br#""eA=="}"#));
    assert!(client.text().starts_with(r#"{"result":"ok""#));
}
