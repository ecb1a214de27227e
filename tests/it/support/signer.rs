//! Somebody who signs tokens with ES256, and whose public key others may have.

use rcgen::PublicKeyData;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

pub struct Signer {
    key: EcdsaKeyPair,
    /// SubjectPublicKeyInfo.
    pub public_der: Vec<u8>,
    pub public_pem: String,
}

impl Signer {
    pub fn new() -> Signer {
        let made = rcgen::KeyPair::generate().expect("a key");
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, &made.serialize_der(), &SystemRandom::new());
        Signer {
            key: key.expect("PKCS#8"),
            public_der: made.subject_public_key_info(),
            public_pem: made.public_key_pem(),
        }
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": "ES256" }), claims)
    }

    /// With this header, which may say anything.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = signed_part(header, claims);
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        format!("{signed}.{}", encode(signature.expect("a signature")))
    }

    /// The public half as a JSON Web Key.
    pub fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]) })
    }
}

/// What a signature is of.
pub fn signed_part(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        encode(header.to_string()),
        encode(claims.to_string())
    )
}

/// base64 as tokens have it.
pub fn encode(part: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(part)
}
