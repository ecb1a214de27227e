//! The HTTP before the WebSocket: one bounded request head, and the answer to it.
//!
//! | file | what |
//! |---|---|
//! | [`head`] | bytes → one [`Request`], bounded, or a [`Refusal`] |
//! | [`request`] | the request: target, header look-ups |
//! | [`upgrade`] | the server's side of the WebSocket handshake (RFC 6455 §4.2) |
//! | [`extensions`] | negotiation of permessage-deflate (RFC 7692 §5) |
//! | [`response`] | the 101, refusals, small pages |
//!
//! It must not do I/O, decode percent-escapes or know what lies behind a path. A connection carries one request: it
//! becomes a WebSocket or is closed after the response, so there are no bodies, no keep-alive and no pipelining here.

#![forbid(unsafe_code)]

pub mod extensions;
pub mod head;
pub mod request;
pub mod response;
#[cfg(test)]
mod tests;
pub mod upgrade;

pub use extensions::PerMessageDeflate;
pub use head::HeadReader;
pub use request::Request;

/// Why a request gets no more than a status and a line of text (see [`response::refusal`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// Fixed words, free of anything that the client sent.
    pub message: &'static str,
}

impl Refusal {
    const fn new(status: u16, message: &'static str) -> Self {
        Refusal { status, message }
    }
}
