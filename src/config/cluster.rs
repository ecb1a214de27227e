//! Where Pulsar is: by the brokers' own URL, by their web services, or as a metadata store has it.

use std::fmt;

use serde_json::Value;

use super::limits::{self, BROKERS_MAX};
use super::values::{self, BrokerAddress, authority};

/// ZooKeeper's own.
const ZOOKEEPER_PORT: u16 = 2181;
/// Stores that Pulsar knows and this gateway does not.
const OTHER_STORES: [&str; 5] = ["etcd", "oxia", "rocksdb", "memory", "local"];

/// Where Pulsar is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brokers {
    /// No broker is configured: one is started in this process.
    Embedded,
    /// `brokerServiceUrl`: tried in turn. Never empty.
    ServiceUrls(Vec<BrokerAddress>),
    /// `serviceUrl`, whose brokers are found by HTTP; tried in turn. Never empty.
    WebServices(Vec<WebAddress>),
    /// One of the above, to be read from a metadata store when the process starts.
    InStore(ClusterInStore),
}

/// A web service's `http://host:port` or `https://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAddress {
    /// A name, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    /// `https://`.
    pub tls: bool,
}

/// A cluster whose URLs a ZooKeeper has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterInStore {
    /// `host:port[,host:port…][/path]`, the path being what all others begin with.
    pub servers: String,
    pub cluster: String,
    pub session_timeout_ms: u64,
    /// Its URLs with TLS are meant.
    pub with_tls: bool,
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

/// For the log: the service URL, or what stands in for it.
impl fmt::Display for Brokers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Brokers::Embedded => f.write_str("an embedded broker"),
            Brokers::ServiceUrls(addresses) => list(f, addresses),
            Brokers::WebServices(addresses) => list(f, addresses),
            Brokers::InStore(store) => {
                write!(f, "cluster {} of zk:{}", store.cluster, store.servers)
            }
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, addresses: &[impl fmt::Display]) -> fmt::Result {
    for (index, address) in addresses.iter().enumerate() {
        let separator = if index > 0 { "," } else { "" };
        write!(f, "{separator}{address}")?;
    }
    Ok(())
}

impl Brokers {
    /// TLS is what leads there.
    pub fn with_tls(&self) -> bool {
        match self {
            Brokers::Embedded => false,
            Brokers::ServiceUrls(brokers) => brokers.iter().any(|broker| broker.tls),
            Brokers::WebServices(addresses) => addresses.iter().any(|address| address.tls),
            Brokers::InStore(store) => store.with_tls,
        }
    }

    /// Out of the JSON that Pulsar keeps for a cluster (`ClusterData`): the brokers' URL, else the web services', those
    /// with TLS or those without.
    ///
    /// # Errors
    /// What is missing, completing the sentence "/admin/clusters/name …".
    pub fn of_cluster_data(json: &[u8], with_tls: bool) -> Result<Brokers, String> {
        let data: Value = serde_json::from_slice(json)
            .map_err(|error| format!("is not the JSON of a cluster: {error}"))?;
        let url = |name: &str| {
            let url = data.get(name).and_then(Value::as_str).map(str::trim);
            url.filter(|url| !url.is_empty())
        };
        let wrong = |name: &str, why: String| format!("has a {name} that {why}");
        let (brokers, web_services) = match with_tls {
            true => ("brokerServiceUrlTls", "serviceUrlTls"),
            false => ("brokerServiceUrl", "serviceUrl"),
        };
        if let Some(text) = url(brokers) {
            let found = values::brokers(text).map_err(|why| wrong(brokers, why))?;
            return Ok(Brokers::ServiceUrls(found));
        }
        if let Some(text) = url(web_services) {
            let found = self::web_services(text).map_err(|why| wrong(web_services, why))?;
            return Ok(Brokers::WebServices(found));
        }
        let other = url("brokerServiceUrlTls").or_else(|| url("serviceUrlTls"));
        Err(match (with_tls, other) {
            (true, _) => {
                "has neither a brokerServiceUrlTls (pulsar+ssl://…) nor a serviceUrlTls (https://…), which \
                 brokerClientTlsEnabled asks for"
            }
            (false, Some(_)) => {
                "has only URLs with TLS: set brokerClientTlsEnabled=true"
            }
            (false, None) => "has neither a brokerServiceUrl (pulsar://…) nor a serviceUrl (http://…)",
        }
        .to_owned())
    }
}

/// What the settings say about the way to the cluster, before one way is chosen.
#[derive(Default)]
pub(super) struct Ways {
    pub brokers: Vec<BrokerAddress>,
    pub web_services: Vec<WebAddress>,
    /// The same by the keys for TLS.
    pub brokers_tls: Vec<BrokerAddress>,
    pub web_services_tls: Vec<WebAddress>,
    /// `brokerClientTlsEnabled`.
    pub with_tls: bool,
    /// By the newest of the three keys that is set.
    pub store: [Option<String>; 3],
    pub cluster: Option<String>,
    pub session_timeout_ms: u64,
    /// By its old name, which wins, as in Java.
    pub old_session_timeout_ms: Option<u64>,
}

