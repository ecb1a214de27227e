//! `tlsAllowInsecureConnection`: a client may show any certificate or none. It has the key of what it shows, and that is all
//! that is known of it.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DistinguishedName, Error};

use super::signatures::verifies_signatures_by;

#[derive(Debug)]
pub(super) struct Lenient {
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    /// One must be shown, whichever.
    pub(super) mandatory: bool,
}

impl ClientCertVerifier for Lenient {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    verifies_signatures_by!(algorithms);
}
