//! The broker's administration, in the words that the tests need: the embedded broker's handle, or Pulsar's REST API.
//!
//! Topics are those of `persistent://public/default` by their local names, others by their full ones.

use std::io::{Read, Write};
use std::net::TcpStream;

use pws_fast::embedded::{Embedded, Policies};
use serde_json::{Value, json};

use super::eventually;

pub enum Admin<'a> {
    Embedded(&'a Embedded),
    /// `http://host:port`
    Http(String),
}

/// What a broker says of a topic.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TopicStats {
    pub publishers: usize,
    pub subscriptions: Vec<SubscriptionStats>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct SubscriptionStats {
    pub name: String,
    pub consumers: usize,
    pub unacked: i64,
    pub backlog: u64,
}

impl TopicStats {
    pub fn is_in_use(&self) -> bool {
        self.publishers > 0 || self.subscriptions.iter().any(|s| s.consumers > 0)
    }

    pub fn subscription(&self, name: &str) -> Option<&SubscriptionStats> {
        self.subscriptions
            .iter()
            .find(|subscription| subscription.name == name)
    }
}

fn full(topic: &str) -> String {
    match topic.contains("://") {
        true => topic.to_owned(),
        false => format!("persistent://public/default/{topic}"),
    }
}

impl Admin<'_> {
    /// None: there is no such topic.
    pub fn stats(&self, topic: &str) -> Option<TopicStats> {
        match self {
            Admin::Embedded(broker) => broker.admin().stats(&full(topic)).map(|stats| TopicStats {
                publishers: stats.publishers.len(),
                subscriptions: stats
                    .subscriptions
                    .into_iter()
                    .map(|subscription| SubscriptionStats {
                        consumers: subscription.consumers.len(),
                        unacked: subscription
                            .consumers
                            .iter()
                            .map(|consumer| consumer.unacked)
                            .sum(),
                        backlog: subscription.backlog,
                        name: subscription.name,
                    })
                    .collect(),
            }),
            Admin::Http(url) => {
                let (status, body) = http(
                    url,
                    "GET",
                    &path(topic, "/stats?getPreciseBacklog=true"),
                    "",
                );
                (status == 200).then(|| stats_of(&serde_json::from_str(&body).expect("JSON")))
            }
        }
    }

    pub fn create_partitioned(&self, topic: &str, partitions: u32) {
        match self {
            Admin::Embedded(broker) => {
                broker
                    .admin()
                    .create_partitioned_topic(&full(topic), partitions)
                    .expect("it can be created");
            }
            Admin::Http(url) => expect_ok(http(
                url,
                "PUT",
                &path(topic, "/partitions"),
                &partitions.to_string(),
            )),
        }
    }

    /// More partitions for a topic that has some.
    pub fn update_partitions(&self, topic: &str, partitions: u32) {
        match self {
            Admin::Embedded(broker) => broker
                .admin()
                .update_partitioned_topic(&full(topic), partitions)
                .expect("it can be updated"),
            Admin::Http(url) => expect_ok(http(
                url,
                "POST",
                &path(topic, "/partitions"),
                &partitions.to_string(),
            )),
        }
    }

    /// A namespace (`tenant/namespace`) with nothing in it.
    pub fn create_namespace(&self, namespace: &str) {
        match self {
            Admin::Embedded(broker) => broker
                .admin()
                .create_namespace(namespace)
                .expect("it can be created"),
            Admin::Http(url) => {
                let path = format!("/admin/v2/namespaces/{namespace}");
                expect_ok(http(url, "PUT", &path, "{}"));
            }
        }
    }

    /// What is allowed in a namespace; on Pulsar it counts a moment later.
    pub fn set_policies(&self, namespace: &str, policies: &Policies) {
        let url = match self {
            Admin::Embedded(broker) => {
                return broker.admin().set_policies(namespace, policies.clone());
            }
            Admin::Http(url) => url,
        };
        let set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                let path = format!("/admin/v2/namespaces/{namespace}/{name}");
                expect_ok(http(url, "POST", &path, &value.to_string()));
            }
        };
        let auto_create = policies.auto_create_topics;
        set(
            "autoTopicCreation",
            auto_create.map(|allow| json!({ "allowAutoTopicCreation": allow })),
        );
        set(
            "backlogQuota",
            policies.backlog_quota.map(|quota| {
                let policy = match quota.hold {
                    true => "producer_request_hold",
                    false => "producer_exception",
                };
                json!({ "limitSize": quota.bytes, "limitTime": -1, "policy": policy })
            }),
        );
        let most = policies.max_producers_per_topic;
        set("maxProducersPerTopic", most.map(Value::from));
        let most = policies.max_consumers_per_topic;
        set("maxConsumersPerTopic", most.map(Value::from));
    }

    /// The broker lets go of the topic; clients have to find it again.
    ///
    /// Pulsar forgets the acks that wait for the first ledger of their cursor (`pendingMarkDeleteOps` of its
    /// `ManagedCursorImpl`) when the topic goes: what was acked before is stored first.
    pub fn unload(&self, topic: &str) {
        match self {
            Admin::Embedded(broker) => broker
                .admin()
                .unload(&full(topic))
                .expect("it can be unloaded"),
            Admin::Http(url) => {
                eventually("the cursors have their ledgers", || {
                    let (_, internals) = http(url, "GET", &path(topic, "/internalStats"), "");
                    !internals.contains("SwitchingLedger")
                });
                expect_ok(http(url, "PUT", &path(topic, "/unload"), ""));
            }
        }
    }

    /// The broker lets go of all bundles of a namespace, with the topics in them.
    pub fn unload_namespace(&self, namespace: &str) {
        match self {
            Admin::Embedded(broker) => broker
                .admin()
                .unload_namespace(namespace)
                .expect("there is one"),
            Admin::Http(url) => {
                let path = format!("/admin/v2/namespaces/{namespace}/unload");
                expect_ok(http(url, "PUT", &path, ""));
            }
        }
    }

    /// The subscription begins anew at the topic's first message.
    pub fn reset_to_earliest(&self, topic: &str, subscription: &str) {
        match self {
            Admin::Embedded(broker) => broker
                .admin()
                .reset_cursor(&full(topic), subscription, 0)
                .expect("there is such a subscription"),
            Admin::Http(url) => {
                let rest = format!("/subscription/{subscription}/resetcursor/0");
                expect_ok(http(url, "POST", &path(topic, &rest), ""));
            }
        }
    }

    /// Compacts the topic and waits for it. False: the embedded broker, which keeps every message.
    pub fn compact(&self, topic: &str) -> bool {
        let Admin::Http(url) = self else {
            return false;
        };
        expect_ok(http(url, "PUT", &path(topic, "/compaction"), ""));
        super::eventually("the topic is compacted", || {
            let (_, status) = http(url, "GET", &path(topic, "/compaction"), "");
            status.contains("SUCCESS")
        });
        true
    }

    pub fn terminate(&self, topic: &str) {
        match self {
            Admin::Embedded(broker) => broker
                .admin()
                .terminate(&full(topic))
                .expect("it can be terminated"),
            Admin::Http(url) => expect_ok(http(url, "POST", &path(topic, "/terminate"), "")),
        }
    }

    /// A namespace (`tenant/namespace`) whose topics are deduplicated. The embedded broker has this as an option for
    /// all: `World::deduplicating`.
    pub fn create_deduplicated_namespace(&self, namespace: &str) {
        match self {
            Admin::Embedded(broker) => broker
                .admin()
                .create_namespace(namespace)
                .expect("it can be created"),
            Admin::Http(url) => {
                let path = format!("/admin/v2/namespaces/{namespace}");
                let (status, body) = http(url, "PUT", &path, "{}");
                assert!(status == 204 || status == 409, "{status}: {body}");
                let path = format!("{path}/deduplication");
                expect_ok(http(url, "POST", &path, "true"));
            }
        }
    }

    /// Whoever is connected is closed first.
    pub fn delete_forced(&self, topic: &str) -> u16 {
        match self {
            Admin::Embedded(broker) => match broker.admin().delete_topic(&full(topic)) {
                Ok(()) => 204,
                Err(_) => 404,
            },
            Admin::Http(url) => http(url, "DELETE", &path(topic, "?force=true"), "").0,
        }
    }

    /// The status of an unforced delete: 2xx, or 412 while somebody is connected.
    pub fn delete(&self, topic: &str) -> u16 {
        match self {
            // The embedded broker's administrator closes whoever is connected.
            Admin::Embedded(_) if self.stats(topic).is_some_and(|stats| stats.is_in_use()) => 412,
            Admin::Embedded(broker) => match broker.admin().delete_topic(&full(topic)) {
                Ok(()) => 204,
                Err(_) => 404,
            },
            Admin::Http(url) => http(url, "DELETE", &path(topic, ""), "").0,
        }
    }
}

