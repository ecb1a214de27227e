//! Who comes in, what they may do, TLS and credentials on either side.

use super::*;

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
    assert!(
        mistakes[0]
            .contains("line 3: authorizationProvider names com.example.Provider, a Java class")
    );
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
        Some(Authorization::Broker { forwards: true, .. })
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
fn what_is_passed_over_because_of_a_key_beside_it_or_for_want_of_one_is_told() {
    let package = "org.apache.pulsar.broker.authentication.";
    let secret = "data:,0123456789abcdef0123456789abcdef";
    let token = format!(
        "authenticationEnabled=true\nauthenticationProviders={package}AuthenticationProviderToken\n"
    );
    let bare = format!("{token}tokenSecretKey={secret}\n");
    let prefixed = format!("{token}tokenSettingPrefix=my\nmytokenSecretKey={secret}\n");
    let tls = "webServicePortTls=1\ntlsCertificateFilePath=/c\ntlsKeyFilePath=/k\n";
    let stores = "webServicePortTls=1\ntlsEnabledWithKeyStore=true\ntlsKeyStore=/s\n";
    for (text, idle) in [
        (
            format!("{bare}tokenAudience=me\n"),
            "tokenAudience: tokenAudienceClaim is not set",
        ),
        (
            format!("{prefixed}mytokenAudience=me\n"),
            "mytokenAudience: tokenAudienceClaim is not set",
        ),
        (
            format!("{bare}tokenPublicKey=/nowhere\n"),
            "tokenPublicKey: where a secret key is set",
        ),
        (
            format!("{bare}basicAuthConf=/nowhere\n"),
            "basicAuthConf: authenticationProviders does not name its provider",
        ),
        (
            format!("{bare}openIDAllowedAudiences=me\n"),
            "openIDAllowedAudiences: authenticationProviders does not name its provider",
        ),
        (
            format!("{tls}tlsTrustStore=/t\n"),
            "tlsTrustStore: tlsEnabledWithKeyStore is not true",
        ),
        (
            format!("{stores}tlsTrustCertsFilePath=/t\n"),
            "tlsTrustCertsFilePath: with tlsEnabledWithKeyStore=true",
        ),
    ] {
        let notes = check(&text).unwrap().notes.join("\n");
        let told = format!("without effect: {idle}");
        assert!(notes.contains(&told), "{text}: {notes}");
    }
    let good = format!("{bare}tokenAudience=me\ntokenAudienceClaim=aud\n{tls}");
    assert_eq!(check(&good).unwrap().notes, [""; 0]);
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
            &format!(
                "{TLS}webServiceTlsCiphers=TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384,RC4\n"
            ),
            "names 'RC4', a cipher suite that there is not: there are TLS_AES_256_GCM_SHA384, ",
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
    let bare = check(&format!("{prefixed}tokenSecretKey={secret}\n"));
    let bare = bare.unwrap_err();
    assert!(
        bare[0].starts_with("mytokenSecretKey or mytokenPublicKey is needed"),
        "{bare:?}"
    );
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
    for name in ["tlsEnabled", "brokerClient_useTls"] {
        let mistakes = check(&format!("{name}=true")).unwrap_err();
        let told = format!("websocket.conf line 1: {name} leads nowhere");
        assert!(mistakes[0].starts_with(&told), "{mistakes:?}");
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
