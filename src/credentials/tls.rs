//! TLS towards brokers: the settings' files → rustls' configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::verifier::{AnyCertificate, AnyName};
use crate::config::BrokerTls;

/// # Errors
/// What is wrong with which file.
pub fn load(settings: &BrokerTls) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if settings.accept_untrusted {
        let verifier = AnyCertificate(provider.signature_verification_algorithms);
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
    } else {
        let roots = Arc::new(roots(settings.trusted.as_deref())?);
        match settings.verify_host {
            true => builder.with_webpki_verifier(verifier(roots, &provider)?),
            false => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyName::new(
                    roots.clone(),
                    verifier(roots, &provider)?,
                    provider.signature_verification_algorithms,
                ))),
        }
    };
    let config = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("{}: no private key in it: {error}", key.display()))?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| {
                    format!("{} and {}: {error}", certificate.display(), key.display())
                })?
        }
    };
    Ok(Arc::new(config))
}

fn verifier(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .map_err(|error| error.to_string())
}

fn roots(trusted: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = trusted else {
        // Mozilla's, as those that Java brings along: what the system trusts beside them is a file.
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    for certificate in certificates(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let fail = |error: &dyn std::fmt::Display| {
        format!("{}: no certificate (PEM) in it: {error}", path.display())
    };
    let found = CertificateDer::pem_file_iter(path).map_err(|error| fail(&error))?;
    let found: Result<Vec<_>, _> = found.collect();
    let found = found.map_err(|error| fail(&error))?;
    match found.is_empty() {
        true => Err(fail(&"it is empty")),
        false => Ok(found),
    }
}

/// When the files were written, and how long they are.
#[derive(Debug, PartialEq, Eq)]
pub struct Stamps(Vec<Option<(SystemTime, u64)>>);

/// Of the files that [`load`] reads.
pub fn stamps(settings: &BrokerTls) -> Stamps {
    let identity = settings.identity.as_ref();
    let identity = identity
        .into_iter()
        .flat_map(|(certificate, key)| [certificate, key]);
    let stamp = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    Stamps(settings.trusted.iter().chain(identity).map(stamp).collect())
}

/// What a person can do about a failed handshake.
pub fn remedy(error: &std::io::Error) -> &'static str {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidCertificate(Certificate::UnknownIssuer)) => {
            "set brokerClientTrustCertsFilePath to the certificate of the authority that signs the brokers'"
        }
        Some(Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        )) => {
            "the broker's certificate is not for the host that its URL names: correct one of them \
             (tlsHostnameVerificationEnabled=false takes any certificate of a trusted authority)"
        }
        Some(Error::InvalidCertificate(_)) => "the broker's certificate is not a good one",
        Some(Error::AlertReceived(
            Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateUnknown
            | Alert::HandshakeFailure,
        )) => {
            "the broker wants another certificate of this gateway: see AuthenticationTls in README"
        }
        Some(Error::InvalidMessage(_)) => "the broker's port does not speak TLS: look at its URL",
        _ => "is it up, and reachable from here?",
    }
}
