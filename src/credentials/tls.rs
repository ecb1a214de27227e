//! TLS towards brokers: the settings' files → rustls' configuration.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};

use super::verifier::{AnyCertificate, AnyName};
use crate::config::{BrokerTls, OwnCertificate, Trusted};
use crate::tls::own::Own;
use crate::tls::pinned::{PinnedServers, Pins};
use crate::tls::{both, pem, stores};

/// The settings that name these files, with those of the plugin that has parameters for it.
const PEM_TRUSTED: &str = "brokerClientTrustCertsFilePath";
const STORE_TRUSTED: &str = "brokerClient_tlsTrustStorePath";
const PEM_OWN: [&str; 2] = [
    "brokerClient_tlsCertificateFilePath (or AuthenticationTls' tlsCertFile)",
    "brokerClient_tlsKeyFilePath (or AuthenticationTls' tlsKeyFile)",
];
const STORE_OWN: &str = "brokerClient_tlsKeyStorePath (or AuthenticationKeyStoreTls' keyStorePath)";

/// # Errors
/// Everything that is wrong, with setting and file.
pub fn load(settings: &BrokerTls) -> Result<Arc<ClientConfig>, Vec<String>> {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: settings.suites.clone(),
        ..ring::default_provider()
    });
    let verifier = verifier(settings, &provider).map_err(|why| vec![why]);
    let own = settings.identity.as_ref();
    let own = own.map(|own| identity(own, &provider)).transpose();
    let (verifier, own) = both(verifier, own)?;
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| vec![error.to_string()])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => builder.with_client_cert_resolver(own.into_resolver()),
    };
    Ok(Arc::new(config))
}

fn verifier(
    settings: &BrokerTls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let algorithms = provider.signature_verification_algorithms;
    if settings.accept_untrusted {
        return Ok(Arc::new(AnyCertificate { algorithms }));
    }
    let (roots, pins) = roots(&settings.trusted)?;
    let others: Arc<dyn ServerCertVerifier> = match settings.verify_host {
        false => Arc::new(AnyName { roots, algorithms }),
        true => {
            let builder =
                WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
            builder.build().map_err(|error| error.to_string())?
        }
    };
    Ok(Arc::new(PinnedServers {
        pins,
        verify_host: settings.verify_host,
        others,
        algorithms,
    }))
}

/// Whose signatures count, and which certificates by themselves.
fn roots(trusted: &Trusted) -> Result<(RootCertStore, Pins), String> {
    let (path, certificates, key) = match trusted {
        // Mozilla's, as those that Java brings along: what the system trusts beside them is a file.
        Trusted::Public => {
            let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
            return Ok((roots, Pins(Vec::new())));
        }
        Trusted::Pem(path) => (path, pem::certificates_of(path), PEM_TRUSTED),
        Trusted::Store(path, password) => {
            let certificates = stores::certificates_of(path, password);
            (path, certificates, STORE_TRUSTED)
        }
    };
    let certificates = certificates.map_err(|why| format!("{key}: {why}"))?;
    Pins::with_roots(certificates).map_err(|error| format!("{key}: {}: {error}", path.display()))
}

fn identity(own: &OwnCertificate, provider: &CryptoProvider) -> Result<Own, Vec<String>> {
    let identity = match own {
        OwnCertificate::Pem { certificate, key } => pem::identity(PEM_OWN, certificate, key)?,
        OwnCertificate::Store(path, password) => {
            stores::identity(path, password).map_err(|why| vec![format!("{STORE_OWN}: {why}")])?
        }
    };
    Own::new(identity, provider).map_err(|why| vec![format!("{}: {why}", names(own))])
}

fn names(own: &OwnCertificate) -> String {
    match own {
        OwnCertificate::Pem { certificate, key } => {
            format!("{} and {}", certificate.display(), key.display())
        }
        OwnCertificate::Store(path, _) => path.display().to_string(),
    }
}

/// What a person can do about a failed handshake.
pub fn remedy(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;

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
        Some(Error::InvalidCertificate(Certificate::Other(why))) => match why.0.to_string() {
            why if why.contains("UnsupportedCertVersion") => {
                "the broker's certificate is of X.509 v1, which names no host: sign it with extensions (openssl x509 -req \
                 -extfile), the host among them as subjectAltName"
            }
            why if why.contains("CaUsedAsEndEntity") => {
                "the broker's certificate is an authority's (CA:TRUE): put that very certificate into the file of \
                 brokerClientTrustCertsFilePath, or make one with CA:FALSE"
            }
            _ => "the broker's certificate is not a good one",
        },
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
        _ if matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
        ) =>
        {
            "it has ended the TLS handshake without a word: if its port does not speak TLS, look at its URL"
        }
        _ => "is it up, and reachable from here?",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Password;

    fn stores(own: &str, trusted: &str, password: &str) -> Result<Arc<ClientConfig>, Vec<String>> {
        let fixture = |name: &str| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tls/fixtures");
            (folder.join(name), Password::from(password))
        };
        let ((own, own_password), (trusted, trust_password)) = (fixture(own), fixture(trusted));
        load(&BrokerTls {
            trusted: Trusted::Store(trusted, trust_password),
            identity: Some(OwnCertificate::Store(own, own_password)),
            ..BrokerTls::default()
        })
    }

    #[test]
    fn who_ends_the_handshake_may_not_speak_tls() {
        use std::io::{Error, ErrorKind};
        for kind in [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset] {
            assert!(remedy(&Error::from(kind)).contains("look at its URL"));
        }
        let refused = Error::from(ErrorKind::ConnectionRefused);
        assert_eq!(remedy(&refused), "is it up, and reachable from here?");
    }

    #[test]
    #[cfg_attr(miri, ignore = "reads files")]
    fn stores_are_read_or_refused_with_the_remedy() {
        let config = stores("java.p12", "java-trust.p12", "changeit").expect("both are good");
        assert!(config.client_auth_cert_resolver.has_certs());
        for (own, trusted, password, why) in [
            (
                "java.jks",
                "java-trust.p12",
                "changeit",
                "keytool -importkeystore",
            ),
            ("java.p12", "java.p12", "changeit", "keytool -importcert"),
            (
                "java.p12",
                "java-trust.p12",
                "hidden",
                "the password is another one",
            ),
        ] {
            let error = stores(own, trusted, password).expect_err(why).join("\n");
            assert!(error.contains(why) && !error.contains("hidden"), "{error}");
        }
    }
}
