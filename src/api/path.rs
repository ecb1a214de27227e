//! Request paths to endpoints (those of Java's `WebSocket…Servlet.SERVLET_PATH` and `…_V2`, `…_V3`).

use super::percent;
use super::topic::{NAME_BYTES_MAX, Namespace, TopicName, too_long};
use super::{Query, Refusal, TopicSet};

#[derive(Clone, Debug)]
pub enum EndpointKind {
    Producer,
    Consumer {
        subscription: String,
    },
    Reader,
    MultiTopicConsumer {
        subscription: String,
        topics: TopicSet,
    },
}

/// What a socket is to be, and on which topic: of several, the one that things are named after.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub kind: EndpointKind,
    pub topic: TopicName,
}

impl Endpoint {
    /// `raw_path` is the request target up to the `?`, not decoded; `raw_query` what follows it.
    ///
    /// 404: no path of the gateway. 400: one, but its topic or subscription is not valid.
    pub fn parse(raw_path: &str, raw_query: &str) -> Result<Endpoint, Refusal> {
        if raw_path.contains(UNESCAPED) {
            return Err(Refusal::new(
                400,
                "The path has a character that needs a percent escape",
            ));
        }
        // The first part is what stands before the leading slash: nothing.
        let parts: Vec<&str> = raw_path.split('/').collect();
        let (role, is_v2) = match parts[..] {
            ["", "ws", "v2", role, ..] => (role, true),
            ["", "ws", "v3", "consumer", ..] => return multi_topic(&parts, raw_query),
            ["", "ws", role, ..] => (role, false),
            _ => return Err(not_found()),
        };
        match role {
            "producer" => Ok(Endpoint {
                kind: EndpointKind::Producer,
                topic: topic(&parts, is_v2, parts.len())?,
            }),
            "reader" => Ok(Endpoint {
                kind: EndpointKind::Reader,
                topic: topic(&parts, is_v2, parts.len())?,
            }),
            "consumer" => {
                let topic = topic(&parts, is_v2, SUBSCRIPTION_PART)?;
                let subscription = subscription(&parts)?;
                Ok(Endpoint {
                    kind: EndpointKind::Consumer { subscription },
                    topic,
                })
            }
            _ => Err(not_found()),
        }
    }
}

/// What RFC 3986 §2 lets stand nowhere in a path unless it is escaped, and the HTTP parser lets through.
const UNESCAPED: [char; 6] = ['"', '\\', '^', '{', '|', '}'];

/// Where the topic begins, in both versions: v1 has the cluster where v2 has `v2`.
const TOPIC_PART: usize = 7;

/// Of a consumer, the last part: Java takes a topic with slashes only percent-encoded there.
const SUBSCRIPTION_PART: usize = 8;

/// `AbstractWebSocketHandler.extractTopicName`.
fn topic(parts: &[&str], is_v2: bool, end: usize) -> Result<TopicName, Refusal> {
    let bad = |text: String| Refusal::new(400, text);
    let (domain, namespace) = match (is_v2, parts) {
        (true, [_, _, _, _, domain, tenant, name, _, ..]) => (domain, Namespace::v2(tenant, name)),
        (false, [_, _, _, domain, tenant, cluster, name, _, ..]) => {
            (domain, Namespace::v1(tenant, cluster, name))
        }
        // Java's text for a consumer in the same case has the prefix of its parameter errors.
        _ if end == SUBSCRIPTION_PART => {
            return Err(Refusal::invalid_params("Invalid topic name format"));
        }
        _ => return Err(bad("Invalid topic name format".to_owned())),
    };
    if !["persistent", "non-persistent"].contains(domain) {
        return Err(bad(
            "Invalid topic domain: persistent or non-persistent".to_owned()
        ));
    }
    let namespace = namespace.map_err(bad)?;
    // Empty parts are skipped, but for the first.
    let mut local = parts[TOPIC_PART].to_owned();
    let more = parts.get(TOPIC_PART + 1..end).unwrap_or_default();
    for part in more.iter().filter(|part| !part.is_empty()) {
        local.push('/');
        local.push_str(part);
    }
    let local = decode(&local, "topic")?;
    TopicName::new(domain, &namespace, &local).map_err(bad)
}

/// `MultiTopicConsumerHandler`: what follows the subscription is ignored.
fn multi_topic(parts: &[&str], raw_query: &str) -> Result<Endpoint, Refusal> {
    let (topic, topics) = TopicSet::parse(&Query::parse(raw_query)?)?;
    let subscription = match parts.get(4) {
        None => return Err(Refusal::invalid_params("Invalid topic name format")),
        Some(part) => subscription_name(part)?,
    };
    Ok(Endpoint {
        kind: EndpointKind::MultiTopicConsumer {
            subscription,
            topics,
        },
        topic,
    })
}

/// `ConsumerHandler.extractSubscription`.
fn subscription(parts: &[&str]) -> Result<String, Refusal> {
    match parts.get(SUBSCRIPTION_PART..) {
        Some([part]) => subscription_name(part),
        _ => Err(Refusal::invalid_params("Invalid topic name format")),
    }
}

fn subscription_name(part: &str) -> Result<String, Refusal> {
    if part.is_empty() {
        return Err(Refusal::invalid_params("Empty subscription name"));
    }
    let subscription = decode(part, "subscription")?;
    if super::topic::is_blank(&subscription) {
        return Err(Refusal::invalid_params("subscriptionName cannot be blank"));
    }
    if subscription.len() > NAME_BYTES_MAX {
        let text = too_long("subscription", NAME_BYTES_MAX);
        return Err(Refusal::invalid_params(text));
    }
    Ok(subscription)
}

/// Java's `Codec.decode`, but what is no UTF-8 is refused where Java puts a replacement character. NUL is refused as by
/// Jetty.
fn decode(text: &str, what: &str) -> Result<String, Refusal> {
    match percent::decode(text) {
        Ok(decoded) if decoded.contains('\0') => Err(Refusal::new(
            400,
            format!("The {what} name has a NUL character"),
        )),
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(percent::PercentError::Escape) => Err(Refusal::new(
            400,
            format!("Invalid percent escape in the {what} name"),
        )),
        Err(percent::PercentError::NotUtf8) => Err(Refusal::new(
            400,
            format!("The {what} name is not valid UTF-8"),
        )),
    }
}

fn not_found() -> Refusal {
    Refusal::new(404, "Not Found")
}
