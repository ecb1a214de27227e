//! Before the upgrade: what is no request, no handshake or no path of the gateway.

use crate::support::raw::{Answer, upgrade_request};
use crate::support::{Neighbours, Raw, World, topic};

const PRODUCER: &str = "/ws/v2/producer/persistent/public/default/t";

fn answer(world: &World, request: &[u8]) -> Answer {
    let mut client = Raw::connect(world.address());
    client.try_send(request);
    client.answer()
}

#[test]
fn what_is_no_request_is_answered_and_left() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    let headers = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(count));
    let long_target = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(64 * 1024));
    let long_header = format!("GET / HTTP/1.1\r\nCookie: {}\r\n\r\n", "x".repeat(1 << 20));
    for (request, status) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], 400),
        (b"\x81\x85abcdefghi", 400),
        (b"\0\0\0\0", 400),
        (b"{\"payload\":\"eA==\"}", 400),
        (b"GET / HTTP/1.1\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET no-slash/x HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xff\xfe HTTP/1.1\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (long_target.as_bytes(), 414),
        (long_header.as_bytes(), 431),
        (headers(1000).as_bytes(), 431),
    ] {
        let begin = &request[..request.len().min(40)];
        let answer = answer(&world, request);
        assert_eq!(answer.status, status, "{}", begin.escape_ascii());
        assert!(answer.head.contains("Connection: close"), "{}", answer.head);
    }
    neighbours.are_well();
}

#[test]
fn a_handshake_with_one_thing_wrong_is_refused_and_says_so() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    for (from, to, status) in [
        ("GET ", "POST ", 405),
        ("GET ", "get ", 405),
        ("HTTP/1.1", "HTTP/1.0", 400),
        ("Host: gateway\r\n", "", 400),
        (
            "Host: gateway\r\n",
            "Host: gateway\r\nHost: gateway\r\n",
            400,
        ),
        ("Upgrade: websocket\r\n", "", 426),
        ("Upgrade: websocket\r\n", "Upgrade: h2c\r\n", 426),
        ("Connection: Upgrade\r\n", "", 400),
        ("Connection: Upgrade\r\n", "Connection: close\r\n", 400),
        (key, "", 400),
        (key, &key.repeat(2), 400),
        (key, "Sec-WebSocket-Key: short\r\n", 400),
        (key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==\r\n", 400),
        (version, "", 400),
        (version, &version.repeat(2), 400),
        (version, "Sec-WebSocket-Version: 12\r\n", 426),
        (version, "Sec-WebSocket-Version: 14\r\n", 426),
        (version, "Sec-WebSocket-Version: thirteen\r\n", 426),
        (
            "Host: gateway\r\n",
            "Host: gateway\r\nContent-Length: 5\r\n",
            400,
        ),
        (
            "Host: gateway\r\n",
            "Host: gateway\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
    ] {
        let request = upgrade_request(PRODUCER);
        assert!(request.contains(from));
        let answer = answer(&world, request.replace(from, to).as_bytes());
        assert_eq!(answer.status, status, "{from:?} -> {to:?}: {}", answer.body);
        let names_version = answer.head.contains("Sec-WebSocket-Version: 13\r\n");
        assert_eq!(names_version, status == 426, "{}", answer.head);
    }
    neighbours.are_well();
}

/// What shape a path must have is in `tests/golden` and in the tests of `api`.
#[test]
fn a_path_that_is_too_long_or_not_readable_is_refused_in_one_line() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    let long = format!("{PRODUCER}{}", "s".repeat(20_000));
    for (path, status) in [
        ("/?".to_owned(), 404),
        ("//".to_owned(), 404),
        (format!("{PRODUCER}%4"), 400),
        (format!("{PRODUCER}%c0%af"), 400),
        (format!("{PRODUCER}?%"), 400),
        (format!("{PRODUCER}?producerName=%ff"), 400),
        (long, 414),
    ] {
        let answer = answer(&world, upgrade_request(&path).as_bytes());
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert_eq!(answer.body.lines().count(), 1, "{}", answer.body);
    }
    neighbours.are_well();
}

#[test]
fn names_of_any_characters_are_taken() {
    let world = World::start();
    for escaped in [
        "%E2%82%AC",
        "a%2Bb",
        "a+b",
        "%25",
        "%F0%9F%98%80",
        "a%3Fb%23c",
    ] {
        let name = format!("{}-{escaped}", topic("names"));
        let mut consumer = world.consumer(&name, &format!("sub-{escaped}"));
        world.producer(&name).publish(escaped);
        assert_eq!(consumer.receive(), escaped);
    }
}

#[test]
fn a_text_of_the_client_does_not_come_back_as_headers() {
    let world = World::start();
    let path = format!("{PRODUCER}?messageRoutingMode=x%0d%0aSet-Cookie:%20a=b");
    let answer = answer(&world, upgrade_request(&path).as_bytes());
    assert_eq!(answer.status, 400);
    assert!(!answer.head.contains("Set-Cookie"), "{}", answer.head);
    assert_eq!(answer.body.lines().count(), 1, "{}", answer.body);
}

#[test]
fn a_connection_more_than_allowed_is_told_so_and_fits_later() {
    let world = World::with(&["maxHttpServerConnections=3"]);
    let name = topic("full");
    let mut producer = world.producer(&name);
    let mut consumer = world.consumer(&name, "sub");
    let last = Raw::connect(world.address());
    for _ in 0..100 {
        let mut further = Raw::connect(world.address());
        further.try_send(upgrade_request(PRODUCER).as_bytes());
        let refused = further.answer();
        assert_eq!(
            (refused.status, &*refused.body),
            (503, "Too many connections\n")
        );
        assert!(refused.head.contains("\r\nRetry-After: 5\r\n"));
    }
    producer.publish("still here");
    assert_eq!(consumer.receive(), "still here");
    drop(last);
    super::silence::until_let_in(&world);
}
