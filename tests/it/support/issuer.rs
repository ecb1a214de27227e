//! An issuer of tokens as OpenID Connect has it: a key of its own (ES256), published by HTTP on loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

use super::tokens::now_seconds;

pub struct Issuer {
    /// `http://127.0.0.1:port`, as it stands in tokens.
    pub name: String,
    key: EcdsaKeyPair,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    /// Answers until the tests have ended.
    pub fn start() -> Issuer {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("a key");
        let point = key.public_key().as_ref();
        let set = json!({"keys": [{
            "kty": "EC", "kid": "1", "crv": "P-256", "alg": "ES256", "use": "sig",
            "x": encode(&point[1..33]), "y": encode(&point[33..]),
        }]});
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let name = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(AtomicUsize::new(0));
        let description = json!({"issuer": name, "jwks_uri": format!("{name}/keys")}).to_string();
        let (set, count) = (set.to_string(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::Relaxed);
                answer(stream.expect("a connection"), &description, &set);
            }
        });
        Issuer { name, key, asked }
    }

    /// How often its documents were asked for.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// For so many seconds from now.
    pub fn token(&self, subject: &str, audience: &str, seconds: i64) -> String {
        let now = now_seconds();
        let claims = json!({
            "iss": self.name, "sub": subject, "aud": audience,
            "iat": now - 1, "nbf": now - 1, "exp": now + seconds,
        });
        let header = encode(br#"{"alg":"ES256","kid":"1"}"#);
        let signed = format!("{header}.{}", encode(claims.to_string().as_bytes()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        format!("{signed}.{}", encode(signature.expect("signed").as_ref()))
    }
}

fn encode(part: &[u8]) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(part)
}

fn answer(mut stream: TcpStream, description: &str, set: &str) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        request.push(byte[0]);
    }
    let body = match request.starts_with(b"GET /.well-known/openid-configuration ") {
        true => description,
        false => set,
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all((head + body).as_bytes());
}
