//! The long-lived keys: what a data key is encrypted for, and decrypted with. In the formats that the Java client reads.

use std::fmt;

use rsa::pkcs1::{DecodeRsaPrivateKey, DecodeRsaPublicKey};
use rsa::traits::{PaddingScheme, PublicKeyParts};
use rsa::{Oaep, RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::curves::Curve;
use super::{ecies, pem};
use crate::der::{CONTEXT_0, Der, INTEGER, OBJECT_ID, OCTET_STRING, SEQUENCE};

/// `1.2.840.113549.1.1.1`.
const RSA_ENCRYPTION: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
/// `1.2.840.10045.2.1`.
const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];

/// Why a file is no key. Completes the sentence "… is no key: …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it has no PEM block of a public key (PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE)")]
    NoPublicKey,
    #[error(
        "it has no PEM block of a private key without a password (PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY)"
    )]
    NoPrivateKey,
    #[error("its PEM block is broken")]
    Broken,
    #[error("it is neither an RSA nor an EC key")]
    Algorithm,
    #[error("its curve is not one of prime256v1, secp384r1, secp521r1 and secp256k1")]
    Curve,
    #[error("its RSA modulus is not of 1024 to 4096 bits, or its numbers are no RSA key")]
    Rsa,
}

/// What data keys are encrypted for.
#[derive(Clone)]
pub enum PublicKey {
    Rsa(Box<RsaPublicKey>),
    Ec { curve: Curve, point: Box<[u8]> },
}

/// What they are decrypted with.
pub enum PrivateKey {
    Rsa(Box<RsaPrivateKey>),
    Ec {
        curve: Curve,
        secret: Zeroizing<Vec<u8>>,
    },
}

/// Keys are not for logs.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}

impl PublicKey {
    /// The first public key, or certificate's, of a PEM file.
    ///
    /// # Errors
    /// Why there is none.
    pub fn from_pem(text: &str) -> Result<PublicKey, KeyError> {
        for block in pem::blocks(text) {
            match block.label {
                "PUBLIC KEY" => return subject_public_key(&block.der),
                "RSA PUBLIC KEY" => return rsa_public(&block.der),
                "CERTIFICATE" => {
                    let key = key_of_certificate(&block.der).ok_or(KeyError::Broken)?;
                    return subject_public_key(key);
                }
                _ => {}
            }
        }
        Err(KeyError::NoPublicKey)
    }

    /// Encrypts a data key: RSA-OAEP with SHA-1, or ECIES. None: the system has no randomness.
    pub fn encrypt(&self, data_key: &[u8]) -> Option<Vec<u8>> {
        match self {
            PublicKey::Rsa(key) => Oaep::<Sha1>::new()
                .encrypt(&mut getrandom::SysRng, key, data_key)
                .ok(),
            PublicKey::Ec { curve, point } => ecies::encrypt(*curve, point, data_key),
        }
    }
}

impl PrivateKey {
    /// The first private key of a PEM file.
    ///
    /// # Errors
    /// Why there is none.
    pub fn from_pem(text: &str) -> Result<PrivateKey, KeyError> {
        for block in pem::blocks(text) {
            match block.label {
                "PRIVATE KEY" => return private_key_info(&block.der),
                "RSA PRIVATE KEY" => return rsa_private(&block.der),
                "EC PRIVATE KEY" => return ec_private(&block.der, None),
                _ => {}
            }
        }
        Err(KeyError::NoPrivateKey)
    }

    /// Decrypts a data key. None: it was not encrypted for this key. RSA is blinded, by the system's randomness; that hides
    /// most of what its time would tell, and not all (`deny.toml`).
    pub fn decrypt(&self, encrypted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            PrivateKey::Rsa(key) => {
                if encrypted.len() != key.size() {
                    return None;
                }
                key.decrypt(Oaep::<Sha1>::new(), encrypted)
                    .ok()
                    .map(Zeroizing::new)
            }
            PrivateKey::Ec { curve, secret } => ecies::decrypt(*curve, secret, encrypted),
        }
    }
}