fn path(topic: &str, rest: &str) -> String {
    let name = full(topic).replacen("://", "/", 1);
    // With a cluster: a V1 name.
    let version = if name.matches('/').count() > 3 {
        ""
    } else {
        "/v2"
    };
    format!("/admin{version}/{name}{rest}")
}

fn stats_of(stats: &Value) -> TopicStats {
    let count = |value: &Value| value.as_array().map_or(0, Vec::len);
    let subscriptions = stats["subscriptions"].as_object().into_iter().flatten();
    TopicStats {
        publishers: count(&stats["publishers"]),
        subscriptions: subscriptions
            .map(|(name, of)| SubscriptionStats {
                name: name.clone(),
                consumers: count(&of["consumers"]),
                unacked: of["unackedMessages"].as_i64().unwrap_or_default(),
                backlog: of["msgBacklog"].as_u64().unwrap_or_default(),
            })
            .collect(),
    }
}

pub(super) fn expect_ok((status, body): (u16, String)) {
    assert!(
        (200..300).contains(&status),
        "the admin service answered {status}: {body}"
    );
}

/// One request to Pulsar's admin service; the status and body of its answer.
pub(super) fn http(url: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let host = url
        .strip_prefix("http://")
        .expect("an http URL")
        .trim_end_matches('/');
    let mut stream = TcpStream::connect(host).expect("the admin service accepts");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream
        .write_all(request.as_bytes())
        .expect("the request goes out");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    http_answer(&answer)
}

/// Status and body of an answer that is there as a whole.
pub fn http_answer(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    (
        status,
        if chunked {
            unchunk(body)
        } else {
            body.to_owned()
        },
    )
}

fn unchunk(body: &str) -> String {
    let mut rest = body;
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        match usize::from_str_radix(size.trim(), 16) {
            Ok(0) | Err(_) => break,
            Ok(size) => {
                whole.push_str(&after[..size]);
                rest = &after[size + 2..];
            }
        }
    }
    whole
}
