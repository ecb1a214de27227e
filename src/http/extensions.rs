//! Negotiation of permessage-deflate (RFC 7692 §5, §7.1), the only WebSocket extension here.
//!
//! The Java gateway's (Jetty 9.4) takes whatever stands in an offer and answers 500 to a parameter it does not know. Here,
//! as the RFC has it, an offer that makes no sense is passed over, and the socket does without.

use std::fmt;

use super::Request;

const HEADER: &str = "sec-websocket-extensions";
const NAME: &str = "permessage-deflate";

/// RFC 7692 §7.1.2.
const WINDOW_BITS_MAX: u8 = 15;

/// What was agreed. Displayed, it is the answer's header value.
///
/// The server never refers back to an earlier message, whether the client asked for that or not (§7.1.1.1), so that one
/// compressed message serves any number of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerMessageDeflate {
    /// The client's messages may refer back to earlier ones.
    pub client_keeps_context: bool,
    /// The client asked for it: no message of the server refers further back than two to the power of this, 8 to 15.
    pub server_max_window_bits: Option<u8>,
}

impl fmt::Display for PerMessageDeflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}; server_no_context_takeover")?;
        if !self.client_keeps_context {
            f.write_str("; client_no_context_takeover")?;
        }
        match self.server_max_window_bits {
            Some(bits) => write!(f, "; server_max_window_bits={bits}"),
            None => Ok(()),
        }
    }
}

/// Accepts the first offer that makes sense. `may_keep_context`: the client is not told to do without a context that it
/// has not offered to do without (§7.1.1.2 lets the server decide).
pub fn negotiate(request: &Request, may_keep_context: bool) -> Option<PerMessageDeflate> {
    let mut offers = request.values(HEADER).flat_map(|value| value.split(','));
    let offered = offers.find_map(read_offer)?;
    Some(PerMessageDeflate {
        client_keeps_context: may_keep_context && offered.client_keeps_context,
        ..offered
    })
}

/// None: another extension, or parameters that §7.1 tells to decline.
fn read_offer(offer: &str) -> Option<PerMessageDeflate> {
    let mut parts = offer.split(';').map(str::trim);
    if parts.next() != Some(NAME) {
        return None;
    }
    let mut seen = Vec::new();
    let mut agreed = PerMessageDeflate {
        client_keeps_context: true,
        server_max_window_bits: None,
    };
    for part in parts.filter(|part| !part.is_empty()) {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(unquoted(value.trim_start()))),
            None => (part, None),
        };
        match (name, value) {
            ("server_no_context_takeover", None) | ("client_max_window_bits", None) => {}
            ("client_no_context_takeover", None) => agreed.client_keeps_context = false,
            // Any window of the client's is served: nothing needs to be answered.
            ("client_max_window_bits", Some(bits)) => drop(window_bits(bits)?),
            ("server_max_window_bits", Some(bits)) => {
                agreed.server_max_window_bits = Some(window_bits(bits)?);
            }
            _ => return None,
        }
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
    }
    Some(agreed)
}

/// A parameter's value may be quoted (RFC 6455 §9.1).
fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// 8 to 15, without a leading zero.
fn window_bits(value: &str) -> Option<u8> {
    let bits = value.parse().ok()?;
    ((8..=WINDOW_BITS_MAX).contains(&bits) && value == bits.to_string()).then_some(bits)
}
