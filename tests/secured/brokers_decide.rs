//! Where the brokers decide (`authorization=broker`): who a client is to them.
//!
//! Claim: what a client has shown is what they see, whichever kind it is; who has only a certificate is named by a gateway
//! that they believe; a gateway that is a proxy forwards credentials, which brokers verify for themselves.

use serde_json::json;

use crate::secured::{AUDIENCE, BASIC_PASSWORD, BASIC_USER, Secured};
use crate::support::secure::{Secure, Trust, Version};
use crate::support::tokens::signed_by;
use crate::support::{Client, World, base64, topic};

const PROVIDER: &str = "org.apache.pulsar.broker.authentication";
const FORWARDS: &str = "forwardAuthorizationCredentials=true";

/// A gateway that asks its clients in all the ways that it has, and leaves it to the brokers what they may do.
fn gateway(secured: &Secured, own_role: Option<&str>, settings: &[&str]) -> World {
    let kinds = ["Token", "Basic", "Tls"].map(|kind| format!("AuthenticationProvider{kind}"));
    let mut classes: Vec<String> = kinds
        .iter()
        .map(|kind| format!("{PROVIDER}.{kind}"))
        .collect();
    let mut all = vec![
        "authorization=broker".to_owned(),
        "authenticationEnabled=true".to_owned(),
        format!("tokenSecretKey=file://{}", secured.secret_key().display()),
        format!("basicAuthConf={}", secured.path("users").display()),
        "webServicePortTls=0".to_owned(),
        format!(
            "tlsCertificateFilePath={}",
            secured.path("server.pem").display()
        ),
        format!("tlsKeyFilePath={}", secured.path("server.key").display()),
        format!("tlsTrustCertsFilePath={}", secured.trust_certs().display()),
    ];
    if let Some(issuer) = secured.issuer() {
        classes.push(format!("{PROVIDER}.oidc.AuthenticationProviderOpenID"));
        all.push(format!("openIDAllowedTokenIssuers={}", issuer.name));
        all.push(format!("openIDAllowedAudiences={AUDIENCE}"));
        all.push("openIDRequireIssuersUseHttps=false".to_owned());
    }
    all.push(format!("authenticationProviders={}", classes.join(",")));
    all.extend(settings.iter().map(|&it| it.to_owned()));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    match own_role {
        Some(role) => secured.gateway_as(role, &all),
        None => secured.gateway(&all),
    }
}

/// A namespace on which these may do everything with messages.
fn namespace(secured: &Secured, roles: &[&str]) -> String {
    let namespace = format!("public/{}", topic("decide"));
    secured.create_namespace(&namespace);
    for role in roles {
        secured.grant(&namespace, role, &["produce", "consume"]);
    }
    namespace
}

fn path(kind: &str, namespace: &str) -> String {
    let subscription = if kind == "consumer" { "/s" } else { "" };
    format!("/ws/v2/{kind}/persistent/{namespace}/t{subscription}")
}

/// Role and `Authorization` of each kind that a client can show again.
fn kinds(secured: &Secured) -> Vec<(&'static str, String)> {
    let password = base64(&format!("{BASIC_USER}:{BASIC_PASSWORD}"));
    let mut kinds = vec![
        ("by-token", format!("Bearer {}", secured.token("by-token"))),
        (BASIC_USER, format!("Basic {password}")),
    ];
    if let Some(issuer) = secured.issuer() {
        let token = issuer.token("by-issuer", AUDIENCE, 3600);
        kinds.push(("by-issuer", format!("Bearer {token}")));
    }
    kinds
}

/// What is granted can be done, and nothing else. `refusal`: the status of the rest; brokers' web services say 401 where
/// the brokers say 403.
fn used(world: &World, shown: &str, granted: &str, other: &str, refusal: u16) {
    let open = |kind: &str, namespace: &str| {
        Client::open_with(
            world.address(),
            &path(kind, namespace),
            &[("Authorization", shown)],
        )
    };
    let [mut producer, mut consumer, mut reader] = ["producer", "consumer", "reader"]
        .map(|kind| open(kind, granted).unwrap_or_else(|refusal| panic!("{kind}: {refusal:?}")));
    producer.publish("x");
    assert_eq!(consumer.receive(), "x");
    assert_eq!(reader.receive(), "x");
    for kind in ["producer", "consumer", "reader"] {
        let (status, text) = open(kind, other).err().expect("nothing is granted there");
        assert_eq!(status, refusal, "{kind}: {text}");
    }
}

/// The same way to the brokers by their web services.
fn over_http(secured: &Secured) -> [String; 2] {
    let web = format!("serviceUrl={}", secured.web_url());
    ["brokerServiceUrl=".to_owned(), web]
}

#[test]
fn whatever_a_client_shows_is_what_the_brokers_see() {
    let secured = Secured::that_asks_for_original_auth_data();
    let world = gateway(secured, None, &[]);
    let by_http = over_http(secured);
    let by_http = gateway(secured, None, &by_http.each_ref().map(String::as_str));
    let other = namespace(secured, &["nobody"]);
    for (role, shown) in kinds(secured) {
        used(&world, &shown, &namespace(secured, &[role]), &other, 403);
        used(&by_http, &shown, &namespace(secured, &[role]), &other, 401);
    }
}

