//! `ReaderHandler`: what it refuses with a 500 is a 400 here, with the same detail.

use super::{
    CryptoFailureAction, boolean, crypto_failure_action, number, read_compacted, short_name, window,
};
use crate::api::{Query, Refusal, TopicName, message_id, time};
use crate::pulsar::client::StartPosition;

/// What holds the gateway back from sending more to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Each of the client's frames says that one message is handled; so many (1 to 1000) may be unhandled.
    Window(u32),
    /// `flow=tcp`, which Java's gateway does not know: only what TCP takes. The client need not send anything.
    Tcp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderParams {
    pub reader_name: Option<String>,
    pub flow: Flow,
    pub start: StartPosition,
    /// `startTimestamp`, since 1970: reading begins at the first message published then or later.
    pub start_time_ms: Option<u64>,
    pub read_compacted: bool,
    pub crypto_failure_action: CryptoFailureAction,
}

impl ReaderParams {
    /// Whether what it reads is not what the other readers of its topic read, not even later.
    pub fn is_alone(&self) -> bool {
        self.start_time_ms.is_some() || self.read_compacted
    }

    pub fn parse(query: &Query, topic: &TopicName) -> Result<ReaderParams, Refusal> {
        let queue_size: Option<i32> = number(query, "receiverQueueSize")?;
        let start_time_ms = start_time_ms(query)?;
        let start = match start_time_ms {
            None => start(query)?,
            Some(_) => StartPosition::Earliest,
        };
        let read_compacted = read_compacted(query, topic.is_persistent())?;
        let queue_size = match queue_size.map(u32::try_from).transpose() {
            Ok(queue_size) => queue_size,
            Err(_) => {
                return Err(Refusal::invalid_params(
                    "receiverQueueSize needs to be >= 0",
                ));
            }
        };
        let flow = match query.get("flow") {
            None | Some("window") => Flow::Window(window(queue_size)),
            Some("tcp") => Flow::Tcp,
            Some(other) => {
                return Err(Refusal::invalid_params(format_args!(
                    "Invalid flow {other}: it is window or tcp"
                )));
            }
        };
        Ok(ReaderParams {
            reader_name: short_name(query, "readerName")?,
            flow,
            start,
            start_time_ms,
            read_compacted,
            crypto_failure_action: crypto_failure_action(query),
        })
    }
}

/// `messageId`: the position after which reading begins.
fn start(query: &Query) -> Result<StartPosition, Refusal> {
    match query.get("messageId") {
        None => Ok(StartPosition::Latest),
        Some("latest") => Ok(StartPosition::Latest),
        Some("earliest") => Ok(StartPosition::Earliest),
        Some(blank) if crate::api::topic::is_blank(blank) => Ok(StartPosition::Latest),
        Some(text) => match message_id::parse(text.as_bytes()) {
            Ok(id) if boolean(query, "startInclusive") => Ok(StartPosition::at(id)),
            Ok(id) => Ok(StartPosition::After(id)),
            Err(error) => Err(Refusal::invalid_params(error)),
        },
    }
}

/// Milliseconds since 1970, or ISO 8601 with an offset.
fn start_time_ms(query: &Query) -> Result<Option<u64>, Refusal> {
    let Some(text) = query.get("startTimestamp") else {
        return Ok(None);
    };
    if query.get("messageId").is_some() {
        return Err(Refusal::invalid_params(
            "startTimestamp and messageId exclude each other",
        ));
    }
    match text.parse().or_else(|_| time::parse(text)) {
        // Nothing was published before 1970.
        Ok(time_ms) => Ok(Some(time_ms.max(0) as u64)),
        Err(_) => Err(Refusal::invalid_params(format_args!(
            "Invalid startTimestamp {text}: it is milliseconds since 1970, or like 2026-11-20T17:47:23Z"
        ))),
    }
}
