//! Tokens of clients that run out, where the brokers decide and look at them again and again.
//!
//! Claim: a token that a client gives in band is what its upstream answers a broker's challenge with, on the same connection;
//! who gives none is closed with 4005 and leaves nothing at the broker, while others of the same role go on with theirs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::secured::{NOTICED, Secured};
use crate::support::{Client, World, eventually, payload_of, topic};

const PROVIDER: &str =
    "authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderToken";

/// Seconds that a short token lives.
const SHORT: i64 = 20;
const SHORT_HAS_ENDED: Duration = Duration::from_secs(SHORT as u64 + NOTICED.as_secs());

fn gateway(secured: &Secured, own_role: Option<&str>, more: &[&str]) -> World {
    let key = format!("tokenSecretKey=file://{}", secured.secret_key().display());
    let mut settings = vec![
        "authorization=broker",
        "authenticationEnabled=true",
        PROVIDER,
        &key,
    ];
    settings.extend(more);
    match own_role {
        Some(role) => secured.gateway_as(role, &settings),
        None => secured.gateway(&settings),
    }
}

/// With clients' own credentials, and with those that a proxy forwards; at a time, since it is mostly waiting.
fn on_both_gateways(test: impl Fn(&'static Secured, World) + Sync) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let direct = Secured::get();
            test(direct, gateway(direct, None, &[]));
        });
        scope.spawn(|| {
            let verifying = Secured::that_asks_for_original_auth_data();
            let forwards = ["forwardAuthorizationCredentials=true"];
            test(verifying, gateway(verifying, Some("proxy"), &forwards));
        });
    });
}

/// `tenant/namespace/topic` of its own.
fn granted(secured: &Secured, role: &str) -> String {
    let namespace = format!("public/{}", topic("renewal"));
    secured.create_namespace(&namespace);
    for role in [role, "proxy"] {
        secured.grant(&namespace, role, &["produce", "consume"]);
    }
    format!("{namespace}/t")
}

fn open(world: &World, path: &str, token: &str) -> Client {
    let and = if path.contains('?') { '&' } else { '?' };
    world.open(&format!("/ws/v2/{path}{and}token={token}"))
}

fn answer(client: &mut Client, token: &str) {
    client.send_json(json!({"type": "AUTH_RESPONSE", "authResponse": {
        "clientVersion": "v0", "protocolVersion": 0,
        "response": {"authMethodName": "token", "authData": token},
    }}));
}

fn is_asked(client: &mut Client) {
    assert_eq!(client.json()["type"], "AUTH_CHALLENGE");
}

fn stats(secured: &Secured, topic: &str) -> Value {
    let (status, body) = secured
        .admin()
        .get(&format!("/admin/v2/persistent/{topic}/stats"));
    assert!(status == 200 || status == 404, "{status} {body}");
    serde_json::from_str(&body).unwrap_or_default()
}

/// The address, by which a connection is known, of who is first there.
fn address(secured: &Secured, topic: &str, of: &str) -> Option<String> {
    let place = format!("{of}/0/address");
    let address = stats(secured, topic).pointer(&place)?.as_str()?.to_owned();
    Some(address)
}

fn publisher(secured: &Secured, topic: &str) -> Option<String> {
    address(secured, topic, "/publishers")
}

fn consumer(secured: &Secured, topic: &str) -> Option<String> {
    address(secured, topic, "/subscriptions/s/consumers")
}

#[test]
fn a_new_token_is_what_the_upstream_shows_on_the_same_connection() {
    on_both_gateways(|secured, world| {
        let topic = granted(secured, "renewing");
        let begin = Instant::now();
        let short = secured.token_for("renewing", SHORT);
        let mut producer = open(&world, &format!("producer/persistent/{topic}"), &short);
        producer.publish("before");
        let connection = publisher(secured, &topic);
        assert!(connection.is_some());
        is_asked(&mut producer);
        answer(&mut producer, &secured.token_for("renewing", 3600));
        eventually("the first token has run out", || {
            producer.publish("meanwhile");
            begin.elapsed() > SHORT_HAS_ENDED
        });
        assert_eq!(publisher(secured, &topic), connection);
    });
}

#[test]
fn who_gives_no_new_token_goes_and_others_of_the_role_stay() {
    on_both_gateways(|secured, world| {
        let (topic, alone) = (granted(secured, "leaving"), granted(secured, "leaving"));
        let begin = Instant::now();
        let short = secured.token_for("leaving", SHORT);
        let shared = format!("consumer/persistent/{topic}/s?subscriptionType=Shared");
        let mut leaving = open(&world, &shared, &short);
        let mut last = open(&world, &format!("consumer/persistent/{alone}/s"), &short);
        let mut staying = open(&world, &shared, &secured.token_for("leaving", 3600));
        let mut producer = open(
            &world,
            &format!("producer/persistent/{topic}"),
            &secured.token("leaving"),
        );
        let connection = consumer(secured, &topic);
        assert!(connection.is_some() && consumer(secured, &alone).is_some());
        for client in [&mut leaving, &mut last] {
            is_asked(client);
            assert_eq!(client.closed().code, 4005);
        }
        eventually("the last one's upstream has gone", || {
            consumer(secured, &alone).is_none()
        });
        let mut number = 0;
        eventually("the first token has run out", || {
            number += 1;
            producer.publish(&number.to_string());
            let message = staying.json();
            staying.ack(&message);
            assert_eq!(payload_of(&message), number.to_string());
            begin.elapsed() > SHORT_HAS_ENDED
        });
        assert_eq!(consumer(secured, &topic), connection);
    });
}

/// The gateway asks for nothing then, and brokers end it all the same.
#[test]
fn where_clients_are_not_asked_a_token_ends_its_socket() {
    let secured = Secured::get();
    let world = gateway(secured, None, &["authenticationRefreshCheckSeconds=0"]);
    let topic = granted(secured, "unasked");
    let path = format!("reader/persistent/{topic}");
    let mut reader = open(&world, &path, &secured.token_for("unasked", SHORT));
    assert_eq!(reader.closed().code, 4005);
}
