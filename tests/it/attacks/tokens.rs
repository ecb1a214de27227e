//! Tokens that look like good ones: each is a 401, wherever it stands, and as a new token in an open socket a 4005.

use std::io::ErrorKind;
use std::net::TcpListener;

use serde_json::{Value, json};

use super::{answer, producer, with_lines};
use crate::support::raw::upgrade_request;
use crate::support::signer::{Signer, encode, signed_part};
use crate::support::tokens::{now_seconds, signed_by};
use crate::support::{Neighbours, World};

fn good_claims() -> Value {
    json!({ "sub": "me", "aud": "gateway", "exp": now_seconds() + 3600 })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = good_claims();
    claims[name] = value;
    claims
}

/// What is wrong with a token, and the token.
type Attack = (&'static str, String);

/// Tokens that nobody may come in with. `url` is where an attacker publishes keys of his own.
fn attacks(signer: &Signer, url: &str) -> Vec<Attack> {
    let (stranger, good) = (Signer::new(), signer.token(&good_claims()));
    let large = vec![
        ("very long", format!("{}.{good}", "x".repeat(8_000))),
        ("dots", ".".repeat(5_000)),
    ];
    [
        wrong_algorithms(signer),
        wrong_signatures(signer, &stranger),
        keys_of_its_own(&stranger, url),
        wrong_claims(signer, &stranger, url),
        large,
    ]
    .concat()
}

fn wrong_algorithms(signer: &Signer) -> Vec<Attack> {
    let claims = good_claims();
    let unsigned = |alg: &str| signed_part(&json!({ "alg": alg }), &claims) + ".";
    let signed = |header: Value| signer.sign(&header, &claims);
    let base64 = base64_simd::STANDARD.encode_to_string(&signer.public_der);
    let pem = signer.public_pem.as_bytes();
    vec![
        ("alg=none", unsigned("none")),
        ("alg=NONE", unsigned("NONE")),
        ("alg=none, signed", signed(json!({ "alg": "none" }))),
        ("no alg", signed(json!({ "typ": "JWT" }))),
        (
            "the public key as a secret",
            signed_by(&signer.public_der, &claims),
        ),
        ("its PEM as a secret", signed_by(pem, &claims)),
        (
            "its base64 as a secret",
            signed_by(base64.as_bytes(), &claims),
        ),
        ("an empty secret", signed_by(b"", &claims)),
    ]
}

fn wrong_signatures(signer: &Signer, stranger: &Signer) -> Vec<Attack> {
    let claims = good_claims();
    let (token, other) = (
        signer.token(&claims),
        signer.token(&with("sub", json!("you"))),
    );
    let part = |token: &str, part: usize| token.split('.').nth(part).expect("three").to_owned();
    let (header, payload, signature) = (part(&token, 0), part(&other, 1), part(&token, 2));
    let zeros = encode([0; 64]);
    vec![
        ("another's signature", stranger.token(&claims)),
        (
            "another token's signature",
            format!("{header}.{payload}.{signature}"),
        ),
        (
            "a signature of zeros",
            format!("{header}.{}.{zeros}", part(&token, 1)),
        ),
    ]
}

/// Its header says by which key it is to be verified.
fn keys_of_its_own(stranger: &Signer, url: &str) -> Vec<Attack> {
    let own = |name: &str, value: Value| {
        let mut header = json!({ "alg": "ES256" });
        header[name] = value;
        stranger.sign(&header, &good_claims())
    };
    let (keys, certificate) = (format!("{url}/keys"), format!("{url}/pem"));
    vec![
        ("a key of its own", own("jwk", stranger.jwk())),
        ("a key elsewhere", own("jku", json!(keys))),
        ("a certificate elsewhere", own("x5u", json!(certificate))),
        (
            "a key that is a path",
            own("kid", json!("../../../../dev/null")),
        ),
        (
            "a key that is a query",
            own("kid", json!("x' UNION SELECT 'y")),
        ),
    ]
}

fn wrong_claims(signer: &Signer, stranger: &Signer, url: &str) -> Vec<Attack> {
    let claiming = |name: &str, value: Value| signer.token(&with(name, value));
    let now = now_seconds();
    vec![
        ("expired", claiming("exp", json!(now - 60))),
        ("not valid yet", claiming("nbf", json!(now + 3600))),
        ("for others", claiming("aud", json!("elsewhere"))),
        ("for nobody", claiming("aud", json!(null))),
        (
            "of an issuer that is not allowed",
            stranger.token(&with("iss", json!(url))),
        ),
        ("of nobody's role", claiming("sub", json!(""))),
    ]
}

/// A gateway that believes the signer, and tokens of one issuer, who never answers.
fn world(signer: &Signer) -> World {
    let key = base64_simd::STANDARD.encode_to_string(&signer.public_der);
    World::with(&[
        "authenticationEnabled=true",
        "authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderToken,\
         org.apache.pulsar.broker.authentication.oidc.AuthenticationProviderOpenID",
        &format!("tokenPublicKey=data:;base64,{key}"),
        "tokenPublicAlg=ES256",
        "tokenAudienceClaim=aud",
        "tokenAudience=gateway",
        "openIDAllowedTokenIssuers=https://issuer.invalid",
        "openIDAllowedAudiences=gateway",
    ])
}

#[test]
fn a_forged_or_wrong_token_is_a_401_wherever_it_stands() {
    let signer = Signer::new();
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", elsewhere.local_addr().expect("bound"));
    let world = world(&signer);
    let good = signer.token(&good_claims());
    let mut neighbours = Neighbours::move_in_with(&world, &good);
    let path = producer("token");
    for (attack, token) in attacks(&signer, &url) {
        for request in [
            with_lines(&path, &format!("Authorization: Bearer {token}\r\n")),
            upgrade_request(&format!("{path}?token={token}")),
            with_lines(
                &path,
                &format!("Sec-WebSocket-Protocol: v1, pulsar-token.{token}\r\n"),
            ),
            // A good one beside it does not help: the header counts.
            with_lines(
                &format!("{path}?token={good}"),
                &format!("Authorization: Bearer {token}\r\n"),
            ),
        ] {
            let refused = answer(&world, request.as_bytes());
            let told = (refused.status, &*refused.body);
            assert_eq!(told, (401, "Failed to authenticate\n"), "{attack}");
            assert!(!refused.head.contains("pulsar-token"), "{attack}");
        }
    }
    // Nobody has looked for keys where a token says that they are.
    elsewhere.set_nonblocking(true).expect("a socket");
    let came = elsewhere.accept().expect_err("nobody came");
    assert_eq!(came.kind(), ErrorKind::WouldBlock);
    neighbours.are_well();
}

#[test]
fn a_forged_or_wrong_new_token_ends_the_socket_that_shows_it() {
    let signer = Signer::new();
    let world = world(&signer);
    let good = signer.token(&good_claims());
    let mut neighbours = Neighbours::move_in_with(&world, &good);
    let path = format!("{}?token={good}", producer("token"));
    for (attack, token) in attacks(&signer, "http://127.0.0.1:1") {
        let mut client = world.open(&path);
        client.send_json(json!({ "type": "AUTH_RESPONSE", "authResponse": {
            "clientVersion": "v0", "protocolVersion": 0,
            "response": { "authMethodName": "token", "authData": token },
        }}));
        let closed = client.closed();
        assert_eq!(closed.code, 4005, "{attack}: {}", closed.reason);
    }
    neighbours.are_well();
}
