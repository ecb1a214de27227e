//! A handshake that is answered with an HTTP error: Java's statuses and texts.

use crate::pulsar::{BrokerError, ErrorKind};

/// The answer instead of a 101: a status and one line of text. Holds no token and no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub message: String,
}

impl Refusal {
    pub fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            message: message.into(),
        }
    }

    /// 400 in the words of Java's `IllegalArgumentException`.
    pub fn invalid_params(detail: impl std::fmt::Display) -> Refusal {
        Refusal::new(400, format!("Invalid query params: {detail}"))
    }

    /// The upstream did not let a producer or consumer be made.
    pub fn not_created(error: &BrokerError) -> Refusal {
        let message = format!("Failed to create producer/consumer: {}", text(error));
        Refusal::new(status(error.kind), message)
    }

    /// The upstream did not let a reader be made. The status is the table's, as in Java 4.2, not 4.0's 500.
    pub fn reader_not_created(error: &BrokerError) -> Refusal {
        Refusal::new(
            status(error.kind),
            format!("Failed to create reader: {}", text(error)),
        )
    }
}

/// The broker's text; of a partition that is not there it says nothing.
fn text(error: &BrokerError) -> &str {
    match (error.message.as_str(), error.kind) {
        ("", ErrorKind::NotFound) => "Topic not found",
        (text, _) => text,
    }
}

/// `AbstractWebSocketHandler.getErrorCode`.
fn status(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::Unauthenticated => 401,
        ErrorKind::Unauthorized => 403,
        ErrorKind::NotFound => 404,
        ErrorKind::ProducerBusy
        | ErrorKind::ConsumerBusy
        | ErrorKind::ProducerFenced
        | ErrorKind::IncompatibleSchema => 409,
        ErrorKind::TooManyRequests => 429,
        ErrorKind::QuotaExceeded | ErrorKind::QuotaHeld | ErrorKind::TopicTerminated => 503,
        ErrorKind::Timeout => 504,
        ErrorKind::Invalid
        | ErrorKind::MessageTooLarge
        | ErrorKind::Retryable
        | ErrorKind::Other => 500,
    }
}
