//! `ReaderHandler`: what it refuses with a 500 is a 400 here, with the same detail.

use super::{CryptoFailureAction, number, window};
use crate::api::{Query, Refusal, message_id};
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
    pub crypto_failure_action: CryptoFailureAction,
}

impl ReaderParams {
    pub fn parse(query: &Query) -> Result<ReaderParams, Refusal> {
        let queue_size: Option<i32> = number(query, "receiverQueueSize")?;
        let start = start(query)?;
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
            reader_name: query.get("readerName").map(str::to_owned),
            flow,
            start,
            crypto_failure_action: CryptoFailureAction::from_query(query),
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
            Ok(id) => Ok(StartPosition::After(id)),
            Err(error) => Err(Refusal::invalid_params(error)),
        },
    }
}
