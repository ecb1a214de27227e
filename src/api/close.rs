//! How the gateway ends a socket that it cannot serve on (`WebSocketError.java`).

/// The documented reasons. Java sends 1–8 itself as the close code, which RFC 6455 §7.4 forbids; here it is 4000 + N.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebSocketError {
    FailedToCreateProducer = 1,
    FailedToSubscribe = 2,
    FailedToDeserializeFromJson = 3,
    FailedToSerializeToJson = 4,
    AuthenticationError = 5,
    NotAuthorizedError = 6,
    PayloadEncodingError = 7,
    UnknownError = 8,
}

impl WebSocketError {
    /// N of `send-error:N`.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// 4000 + N: the range that RFC 6455 §7.4.2 leaves to applications.
    pub fn close_code(self) -> u16 {
        4000 + self.number()
    }

    pub fn description(self) -> &'static str {
        match self {
            WebSocketError::FailedToCreateProducer => "Failed to create producer",
            WebSocketError::FailedToSubscribe => "Failed to subscribe",
            WebSocketError::FailedToDeserializeFromJson => "Failed to de-serialize from JSON",
            WebSocketError::FailedToSerializeToJson => "Failed to serialize to JSON",
            WebSocketError::AuthenticationError => "Failed to authenticate client",
            WebSocketError::NotAuthorizedError => "Client is not authorized",
            WebSocketError::PayloadEncodingError => "Invalid payload encoding",
            WebSocketError::UnknownError => "Unknown error",
        }
    }

    /// The close reason: the documented text and `detail`, which must hold nothing secret.
    /// The frame's own bound (123 bytes) is kept where the frame is made.
    pub fn reason(self, detail: &str) -> String {
        format!("{}: {detail}", self.description())
    }
}
