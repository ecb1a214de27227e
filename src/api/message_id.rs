//! Message ids as clients see them: base64 of the protobuf `MessageIdData`.

use std::fmt;

use super::base64::{Base64, Base64Error};
use crate::pulsar::MessageId;

/// The largest id that is looked at, in bytes. The gateway's own have at most 60 (six fields, varints of ten bytes);
/// a Java client's chunk id holds two of them.
const MAX_ID_BYTES: usize = 256;

/// Why a text is no message id; displayed as close reason or refusal detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageIdError {
    /// In Java's words.
    Base64(Base64Error),
    /// Base64 of something else.
    NotAnId,
}

impl fmt::Display for MessageIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageIdError::Base64(error) => error.fmt(f),
            MessageIdError::NotAnId => f.write_str("messageId is not a Pulsar message id"),
        }
    }
}

/// The id that `text` stands for; the broker may well not have it.
pub fn parse(text: &[u8]) -> Result<MessageId, MessageIdError> {
    let base64 = Base64::new(text).map_err(MessageIdError::Base64)?;
    let mut buffer = [0; MAX_ID_BYTES];
    let bytes = buffer
        .get_mut(..base64.decoded_len())
        .ok_or(MessageIdError::NotAnId)?;
    base64.decode(bytes).map_err(MessageIdError::Base64)?;
    MessageId::decode(bytes).map_err(|_| MessageIdError::NotAnId)
}
