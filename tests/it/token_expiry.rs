//! A token that runs out while its socket is open.
//!
//! Set-up: sockets of all kinds with tokens that end soon. Claim: the client is asked for a new token in the frames of
//! PIP-292 before the old one ends; with one of the same role the socket goes on and loses nothing, with none or a bad one
//! it is closed with 4005, and nobody else notices.

use serde_json::{Value, json};

use crate::openid;
use crate::support::issuer::Issuer;
use crate::support::tokens;
use crate::support::{Client, World, payload_of, topic};

pub const CHALLENGE: &str = r#"{"type":"AUTH_CHALLENGE","authChallenge":{"challenge":{"authMethodName":"token","authData":"token"},"protocolVersion":0}}"#;

/// Seconds that a short token lives: the client is asked after half of them.
const SHORT: i64 = 8;

pub fn response(token: &str) -> Value {
    json!({"type": "AUTH_RESPONSE", "authResponse": {
        "clientVersion": "v0", "protocolVersion": 0,
        "response": {"authMethodName": "token", "authData": token},
    }})
}

fn open(world: &World, path: &str, token: &str) -> Client {
    world.open(&format!("/ws/v2/{path}?token={token}"))
}

fn paths(name: &str) -> [String; 3] {
    ["producer", "consumer", "reader"].map(|kind| {
        let subscription = if kind == "consumer" { "/sub" } else { "" };
        format!("{kind}/persistent/public/default/{name}{subscription}")
    })
}

#[test]
fn a_new_token_keeps_a_socket_of_any_kind_open() {
    let world = World::with(&tokens::settings(&[]));
    let name = topic("expiry");
    let paths = paths(&name);
    let [mut producer, mut consumer, mut reader] =
        [0, 1, 2].map(|kind| open(&world, &paths[kind], &tokens::ending("me", SHORT)));
    for client in [&mut producer, &mut consumer, &mut reader] {
        assert_eq!(client.text(), CHALLENGE);
        client.send_json(response(&tokens::ending("me", 3600)));
    }
    // The tokens that they came with have run out when this one has.
    let mut witness = open(&world, &paths[2], &tokens::ending("me", SHORT));
    assert_eq!(witness.text(), CHALLENGE);
    assert_eq!(witness.closed().code, 4005);
    producer.publish("still here");
    assert_eq!(payload_of(&consumer.json()), "still here");
    assert_eq!(payload_of(&reader.json()), "still here");
}

#[test]
fn while_an_issuer_is_away_the_old_token_counts_until_its_end() {
    let issuer = Issuer::start();
    // What is known of the issuer is forgotten before any of these tokens ends.
    let forgetful = "openIDCacheExpirationSeconds=5";
    let world = openid::world(&[&issuer.name], &[openid::PLAIN, forgetful]);
    let path = &paths(&topic("expiry"))[0];
    // The gateway asks again after 5 s, when it asks the issuer again too; the challenge comes after half of this.
    const LIFE: i64 = 22;
    let short = || issuer.token("me", "pulsar", LIFE);
    let mut client = open(&world, path, &short());
    let mut silent = open(&world, path, &short());
    issuer.be_away(true);
    assert_eq!(client.text(), CHALLENGE);
    client.send_json(response(&issuer.token("me", "pulsar", 600)));
    // It was not told to go, but to say it again.
    assert_eq!(client.text(), CHALLENGE);
    issuer.be_away(false);
    client.send_json(response(&issuer.token("me", "pulsar", 600)));
    assert_eq!(silent.text(), CHALLENGE);
    assert_eq!(silent.closed().code, 4005);
    client.publish("still here");
}

#[test]
fn who_does_not_answer_is_closed_when_the_token_has_run_out() {
    let world = World::with(&tokens::settings(&[]));
    let name = topic("expiry");
    let mut clients = paths(&name).map(|path| open(&world, &path, &tokens::ending("me", SHORT)));
    for client in &mut clients {
        assert_eq!(client.text(), CHALLENGE);
        let closed = client.closed();
        assert_eq!(closed.code, 4005);
        assert_eq!(
            closed.reason,
            "Failed to authenticate client: the token has expired"
        );
    }
}

#[test]
fn a_bad_answer_closes_at_once() {
    let world = World::with(&tokens::settings(&[]));
    let name = topic("expiry");
    let path = &paths(&name)[2];
    let mut neighbour = open(&world, path, &tokens::token("me"));
    for (answer, why) in [
        (
            response(&tokens::ending("other", 60)),
            "the token is of another role",
        ),
        (
            response(&tokens::ending("me", -60)),
            "the token has expired",
        ),
        (response("x"), "not a JSON Web Token"),
        (
            json!({"type": "AUTH_RESPONSE"}),
            "there is no token in the answer",
        ),
    ] {
        // It need not be asked to answer.
        let mut client = open(&world, path, &tokens::ending("me", 600));
        client.send_json(answer);
        let closed = client.closed();
        assert_eq!(closed.code, 4005);
        assert_eq!(
            closed.reason,
            format!("Failed to authenticate client: {why}")
        );
    }
    let mut producer = open(&world, &paths(&name)[0], &tokens::token("me"));
    producer.publish("for the neighbour");
    assert_eq!(payload_of(&neighbour.json()), "for the neighbour");
}

#[test]
fn a_token_is_looked_at_in_the_handshake_only_where_that_is_wanted() {
    let world = World::with(&tokens::settings(&["authenticationRefreshCheckSeconds=0"]));
    let asked = World::with(&tokens::settings(&[]));
    let name = topic("expiry");
    let path = &paths(&name)[0];
    let mut left_alone = open(&world, path, &tokens::ending("me", 2));
    // A second gateway tells when the time is over.
    let mut witness = open(&asked, path, &tokens::ending("me", 3));
    assert_eq!(witness.text(), CHALLENGE);
    assert_eq!(witness.closed().code, 4005);
    left_alone.publish("as in Java");
}
