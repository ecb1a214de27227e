//! An issuer of tokens as OpenID Connect has it: a key of its own (ES256), published on loopback by HTTP or over TLS.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::certificates::Signed;
use super::tokens::now_seconds;

pub struct Issuer {
    /// `http://127.0.0.1:port` or `https://localhost:port`, as it stands in tokens.
    pub name: String,
    key: Mutex<Key>,
    published: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
    is_away: Arc<AtomicBool>,
}

struct Key {
    id: u32,
    pair: EcdsaKeyPair,
}

impl Issuer {
    /// Answers until the tests have ended.
    pub fn start() -> Issuer {
        Issuer::serve(None)
    }

    /// The same over TLS, with this certificate.
    pub fn start_tls(shows: &Signed) -> Issuer {
        let certificate = CertificateDer::from_pem_slice(shows.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(shows.key.as_bytes());
        let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("PEM")], key.expect("PEM"));
        Issuer::serve(Some(Arc::new(tls.expect("they belong together"))))
    }

    fn serve(tls: Option<Arc<ServerConfig>>) -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let name = match &tls {
            None => format!("http://127.0.0.1:{port}"),
            Some(_) => format!("https://localhost:{port}"),
        };
        let key = Key::new(1);
        let issuer = Issuer {
            published: Arc::new(Mutex::new(key.set())),
            key: Mutex::new(key),
            asked: Arc::default(),
            is_away: Arc::default(),
            name,
        };
        let name = &issuer.name;
        let description = json!({"issuer": name, "jwks_uri": format!("{name}/keys")}).to_string();
        let (keys, count) = (issuer.published.clone(), issuer.asked.clone());
        let is_away = issuer.is_away.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                if is_away.load(Ordering::Relaxed) {
                    continue;
                }
                let set = || keys.lock().expect("whole").clone();
                match &tls {
                    None => answer(stream, &count, &description, set),
                    Some(tls) => {
                        let session = ServerConnection::new(tls.clone()).expect("TLS");
                        let stream = StreamOwned::new(session, stream);
                        answer(stream, &count, &description, set);
                    }
                }
            }
        });
        issuer
    }

    /// How often its documents were asked for.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Whether it answers at all.
    pub fn be_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    /// From now on tokens are signed by another key, under another name, which is not published yet.
    pub fn change_key(&self) {
        let mut key = self.key.lock().expect("whole");
        *key = Key::new(key.id + 1);
    }

    /// Publishes the key, and that alone.
    pub fn publish(&self) {
        *self.published.lock().expect("whole") = self.key.lock().expect("whole").set();
    }

    /// For so many seconds from now.
    pub fn token(&self, subject: &str, audience: &str, seconds: i64) -> String {
        let now = now_seconds();
        let claims = json!({
            "iss": self.name, "sub": subject, "aud": audience,
            "iat": now - 1, "nbf": now - 1, "exp": now + seconds,
        });
        let key = self.key.lock().expect("whole");
        let header = json!({ "alg": "ES256", "kid": key.id.to_string() });
        let signed = [header, claims].map(|part| encode(part.to_string().as_bytes()));
        let signed = signed.join(".");
        let signature = key.pair.sign(&SystemRandom::new(), signed.as_bytes());
        format!("{signed}.{}", encode(signature.expect("signed").as_ref()))
    }
}

impl Key {
    fn new(id: u32) -> Key {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random);
        Key {
            id,
            pair: pair.expect("a key"),
        }
    }

    fn set(&self) -> String {
        let point = self.pair.public_key().as_ref();
        let set = json!({"keys": [{
            "kty": "EC", "kid": self.id.to_string(), "crv": "P-256", "alg": "ES256", "use": "sig",
            "x": encode(&point[1..33]), "y": encode(&point[33..]),
        }]});
        set.to_string()
    }
}

fn encode(part: &[u8]) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(part)
}

/// One request; who has asked may find something wrong before, and go.
fn answer(
    mut stream: impl Read + Write,
    count: &AtomicUsize,
    description: &str,
    set: impl Fn() -> String,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        request.push(byte[0]);
    }
    count.fetch_add(1, Ordering::Relaxed);
    let body = match request.starts_with(b"GET /.well-known/openid-configuration ") {
        true => description.to_owned(),
        false => set(),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all((head + &body).as_bytes());
    let _ = stream.flush();
}
