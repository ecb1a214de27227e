//! Keys that protect nothing because of another one: Java's gateway is silent about them, and lets everybody in.

use super::authentication;
use crate::config::{Config, Setting};

const AUTHENTICATION: &str = "authenticationEnabled";
const AUTHORIZATION: &str = "authorizationEnabled";

/// What says who clients are. Others of these have a value in Pulsar's own file.
const WHO: &[&str] = &[
    "authenticationProviders",
    "anonymousUserRole",
    "tokenSecretKey",
    "tokenPublicKey",
    "basicAuthConf",
    "openIDAllowedTokenIssuers",
    "maxConnectionsPerRole",
];

/// What the operator should know before everybody else does.
pub(super) fn notes(config: &Config, settings: &[Setting]) -> Vec<String> {
    let value = |key: &str| {
        let setting = settings.iter().find(|setting| setting.key == key);
        setting.map_or("", |setting| setting.value.as_str())
    };
    let is_set = |key: &str| !matches!(value(key), "" | "0");
    let (authenticates, authorizes) = (
        config.authentication.is_some(),
        config.authorization.is_some(),
    );
    let mut notes = Vec::new();
    let idle: Vec<&str> = WHO.iter().copied().filter(|key| is_set(key)).collect();
    if !authenticates && !idle.is_empty() {
        notes.push(format!(
            "without effect: {}: {AUTHENTICATION} is not true, so that everybody is let in",
            idle.join(", ")
        ));
    }
    if !authenticates && authorizes {
        notes.push(format!(
            "{AUTHORIZATION} without {AUTHENTICATION}: every client has the role <none>"
        ));
    }
    if !authorizes && is_set("superUserRoles") {
        notes.push(format!(
            "without effect: superUserRoles: {AUTHORIZATION} is not true, so that everybody who is let in may do everything"
        ));
    }
    let mut providers = value("authenticationProviders").split(',');
    let by_certificate = providers.any(authentication::is_by_certificate);
    let trusted = config.tls.as_ref().and_then(|tls| tls.files.trusted());
    if authenticates && by_certificate && trusted.is_none() {
        notes.push(
            "AuthenticationProviderTls lets nobody in: certificates are asked for on webServicePortTls, with \
             tlsTrustCertsFilePath"
                .to_owned(),
        );
    }
    notes
}
