//! What is asked where, as in Java's `HttpLookupService`; V1 names have resources of their own.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What Java's `URLEncoder` leaves as it is; brokers decode with its counterpart.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*');

/// A topic name for a path: `persistent/tenant/namespace/local` or `persistent/tenant/cluster/namespace/local`
/// (`TopicName.getLookupName`), and whether it is the former.
fn lookup_name(topic: &str) -> (String, bool) {
    let (domain, rest) = topic.split_once("://").unwrap_or(("persistent", topic));
    let domain = utf8_percent_encode(domain, KEPT).to_string();
    let parts: Vec<&str> = rest.splitn(4, '/').collect();
    let encoded = parts.iter().map(|part| utf8_percent_encode(part, KEPT));
    let name = encoded.fold(domain, |name, part| format!("{name}/{part}"));
    (name, parts.len() < 4)
}

/// Who owns a topic.
pub fn lookup_path(topic: &str) -> String {
    match lookup_name(topic) {
        (name, true) => format!("/lookup/v2/topic/{name}"),
        (name, false) => format!("/lookup/v2/destination/{name}"),
    }
}

/// How many partitions it has. With `create`, a topic that is not there is made, where the namespace allows it.
pub fn partitions_path(topic: &str, create: bool) -> String {
    match lookup_name(topic) {
        (name, true) => format!("/admin/v2/{name}/partitions?checkAllowAutoCreation={create}"),
        (name, false) => format!("/admin/{name}/partitions?checkAllowAutoCreation={create}"),
    }
}

/// Which topics a namespace has (`tenant/namespace`, or `tenant/cluster/namespace`).
pub fn topics_path(namespace: &str, persistent: bool) -> String {
    let mode = match persistent {
        true => "PERSISTENT",
        false => "NON_PERSISTENT",
    };
    let name = encoded(namespace);
    match namespace.matches('/').count() {
        1 => format!("/admin/v2/namespaces{name}/topics?mode={mode}"),
        _ => format!("/admin/namespaces{name}/destinations?mode={mode}"),
    }
}

/// A namespace's policies (`tenant/namespace`, or `tenant/cluster/namespace`).
pub fn policies_path(namespace: &str) -> String {
    let name = encoded(namespace);
    match namespace.matches('/').count() {
        1 => format!("/admin/v2/namespaces{name}"),
        _ => format!("/admin/namespaces{name}"),
    }
}

/// A tenant's administrators.
pub fn tenant_path(tenant: &str) -> String {
    format!("/admin/v2/tenants{}", encoded(tenant))
}

/// The names of all clusters.
pub const CLUSTERS_PATH: &str = "/admin/v2/clusters";

/// `/` before each part.
fn encoded(name: &str) -> String {
    let parts = name.split('/').map(|part| utf8_percent_encode(part, KEPT));
    parts.fold(String::new(), |name, part| format!("{name}/{part}"))
}

/// A GET for a target that is made here or was checked by [`super::redirect`]; `headers` are whole lines. One request per
/// connection: a connection that is kept can be closed by the server at the moment it is used again.
pub fn request(authority: &str, target: &str, headers: &str) -> Vec<u8> {
    // In one piece: headers have credentials, and what grows leaves copies behind.
    let parts = [
        "GET ",
        target,
        " HTTP/1.1\r\nHost: ",
        authority,
        "\r\nAccept: application/json\r\n",
        headers,
        "Connection: close\r\n\r\n",
    ];
    parts.concat().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v2_and_v1_names_have_their_own_resources() {
        assert_eq!(
            lookup_path("persistent://public/default/t"),
            "/lookup/v2/topic/persistent/public/default/t"
        );
        assert_eq!(
            lookup_path("non-persistent://sample/standalone/ns1/t"),
            "/lookup/v2/destination/non-persistent/sample/standalone/ns1/t"
        );
        assert_eq!(
            partitions_path("persistent://public/default/t", true),
            "/admin/v2/persistent/public/default/t/partitions?checkAllowAutoCreation=true"
        );
        assert_eq!(
            partitions_path("persistent://sample/standalone/ns1/t", true),
            "/admin/persistent/sample/standalone/ns1/t/partitions?checkAllowAutoCreation=true"
        );
    }

    #[test]
    fn nothing_in_a_topics_name_leaves_its_place_in_the_path() {
        assert_eq!(
            partitions_path("x HTTP/1.1\r\nDELETE /admin ://a/b/c\r\n", false),
            "/admin/v2/x%20HTTP%2F1.1%0D%0ADELETE%20%2Fadmin%20/a/b/c%0D%0A/partitions?checkAllowAutoCreation=false"
        );
    }

    #[test]
    fn nothing_in_a_namespace_leaves_its_place_in_the_path() {
        assert_eq!(
            topics_path("public/de fault?x\r\n", true),
            "/admin/v2/namespaces/public/de%20fault%3Fx%0D%0A/topics?mode=PERSISTENT"
        );
        assert_eq!(
            topics_path("sample/standalone/ns1", false),
            "/admin/namespaces/sample/standalone/ns1/destinations?mode=NON_PERSISTENT"
        );
    }

    #[test]
    fn permissions_are_read_by_names_that_stay_in_their_place() {
        assert_eq!(
            policies_path("public/default"),
            "/admin/v2/namespaces/public/default"
        );
        assert_eq!(
            policies_path("sample/standalone/ns1"),
            "/admin/namespaces/sample/standalone/ns1"
        );
        assert_eq!(tenant_path("a b?c"), "/admin/v2/tenants/a%20b%3Fc");
    }

    #[test]
    fn local_names_are_encoded_once() {
        assert_eq!(
            lookup_path("persistent://public/default/ns/a b/c+d%?é\r\n"),
            "/lookup/v2/destination/persistent/public/default/ns/a%20b%2Fc%2Bd%25%3F%C3%A9%0D%0A"
        );
    }
}
