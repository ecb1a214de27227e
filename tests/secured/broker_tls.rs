//! Which broker the gateway takes for one.
//!
//! Claim: a broker whose certificate no trusted authority has signed, or that is for another host, hears nothing of this
//! gateway; settings that ask for less get less; new files count for new connections.

use std::fs;

use crate::secured::{Secured, by_token};
use crate::support::certificates::{Authority, trust_store};
use crate::support::{World, eventually, topic};

/// As the superuser; `settings` come last.
fn gateway(settings: &[&str]) -> World {
    Secured::get().gateway_as("admin", settings)
}

fn refused(settings: &[&str]) -> (u16, String) {
    let short = ["brokerClient_operationTimeoutMs=2000"];
    let world = gateway(&[settings, &short].concat());
    world.refused(&format!(
        "/ws/v2/producer/persistent/public/default/{}",
        topic("tls")
    ))
}

fn works(world: &World) {
    world.producer(&topic("tls")).publish("x");
}

/// By an address that its certificate is not for.
fn by_address() -> String {
    let url = Secured::get().broker_url();
    format!("brokerServiceUrl={}", url.replace("localhost", "127.0.0.1"))
}

#[test]
fn a_broker_of_an_unknown_authority_is_not_spoken_to() {
    let other = Secured::get().path("other-trust.pem");
    fs::write(&other, Authority::new("Another").pem()).expect("the folder is there");
    let trust = format!("brokerClientTrustCertsFilePath={}", other.display());
    let (status, text) = refused(&[&trust]);
    assert_eq!(status, 504, "{text}");
    assert!(text.contains("UnknownIssuer"), "{text}");
    let web = format!("serviceUrl={}", Secured::get().web_url());
    let (status, text) = refused(&[&trust, "brokerServiceUrl=", &web]);
    assert_eq!(status, 504, "{text}");
    assert!(text.contains("UnknownIssuer"), "{text}");
    works(&gateway(&[
        &trust,
        "brokerClient_tlsAllowInsecureConnection=true",
    ]));
}

#[test]
fn a_certificate_has_to_be_for_the_host() {
    let (status, text) = refused(&[&by_address()]);
    assert_eq!(status, 504, "{text}");
    assert!(text.contains("not valid for name"), "{text}");
    works(&gateway(&[
        &by_address(),
        "tlsHostnameVerificationEnabled=false",
    ]));
}

/// The broker's own kind of TLS: every address of it is for one.
#[test]
fn the_urls_for_tls_count_when_it_is_enabled() {
    let secured = Secured::get();
    let urls = [
        "brokerServiceUrl=pulsar://127.0.0.1:9".to_owned(),
        format!("brokerServiceUrlTls={}", secured.broker_url()),
        "brokerClientTlsEnabled=true".to_owned(),
    ];
    works(&gateway(&urls.each_ref().map(String::as_str)));
}

#[test]
fn a_new_authority_counts_for_new_connections() {
    let secured = Secured::get();
    let file = secured.path("changing-trust.pem");
    fs::write(&file, Authority::new("Another").pem()).expect("the folder is there");
    let settings = [
        by_token(&format!("token:{}", secured.token("admin"))).to_vec(),
        vec![
            format!("brokerClientTrustCertsFilePath={}", file.display()),
            "brokerClient_autoCertRefreshSeconds=1".to_owned(),
            "brokerClient_maxBackoffIntervalNanos=500000000".to_owned(),
            "brokerClient_operationTimeoutMs=1000".to_owned(),
        ],
    ]
    .concat();
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let world = secured.gateway(&settings);
    let path = format!(
        "/ws/v2/producer/persistent/public/default/{}",
        topic("changing")
    );
    assert_eq!(world.refused(&path).0, 504);
    fs::copy(secured.trust_certs(), &file).expect("both are there");
    eventually("the broker is trusted", || {
        crate::support::Client::open(world.address(), &path).is_ok()
    });
}

/// A store of this run, and its path.
fn store(name: &str, bytes: Vec<u8>) -> String {
    let path = Secured::get().path(name);
    fs::write(&path, bytes).expect("the folder is there");
    path.display().to_string()
}

#[test]
fn pkcs12_stores_do_what_pem_files_do() {
    let secured = Secured::get();
    let role = "by-key-store";
    let namespace = format!("public/{}", topic("stores"));
    secured.create_namespace(&namespace);
    secured.grant(&namespace, role, &["produce"]);
    let own = store(
        "own.p12",
        secured.authority().client(role).key_store("for keys"),
    );
    let gateway = |authority: &Authority, more: &[&str]| {
        let trusted = store("trusted.p12", trust_store(authority.pem(), "for trust"));
        let settings = [
            "brokerClientAuthenticationPlugin=org.apache.pulsar.client.impl.auth.AuthenticationKeyStoreTls".to_owned(),
            format!("brokerClientAuthenticationParameters=keyStoreType:PKCS12,keyStorePath:{own},keyStorePassword:for keys"),
            "brokerClient_useKeyStoreTls=true".to_owned(),
            "brokerClient_tlsTrustStoreType=PKCS12".to_owned(),
            format!("brokerClient_tlsTrustStorePath={trusted}"),
            "brokerClient_tlsTrustStorePassword=for trust".to_owned(),
            "brokerClient_operationTimeoutMs=20000".to_owned(),
        ];
        let settings = settings
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied());
        secured.gateway(&settings.collect::<Vec<_>>())
    };
    let path = format!("/ws/v2/producer/persistent/{namespace}/t");
    for suite in [
        "brokerClient_tlsCiphers=TLS_AES_256_GCM_SHA384",
        "brokerClient_tlsProtocols=TLSv1.2",
    ] {
        let world = gateway(secured.authority(), &[suite]);
        world.open(&path).publish("x");
    }
    let (status, text) = gateway(&Authority::new("Another"), &[]).refused(&path);
    assert_eq!(status, 504, "{text}");
    assert!(text.contains("UnknownIssuer"), "{text}");
}
