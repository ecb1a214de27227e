//! What the settings hold that nobody is to read: keys, passwords, the gateway's own credentials.
//!
//! Set-up: the program at level trace with all of them, rightly and wrongly; it works, is refused, finds its files
//! broken. Claim: none of it is in what it says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use serde_json::json;

use super::AUTHENTICATED;
use crate::support::certificates::{Authority, Folder, Signed};
use crate::support::process::{Gateway, program, program_with};
use crate::support::secure::{Secure, Trust, Version};
use crate::support::{Client, Raw, base64, payload_of, topic};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const AUTH: &str = "org.apache.pulsar.client.impl.auth";

/// A gateway at level trace, and all that it has said so far.
struct Overheard {
    gateway: Gateway,
    log: Vec<String>,
}

impl Overheard {
    fn start(settings: &[String]) -> Overheard {
        Overheard {
            gateway: Gateway::start_program(program_with(settings).args(["--log-level", "trace"])),
            log: Vec::new(),
        }
    }

    /// What follows `text` in the first line that has it, of those that nobody has waited for.
    fn line_after(&mut self, text: &str) -> String {
        loop {
            let line = self.gateway.next_line();
            let rest = line.split_once(text).map(|(_, rest)| rest.to_owned());
            self.log.push(line);
            if let Some(rest) = rest {
                return rest;
            }
        }
    }

    /// `scheme` is one that it listens on.
    fn address(&mut self, scheme: &str) -> SocketAddr {
        let address = self.line_after(&format!("listening on {scheme}://"));
        address.trim().parse().expect("an address")
    }

    /// Ends it.
    fn has_said_nothing_of(mut self, secrets: &[String]) {
        self.log.extend(self.gateway.rest_of_log());
        tell_nothing(&self.log, secrets);
    }
}

/// The lines of PEM that are its secret.
fn body(pem: &str) -> Vec<String> {
    let lines = pem.lines().map(str::trim);
    let lines = lines.filter(|line| line.len() > 20 && !line.starts_with('-'));
    lines.map(str::to_owned).collect()
}

fn tell_nothing(log: &[String], secrets: &[String]) {
    for secret in secrets {
        let told = log.iter().find(|line| line.contains(secret.as_str()));
        assert_eq!(told, None, "{secret}");
    }
}

const USERS: &str = "me:$2y$04$3RyqFWE.7Ju5WlZQ3v.6Tu1kXuvGWTc.uRWE1XHlNlsON1E1O0LF2\n";

/// Where the keys of end-to-end encryption are.
fn key_directory() -> String {
    format!("{ROOT}/src/pulsar/crypto/tests/keys")
}

/// Of a gateway with secrets of all kinds.
fn settings(server: &Signed, folder: &Folder) -> Vec<String> {
    let own = json!({ "userId": "gateway", "password": "secret-of-the-gateway" });
    vec![
        "webServicePortTls=0".to_owned(),
        format!("tlsKeyFilePath={}", folder.write("key", &server.key)),
        format!(
            "tlsCertificateFilePath={}",
            folder.write("certificate", &server.certificate)
        ),
        "tlsCertRefreshCheckDurationSec=0".to_owned(),
        AUTHENTICATED[0].to_owned(),
        format!(
            "{},org.apache.pulsar.broker.authentication.AuthenticationProviderBasic",
            AUTHENTICATED[1]
        ),
        AUTHENTICATED[2].to_owned(),
        format!("basicAuthConf=data:;base64,{}", base64(USERS)),
        format!("cryptoKeyDirectory={}", key_directory()),
        format!("brokerClientAuthenticationPlugin={AUTH}.AuthenticationBasic"),
        format!("brokerClientAuthenticationParameters={own}"),
    ]
}

/// What is secret in these settings and in what clients say.
fn secrets(server: &Signed) -> Vec<String> {
    let private = format!("{}/rsa.private.pem", key_directory());
    let private = std::fs::read_to_string(private).expect("a key");
    let plain = [
        "secret-of-the-gateway",
        "another-password",
        "secret payload",
        "$2y$04$",
        AUTHENTICATED[2].split_once('=').expect("a value").1,
    ];
    let encoded = [
        "me:password",
        "me:another-password",
        "secret payload",
        "gateway:secret-of-the-gateway",
        USERS,
    ];
    [
        body(&server.key),
        body(&private),
        plain.map(str::to_owned).to_vec(),
        encoded.map(base64).to_vec(),
    ]
    .concat()
}

