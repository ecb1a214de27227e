//! Responses: the 101, refusals, small pages. All but the 101 end the connection.
//!
//! Statuses and texts of refusals are the Java gateway's (`api::refusal`); the text stands in the
//! body, as one line, never in the status line, where a line end in a broker's text would make headers of the rest.
//! There is no `Server` header.

use bytes::Bytes;
use tungstenite::http::StatusCode;

use super::PerMessageDeflate;
use super::upgrade::WEBSOCKET_VERSION;

/// A refusal's text is cut here: a broker's text may be a whole stack trace, and one line is meant to be read.
const MAX_MESSAGE_BYTES: usize = 1024;

/// When to come again after a 429 or 503, in seconds (`Retry-After`, RFC 9110 §10.2.3): by then a bucket of handshakes is
/// full again, whose rate they came over, and what a broker throttles or restarts has had its moment.
const RETRY_AFTER_S: u32 = 5;

/// The response that makes the connection a WebSocket (RFC 6455 §4.2.2), with the subprotocol and the extension agreed on.
pub fn switching_protocols(
    accept_key: &str,
    protocol: Option<&str>,
    extension: Option<PerMessageDeflate>,
) -> Bytes {
    let protocol = protocol.map_or_else(String::new, |it| {
        format!("Sec-WebSocket-Protocol: {it}\r\n")
    });
    let extensions = extension.map_or_else(String::new, |it| {
        format!("Sec-WebSocket-Extensions: {it}\r\n")
    });
    Bytes::from(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept_key}\r\n{protocol}{extensions}\r\n"
    ))
}

/// A refusal with its text: one line, or `{"reason":"…"}` (the shape of the admin resources' errors). Control characters
/// become spaces; texts over `MAX_MESSAGE_BYTES` are cut. 405 and 426 say what would have been right, 429 and 503 when.
pub fn refusal(status: u16, message: &str, wants_json: bool) -> Bytes {
    let line = one_line(message);
    let (content_type, body) = if wants_json {
        (
            "application/json",
            format!(
                "{{\"reason\":\"{}\"}}",
                line.replace('\\', "\\\\").replace('"', "\\\"")
            ),
        )
    } else {
        ("text/plain; charset=utf-8", line + "\n")
    };
    let extra = match status {
        405 => "Allow: GET\r\n".to_owned(),
        426 => format!("Upgrade: websocket\r\nSec-WebSocket-Version: {WEBSOCKET_VERSION}\r\n"),
        429 | 503 => format!("Retry-After: {RETRY_AFTER_S}\r\n"),
        _ => String::new(),
    };
    page(status, content_type, &extra, &body)
}

/// A small page with status 200.
pub fn ok(content_type: &str, body: &str) -> Bytes {
    page(200, content_type, "", body)
}

fn page(status: u16, content_type: &str, extra_headers: &str, body: &str) -> Bytes {
    let phrase = StatusCode::from_u16(status)
        .ok()
        .and_then(|known| known.canonical_reason())
        .unwrap_or("Error");
    // RFC 9110 §7.8: who sends Upgrade names it in Connection.
    let connection = if status == 426 {
        "Upgrade, close"
    } else {
        "close"
    };
    Bytes::from(format!(
        "HTTP/1.1 {status} {phrase}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{extra_headers}\
         Connection: {connection}\r\n\r\n{body}",
        body.len()
    ))
}

fn one_line(message: &str) -> String {
    let mut cut = message.len().min(MAX_MESSAGE_BYTES);
    while !message.is_char_boundary(cut) {
        cut -= 1;
    }
    message[..cut]
        .trim_matches(char::is_control)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
