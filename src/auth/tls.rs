//! `AuthenticationProviderTls`: a client is who its certificate names, for as long as that is valid.
//!
//! The role is the subject's common name, of several the most specific, which Java finds first. Java searches the name as
//! text (RFC 2253) for `,CN=`, which an organization called `x,CN=admin` has too; here the certificate's structure counts.

use super::Offered;
use super::authentication::{Verdict, Verified};
use super::certificate_time::time_ms;
use crate::der::{self, Der};

/// `id-at-commonName` (RFC 5280 §A.1).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// String types that hold UTF-8 or a part of it: UTF8String, PrintableString, IA5String, TeletexString as far as it is ASCII.
const STRINGS: [u8; 4] = [0x0c, 0x13, 0x16, 0x14];

/// What a certificate says of its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Of several names the most specific. Never blank.
    pub common_name: String,
    /// Its last second, in milliseconds since 1970.
    pub until_ms: u64,
}

pub(super) fn check(offered: &Offered) -> Verdict {
    match &offered.certificate {
        Some(subject) => Verdict::Accepted(Verified {
            role: subject.common_name.clone(),
            further_roles: Vec::new(),
            expires_ms: Some(subject.until_ms),
        }),
        None => Verdict::Rejected("no client certificate with a common name"),
    }
}

/// The subject of an X.509 certificate. None: it has no name that is a role, or it is no certificate.
pub fn subject(certificate: &[u8]) -> Option<Subject> {
    let mut to_be_signed = Der::new(certificate)
        .enter(der::SEQUENCE)?
        .enter(der::SEQUENCE)?;
    if to_be_signed.tag() == Some(der::CONTEXT_0) {
        to_be_signed.next()?;
    }
    // Serial number, signature, issuer, validity: RFC 5280 §4.1.
    to_be_signed.take(der::INTEGER)?;
    to_be_signed.take(der::SEQUENCE)?;
    to_be_signed.take(der::SEQUENCE)?;
    let mut validity = to_be_signed.enter(der::SEQUENCE)?;
    validity.next()?;
    let (tag, not_after) = validity.next()?;
    Some(Subject {
        until_ms: time_ms(tag, not_after)?,
        common_name: common_name(to_be_signed.enter(der::SEQUENCE)?)?,
    })
}

fn common_name(mut subject: Der<'_>) -> Option<String> {
    let mut name = None;
    while !subject.is_empty() {
        let mut attributes = subject.enter(der::SET)?;
        while !attributes.is_empty() {
            let mut attribute = attributes.enter(der::SEQUENCE)?;
            let kind = attribute.take(der::OBJECT_ID)?;
            let (tag, value) = attribute.next()?;
            // The text form has them in reverse: its first is the last here.
            if kind == COMMON_NAME && !value.is_empty() {
                name = Some((tag, value));
            }
        }
    }
    let (tag, value) = name?;
    let text = std::str::from_utf8(value).ok()?;
    let readable = STRINGS.contains(&tag) && !text.chars().any(char::is_control);
    (readable && !text.trim().is_empty()).then(|| text.to_owned())
}
