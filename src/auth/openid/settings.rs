//! Java's keys of the provider → [`OpenIdProvider`].

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Fetching, OpenIdProvider};
use crate::auth::settings::Fault;
use crate::auth::source;

/// The values as they stand in the file.
#[derive(Clone, Default)]
pub struct OpenIdSettings {
    pub allowed_token_issuers: Option<String>,
    pub allowed_audiences: Option<String>,
    pub trust_certs_file_path: Option<String>,
    pub role_claim: Option<String>,
    pub accepted_time_leeway_seconds: Option<String>,
    pub cache_refresh_after_write_seconds: Option<String>,
    pub cache_expiration_seconds: Option<String>,
    pub key_id_cache_miss_refresh_seconds: Option<String>,
    pub http_connection_timeout_millis: Option<String>,
    pub http_read_timeout_millis: Option<String>,
    pub require_issuers_use_https: Option<String>,
    pub fallback_discovery_mode: Option<String>,
}

/// Java's defaults.
const REFRESH_SECONDS: u64 = 18 * 60 * 60;
const EXPIRATION_SECONDS: u64 = 24 * 60 * 60;
const MISSING_KEY_SECONDS: u64 = 5 * 60;
const TIMEOUT_MS: u64 = 10_000;

const ISSUERS: &str = "openIDAllowedTokenIssuers";

impl OpenIdSettings {
    /// # Errors
    /// The first value that is missing or wrong.
    pub fn read(&self, token_auth_claim: &Option<String>) -> Result<OpenIdProvider, Fault> {
        let fault = |key, why: &str| Err((key, why.to_owned()));
        if let Some(mode) = given(&self.fallback_discovery_mode)
            && mode != "DISABLED"
        {
            let why = "asks for Kubernetes' API server, which is not served: name its issuer in openIDAllowedTokenIssuers";
            return fault("openIDFallbackDiscoveryMode", why);
        }
        let requires_https = match given(&self.require_issuers_use_https) {
            // Boolean.parseBoolean, but for a slip, which must not switch it off.
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(text) if !text.eq_ignore_ascii_case("true") => {
                return fault("openIDRequireIssuersUseHttps", "is not true or false");
            }
            _ => true,
        };
        let issuers = list(&self.allowed_token_issuers);
        if issuers.is_empty() {
            return fault(ISSUERS, "is needed by AuthenticationProviderOpenID");
        }
        for issuer in &issuers {
            let lower = issuer.to_ascii_lowercase();
            let is_http = lower.starts_with("http://") && !requires_https;
            if !lower.starts_with("https://") && !is_http {
                return fault(ISSUERS, "has an issuer that is not an https:// address");
            }
        }
        let audiences = list(&self.allowed_audiences);
        if audiences.is_empty() {
            let why = "is needed by AuthenticationProviderOpenID: what its tokens have as aud";
            return fault("openIDAllowedAudiences", why);
        }
        let role_claim = given(&self.role_claim).unwrap_or("sub");
        Ok(OpenIdProvider {
            issuers,
            audiences,
            multi_role_claim: given(token_auth_claim)
                .filter(|it| *it != role_claim)
                .map(str::to_owned),
            role_claim: role_claim.to_owned(),
            leeway_ms: seconds_ms(
                "openIDAcceptedTimeLeewaySeconds",
                &self.accepted_time_leeway_seconds,
                0,
            )?,
            fetching: self.fetching(requires_https)?,
        })
    }

    fn fetching(&self, requires_https: bool) -> Result<Fetching, Fault> {
        let trusted = match given(&self.trust_certs_file_path) {
            None => None,
            Some(path) => Some(
                certificates(path).map_err(|why| ("openIDTokenIssuerTrustCertsFilePath", why))?,
            ),
        };
        Ok(Fetching {
            trusted,
            requires_https,
            connect_timeout_ms: number(
                "openIDHttpConnectionTimeoutMillis",
                &self.http_connection_timeout_millis,
                TIMEOUT_MS,
            )?,
            read_timeout_ms: number(
                "openIDHttpReadTimeoutMillis",
                &self.http_read_timeout_millis,
                TIMEOUT_MS,
            )?,
            refresh_ms: seconds_ms(
                "openIDCacheRefreshAfterWriteSeconds",
                &self.cache_refresh_after_write_seconds,
                REFRESH_SECONDS,
            )?,
            expiration_ms: seconds_ms(
                "openIDCacheExpirationSeconds",
                &self.cache_expiration_seconds,
                EXPIRATION_SECONDS,
            )?,
            missing_key_ms: seconds_ms(
                "openIDKeyIdCacheMissRefreshSeconds",
                &self.key_id_cache_miss_refresh_seconds,
                MISSING_KEY_SECONDS,
            )?,
        })
    }
}

fn seconds_ms(key: &'static str, value: &Option<String>, default: u64) -> Result<u64, Fault> {
    Ok(number(key, value, default)?.saturating_mul(1000))
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = source::file(path.as_ref())?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err("names a file without certificates in PEM".to_owned()),
    }
}

fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|it| !it.is_empty())
}

fn list(value: &Option<String>) -> Vec<String> {
    let parts = given(value).unwrap_or_default().split(',').map(str::trim);
    parts
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
        .collect()
}

fn number(key: &'static str, value: &Option<String>, default: u64) -> Result<u64, Fault> {
    match given(value) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| (key, "is not a whole number".to_owned())),
    }
}
