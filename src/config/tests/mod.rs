//! Whole files and flags in, a configuration or its mistakes out.

mod security;

use std::path::PathBuf;

use super::*;

/// The file that Pulsar 4.0.8 ships, without its comments.
const SHIPPED: &str = "\
configurationMetadataStoreUrl=\nmetadataStoreSessionTimeoutMillis=30000\nmetadataStoreCacheExpirySeconds=300\n\
serviceUrl=\nserviceUrlTls=\nbrokerServiceUrl=\nbrokerServiceUrlTls=\nwebServicePort=8080\nwebServicePortTls=\n\
statusFilePath=\nbindAddress=0.0.0.0\nwebServiceHaProxyProtocolEnabled=false\nwebServiceTrustXForwardedFor=false\n\
webServiceLogDetailedAddresses=\nclusterName=\nwebSocketNumIoThreads=\nwebSocketNumServiceThreads=\n\
numHttpServerThreads=\nwebSocketConnectionsPerBroker=\nwebSocketPulsarClientMemoryLimitInMB=0\n\
webSocketSessionIdleTimeoutMillis=300000\nwebSocketMaxTextFrameSize=1048576\nhttpServerThreadPoolQueueSize=8192\n\
httpServerAcceptQueueSize=8192\nmaxHttpServerConnections=2048\nmaxConcurrentHttpRequests=1024\n\
authenticationEnabled=false\nauthenticationProviders=\nauthorizationEnabled=false\n\
authorizationProvider=org.apache.pulsar.broker.authorization.PulsarAuthorizationProvider\n\
authorizationAllowWildcardsMatching=false\nsuperUserRoles=\nbrokerClientTlsEnabled=false\n\
brokerClientAuthenticationPlugin=\nbrokerClientAuthenticationParameters=\nbrokerClientTrustCertsFilePath=\n\
tlsHostnameVerificationEnabled=false\nanonymousUserRole=\ntlsEnabled=false\ntlsAllowInsecureConnection=false\n\
tlsCertificateFilePath=\ntlsKeyFilePath=\ntlsTrustCertsFilePath=\ntlsRequireTrustedClientCertOnConnect=false\n\
tlsCertRefreshCheckDurationSec=300\ntlsProvider=Conscrypt\ntlsEnabledWithKeyStore=false\ntlsKeyStoreType=JKS\n\
tlsKeyStore=\ntlsKeyStorePassword=\ntlsTrustStoreType=JKS\ntlsTrustStore=\ntlsTrustStorePassword=\n\
webServiceTlsProtocols=\nwebServiceTlsCiphers=\nglobalZookeeperServers=\nconfigurationStoreServers=\n\
zooKeeperSessionTimeoutMillis=-1\nzooKeeperCacheExpirySeconds=-1\ncryptoKeyReaderFactoryClassName=\n";

fn check(text: &str) -> Result<Config, Vec<String>> {
    check_with(text, &[])
}

fn check_with(text: &str, flags: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let mut settings = properties::parse("websocket.conf", text).unwrap();
    settings.extend(flags.iter().map(|&(key, value)| Setting {
        key: key.into(),
        value: value.into(),
        place: Place::Flag("--set"),
    }));
    keys::check(IpAddr::V4(Ipv4Addr::UNSPECIFIED), settings)
        .map_err(|mistakes| mistakes.iter().map(Mistake::to_string).collect())
}

#[test]
fn the_shipped_file_is_known_to_the_last_key() {
    let config = check(SHIPPED).unwrap();
    assert_eq!(config.brokers, Brokers::Embedded);
    assert_eq!((config.port, config.max_connections), (8080, 2048));
    let notes = config.notes.join("\n");
    assert!(notes.contains("maxHttpServerConnections=2048 refuses every socket beyond"));
    assert!(!notes.contains("unknown"), "{notes}");
    // What does nothing is named once, with the reason.
    for key in [
        "httpServerThreadPoolQueueSize",
        "metadataStoreCacheExpirySeconds",
        "tlsProvider",
    ] {
        assert_eq!(notes.matches(key).count(), 1, "{key} in {notes}");
    }
}

