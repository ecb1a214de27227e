//! A certificate authority of the test's own and what it signs, as PEM and as files.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::secure::der;

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key (ECDSA P-256).
pub struct Signed {
    /// The certificate alone: the authority signs directly.
    pub certificate: String,
    /// PKCS#8.
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = named(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// What peers trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// For a server that is reached by these names and IP addresses; the first is the subject's too.
    pub fn server(&self, names: &[&str]) -> Signed {
        self.sign(named(names[0], names), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// For a client whose role is the subject's common name.
    pub fn client(&self, role: &str) -> Signed {
        self.sign(named(role, &[]), ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// The same for a number of seconds from now.
    pub fn client_for(&self, role: &str, seconds: u64) -> Signed {
        let mut params = named(role, &[]);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let end = now.expect("the clock is past 1970") + Duration::from_secs(seconds);
        params.not_after = date_time_ymd(1970, 1, 1) + end;
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Signed {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer);
        Signed {
            certificate: certificate.expect("a certificate").pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Signed {
    /// As a PKCS#12 store with this password.
    pub fn key_store(&self, password: &str) -> Vec<u8> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key");
        let key = PrivateKey::from_der(key.secret_der()).expect("PKCS#8");
        let chain = PrivateKeyChain::new("1", key, [certificate(&self.certificate)]);
        store("own", KeyStoreEntry::PrivateKeyChain(chain), password)
    }
}

/// A PKCS#12 store with this password, in which the certificate (PEM) is trusted.
pub fn trust_store(pem: &str, password: &str) -> Vec<u8> {
    store(
        "trusted",
        KeyStoreEntry::Certificate(certificate(pem)),
        password,
    )
}

fn certificate(pem: &str) -> Certificate {
    Certificate::from_der(&der(pem)).expect("a certificate")
}

fn store(name: &str, entry: KeyStoreEntry, password: &str) -> Vec<u8> {
    let mut store = KeyStore::new();
    store.add_entry(name, entry);
    store.writer(password).write().expect("a store")
}

fn named(subject: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names and addresses");
    params
        .distinguished_name
        .push(DnType::CommonName, subject.to_owned());
    params
}

/// A folder of a test's own, gone when dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("pws-fast-it-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    /// Writes a file, in one step for whoever reads it meanwhile, and gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let (path, new) = (self.0.join(name), self.0.join(format!("{name}.new")));
        std::fs::write(&new, content).expect("it can be written");
        std::fs::rename(&new, &path).expect("it can be renamed");
        path.to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
