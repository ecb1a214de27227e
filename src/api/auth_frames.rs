//! How a client is asked for a new token before the one that it has shown runs out, and how it answers: the frames of
//! Pulsar's PIP-292. On a socket of any kind, between all other frames.

use serde_json::Value;
use zeroize::Zeroizing;

/// The longest answer: a token of the size that a request's head has room for, and what stands around it.
const RESPONSE_BYTES_MAX: usize = 17 * 1024;

const RESPONSE: &str = "AUTH_RESPONSE";

/// Asks for new credentials of this method.
pub fn append_auth_challenge(out: &mut Vec<u8>, method: &str) {
    // A method's name has nothing that would need an escape.
    out.extend_from_slice(
        format!(
            r#"{{"type":"AUTH_CHALLENGE","authChallenge":{{"challenge":{{"authMethodName":"{method}","authData":"{method}"}},"protocolVersion":0}}}}"#
        )
        .as_bytes(),
    );
}

/// A client's new credentials.
pub struct AuthResponse {
    /// None: it does not say.
    pub method: Option<String>,
    pub data: Zeroizing<String>,
}

/// Reads one frame. None: it is another than an answer. `Some(None)`: it is meant as one and has no credentials.
pub fn parse_auth_response(frame: &[u8]) -> Option<Option<AuthResponse>> {
    if frame.len() > RESPONSE_BYTES_MAX {
        return None;
    }
    let text = simdutf8::basic::from_utf8(frame).ok()?;
    if !text.contains(RESPONSE) {
        return None;
    }
    let mut message: Value = serde_json::from_str(text).ok()?;
    if message.get("type")?.as_str()? != RESPONSE {
        return None;
    }
    let response = message.pointer_mut("/authResponse/response");
    Some(response.and_then(|response| {
        let Value::String(data) = response.get_mut("authData")?.take() else {
            return None;
        };
        let method = response.get("authMethodName").and_then(Value::as_str);
        Some(AuthResponse {
            method: method.map(str::to_owned),
            data: Zeroizing::new(data),
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_proposal() {
        let mut out = Vec::new();
        append_auth_challenge(&mut out, "token");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"type":"AUTH_CHALLENGE","authChallenge":{"challenge":{"authMethodName":"token","authData":"token"},"protocolVersion":0}}"#
        );
    }

    #[test]
    fn the_response_of_the_proposal_is_read() {
        let frame = br#"{"type": "AUTH_RESPONSE", "authResponse": {"clientVersion": "v0", "protocolVersion": 0, "response": {"authMethodName": "token", "authData": "a.b.c"}}}"#;
        let response = parse_auth_response(frame).unwrap().unwrap();
        assert_eq!(response.method.as_deref(), Some("token"));
        assert_eq!(response.data.as_str(), "a.b.c");
    }

    #[test]
    fn other_frames_are_left_to_the_session() {
        for frame in [
            r#"{"messageId":"CAE="}"#,
            r#"{"payload":"","properties":{"x":"AUTH_RESPONSE"}}"#,
            r#"{"type":"AUTH_RESPONSE""#,
            r#"{"type":["AUTH_RESPONSE"]}"#,
            "\"AUTH_RESPONSE\"",
        ] {
            assert!(parse_auth_response(frame.as_bytes()).is_none(), "{frame}");
        }
        assert!(parse_auth_response(b"AUTH_RESPONSE\xff").is_none());
    }

    #[test]
    fn a_response_without_credentials_is_one_all_the_same() {
        for frame in [
            r#"{"type":"AUTH_RESPONSE"}"#,
            r#"{"type":"AUTH_RESPONSE","authResponse":5}"#,
            r#"{"type":"AUTH_RESPONSE","authResponse":{"response":{"authData":5}}}"#,
        ] {
            assert!(
                parse_auth_response(frame.as_bytes()).unwrap().is_none(),
                "{frame}"
            );
        }
    }
}
