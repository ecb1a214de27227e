//! Tokens for gateways that ask who one is: signed with a key of the tests (HS256).

use std::time::{SystemTime, UNIX_EPOCH};

use ring::hmac;
use serde_json::{Value, json};

/// 256 bits: `base64("a key of these tests, 256 bits: ")`.
pub const SECRET_KEY: &[u8; 32] = b"a key of these tests, 256 bits: ";

/// Of a gateway that believes these tokens.
pub const TOKEN_SETTINGS: [&str; 3] = [
    "authenticationEnabled=true",
    "authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderToken",
    SECRET_SETTING,
];

pub const SECRET_SETTING: &str =
    "tokenSecretKey=data:;base64,YSBrZXkgb2YgdGhlc2UgdGVzdHMsIDI1NiBiaXRzOiA=";

/// The settings of such a gateway, and more.
pub fn settings<'a>(more: &[&'a str]) -> Vec<&'a str> {
    TOKEN_SETTINGS.iter().chain(more).copied().collect()
}

/// It does not expire.
pub fn token(role: &str) -> String {
    claiming(&json!({ "sub": role }))
}

/// Until so many seconds from now.
pub fn ending(role: &str, seconds: i64) -> String {
    claiming(&json!({ "sub": role, "exp": now_seconds() + seconds }))
}

/// With these claims.
pub fn claiming(claims: &Value) -> String {
    signed_by(SECRET_KEY, claims)
}

/// The same, signed with another key.
pub fn signed_by(key: &[u8], claims: &Value) -> String {
    let encode = |bytes: &[u8]| base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes);
    let signed = format!(
        "{}.{}",
        encode(br#"{"alg":"HS256"}"#),
        encode(claims.to_string().as_bytes())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", encode(signature.as_ref()))
}

pub fn now_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is past 1970").as_secs() as i64
}
