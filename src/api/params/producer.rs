//! `ProducerHandler.getProducerBuilder`.

use super::{ClientKey, boolean, constant, encryption, name, not_negative, number};
use crate::api::{Compression, Query, Refusal};

/// Which partition a key goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HashingScheme {
    #[default]
    JavaStringHash,
    Murmur3_32Hash,
}

/// Where messages without a key go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RoutingMode {
    #[default]
    SinglePartition,
    RoundRobinPartition,
}

/// Only when the client asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    pub max_messages: i32,
    /// 0: no limit. Over it, a message is answered with an error at once.
    pub max_pending_messages: u32,
    /// At least 1.
    pub max_publish_delay_ms: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerParams {
    /// None: the broker makes one.
    pub producer_name: Option<String>,
    /// The first message gets this + 1. None: the broker's last one for the producer's name.
    pub initial_sequence_id: Option<i64>,
    pub hashing_scheme: HashingScheme,
    /// 0: no timeout.
    pub send_timeout_ms: u32,
    pub routing_mode: RoutingMode,
    pub batching: Option<Batching>,
    pub compression: Compression,
    /// Not empty: the client encrypts, every message must be published with these keys in its metadata, uncompressed
    /// and unbatched by the gateway.
    pub client_keys: Vec<ClientKey>,
    /// Not empty: the gateway encrypts, for the owners of these keys. Sorted, each once, as Java's `TreeSet` has them.
    pub key_names: Vec<String>,
}

impl ProducerParams {
    /// `has_keys`: this gateway has some.
    ///
    /// # Errors
    /// The client names keys of the gateway's that cannot be any.
    pub fn check_key_names(&self, has_keys: bool) -> Result<(), Refusal> {
        encryption::check_key_names(&self.key_names, has_keys)
    }

    /// Whether it asks for nothing that is one producer's: a name, ids, batches, a data key.
    pub fn is_anonymous(&self) -> bool {
        self.producer_name.is_none()
            && self.initial_sequence_id.is_none()
            && self.batching.is_none()
            && self.key_names.is_empty()
    }

    /// Whether a partition's producer with so many unanswered messages takes no more (`maxPendingMessages`).
    pub fn is_full(&self, pending_messages: usize) -> bool {
        let max = self
            .batching
            .map_or(0, |batching| batching.max_pending_messages);
        max > 0 && pending_messages >= max as usize
    }
}

/// The Java client's defaults (`ProducerConfigurationData`).
const SEND_TIMEOUT_MS: u32 = 30_000;
const BATCHING_MAX_MESSAGES: i32 = 1000;
const BATCHING_MAX_PUBLISH_DELAY_MS: u32 = 10;

const COMPRESSIONS: [(&str, Compression); 5] = Compression::NAMES;

impl ProducerParams {
    pub fn parse(query: &Query) -> Result<ProducerParams, Refusal> {
        let producer_name = name(query, "producerName")?;
        let initial_sequence_id = number(query, "initialSequenceId")?;
        let hashing_scheme = hashing_scheme(query)?;
        let send_timeout_ms =
            not_negative(query, "sendTimeoutMillis", "sendTimeout needs to be >= 0")?;
        let routing_mode = routing_mode(query)?;
        let client_keys = encryption::client_keys(query)?;
        let (batching, compression, key_names) = if client_keys.is_empty() {
            gateway_side(query)?
        } else {
            (None, Compression::None, Vec::new())
        };
        Ok(ProducerParams {
            producer_name,
            initial_sequence_id,
            hashing_scheme,
            send_timeout_ms: send_timeout_ms.unwrap_or(SEND_TIMEOUT_MS),
            routing_mode,
            batching,
            compression,
            client_keys,
            key_names,
        })
    }
}

/// What the gateway does to messages; not looked at when the client encrypts them itself.
fn gateway_side(query: &Query) -> Result<(Option<Batching>, Compression, Vec<String>), Refusal> {
    let batching = if boolean(query, "batchingEnabled") {
        Some(batching(query)?)
    } else {
        None
    };
    let compression = constant(query, "compressionType", &COMPRESSIONS)?;
    Ok((
        batching,
        compression.unwrap_or_default(),
        encryption::key_names(query),
    ))
}

fn batching(query: &Query) -> Result<Batching, Refusal> {
    let max_messages = number(query, "batchingMaxMessages")?;
    let max_pending = not_negative(
        query,
        "maxPendingMessages",
        "maxPendingMessages needs to be >= 0",
    )?;
    let too_short = "configured value for batch delay must be at least 1ms";
    let delay_ms = not_negative(query, "batchingMaxPublishDelay", too_short)?;
    if delay_ms == Some(0) {
        return Err(Refusal::invalid_params(too_short));
    }
    Ok(Batching {
        max_messages: max_messages.unwrap_or(BATCHING_MAX_MESSAGES),
        max_pending_messages: max_pending.unwrap_or(0),
        max_publish_delay_ms: delay_ms.unwrap_or(BATCHING_MAX_PUBLISH_DELAY_MS),
    })
}

/// `HashingScheme.valueOf`, whose refusal names the Java class.
fn hashing_scheme(query: &Query) -> Result<HashingScheme, Refusal> {
    match query.get("hashingScheme") {
        None => Ok(HashingScheme::default()),
        Some("JavaStringHash") => Ok(HashingScheme::JavaStringHash),
        Some("Murmur3_32Hash") => Ok(HashingScheme::Murmur3_32Hash),
        Some(other) => Err(Refusal::invalid_params(format_args!(
            "No enum constant org.apache.pulsar.client.api.HashingScheme.{other}"
        ))),
    }
}

/// `CustomPartition` is accepted and changes nothing.
fn routing_mode(query: &Query) -> Result<RoutingMode, Refusal> {
    let modes = [
        ("SinglePartition", RoutingMode::SinglePartition),
        ("RoundRobinPartition", RoutingMode::RoundRobinPartition),
        ("CustomPartition", RoutingMode::default()),
    ];
    Ok(constant(query, "messageRoutingMode", &modes)?.unwrap_or_default())
}
