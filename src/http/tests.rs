//! The handshake against good, chopped and hostile requests.

use proptest::prelude::*;

use super::*;
use crate::http::head::{MAX_HEAD_BYTES, MAX_HEADERS};

const HANDSHAKE: &str = "GET /ws/v2/reader/persistent/public/default/t?messageId=earliest&token=a%2Bb HTTP/1.1\r\n\
    Host: example\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn read(bytes: &[u8]) -> Result<Option<(Request, usize)>, Refusal> {
    HeadReader::new().feed(bytes)
}

fn request(text: &str) -> Request {
    let (request, consumed) = read(text.as_bytes()).ok().flatten().expect("a whole head");
    assert_eq!(consumed, text.len());
    request
}

fn refused(bytes: &[u8]) -> u16 {
    read(bytes).err().map_or(0, |refusal| refusal.status)
}

/// The handshake with one piece of it replaced.
fn check_with(from: &str, to: &str) -> Result<upgrade::Upgrade, u16> {
    assert!(HANDSHAKE.contains(from));
    upgrade::check(&request(&HANDSHAKE.replace(from, to))).map_err(|refusal| refusal.status)
}

#[test]
fn a_handshake_gives_its_target_and_its_accept_key() {
    let request = request(HANDSHAKE);
    assert_eq!(request.method(), "GET");
    assert_eq!(request.path(), "/ws/v2/reader/persistent/public/default/t");
    assert_eq!(request.query(), Some("messageId=earliest&token=a%2Bb"));
    assert_eq!(request.header("HOST"), Some("example"));
    // The example of RFC 6455 §1.3.
    assert_eq!(
        upgrade::check(&request).unwrap().accept_key,
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
}

#[test]
fn the_bytes_behind_the_head_are_left() {
    let mut bytes = HANDSHAKE.as_bytes().to_vec();
    bytes.extend_from_slice(b"\x81\x85LEFT");
    assert_eq!(read(&bytes).unwrap().unwrap().1, HANDSHAKE.len());
}

#[test]
fn empty_lines_in_front_are_skipped_but_not_for_ever() {
    let text = format!("\r\n\r\n{HANDSHAKE}");
    assert_eq!(read(text.as_bytes()).unwrap().unwrap().1, text.len());
    assert_eq!(refused(&b"\r\n".repeat(MAX_HEAD_BYTES / 2)), 400);
}

#[test]
fn garbage_is_refused_at_the_byte_that_shows_it() {
    for garbage in [
        &b"\x16\x03\x01\x02\x00"[..], // a TLS hello
        b"\x81\x85",                  // a frame before the handshake
        b"\0",
        b"{\"payload\":",
        b"hello\r\n",
        b"GET /\r\n",
        b"GET  / HTTP/1.1\r\n",
        b"GET / HTTP/1.1 x\r\n",
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\rH",
        b"GET / HTTP/1.1\r\nHost: a\nb",
        b"GET / HTTP/1.1\r\nHost: a\0",
        b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nspace : x\r\n\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
        b"G\x80T / HTTP/1.1\r\n\r\n",
        b"GET /\x80 HTTP/1.1\r\n\r\n",
        b"GET no-slash/x HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(refused(garbage), 400, "{}", garbage.escape_ascii());
    }
    assert_eq!(refused(b"PRI * HTTP/2.0\r\n"), 505);
    assert_eq!(refused(b"GET / HTTP/1.2\r\n"), 505);
}

#[test]
#[cfg_attr(miri, ignore = "64 KiB, looked at byte by byte")]
fn heads_over_a_bound_are_refused_and_nothing_past_it_is_kept() {
    let long_target = format!("GET /{} HTTP/1.1\r\n", "x".repeat(MAX_HEAD_BYTES));
    assert_eq!(refused(long_target.as_bytes()), 414);
    let long_header = format!("GET / HTTP/1.1\r\nCookie: {}", "x".repeat(MAX_HEAD_BYTES));
    assert_eq!(refused(long_header.as_bytes()), 431);
    let head = |headers: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(headers));
    assert!(read(head(MAX_HEADERS).as_bytes()).is_ok());
    assert_eq!(refused(head(MAX_HEADERS + 1).as_bytes()), 431);

    let room = MAX_HEAD_BYTES - "GET / HTTP/1.1\r\na: \r\n\r\n".len();
    let exactly = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(room));
    assert_eq!(read(exactly.as_bytes()).unwrap().unwrap().1, MAX_HEAD_BYTES);
    assert_eq!(
        refused(format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(room + 1)).as_bytes()),
        431
    );
}

