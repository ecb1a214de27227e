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
    "openIDAllowedAudiences",
    "maxConnectionsPerRole",
];

/// What says whom a provider believes. Its other keys are about details.
const PROVIDERS: &[(&str, &[&str])] = &[
    (
        "AuthenticationProviderToken",
        &["tokenSecretKey", "tokenPublicKey"],
    ),
    ("AuthenticationProviderBasic", &["basicAuthConf"]),
    (
        "AuthenticationProviderOpenID",
        &["openIDAllowedTokenIssuers", "openIDAllowedAudiences"],
    ),
];

/// What the operator should know before everybody else does.
pub(super) fn notes(config: &Config, settings: &[Setting], token_prefix: &str) -> Vec<String> {
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
    let passed_over = passed_over(authenticates, &value);
    notes.extend(passed_over.into_iter().map(|(key, why)| {
        let key = authentication::written(token_prefix, key);
        format!("without effect: {key}: {why}")
    }));
    notes
}

/// Keys that are passed over because of one beside them, or for want of one. The names of token keys are bare.
fn passed_over<'a>(
    authenticates: bool,
    value: &impl Fn(&str) -> &'a str,
) -> Vec<(&'static str, &'static str)> {
    let is_set = |key: &str| !value(key).trim().is_empty();
    let provides = |class: &str| value("authenticationProviders").contains(class);
    let by_token = authenticates && provides("AuthenticationProviderToken");
    let with_stores = value("tlsEnabledWithKeyStore").eq_ignore_ascii_case("true");
    let mut idle = Vec::new();
    let mut find = |why: &'static str, keys: &[&'static str]| {
        let set = keys.iter().filter(|key| is_set(key));
        idle.extend(set.map(|key| (*key, why)));
    };
    if by_token && !is_set("tokenAudienceClaim") {
        let why =
            "tokenAudienceClaim is not set, so that tokens that were issued for others are taken";
        find(why, &["tokenAudience"]);
    }
    if by_token && is_set("tokenSecretKey") {
        let why = "where a secret key is set, tokens are believed by that alone";
        find(why, &["tokenPublicKey"]);
    }
    for (class, keys) in PROVIDERS {
        if authenticates && !provides(class) {
            find("authenticationProviders does not name its provider", keys);
        }
    }
    match with_stores {
        true => find(
            "with tlsEnabledWithKeyStore=true only tlsKeyStore and tlsTrustStore count",
            &[
                "tlsCertificateFilePath",
                "tlsKeyFilePath",
                "tlsTrustCertsFilePath",
            ],
        ),
        false => find(
            "tlsEnabledWithKeyStore is not true",
            &["tlsKeyStore", "tlsTrustStore"],
        ),
    }
    idle
}
