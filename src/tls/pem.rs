//! PEM (RFC 7468): what stands between the lines of dashes; anything else in the file is passed over.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Identity, both, certificate, read};
use crate::der::{self, Der};

/// How encrypted keys say so: PKCS#8, and OpenSSL's own forms.
const ENCRYPTED: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];

/// A chain of certificates and the key of the first. `keys` are the settings that name the two files.
///
/// # Errors
/// Sentences that begin with a setting and the file's name.
pub fn identity(keys: [&str; 2], certificates: &Path, key: &Path) -> Result<Identity, Vec<String>> {
    let named = |name: &str, why| vec![format!("{name}: {why}")];
    let chain = certificates_of(certificates).map_err(|why| named(keys[0], why));
    let key = private_key(key).map_err(|why| named(keys[1], why));
    let (chain, key) = both(chain, key)?;
    Ok(Identity { chain, key })
}

/// All certificates of a file, at least one.
///
/// # Errors
/// A sentence that begins with the file's name.
pub fn certificates_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ if certificate::read(&bytes).is_some() => Err(format!(
            "{0}: is a certificate in DER; make it PEM with: openssl x509 -inform der -in {0} -out {0}.pem",
            path.display()
        )),
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
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| match () {
        () if ENCRYPTED.iter().any(|text| contains(&bytes, text)) => format!(
            "{name}: the key is encrypted; decrypt it with: openssl pkey -in {name} -out {name}.plain"
        ),
        () if is_key_in_der(&bytes) => format!(
            "{name}: is a key in DER; make it PEM with: openssl pkey -inform der -in {name} -out {name}.pem"
        ),
        () => format!("{name}: holds no private key in PEM (PKCS#8, PKCS#1 or SEC1)"),
    })
}

/// The versions of PKCS#8, PKCS#1 and SEC1 are 0 and 1; that of a PKCS#12 store is 3.
fn is_key_in_der(bytes: &[u8]) -> bool {
    let version = Der::new(bytes).enter(der::SEQUENCE);
    let version = version.and_then(|mut key| key.take(der::INTEGER));
    matches!(version, Some([0 | 1]))
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
