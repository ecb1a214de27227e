//! What the web service is asked: the same answers as to a LOOKUP and a PARTITIONED_METADATA, in HTTP's words
//! (`TopicLookupBase`, `PersistentTopicsBase`), and what is granted.

use ::pulsar::proto::ServerError;
use ::pulsar::proto::command_get_topics_of_namespace::Mode;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::Broker;
use super::subscription::Refusal;

/// A status, its words and a body of JSON; or another target to ask for.
#[derive(Debug)]
pub(in crate::embedded) struct WebAnswer {
    pub status: u16,
    pub reason: String,
    pub body: String,
    pub redirect: Option<String>,
}

impl WebAnswer {
    pub(super) fn ok(body: &serde_json::Value) -> WebAnswer {
        WebAnswer {
            status: 200,
            reason: "OK".to_owned(),
            body: body.to_string(),
            redirect: None,
        }
    }

    /// In the form of Pulsar's `RestException`.
    pub fn refused(status: u16, reason: &str) -> WebAnswer {
        WebAnswer {
            status,
            // It stands in the status line.
            reason: reason.chars().filter(|c| !c.is_control()).collect(),
            body: json!({ "reason": reason }).to_string(),
            redirect: None,
        }
    }
}

impl Broker {
    pub fn web_request(&mut self, target: &str) -> WebAnswer {
        let path = target.split('?').next().unwrap_or_default();
        let lookup = ["/lookup/v2/topic/", "/lookup/v2/destination/"];
        if let Some(topic) = lookup.iter().find_map(|prefix| path.strip_prefix(prefix)) {
            if self.faults.take_redirect() {
                return WebAnswer {
                    status: 307,
                    reason: "Temporary Redirect".to_owned(),
                    body: String::new(),
                    redirect: Some(format!("{path}?authoritative=true")),
                };
            }
            return self.web_owner(topic).unwrap_or_else(refused);
        }
        let namespace = path
            .strip_prefix("/admin/v2/namespaces/")
            .and_then(|rest| rest.strip_suffix("/topics"))
            .or_else(|| {
                path.strip_prefix("/admin/namespaces/")?
                    .strip_suffix("/destinations")
            });
        if let Some(namespace) = namespace {
            let mode = match target.split("mode=").nth(1) {
                Some("NON_PERSISTENT") => Mode::NonPersistent,
                Some("ALL") => Mode::All,
                _ => Mode::Persistent,
            };
            return WebAnswer::ok(&json!(self.topics_in(namespace, mode)));
        }
        if let Some(tenant) = path.strip_prefix("/admin/v2/tenants/") {
            return self.web_tenant(tenant);
        }
        if path == "/admin/v2/clusters" {
            return WebAnswer::ok(&json!(["standalone"]));
        }
        let policies = ["/admin/v2/namespaces/", "/admin/namespaces/"];
        let policies = policies.iter().find_map(|prefix| path.strip_prefix(prefix));
        if let Some(namespace) = policies {
            return self.web_policies(namespace);
        }
        let topic = path
            .strip_prefix("/admin/v2/")
            .or_else(|| path.strip_prefix("/admin/"))
            .and_then(|rest| rest.strip_suffix("/partitions"));
        match topic {
            Some(topic) => self.web_partitions(topic).unwrap_or_else(refused),
            None => WebAnswer::refused(404, "Not Found"),
        }
    }

    fn web_owner(&mut self, topic: &str) -> Result<WebAnswer, Refusal> {
        let url = self.owner_of(&topic_of(topic))?;
        Ok(WebAnswer::ok(&json!({
            "brokerUrl": url,
            "httpUrl": "",
            "nativeUrl": url,
            "brokerUrlSsl": "",
        })))
    }

    fn web_partitions(&mut self, topic: &str) -> Result<WebAnswer, Refusal> {
        let partitions = self.partitions_of(&topic_of(topic))?;
        Ok(WebAnswer::ok(
            &json!({ "partitions": partitions, "deleted": false }),
        ))
    }
}

/// `persistent/tenant/namespace/local%20name` as a topic name.
fn topic_of(path: &str) -> String {
    let name = percent_decode_str(path).decode_utf8_lossy();
    name.replacen('/', "://", 1)
}

fn refused(refusal: Refusal) -> WebAnswer {
    let status = match refusal.error {
        ServerError::TopicNotFound => 404,
        ServerError::AuthenticationError => 401,
        ServerError::AuthorizationError => 403,
        ServerError::TooManyRequests => 429,
        ServerError::InvalidTopicName => 412,
        ServerError::ServiceNotReady => 503,
        _ => 500,
    };
    WebAnswer::refused(status, &refusal.message)
}