/// `SubjectPublicKeyInfo` of RFC 5280.
fn subject_public_key(der: &[u8]) -> Result<PublicKey, KeyError> {
    let mut info = Der::new(der).enter(SEQUENCE).ok_or(KeyError::Broken)?;
    let mut algorithm = info.enter(SEQUENCE).ok_or(KeyError::Broken)?;
    let oid = algorithm.take(OBJECT_ID).ok_or(KeyError::Broken)?;
    let key = info.take_bit_string().ok_or(KeyError::Broken)?;
    match oid {
        RSA_ENCRYPTION => rsa_public(key),
        EC_PUBLIC_KEY => {
            let curve = Curve::of_parameters(&mut algorithm).ok_or(KeyError::Curve)?;
            match curve.has_point(key) {
                true => Ok(PublicKey::Ec {
                    curve,
                    point: key.into(),
                }),
                false => Err(KeyError::Broken),
            }
        }
        _ => Err(KeyError::Algorithm),
    }
}

fn rsa_public(pkcs1: &[u8]) -> Result<PublicKey, KeyError> {
    let key = RsaPublicKey::from_pkcs1_der(pkcs1).map_err(|_| KeyError::Rsa)?;
    Ok(PublicKey::Rsa(Box::new(key)))
}

fn rsa_private(pkcs1: &[u8]) -> Result<PrivateKey, KeyError> {
    let key = RsaPrivateKey::from_pkcs1_der(pkcs1).map_err(|_| KeyError::Rsa)?;
    Ok(PrivateKey::Rsa(Box::new(key)))
}

/// `PrivateKeyInfo` of RFC 5208.
fn private_key_info(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let mut info = Der::new(der).enter(SEQUENCE).ok_or(KeyError::Broken)?;
    info.take(INTEGER).ok_or(KeyError::Broken)?;
    let mut algorithm = info.enter(SEQUENCE).ok_or(KeyError::Broken)?;
    let oid = algorithm.take(OBJECT_ID).ok_or(KeyError::Broken)?;
    let key = info.take(OCTET_STRING).ok_or(KeyError::Broken)?;
    match oid {
        RSA_ENCRYPTION => rsa_private(key),
        EC_PUBLIC_KEY => {
            let curve = Curve::of_parameters(&mut algorithm).ok_or(KeyError::Curve)?;
            ec_private(key, Some(curve))
        }
        _ => Err(KeyError::Algorithm),
    }
}

/// `ECPrivateKey` of RFC 5915; where it does not say its curve, the file around it does.
fn ec_private(der: &[u8], curve: Option<Curve>) -> Result<PrivateKey, KeyError> {
    let mut key = Der::new(der).enter(SEQUENCE).ok_or(KeyError::Broken)?;
    key.take(INTEGER).ok_or(KeyError::Broken)?;
    let secret = key.take(OCTET_STRING).ok_or(KeyError::Broken)?;
    let own = key.enter(CONTEXT_0);
    let own = own.and_then(|mut parameters| Curve::of_parameters(&mut parameters));
    let curve = curve.or(own).ok_or(KeyError::Curve)?;
    match curve.has_secret(secret) {
        true => Ok(PrivateKey::Ec {
            curve,
            secret: Zeroizing::new(secret.to_vec()),
        }),
        false => Err(KeyError::Broken),
    }
}

/// The `SubjectPublicKeyInfo` of an X.509 certificate. Nothing else of it is looked at, as in Java: whoever names the
/// file trusts the key.
fn key_of_certificate(der: &[u8]) -> Option<&[u8]> {
    let mut certificate = Der::new(der).enter(SEQUENCE)?.enter(SEQUENCE)?;
    if certificate.tag() == Some(CONTEXT_0) {
        certificate.take(CONTEXT_0)?;
    }
    certificate.take(INTEGER)?;
    // Signature algorithm, issuer, validity, subject.
    for _ in 0..4 {
        certificate.take(SEQUENCE)?;
    }
    certificate.take_whole(SEQUENCE)
}
