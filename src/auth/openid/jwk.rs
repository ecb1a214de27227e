//! A key set as an issuer publishes it (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use serde_json::{Map, Value};

use crate::auth::jwt::algorithm::Algorithm;
use crate::auth::jwt::key::Key;

/// Keys of one issuer that are looked at; issuers have a handful.
const KEYS_MAX: usize = 64;

/// One key with its names.
pub struct PublishedKey {
    pub id: String,
    /// The one algorithm it is for, if it says so.
    pub algorithm: Option<Algorithm>,
    pub key: Key,
}

/// The keys of a set that can verify something here; those of other kinds are passed over (RFC 7517 §5).
/// None: it is no key set.
pub fn parse(body: &[u8]) -> Option<Vec<PublishedKey>> {
    let set: Value = serde_json::from_slice(body).ok()?;
    let keys = set.get("keys")?.as_array()?;
    let keys = keys.iter().filter_map(|key| published(key.as_object()?));
    Some(keys.take(KEYS_MAX).collect())
}

fn published(jwk: &Map<String, Value>) -> Option<PublishedKey> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text(name)?).ok();
    if text("use").is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let algorithm = match text("alg") {
        Some(name) => Some(Algorithm::named(name)?),
        None => None,
    };
    // A shared secret (`oct`) is not what an issuer would publish, and is never taken.
    let key = match (text("kty")?, text("crv")) {
        ("RSA", _) => Key::rsa(&bytes("n")?, &bytes("e")?),
        ("EC", Some(curve)) => {
            let bits = match curve {
                "P-256" => 256,
                "P-384" => 384,
                "P-521" => 521,
                _ => return None,
            };
            Key::ec(bits, &[&[4][..], &bytes("x")?, &bytes("y")?].concat())?
        }
        ("OKP", Some("Ed25519")) => Key::ed25519(&bytes("x")?)?,
        _ => return None,
    };
    Some(PublishedKey {
        id: text("kid")?.to_owned(),
        algorithm,
        key,
    })
}