#[test]
fn a_target_in_absolute_form_gives_its_path() {
    let request = request("GET http://example:8080/ws/v2/x?a=b HTTP/1.1\r\n\r\n");
    assert_eq!((request.path(), request.query()), ("/ws/v2/x", Some("a=b")));
}

#[test]
fn targets_are_taken_as_sent() {
    for (target, path, query) in [
        ("/", "/", None),
        ("/?", "/", Some("")),
        ("//a//b", "//a//b", None),
        ("/a%2Fb%", "/a%2Fb%", None),
        ("/a?b?c=d&e=%zz+f", "/a", Some("b?c=d&e=%zz+f")),
        ("/t|{x}", "/t|{x}", None),
        ("/ü?q=ü", "/ü", Some("q=ü")),
        ("/a?x=|{}^`'[]", "/a", Some("x=|{}^`'[]")),
    ] {
        let request = request(&format!("GET {target} HTTP/1.1\r\n\r\n"));
        assert_eq!((request.path(), request.query()), (path, query), "{target}");
    }
}

#[test]
fn a_handshake_with_one_thing_wrong_is_refused() {
    for (from, to, status) in [
        ("GET", "POST", 405),
        ("GET", "get", 405),
        ("HTTP/1.1", "HTTP/1.0", 400),
        ("Host: example\r\n", "", 400),
        (
            "Host: example\r\n",
            "Host: example\r\nHost: example\r\n",
            400,
        ),
        ("Upgrade: WebSocket\r\n", "", 426),
        ("Upgrade: WebSocket\r\n", "Upgrade: h2c\r\n", 426),
        ("Connection: keep-alive, Upgrade\r\n", "", 400),
        (
            "Connection: keep-alive, Upgrade\r\n",
            "Connection: keep-alive\r\n",
            400,
        ),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400),
        (
            "Sec-WebSocket-Key:",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key:",
            400,
        ),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQA=", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j*Q==", 400),
        ("Sec-WebSocket-Version: 13\r\n", "", 400),
        (
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13",
            400,
        ),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", 426),
        (
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Version: 13, 8",
            426,
        ),
        (
            "Host: example\r\n",
            "Host: example\r\nContent-Length: 5\r\n",
            400,
        ),
        (
            "Host: example\r\n",
            "Host: example\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
    ] {
        assert_eq!(check_with(from, to), Err(status), "{from} -> {to}");
    }
}

#[test]
fn harmless_differences_are_accepted() {
    for (from, to) in [
        ("Connection: keep-alive, Upgrade", "connection:UPGRADE"),
        (
            "Connection: keep-alive, Upgrade",
            "Connection: keep-alive\r\nConnection: upgrade",
        ),
        ("Upgrade: WebSocket", "Upgrade: h2c, websocket"),
        (
            "Host: example\r\n",
            "Host: example\r\nContent-Length: 0\r\n",
        ),
        (
            "Host: example\r\n",
            "Host: example\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
        ),
        // A client that draws characters: the last one's spare bits are set.
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZz=="),
    ] {
        assert!(check_with(from, to).is_ok(), "{to}");
    }
}

/// The answer to a handshake with these lines of extensions.
fn extensions(lines: &[&str]) -> String {
    let lines: Vec<String> = lines
        .iter()
        .map(|line| format!("Sec-WebSocket-Extensions: {line}\r\n"))
        .collect();
    let request = request(&format!("GET / HTTP/1.1\r\n{}\r\n", lines.concat()));
    let agreed = extensions::negotiate(&request, true);
    agreed.map_or_else(String::new, |agreed| agreed.to_string())
}

