//! What the log lets out: secrets of clients, lines that clients write.
//!
//! Set-up: the program at level trace, with authentication; clients that show every kind of secret, rightly and wrongly, and
//! names full of control characters. Claim: nothing of either can be found in what it has logged, nor in its answers.

use serde_json::json;

use super::{AUTHENTICATED, TOKEN, WRONG_TOKEN, with_lines};
use crate::support::process::{Gateway, program_with};
use crate::support::tokens::{now_seconds, signed_by};
use crate::support::{Client, Raw, base64, topic};

const PAYLOAD: &str = "secret payload";
const SECRETS: [&str; 9] = [
    PAYLOAD,
    "secret-key",
    "secret-property",
    "secret-context",
    "secret-cookie",
    "secret-parameter",
    "secret-password",
    "secret-reason",
    "secret-encryption",
];

/// A line that is not the gateway's, a bell, and a cleared screen.
const EVIL: &str = "%0A2026-01-01T00:00:00Z%20ERROR%20forged%0D%07%1B%5B2J%C2%9B31m";

fn start() -> (Gateway, std::net::SocketAddr, Vec<String>) {
    let mut program = program_with(&AUTHENTICATED);
    let gateway = Gateway::start_program(program.args(["--log-level", "trace"]));
    let mut log = Vec::new();
    let address = loop {
        let line = gateway.next_line();
        let address = line
            .split_once("listening on ws://")
            .map(|(_, address)| address.trim().parse().expect("an address"));
        log.push(line);
        if let Some(address) = address {
            break address;
        }
    };
    (gateway, address, log)
}

fn open(address: std::net::SocketAddr, path: &str) -> Client {
    Client::open(address, path).unwrap_or_else(|refusal| panic!("{path}: {refusal:?}"))
}

/// Publishes, consumes and reads with everything that is secret.
fn use_it(address: std::net::SocketAddr, name: &str) {
    let token = format!("token={TOKEN}&other=secret-parameter");
    let base = format!("persistent/public/default/{name}");
    let mut consumer = open(
        address,
        &format!("/ws/v2/consumer/{base}/sub{EVIL}?{token}"),
    );
    let mut reader = open(
        address,
        &format!("/ws/v2/reader/{base}?{token}&readerName=r{EVIL}"),
    );
    let mut producer = open(
        address,
        &format!("/ws/v2/producer/{base}?{token}&producerName=p{EVIL}{name}"),
    );
    producer.publish_json(json!({
        "payload": base64(PAYLOAD), "key": "secret-key", "context": "secret-context",
        "properties": { "secret-property": "secret-property" },
    }));
    assert_eq!(
        (consumer.receive().as_str(), reader.payload().as_str()),
        (PAYLOAD, PAYLOAD)
    );
    producer.send(r#"{"payload":"secret payload","context":"secret-context","properties":{"secret-property":[]}}"#);
    assert_eq!(producer.json()["result"], "send-error:3");
    consumer.send(r#"{"messageId":"secret payload"}"#);
    assert_eq!(consumer.closed().code, 4003);
    // A token that ends, and a new one in band that is none.
    let claims = json!({ "sub": "attacked", "exp": now_seconds() + 3600 });
    let ending = signed_by(b"a key of the attack list, no other", &claims);
    let mut reader = open(address, &format!("/ws/v2/reader/{base}?token={ending}"));
    reader.send_json(json!({ "type": "AUTH_RESPONSE", "authResponse": {
        "response": { "authMethodName": "token", "authData": WRONG_TOKEN },
    }}));
    assert_eq!(reader.closed().code, 4005);
}

/// Requests that are refused, each at another place: the answers.
fn be_refused(address: std::net::SocketAddr, name: &str) -> Vec<String> {
    let mut answers = Vec::new();
    let producer = format!("/ws/v2/producer/persistent/public/default/{name}{EVIL}");
    let query = format!("{producer}?%74oken={WRONG_TOKEN}&token={TOKEN}&secret-parameter");
    let offers = [
        format!("Authorization: Bearer {WRONG_TOKEN}\r\n"),
        format!("Authorization: Bearer {WRONG_TOKEN}\r\nAuthorization: Bearer {TOKEN}\r\n"),
        "Authorization: Basic secret-password\r\n".to_owned(),
        format!("Sec-WebSocket-Protocol: pulsar-token.{WRONG_TOKEN}, pulsar\r\n"),
        "Cookie: session=secret-cookie\r\n".to_owned(),
        format!("Origin: https://evil.example\r\nAuthorization: Bearer {TOKEN}\r\n"),
        "Content-Length: 5\r\nCookie: secret-cookie\r\n".to_owned(),
        "Cookie: secret-cookie\0\r\n".to_owned(),
    ];
    for lines in &offers {
        let mut raw = Raw::connect(address);
        raw.try_send(with_lines(&query, lines).as_bytes());
        let answer = raw.answer();
        assert!([400, 401, 403].contains(&answer.status), "{lines}");
        answers.push(answer.head + &answer.body);
    }
    let with_token = format!("Authorization: Bearer {TOKEN}\r\n");
    for (path, status) in [
        (format!("{producer}?encryptionKeys=secret-encryption"), 400),
        (
            format!("{producer}?sendTimeoutMillis=abc&secret=secret-parameter"),
            400,
        ),
        (
            format!("/ws/v2/producer/persistent/no-such-tenant/x/t{EVIL}?x=secret-parameter"),
            404,
        ),
        (format!("/no-path{EVIL}?token={TOKEN}"), 404),
    ] {
        let mut raw = Raw::connect(address);
        raw.try_send(with_lines(&path, &with_token).as_bytes());
        let answer = raw.answer();
        assert_eq!(answer.status, status, "{path}");
        answers.push(answer.head + &answer.body);
    }
    answers
}

#[test]
fn nothing_secret_is_logged_at_any_level_and_nobody_else_writes_the_log() {
    let (mut gateway, address, mut log) = start();
    let name = topic("secrets");
    use_it(address, &name);
    let answers = be_refused(address, &name);
    log.extend(gateway.rest_of_log());
    let tells = |text: &str| log.iter().any(|line| line.contains(text));
    assert!(
        tells("client=127.0.0.1 status=101"),
        "handshakes are told: {log:#?}"
    );
    assert!(tells("status=401") && tells("status=403") && tells("status=404"));
    let key = AUTHENTICATED[2].split_once('=').expect("key=value").1;
    let signature = |token: &'static str| token.rsplit('.').next().expect("three parts");
    let tokens = [
        signature(TOKEN),
        signature(WRONG_TOKEN),
        key,
        &base64(PAYLOAD),
    ];
    for secret in SECRETS.iter().copied().chain(tokens.iter().map(|it| &**it)) {
        let told = log
            .iter()
            .chain(&answers)
            .find(|line| line.contains(secret));
        assert_eq!(told, None, "{secret}");
    }
    for line in &log {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let is_own = line.starts_with("20")
            && line.contains('Z')
            && !line.starts_with("2026-01-01T00:00:00Z ERROR forged");
        assert!(is_own, "{line:?}");
    }
}
