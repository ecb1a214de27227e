//! Certificates that stand themselves in the trust file, and not only the authority that has signed them: whoever shows one,
//! with its key, is trusted, as in Java. rustls by itself takes neither those that call themselves authorities (as
//! `openssl req -x509` makes them) nor those of X.509 v1.

use std::sync::Arc;

use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DistinguishedName, Error, RootCertStore};

use super::certificate::{self, Invalid};
use super::signatures::verifies_signatures_by;

/// All certificates of the trust file.
#[derive(Clone, Debug)]
pub(crate) struct Pins(pub Vec<CertificateDer<'static>>);

impl Pins {
    /// The trust file's certificates, and the authorities that they are as well.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn with_roots(
        certificates: Vec<CertificateDer<'static>>,
    ) -> Result<(RootCertStore, Pins), Error> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates.iter().cloned() {
            roots.add(certificate)?;
        }
        Ok((roots, Pins(certificates)))
    }

    /// Whether it is one of them; if so it has to be valid now.
    fn has(&self, shown: &CertificateDer<'_>, now: UnixTime) -> Result<bool, Error> {
        if !self.0.contains(shown) {
            return Ok(false);
        }
        let read = certificate::read(shown).ok_or(CertificateError::BadEncoding)?;
        let checked = read.valid.check(now.as_secs().saturating_mul(1_000));
        checked.map_err(|invalid| match invalid {
            Invalid::Yet => CertificateError::NotValidYet,
            Invalid::Anymore => CertificateError::Expired,
        })?;
        Ok(true)
    }
}

/// Of clients.
#[derive(Debug)]
pub(crate) struct PinnedClients {
    pub pins: Pins,
    /// Of the others.
    pub others: Arc<dyn ClientCertVerifier>,
    pub algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for PinnedClients {
    fn client_auth_mandatory(&self) -> bool {
        self.others.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.others.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.pins.has(end_entity, now)? {
            true => Ok(ClientCertVerified::assertion()),
            false => self
                .others
                .verify_client_cert(end_entity, intermediates, now),
        }
    }

    verifies_signatures_by!(algorithms);
}

/// Of brokers.
#[derive(Debug)]
pub(crate) struct PinnedServers {
    pub pins: Pins,
    /// It has to be for the host that was dialled; one of X.509 v1 names none.
    pub verify_host: bool,
    /// Of the others.
    pub others: Arc<dyn ServerCertVerifier>,
    pub algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PinnedServers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.pins.has(end_entity, now)? {
            let others = &self.others;
            return others.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        }
        if self.verify_host {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    verifies_signatures_by!(algorithms);
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::tls::pem;

    #[test]
    fn a_pinned_certificate_counts_as_long_as_it_is_valid() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tls/fixtures");
        let of = |name| pem::certificates_of(&fixtures.join(name)).expect("it has one");
        let (pins, other) = (Pins(of("v1.pem")), of("ec.pem"));
        let in_year = |year: u64| {
            let seconds = (year - 1970) * 365 * 24 * 3_600;
            UnixTime::since_unix_epoch(Duration::from_secs(seconds))
        };
        assert_eq!(pins.has(&pins.0[0], in_year(2050)), Ok(true));
        assert_eq!(pins.has(&other[0], in_year(2050)), Ok(false));
        let expired = Err(CertificateError::Expired.into());
        assert_eq!(pins.has(&pins.0[0], in_year(2200)), expired);
        let early = Err(CertificateError::NotValidYet.into());
        assert_eq!(pins.has(&pins.0[0], in_year(2000)), early);
    }
}
