//! Whole handshakes in memory, of the gateway as it is set up towards brokers with the gateway as it is set up towards
//! clients: which certificates each of them takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::{ALL_CIPHER_SUITES, default_provider};
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, Error, ServerConfig, ServerConnection,
    SupportedCipherSuite,
};

use super::{pem, server};
use crate::config::{BrokerTls, KeyFiles, ListenerTls, OwnCertificate, Trusted};
use crate::credentials;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/tls/fixtures")
        .join(name)
}

/// The key of all certificates here.
const KEY: &str = "ec-sec1.pem";

fn listener(certificate: &str, trusted: Option<&str>, accept_untrusted: bool) -> Arc<ServerConfig> {
    let settings = ListenerTls {
        port: 0,
        alone: false,
        files: KeyFiles::Pem {
            certificates: fixture(certificate),
            key: fixture(KEY),
            trusted: trusted.map(fixture),
        },
        require_client_certificate: trusted.is_some(),
        accept_untrusted,
        suites: ALL_CIPHER_SUITES.to_vec(),
        refresh_ms: 1000,
    };
    server::load(&settings).expect("good files").config
}

fn dialler(change: impl FnOnce(&mut BrokerTls)) -> ClientConfig {
    let mut settings = BrokerTls {
        accept_untrusted: true,
        ..BrokerTls::default()
    };
    change(&mut settings);
    let config = credentials::tls::load(&settings).expect("good files");
    Arc::unwrap_or_clone(config)
}

/// What the side that verifies says of it.
fn meet(client: ClientConfig, server: Arc<ServerConfig>, host: &'static str) -> Result<(), Error> {
    let name = ServerName::try_from(host).expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name).expect("a name and suites");
    let mut server = ServerConnection::new(server).expect("suites");
    while client.is_handshaking() || server.is_handshaking() || server.wants_write() {
        carry(&mut client, &mut server)?;
        carry(&mut server, &mut client)?;
    }
    Ok(())
}

/// What one side has to say, read by the other.
fn carry<A, B>(from: &mut ConnectionCommon<A>, to: &mut ConnectionCommon<B>) -> Result<(), Error> {
    let mut flight = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut flight).expect("memory");
    }
    let mut flight = flight.as_slice();
    while !flight.is_empty() {
        to.read_tls(&mut flight).expect("memory");
        to.process_new_packets()?;
    }
    Ok(())
}

/// With TLS 1.3 and with TLS 1.2.
fn each_version(is_good: impl Fn(&[SupportedCipherSuite]) -> bool) {
    let (newer, older): (Vec<_>, Vec<_>) = ALL_CIPHER_SUITES
        .iter()
        .partition(|suite| suite.tls13().is_some());
    assert!(is_good(&newer), "TLS 1.3");
    assert!(is_good(&older), "TLS 1.2");
}

fn shows(suites: &[SupportedCipherSuite], certificate: &str) -> ClientConfig {
    dialler(|settings| {
        settings.suites = suites.to_vec();
        settings.identity = Some(OwnCertificate::Pem {
            certificate: fixture(certificate),
            key: fixture(KEY),
        });
    })
}

#[test]
fn a_client_whose_certificate_stands_in_the_trust_file_is_let_in() {
    for certificate in ["v1.pem", "itself.pem"] {
        let comes = |suites: &[_], trusted, anybody| {
            let server = listener("ec.pem", Some(trusted), anybody);
            meet(shows(suites, certificate), server, "localhost").is_ok()
        };
        each_version(|suites| comes(suites, certificate, false));
        each_version(|suites| !comes(suites, "authority.pem", false));
        // `tlsAllowInsecureConnection`.
        each_version(|suites| comes(suites, "authority.pem", true));
    }
}

#[test]
fn a_broker_whose_certificate_stands_in_the_trust_file_is_believed_for_its_host() {
    let believed = |suites: &[_], certificate, trusted, verify_host, host| {
        let client = dialler(|settings| {
            settings.suites = suites.to_vec();
            settings.accept_untrusted = false;
            settings.verify_host = verify_host;
            settings.trusted = Trusted::Pem(fixture(trusted));
        });
        meet(client, listener(certificate, None, false), host).is_ok()
    };
    let itself = "itself.pem";
    each_version(|suites| believed(suites, itself, itself, true, "localhost"));
    each_version(|suites| !believed(suites, itself, itself, true, "elsewhere"));
    each_version(|suites| believed(suites, itself, itself, false, "elsewhere"));
    each_version(|suites| !believed(suites, itself, "authority.pem", false, "localhost"));
    // One of version 1 names no host.
    each_version(|suites| !believed(suites, "v1.pem", "v1.pem", true, "v1"));
    each_version(|suites| believed(suites, "v1.pem", "v1.pem", false, "v1"));
    each_version(|suites| {
        let anybody = dialler(|settings| settings.suites = suites.to_vec());
        meet(anybody, listener("v1.pem", None, false), "v1").is_ok()
    });
}

#[test]
fn who_shows_a_certificate_without_its_key_is_not_let_in() {
    let keys = pem::identity([""; 2], &fixture("rsa.pem"), &fixture("rsa-pkcs1.pem"));
    let key = default_provider()
        .key_provider
        .load_private_key(keys.expect("good files").key)
        .expect("a good key");
    for certificate in ["v1.pem", "itself.pem"] {
        let chain = pem::certificates_of(&fixture(certificate)).expect("one");
        for anybody in [false, true] {
            each_version(|suites| {
                let mut thief = shows(suites, certificate);
                let stolen = CertifiedKey::new(chain.clone(), key.clone());
                thief.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(stolen));
                let server = listener("ec.pem", Some(certificate), anybody);
                meet(thief, server, "localhost").is_err()
            });
        }
    }
}
