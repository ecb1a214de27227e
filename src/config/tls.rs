//! TLS towards clients: the settings of the listener, checked together once all are known.
//!
//! The files are read by the room `tls`, at the start and whenever they change.

use std::fmt;
use std::path::PathBuf;

use rustls::crypto::ring::ALL_CIPHER_SUITES;
use rustls::{ProtocolVersion, SupportedCipherSuite};
use zeroize::Zeroizing;

use super::limits;

/// The port on which clients speak TLS, and what they meet there.
#[derive(Clone, Debug)]
pub struct ListenerTls {
    /// 0: any free one.
    pub port: u16,
    /// There is no other port: `webServicePort` is set to nothing.
    pub alone: bool,
    pub files: KeyFiles,
    /// Who shows no certificate is not let in.
    pub require_client_certificate: bool,
    /// A certificate that no trusted authority has signed is let in, and proves nothing.
    pub accept_untrusted: bool,
    /// Never empty; of those that a client also has, its own order decides. Which versions are spoken follows from them.
    pub suites: Vec<SupportedCipherSuite>,
    /// How often the files are looked at.
    pub refresh_ms: u64,
}

/// Where certificates and keys are.
#[derive(Clone, Debug)]
pub enum KeyFiles {
    Pem {
        certificates: PathBuf,
        key: PathBuf,
        trusted: Option<PathBuf>,
    },
    /// PKCS#12.
    Stores {
        key_store: PathBuf,
        password: Password,
        trust_store: Option<PathBuf>,
        trust_password: Password,
    },
}

impl KeyFiles {
    /// What must be read anew when it changes.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let (first, second, trusted) = match self {
            KeyFiles::Pem {
                certificates,
                key,
                trusted,
            } => (certificates, Some(key), trusted),
            KeyFiles::Stores {
                key_store,
                trust_store,
                ..
            } => (key_store, None, trust_store),
        };
        [Some(first), second, trusted.as_ref()]
            .into_iter()
            .flatten()
    }

    /// Whose signatures on clients' certificates count.
    pub fn trusted(&self) -> Option<&PathBuf> {
        match self {
            KeyFiles::Pem { trusted, .. } => trusted.as_ref(),
            KeyFiles::Stores { trust_store, .. } => trust_store.as_ref(),
        }
    }
}

/// Opens a key store. Not shown anywhere, and gone from memory when dropped.
#[derive(Clone, Default)]
pub struct Password(Zeroizing<String>);