/// Clients with passwords and tokens, good ones and bad ones, and a message that is sealed.
fn work(plain: SocketAddr, tls: SocketAddr, authority: &Authority) {
    let name = topic("secret-settings");
    let path = format!("/ws/v2/producer/persistent/public/default/{name}");
    let password = |pair: &str| format!("Authorization: Basic {}\r\n", base64(pair));
    let sealing = format!("{path}?encryptionKeys=rsa");
    let (mut producer, _) = Raw::open_with(plain, &sealing, &password("me:password"));
    producer.say(&json!({ "payload": base64("secret payload") }).to_string());
    assert!(producer.text().contains(r#""result":"ok""#));
    let mut wrong = Raw::connect(plain);
    let request = super::with_lines(&path, &password("me:another-password"));
    wrong.send(request.as_bytes());
    assert_eq!(wrong.answer().status, 401);
    let trust = Trust::new(authority, Version::Tls13, None);
    let token = super::TOKEN;
    let reader =
        format!("/ws/v2/reader/persistent/public/default/{name}?messageId=earliest&token={token}");
    let mut reader = Secure::open(tls, &trust, &reader);
    assert_eq!(payload_of(&reader.json()), "secret payload");
}

#[test]
fn a_gateway_at_work_says_nothing_of_its_keys_and_passwords() {
    let (authority, folder) = (Authority::new("it"), Folder::new());
    let server = authority.server(&["localhost"]);
    let mut gateway = Overheard::start(&settings(&server, &folder));
    let tls = gateway.address("wss");
    let plain = gateway.address("ws");
    work(plain, tls, &authority);
    // A key that is none: the log says which file, and that the old one stays.
    folder.write("key", server.key.replace("BEGIN", "BEGAN"));
    gateway.line_after("the old ones stay");
    gateway.has_said_nothing_of(&secrets(&server));
}

/// An issuer that is helpful: it repeats what was posted.
fn quoting_issuer() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let own = url.clone();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = vec![0; 64 * 1024];
            let mut length = 0;
            while !is_whole(&request[..length]) {
                match stream.read(&mut request[length..]) {
                    Ok(count) if count > 0 => length += count,
                    _ => break,
                }
            }
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let (status, body) = match request.starts_with("GET ") {
                true => (200, json!({ "token_endpoint": format!("{own}/token") })),
                false => (
                    400,
                    json!({ "error": "invalid_client", "error_description": request }),
                ),
            };
            let body = body.to_string();
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    url
}

/// Head and body of an HTTP request have come.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    length.is_none_or(|length| length.parse() == Ok(body.len()))
}

#[test]
fn an_issuer_that_refuses_the_client_secret_is_told_of_without_it() {
    let key = json!({ "client_id": "gateway", "client_secret": "client secret/+" });
    let parameters = json!({
        "issuerUrl": quoting_issuer(),
        "privateKey": format!("data:application/json;base64,{}", base64(&key.to_string())),
    });
    let mut gateway = Overheard::start(&[
        format!("brokerClientAuthenticationPlugin={AUTH}.oauth2.AuthenticationOAuth2"),
        format!("brokerClientAuthenticationParameters={parameters}"),
        "brokerClient_operationTimeoutMs=1000".to_owned(),
    ]);
    let address = gateway.address("ws");
    let path = format!(
        "/ws/v2/producer/persistent/public/default/{}",
        topic("oauth2")
    );
    let refused = Client::open(address, &path).map(drop);
    let (_, answer) = refused.expect_err("there is nothing to show");
    gateway.line_after("invalid_client");
    let secrets = [
        "client secret/+",
        "client%20secret%2F%2B",
        &base64(&key.to_string()),
    ];
    let secrets = secrets.map(str::to_owned);
    tell_nothing(&[answer], &secrets);
    gateway.has_said_nothing_of(&secrets);
}

#[test]
fn a_setting_that_is_secret_and_wrong_is_not_repeated() {
    let jks = format!("{ROOT}/src/tls/fixtures/java.jks");
    let broken = format!("{ROOT}/src/tls/fixtures/ec.pem");
    let store = |path: &str| {
        [
            "webServicePortTls=0",
            "tlsEnabledWithKeyStore=true",
            "tlsKeyStorePassword=s3cret",
        ]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("tlsKeyStore={path}")])
        .collect::<Vec<_>>()
    };
    let authenticated = |setting: &str| {
        let all = [AUTHENTICATED[0], AUTHENTICATED[1], setting];
        all.map(str::to_owned).to_vec()
    };
    let plugin = format!("brokerClientAuthenticationPlugin={AUTH}");
    for settings in [
        authenticated("tokenSecretKey=s3cret s3cret"),
        authenticated("tokenSecretKey=data:;base64,s3cret!"),
        authenticated("tokenSecretKey=data:s3cret"),
        authenticated("tokenPublicKey=s3cret"),
        authenticated("tokenSecretkey=s3cret"),
        vec![
            AUTHENTICATED[0].to_owned(),
            "authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderBasic".to_owned(),
            "basicAuthConf=data:;base64,s3cret!".to_owned(),
        ],
        vec!["brokerClientAuthenticationParameters=s3cret".to_owned()],
        vec![
            format!("{plugin}.AuthenticationToken"),
            "brokerClientAuthenticationParameters=s3cret s3cret".to_owned(),
        ],
        vec![
            format!("{plugin}.AuthenticationBasic"),
            "brokerClientAuthenticationParameters=user:s3cret".to_owned(),
        ],
        vec![
            format!("{plugin}.AuthenticationSasl"),
            "brokerClient_authParams=s3cret".to_owned(),
        ],
        vec!["brokerServiceUrl=pulsar://user:s3cret@broker:6650".to_owned()],
        vec!["serviceUrl=https://user:s3cret@broker:8443".to_owned()],
        vec![
            "configurationMetadataStoreUrl=zk:user:s3cret@host:2181".to_owned(),
            "clusterName=c".to_owned(),
        ],
        store(&jks),
        store(&broken),
    ] {
        let mut program = program();
        program.arg("checkconfig");
        for setting in &settings {
            program.args(["--set", setting]);
        }
        let output = program.output().expect("it runs");
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(!told.contains("s3cret"), "{settings:?}: {told}");
        assert_eq!(output.status.code(), Some(64), "{settings:?}: {told}");
    }
}
