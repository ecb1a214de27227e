//! Tokens of an OAuth 2.0 issuer: a small one in this process, whose tokens this Pulsar takes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::secured::Secured;
use crate::support::{base64, topic};

/// An issuer; `given` counts its tokens.
struct Issuer {
    url: String,
    given: Arc<AtomicUsize>,
}

impl Issuer {
    /// For this client's secret.
    fn start(secret: &'static str) -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let given = Arc::new(AtomicUsize::new(0));
        let (issuer, count) = (url.clone(), given.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.expect("a connection"), &issuer, secret, &count);
            }
        });
        Issuer { url, given }
    }
}

fn answer(mut stream: TcpStream, issuer: &str, secret: &str, given: &AtomicUsize) {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    while !is_whole(&request) {
        let count = stream.read(&mut buffer).expect("a request");
        request.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    let (status, body) = if request.starts_with("GET /.well-known/openid-configuration ") {
        (200, format!(r#"{{"token_endpoint":"{issuer}/token"}}"#))
    } else if request.contains(&format!("client_secret={secret}&audience=pulsar")) {
        given.fetch_add(1, Ordering::Relaxed);
        let token = Secured::get().token_for("by-oauth2", 3600);
        (
            200,
            format!(r#"{{"access_token":"{token}","expires_in":3600}}"#),
        )
    } else {
        (401, r#"{"error":"invalid_client"}"#.to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all((head + &body).as_bytes());
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    length.is_none_or(|length| length.parse() == Ok(body.len()))
}

fn settings(issuer: &Issuer, secret: &str) -> [String; 2] {
    let key = base64(&format!(
        r#"{{"client_id":"gateway","client_secret":"{secret}"}}"#
    ));
    let parameters = format!(
        r#"{{"issuerUrl":"{}","privateKey":"data:application/json;base64,{key}","audience":"pulsar"}}"#,
        issuer.url
    );
    [
        "brokerClientAuthenticationPlugin=org.apache.pulsar.client.impl.auth.oauth2.AuthenticationOAuth2".to_owned(),
        format!("brokerClientAuthenticationParameters={parameters}"),
    ]
}

#[test]
fn an_issuers_token_lets_the_gateway_in_and_is_used_again() {
    let secured = Secured::get();
    let namespace = format!("public/{}", topic("oauth2"));
    secured.create_namespace(&namespace);
    secured.grant(&namespace, "by-oauth2", &["produce", "consume"]);
    let issuer = Issuer::start("right");
    let settings = settings(&issuer, "right");
    let world = secured.gateway(&settings.each_ref().map(String::as_str));
    let path = |kind: &str, rest: &str| format!("/ws/v2/{kind}/persistent/{namespace}/t{rest}");
    let mut consumer = world.open(&path("consumer", "/sub"));
    let mut producer = world.open(&path("producer", ""));
    producer.publish("x");
    assert_eq!(consumer.receive(), "x");
    assert_eq!(issuer.given.load(Ordering::Relaxed), 1);
}

#[test]
fn an_issuer_that_refuses_leaves_the_gateway_outside() {
    let issuer = Issuer::start("right");
    let settings = settings(&issuer, "wrong");
    let short = "brokerClient_operationTimeoutMs=2000";
    let world = Secured::get().gateway(&[&settings[0], &settings[1], short]);
    let (status, text) = world.refused("/ws/v2/producer/persistent/public/default/t");
    assert_eq!(status, 504, "{text}");
    assert!(
        text.contains("the gateway's own credentials cannot be had"),
        "{text}"
    );
}