impl Ways {
    /// The metadata store, by the newest of its keys; its cluster has no name where none is set.
    pub fn in_store(&self) -> Option<ClusterInStore> {
        Some(ClusterInStore {
            servers: self.store.iter().flatten().next()?.clone(),
            cluster: self.cluster.clone().unwrap_or_default(),
            session_timeout_ms: self
                .old_session_timeout_ms
                .unwrap_or(self.session_timeout_ms),
            with_tls: self.with_tls,
        })
    }

    /// A URL that may be used asks for TLS, or the store is to give one that does.
    pub fn any_tls(&self) -> bool {
        let brokers = self.brokers.iter().any(|broker| broker.tls);
        self.with_tls || brokers || self.web_services.iter().any(|service| service.tls)
    }

    /// As in Java: the brokers' URL, else the web services', else what the store says; with `brokerClientTlsEnabled` by
    /// their keys for TLS, where Java stops at the keys without `Tls`, whose URLs say by themselves what they want.
    ///
    /// # Errors
    /// The key that names half a way, and what is missing.
    pub fn choose(self) -> Result<Brokers, (&'static str, &'static str)> {
        let store = self.in_store();
        let secured = Brokers::ServiceUrls(self.brokers.clone()).with_tls();
        let web_secured = Brokers::WebServices(self.web_services.clone()).with_tls();
        if self.with_tls && !self.brokers_tls.is_empty() {
            return Ok(Brokers::ServiceUrls(self.brokers_tls));
        }
        if self.with_tls && !self.web_services_tls.is_empty() {
            return Ok(Brokers::WebServices(self.web_services_tls));
        }
        if !self.brokers.is_empty() && (secured || !self.with_tls) {
            return Ok(Brokers::ServiceUrls(self.brokers));
        }
        if !self.web_services.is_empty() && (web_secured || !self.with_tls) {
            return Ok(Brokers::WebServices(self.web_services));
        }
        let only_tls = !self.brokers_tls.is_empty() || !self.web_services_tls.is_empty();
        let in_the_clear = !self.brokers.is_empty() || !self.web_services.is_empty();
        match (store, self.cluster) {
            (Some(store), Some(_)) if !in_the_clear => Ok(Brokers::InStore(store)),
            _ if in_the_clear => Err((
                "brokerClientTlsEnabled",
                "asks for TLS, and there are only URLs without: set brokerServiceUrlTls (pulsar+ssl://host:6651) or \
                 serviceUrlTls (https://host:8443)",
            )),
            _ if only_tls => Err((
                "brokerClientTlsEnabled",
                "has to be true for brokerServiceUrlTls and serviceUrlTls to count",
            )),
            (Some(_), None) => Err((
                "configurationMetadataStoreUrl",
                "wants clusterName beside it: the cluster whose URLs are read there",
            )),
            (None, Some(_)) => Err((
                "clusterName",
                "does not lead to the brokers alone: set configurationMetadataStoreUrl, serviceUrl, or \
                 brokerServiceUrl (--broker)",
            )),
            (Some(_), Some(_)) | (None, None) if self.with_tls => Err((
                "brokerClientTlsEnabled",
                "leads nowhere: set brokerServiceUrlTls (pulsar+ssl://host:6651) or serviceUrlTls (https://host:8443); \
                 TLS towards clients is webServicePortTls",
            )),
            (Some(_), Some(_)) | (None, None) => Ok(Brokers::Embedded),
        }
    }
}

/// `http://host:port[,host:port…]` or `https://…`, the scheme repeated or not.
pub(super) fn web_services(text: &str) -> Result<Vec<WebAddress>, String> {
    let mut addresses: Vec<WebAddress> = Vec::new();
    for part in text.split([',', ';']).map(str::trim) {
        let (scheme, rest) = part.split_once("://").unwrap_or(("", part));
        let first = addresses.first().map(|first| first.tls);
        let tls = match (scheme.to_ascii_lowercase().as_str(), first) {
            ("http", _) => false,
            ("https", _) => true,
            ("", Some(first)) => first,
            ("pulsar" | "pulsar+ssl", _) => {
                return Err("is a broker URL: set it as brokerServiceUrl".into());
            }
            _ => return Err("is not a URL such as http://host:8080".into()),
        };
        if first.is_some_and(|first| first != tls) {
            return Err("mixes http:// and https://".into());
        }
        let default_port = if tls {
            limits::WEB_PORT_TLS
        } else {
            limits::PORT
        };
        let (host, port) = authority(rest, default_port)?;
        addresses.push(WebAddress { host, port, tls });
        if addresses.len() > BROKERS_MAX {
            return Err(format!("names more than {BROKERS_MAX} servers"));
        }
    }
    Ok(addresses)
}

