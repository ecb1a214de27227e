//! Whole files and flags in, a configuration or its mistakes out.

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
fn authorization_wants_to_know_where_permissions_stand() {
    let source = |lines: &str| match check(lines).unwrap().authorization {
        Some(Authorization::Gateway(permissions)) => permissions.source,
        other => panic!("{other:?}"),
    };
    let web = "authorizationEnabled=true\nserviceUrl=http://a:8080\n";
    let address = WebAddress {
        host: "a".into(),
        port: 8080,
        tls: false,
    };
    assert_eq!(
        source(web),
        PermissionSource::WebServices(vec![address.clone()])
    );
    let store = "configurationMetadataStoreUrl=zk:z:2181\nclusterName=c\n";
    // The web services first, whatever leads to the brokers.
    assert_eq!(
        source(&format!("{web}{store}brokerServiceUrl=pulsar://b:6650\n")),
        PermissionSource::WebServices(vec![address])
    );
    let in_store = source(&format!("authorizationEnabled=true\n{store}"));
    assert!(matches!(in_store, PermissionSource::Store(store) if store.servers == "z:2181"));
    let nowhere = "authorizationEnabled=true\nbrokerServiceUrl=pulsar://b:6650\n";
    assert_eq!(
        check(nowhere).unwrap_err(),
        [
            "websocket.conf line 1: authorizationEnabled wants serviceUrl (the brokers' web service) or \
             configurationMetadataStoreUrl: permissions are read there"
        ]
    );
    let other = format!("{web}authorizationProvider=com.example.Provider\n");
    let mistakes = check(&other).unwrap_err();
    assert!(mistakes[0].contains("line 3: authorizationProvider is a Java class"));
}

#[test]
fn forwarding_is_for_a_proxy_between_clients_and_brokers_that_decide() {
    let forwards = "forwardAuthorizationCredentials=true\n";
    let alone = check(forwards).unwrap_err();
    assert!(alone[0].contains("wants authorization=broker"), "{alone:?}");
    let by_brokers = format!(
        "{forwards}authenticationEnabled=true\nauthenticationProviders=\nauthorization=broker\n"
    );
    let nobody = check(&by_brokers).unwrap_err();
    assert!(
        nobody[0].contains("wants brokerClientAuthenticationPlugin"),
        "{nobody:?}"
    );
    let own = "brokerClientAuthenticationPlugin=org.apache.pulsar.client.impl.auth.AuthenticationToken\n\
               brokerClientAuthenticationParameters=token:t\n";
    let config = check(&format!("{by_brokers}{own}")).unwrap();
    assert!(matches!(
        config.authorization,
        Some(Authorization::Broker { forwards: true })
    ));
}

#[test]
fn a_java_class_of_keys_is_refused_with_what_to_use_instead() {
    let mistakes = check("cryptoKeyReaderFactoryClassName=com.example.Reader\n").unwrap_err();
    assert!(mistakes[0].contains("cryptoKeyDirectory"), "{mistakes:?}");
    assert!(check("cryptoKeyReaderFactoryClassName=\n").is_ok());
}

#[test]
fn an_empty_prefix_of_the_token_keys_is_none() {
    let token = "authenticationEnabled=true\nauthenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderToken\n";
    let key = "SecretKey=data:;base64,MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n";
    for prefixed in [
        format!("tokenSettingPrefix=\ntoken{key}"),
        format!("tokenSettingPrefix=my\nmytoken{key}"),
    ] {
        let config = check(&format!("{token}{prefixed}")).unwrap();
        assert!(config.authentication.is_some());
        assert_eq!(config.notes, [""; 0], "{prefixed}");
    }
}

#[test]
fn what_protects_nothing_because_its_switch_is_off_is_told() {
    let noted = |text: &str| check(text).unwrap().notes.join("\n");
    let who =
        noted("authenticationProviders=a.B\ntokenSecretKey=secret\nmaxConnectionsPerRole=3\n");
    assert!(
        who.contains("without effect: authenticationProviders, tokenSecretKey, maxConnectionsPerRole: authenticationEnabled"),
        "{who}"
    );
    let what = noted("superUserRoles=admin\n");
    assert!(what.contains("without effect: superUserRoles"), "{what}");
    let nobody = noted("authorizationEnabled=true\nserviceUrl=http://a:8080\n");
    assert!(nobody.contains("has the role <none>"), "{nobody}");
    let tls = noted(
        "authenticationEnabled=true\nauthenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderTls\n",
    );
    assert!(
        tls.contains("AuthenticationProviderTls lets nobody in"),
        "{tls}"
    );
    assert_eq!(noted("maxConnectionsPerRole=0\n"), "");
}

