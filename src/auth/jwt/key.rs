//! Keys that verify tokens, each for the algorithms of its own kind only.
//!
//! `ring` does the arithmetic, in constant time where a secret is part of it; it has no P-521, so that is `p521`'s.

use p521::ecdsa::signature::Verifier;
use ring::{hmac, signature};

use super::algorithm::{Algorithm, Family};
use crate::der::{self, Der};

/// RFC 7518 §3.2: a shared secret is at least as long as the hash; Java refuses a shorter one at the start.
const SECRET_BYTES_MIN: usize = 32;

/// RFC 7518 §3.3, and the longest that is verified with here (8,192 bits): no token would ever be let in by another.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// An RSA key of more bytes than this is slow to verify with.
const QUICK_RSA_BYTES_MAX: usize = 512;

/// A key that verifies. It has no `Debug`: it may be a shared secret.
pub enum Key {
    Hmac(Box<Hmac>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    P521(Box<p521::ecdsa::VerifyingKey>),
    Ed25519(Vec<u8>),
}

/// The secret as `ring` holds it: not its bytes, but the hash's state after them. For a hash longer than the secret there
/// is none, as in Java.
pub struct Hmac {
    hs256: hmac::Key,
    hs384: Option<hmac::Key>,
    hs512: Option<hmac::Key>,
}

/// Object identifiers of key types and curves (RFC 3279 §2.3, RFC 5480 §2, RFC 8410 §3).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

impl Key {
    /// # Errors
    /// It is too short to be a secret.
    pub fn secret(bytes: &[u8]) -> Result<Key, String> {
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(format!(
                "is a secret of fewer than {SECRET_BYTES_MIN} bytes (bin/pulsar tokens create-secret-key makes a good one)"
            ));
        }
        let long = |bytes_min, algorithm| {
            (bytes.len() >= bytes_min).then(|| hmac::Key::new(algorithm, bytes))
        };
        Ok(Key::Hmac(Box::new(Hmac {
            hs256: hmac::Key::new(hmac::HMAC_SHA256, bytes),
            hs384: long(48, hmac::HMAC_SHA384),
            hs512: long(64, hmac::HMAC_SHA512),
        })))
    }

    /// A public key as Java writes it (X.509 SubjectPublicKeyInfo, DER).
    ///
    /// # Errors
    /// It is none, or not of the family.
    pub fn public(bytes: &[u8], family: Family) -> Result<Key, String> {
        if bytes.starts_with(b"-----") {
            return Err("is PEM, and DER is wanted: openssl pkey -pubin -outform DER".to_owned());
        }
        match subject_public_key(bytes) {
            Some(Key::Rsa { n, .. }) if !RSA_BYTES.contains(&n.len()) => {
                Err("is an RSA key of fewer than 2048 bits, or of more than 8192".to_owned())
            }
            Some(key) if key.family() == family => Ok(key),
            Some(_) => Err("is a public key of another kind than tokenPublicAlg says".to_owned()),
            None => Err(
                "is no public key of RSA, P-256, P-384, P-521 or Ed25519 (bin/pulsar tokens create-key-pair makes one)"
                    .to_owned(),
            ),
        }
    }

    /// Of the numbers of an RSA key, big-endian.
    pub fn rsa(n: &[u8], e: &[u8]) -> Key {
        let plain = |number: &[u8]| {
            let zeros = number.iter().take_while(|byte| **byte == 0).count();
            number[zeros..].to_vec()
        };
        Key::Rsa {
            n: plain(n),
            e: plain(e),
        }
    }

    /// Of an uncompressed point (SEC 1 §2.3.3) on the curve with so many bits.
    pub fn ec(bits: u32, point: &[u8]) -> Option<Key> {
        match (bits, point.len()) {
            (256, 65) => Some(Key::P256(point.to_vec())),
            (384, 97) => Some(Key::P384(point.to_vec())),
            (521, 133) => {
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
                Some(Key::P521(Box::new(key)))
            }
            _ => None,
        }
    }

    pub fn ed25519(bytes: &[u8]) -> Option<Key> {
        (bytes.len() == 32).then(|| Key::Ed25519(bytes.to_vec()))
    }

    pub fn family(&self) -> Family {
        match self {
            Key::Hmac(_) => Family::Hmac,
            Key::Rsa { .. } => Family::Rsa,
            Key::P256(_) | Key::P384(_) | Key::P521(_) => Family::Ec,
            Key::Ed25519(_) => Family::Ed25519,
        }
    }

    /// Verifying takes more than a shard has time for (100 µs).
    pub fn is_slow(&self) -> bool {
        match self {
            Key::P384(_) | Key::P521(_) => true,
            Key::Rsa { n, .. } => n.len() > QUICK_RSA_BYTES_MAX,
            Key::Hmac(_) | Key::P256(_) | Key::Ed25519(_) => false,
        }
    }

    /// Whether this key has signed `message` by `algorithm`. None: that is no algorithm of this key.
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signed: &[u8]) -> Option<bool> {
        let by = |algorithm: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
            let key = signature::UnparsedPublicKey::new(algorithm, key);
            Some(key.verify(message, signed).is_ok())
        };
        match (self, algorithm) {
            (Key::Hmac(key), _) => {
                let verified = hmac::verify(key.of(algorithm)?, message, signed);
                Some(verified.is_ok())
            }
            (Key::Rsa { n, e }, _) => {
                let key = signature::RsaPublicKeyComponents { n, e };
                let verified = key.verify(rsa_parameters(algorithm)?, message, signed);
                Some(verified.is_ok())
            }
            (Key::P256(key), Algorithm::Es256) => by(&signature::ECDSA_P256_SHA256_FIXED, key),
            (Key::P384(key), Algorithm::Es384) => by(&signature::ECDSA_P384_SHA384_FIXED, key),
            (Key::P521(key), Algorithm::Es512) => {
                let signed = p521::ecdsa::Signature::from_slice(signed);
                Some(signed.is_ok_and(|signed| key.verify(message, &signed).is_ok()))
            }
            (Key::Ed25519(key), Algorithm::EdDsa) => by(&signature::ED25519, key),
            _ => None,
        }
    }
}

impl Hmac {
    fn of(&self, algorithm: Algorithm) -> Option<&hmac::Key> {
        match algorithm {
            Algorithm::Hs256 => Some(&self.hs256),
            Algorithm::Hs384 => self.hs384.as_ref(),
            Algorithm::Hs512 => self.hs512.as_ref(),
            _ => None,
        }
    }
}

/// Keys of 2,048 bits and more: RFC 7518 §3.3.
fn rsa_parameters(algorithm: Algorithm) -> Option<&'static signature::RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn subject_public_key(bytes: &[u8]) -> Option<Key> {
    let mut info = Der::new(bytes).enter(der::SEQUENCE)?;
    let mut algorithm = info.enter(der::SEQUENCE)?;
    let kind = algorithm.take(der::OBJECT_ID)?;
    let (&0, key) = info.take(der::BIT_STRING)?.split_first()? else {
        return None;
    };
    if kind == RSA {
        let mut numbers = Der::new(key).enter(der::SEQUENCE)?;
        let n = numbers.take(der::INTEGER)?;
        return Some(Key::rsa(n, numbers.take(der::INTEGER)?));
    }
    if kind == ED25519 {
        return Key::ed25519(key);
    }
    if kind != EC {
        return None;
    }
    let bits = match algorithm.take(der::OBJECT_ID)? {
        P256 => 256,
        P384 => 384,
        P521 => 521,
        _ => return None,
    };
    Key::ec(bits, key)
}
