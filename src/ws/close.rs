//! Close frames: what a client may put into one, and which side owes one (RFC 6455 §5.5.1, §7).

use bytes::Bytes;
use tungstenite::protocol::frame::coding::CloseCode;

use super::decoder::Violation;
use super::encode;

/// Close codes that this side sends (RFC 6455 §7.4.1). Those of an application are 4000 to 4999 (§7.4.2).
pub const GOING_AWAY: u16 = 1001;
pub const PROTOCOL_ERROR: u16 = 1002;
/// Text that is no UTF-8, compressed data that makes no sense.
pub const INVALID_PAYLOAD: u16 = 1007;
pub const POLICY_VIOLATION: u16 = 1008;
pub const MESSAGE_TOO_BIG: u16 = 1009;

/// Registered after RFC 6455 (IANA, "Bad gateway"), and unknown to tungstenite's table.
const BAD_GATEWAY: u16 = 1014;

/// Whether `code` may stand in a close frame (RFC 6455 §7.4 and the IANA registry): not those that only describe
/// what an endpoint saw (1005, 1006, 1015), nor the reserved ranges.
pub fn is_sendable(code: u16) -> bool {
    code == BAD_GATEWAY || CloseCode::from(code).is_allowed()
}

/// Splits a close frame's payload into code and reason.
///
/// # Errors
/// 1002 for half a code or one that may not be sent, 1007 when the reason is not UTF-8.
pub(super) fn parse_payload(payload: &[u8]) -> Result<(Option<u16>, &str), Violation> {
    let (code, reason) = match payload {
        [] => return Ok((None, "")),
        [_] => return Err(Violation::protocol("half a close code")),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !is_sendable(code) {
        return Err(Violation::protocol("close code that may not be sent"));
    }
    match simdutf8::basic::from_utf8(reason) {
        Ok(reason) => Ok((Some(code), reason)),
        Err(_) => Err(Violation {
            code: INVALID_PAYLOAD,
            reason: "close reason is not UTF-8",
        }),
    }
}

/// Who has sent a close frame. Each side sends one; the connection goes down when both have, or when time is up
/// (the clock is the owner's).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloseHandshake {
    is_sent: bool,
    is_received: bool,
}

impl CloseHandshake {
    /// The frame that starts a close from this side (see [`encode::close_frame`]). None when ours has gone already.
    pub fn start(&mut self, code: u16, reason: &str) -> Option<Bytes> {
        if self.is_sent {
            return None;
        }
        self.is_sent = true;
        Some(encode::close_frame(code, reason))
    }

    /// The client's close frame has come. Gives the answer due, its own code and reason and no code for no code
    /// (RFC 6455 §5.5.1; the reason as the Java gateway does); None when ours has gone already.
    pub fn received(&mut self, code: Option<u16>, reason: &str) -> Option<Bytes> {
        self.is_received = true;
        self.start(code.unwrap_or(NO_CODE), reason)
    }

    /// Frames of any other kind may be sent. After our close frame, none may.
    pub fn is_open(&self) -> bool {
        !self.is_sent
    }

    /// Both sides have said it: the server closes the TCP connection (RFC 6455 §7.1.1).
    pub fn is_complete(&self) -> bool {
        self.is_sent && self.is_received
    }
}

/// "No status received": never on the wire, a close frame without a payload stands for it.
const NO_CODE: u16 = 1005;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_registered_and_application_codes_may_be_sent() {
        let allowed = |code: &u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        for code in (0..=u16::MAX).step_by(if cfg!(miri) { 101 } else { 1 }) {
            assert_eq!(is_sendable(code), allowed(&code), "{code}");
        }
    }

    #[test]
    fn payloads_that_a_close_frame_may_not_have_are_refused() {
        assert_eq!(parse_payload(b""), Ok((None, "")));
        assert_eq!(parse_payload(&[3, 232, b'h', b'i']), Ok((Some(1000), "hi")));
        assert_eq!(parse_payload(&[3]).unwrap_err().code, 1002);
        assert_eq!(
            parse_payload(&1005_u16.to_be_bytes()).unwrap_err().code,
            1002
        );
        assert_eq!(parse_payload(&[3, 232, 0xff]).unwrap_err().code, 1007);
    }

    #[test]
    fn a_client_that_closes_gets_its_code_and_reason_back_once() {
        let mut handshake = CloseHandshake::default();
        assert_eq!(
            handshake.received(Some(4001), "bye").as_deref(),
            Some(&[0x88, 5, 0x0f, 0xa1, b'b', b'y', b'e'][..])
        );
        assert!(handshake.is_complete() && !handshake.is_open());
        assert_eq!(handshake.received(Some(4001), "bye"), None);
        assert_eq!(handshake.start(1000, ""), None);
    }

    #[test]
    fn a_close_without_a_code_is_answered_without_one() {
        assert_eq!(
            CloseHandshake::default().received(None, "").as_deref(),
            Some(&[0x88, 0][..])
        );
    }

    #[test]
    fn a_close_from_this_side_is_complete_with_the_answer_and_sends_nothing_more() {
        let mut handshake = CloseHandshake::default();
        assert!(handshake.is_open());
        assert!(handshake.start(1001, "bye").is_some());
        assert!(!handshake.is_open() && !handshake.is_complete());
        assert_eq!(handshake.received(Some(1001), ""), None);
        assert!(handshake.is_complete());
    }
}
