//! Who may come in before it is looked at what they want.
//!
//! Set-up: gateways with limits, lists of origins and trusted proxies; clients that say exactly what they should. Claim:
//! who is one too many, too fast, of another page or lies about where it is from is told so; nobody else notices.

use std::net::SocketAddr;

use crate::support::process::{Gateway, program_with};
use crate::support::raw::{Answer, upgrade_request};
use crate::support::{Neighbours, Raw, World, eventually, tokens, topic};

fn producer() -> String {
    format!(
        "/ws/v2/producer/persistent/public/default/{}",
        topic("doors")
    )
}

/// What a proper request gets that has these lines too, with `before` in front of it.
fn ask(address: SocketAddr, before: &[u8], lines: &str) -> Asked {
    let mut raw = Raw::connect(address);
    let request = upgrade_request(&producer()).replace("Host:", &format!("{lines}Host:"));
    raw.try_send(&[before, request.as_bytes()].concat());
    let head = raw.http_head();
    match head.starts_with("HTTP/1.1 101 ") {
        true => Asked::In(raw),
        false => Asked::Refused(raw.answer_after(head)),
    }
}

enum Asked {
    In(Raw),
    Refused(Answer),
}

impl Asked {
    fn let_in(self) -> Raw {
        match self {
            Asked::In(raw) => raw,
            Asked::Refused(answer) => panic!("not let in: {answer:?}"),
        }
    }

    fn refused(self, status: u16, text: &str) {
        match self {
            Asked::In(_) => panic!("let in, not {status} {text}"),
            Asked::Refused(answer) => {
                assert_eq!((answer.status, answer.body.trim_end()), (status, text));
                // Who may come again later is told when.
                let is_told = answer.head.contains("\r\nRetry-After: 5\r\n");
                assert_eq!(is_told, [429, 503].contains(&status), "{}", answer.head);
            }
        }
    }
}

const TOO_MANY: &str = "Too many connections from this address";

#[test]
fn an_address_has_so_many_sockets_and_gets_a_place_back() {
    let world = World::with(&["maxConnectionsPerIp=3"]);
    let mut open: Vec<Raw> = (0..3)
        .map(|_| ask(world.address(), b"", "").let_in())
        .collect();
    for _ in 0..5 {
        ask(world.address(), b"", "").refused(429, TOO_MANY);
    }
    drop(open.pop());
    crate::support::eventually("the place is free again", || {
        matches!(ask(world.address(), b"", ""), Asked::In(_))
    });
}

#[test]
fn handshakes_come_so_fast_and_no_faster() {
    for (setting, status, text) in [
        (
            "maxHandshakesPerSecond=1",
            503,
            "Too many connection attempts",
        ),
        (
            "maxHandshakesPerSecondPerIp=1",
            429,
            "Too many connection attempts from this address",
        ),
    ] {
        let world = World::with(&[setting]);
        let mut let_in = 0;
        loop {
            match ask(world.address(), b"", "") {
                Asked::In(_) => let_in += 1,
                refused => break refused.refused(status, text),
            }
        }
        assert!(let_in >= 5, "{setting}: {let_in}");
    }
}

#[test]
fn a_flood_at_the_door_is_refused_and_those_inside_go_on() {
    let world = World::with(&["maxConnectionsPerIp=6"]);
    let mut neighbours = Neighbours::move_in(&world);
    // They never say anything, and stay.
    let flood: Vec<Raw> = (0..2_000).map(|_| Raw::connect(world.address())).collect();
    neighbours.are_well();
    let refused = flood.into_iter().filter_map(|mut raw| {
        let rest = raw.rest();
        rest.starts_with(b"HTTP/1.1 429 ").then_some(())
    });
    // Those beyond what may wait are cut off unheard.
    assert!(refused.count() > 0);
    neighbours.are_well();
}

#[test]
fn pages_of_other_origins_are_refused_and_clients_without_one_are_not() {
    let refusal = "Pages of this origin may not open sockets here";
    let world = World::with(&["allowedOrigins=https://app.example.com,https://*.example.net"]);
    let ask = |lines: &str| ask(world.address(), b"", lines);
    ask("").let_in();
    ask("Origin: https://app.example.com\r\n").let_in();
    ask("Origin: https://a.b.example.net\r\n").let_in();
    for origin in [
        "https://evil.example",
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "https://example.net",
        "http://gateway",
        "null",
        "",
    ] {
        ask(&format!("Origin: {origin}\r\n")).refused(403, refusal);
    }
    let twice = "Origin: https://app.example.com\r\n".repeat(2);
    ask(&twice).refused(403, refusal);
}

#[test]
fn without_a_list_every_page_is_let_in_as_in_java() {
    let world = World::start();
    ask(world.address(), b"", "Origin: https://evil.example\r\n").let_in();
}

const PROXIED: [&str; 3] = [
    "webServiceHaProxyProtocolEnabled=true",
    "trustedProxies=127.0.0.0/8",
    "maxConnectionsPerIp=1",
];

/// Version 2, for a client with this address.
fn v2(client: [u8; 4]) -> Vec<u8> {
    let addresses = [&client[..], &[10, 0, 0, 1, 0x13, 0x88, 0, 80]].concat();
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &addresses].concat()
}

