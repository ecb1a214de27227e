//! What one socket does: producer, consumer, reader.
//!
//! Sans-IO: a session is given whole WebSocket messages and upstream events, and appends frames to its socket's
//! output. It knows no socket, no shard and no clock.
#![forbid(unsafe_code)]

mod consumer;
mod dead_letter;
mod frames;
mod producer;
pub mod reader;
mod routing;
mod upstreams;

pub use consumer::{ConsumerSession, Wish};
pub use dead_letter::DeadLetter;
pub use frames::append_frame;
pub use producer::{At, Now, ProducerSession, Progress};
pub use routing::Router;
pub use upstreams::{Producers, Upstreams};

use crate::api::CommandError;

/// Why and how a session ends its socket (RFC 6455 §7.4). The reason is cut to what a close frame holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseWith {
    pub code: u16,
    pub reason: String,
}

impl From<CommandError> for CloseWith {
    fn from(error: CommandError) -> CloseWith {
        CloseWith {
            code: error.error.close_code(),
            reason: error.reason,
        }
    }
}
