//! What a certificate says of itself, as far as the gateway has to know it. Here also those of X.509 v1 can be read, which
//! rustls takes for none.

use std::fmt;

use crate::auth::certificate_time::time_ms;
use crate::der::{self, Der};

/// Parts of an X.509 certificate (RFC 5280 §4.1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Certificate<'a> {
    /// Version 1 has no extensions: no names of hosts, nothing that tells an authority from others.
    pub is_v1: bool,
    /// SubjectPublicKeyInfo.
    pub key: &'a [u8],
    pub valid: Validity,
}

/// First and last moment, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    from_ms: u64,
    until_ms: u64,
}

/// Now is not within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    Yet,
    Anymore,
}

impl Validity {
    /// # Errors
    /// When it is not now.
    pub fn check(self, now_ms: u64) -> Result<(), Invalid> {
        match () {
            () if now_ms < self.from_ms => Err(Invalid::Yet),
            () if now_ms > self.until_ms => Err(Invalid::Anymore),
            () => Ok(()),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Invalid::Yet => "the certificate is not valid yet",
            Invalid::Anymore => "the certificate has expired",
        })
    }
}

/// None: it is none.
pub(crate) fn read(certificate: &[u8]) -> Option<Certificate<'_>> {
    let mut to_be_signed = Der::new(certificate)
        .enter(der::SEQUENCE)?
        .enter(der::SEQUENCE)?;
    let is_v1 = to_be_signed.tag() != Some(der::CONTEXT_0);
    if !is_v1 {
        to_be_signed.next()?;
    }
    // Serial number, signature, issuer.
    to_be_signed.take(der::INTEGER)?;
    to_be_signed.take(der::SEQUENCE)?;
    to_be_signed.take(der::SEQUENCE)?;
    let mut validity = to_be_signed.enter(der::SEQUENCE)?;
    let mut time = || validity.next().and_then(|(tag, text)| time_ms(tag, text));
    let valid = Validity {
        from_ms: time()?,
        until_ms: time()?,
    };
    // The subject.
    to_be_signed.take(der::SEQUENCE)?;
    Some(Certificate {
        is_v1,
        key: to_be_signed.take_whole(der::SEQUENCE)?,
        valid,
    })
}
