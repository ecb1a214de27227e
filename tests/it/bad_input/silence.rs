//! Clients that stop talking: before, in and between requests, frames and closing handshakes.

use crate::support::raw::{Frame, claiming, frame, upgrade_request};
use crate::support::{Neighbours, Raw, World, eventually, topic};

fn producer_path() -> String {
    format!(
        "/ws/v2/producer/persistent/public/default/{}",
        topic("silence")
    )
}

/// A new connection is served: a place has become free. The one that finds it out is given back a moment later, so a
/// test that goes on to connect allows one connection more.
pub fn until_let_in(world: &World) {
    eventually("a new connection is let in", || {
        let mut client = Raw::connect(world.address());
        client.try_send(b"?");
        client.rest().starts_with(b"HTTP/1.1 400 ")
    });
}

#[test]
fn a_request_that_does_not_come_in_time_ends_the_connection() {
    let world = World::with(&["handshakeTimeoutMillis=300"]);
    let mut neighbours = Neighbours::move_in(&world);
    let request = upgrade_request(&producer_path());
    let half = &request[..request.len() - 2];
    for begin in ["", "\r\n\r\n", "GET /ws", half] {
        let mut client = Raw::connect(world.address());
        client.send(begin.as_bytes());
        assert_eq!(client.rest(), b"", "{begin}");
    }
    neighbours.are_well();
}

#[test]
fn half_a_request_and_the_end_of_the_stream_is_no_request() {
    let world = World::start();
    for begin in ["", "GET /ws", "GET / HTTP/1.1\r\n"] {
        let mut client = Raw::connect(world.address());
        client.send(begin.as_bytes());
        client.end();
        assert_eq!(client.rest(), b"", "{begin}");
    }
}

#[test]
fn a_socket_that_says_nothing_for_too_long_is_closed_with_1001() {
    let world = World::with(&["webSocketSessionIdleTimeoutMillis=400"]);
    let half_a_message = frame(0x01, br#"{"payload":"#);
    for begin in [
        &b""[..],
        b"\x81",
        b"\x81\xfe\x10",
        &claiming(0x82, 1000, b"lies"),
        &half_a_message,
    ] {
        let mut client = Raw::open(world.address(), &producer_path());
        client.send(begin);
        let Frame { opcode, payload } = client.frame();
        assert_eq!(
            (opcode, payload.as_slice()),
            (8, &b"\x03\xe9Idle Timeout"[..])
        );
        client.try_send(&frame(0x88, b"\x03\xe9"));
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn a_client_that_never_answers_the_close_is_cut_off() {
    let world = World::with(&["maxHttpServerConnections=2"]);
    let mut wrong_frame = Raw::open(world.address(), &producer_path());
    let reader = format!("/ws/v2/reader/persistent/public/default/{}", topic("deaf"));
    let mut wrong_message = Raw::open(world.address(), &reader);
    wrong_frame.send(&frame(0xc1, b""));
    wrong_message.say("no JSON");
    assert_eq!(wrong_frame.close_code(), 1002);
    assert_eq!(wrong_message.close_code(), 4003);
    // They keep their sides open.
    until_let_in(&world);
    assert_eq!(wrong_frame.rest(), b"");
    assert_eq!(wrong_message.rest(), b"");
}

#[test]
fn the_server_pings_and_does_not_insist_on_pongs() {
    let world = World::with(&["webSocketPingDurationSeconds=1"]);
    let mut client = Raw::open(world.address(), &producer_path());
    let ping = Frame {
        opcode: 9,
        payload: b"PING".to_vec(),
    };
    assert_eq!(
        [client.frame(), client.frame()],
        [
            ping,
            Frame {
                opcode: 9,
                payload: b"PING".to_vec()
            }
        ]
    );
    client.say(r#"{"payload":"eA=="}"#);
    assert!(client.text().starts_with(r#"{"result":"ok""#));
}
