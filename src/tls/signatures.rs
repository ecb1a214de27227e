//! What every verifier of certificates does alike: whoever shows one has to have its key.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved};

use super::certificate;
use crate::der::{self, Der};

/// The methods of `ServerCertVerifier` and `ClientCertVerifier` that verify signatures of the handshake, of a verifier
/// whose field of this name has the algorithms.
macro_rules! verifies_signatures_by {
    ($algorithms:ident) => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &rustls::pki_types::CertificateDer<'_>,
            signature: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            let algorithms = &self.$algorithms;
            $crate::tls::signatures::verify_tls12(message, certificate, signature, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &rustls::pki_types::CertificateDer<'_>,
            signature: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            let algorithms = &self.$algorithms;
            $crate::tls::signatures::verify_tls13(message, certificate, signature, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            self.$algorithms.supported_schemes()
        }
    };
}

pub(crate) use verifies_signatures_by;

type Verified = Result<HandshakeSignatureValid, Error>;

/// rustls', but for certificates of X.509 v1, which it does not read: of those the key alone.
pub(crate) fn verify_tls12(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Verified {
    match key_of_v1(certificate) {
        None => rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms),
        Some(key) => verify_by_key(message, key, signature, algorithms),
    }
}

/// As [`verify_tls12`].
pub(crate) fn verify_tls13(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Verified {
    match key_of_v1(certificate) {
        None => rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms),
        Some(key) => {
            let key = SubjectPublicKeyInfoDer::from(key);
            rustls::crypto::verify_tls13_signature_with_raw_key(
                message, &key, signature, algorithms,
            )
        }
    }
}

/// SubjectPublicKeyInfo.
fn key_of_v1<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    let read = certificate::read(certificate)?;
    read.is_v1.then_some(read.key)
}

/// RFC 5246 §7.4.8, by one of the scheme's algorithms that is for such a key.
fn verify_by_key(
    message: &[u8],
    key: &[u8],
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Verified {
    let (kind, key) = parts(key).ok_or(CertificateError::BadEncoding)?;
    let mut schemes = algorithms.mapping.iter();
    let (_, algorithms) = schemes
        .find(|(scheme, _)| *scheme == signature.scheme)
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    let is_valid = algorithms.iter().any(|algorithm| {
        algorithm.public_key_alg_id().as_ref() == kind
            && algorithm
                .verify_signature(key, message, signature.signature())
                .is_ok()
    });
    match is_valid {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(CertificateError::BadSignature.into()),
    }
}

/// The algorithm with its parameters, and the key, of a SubjectPublicKeyInfo.
fn parts(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut info = Der::new(key).enter(der::SEQUENCE)?;
    Some((info.take(der::SEQUENCE)?, info.take_bit_string()?))
}
