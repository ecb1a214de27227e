//! README's safe configuration, as it stands there: a gateway starts with it, does what clients are allowed, and nothing else.
//!
//! Replaced are only paths, addresses, and the port, which is any free one.

use serde_json::{Value, json};

use crate::secured::Secured;
use crate::support::certificates::{Authority, Folder};
use crate::support::process::{Gateway, program};
use crate::support::raw::upgrade_request;
use crate::support::secure::{Secure, Trust, Unframed, Version, der};
use crate::support::signer::Signer;
use crate::support::{Raw, eventually, payload_of, topic};

/// What stands in the README between the heading and the end of the first block.
fn published() -> String {
    let readme = include_str!("../../README.md");
    let heading = "### A safe configuration to copy";
    let (_, behind) = readme.split_once(heading).expect("the section");
    let (_, block) = behind.split_once("```properties\n").expect("a block");
    let (text, _) = block.split_once("```").expect("its end");
    text.to_owned()
}

/// A gateway with that file, its clients' view of it, and who signs their tokens.
struct Place {
    gateway: Gateway,
    port: u16,
    /// What it has said until it listened.
    log: Vec<String>,
    trust: Trust,
    signer: Signer,
    namespace: String,
    authority: Authority,
    folder: Folder,
}

impl Place {
    fn new(change: impl FnOnce(String) -> String) -> Place {
        let (secured, folder) = (Secured::get(), Folder::new());
        let (authority, signer) = (Authority::new("Authority of the gateway"), Signer::new());
        let server = authority.server(&["localhost"]);
        let mut text = published();
        for (published, here) in [
            ("webServicePortTls=8443", "webServicePortTls=0".to_owned()),
            (
                "/etc/pws-fast/server.pem",
                folder.write("server.pem", &server.certificate),
            ),
            (
                "/etc/pws-fast/server.key",
                folder.write("server.key", &server.key),
            ),
            (
                "/etc/pws-fast/token.public.der",
                folder.write("token.public.der", &signer.public_der),
            ),
            ("pulsar+ssl://broker.example.com:6651", secured.broker_url()),
            ("https://broker.example.com:8443", secured.web_url()),
            (
                "/etc/pws-fast/brokers-authority.pem",
                secured.trust_certs().display().to_string(),
            ),
            (
                "/etc/pws-fast/gateway.token",
                folder.write("gateway.token", secured.token("admin")),
            ),
        ] {
            assert_eq!(text.matches(published).count(), 1, "{published}");
            text = text.replace(published, &here);
        }
        let file = folder.write("websocket.conf", change(text));
        let checked = program().args(["checkconfig", "--config", &file]).output();
        let told = checked.expect("it runs").stdout;
        assert_eq!(String::from_utf8_lossy(&told), "ok\n");
        let gateway = Gateway::start(&["--config", &file, "--cores", "0"]);
        let mut log = Vec::new();
        let port = loop {
            log.push(gateway.next_line());
            let line = &log[log.len() - 1];
            if let Some((_, address)) = line.split_once("listening on wss://0.0.0.0:") {
                break address.trim().parse().expect("a port");
            }
        };
        let namespace = format!("public/{}", topic("safe"));
        secured.create_namespace(&namespace);
        secured.grant(&namespace, "alice", &["produce", "consume"]);
        Place {
            gateway,
            port,
            log,
            trust: Trust::new(&authority, Version::Tls13, None),
            signer,
            namespace,
            authority,
            folder,
        }
    }

    fn path(&self, kind: &str, rest: &str) -> String {
        format!("/ws/v2/{kind}/persistent/{}/{rest}", self.namespace)
    }

    fn token(&self, role: &str) -> String {
        let later = 4_000_000_000_u64;
        self.signer.token(&json!({ "sub": role, "exp": later }))
    }

    /// A WebSocket as a client that is no browser opens it.
    fn open(&self, before: &[u8], path: &str) -> std::io::Result<Secure> {
        let path = format!("{path}?token={}", self.token("alice"));
        let address = ([127, 0, 0, 1], self.port).into();
        Secure::try_open_behind(before, address, &self.trust, &path)
    }

