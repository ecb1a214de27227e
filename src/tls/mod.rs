//! Certificates and keys: files in, what rustls works with out.
//!
//! | file | subject |
//! |---|---|
//! | [`pem`] | certificates and keys as PEM |
//! | [`stores`] | the same in a PKCS#12 store |
//! | [`certificate`], [`own`] | what one says of itself; the gateway's own with its key |
//! | [`server`] | the listener's side of TLS |
//! | `lenient` | client certificates that nobody has vouched for |
//! | `pinned` | certificates that stand themselves in the trust file |
//! | `signatures` | what all verifiers of certificates do alike |
//! | [`watch`] | whether files have changed |
//!
//! Errors name the file and what to do about it, never what is in it.

#![forbid(unsafe_code)]

pub mod certificate;
mod lenient;
pub mod own;
pub mod pem;
pub(crate) mod pinned;
pub mod server;
pub(crate) mod signatures;
pub mod stores;
pub mod watch;

use std::io::Read;
use std::path::Path;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

/// Bytes of a file of certificates or keys: the whole of Mozilla's authorities has 230 KB.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Who somebody is, and the proof of it.
pub struct Identity {
    /// Its own certificate first, then those that lead to an authority.
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// What is wrong with either.
pub(crate) fn both<A, B>(
    one: Result<A, Vec<String>>,
    other: Result<B, Vec<String>>,
) -> Result<(A, B), Vec<String>> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (one, other) => {
            let mut mistakes = one.err().unwrap_or_default();
            mistakes.extend(other.err().unwrap_or_default());
            Err(mistakes)
        }
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let fail = |why: String| format!("{}: {why}", path.display());
    let file = std::fs::File::open(path).map_err(|error| fail(error.to_string()))?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(error.to_string()))?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err(fail(format!("is larger than {FILE_BYTES_MAX} bytes"))),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod handshakes;
#[cfg(test)]
mod tests;
