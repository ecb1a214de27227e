//! JSON Web Tokens in their compact form (RFC 7515 §7.1, RFC 7519): read first, believed when a key has verified them.
//!
//! What may verify what is decided by the key alone (`key`): a token's `alg` chooses only among the algorithms of the
//! key's own kind, so that neither `none` nor a public key taken for a shared secret verifies anything.

pub mod algorithm;
pub mod claims;
pub mod key;

use serde_json::{Map, Value};

use super::Why;
use super::offered::TOKEN_BYTES_MAX;
use algorithm::Algorithm;
use claims::Claims;
use key::Key;

/// A token that has been read and not been verified.
pub struct Unverified<'a> {
    pub algorithm: Algorithm,
    /// Which of an issuer's keys has signed it (RFC 7515 §4.1.4).
    pub key_id: Option<String>,
    claims: Claims,
    signed: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// # Errors
    /// It is none, is not signed by an algorithm that is known, or wants to be understood in a way that nobody here does.
    pub fn parse(token: &'a str) -> Result<Unverified<'a>, Why> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err("the token is too long");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(NOT_A_TOKEN)?;
        let (header, claims) = signed.split_once('.').ok_or(NOT_A_TOKEN)?;
        let header = object(header)?;
        // RFC 7515 §4.1.11: what must be understood and is not makes a token invalid. A compressed one has `zip`.
        if header.contains_key("crit") || header.contains_key("zip") {
            return Err("the token wants extensions that are not known");
        }
        let text = |name| header.get(name).and_then(Value::as_str);
        let algorithm = text("alg").and_then(Algorithm::named);
        Ok(Unverified {
            key_id: text("kid").map(str::to_owned),
            algorithm: algorithm.ok_or("the token's algorithm is not one of signatures")?,
            // A further dot is no base64.
            claims: Claims::new(object(claims)?),
            signed: signed.as_bytes(),
            signature: decode(signature).ok_or(NOT_A_TOKEN)?,
        })
    }

    /// What it claims its issuer is, to find the key by: not to be believed before [`Unverified::verify`].
    pub fn claimed_issuer(&self) -> Option<&str> {
        self.claims.text("iss")
    }

    /// # Errors
    /// The key is not of the kind of the algorithm, or has not signed this.
    pub fn verify(self, key: &Key) -> Result<Claims, Why> {
        match key.verifies(self.algorithm, self.signed, &self.signature) {
            Some(true) => Ok(self.claims),
            Some(false) => Err("the token's signature is wrong"),
            None => Err("the token's algorithm is not one of the key's"),
        }
    }
}

const NOT_A_TOKEN: Why = "not a JSON Web Token";

fn decode(part: &str) -> Option<Vec<u8>> {
    base64_simd::URL_SAFE_NO_PAD.decode_to_vec(part).ok()
}

fn object(part: &str) -> Result<Map<String, Value>, Why> {
    let bytes = decode(part).ok_or(NOT_A_TOKEN)?;
    serde_json::from_slice(&bytes).map_err(|_| NOT_A_TOKEN)
}
