//! What the gateway shows to brokers, on brokers that look at it.
//!
//! Claim: each kind lets in whom Pulsar knows and has granted something, for publishing and consuming, over both ways to
//! find a topic; what is wrong is refused with Pulsar's words; a token that is renewed in its file keeps a connection.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::secured::{BASIC_PASSWORD, BASIC_USER, NOTICED, Secured, by_token};
use crate::support::{Client, World, eventually, topic};

const JAVA: &str = "org.apache.pulsar.client.impl.auth";

/// A namespace on which the role may do everything with messages.
fn namespace(name: &str, role: &str) -> String {
    let namespace = format!("public/{}", topic(name));
    Secured::get().create_namespace(&namespace);
    Secured::get().grant(&namespace, role, &["produce", "consume"]);
    namespace
}

fn walk(world: &World, namespace: &str) {
    let name = topic("walk");
    let path =
        |kind: &str, rest: &str| format!("/ws/v2/{kind}/persistent/{namespace}/{name}{rest}");
    let mut consumer = world.open(&path("consumer", "/sub"));
    let mut reader = world.open(&path("reader", ""));
    let mut producer = world.open(&path("producer", ""));
    producer.publish("x");
    assert_eq!(consumer.receive(), "x");
    assert_eq!(reader.receive(), "x");
}

fn refused(world: &World, namespace: &str) -> (u16, String) {
    world.refused(&format!("/ws/v2/producer/persistent/{namespace}/t"))
}

fn plugin(name: &str, parameters: &str) -> [String; 2] {
    [
        format!("brokerClientAuthenticationPlugin={JAVA}.{name}"),
        format!("brokerClientAuthenticationParameters={parameters}"),
    ]
}

fn gateway(settings: &[String]) -> World {
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    Secured::get().gateway(&settings)
}

#[test]
fn each_kind_of_credentials_is_taken_for_its_role() {
    let secured = Secured::get();
    let certificate = secured.certificate("by-certificate");
    let files = format!(
        "tlsCertFile:{},tlsKeyFile:{}",
        certificate.certificate.display(),
        certificate.key.display()
    );
    let password = format!(r#"{{"userId":"{BASIC_USER}","password":"{BASIC_PASSWORD}"}}"#);
    let token = format!("token:{}", secured.token("by-token"));
    for (role, settings) in [
        ("by-token", by_token(&token)),
        ("by-certificate", plugin("AuthenticationTls", &files)),
        (BASIC_USER, plugin("AuthenticationBasic", &password)),
    ] {
        let world = gateway(&settings);
        walk(&world, &namespace("kinds", role));
        // Known, and granted nothing there.
        let (status, text) = refused(&world, &namespace("kinds", "somebody-else"));
        assert_eq!(status, 403, "{role}: {text}");
        // The same by HTTP lookups.
        let mut settings = settings.to_vec();
        settings.push("brokerServiceUrl=".to_owned());
        settings.push(format!("serviceUrl={}", secured.web_url()));
        walk(&gateway(&settings), &namespace("kinds", role));
    }
}

#[test]
fn wrong_credentials_and_none_are_refused_with_the_brokers_words() {
    let namespace = namespace("wrong", "nobody");
    let secured = Secured::get();
    let expired = format!("token:{}", secured.token_for("nobody", -60));
    let password = r#"{"userId":"basic-user","password":"wrong"}"#;
    for settings in [
        by_token("token:a.b.c").to_vec(),
        by_token(&expired).to_vec(),
        plugin("AuthenticationBasic", password).to_vec(),
        Vec::new(),
    ] {
        let answer = refused(&gateway(&settings), &namespace);
        let text = "Failed to create producer/consumer: Failed to authenticate\n".to_owned();
        assert_eq!(answer, (401, text), "{settings:?}");
    }
}

/// `proxyRoles`: the broker wants to know for whom such a role speaks.
#[test]
fn a_role_that_is_a_proxys_works_too() {
    let secured = Secured::get();
    walk(
        &secured.gateway_as("proxy", &[]),
        &namespace("proxy", "proxy"),
    );
}

/// The address and port of the only publisher, by which its connection is known.
fn publisher(topic: &str) -> Option<String> {
    let path = format!("/admin/v2/persistent/{topic}/stats");
    let (status, body) = Secured::get().admin().get(&path);
    let stats: Value = serde_json::from_str(&body).unwrap_or_default();
    let address = stats["publishers"][0]["address"].as_str();
    address.filter(|_| status == 200).map(str::to_owned)
}

/// Seconds that a short token lives.
const SHORT: i64 = 20;

/// A producer of a gateway whose token lives for a short time, and is written anew where it has not lived long enough for
/// a busy machine.
fn let_in(world: &World, topic: &str, write: impl Fn()) -> Client {
    let path = format!("/ws/v2/producer/persistent/{topic}");
    let mut producer = None;
    eventually("its token is believed", || {
        producer = Client::open(world.address(), &path).ok();
        if producer.is_none() {
            write();
        }
        producer.is_some()
    });
    producer.expect("it is in")
}

#[test]
fn a_token_that_is_renewed_in_its_file_keeps_the_connection() {
    let secured = Secured::get();
    let namespace = namespace("renewed", "renewing");
    let file = secured.path("renewed.token");
    let write = |seconds: i64| {
        let token = secured.token_for("renewing", seconds);
        fs::write(&file, format!("{token}\n")).expect("the folder is there");
    };
    write(SHORT);
    let world = gateway(&by_token(&format!("file://{}", file.display())));
    let topic = format!("{namespace}/{}", topic("renewed"));
    let mut producer = let_in(&world, &topic, || write(SHORT));
    producer.publish("before");
    let connection = publisher(&topic).expect("it is connected");
    write(3600);
    // The broker knows the first one's end by itself, and asks.
    let begin = Instant::now();
    eventually("the first token has expired", || {
        producer.publish("meanwhile");
        begin.elapsed() > Duration::from_secs(SHORT as u64) + NOTICED
    });
    assert_eq!(publisher(&topic), Some(connection));
}

#[test]
fn a_token_that_is_renewed_late_brings_the_gateway_back() {
    let secured = Secured::get();
    let namespace = namespace("late", "late");
    let file = secured.path("late.token");
    let write = |seconds: i64| {
        let token = secured.token_for("late", seconds);
        fs::write(&file, token).expect("the folder is there");
    };
    write(SHORT);
    let settings = by_token(&format!("file://{}", file.display()));
    let quick = "brokerClient_maxBackoffIntervalNanos=500000000".to_owned();
    let world = gateway(&[settings.as_slice(), &[quick]].concat());
    let topic = format!("{namespace}/{}", topic("late"));
    let mut producer = let_in(&world, &topic, || write(SHORT));
    producer.publish("before");
    eventually("the broker has ended the connection", || {
        publisher(&topic).is_none()
    });
    write(3600);
    producer.publish("after");
}