#[test]
fn a_trusted_proxy_says_for_whom_it_connects() {
    let world = World::with(&PROXIED);
    let line = |client: &str| format!("PROXY TCP4 {client} 10.0.0.1 5000 80\r\n").into_bytes();
    let _first = ask(world.address(), &line("192.0.2.1"), "").let_in();
    let _second = ask(world.address(), &v2([192, 0, 2, 2]), "").let_in();
    ask(world.address(), &v2([192, 0, 2, 1]), "").refused(429, TOO_MANY);
    ask(world.address(), &line("192.0.2.2"), "").refused(429, TOO_MANY);
    // A health check of the proxy itself.
    ask(world.address(), b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "").let_in();
}

#[test]
fn a_trusted_proxy_that_does_not_say_for_whom_is_refused() {
    let world = World::with(&PROXIED);
    ask(world.address(), b"", "")
        .refused(400, "A PROXY protocol header is wanted from this address");
    ask(world.address(), b"PROXY TCP4 nonsense\r\n", "").refused(400, "Malformed PROXY line");
}

#[test]
fn the_last_address_that_no_trusted_proxy_stands_behind_is_the_client() {
    let world = World::with(&[
        "webServiceTrustXForwardedFor=true",
        "trustedProxies=127.0.0.1,10.0.0.0/8",
        "maxConnectionsPerIp=1",
    ]);
    let ask = |lines: &str| ask(world.address(), b"", lines);
    let _first = ask("X-Forwarded-For: 192.0.2.1\r\n").let_in();
    ask("X-Forwarded-For: 203.0.113.7, 192.0.2.1, 10.0.0.3\r\n").refused(429, TOO_MANY);
    ask("X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 192.0.2.1\r\n").refused(429, TOO_MANY);
    ask("Forwarded: for=\"192.0.2.1:80\"\r\n").refused(429, TOO_MANY);
    ask("X-Forwarded-For: 192.0.2.9\r\nForwarded: for=192.0.2.1\r\n")
        .refused(400, "X-Forwarded-For and Forwarded contradict each other");
}

#[test]
fn nobody_is_believed_who_is_not_trusted() {
    let world = World::with(&[
        "webServiceTrustXForwardedFor=true",
        "webServiceHaProxyProtocolEnabled=true",
        "trustedProxies=10.0.0.0/8",
        "maxConnectionsPerIp=1",
    ]);
    let _first = ask(world.address(), b"", "X-Forwarded-For: 192.0.2.1\r\n").let_in();
    ask(world.address(), b"", "X-Forwarded-For: 192.0.2.2\r\n").refused(429, TOO_MANY);
    // The header of a proxy is no request; it comes from an address that has its place already.
    let world = World::with(&[
        "webServiceHaProxyProtocolEnabled=true",
        "trustedProxies=10.0.0.0/8",
    ]);
    ask(world.address(), &v2([10, 0, 0, 1]), "")
        .refused(400, "Control character in the request head");
    ask(world.address(), b"PROXY TCP4 10.0.0.1 10.0.0.1 1 2\r\n", "")
        .refused(400, "Not an HTTP request");
}

#[test]
fn a_role_has_so_many_sockets() {
    let world = World::with(&tokens::settings(&["maxConnectionsPerRole=2"]));
    let path = format!("{}?token={}", producer(), tokens::token("me"));
    let mut open = vec![world.open(&path), world.open(&path)];
    for _ in 0..3 {
        assert_eq!(
            world.refused(&path),
            (429, "Too many connections of this role\n".to_owned())
        );
    }
    drop(open.pop());
    eventually("the place is free again", || {
        Raw::connect(world.address()).lets_in(&path)
    });
}

#[test]
fn who_comes_and_who_is_refused_at_the_door_is_a_line_at_level_debug() {
    let settings = tokens::settings(&[
        "webServiceHaProxyProtocolEnabled=true",
        "trustedProxies=127.0.0.1",
        "maxConnectionsPerIp=1",
        "allowedOrigins=https://good.example",
        "anonymousUserRole=anybody",
    ]);
    let mut program = program_with(&settings);
    let mut gateway = Gateway::start_program(program.args(["--log-level", "debug"]));
    let address = gateway.address();
    let from = |last, lines: &str| ask(address, &v2([192, 0, 2, last]), lines);
    let status = |asked| match asked {
        Asked::In(_) => 101,
        Asked::Refused(answer) => answer.status,
    };
    assert_eq!(status(ask(address, b"", "")), 400, "no header of a proxy");
    assert_eq!(status(from(1, "Origin: https://evil.example\r\n")), 403);
    let bearer = format!("Authorization: Bearer {}\r\n", tokens::token("me\u{1b}"));
    let _inside = from(2, &bearer).let_in();
    assert_eq!(status(from(2, &bearer)), 429);
    assert_eq!(status(from(3, "Authorization: Bearer bad\r\n")), 101);
    let mut raw = Raw::connect(address);
    raw.try_send(&[&v2([192, 0, 2, 4]), &b"nonsense\r\n\r\n"[..]].concat());
    assert_eq!(raw.answer().status, 400);
    let log = gateway.rest_of_log();
    for told in [
        "client=127.0.0.1 status=400 why=",
        "client=192.0.2.1 origin=\"https://evil.example\"",
        "client=192.0.2.2 status=101 role=\"me\\u{1b}\"",
        "client=192.0.2.2 status=429 why=\"Too many connections from this address\"",
        "anonymousUserRole why=\"",
        "client=192.0.2.3 status=101 role=\"anybody\"",
        "client=192.0.2.4 status=400 why=",
    ] {
        let is_told = log.iter().any(|line| line.contains(told));
        assert!(is_told, "{told}: {log:#?}");
    }
}
