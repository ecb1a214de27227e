//! WebSocket frames (RFC 6455), from the server's side: bytes to events, messages to bytes.
//!
//! | file | what |
//! |---|---|
//! | [`decoder`] | client bytes → [`Event`]s, chopped and fragmented as they come |
//! | `header` | which frame headers a server accepts |
//! | `assembly` | the message that is not complete yet |
//! | `mask` | unmasking |
//! | [`encode`] | payloads → unmasked frames |
//! | [`close`] | which side has closed, and what is due to the other |
//!
//! It must not do I/O, know what the messages say, or keep a buffer for a socket that owes nothing.
//! The header layout, the opcodes and the close codes are tungstenite's; what its header parser leaves to the caller
//! (masks, reserved bits, minimal lengths, control frames, continuation) is decided here.
//! Extensions are never negotiated, so a set RSV bit is always a violation.

#![forbid(unsafe_code)]

mod assembly;
pub mod close;
pub mod decoder;
pub mod encode;
mod header;
mod mask;
#[cfg(test)]
mod tests;

pub use close::CloseHandshake;
pub use decoder::{Decoder, Event, Violation};
