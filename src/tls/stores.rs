//! PKCS#12 key stores and trust stores, which Java and `openssl pkcs12` write. Java's own formats are refused with the
//! command that converts them.

use std::path::Path;

use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{Identity, read};
use crate::config::Password;

/// How the files of Java's own formats begin.
const JKS_MAGIC: &[u8] = &[0xfe, 0xed, 0xfe, 0xed];
const JCEKS_MAGIC: &[u8] = &[0xce, 0xce, 0xce, 0xce];

/// The store's first key that has certificates, and these.
///
/// # Errors
/// A sentence that begins with the file's name.
pub fn identity(path: &Path, password: &Password) -> Result<Identity, String> {
    let store = open(path, password)?;
    let (_, found) = store.private_key_chain().ok_or_else(|| {
        format!(
            "{}: holds no private key with a certificate",
            path.display()
        )
    })?;
    let key = PrivatePkcs8KeyDer::from(found.key().as_der().to_vec());
    Ok(Identity {
        chain: found.certs().iter().map(certificate).collect(),
        key: PrivateKeyDer::from(key),
    })
}

/// The certificates of a store that have Java's mark of trust, at least one: as in Java, others are there to complete chains.
///
/// # Errors
/// As [`identity`].
pub fn certificates_of(
    path: &Path,
    password: &Password,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let store = open(path, password)?;
    let certificates: Vec<_> = store
        .entries()
        .filter_map(|(_, entry)| match entry {
            KeyStoreEntry::Certificate(found) => Some(certificate(found)),
            _ => None,
        })
        .collect();
    match certificates.is_empty() {
        true => Err(format!(
            "{0}: holds no certificate that is marked as trusted; put one in with: keytool -importcert -file CA.pem \
             -keystore {0} -storetype PKCS12",
            path.display()
        )),
        false => Ok(certificates),
    }
}

fn certificate(found: &p12_keystore::Certificate) -> CertificateDer<'static> {
    CertificateDer::from(found.as_der().to_vec())
}

fn open(path: &Path, password: &Password) -> Result<KeyStore, String> {
    let bytes = read(path)?;
    let name = path.display();
    let java = match () {
        () if bytes.starts_with(JKS_MAGIC) => Some("JKS"),
        () if bytes.starts_with(JCEKS_MAGIC) => Some("JCEKS"),
        () => None,
    };
    if let Some(java) = java {
        return Err(format!(
            "{name}: is a {java} store, which only Java reads; convert it with: keytool -importkeystore \
             -srckeystore {name} -srcstoretype {java} -destkeystore {name}.p12 -deststoretype PKCS12"
        ));
    }
    KeyStore::from_pkcs12(&bytes, password.reveal(), Pkcs12ImportPolicy::Strict).map_err(|_| {
        format!("{name}: cannot be opened: it is no PKCS#12 store, or the password is another one")
    })
}
