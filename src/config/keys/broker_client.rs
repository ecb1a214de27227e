//! The keys of TLS and credentials towards the brokers, and the names that Java's client has for the same.
//!
//! They are collected here and read together when all are known. Java lays `brokerClient_…` over the gateway's own keys,
//! but for the credentials, where the gateway's own win.

use std::path::PathBuf;

use rustls::{ProtocolVersion, SupportedCipherSuite};
use zeroize::Zeroizing;

use super::tls::store_type;
use super::{Draft, Key, Rule};
use crate::config::broker_client::{BrokerClient, Proof, proof};
use crate::config::{
    Authorization, BrokerTls, Mistake, OwnCertificate, Password, Setting, Trusted, limits, tls,
    values,
};

const PLUGIN: &str = "brokerClientAuthenticationPlugin";
const PARAMETERS: &str = "brokerClientAuthenticationParameters";
const CLIENT_PLUGIN: &str = "brokerClient_authPluginClassName";
const CLIENT_PARAMETERS: &str = "brokerClient_authParams";
const CERTIFICATE: &str = "brokerClient_tlsCertificateFilePath";
const KEY: &str = "brokerClient_tlsKeyFilePath";
const WITH_STORES: &str = "brokerClient_useKeyStoreTls";
const KEY_STORE: &str = "brokerClient_tlsKeyStorePath";
const TRUST_STORE: &str = "brokerClient_tlsTrustStorePath";
const SUITES: &str = "brokerClient_tlsCiphers";
pub(super) const FORWARDS: &str = "forwardAuthorizationCredentials";

/// The keys of the draft that are read at the end.
#[derive(Default)]
pub(super) struct Collected {
    /// By the gateway's own name, by the client's.
    plugin: [Option<String>; 2],
    parameters: [Option<Zeroizing<String>>; 2],
    trusted: [Option<PathBuf>; 2],
    verify_host: [Option<bool>; 2],
    accept_untrusted: bool,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    refresh_ms: Option<u64>,
    with_stores: bool,
    key_store: Option<PathBuf>,
    key_store_password: Password,
    trust_store: Option<PathBuf>,
    trust_store_password: Password,
    /// Empty: all.
    versions: Vec<ProtocolVersion>,
    suites: Vec<SupportedCipherSuite>,
}

const fn sets(name: &'static str, set: fn(&mut Draft, &str) -> Result<(), String>) -> Key {
    Key {
        name,
        rule: Rule::Sets(set),
    }
}

/// Whether brokers are to be spoken to with TLS. The last one is the name of old.
pub(super) const WITH_TLS: [&str; 3] = [
    "brokerClientTlsEnabled",
    "brokerClient_useTls",
    "tlsEnabled",
];

fn with_tls(draft: &mut Draft, value: &str) -> Result<(), String> {
    draft.ways.with_tls |= values::boolean(value)?;
    Ok(())
}

/// A value that may be secret is read later: an error about it must not show it.
pub(super) const KEYS: &[Key] = &[
    sets(PLUGIN, |d, v| {
        d.broker_client.plugin[0] = Some(v.to_owned());
        Ok(())
    }),
    sets(PARAMETERS, |d, v| {
        d.broker_client.parameters[0] = Some(v.to_owned().into());
        Ok(())
    }),
    sets(CLIENT_PLUGIN, |d, v| {
        d.broker_client.plugin[1] = Some(v.to_owned());
        Ok(())
    }),
    sets(CLIENT_PARAMETERS, |d, v| {
        d.broker_client.parameters[1] = Some(v.to_owned().into());
        Ok(())
    }),
    sets(WITH_TLS[0], with_tls),
    sets(WITH_TLS[1], with_tls),
    sets(WITH_TLS[2], with_tls),
    sets("brokerClientTrustCertsFilePath", |d, v| {
        d.broker_client.trusted[0] = Some(v.into());
        Ok(())
    }),
    sets("brokerClient_tlsTrustCertsFilePath", |d, v| {
        d.broker_client.trusted[1] = Some(v.into());
        Ok(())
    }),
    sets("tlsHostnameVerificationEnabled", |d, v| {
        d.broker_client.verify_host[0] = Some(values::boolean(v)?);
        Ok(())
    }),
    sets("brokerClient_tlsHostnameVerificationEnable", |d, v| {
        d.broker_client.verify_host[1] = Some(values::boolean(v)?);
        Ok(())
    }),
    sets("brokerClient_tlsAllowInsecureConnection", |d, v| {
        d.broker_client.accept_untrusted = values::boolean(v)?;
        Ok(())
    }),
    sets("brokerClient_autoCertRefreshSeconds", |d, v| {
        let seconds = values::within(v, 1..=limits::TIME_MAX_MS / 1000)?;
        d.broker_client.refresh_ms = Some(1000 * seconds);
        Ok(())
    }),
    sets(CERTIFICATE, |d, v| {
        d.broker_client.certificate = Some(v.into());
        Ok(())
    }),
    sets(KEY, |d, v| {
        d.broker_client.key = Some(v.into());
        Ok(())
    }),
    sets(WITH_STORES, |d, v| {
        d.broker_client.with_stores = values::boolean(v)?;
        Ok(())
    }),
    sets("brokerClient_tlsKeyStoreType", |_, v| store_type(v)),
    sets(KEY_STORE, |d, v| {
        d.broker_client.key_store = Some(v.into());
        Ok(())
    }),
    sets("brokerClient_tlsKeyStorePassword", |d, v| {
        d.broker_client.key_store_password = v.into();
        Ok(())
    }),
    sets("brokerClient_tlsTrustStoreType", |_, v| store_type(v)),
    sets(TRUST_STORE, |d, v| {
        d.broker_client.trust_store = Some(v.into());
        Ok(())
    }),
    sets("brokerClient_tlsTrustStorePassword", |d, v| {
        d.broker_client.trust_store_password = v.into();
        Ok(())
    }),
    sets("brokerClient_tlsProtocols", |d, v| {
        d.broker_client.versions = tls::versions(v)?;
        Ok(())
    }),
    sets(SUITES, |d, v| {
        d.broker_client.suites = tls::suites(v)?;
        Ok(())
    }),
];

