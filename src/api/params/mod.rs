//! Query parameters to checked settings, one file per endpoint.
//!
//! Checks come in Java's order and refuse in Java's words, so that of two mistakes the same one is named
//! (`ProducerHandler`, `ConsumerHandler`, `ReaderHandler` and the client builders that they call).

mod consumer;
mod encryption;
mod producer;
mod reader;

use std::str::FromStr;

pub use consumer::{ConsumerParams, DeadLetterPolicy};
pub use encryption::ClientKey;
pub use producer::{Batching, HashingScheme, ProducerParams, RoutingMode};
pub use reader::{Flow, ReaderParams};

use super::topic::NAME_BYTES_MAX;
use super::{Query, Refusal};
use crate::pulsar::CryptoFailureAction;

/// Windows are capped at this, whatever the client asks for (Java's constant in both handlers).
pub const MAX_RECEIVER_QUEUE_SIZE: u32 = 1000;

/// A value that Java does not know is ignored there and here.
fn crypto_failure_action(query: &Query) -> CryptoFailureAction {
    match query.get("cryptoFailureAction") {
        Some("DISCARD") => CryptoFailureAction::Discard,
        Some("CONSUME") => CryptoFailureAction::Consume,
        _ => CryptoFailureAction::Fail,
    }
}

/// `Integer.parseInt` or `Long.parseLong` of a parameter that is there.
fn number<T: FromStr>(query: &Query, name: &str) -> Result<Option<T>, Refusal> {
    let Some(text) = query.get(name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Refusal::invalid_params(format_args!(
            "For input string: \"{text}\""
        ))),
    }
}

/// As [`number`], refused with `text` below zero.
fn not_negative(query: &Query, name: &str, text: &str) -> Result<Option<u32>, Refusal> {
    let number: Option<i32> = number(query, name)?;
    number
        .map(|number| u32::try_from(number).map_err(|_| Refusal::invalid_params(text)))
        .transpose()
}

/// `Boolean.parseBoolean`: everything but `true`, in any case, is false.
fn boolean(query: &Query, name: &str) -> bool {
    query
        .get(name)
        .is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// `readCompacted`, which Java's gateway does not know; the words are those of Java's client.
fn read_compacted(query: &Query, is_possible: bool) -> Result<bool, Refusal> {
    match boolean(query, "readCompacted") {
        true if !is_possible => Err(Refusal::invalid_params(
            "Read compacted can only be used with exclusive or failover persistent subscriptions",
        )),
        read_compacted => Ok(read_compacted),
    }
}

/// One of Java's enum constants by its exact name, refused with `Invalid {name} {value}`.
fn constant<T: Copy>(
    query: &Query,
    name: &str,
    constants: &[(&str, T)],
) -> Result<Option<T>, Refusal> {
    let Some(text) = query.get(name) else {
        return Ok(None);
    };
    match constants.iter().find(|(constant, _)| *constant == text) {
        Some((_, value)) => Ok(Some(*value)),
        None => Err(Refusal::invalid_params(format_args!(
            "Invalid {name} {text}"
        ))),
    }
}

/// The socket's window; Java counts 0 as 1.
fn window(receiver_queue_size: Option<u32>) -> u32 {
    receiver_queue_size
        .unwrap_or(MAX_RECEIVER_QUEUE_SIZE)
        .clamp(1, MAX_RECEIVER_QUEUE_SIZE)
}

/// A name that may not be blank.
fn name(query: &Query, parameter: &str) -> Result<Option<String>, Refusal> {
    match query.get(parameter) {
        Some(text) if super::topic::is_blank(text) => Err(Refusal::invalid_params(format_args!(
            "{parameter} cannot be blank"
        ))),
        _ => short_name(query, parameter),
    }
}

/// A name that may be blank.
fn short_name(query: &Query, parameter: &str) -> Result<Option<String>, Refusal> {
    match query.get(parameter) {
        Some(text) if text.len() > NAME_BYTES_MAX => Err(Refusal::invalid_params(format_args!(
            "{parameter} is longer than {NAME_BYTES_MAX} bytes"
        ))),
        other => Ok(other.map(str::to_owned)),
    }
}
