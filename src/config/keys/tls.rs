//! The keys of TLS towards clients.

use super::{Draft, Key, Rule};
use crate::config::{limits, tls, values};

const fn sets(name: &'static str, set: fn(&mut Draft, &str) -> Result<(), String>) -> Key {
    Key {
        name,
        rule: Rule::Sets(set),
    }
}

pub(super) const KEYS: &[Key] = &[
    sets("webServicePortTls", |d, v| {
        d.tls.port = Some(values::port(v)?);
        Ok(())
    }),
    sets("tlsCertificateFilePath", |d, v| {
        d.tls.certificates = Some(v.into());
        Ok(())
    }),
    sets("tlsKeyFilePath", |d, v| {
        d.tls.key = Some(v.into());
        Ok(())
    }),
    sets("tlsTrustCertsFilePath", |d, v| {
        d.tls.trusted = Some(v.into());
        Ok(())
    }),
    sets("tlsRequireTrustedClientCertOnConnect", |d, v| {
        d.tls.require_client_certificate = values::boolean(v)?;
        Ok(())
    }),
    sets("tlsAllowInsecureConnection", |d, v| {
        d.tls.accept_untrusted = values::boolean(v)?;
        Ok(())
    }),
    sets("webServiceTlsProtocols", |d, v| {
        d.tls.versions = tls::versions(v)?;
        Ok(())
    }),
    sets("webServiceTlsCiphers", |d, v| {
        d.tls.suites = tls::suites(v)?;
        Ok(())
    }),
    sets("tlsCertRefreshCheckDurationSec", |d, v| {
        // In Java's words 0 looks at every new connection: soon enough, and off the way of connections.
        let seconds = values::within(v, 0..=limits::TIME_MAX_MS / 1000)?;
        d.tls.refresh_ms = 1000 * seconds.max(1);
        Ok(())
    }),
    sets("tlsEnabledWithKeyStore", |d, v| {
        d.tls.with_stores = values::boolean(v)?;
        Ok(())
    }),
    // What a store is, its first bytes tell: Java too opens PKCS#12 whatever is said here.
    sets("tlsKeyStoreType", |_, v| store_type(v)),
    sets("tlsKeyStore", |d, v| {
        d.tls.key_store = Some(v.into());
        Ok(())
    }),
    sets("tlsKeyStorePassword", |d, v| {
        d.tls.key_store_password = v.into();
        Ok(())
    }),
    sets("tlsTrustStoreType", |_, v| store_type(v)),
    sets("tlsTrustStore", |d, v| {
        d.tls.trust_store = Some(v.into());
        Ok(())
    }),
    sets("tlsTrustStorePassword", |d, v| {
        d.tls.trust_store_password = v.into();
        Ok(())
    }),
];

pub(super) fn store_type(text: &str) -> Result<(), String> {
    match ["JKS", "PKCS12"]
        .iter()
        .any(|known| text.eq_ignore_ascii_case(known))
    {
        true => Ok(()),
        false => Err("is not PKCS12 (or JKS, which is what Java calls both)".into()),
    }
}
