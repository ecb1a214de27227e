//! Tokens for gateways that ask who one is: signed with a key of the tests (HS256).

use ring::hmac;
use serde_json::json;

/// 256 bits: `base64("a key of these tests, 256 bits: ")`.
const SECRET_KEY: &[u8; 32] = b"a key of these tests, 256 bits: ";

/// Of a gateway that believes these tokens.
pub const TOKEN_SETTINGS: [&str; 3] = [
    "authenticationEnabled=true",
    "authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderToken",
    "tokenSecretKey=data:;base64,YSBrZXkgb2YgdGhlc2UgdGVzdHMsIDI1NiBiaXRzOiA=",
];

/// It does not expire.
pub fn token(role: &str) -> String {
    let encode = |bytes: &[u8]| base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes);
    let claims = json!({ "sub": role }).to_string();
    let signed = format!(
        "{}.{}",
        encode(br#"{"alg":"HS256"}"#),
        encode(claims.as_bytes())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET_KEY);
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", encode(signature.as_ref()))
}
