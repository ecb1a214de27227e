//! TLS towards brokers: whom the gateway takes for one, and the certificate that it shows. Files are read by the room
//! `credentials`, at the start and whenever they change.

use std::path::PathBuf;

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::ALL_CIPHER_SUITES;

use super::{Password, limits};

/// TLS, where the URLs ask for it.
#[derive(Clone, Debug)]
pub struct BrokerTls {
    /// Some URL asks for it.
    pub wanted: bool,
    pub trusted: Trusted,
    /// Any certificate will do.
    pub accept_untrusted: bool,
    /// A broker's certificate has to be for the host that was dialled.
    pub verify_host: bool,
    /// None: the gateway shows no certificate.
    pub identity: Option<OwnCertificate>,
    /// Never empty. Which versions are spoken follows from them.
    pub suites: Vec<SupportedCipherSuite>,
    /// How often it is looked whether the files have changed.
    pub refresh_ms: u64,
}

/// Whose signatures on brokers' certificates count.
#[derive(Clone, Debug)]
pub enum Trusted {
    /// The public authorities.
    Public,
    /// Of this file.
    Pem(PathBuf),
    /// Those that a PKCS#12 store marks as trusted.
    Store(PathBuf, Password),
}

/// The gateway's own certificate, with its key.
#[derive(Clone, Debug)]
pub enum OwnCertificate {
    Pem {
        certificate: PathBuf,
        key: PathBuf,
    },
    /// PKCS#12.
    Store(PathBuf, Password),
}

impl Default for BrokerTls {
    fn default() -> BrokerTls {
        BrokerTls {
            wanted: false,
            trusted: Trusted::Public,
            accept_untrusted: false,
            verify_host: true,
            identity: None,
            suites: ALL_CIPHER_SUITES.to_vec(),
            refresh_ms: limits::BROKER_TLS_REFRESH_MS,
        }
    }
}

impl BrokerTls {
    /// What must be read anew when it changes.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let trusted = match &self.trusted {
            Trusted::Public => None,
            Trusted::Pem(path) | Trusted::Store(path, _) => Some(path),
        };
        let own = match &self.identity {
            None => [None, None],
            Some(OwnCertificate::Pem { certificate, key }) => [Some(certificate), Some(key)],
            Some(OwnCertificate::Store(path, _)) => [Some(path), None],
        };
        trusted.into_iter().chain(own.into_iter().flatten())
    }
}
