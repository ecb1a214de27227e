//! The attack list again with TLS in front, where bytes take another way to the same doors.

use super::{Place, VERSIONS, new_reader};
use crate::attacks::slow;
use crate::support::Neighbours;
use crate::support::raw::{claiming, frame, upgrade_request};
use crate::support::secure::{Unframed, Version};

#[test]
fn requests_that_are_too_large_or_ambiguous_get_their_status() {
    let place = Place::new(&["allowedOrigins=https://gateway"]);
    let mut neighbours = Neighbours::move_in(&place.world);
    let request = upgrade_request(&new_reader());
    let with = |lines: &str| request.replace("Host:", &format!("{lines}Host:"));
    for (request, status) in [
        (
            upgrade_request(&format!("{}?x={}", new_reader(), "x".repeat(1 << 20))),
            414,
        ),
        (with(&format!("Cookie: {}\r\n", "x".repeat(1 << 20))), 431),
        (with(&"a: b\r\n".repeat(200)), 431),
        (with("Origin: https://evil.example\r\n"), 403),
        (
            with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
            400,
        ),
        (with("Host: elsewhere\r\n"), 400),
        (with("X: a\nHost: elsewhere\r\n"), 400),
        (with("X: a\r\n b\r\n"), 400),
        (with("X: a\0b\r\n"), 400),
        // What a proxy says stands in front of TLS, and what stands behind it the client has written.
        (
            format!("PROXY TCP4 192.0.2.1 10.0.0.1 5000 443\r\n{request}"),
            400,
        ),
    ] {
        for version in VERSIONS {
            let mut client = Unframed::connect(place.world.address_tls(), &place.trust(version));
            client.try_send(request.as_bytes());
            let answer = client.rest();
            let text = String::from_utf8_lossy(&answer);
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
            assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
        }
    }
    neighbours.are_well();
}

#[test]
fn frames_that_are_too_large_or_no_frames_end_the_socket() {
    let place = Place::new(&["webSocketMaxTextFrameSize=65536"]);
    let mut neighbours = Neighbours::move_in(&place.world);
    let request = upgrade_request(&new_reader());
    let fragments = [frame(0x01, &[b'x'; 40_000]), frame(0x80, &[b'x'; 40_000])].concat();
    for (bytes, code) in [
        (claiming(0x81, 65_537, b""), 1009_u16),
        (claiming(0x82, (1 << 63) - 1, b"lies"), 1009),
        (fragments, 1009),
        (request.clone().into_bytes(), 1002),
    ] {
        for version in VERSIONS {
            let mut client = Unframed::connect(place.world.address_tls(), &place.trust(version));
            client.try_send(request.as_bytes());
            assert!(client.http_head().starts_with("HTTP/1.1 101 "));
            client.try_send(&bytes);
            let frames = client.rest();
            assert_eq!(frames[0], 0x88, "a close frame");
            assert_eq!(frames[2..4], code.to_be_bytes());
        }
    }
    neighbours.are_well();
}

/// In the records of TLS, and in the request inside.
#[test]
fn trickled_handshakes_are_cut_off_and_others_are_served_meanwhile() {
    let place = Place::new(&["handshakeTimeoutMillis=2000"]);
    let mut neighbours = Neighbours::move_in(&place.world);
    // The header of a long handshake record, and of its message.
    let begin = [22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3];
    let attackers = slow::attackers(place.world.address_tls(), &begin);
    slow::are_cut_off(&attackers, 0, &mut neighbours);

    let mut inside: Vec<Unframed> = (0..20)
        .map(|_| {
            let trust = place.trust(Version::Tls13);
            let mut client = Unframed::connect(place.world.address_tls(), &trust);
            client.try_send(b"GET /ws HTTP/1.1\r\nX: ");
            client
        })
        .collect();
    neighbours.are_well();
    for client in &mut inside {
        while client.try_send(b"a") {
            crate::support::pause(std::time::Duration::from_millis(5));
        }
        assert!(client.rest().is_empty());
    }
    neighbours.are_well();
}
