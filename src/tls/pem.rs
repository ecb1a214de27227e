//! PEM (RFC 7468): what stands between the lines of dashes; anything else in the file is passed over.

use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Identity, read};

/// A chain of certificates and the key of the first.
///
/// # Errors
/// A sentence that begins with the file's name.
pub fn identity(certificates: &Path, key: &Path) -> Result<Identity, String> {
    Ok(Identity {
        chain: certificates_of(certificates)?,
        key: private_key(key)?,
    })
}

/// All certificates of a file, at least one.
///
/// # Errors
/// As [`identity`].
pub fn certificates_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(format!(
            "{}: holds no certificate in PEM (\"-----BEGIN CERTIFICATE-----\")",
            path.display()
        )),
    }
}

/// The first key of a file: PKCS#8, PKCS#1 or SEC1.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read(path)?;
    let name = path.display();
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        Error::NoItemsFound if contains(&bytes, b"BEGIN ENCRYPTED PRIVATE KEY") => format!(
            "{name}: the key is encrypted; decrypt it with: openssl pkcs8 -in {name} -out {name}.plain"
        ),
        _ => format!("{name}: holds no private key in PEM (PKCS#8, PKCS#1 or SEC1)"),
    })
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