/// `[zk:]host:port[,host:port…][/path]`, as ZooKeeper's clients take it, without the `zk:`.
pub(super) fn store(text: &str) -> Result<String, String> {
    let other = |kind: &&str| {
        text.strip_prefix(*kind).is_some_and(|rest| {
            rest.starts_with(':') && !rest[1..].starts_with(|c: char| c.is_ascii_digit())
        })
    };
    if let Some(kind) = OTHER_STORES.iter().find(|kind| other(kind)) {
        return Err(format!(
            "is a store of the kind {kind}, which cannot be read here: set serviceUrl or brokerServiceUrl instead"
        ));
    }
    let text = text.strip_prefix("zk:").unwrap_or(text);
    let (hosts, path) = match text.find('/') {
        Some(slash) => text.split_at(slash),
        None => (text, ""),
    };
    let legal = |byte: u8| byte.is_ascii_graphic();
    if text.contains("://") || !path.bytes().all(legal) || path.contains("//") {
        return Err("is not a store such as zk:host:2181,host:2181/path".into());
    }
    let hosts: Vec<&str> = hosts.split([',', ';']).map(str::trim).collect();
    if hosts.len() > BROKERS_MAX {
        return Err(format!("names more than {BROKERS_MAX} servers"));
    }
    let mut servers = String::new();
    for host in hosts {
        let (host, port) = authority(host, ZOOKEEPER_PORT)?;
        let separator = if servers.is_empty() { "" } else { "," };
        servers += &match host.contains(':') {
            true => format!("{separator}[{host}]:{port}"),
            false => format!("{separator}{host}:{port}"),
        };
    }
    Ok(servers + path.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_services_are_read_with_and_without_repeated_schemes() {
        let shown =
            |text: &str| web_services(text).map(|found| Brokers::WebServices(found).to_string());
        assert_eq!(shown("http://h:8080/"), Ok("http://h:8080".into()));
        assert_eq!(
            shown("http://h:1, i ,http://[::1]:2/"),
            Ok("http://h:1,http://i:8080,http://[::1]:2".into())
        );
        assert_eq!(
            shown("https://h,i:1"),
            Ok("https://h:8443,https://i:1".into())
        );
        for bad in [
            "h:8080",
            "pulsar://h",
            "ftp://h",
            "http://",
            "http://u@h",
            "http://h,",
            "http://h,https://i",
        ] {
            assert!(web_services(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stores_are_read_as_pulsar_writes_them() {
        for (text, servers) in [
            ("zk:localhost:2181", "localhost:2181"),
            ("localhost:2181", "localhost:2181"),
            ("zk:a:1, b,[::1]:3/my/root/", "a:1,b:2181,[::1]:3/my/root"),
            ("zk1:2181,zk2:2181/", "zk1:2181,zk2:2181"),
            ("memory:2181", "memory:2181"),
        ] {
            assert_eq!(store(text).as_deref(), Ok(servers), "{text}");
        }
        for bad in [
            "etcd:http://h:2379",
            "rocksdb:///data",
            "oxia:h:6648",
            "http://h",
            "zk:",
            "zk:h:0",
            "zk:h:1,",
            "zk:u:p@h",
            "zk:h:1//x",
            "zk:h:1/a b",
        ] {
            assert!(store(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cluster_is_what_its_json_says() {
        let shown =
            |json: &str| Brokers::of_cluster_data(json.as_bytes(), false).map(|b| b.to_string());
        let both =
            r#"{"serviceUrl":"http://w:8080","brokerServiceUrl":"pulsar://b:6650,c:1","x":{}}"#;
        assert_eq!(shown(both).as_deref(), Ok("pulsar://b:6650,pulsar://c:1"));
        let web =
            r#"{"serviceUrl":"http://w:8080/","brokerServiceUrl":"","brokerServiceUrlTls":null}"#;
        assert_eq!(shown(web).as_deref(), Ok("http://w:8080"));
        for (json, why) in [
            ("[1", "not the JSON"),
            ("[]", "neither"),
            (
                r#"{"serviceUrlTls":"https://w"}"#,
                "brokerClientTlsEnabled=true",
            ),
            (
                r#"{"brokerServiceUrl":"pulsar://"}"#,
                "brokerServiceUrl that has no valid host",
            ),
            (
                r#"{"serviceUrl":"ftp://b"}"#,
                "serviceUrl that is not a URL",
            ),
        ] {
            let error = shown(json).expect_err(json);
            assert!(error.contains(why), "{json}: {error}");
        }
        let shown =
            |json: &str| Brokers::of_cluster_data(json.as_bytes(), true).map(|b| b.to_string());
        let both = r#"{"brokerServiceUrl":"pulsar://b","brokerServiceUrlTls":"pulsar+ssl://b"}"#;
        assert_eq!(shown(both).as_deref(), Ok("pulsar+ssl://b:6651"));
        let web = r#"{"brokerServiceUrl":"pulsar://b","serviceUrlTls":"https://w"}"#;
        assert_eq!(shown(web).as_deref(), Ok("https://w:8443"));
        assert!(shown(r#"{"brokerServiceUrl":"pulsar://b"}"#).is_err());
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(if cfg!(miri) { 8 } else { 512 }))]
        #[test]
        fn any_text_gives_a_way_or_a_reason(text in "(http://|zk:)?[a-z0-9:,;@/\\[\\]é.-]{0,30}") {
            let _ = (web_services(&text), store(&text), Brokers::of_cluster_data(text.as_bytes(), false));
        }
    }
}
