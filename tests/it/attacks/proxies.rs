//! Headers of the PROXY protocol where none belongs.

use super::{answer, producer};
use crate::support::raw::upgrade_request;
use crate::support::{Neighbours, Raw, World};

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 10.0.0.1 5000 80\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\x0a\0\0\x01\x13\x88\0\x50";

#[test]
fn from_whom_it_is_not_trusted_it_is_no_request() {
    for settings in [
        &[][..],
        &[
            "webServiceHaProxyProtocolEnabled=true",
            "trustedProxies=10.0.0.0/8",
        ],
    ] {
        let world = World::with(settings);
        let mut neighbours = Neighbours::move_in(&world);
        for header in [V1, V2] {
            let request = [header, upgrade_request(&producer("proxy")).as_bytes()].concat();
            assert_eq!(answer(&world, &request).status, 400);
        }
        neighbours.are_well();
    }
}

#[test]
fn a_second_one_and_one_in_the_middle_are_refused() {
    let settings = [
        "webServiceHaProxyProtocolEnabled=true",
        "trustedProxies=127.0.0.1",
    ];
    let world = World::with(&settings);
    let path = producer("proxy");
    let request = upgrade_request(&path);
    let request = request.as_bytes();
    let line_end = request
        .iter()
        .position(|byte| *byte == b'\n')
        .expect("a line")
        + 1;
    let (line, headers) = request.split_at(line_end);
    for header in [V1, V2] {
        let mut healthy = Raw::connect(world.address());
        healthy.send(&[header, request].concat());
        assert!(healthy.http_head().starts_with("HTTP/1.1 101 "));
        // Twice: what the proxy passes on, the client has written.
        assert_eq!(
            answer(&world, &[header, header, request].concat()).status,
            400
        );
        assert_eq!(
            answer(&world, &[header, line, header, headers].concat()).status,
            400
        );
        // Behind the upgrade it is a frame, and no good one.
        let mut client = Raw::connect(world.address());
        client.send(&[header, request].concat());
        assert!(client.http_head().starts_with("HTTP/1.1 101 "));
        client.try_send(header);
        assert_eq!(client.close_code(), 1002);
        healthy.say(r#"{"payload":"eA=="}"#);
        assert!(healthy.text().starts_with(r#"{"result":"ok""#));
    }
}
