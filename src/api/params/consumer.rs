//! `ConsumerHandler.getConsumerConfiguration`.

use super::{
    CryptoFailureAction, boolean, constant, crypto_failure_action, name, not_negative, number,
    read_compacted, window,
};
use crate::api::{Query, Refusal, TopicName};
use crate::pulsar::{InitialPosition, SubscriptionType};

/// On Shared and Key_Shared only: elsewhere the broker keeps no redelivery counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterPolicy {
    /// At least 1: after that many redeliveries the message goes to the dead-letter topic.
    pub max_redeliver_count: u32,
    /// In full.
    pub topic: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerParams {
    /// 0: none; else at least 1000.
    pub ack_timeout_ms: u32,
    pub subscription_type: SubscriptionType,
    /// `subscriptionMode`.
    pub durable: bool,
    pub initial_position: InitialPosition,
    /// 1 to 1000: what the socket may hold unsettled. Not used in pull mode.
    pub window: u32,
    pub consumer_name: Option<String>,
    pub priority_level: u32,
    pub negative_ack_delay_ms: u32,
    pub dead_letter: Option<DeadLetterPolicy>,
    pub crypto_failure_action: CryptoFailureAction,
    pub pull_mode: bool,
    pub read_compacted: bool,
}

/// The Java client's shortest one (`ConsumerBuilderImpl.MIN_ACK_TIMEOUT_MILLIS`).
const MIN_ACK_TIMEOUT_MS: i32 = 1000;

/// The Java client's default (`ConsumerConfigurationData`: one minute).
const NEGATIVE_ACK_DELAY_MS: u32 = 60_000;

const TYPES: [(&str, SubscriptionType); 4] = [
    ("Exclusive", SubscriptionType::Exclusive),
    ("Shared", SubscriptionType::Shared),
    ("Failover", SubscriptionType::Failover),
    ("Key_Shared", SubscriptionType::KeyShared),
];

const MODES: [(&str, bool); 2] = [("Durable", true), ("NonDurable", false)];

const POSITIONS: [(&str, InitialPosition); 2] = [
    ("Latest", InitialPosition::Latest),
    ("Earliest", InitialPosition::Earliest),
];

impl ConsumerParams {
    /// `topic` and `subscription` name the default dead-letter topic.
    pub fn parse(
        query: &Query,
        topic: &TopicName,
        subscription: &str,
    ) -> Result<ConsumerParams, Refusal> {
        let ack_timeout_ms = ack_timeout_ms(query)?;
        let subscription_type = constant(query, "subscriptionType", &TYPES)?;
        let durable = constant(query, "subscriptionMode", &MODES)?;
        let initial_position = constant(query, "subscriptionInitialPosition", &POSITIONS)?;
        let queue_size = not_negative(
            query,
            "receiverQueueSize",
            "receiverQueueSize needs to be >= 0",
        )?;
        let consumer_name = name(query, "consumerName")?;
        let priority_level =
            not_negative(query, "priorityLevel", "priorityLevel needs to be >= 0")?;
        let negative_ack_delay_ms = not_negative(
            query,
            "negativeAckRedeliveryDelay",
            "redeliveryDelay needs to be >= 0",
        )?;
        let single = matches!(
            subscription_type,
            None | Some(SubscriptionType::Exclusive | SubscriptionType::Failover)
        );
        let read_compacted = read_compacted(query, single && topic.is_persistent())?;
        Ok(ConsumerParams {
            ack_timeout_ms,
            subscription_type: subscription_type.unwrap_or(SubscriptionType::Exclusive),
            durable: durable.unwrap_or(true),
            initial_position: initial_position.unwrap_or(InitialPosition::Latest),
            window: window(queue_size),
            consumer_name,
            priority_level: priority_level.unwrap_or(0),
            negative_ack_delay_ms: negative_ack_delay_ms.unwrap_or(NEGATIVE_ACK_DELAY_MS),
            dead_letter: dead_letter(query, topic, subscription)?,
            crypto_failure_action: crypto_failure_action(query),
            pull_mode: boolean(query, "pullMode"),
            read_compacted,
        })
    }
}

fn ack_timeout_ms(query: &Query) -> Result<u32, Refusal> {
    let timeout_ms = number(query, "ackTimeoutMillis")?.unwrap_or(0);
    match u32::try_from(timeout_ms) {
        Ok(valid) if valid == 0 || timeout_ms >= MIN_ACK_TIMEOUT_MS => Ok(valid),
        _ => Err(Refusal::invalid_params(format_args!(
            "Ack timeout should be greater than {MIN_ACK_TIMEOUT_MS} ms"
        ))),
    }
}

/// The dead-letter topic, in full. What is no name is refused here: whoever reads it next, a broker's web service among
/// them, may take it for something else, and whether the client may publish there cannot be told.
fn dead_letter_topic(name: &str) -> Result<String, Refusal> {
    let refused = |why| Refusal::invalid_params(format_args!("deadLetterTopic: {why}"));
    let name = TopicName::parse(name).map_err(refused)?;
    Ok(name.as_str().to_owned())
}

fn dead_letter(
    query: &Query,
    topic: &TopicName,
    subscription: &str,
) -> Result<Option<DeadLetterPolicy>, Refusal> {
    let max_redeliver_count: Option<i32> = number(query, "maxRedeliverCount")?;
    let named = query.get("deadLetterTopic");
    if max_redeliver_count.is_none() && named.is_none() {
        return Ok(None);
    }
    // A topic alone leaves the count at Java's 0.
    match u32::try_from(max_redeliver_count.unwrap_or(0)) {
        Ok(max_redeliver_count @ 1..) => Ok(Some(DeadLetterPolicy {
            max_redeliver_count,
            topic: match named {
                Some(named) if !crate::api::topic::is_blank(named) => dead_letter_topic(named)?,
                _ => dead_letter_topic(&format!("{topic}-{subscription}-DLQ"))?,
            },
        })),
        _ => Err(Refusal::invalid_params("MaxRedeliverCount must be > 0.")),
    }
}