    /// The status of a request with these lines, over TLS.
    fn status(&self, path: &str, lines: &str) -> String {
        let mut client = Unframed::connect(([127, 0, 0, 1], self.port).into(), &self.trust);
        let request = upgrade_request(path).replace("Host:", &format!("{lines}Host:"));
        client.try_send(request.as_bytes());
        let head = client.http_head();
        head.split(' ').nth(1).expect("a status").to_owned()
    }
}

#[test]
fn it_serves_who_is_allowed_and_nobody_else() {
    let place = Place::new(|text| text);
    // This machine may have fewer open files than a gateway should have.
    let warnings = place.log.iter().filter(|line| line.contains(" WARN "));
    let mut warnings = warnings.filter(|line| !line.contains("limit of open files"));
    assert_eq!(warnings.next(), None);

    let consumer = place.path("consumer", "t/sub");
    let mut opened = None;
    eventually("what was granted counts", || {
        opened = place.open(b"", &consumer).ok();
        opened.is_some()
    });
    let mut consumer = opened.expect("let in");
    let mut reader = place.open(b"", &place.path("reader", "t")).expect("let in");
    let mut producer = place
        .open(b"", &place.path("producer", "t"))
        .expect("let in");
    producer.publish("safe");
    assert_eq!(consumer.receive(), "safe");
    let message: Value = reader.json();
    assert_eq!(payload_of(&message), "safe");

    let path = place.path("producer", "t");
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let alice = bearer(&place.token("alice"));
    let page = |origin: &str| format!("{alice}Origin: {origin}\r\n");
    let stranger = Signer::new().token(&json!({ "sub": "alice" }));
    for (lines, status) in [
        (alice.clone(), "101"),
        (page("https://app.example.com"), "101"),
        (page("https://evil.example"), "403"),
        (String::new(), "401"),
        (bearer(&stranger), "401"),
        (bearer(&place.token("bob")), "403"),
    ] {
        assert_eq!(place.status(&path, &lines), status, "{lines}");
    }
    // In plain nobody is answered; what comes is an alert of TLS.
    let mut plain = Raw::connect(([127, 0, 0, 1], place.port).into());
    plain.try_send(upgrade_request(&path).as_bytes());
    assert!(!plain.rest().starts_with(b"HTTP/"));

    let mut gateway = place.gateway;
    let log = gateway.rest_of_log();
    assert_eq!(log.iter().find(|line| line.contains("eyJ")), None);
}

#[test]
fn behind_a_proxy_it_wants_to_be_told_for_whom() {
    let place = Place::new(|text| {
        let text = text.replace("#webService", "webService");
        text.replace("#trustedProxies=10.0.0.0/8", "trustedProxies=127.0.0.1")
    });
    let header = b"PROXY TCP4 192.0.2.1 10.0.0.1 5000 443\r\n";
    let path = place.path("producer", "t");
    eventually("what was granted counts", || {
        place.open(header, &path).is_ok()
    });
    assert!(place.open(b"", &path).is_err());
}

const SOCKETS: usize = 1_000;

/// With places for as many clients of one address.
#[test]
fn a_new_certificate_ends_none_of_a_thousand_sockets_of_an_authorized_role() {
    let place = Place::new(|text| {
        let text = text.replace("maxConnectionsPerIp=500", "maxConnectionsPerIp=2000");
        let text = text.replace("SecondPerIp=50", "SecondPerIp=1000");
        format!("{text}tlsCertRefreshCheckDurationSec=0\n")
    });
    let path = place.path("reader", "rotation");
    eventually("what was granted counts", || place.open(b"", &path).is_ok());
    let open = || place.open(b"", &path).expect("let in");
    let mut readers: Vec<Secure> = (0..SOCKETS).map(|_| open()).collect();
    let producer = place.path("producer", "rotation");
    let mut producer = place.open(b"", &producer).expect("let in");
    producer.publish("before");

    let signed = place.authority.server(&["localhost"]);
    place.folder.write("server.key", &signed.key);
    place.folder.write("server.pem", &signed.certificate);
    let new = der(&signed.certificate);
    eventually("the new certificate is shown", || *open().shown() == new);

    producer.publish("after");
    for reader in &mut readers {
        for payload in ["before", "after"] {
            assert_eq!(payload_of(&reader.json()), payload);
        }
    }
}