#[test]
fn the_first_offer_of_permessage_deflate_that_makes_sense_is_accepted() {
    let plain = "permessage-deflate; server_no_context_takeover";
    for (lines, answer) in [
        (&["permessage-deflate"][..], plain),
        (&["permessage-deflate; client_max_window_bits"], plain),
        (&["permessage-deflate;client_max_window_bits = 9;"], plain),
        (&["foo; bar=\"x\", permessage-deflate"], plain),
        (
            &["foo", "permessage-deflate; server_no_context_takeover"],
            plain,
        ),
        (
            &["permessage-deflate; client_no_context_takeover"],
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (
            &["permessage-deflate; server_max_window_bits=\"10\", permessage-deflate"],
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
        ),
        (
            &["permessage-deflate; server_max_window_bits=16, permessage-deflate"],
            plain,
        ),
    ] {
        assert_eq!(extensions(lines), answer, "{lines:?}");
    }
}

#[test]
fn offers_that_make_no_sense_are_declined() {
    assert_eq!(extensions(&[]), "");
    for offer in [
        "",
        ";;;",
        "x-webkit-deflate-frame",
        "PERMESSAGE-DEFLATE",
        "permessage-deflate; foo",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=abc",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=\"",
        "permessage-deflate; client_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    ] {
        assert_eq!(extensions(&[offer]), "", "{offer}");
    }
}

#[test]
fn a_client_can_be_told_to_do_without_its_context() {
    let request = request("GET / HTTP/1.1\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    let agreed = extensions::negotiate(&request, false).unwrap();
    let response = response::switching_protocols("x", None, Some(agreed));
    let response = String::from_utf8(response.to_vec()).unwrap();
    assert!(
        response.ends_with(
            "Accept: x\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
             client_no_context_takeover\r\n\r\n"
        ),
        "{response}"
    );
}

#[test]
fn json_is_wanted_when_accept_names_it() {
    let wants = |accept: &str| request(&format!("GET / HTTP/1.1\r\n{accept}\r\n")).wants_json();
    assert!(wants("Accept: text/html, Application/JSON;q=0.9\r\n"));
    assert!(!wants("Accept: text/html, */*\r\n"));
    assert!(!wants(""));
}

#[test]
fn responses_are_exact() {
    assert_eq!(
        response::switching_protocols("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", None, None),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
    assert_eq!(
        response::refusal(409, "Exclusive consumer is already connected", false),
        "HTTP/1.1 409 Conflict\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 40\r\n\
         Connection: close\r\n\r\nExclusive consumer is already connected\n"
    );
    assert_eq!(
        response::refusal(404, "no \"x\\y\"", true),
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\
         Connection: close\r\n\r\n{\"reason\":\"no \\\"x\\\\y\\\"\"}"
    );
    assert_eq!(
        response::refusal(503, "x", false),
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\
         Retry-After: 5\r\nConnection: close\r\n\r\nx\n"
    );
    assert_eq!(
        response::refusal(426, "x", false),
        "HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade, close\r\n\r\nx\n"
    );
}

#[test]
fn a_text_from_outside_stays_one_bounded_line_of_the_body() {
    let response = response::refusal(500, "a\r\nSet-Cookie: b\n\tat java\u{85}", false);
    assert!(response.ends_with(b"\r\n\r\na  Set-Cookie: b  at java\n"));
    let long = response::refusal(500, &"ü".repeat(10_000), true);
    assert!(long.len() < 1300);
    let body = long.split(|byte| *byte == b'\n').next_back().unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(body).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn a_head_in_pieces_is_the_head_in_one(cuts in proptest::collection::vec(1_usize..40, 1..60)) {
        let mut bytes = format!("\r\n{HANDSHAKE}").into_bytes();
        bytes.extend_from_slice(b"\x81\x80abcd");
        let mut reader = HeadReader::new();
        let mut at = 0;
        for cut in cuts.iter().cycle() {
            let piece = &bytes[at..bytes.len().min(at + cut)];
            if let Some((request, consumed)) = reader.feed(piece).unwrap() {
                prop_assert_eq!(request.query(), Some("messageId=earliest&token=a%2Bb"));
                prop_assert_eq!(at + consumed, HANDSHAKE.len() + 2);
                break;
            }
            at += piece.len();
        }
    }

    #[test]
    fn hostile_heads_never_panic_and_never_grow(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in 0_usize..300,
        replace in any::<bool>(),
    ) {
        let mut head = HANDSHAKE.as_bytes().to_vec();
        let at = at.min(head.len());
        let end = if replace { head.len().min(at + bytes.len()) } else { at };
        head.splice(at..end, bytes);
        if let Ok(Some((request, _))) = read(&head) {
            let _ = upgrade::check(&request);
        }
    }

    #[test]
    fn any_request_line_and_header_is_answered(line in "[ -~\u{80}-\u{ff}]{0,40}", name in "[!-~]{0,10}", value in "\\PC{0,30}") {
        if let Ok(Some((request, _))) = read(format!("GET /{line} HTTP/1.1\r\n{name}: {value}\r\n\r\n").as_bytes()) {
            let _ = (request.path(), request.query(), request.header(&name), request.wants_json());
        }
    }
}