#[test]
fn without_authorization_its_other_keys_change_nothing() {
    let text = "authorizationProvider=com.example.Provider\nsuperUserRoles=a, b,\n";
    assert!(check(text).unwrap().authorization.is_none());
    let enabled = "authorizationEnabled=true\nserviceUrl=http://a:8080\nsuperUserRoles=a, b,\n";
    let Some(Authorization::Gateway(permissions)) = check(enabled).unwrap().authorization else {
        panic!("the gateway decides");
    };
    let roles = &permissions.rules.super_user_roles;
    assert!(roles.len() == 2 && roles.contains("a") && roles.contains("b"));
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

/// The least that a TLS port needs.
const TLS: &str = "webServicePortTls=8443\ntlsCertificateFilePath=/c.pem\ntlsKeyFilePath=/k.pem\n";

#[test]
fn a_tls_port_stands_beside_the_plain_one_or_alone() {
    let tls = |text: &str| check(&format!("{TLS}{text}")).unwrap().tls.unwrap();
    let beside = tls("");
    assert_eq!((beside.port, beside.alone), (8443, false));
    assert_eq!((beside.suites.len(), beside.refresh_ms), (9, 300_000));
    assert!(tls("webServicePort=\n").alone);
    assert_eq!(tls("tlsCertRefreshCheckDurationSec=0").refresh_ms, 1000);
    let none = check("tlsCertificateFilePath=/c.pem\n").unwrap();
    assert!(none.tls.is_none() && none.notes[0].contains("webServicePortTls"));
}

#[test]
fn ciphers_and_protocols_have_the_names_that_java_has() {
    let names = |text: &str| {
        let tls = check(&format!("{TLS}{text}")).unwrap().tls.unwrap();
        let names = tls
            .suites
            .iter()
            .map(|suite| format!("{:?}", suite.suite()));
        names.collect::<Vec<_>>()
    };
    assert_eq!(
        names(
            "webServiceTlsCiphers=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384\n"
        ),
        [
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS13_AES_256_GCM_SHA384"
        ]
    );
    assert_eq!(names("webServiceTlsProtocols=TLSv1.3\n").len(), 3);
    assert_eq!(names("webServiceTlsProtocols=TLSv1.3,TLSv1.2\n").len(), 9);
}

#[test]
fn tls_settings_that_cannot_work_say_what_to_do() {
    for (text, why) in [
        ("webServicePortTls=8443\n", "tlsCertificateFilePath"),
        (
            "webServicePortTls=8443\ntlsCertificateFilePath=/c\n",
            "tlsKeyFilePath",
        ),
        (
            "webServicePortTls=8443\ntlsEnabledWithKeyStore=true\n",
            "tlsKeyStore",
        ),
        ("webServicePortTls=many\n", "is not a port"),
        ("webServicePort=\n", "no port left"),
        ("tlsKeyStoreType=BKS\n", "is not PKCS12"),
        (
            &format!("{TLS}tlsRequireTrustedClientCertOnConnect=true\n"),
            "tlsTrustCertsFilePath",
        ),
        (
            &format!("{TLS}webServiceTlsProtocols=TLSv1.1\n"),
            "TLSv1.2 and TLSv1.3",
        ),
        (
            &format!("{TLS}webServiceTlsCiphers=RC4\n"),
            "there are TLS_AES_256_GCM_SHA384, ",
        ),
        (
            &format!(
                "{TLS}webServiceTlsProtocols=TLSv1.2\nwebServiceTlsCiphers=TLS_AES_128_GCM_SHA256\n"
            ),
            "none of these",
        ),
    ] {
        let mistakes = check(text).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].contains(why), "{text}: {}", mistakes[0]);
    }
}

