//! The keys of authentication. Their values are collected here and read together when all are known: what a provider
//! needs depends on which ones there are.

use zeroize::Zeroize;

use super::{Draft, Key, Rule};
use crate::auth::{Authentication, Settings};
use crate::config::{Authorization, Mistake, Setting, limits, values};

/// The keys of the draft that are read at the end.
#[derive(Default)]
pub(super) struct Collected {
    enabled: bool,
    settings: Settings,
}

/// A text that is read later: an error about it must not show it, it may be a secret.
macro_rules! kept {
    ($name:literal, $($field:ident).+) => {
        Key {
            name: $name,
            rule: Rule::Sets(|draft, value| {
                draft.authentication.settings.$($field).+ = Some(value.to_owned());
                Ok(())
            }),
        }
    };
}

impl Collected {
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// `tokenSettingPrefix`; empty where there is none.
    pub fn token_prefix(&self) -> &str {
        &self.settings.token.prefix
    }
}

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "authenticationEnabled",
        rule: Rule::Sets(|draft, value| {
            draft.authentication.enabled = values::boolean(value)?;
            Ok(())
        }),
    },
    Key {
        name: "authenticationProviders",
        rule: Rule::Sets(|draft, value| {
            let names = value.split(',').map(str::to_owned);
            draft.authentication.settings.providers = names.collect();
            Ok(())
        }),
    },
    kept!("anonymousUserRole", anonymous_role),
    // It has moved the others before they are looked at.
    Key {
        name: PREFIX_KEY,
        rule: Rule::Sets(|_, _| Ok(())),
    },
    kept!("tokenSecretKey", token.secret_key),
    kept!("tokenPublicKey", token.public_key),
    kept!("tokenPublicAlg", token.public_alg),
    kept!("tokenAuthClaim", token.auth_claim),
    kept!("tokenAudienceClaim", token.audience_claim),
    kept!("tokenAudience", token.audience),
    kept!(
        "tokenAllowedClockSkewSeconds",
        token.allowed_clock_skew_seconds
    ),
    kept!("basicAuthConf", basic_auth_conf),
    kept!("openIDAllowedTokenIssuers", open_id.allowed_token_issuers),
    kept!("openIDAllowedAudiences", open_id.allowed_audiences),
    kept!(
        "openIDTokenIssuerTrustCertsFilePath",
        open_id.trust_certs_file_path
    ),
    kept!("openIDRoleClaim", open_id.role_claim),
    kept!(
        "openIDAcceptedTimeLeewaySeconds",
        open_id.accepted_time_leeway_seconds
    ),
    kept!(
        "openIDCacheRefreshAfterWriteSeconds",
        open_id.cache_refresh_after_write_seconds
    ),
    kept!(
        "openIDCacheExpirationSeconds",
        open_id.cache_expiration_seconds
    ),
    kept!(
        "openIDKeyIdCacheMissRefreshSeconds",
        open_id.key_id_cache_miss_refresh_seconds
    ),
    kept!(
        "openIDHttpConnectionTimeoutMillis",
        open_id.http_connection_timeout_millis
    ),
    kept!(
        "openIDHttpReadTimeoutMillis",
        open_id.http_read_timeout_millis
    ),
    kept!(
        "openIDRequireIssuersUseHttps",
        open_id.require_issuers_use_https
    ),
    kept!(
        "openIDFallbackDiscoveryMode",
        open_id.fallback_discovery_mode
    ),
    Key {
        name: "authenticationRefreshCheckSeconds",
        rule: Rule::Sets(|draft, value| {
            let seconds = values::within(value, 0..=limits::TIME_MAX_MS / 1000)?;
            draft.config.authentication_refresh_ms = 1000 * seconds;
            Ok(())
        }),
    },
];

/// Lets certificates count that nobody has signed.
const INSECURE: &str = "tlsAllowInsecureConnection";
const TLS: &str = "AuthenticationProviderTls";

/// Whether the provider of this class looks at client certificates.
pub(super) fn is_by_certificate(class: &str) -> bool {
    class.trim().ends_with(TLS)
}

/// Before the names of the keys that `tokenSettingPrefix` moves.
const PREFIX_KEY: &str = "tokenSettingPrefix";

fn is_tokens(name: &str) -> bool {
    let mut keys = KEYS.iter().map(|key| key.name);
    name.starts_with("token") && keys.any(|key| key == name)
}

/// A key as it stands in the file.
pub(super) fn written(prefix: &str, key: &str) -> String {
    match is_tokens(key) {
        true => format!("{prefix}{key}"),
        false => key.to_owned(),
    }
}

/// With `tokenSettingPrefix=x` the provider reads `xtokenSecretKey` where it else reads `tokenSecretKey`, and does not
/// look at the latter.
pub(super) fn apply_prefix(draft: &mut Draft, settings: Vec<Setting>) -> Vec<Setting> {
    let is_prefix = |setting: &&Setting| setting.key == PREFIX_KEY;
    let prefix = settings.iter().find(is_prefix).map(|it| it.value.clone());
    let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty()) else {
        let others = settings.into_iter().filter(|it| it.key != PREFIX_KEY);
        return others.collect();
    };
    draft
        .authentication
        .settings
        .token
        .prefix
        .clone_from(&prefix);
    let moved = settings.into_iter().filter_map(|mut setting| {
        if setting.key == PREFIX_KEY || is_tokens(&setting.key) {
            return None;
        }
        let bare = setting.key.strip_prefix(&prefix).map(str::to_owned);
        if let Some(bare) = bare.filter(|bare| is_tokens(bare)) {
            setting.key = bare;
        }
        Some(setting)
    });
    moved.collect()
}

/// Reads what was collected.
pub(super) fn finish(draft: &mut Draft, settings: &[Setting], mistakes: &mut Vec<Mistake>) {
    let mut collected = std::mem::take(&mut draft.authentication);
    if !collected.enabled {
        return;
    }
    let is_on = |setting: &&Setting| setting.value.eq_ignore_ascii_case("true");
    let insecure = settings
        .iter()
        .filter(is_on)
        .find(|setting| setting.key == INSECURE);
    let providers = &collected.settings.providers;
    if let Some(insecure) = insecure.filter(|_| providers.iter().any(|it| is_by_certificate(it))) {
        // Java takes the name in any certificate then.
        let why = format!("{INSECURE}: with {TLS} anybody could claim any role");
        mistakes.push(Mistake::at(&insecure.place, why));
    }
    let authentication = Authentication::new(&collected.settings);
    collected.settings.token.secret_key.zeroize();
    collected.settings.basic_auth_conf.zeroize();
    match authentication {
        Ok((mut authentication, notes)) => {
            authentication.keep_credentials = matches!(
                draft.config.authorization,
                Some(Authorization::Broker { .. })
            );
            draft.config.authentication = Some(authentication.into());
            draft.config.notes.extend(notes);
        }
        Err(faults) => mistakes.extend(faults.into_iter().map(|(key, why)| {
            let place = settings.iter().find(|setting| setting.key == key);
            let key = written(&collected.settings.token.prefix, key);
            match place {
                Some(setting) => Mistake::at(&setting.place, format!("{key}: {why}")),
                None => Mistake(format!("{key} {why}")),
            }
        })),
    }
}
