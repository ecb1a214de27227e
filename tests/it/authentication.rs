//! Who may come in.
//!
//! Set-up: gateways with the settings of Java's providers, in front of a broker that asks nobody. Claim: statuses and
//! texts are Java's, whatever the credentials and wherever they stand; what is let in works.

use serde_json::json;

use crate::support::raw::upgrade_request;
use crate::support::tokens::{self, SECRET_SETTING, claiming, now_seconds};
use crate::support::{Raw, World, base64, topic};

/// The status and text of a request with these header lines; 101 for who is let in.
pub fn ask(world: &World, path: &str, lines: &str) -> (u16, String) {
    let mut raw = Raw::connect(world.address());
    let request = upgrade_request(path).replace("Host:", &format!("{lines}Host:"));
    raw.send(request.as_bytes());
    let head = raw.http_head();
    if head.starts_with("HTTP/1.1 101 ") {
        return (101, head);
    }
    let answer = raw.answer_after(head);
    (answer.status, answer.body)
}

fn producer() -> String {
    let name = topic("authn");
    format!("/ws/v2/producer/persistent/public/default/{name}")
}

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

const REFUSED: (u16, &str) = (401, "Failed to authenticate\n");

#[test]
fn only_a_good_token_is_let_in() {
    let world = World::with(&tokens::settings(&[
        "tokenAudienceClaim=aud",
        "tokenAudience=gateway",
    ]));
    let good = json!({ "sub": "me", "aud": ["gateway"], "exp": now_seconds() + 600 });
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claiming(&claims)
    };
    let path = producer();
    assert_eq!(ask(&world, &path, &bearer(&claiming(&good))).0, 101);
    let unsigned = base64_simd::URL_SAFE_NO_PAD.encode_to_string(r#"{"alg":"none"}"#);
    let claims = base64_simd::URL_SAFE_NO_PAD.encode_to_string(good.to_string());
    for bad in [
        String::new(),
        "x".to_owned(),
        with("exp", json!(now_seconds() - 10)),
        with("nbf", json!(now_seconds() + 600)),
        with("aud", json!("another")),
        with("sub", json!(null)),
        format!("{unsigned}.{claims}."),
        format!("{}x", claiming(&good)),
    ] {
        let (status, text) = ask(&world, &path, &bearer(&bad));
        assert_eq!((status, text.as_str()), REFUSED, "{bad}");
    }
    let (status, text) = ask(&world, &path, "");
    assert_eq!((status, text.as_str()), REFUSED);
    // Nobody is told whether a topic is there.
    assert_eq!(
        ask(&world, "/ws/v2/reader/persistent/none/at-all/t", "").0,
        401
    );
}

#[test]
fn a_token_may_stand_in_the_header_the_query_or_the_protocols() {
    let world = World::with(&tokens::settings(&[]));
    let token = tokens::token("me");
    let path = producer();
    let query = format!("{path}?token={token}");
    for (path, lines) in [
        (&path, format!("Authorization:Bearer{token}\r\n")),
        (
            &path,
            format!("{}X-Pulsar-Auth-Method-Name: token\r\n", bearer(&token)),
        ),
        (&query, String::new()),
        (&format!("{path}?token=Bearer%20{token}"), String::new()),
    ] {
        let (status, head) = ask(&world, path, &lines);
        assert_eq!(status, 101, "{path} {lines}");
        assert!(
            !head.to_lowercase().contains("sec-websocket-protocol"),
            "{head}"
        );
    }
    let lines = format!("Sec-WebSocket-Protocol: pulsar, pulsar-token.{token}\r\n");
    let (status, head) = ask(&world, &path, &lines);
    assert_eq!(status, 101);
    assert!(
        head.contains("Sec-WebSocket-Protocol: pulsar\r\n"),
        "{head}"
    );
    assert!(!head.contains(&token));
    let alone = format!("Sec-WebSocket-Protocol: pulsar-token.{token}\r\n");
    assert_eq!(ask(&world, &path, &alone).0, 400);
    for (path, lines) in [
        (&query, bearer("bad")),
        (
            &path,
            format!("{}X-Pulsar-Auth-Method-Name: tls\r\n", bearer(&token)),
        ),
        (&path, format!("Authorization: {token}\r\n")),
    ] {
        let (status, text) = ask(&world, path, &lines);
        assert_eq!((status, text.as_str()), REFUSED, "{path} {lines}");
    }
}

#[test]
fn a_consumers_parameters_are_looked_at_before_its_token_and_others_after() {
    let world = World::with(&tokens::settings(&[]));
    let name = topic("authn");
    for (path, without, with) in [
        (
            format!("producer/persistent/public/default/{name}?sendTimeoutMillis=x"),
            401,
            400,
        ),
        (
            format!("reader/persistent/public/default/{name}?messageId=!"),
            401,
            400,
        ),
        (
            format!("consumer/persistent/public/default/{name}/s?ackTimeoutMillis=1"),
            400,
            400,
        ),
        ("nothing".to_owned(), 404, 404),
    ] {
        let path = format!("/ws/v2/{path}");
        assert_eq!(ask(&world, &path, "").0, without, "{path}");
        let lines = bearer(&tokens::token("me"));
        assert_eq!(ask(&world, &path, &lines).0, with, "{path}");
    }
}

#[test]
fn who_has_no_token_is_anonymous_where_that_is_a_role() {
    let world = World::with(&tokens::settings(&["anonymousUserRole=anybody"]));
    let path = producer();
    assert_eq!(ask(&world, &path, "").0, 101);
    assert_eq!(ask(&world, &path, &bearer("bad")).0, 101);
    let unknown = "X-Pulsar-Auth-Method-Name: athenz\r\n";
    assert_eq!(ask(&world, &path, unknown).0, 401);
}

#[test]
fn a_user_with_a_password_is_let_in_and_what_it_opens_works() {
    let users = base64("me:$2y$04$3RyqFWE.7Ju5WlZQ3v.6Tu1kXuvGWTc.uRWE1XHlNlsON1E1O0LF2\n");
    let world = World::with(&[
        "authenticationEnabled=true",
        "authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderBasic,\
         org.apache.pulsar.broker.authentication.AuthenticationProviderToken",
        SECRET_SETTING,
        &format!("basicAuthConf=data:;base64,{users}"),
    ]);
    let path = producer();
    let basic = |pair: &str| format!("Authorization: Basic {}\r\n", base64(pair));
    for bad in ["me:passwor", "you:password", "me", ""] {
        let (status, text) = ask(&world, &path, &basic(bad));
        assert_eq!((status, text.as_str()), REFUSED, "{bad}");
    }
    assert_eq!(ask(&world, &path, &bearer(&tokens::token("me"))).0, 101);
    let (mut raw, _) = Raw::open_with(world.address(), &path, &basic("me:password"));
    raw.say(r#"{"payload":"eA=="}"#);
    assert!(raw.text().contains(r#""result":"ok""#));
}
