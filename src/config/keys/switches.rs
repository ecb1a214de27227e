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
        setting.map(|setting| setting.value.as_str())
    };
    let is_on = |key: &str| value(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let is_set = |key: &&&str| value(key).is_some_and(|value| !value.is_empty() && value != "0");
    let mut notes = Vec::new();
    if !is_on(AUTHENTICATION) {
        let idle: Vec<&str> = WHO.iter().filter(is_set).copied().collect();
        if !idle.is_empty() {
            notes.push(format!(
                "without effect: {}: {AUTHENTICATION} is not true, so that everybody is let in",
                idle.join(", ")
            ));
        }
        if is_on(AUTHORIZATION) {
            notes.push(format!(
                "{AUTHORIZATION} without {AUTHENTICATION}: every client has the role <none>"
            ));
        }
    }
    if config.authorization.is_none() && is_set(&&"superUserRoles") {
        notes.push(format!(
            "without effect: superUserRoles: {AUTHORIZATION} is not true, so that everybody who is let in may do everything"
        ));
    }
    let providers = value("authenticationProviders").unwrap_or_default();
    let by_certificate = providers.split(',').any(authentication::is_by_certificate);
    let asks = config
        .tls
        .as_ref()
        .is_some_and(|tls| tls.files.trusted().is_some());
    if is_on(AUTHENTICATION) && by_certificate && !asks {
        notes.push(
            "AuthenticationProviderTls lets nobody in: certificates are asked for on webServicePortTls, with \
             tlsTrustCertsFilePath"
                .to_owned(),
        );
    }
    notes
}