#[test]
fn the_password_of_a_key_store_is_not_shown() {
    let text = "webServicePortTls=1\ntlsEnabledWithKeyStore=true\ntlsKeyStore=/k\ntlsKeyStorePassword=hunter2\n";
    let config = check(text).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn authentication_is_set_up_or_every_mistake_in_it_is_told() {
    let package = "org.apache.pulsar.broker.authentication.";
    let on = format!("authenticationEnabled=true\nauthenticationProviders={package}");
    let secret = "data:,0123456789abcdef0123456789abcdef";
    let good = check(&format!(
        "{on}AuthenticationProviderToken\ntokenSecretKey={secret}\n"
    ))
    .unwrap();
    assert!(good.authentication.is_some() && good.notes.is_empty());
    assert_eq!(good.authentication_refresh_ms, 60_000);
    assert!(!format!("{good:?}").contains("0123456789"));
    // With a prefix the bare names mean nothing.
    let prefixed = format!("{on}AuthenticationProviderToken\ntokenSettingPrefix=my\n");
    assert!(check(&format!("{prefixed}mytokenSecretKey={secret}\n")).is_ok());
    assert!(check(&format!("{prefixed}tokenSecretKey={secret}\n")).is_err());
    let mistakes = check(&format!(
        "{on}AuthenticationProviderSasl,{package}AuthenticationProviderTls\ntlsAllowInsecureConnection=true\n"
    ));
    let mistakes = mistakes.unwrap_err();
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    assert!(mistakes[0].contains("line 3: tlsAllowInsecureConnection"));
    assert!(mistakes[1].contains("AuthenticationProviderSasl is not served"));
    let short = check(&format!(
        "{on}AuthenticationProviderToken\ntokenSecretKey=data:,hunter2\n"
    ));
    let short = short.unwrap_err();
    assert!(short[0].starts_with("websocket.conf line 3: tokenSecretKey: "));
    assert!(!short[0].contains("hunter2"));
    // Everybody, as in Java; and nobody is asked without the switch.
    let open = check("authenticationEnabled=true").unwrap();
    assert_eq!(open.notes.len(), 1);
    assert!(check("tokenSecretKey=x").unwrap().authentication.is_none());
}

#[test]
fn tls_to_the_brokers_is_by_the_urls_that_ask_for_it() {
    let plain = "brokerServiceUrl=pulsar://b\nserviceUrl=http://w:8080\n";
    let tls = "brokerServiceUrlTls=pulsar+ssl://b\nserviceUrlTls=https://w\n";
    for (text, brokers, wanted) in [
        (
            "brokerServiceUrl=pulsar+ssl://b",
            "pulsar+ssl://b:6651",
            true,
        ),
        ("serviceUrl=https://w", "https://w:8443", true),
        (&format!("{plain}{tls}"), "pulsar://b:6650", false),
        (plain, "pulsar://b:6650", false),
        (
            &format!("{plain}{tls}brokerClientTlsEnabled=true"),
            "pulsar+ssl://b:6651",
            true,
        ),
        (
            "serviceUrlTls=https://w\nbrokerClient_useTls=true",
            "https://w:8443",
            true,
        ),
    ] {
        let config = check(text).expect(text);
        assert_eq!(config.brokers.to_string(), brokers, "{text}");
        assert_eq!(config.broker_client.tls.wanted, wanted, "{text}");
        assert!(config.broker_client.tls.verify_host);
    }
    for text in [
        format!("{plain}brokerClientTlsEnabled=true"),
        "brokerClientTlsEnabled=true".to_owned(),
        "brokerServiceUrlTls=pulsar://b".to_owned(),
    ] {
        let mistakes = check(&text).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{text}: {mistakes:?}");
    }
}

#[test]
fn credentials_to_the_brokers_are_checked_at_the_start_and_never_shown() {
    let plugin =
        "brokerClientAuthenticationPlugin=org.apache.pulsar.client.impl.auth.AuthenticationToken";
    let parameters = "brokerClientAuthenticationParameters=token:s3cret";
    let config = check(&format!("{plugin}\n{parameters}")).unwrap();
    assert!(matches!(config.broker_client.proof, Proof::Token(_)));
    assert!(!format!("{config:?}").contains("s3cret"));
    for text in [
        plugin.to_owned(),
        parameters.to_owned(),
        format!("{plugin}\nbrokerClientAuthenticationParameters=s3cret s3cret"),
        "brokerClientAuthenticationPlugin=com.example.S\nbrokerClientAuthenticationParameters=s3cret".to_owned(),
        "brokerClient_tlsKeyFilePath=/k.pem".to_owned(),
    ] {
        let mistakes = check(&text).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{text}");
        assert!(!mistakes[0].contains("s3cret"), "{}", mistakes[0]);
    }
}

#[test]
fn stores_towards_brokers_count_where_they_are_asked_for() {
    let stores = "brokerClientTrustCertsFilePath=/ca.pem\nbrokerClient_tlsKeyStorePath=/k.p12\n\
        brokerClient_tlsKeyStorePassword=s3cret\nbrokerClient_tlsTrustStorePath=/t.p12\n";
    let mistakes = check(stores).unwrap_err();
    let why = "brokerClient_tlsKeyStorePath wants brokerClient_useKeyStoreTls=true beside it";
    assert!(mistakes[0].contains(why), "{mistakes:?}");
    let config = check(&format!("{stores}brokerClient_useKeyStoreTls=true\n")).unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
    let paths = config
        .broker_client
        .tls
        .paths()
        .map(|it| it.display().to_string());
    assert_eq!(paths.collect::<Vec<_>>(), ["/t.p12", "/k.p12"]);
}

/// Java's gateway passes them over, and whoever has set them believes that they count.
#[test]
fn keys_that_only_brokers_know_are_refused_with_what_to_use() {
    for (key, instead) in [
        (
            "brokerClientTlsEnabledWithKeyStore=true",
            "brokerClient_useKeyStoreTls",
        ),
        (
            "brokerClientTlsTrustStore=/t.p12",
            "brokerClient_tlsTrustStorePath",
        ),
        (
            "brokerClientTlsCiphers=TLS_AES_128_GCM_SHA256",
            "brokerClient_tlsCiphers",
        ),
        (
            "brokerClientTlsProtocols=TLSv1.3",
            "brokerClient_tlsProtocols",
        ),
    ] {
        let mistakes = check(key).unwrap_err();
        assert!(mistakes[0].contains(instead), "{mistakes:?}");
    }
    check("brokerClientTlsEnabledWithKeyStore=false\nbrokerClientTlsTrustStore=\n").unwrap();
}

#[test]
fn suites_and_versions_towards_brokers_are_those_that_were_asked_for() {
    let suites = |text: &str| check(text).map(|config| config.broker_client.tls.suites.len());
    let all = suites("").unwrap();
    let new = suites("brokerClient_tlsProtocols=TLSv1.3").unwrap();
    let old = suites("brokerClient_tlsProtocols=TLSv1.2").unwrap();
    assert!(new > 0 && old > 0 && new + old == all);
    let one = "brokerClient_tlsCiphers=TLS_AES_128_GCM_SHA256\n";
    assert_eq!(suites(one), Ok(1));
    assert!(suites(&format!("{one}brokerClient_tlsProtocols=TLSv1.2")).is_err());
    assert!(suites("brokerClient_tlsCiphers=TLS_RSA_WITH_AES_128_CBC_SHA").is_err());
}

#[test]
fn nobody_is_believed_about_addresses_unless_he_is_named() {
    for key in [
        "webServiceHaProxyProtocolEnabled",
        "webServiceTrustXForwardedFor",
    ] {
        let mistakes = check(&format!("\n{key}=true\n")).unwrap_err();
        assert_eq!(mistakes.len(), 1);
        assert!(
            mistakes[0].starts_with(&format!("websocket.conf line 2: {key} believes everybody"))
        );
        let config = check(&format!("{key}=true\ntrustedProxies=10.0.0.0/8, ::1\n")).unwrap();
        assert!(
            config
                .doors
                .trusted_proxies
                .contain("10.1.2.3".parse().unwrap())
        );
        assert!(check(&format!("{key}=true\ntrustedProxies=10.0.0.1/8\n")).is_err());
    }
    let config = check("trustedProxies=10.0.0.0/8\n").unwrap();
    assert!(config.notes[0].starts_with("trustedProxies has no effect"));
}

#[test]
fn other_origins_are_let_in_unless_there_is_authentication_or_a_list() {
    use crate::doors::Origins;
    assert_eq!(check("").unwrap().doors.origins, Origins::Any);
    let listed = check("allowedOrigins=https://a.example, https://*.b.example\n").unwrap();
    assert!(matches!(listed.doors.origins, Origins::Listed(_)));
    let authenticated = "authenticationEnabled=true\n\
        authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderToken\n\
        tokenSecretKey=YSBrZXkgb2YgdGhlIGF0dGFjayBsaXN0LCBubyBvdGhlcg==\n";
    assert_eq!(check(authenticated).unwrap().doors.origins, Origins::Same);
    let both = format!("{authenticated}allowedOrigins=*\n");
    assert_eq!(check(&both).unwrap().doors.origins, Origins::Any);
    assert!(check("allowedOrigins=https://a.example/\n").is_err());
}
