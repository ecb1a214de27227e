//! The listener's side: from the settings and their files to what every handshake begins with.
//!
//! A client that comes back resumes its session by a ticket, on whichever shard; nothing is kept here for it. Not so where
//! client certificates are asked for: a ticket would let its owner in without them being looked at again. Tickets end
//! when the files change, so that everybody meets the new certificate.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage, WebPkiClientVerifier};

use super::certificate::Validity;
use super::lenient::Lenient;
use super::own::Own;
use super::pinned::{PinnedClients, Pins};
use super::{Identity, both, pem, stores};
use crate::config::{KeyFiles, ListenerTls};

/// WebSockets begin as HTTP/1.1 (RFC 6455 §4.1).
const ALPN: &[u8] = b"http/1.1";

/// What the shards need to serve TLS.
#[derive(Clone)]
pub struct Served {
    pub config: Arc<ServerConfig>,
    /// Certificates that clients show have been verified: they say who somebody is.
    pub certificates_prove: bool,
    /// When the own certificate is.
    pub valid: Validity,
}

/// Reads the files.
///
/// # Errors
/// Every mistake: a sentence that names the setting and the file, or what does not go together.
pub fn load(settings: &ListenerTls) -> Result<Served, Vec<String>> {
    let fail = |why: &dyn std::fmt::Display| vec![format!("TLS: {why}")];
    let provider = Arc::new(CryptoProvider {
        cipher_suites: settings.suites.clone(),
        ..default_provider()
    });
    let verifier = verifier(settings, &provider).map_err(|why| vec![why]);
    let (own, verifier) = both(own(&settings.files, &provider), verifier)?;
    let valid = own.valid;
    let asks = verifier.offer_client_auth();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fail(&error))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(own.into_resolver());
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    match asks {
        true => config.send_tls13_tickets = 0,
        false => config.ticketer = Ticketer::new().map_err(|error| fail(&error))?,
    }
    Ok(Served {
        config: Arc::new(config),
        certificates_prove: asks && !settings.accept_untrusted,
        valid,
    })
}

fn own(files: &KeyFiles, provider: &CryptoProvider) -> Result<Own, Vec<String>> {
    let fail = |why| vec![format!("{}: {why}", names(files))];
    let own = Own::new(identity(files)?, provider).map_err(fail)?;
    match own.serves(provider) {
        true => Ok(own),
        false => Err(fail(
            "webServiceTlsProtocols and webServiceTlsCiphers leave no cipher suite for a key of this kind: with TLSv1.2, \
             those for RSA keys have _RSA_ in their names, those for others _ECDSA_"
                .to_owned(),
        )),
    }
}

fn identity(files: &KeyFiles) -> Result<Identity, Vec<String>> {
    match files {
        KeyFiles::Pem {
            certificates, key, ..
        } => pem::identity(
            ["tlsCertificateFilePath", "tlsKeyFilePath"],
            certificates,
            key,
        ),
        KeyFiles::Stores {
            key_store,
            password,
            ..
        } => {
            stores::identity(key_store, password).map_err(|why| vec![format!("tlsKeyStore: {why}")])
        }
    }
}

fn trusted(files: &KeyFiles, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    match files {
        KeyFiles::Pem { .. } => pem::certificates_of(path),
        KeyFiles::Stores { trust_password, .. } => stores::certificates_of(path, trust_password),
    }
}

/// Clients' certificates are asked for where there is something to judge them by.
fn verifier(
    settings: &ListenerTls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    if settings.accept_untrusted {
        return Ok(Arc::new(Lenient {
            algorithms: provider.signature_verification_algorithms,
            mandatory: settings.require_client_certificate,
        }));
    }
    let Some(path) = settings.files.trusted() else {
        return Ok(Arc::new(NoClientAuth));
    };
    let key = match settings.files {
        KeyFiles::Pem { .. } => "tlsTrustCertsFilePath",
        KeyFiles::Stores { .. } => "tlsTrustStore",
    };
    let fail = |error: &dyn std::fmt::Display| format!("{key}: {}: {error}", path.display());
    let certificates = trusted(&settings.files, path);
    let certificates = certificates.map_err(|why| format!("{key}: {why}"))?;
    let (roots, pins) = Pins::with_roots(certificates).map_err(|error| fail(&error))?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = match settings.require_client_certificate {
        true => builder,
        false => builder.allow_unauthenticated(),
    };
    Ok(Arc::new(PinnedClients {
        pins,
        others: builder.build().map_err(|error| fail(&error))?,
        algorithms: provider.signature_verification_algorithms,
    }))
}

fn names(files: &KeyFiles) -> String {
    let own: Vec<_> = match files {
        KeyFiles::Pem {
            certificates, key, ..
        } => vec![certificates, key],
        KeyFiles::Stores { key_store, .. } => vec![key_store],
    };
    let own: Vec<_> = own.iter().map(|path| path.display().to_string()).collect();
    own.join(" and ")
}