#[test]
fn nothing_configured_is_a_loopback_gateway_with_its_own_broker() {
    let config = load(None, Vec::new()).unwrap();
    assert_eq!(config.bind, IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(config.brokers, Brokers::Embedded);
    assert!(!config.cores.is_empty());
    assert!(config.notes.is_empty());
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let text = "# comment\nwebServicePort=abc\nbindAddress=300.1.1.1.1\n\nwebSocketMaxTextFrameSize=0\n\
                numHttpServerThreads=many\nauthorizationEnabled=yes\nbrokerServiceUrl=localhost:6650\n";
    assert_eq!(
        check(text).unwrap_err(),
        [
            "websocket.conf line 2: webServicePort: 'abc' is not a port (1–65535, or 0 for any free one)",
            "websocket.conf line 3: bindAddress: '300.1.1.1.1' is neither an IP address nor a host name that resolves",
            "websocket.conf line 5: webSocketMaxTextFrameSize: '0' is not a whole number of 1 to 2147483647",
            "websocket.conf line 6: numHttpServerThreads: 'many' is not a whole number that fits 64 bits",
            "websocket.conf line 7: authorizationEnabled: 'yes' is not true or false",
            "websocket.conf line 8: brokerServiceUrl: 'localhost:6650' is not a broker URL such as pulsar://host:6650",
        ]
    );
}

#[test]
fn the_later_setting_wins_and_an_empty_one_unsets() {
    let text =
        "webServicePort=1\nauthenticationEnabled=true\nwebServicePort=2\nbindAddress=1.2.3.4\n";
    let config = check_with(
        text,
        &[
            ("authenticationEnabled", "false"),
            ("bindAddress", ""),
            ("webServicePort", "3"),
        ],
    )
    .unwrap();
    assert_eq!(config.port, 3);
    assert_eq!(config.bind, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    assert_eq!(
        config.notes,
        ["websocket.conf line 3: webServicePort overrides line 1"]
    );
}

#[test]
fn half_a_way_to_the_cluster_is_not_replaced_by_memory() {
    for (line, missing) in [
        ("serviceUrlTls=https://localhost:8443", "has to be true"),
        (
            "brokerServiceUrlTls=pulsar+ssl://localhost:6651",
            "has to be true",
        ),
        (
            "configurationMetadataStoreUrl=zk:localhost:2181",
            "wants clusterName",
        ),
        (
            "configurationStoreServers=localhost:2181",
            "wants clusterName",
        ),
        (
            "clusterName=standalone",
            "set configurationMetadataStoreUrl",
        ),
    ] {
        let mistakes = check(line).unwrap_err();
        assert!(mistakes[0].contains(missing), "{line}: {mistakes:?}");
        let both = format!("{line}\nbrokerServiceUrl=pulsar://localhost:6650");
        let config = check(&both).unwrap();
        assert!(matches!(config.brokers, Brokers::ServiceUrls(_)), "{line}");
    }
}

#[test]
fn the_ways_to_the_cluster_are_taken_in_javas_order() {
    let brokers = |text: &str| check(text).unwrap().brokers.to_string();
    let old = "globalZookeeperServers=old:1\nclusterName=c\n";
    assert_eq!(brokers(old), "cluster c of zk:old:1");
    let newer = format!("{old}configurationStoreServers=newer:1,more:2/root\n");
    assert_eq!(brokers(&newer), "cluster c of zk:newer:1,more:2/root");
    let newest = format!("{newer}configurationMetadataStoreUrl=zk:newest:1\n");
    assert_eq!(brokers(&newest), "cluster c of zk:newest:1");
    let web = format!("{newest}serviceUrl=http://a:8080,b:8080\n");
    assert_eq!(brokers(&web), "http://a:8080,http://b:8080");
    let direct = format!("{web}brokerServiceUrl=pulsar://a:6650,b:6650\n");
    assert_eq!(brokers(&direct), "pulsar://a:6650,pulsar://b:6650");
}

#[test]
fn the_stores_session_timeout_is_javas_and_its_old_name_wins() {
    let timeout_ms = |text: &str| {
        let found = format!("configurationMetadataStoreUrl=h\nclusterName=c\n{text}");
        match check(&found).unwrap().brokers {
            Brokers::InStore(store) => store.session_timeout_ms,
            other => panic!("{other}"),
        }
    };
    assert_eq!(timeout_ms(""), 30_000);
    assert_eq!(timeout_ms("metadataStoreSessionTimeoutMillis=5000"), 5_000);
    let both = "zooKeeperSessionTimeoutMillis=-1\nmetadataStoreSessionTimeoutMillis=5000";
    assert_eq!(timeout_ms(both), 5_000);
    let old = "zooKeeperSessionTimeoutMillis=7000\nmetadataStoreSessionTimeoutMillis=5000";
    assert_eq!(timeout_ms(old), 7_000);
}

#[test]
fn a_mistaken_broker_url_is_one_mistake_not_two() {
    let mistakes = check("brokerServiceUrl=pulsar://\nclusterName=c\n").unwrap_err();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
}

#[test]
fn unknown_keys_are_noticed_with_the_key_that_may_be_meant() {
    let config =
        check("webServicPort=9\nfooBar=1\nbrokerClient_requestTimeoutMs=1\nMIIEvQ+/abc=\n")
            .unwrap();
    assert_eq!(
        config.notes,
        [
            "websocket.conf line 1: unknown key webServicPort, ignored; is webServicePort meant?",
            "websocket.conf line 2: unknown key fooBar, ignored",
            "websocket.conf line 3: brokerClient_requestTimeoutMs has no effect: not an option of this gateway's Pulsar client",
            "websocket.conf line 4: not a known key, ignored",
        ]
    );
}

#[test]
fn ignored_keys_are_told_without_their_values() {
    let text = "saslJaasServerRoleTokenSignerSecretPath=c2VjcmV0\nwebSocketNumIoThreads=8\n";
    let config = check(text).unwrap();
    assert_eq!(config.notes.len(), 2);
    assert!(
        config
            .notes
            .iter()
            .all(|note| note.contains("has no effect"))
    );
    assert!(!config.notes.join("\n").contains("c2VjcmV0"));
}

#[test]
fn values_in_messages_are_short_and_printable_and_hold_no_credentials() {
    let long = format!(
        "webServicePort={}\nbrokerServiceUrl=pulsar://user:pass@host\n",
        "7".repeat(4000)
    );
    let mistakes = check(&long).unwrap_err();
    assert!(mistakes[0].len() < 200 && mistakes[0].contains('…'));
    assert!(!mistakes[1].contains("pass"));
    let escape = check("webServicePort=\\u001b[31m").unwrap_err();
    assert!(!escape[0].contains('\u{1b}'));
}

#[test]
fn java_s_ways_of_saying_off_are_understood() {
    let config = check(
        "webSocketPingDurationSeconds=-1\nwebSocketSessionIdleTimeoutMillis=0\nmaxHttpServerConnections=0\n",
    )
    .unwrap();
    assert_eq!(config.ping_interval_ms, None);
    assert_eq!(config.idle_timeout_ms, limits::IDLE_TIMEOUT_MS);
    assert_eq!(config.max_connections, limits::CONNECTIONS_MAX);
    let config = check("webSocketPingDurationSeconds=2147483647\n").unwrap();
    assert_eq!(config.ping_interval_ms, Some(limits::TIME_MAX_MS));
    assert_eq!(
        check("webSocketPingDurationSeconds=30")
            .unwrap()
            .ping_interval_ms,
        Some(30_000)
    );
}

#[test]
fn connections_per_broker_count_the_whole_process() {
    let config = check_with("webSocketConnectionsPerBroker=5\n", &[("cores", "0")]);
    if let Ok(config) = config {
        assert_eq!(config.connections_per_broker, 5);
    }
    let config = check("webSocketConnectionsPerBroker=1\n").unwrap();
    assert_eq!(config.connections_per_broker, 1);
}

#[test]
fn own_keys_are_read_and_bounded() {
    let config =
        check("upstream=per-socket\nhubRetainedBytes=4096\nsocketUnsentBytes=8192\n").unwrap();
    assert_eq!(config.upstream, UpstreamMode::PerSocket);
    assert_eq!(
        (config.hub_retained_bytes, config.socket_unsent_bytes),
        (4096, 8192)
    );
    for bad in [
        "upstream=both",
        "hubRetainedBytes=1",
        "producerPendingBytes=99999999999999",
        "cores=9999",
    ] {
        assert!(check(bad).is_err(), "{bad}");
    }
    let backoff = "brokerClient_initialBackoffIntervalNanos=2000000000\nbrokerClient_maxBackoffIntervalNanos=1\n";
    assert!(check(backoff).is_err());
}

#[test]
fn the_help_names_every_own_key_once() {
    let help = own_keys_help();
    for key in [
        "cores",
        "upstream",
        "hubRetainedBytes",
        "drainTimeoutMillis",
    ] {
        assert_eq!(help.matches(&format!("  {key} ")).count(), 1, "{key}");
    }
}

/// A file in the temporary folder, gone with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, bytes: &[u8]) -> Scratch {
        let path = std::env::temp_dir().join(format!("pws-fast-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn files_that_cannot_be_read_say_so() {
    let missing = load(Some(Path::new("/nonexistent/websocket.conf")), Vec::new()).unwrap_err();
    assert!(
        missing[0]
            .to_string()
            .starts_with("/nonexistent/websocket.conf: ")
    );
    let latin = Scratch::new("latin.conf", b"a=1\nb=\xe9\n");
    assert!(
        load(Some(&latin.0), Vec::new()).unwrap_err()[0]
            .to_string()
            .ends_with("line 2 is not UTF-8")
    );
    let huge = Scratch::new(
        "huge.conf",
        &vec![b'#'; limits::FILE_BYTES_MAX as usize + 1],
    );
    assert!(
        load(Some(&huge.0), Vec::new()).unwrap_err()[0]
            .to_string()
            .contains("larger than")
    );
    let good = Scratch::new("good.conf", b"webServicePort=0\n");
    let config = load(Some(&good.0), Vec::new()).unwrap();
    assert_eq!(
        (config.port, config.bind),
        (0, IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    );
}