impl Password {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Password {
        Password(Zeroizing::new(text.to_owned()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The settings as they come.
pub(super) struct TlsSettings {
    pub port: Option<u16>,
    pub certificates: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub trusted: Option<PathBuf>,
    pub with_stores: bool,
    pub key_store: Option<PathBuf>,
    pub key_store_password: Password,
    pub trust_store: Option<PathBuf>,
    pub trust_store_password: Password,
    pub require_client_certificate: bool,
    pub accept_untrusted: bool,
    /// Empty: all.
    pub versions: Vec<ProtocolVersion>,
    pub suites: Vec<SupportedCipherSuite>,
    pub refresh_ms: u64,
}

impl Default for TlsSettings {
    fn default() -> TlsSettings {
        TlsSettings {
            port: None,
            certificates: None,
            key: None,
            trusted: None,
            with_stores: false,
            key_store: None,
            key_store_password: Password::default(),
            trust_store: None,
            trust_store_password: Password::default(),
            require_client_certificate: false,
            accept_untrusted: false,
            versions: Vec::new(),
            suites: Vec::new(),
            refresh_ms: limits::TLS_REFRESH_MS,
        }
    }
}

impl TlsSettings {
    /// What the settings ask for; `plain` is whether there is a plain port beside. Err: which key lacks, and why.
    pub(super) fn listener(self, plain: bool) -> Result<Option<ListenerTls>, String> {
        let Some(port) = self.port else {
            return match plain {
                true => Ok(None),
                false => Err("webServicePort and webServicePortTls are both set to nothing: there is no port left".into()),
            };
        };
        let suites = suites_of(&self.suites, &self.versions).ok_or(
            "webServiceTlsCiphers: none of these is of a version that webServiceTlsProtocols has",
        )?;
        let files = self.files()?;
        if self.require_client_certificate && !self.accept_untrusted && files.trusted().is_none() {
            return Err(format!(
                "tlsRequireTrustedClientCertOnConnect: set {} to the authorities that sign clients' certificates",
                match self.with_stores {
                    true => "tlsTrustStore",
                    false => "tlsTrustCertsFilePath",
                }
            ));
        }
        Ok(Some(ListenerTls {
            port,
            alone: !plain,
            files,
            require_client_certificate: self.require_client_certificate,
            accept_untrusted: self.accept_untrusted,
            suites,
            refresh_ms: self.refresh_ms,
        }))
    }

    fn files(&self) -> Result<KeyFiles, String> {
        let lacks = |key| {
            move || {
                format!("webServicePortTls: {key} has to be set too, or nobody can be served there")
            }
        };
        if self.with_stores {
            return Ok(KeyFiles::Stores {
                key_store: self.key_store.clone().ok_or_else(lacks("tlsKeyStore"))?,
                password: self.key_store_password.clone(),
                trust_store: self.trust_store.clone(),
                trust_password: self.trust_store_password.clone(),
            });
        }
        Ok(KeyFiles::Pem {
            certificates: self
                .certificates
                .clone()
                .ok_or_else(lacks("tlsCertificateFilePath"))?,
            key: self.key.clone().ok_or_else(lacks("tlsKeyFilePath"))?,
            trusted: self.trusted.clone(),
        })
    }
}

/// Those that were asked for, of the versions that were; all of what is empty. None: there are none of these versions.
pub(super) fn suites_of(
    wanted: &[SupportedCipherSuite],
    versions: &[ProtocolVersion],
) -> Option<Vec<SupportedCipherSuite>> {
    let wanted = match wanted.is_empty() {
        true => ALL_CIPHER_SUITES,
        false => wanted,
    };
    let is_wanted = |suite: &&SupportedCipherSuite| {
        versions.is_empty() || versions.contains(&suite.version().version)
    };
    let suites: Vec<_> = wanted.iter().filter(is_wanted).copied().collect();
    (!suites.is_empty()).then_some(suites)
}

/// `TLSv1.3,TLSv1.2`, as JSSE names them.
pub(super) fn versions(text: &str) -> Result<Vec<ProtocolVersion>, String> {
    let names = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names
        .map(|name| match name {
            "TLSv1.2" => Ok(ProtocolVersion::TLSv1_2),
            "TLSv1.3" => Ok(ProtocolVersion::TLSv1_3),
            _ => {
                Err("names something else than TLSv1.2 and TLSv1.3, which is what there is".into())
            }
        })
        .collect()
}

/// What a message shows of an unknown suite: no name is longer.
const SUITE_SHOWN_CHARS: usize = 64;

/// Names as JSSE and the IANA have them, in this order of preference.
pub(super) fn suites(text: &str) -> Result<Vec<SupportedCipherSuite>, String> {
    let names = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut all = ALL_CIPHER_SUITES.iter();
            all.find(|suite| suite_name(suite) == name)
                .copied()
                .ok_or_else(|| {
                    let all: Vec<_> = ALL_CIPHER_SUITES.iter().map(suite_name).collect();
                    let shown: String = name.chars().take(SUITE_SHOWN_CHARS).collect();
                    format!(
                        "names '{}', a cipher suite that there is not: there are {}",
                        shown.escape_debug(),
                        all.join(", ")
                    )
                })
        })
        .collect()
}

/// rustls' own names of the suites of TLS 1.3 begin with `TLS13_`.
fn suite_name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
}
