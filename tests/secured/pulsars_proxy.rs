//! Brokers behind Pulsar's own proxy, which asks who one is, on TLS.
//!
//! Claim: what the gateway or its clients show goes through to the brokers, which decide; the certificate that counts is the
//! proxy's; who has nothing that the proxy could forward is not let in with somebody else's rights.

use crate::secured::{Proxy, Secured};
use crate::support::secure::{Secure, Trust, Version};
use crate::support::{Client, World, topic};

const PROVIDERS: &str = "authenticationProviders=\
    org.apache.pulsar.broker.authentication.AuthenticationProviderToken,\
    org.apache.pulsar.broker.authentication.AuthenticationProviderTls";

fn secured() -> &'static Secured {
    Secured::that_asks_for_original_auth_data()
}

/// Of this role towards the proxy.
fn gateway(own_role: Option<&str>, settings: &[&str]) -> World {
    let url = format!("brokerServiceUrl={}", Proxy::get().url());
    let all: Vec<&str> = [url.as_str()].iter().chain(settings).copied().collect();
    match own_role {
        Some(role) => secured().gateway_as(role, &all),
        None => secured().gateway(&all),
    }
}

/// One where the brokers decide.
fn by_brokers(own_role: Option<&str>) -> World {
    let path = |name: &str| secured().path(name).display().to_string();
    let settings = [
        "authorization=broker".to_owned(),
        "authenticationEnabled=true".to_owned(),
        PROVIDERS.to_owned(),
        format!("tokenSecretKey=file://{}", path("secret.key")),
        "webServicePortTls=0".to_owned(),
        format!("tlsCertificateFilePath={}", path("server.pem")),
        format!("tlsKeyFilePath={}", path("server.key")),
        format!("tlsTrustCertsFilePath={}", path("trust.pem")),
    ];
    gateway(own_role, &settings.each_ref().map(String::as_str))
}

/// A namespace on which these and the proxy may do everything with messages.
fn namespace(role: &str) -> String {
    let namespace = format!("public/{}", topic("proxied"));
    secured().create_namespace(&namespace);
    for role in [role, "proxy"] {
        secured().grant(&namespace, role, &["produce", "consume"]);
    }
    namespace
}

fn path(kind: &str, namespace: &str, query: &str) -> String {
    let subscription = if kind == "consumer" { "/s" } else { "" };
    format!("/ws/v2/{kind}/persistent/{namespace}/t{subscription}{query}")
}

fn used(world: &World, granted: &str, other: &str, query: &str) {
    let open = |kind: &str| world.open(&path(kind, granted, query));
    let [mut consumer, mut reader, mut producer] = ["consumer", "reader", "producer"].map(open);
    producer.publish("x");
    assert_eq!(consumer.receive(), "x");
    assert_eq!(reader.receive(), "x");
    let refused = Client::open(world.address(), &path("producer", other, query));
    let (status, text) = refused.err().expect("nothing is granted there");
    assert_eq!(status, 403, "{text}");
}

#[test]
fn the_gateways_own_token_goes_through() {
    let world = gateway(Some("through"), &[]);
    used(&world, &namespace("through"), &namespace("nobody"), "");
}

#[test]
fn each_clients_token_goes_through() {
    let world = by_brokers(None);
    let nobody = namespace("nobody");
    for role in ["a", "b"] {
        let query = format!("?token={}", secured().token(role));
        used(&world, &namespace(role), &nobody, &query);
    }
}

/// The proxy would take such a client for the gateway.
#[test]
fn who_can_only_be_named_does_not_get_the_gateways_rights() {
    let world = by_brokers(Some("admin"));
    let authority = secured().authority();
    let trust = Trust::new(
        authority,
        Version::Tls13,
        Some(&authority.client("anybody")),
    );
    let producer = path("producer", &namespace("nobody"), "");
    let refused = Secure::try_open(world.address_tls(), &trust, &producer);
    let error = refused.err().expect("not let in").to_string();
    assert!(error.contains("403"), "{error}");
}

#[test]
fn the_proxys_certificate_has_to_be_for_the_host_that_is_dialled() {
    let url = Proxy::get().url().replace("localhost", "127.0.0.1");
    let settings = [
        &format!("brokerServiceUrl={url}"),
        "brokerClient_operationTimeoutMs=20000",
    ];
    let (status, text) =
        gateway(Some("admin"), &settings).refused(&path("producer", "public/default", ""));
    assert_eq!(status, 504, "{text}");
    assert!(text.contains("not valid for name"), "{text}");
}
