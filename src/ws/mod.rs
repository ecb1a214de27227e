//! WebSocket frames (RFC 6455), from the server's side: bytes to events, messages to bytes.
//!
//! | file | what |
//! |---|---|
//! | [`decoder`] | client bytes → [`Event`]s, chopped and fragmented as they come |
//! | `header` | which frame headers a server accepts |
//! | `assembly` | the message that is not complete yet |
//! | [`inflate`] | compressed messages in |
//! | [`deflate`] | compressed messages out |
//! | `mask` | unmasking |
//! | [`encode`] | payloads → unmasked frames |
//! | [`close`] | which side has closed, and what is due to the other |
//!
//! It must not do I/O, know what the messages say, or keep a buffer for a socket that owes nothing.
//! The header layout, the opcodes and the close codes are tungstenite's; what its header parser leaves to the caller
//! (masks, reserved bits, minimal lengths, control frames, continuation) is decided here.
//! Of the extensions there is permessage-deflate (RFC 7692; `http::extensions` negotiates it). Each message is compressed
//! by itself, or sent as it is: that is said message by message (RSV1).

#![forbid(unsafe_code)]

mod assembly;
pub mod close;
pub mod decoder;
pub mod deflate;
pub mod encode;
mod header;
pub mod inflate;
mod mask;
#[cfg(test)]
mod tests;

pub use close::CloseHandshake;
pub use decoder::{Decoder, Event, Violation};
pub use deflate::{Deflater, Window};
pub use inflate::Context;
