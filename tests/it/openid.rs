//! Clients with tokens of OpenID Connect issuers.
//!
//! Set-up: issuers in this process, over TLS or in plain, whose keys the tests change. Claim: whoever has a token by a key
//! that its issuer publishes now is let in, and nobody else; an issuer that hangs holds up nobody but its own clients.

use std::net::{TcpListener, TcpStream};

use serde_json::json;

use crate::authentication::{ask, bearer};
use crate::support::certificates::{Authority, Folder};
use crate::support::issuer::Issuer;
use crate::support::raw::upgrade_request;
use crate::support::{Raw, World, base64, tokens, topic};

/// A gateway that believes these issuers, with further settings.
pub fn world(issuers: &[&str], settings: &[&str]) -> World {
    let issuers = format!("openIDAllowedTokenIssuers={}", issuers.join(","));
    let mut all = vec![
        "authenticationEnabled=true",
        "authenticationProviders=org.apache.pulsar.broker.authentication.oidc.AuthenticationProviderOpenID",
        "openIDAllowedAudiences=pulsar",
        issuers.as_str(),
    ];
    all.extend(settings);
    World::with(&all)
}

/// Issuers may be asked without TLS.
pub const PLAIN: &str = "openIDRequireIssuersUseHttps=false";

fn path() -> String {
    let name = topic("openid");
    format!("/ws/v2/producer/persistent/public/default/{name}")
}

/// 101 or 401.
fn status(world: &World, token: &str) -> u16 {
    ask(world, &path(), &bearer(token)).0
}

#[test]
fn an_issuers_token_is_verified_by_the_keys_that_it_publishes() {
    let issuer = Issuer::start();
    let world = world(&[&issuer.name], &[PLAIN]);
    let good = issuer.token("me", "pulsar", 600);
    assert_eq!(status(&world, &good), 101);
    assert_eq!(status(&world, &issuer.token("me", "other", 600)), 401);
    assert_eq!(status(&world, &tokens::token("me")), 401);
    assert_eq!(status(&world, &good), 101);
    // What it describes, and its keys, once each.
    assert_eq!(issuer.asked(), 2);
}

/// What claims to be of an issuer, by a key that nobody has.
fn claiming(issuer: &str) -> String {
    let claims = json!({ "iss": issuer }).to_string();
    let encoded =
        [r#"{"alg":"RS256","kid":"1"}"#, &claims].map(|part| base64(part).replace('=', ""));
    format!("{}.AA", encoded.join("."))
}

#[test]
fn an_issuer_that_cannot_be_reached_lets_nobody_in() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
    let name = format!("http://{}", gone.local_addr().expect("an address"));
    drop(gone);
    let world = world(&[&name], &[PLAIN]);
    for _ in 0..2 {
        assert_eq!(status(&world, &claiming(&name)), 401);
    }
}

#[test]
fn an_issuer_is_believed_by_the_certificates_that_are_trusted_for_issuers() {
    let (authority, folder) = (Authority::new("issuers"), Folder::new());
    let trust = folder.write("issuers.pem", authority.pem());
    let trust = format!("openIDTokenIssuerTrustCertsFilePath={trust}");
    let trust = [trust.as_str()];
    let good = authority.server(&["localhost"]);
    let elsewhere = authority.server(&["elsewhere"]);
    let of_another = Authority::new("issuers").server(&["localhost"]);
    for (shows, trust, expected) in [
        (&good, &trust[..], 101),
        (&elsewhere, &trust[..], 401),
        (&of_another, &trust[..], 401),
        // The public authorities count then.
        (&good, &[][..], 401),
    ] {
        let issuer = Issuer::start_tls(shows);
        let world = world(&[&issuer.name], trust);
        let token = issuer.token("me", "pulsar", 600);
        assert_eq!(status(&world, &token), expected);
        // Nobody is told what is wanted who has not shown to be the issuer.
        assert_eq!(issuer.asked() == 0, expected == 401);
    }
}

#[test]
fn a_new_key_is_found_when_a_token_names_it_and_the_one_that_has_gone_ends() {
    let (authority, folder) = (Authority::new("issuers"), Folder::new());
    let trust = folder.write("issuers.pem", authority.pem());
    let issuer = Issuer::start_tls(&authority.server(&["localhost"]));
    let world = world(
        &[&issuer.name],
        &[
            &format!("openIDTokenIssuerTrustCertsFilePath={trust}"),
            "openIDKeyIdCacheMissRefreshSeconds=0",
        ],
    );
    let old = issuer.token("me", "pulsar", 600);
    issuer.change_key();
    let new = issuer.token("me", "pulsar", 600);
    assert_eq!(status(&world, &old), 101);
    assert_eq!(status(&world, &new), 401);
    issuer.publish();
    assert_eq!(status(&world, &new), 101);
    assert_eq!(status(&world, &old), 401);
}

#[test]
fn an_issuer_that_hangs_holds_up_its_own_clients_and_nobody_else() {
    let hangs = TcpListener::bind("127.0.0.1:0").expect("a port");
    let hanging = format!("http://{}", hangs.local_addr().expect("an address"));
    let issuer = Issuer::start();
    let world = world(
        &[&hanging, &issuer.name],
        &[
            PLAIN,
            "openIDHttpReadTimeoutMillis=600000",
            "handshakeTimeoutMillis=600000",
        ],
    );
    let mut waits = Raw::connect(world.address());
    let token = bearer(&claiming(&hanging));
    let request = upgrade_request(&path()).replace("Host:", &format!("{token}Host:"));
    waits.send(request.as_bytes());
    // Its keys are being asked for, which nobody answers.
    let (asked, _): (TcpStream, _) = hangs.accept().expect("the gateway asks");
    assert_eq!(status(&world, &issuer.token("me", "pulsar", 600)), 101);
    drop(asked);
    assert!(waits.http_head().starts_with("HTTP/1.1 401 "));
}
