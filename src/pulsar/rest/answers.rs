//! What a response says: the owner, a number of partitions, another address, or no.

use serde_json::Value;

use super::response::Response;
use crate::pulsar::types::{BrokerError, ErrorKind};

/// What is kept of a refusal's text: it goes to the client in one line.
const REASON_CHARS_MAX: usize = 512;
/// What a redirect may name as its target; ours are far below.
const TARGET_BYTES_MAX: usize = 4 * 1024;

/// `LookupData`: the URLs of the broker that owns the topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    pub service_url: Option<String>,
    pub service_url_tls: Option<String>,
}

/// `None`: the body is not a `LookupData`.
pub fn owner(body: &[u8]) -> Option<Owner> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| answer.get(name)?.as_str().map(str::to_owned);
    answer.is_object().then(|| Owner {
        service_url: text("brokerUrl").or_else(|| text("nativeUrl")),
        service_url_tls: text("brokerUrlTls").or_else(|| text("brokerUrlSsl")),
    })
}

/// `None`: the body is not a `PartitionedTopicMetadata`.
pub fn partitions(body: &[u8]) -> Option<u64> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    answer.get("partitions")?.as_u64()
}

/// `None`: the body is not a list of names.
pub fn topics(body: &[u8]) -> Option<Vec<String>> {
    serde_json::from_slice(body).ok()
}

/// Where a redirect leads: `host:port` and the target there. With TLS only `https` is followed, without only `http`, and
/// nothing that could not stand in a request line. An answer without an authority stays with the server that gave it.
pub fn redirect(response: &Response, tls: bool) -> Option<(Option<String>, String)> {
    let location = response.location.as_deref()?.trim();
    let legal = |byte: u8| byte.is_ascii_graphic();
    if location.len() > TARGET_BYTES_MAX || !location.bytes().all(legal) {
        return None;
    }
    if location.starts_with('/') && !location.starts_with("//") {
        return Some((None, location.to_owned()));
    }
    let (scheme, rest) = location.split_once("://")?;
    if !scheme.eq_ignore_ascii_case(if tls { "https" } else { "http" }) {
        return None;
    }
    let (authority, target) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    Some((Some(authority.to_owned()), target.to_owned()))
}

/// A status that is not a success, as the same refusal in the binary protocol. The text is the answer's `reason`, where
/// it has one, else its status line's.
pub fn refusal(response: &Response) -> BrokerError {
    let kind = match response.status {
        400 => ErrorKind::Invalid,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Unauthorized,
        404 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::Timeout,
        429 => ErrorKind::TooManyRequests,
        500.. => ErrorKind::Retryable,
        _ => ErrorKind::Other,
    };
    let answer: Option<Value> = serde_json::from_slice(&response.body).ok();
    let reason = answer
        .as_ref()
        .and_then(|answer| answer.get("reason")?.as_str())
        .unwrap_or(&response.reason);
    let message = match reason.trim() {
        "" => format!("HTTP status {}", response.status),
        reason => reason.chars().take(REASON_CHARS_MAX).collect(),
    };
    BrokerError { kind, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, location: Option<&str>, body: &str) -> Response {
        Response {
            status,
            reason: "Its Words".to_owned(),
            location: location.map(str::to_owned),
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn owners_and_partitions_are_read_as_brokers_write_them() {
        let body = r#"{"brokerUrl":"pulsar://b:6650","httpUrl":"http://b:8080","nativeUrl":"pulsar://n:6650","brokerUrlSsl":""}"#;
        let found = owner(body.as_bytes()).expect("an owner");
        assert_eq!(found.service_url.as_deref(), Some("pulsar://b:6650"));
        let old = owner(br#"{"nativeUrl":"pulsar://n:6650"}"#).expect("an owner");
        assert_eq!(old.service_url.as_deref(), Some("pulsar://n:6650"));
        assert_eq!(owner(b"[]"), None);
        assert_eq!(owner(b"<html>"), None);
        assert_eq!(partitions(br#"{"partitions":4,"deleted":false}"#), Some(4));
        for wrong in [
            "{}",
            r#"{"partitions":-1}"#,
            r#"{"partitions":"4"}"#,
            "4",
            "",
        ] {
            assert_eq!(partitions(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn redirects_lead_to_the_same_scheme_only() {
        let lead = |location| redirect(&response(307, Some(location), ""), false);
        assert_eq!(
            lead("http://b:8080/lookup/v2/topic/x?authoritative=true"),
            Some((
                Some("b:8080".to_owned()),
                "/lookup/v2/topic/x?authoritative=true".to_owned()
            ))
        );
        assert_eq!(lead("/x"), Some((None, "/x".to_owned())));
        for wrong in [
            "https://b/x",
            "//b/x",
            "x",
            "http://b/x y",
            "http://b/x\u{e9}",
        ] {
            assert_eq!(lead(wrong), None, "{wrong}");
        }
        let lead = |location| redirect(&response(307, Some(location), ""), true);
        assert_eq!(lead("http://b/x"), None);
        let there = Some((Some("b:8443".to_owned()), "/x".to_owned()));
        assert_eq!(lead("https://b:8443/x"), there);
    }

    #[test]
    fn refusals_have_the_kind_of_their_status_and_the_text_of_their_body() {
        let refused = refusal(&response(404, None, r#"{"reason":"Namespace not found"}"#));
        assert_eq!(refused.kind, ErrorKind::NotFound);
        assert_eq!(refused.message, "Namespace not found");
        for (status, kind) in [
            (401, ErrorKind::Unauthenticated),
            (403, ErrorKind::Unauthorized),
            (412, ErrorKind::Other),
            (429, ErrorKind::TooManyRequests),
            (500, ErrorKind::Retryable),
            (503, ErrorKind::Retryable),
        ] {
            let refused = refusal(&response(status, None, "<html>"));
            assert_eq!(
                (refused.kind, refused.message.as_str()),
                (kind, "Its Words")
            );
        }
    }
}
