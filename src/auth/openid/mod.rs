//! `AuthenticationProviderOpenID`: a token of an OpenID Connect issuer, verified by the keys that the issuer publishes.
//!
//! `settings`: Java's keys. `jwk`: a key set as published. `issuers`: what is known of each issuer's keys, how old it
//! may be, and what is to be fetched.

pub(super) mod issuers;
mod jwk;
pub(super) mod settings;

use rustls::pki_types::CertificateDer;

use super::authentication::Verified;
use super::jwt::Unverified;
use super::jwt::claims::Claims;
use super::{Now, Offered, Why};
use issuers::{Found, Issuers};

/// The provider's settings, checked.
pub struct OpenIdProvider {
    /// `openIDAllowedTokenIssuers`, each as it stands in a token.
    pub(super) issuers: Vec<String>,
    /// `openIDAllowedAudiences`: a token is for one of these.
    pub(super) audiences: Vec<String>,
    /// `openIDRoleClaim`.
    pub(super) role_claim: String,
    /// `tokenAuthClaim`, where it is another: brokers that look at all roles of a token look there.
    pub(super) multi_role_claim: Option<String>,
    /// `openIDAcceptedTimeLeewaySeconds`.
    pub(super) leeway_ms: u64,
    pub fetching: Fetching,
}

/// How an issuer's documents are fetched, and how long they are kept.
#[derive(Clone, Debug, Default)]
pub struct Fetching {
    /// Whom issuers' certificates are trusted by (`openIDTokenIssuerTrustCertsFilePath`). None: the public authorities.
    pub trusted: Option<Vec<CertificateDer<'static>>>,
    /// `openIDRequireIssuersUseHttps`.
    pub requires_https: bool,
    pub connect_timeout_ms: u64,
    pub read_timeout_ms: u64,
    /// Older documents are fetched anew, and used meanwhile (`openIDCacheRefreshAfterWriteSeconds`).
    pub refresh_ms: u64,
    /// Older documents are not used (`openIDCacheExpirationSeconds`).
    pub expiration_ms: u64,
    /// A key that is not among an issuer's is looked for again no sooner than this (`openIDKeyIdCacheMissRefreshSeconds`).
    pub missing_key_ms: u64,
}

/// What a look at a token gives where the issuer's keys are.
pub(super) enum Looked {
    Accepted(Verified),
    Rejected(Why),
    /// What it takes to tell cannot be had.
    Unknown(Why),
    /// Of this address: then to be asked again.
    Wants(String),
}

impl OpenIdProvider {
    /// Whether the token is worth a look: it is one, and claims an issuer that is allowed.
    ///
    /// # Errors
    /// It is not.
    pub fn is_concerned(&self, offered: &Offered) -> Result<(), Why> {
        let token = offered.token.as_ref().ok_or("no token")?;
        let token = Unverified::parse(token)?;
        let issuer = token.claimed_issuer().ok_or("the token names no issuer")?;
        match self.issuers.iter().any(|allowed| allowed == issuer) {
            true => Ok(()),
            false => Err("the token's issuer is not an allowed one"),
        }
    }

    pub(super) fn look(&self, offered: &Offered, now: Now, issuers: &mut Issuers) -> Looked {
        match self.verify(offered, now, issuers) {
            Ok(looked) => looked,
            Err(why) => Looked::Rejected(why),
        }
    }

    fn verify(&self, offered: &Offered, now: Now, issuers: &mut Issuers) -> Result<Looked, Why> {
        self.is_concerned(offered)?;
        let token = Unverified::parse(offered.token.as_ref().ok_or("no token")?)?;
        let issuer = token.claimed_issuer().unwrap_or_default();
        // Java finds no key for a token without an id of one.
        let key_id = token.key_id.as_deref().ok_or("the token names no key")?;
        let key = match issuers.key(issuer, key_id, now.mono_ms) {
            Found::Key(key) => key,
            Found::Wants(address) => return Ok(Looked::Wants(address)),
            Found::Nothing(why) => return Err(why),
            Found::Unavailable(why) => return Ok(Looked::Unknown(why)),
        };
        if key.algorithm.is_some_and(|its| its != token.algorithm) {
            return Err("the token's algorithm is not the one that its key is for");
        }
        let claims = token.verify(&key.key)?;
        let expires_ms = self.check(&claims, now.wall_ms)?;
        let role = claims.role(&self.role_claim);
        let role = role.ok_or("the token has no role in the claim that names it")?;
        let mut further_roles = claims.further_roles(&self.role_claim);
        if let Some(claim) = &self.multi_role_claim {
            let further = claims.further_roles(claim);
            let named = claims.role(claim).map(str::to_owned);
            let all = named.into_iter().chain(further);
            further_roles.extend(all.map(|role| format!("{claim}: {role}")));
        }
        Ok(Looked::Accepted(Verified {
            role: role.to_owned(),
            further_roles,
            expires_ms,
        }))
    }

    /// What an identity token must have (OpenID Connect Core §2, as far as Java asks for it).
    fn check(&self, claims: &Claims, now_ms: u64) -> Result<Option<u64>, Why> {
        let wanted = ["iat", "exp", "nbf", "sub"];
        if !wanted.iter().all(|name| claims.has(name)) {
            return Err("the token lacks one of iat, exp, nbf and sub");
        }
        claims.issued_before(now_ms, self.leeway_ms)?;
        let expires_ms = claims.valid_until_ms(now_ms, self.leeway_ms)?;
        match claims.names_one_of("aud", &self.audiences) {
            true => Ok(expires_ms),
            false => Err("the token is meant for another audience"),
        }
    }
}
