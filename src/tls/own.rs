//! A certificate of the gateway's own, with its key: what is wrong with the two is said in words that name the remedy.

use std::sync::Arc;

use rustls::SupportedCipherSuite;
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::Identity;
use super::certificate::{self, Validity};

/// What TLS shows, and when that is valid.
pub struct Own {
    certified: CertifiedKey,
    pub valid: Validity,
}

impl Own {
    /// Whether the two belong together is looked at here and not by rustls, which knows no certificates of X.509 v1:
    /// whoever is shown one decides whether it will do.
    ///
    /// # Errors
    /// What is wrong, without the names of the files.
    pub fn new(identity: Identity, provider: &CryptoProvider) -> Result<Own, String> {
        let shown = identity.chain.first().map(AsRef::as_ref);
        let shown = shown.and_then(certificate::read);
        let shown = shown.ok_or("the first certificate cannot be read")?;
        let valid = shown.valid;
        let key = provider.key_provider.load_private_key(identity.key);
        let key =
            key.map_err(|_| "the key is none of RSA (2048 to 8192 bits), ECDSA or Ed25519")?;
        let belongs =
            |public: rustls::pki_types::SubjectPublicKeyInfoDer<'_>| public.as_ref() == shown.key;
        if !key.public_key().is_none_or(belongs) {
            return Err("the key is not that of the first certificate".to_owned());
        }
        Ok(Own {
            certified: CertifiedKey::new(identity.chain, key),
            valid,
        })
    }

    /// A server's key has to be of a kind that a suite of TLS 1.2 signs with; those of TLS 1.3 take any.
    pub fn serves(&self, provider: &CryptoProvider) -> bool {
        let mut suites = provider.cipher_suites.iter();
        suites.any(|suite| match suite {
            SupportedCipherSuite::Tls12(suite) => {
                self.certified.key.choose_scheme(suite.sign).is_some()
            }
            SupportedCipherSuite::Tls13(_) => true,
        })
    }

    pub fn into_resolver(self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(self.certified))
    }
}