#[test]
fn a_proxy_forwards_what_its_clients_show_and_both_need_the_right() {
    let secured = Secured::that_asks_for_original_auth_data();
    let world = gateway(secured, Some("proxy"), &[FORWARDS]);
    let [no_url, web] = over_http(secured);
    let by_http = gateway(secured, Some("proxy"), &[FORWARDS, &no_url, &web]);
    let nobody = namespace(secured, &["proxy"]);
    for (role, shown) in kinds(secured) {
        let granted = namespace(secured, &[role, "proxy"]);
        used(&world, &shown, &granted, &nobody, 403);
        used(&world, &shown, &granted, &namespace(secured, &[role]), 403);
        used(
            &by_http,
            &shown,
            &namespace(secured, &[role, "proxy"]),
            &nobody,
            401,
        );
    }
}

#[test]
fn brokers_that_verify_believe_no_name_alone_and_no_other_key() {
    let secured = Secured::that_asks_for_original_auth_data();
    let granted = namespace(secured, &["somebody", "proxy"]);
    let producer = path("producer", &granted);
    // The gateway takes tokens of this key, the brokers do not.
    let settings = [
        FORWARDS,
        "authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderToken",
        "tokenSecretKey=data:;base64,YW5vdGhlciBrZXkgb2YgdGhlc2UgdGVzdHMsIDI1NiBiaXQ=",
    ];
    let world = gateway(secured, Some("proxy"), &settings);
    let token = signed_by(
        b"another key of these tests, 256 bit",
        &json!({"sub": "somebody"}),
    );
    let shown = format!("Bearer {token}");
    let refused = Client::open_with(world.address(), &producer, &[("Authorization", &shown)]).err();
    let text = "Failed to create producer/consumer: Failed to authenticate\n".to_owned();
    assert_eq!(refused, Some((401, text)));
    // A certificate cannot be forwarded.
    let world = gateway(secured, Some("proxy"), &[FORWARDS]);
    let error = by_certificate(secured, &world, "somebody", &producer).err();
    let error = error.expect("a name alone").to_string();
    assert!(error.contains("401"), "{error}");
}

fn by_certificate(
    secured: &Secured,
    world: &World,
    role: &str,
    path: &str,
) -> std::io::Result<Secure> {
    let trust = Trust::new(
        secured.authority(),
        Version::Tls13,
        Some(&secured.authority().client(role)),
    );
    Secure::try_open(world.address_tls(), &trust, path)
}

#[test]
fn who_has_a_certificate_is_named_by_a_gateway_that_brokers_believe() {
    let secured = Secured::get();
    let role = "by-client-certificate";
    let nobody = namespace(secured, &["proxy"]);
    let [no_url, web] = over_http(secured);
    for (settings, status) in [(&[][..], "403"), (&[no_url.as_str(), &web], "401")] {
        let world = gateway(secured, Some("proxy"), settings);
        let granted = namespace(secured, &[role, "proxy"]);
        let open =
            |kind: &str| by_certificate(secured, &world, role, &path(kind, &granted)).expect(kind);
        let [mut consumer, mut producer] = ["consumer", "producer"].map(open);
        producer.publish("x");
        assert_eq!(consumer.receive(), "x");
        let refused = by_certificate(secured, &world, role, &path("producer", &nobody));
        let error = refused.err().expect("nothing is granted there").to_string();
        assert!(error.contains(status), "{error}");
        // Brokers would look at the gateway's rights alone: nobody is called so.
        let taken = by_certificate(
            secured,
            &world,
            "__websocket_dummy_original_principle",
            &path("producer", &nobody),
        );
        let error = taken.err().expect("nobody is called so").to_string();
        assert!(error.contains("401"), "{error}");
    }
    // One that they do not believe: nobody is let in by its word.
    let world = gateway(secured, Some("somebody-else"), &[]);
    let granted = namespace(secured, &[role, "somebody-else"]);
    let refused = by_certificate(secured, &world, role, &path("producer", &granted));
    let error = refused.err().expect("no proxy").to_string();
    assert!(error.contains("403"), "{error}");
}

/// Subscriptions have to be named by their role there, those of readers too.
#[test]
fn readers_are_let_into_a_namespace_that_wants_prefixed_subscriptions() {
    let secured = Secured::get();
    let granted = namespace(secured, &["prefixed"]);
    let mode = format!("/admin/v2/namespaces/{granted}/subscriptionAuthMode");
    secured.admin().expect("POST", &mode, &json!("Prefix"));
    let world = gateway(secured, None, &[]);
    let shown = format!("Bearer {}", secured.token("prefixed"));
    let open = |path: &str| Client::open_with(world.address(), path, &[("Authorization", &shown)]);
    let opened = |path: &str| open(path).unwrap_or_else(|refusal| panic!("{path}: {refusal:?}"));
    let consumer =
        |subscription: &str| format!("/ws/v2/consumer/persistent/{granted}/t/{subscription}");
    let mut reader = opened(&path("reader", &granted));
    let mut named = opened(&consumer("prefixed-s"));
    opened(&path("producer", &granted)).publish("x");
    assert_eq!(reader.receive(), "x");
    assert_eq!(named.receive(), "x");
    let (status, text) = open(&consumer("s")).err().expect("not its name");
    assert_eq!(status, 403, "{text}");
}
