//! The server's side of the WebSocket handshake (RFC 6455 §4.2).
//!
//! Subprotocols are declined by not answering them, as the Java gateway does, unless a token stands among them (see
//! [`crate::auth`]); for extensions see `extensions`.

use tungstenite::handshake::derive_accept_key;

use super::{Refusal, Request};

/// The only version of the protocol (RFC 6455 §4.1).
pub const WEBSOCKET_VERSION: &str = "13";

/// A request that may become a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The value of `Sec-WebSocket-Accept` in the 101.
    pub accept_key: String,
}

/// Checks a request against RFC 6455 §4.2.1.
///
/// # Errors
/// 405 for a method other than GET, 426 for a plain request or a WebSocket version other than 13, else 400.
pub fn check(request: &Request) -> Result<Upgrade, Refusal> {
    if request.method() != "GET" {
        return Err(Refusal::new(405, "A WebSocket starts with GET"));
    }
    if !request.is_http_1_1() {
        return Err(Refusal::new(400, "A WebSocket needs HTTP/1.1"));
    }
    if request.header_count("host") != 1 {
        return Err(Refusal::new(
            400,
            "A WebSocket handshake has exactly one Host header",
        ));
    }
    if request.has_body() {
        return Err(Refusal::new(400, "A WebSocket handshake has no body"));
    }
    if !request.has_token("upgrade", "websocket") {
        return Err(Refusal::new(426, "This path is for WebSocket connections"));
    }
    if !request.has_token("connection", "upgrade") {
        return Err(Refusal::new(
            400,
            "A WebSocket handshake has a header Connection: Upgrade",
        ));
    }
    match (
        request.header_count("sec-websocket-version"),
        request.header("sec-websocket-version"),
    ) {
        (1, Some(WEBSOCKET_VERSION)) => {}
        (1, _) => return Err(Refusal::new(426, "The WebSocket version spoken here is 13")),
        _ => {
            return Err(Refusal::new(
                400,
                "A WebSocket handshake has exactly one Sec-WebSocket-Version header",
            ));
        }
    }
    match (
        request.header_count("sec-websocket-key"),
        request.header("sec-websocket-key"),
    ) {
        (1, Some(key)) if is_nonce(key.as_bytes()) => Ok(Upgrade {
            accept_key: derive_accept_key(key.as_bytes()),
        }),
        (1, _) => Err(Refusal::new(
            400,
            "Sec-WebSocket-Key is not 16 bytes in base64",
        )),
        _ => Err(Refusal::new(
            400,
            "A WebSocket handshake has exactly one Sec-WebSocket-Key header",
        )),
    }
}

/// 16 bytes in base64: 22 characters and two of padding. The last character's spare bits may be anything: some clients
/// draw the characters, not the bytes, and the key is never decoded.
fn is_nonce(key: &[u8]) -> bool {
    let Some((characters, b"==")) = key.split_last_chunk::<2>() else {
        return false;
    };
    characters.len() == 22
        && characters
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}