/// Reads what was collected.
/// `wanted`: some URL asks for TLS.
pub(super) fn finish(
    draft: &mut Draft,
    wanted: bool,
    settings: &[Setting],
    mistakes: &mut Vec<Mistake>,
) {
    let mut collected = std::mem::take(&mut draft.broker_client);
    // Java's key of that name is for both sides.
    collected.accept_untrusted |= draft.tls.accept_untrusted;
    match read(collected, wanted) {
        Ok(client) => {
            if wanted && client.tls.accept_untrusted {
                draft.config.notes.push(
                    "tlsAllowInsecureConnection: whoever answers at a broker's address is taken for the broker".into(),
                );
            } else if wanted && !client.tls.verify_host {
                draft.config.notes.push(
                    "tlsHostnameVerificationEnabled=false: any certificate of a trusted authority is taken for the \
                     broker's"
                        .into(),
                );
            }
            let forwards = matches!(
                draft.config.authorization,
                Some(Authorization::Broker { forwards: true, .. })
            );
            if forwards && matches!(client.proof, Proof::None) {
                let why = format!(
                    "wants {PLUGIN}: the gateway is a proxy then, whom brokers have to know"
                );
                mistakes.push(super::about(settings, FORWARDS, &why));
            }
            draft.config.broker_client = client;
        }
        Err((key, why)) => mistakes.push(super::about(settings, key, &why)),
    }
}

/// A key, and what is wrong with it.
type Wrong = (&'static str, String);

fn read(mut collected: Collected, wanted: bool) -> Result<BrokerClient, Wrong> {
    let [own, client] = std::mem::take(&mut collected.plugin);
    let [own_parameters, client_parameters] = std::mem::take(&mut collected.parameters);
    let (place, plugin, parameters) = match (own, client) {
        (Some(plugin), _) => (PLUGIN, Some(plugin), own_parameters),
        (None, Some(plugin)) => (CLIENT_PLUGIN, Some(plugin), client_parameters),
        // Java connects without credentials then; whoever has set parameters wants some.
        (None, None) => match (own_parameters, client_parameters) {
            (Some(_), _) => return Err((PARAMETERS, format!("wants {PLUGIN} beside it"))),
            (None, Some(_)) => {
                return Err((
                    CLIENT_PARAMETERS,
                    format!("wants {CLIENT_PLUGIN} beside it"),
                ));
            }
            (None, None) => (PLUGIN, None, None),
        },
    };
    let (proof, shown) = match plugin {
        None => Default::default(),
        Some(plugin) => proof(plugin.trim(), parameters.as_ref().map(|it| it.as_str()))
            .map_err(|why| (place, why))?,
    };
    let tls = read_tls(collected, shown, wanted)?;
    Ok(BrokerClient { proof, tls })
}

/// `shown`: the certificate of the plugin, which wins.
fn read_tls(
    collected: Collected,
    shown: Option<OwnCertificate>,
    wanted: bool,
) -> Result<BrokerTls, Wrong> {
    for (key, store) in [
        (KEY_STORE, &collected.key_store),
        (TRUST_STORE, &collected.trust_store),
    ] {
        // Java passes it over then, and believes the public authorities.
        if store.is_some() && !collected.with_stores {
            return Err((key, format!("wants {WITH_STORES}=true beside it")));
        }
    }
    let suites = tls::suites_of(&collected.suites, &collected.versions).ok_or_else(|| {
        let why = "names no suite of a version that brokerClient_tlsProtocols has";
        (SUITES, why.to_owned())
    })?;
    let own_files = match (collected.certificate, collected.key) {
        (Some(certificate), Some(key)) => Some(OwnCertificate::Pem { certificate, key }),
        (None, None) => None,
        (Some(_), None) => return Err((CERTIFICATE, format!("wants {KEY} beside it"))),
        (None, Some(_)) => return Err((KEY, format!("wants {CERTIFICATE} beside it"))),
    };
    let key_store = collected.key_store;
    let own_store = key_store.map(|path| OwnCertificate::Store(path, collected.key_store_password));
    let [trusted, client_trusted] = collected.trusted;
    let trusted = match (collected.trust_store, client_trusted.or(trusted)) {
        (Some(store), _) => Trusted::Store(store, collected.trust_store_password),
        (None, Some(file)) => Trusted::Pem(file),
        (None, None) => Trusted::Public,
    };
    let [verify_host, client_verify_host] = collected.verify_host;
    let defaults = BrokerTls::default();
    Ok(BrokerTls {
        wanted,
        trusted,
        accept_untrusted: collected.accept_untrusted,
        verify_host: client_verify_host
            .or(verify_host)
            .unwrap_or(defaults.verify_host),
        identity: shown.or(own_store).or(own_files),
        suites,
        refresh_ms: collected.refresh_ms.unwrap_or(defaults.refresh_ms),
    })
}
