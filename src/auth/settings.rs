//! The settings of Java's providers → an [`Authentication`]: what is missing or cannot be had stops the start.

use super::authentication::{Authentication, Provider};
use super::basic::Users;
use super::jwt::algorithm::{Algorithm, Family};
use super::jwt::key::Key;
use super::openid::settings::OpenIdSettings;
use super::source;
use super::token::TokenProvider;

/// The values of the keys as they stand in the file; None and blank are the same.
#[derive(Clone, Default)]
pub struct Settings {
    /// `authenticationProviders`: class names.
    pub providers: Vec<String>,
    pub anonymous_role: Option<String>,
    pub token: TokenSettings,
    /// Where the users of `AuthenticationProviderBasic` stand.
    pub basic_auth_conf: Option<String>,
    pub open_id: OpenIdSettings,
}

/// Of `AuthenticationProviderToken`.
#[derive(Clone, Default)]
pub struct TokenSettings {
    /// Before the names of these keys in the file.
    pub prefix: String,
    pub secret_key: Option<String>,
    pub public_key: Option<String>,
    pub public_alg: Option<String>,
    pub auth_claim: Option<String>,
    pub audience_claim: Option<String>,
    pub audience: Option<String>,
    pub allowed_clock_skew_seconds: Option<String>,
}

/// What is wrong: the key, and a sentence without the value of any secret.
pub type Fault = (&'static str, String);

/// Before the class names of Pulsar's own providers.
const PACKAGE: &str = "org.apache.pulsar.broker.authentication.";

/// Java's claim for the role.
const ROLE_CLAIM: &str = "sub";

impl Authentication {
    /// Reads keys and files. Notes are what an operator should know.
    ///
    /// # Errors
    /// Every fault; never empty.
    pub fn new(settings: &Settings) -> Result<(Authentication, Vec<String>), Vec<Fault>> {
        let mut faults = Vec::new();
        let mut notes = Vec::new();
        let mut providers = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for name in settings.providers.iter().map(|name| name.trim()) {
            // A class that is named twice is one, as in Java, where the list is a set.
            if name.is_empty() || names.contains(&name) {
                continue;
            }
            names.push(name);
            match provider(name, settings) {
                Ok(provider) => providers.push(provider),
                Err(fault) => faults.push(fault),
            }
        }
        if providers.is_empty() && faults.is_empty() {
            notes.push(
                "authenticationEnabled without authenticationProviders lets everybody in, as with Java's gateway"
                    .to_owned(),
            );
        }
        let anonymous_role = settings.anonymous_role.as_deref().filter(not_blank);
        let authentication = Authentication {
            providers,
            anonymous_role: anonymous_role.map(Into::into),
            keep_credentials: false,
        };
        match faults.is_empty() {
            true => Ok((authentication, notes)),
            false => Err(faults),
        }
    }
}

fn not_blank(text: &&str) -> bool {
    !text.trim().is_empty()
}

fn provider(name: &str, settings: &Settings) -> Result<Provider, Fault> {
    match name.strip_prefix(PACKAGE) {
        Some("AuthenticationProviderToken") => token(&settings.token).map(Provider::Token),
        Some("AuthenticationProviderTls") => Ok(Provider::Tls),
        Some("AuthenticationProviderBasic") => basic(settings).map(Provider::Basic),
        Some("oidc.AuthenticationProviderOpenID") => {
            let provider = settings.open_id.read(&settings.token.auth_claim);
            provider.map(Provider::OpenId)
        }
        _ => Err(("authenticationProviders", not_served(name))),
    }
}

/// The provider cannot be had, and what can.
fn not_served(name: &str) -> String {
    let instead = if name.ends_with("Sasl") || name.ends_with("Athenz") {
        "Kerberos and Athenz need Java libraries; let an identity provider issue tokens, and use"
    } else {
        "Java classes cannot be loaded; use"
    };
    // A class name that is none is cut: it may be anything.
    let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
    format!(
        "{name} is not served: {instead} {PACKAGE}AuthenticationProviderToken, AuthenticationProviderTls, \
         AuthenticationProviderBasic or oidc.AuthenticationProviderOpenID"
    )
}

fn basic(settings: &Settings) -> Result<Users, Fault> {
    let fault = |why| ("basicAuthConf", why);
    let place = settings.basic_auth_conf.as_deref().filter(not_blank);
    let Some(place) = place else {
        return Err(fault("is needed by AuthenticationProviderBasic".to_owned()));
    };
    let bytes = source::read(place).map_err(fault)?;
    Users::parse(&bytes).map_err(fault)
}

fn token(settings: &TokenSettings) -> Result<TokenProvider, Fault> {
    let given = |value: &Option<String>| value.clone().filter(|text| !text.trim().is_empty());
    let audience_claim = given(&settings.audience_claim);
    let audience = match (audience_claim, given(&settings.audience)) {
        (Some(claim), Some(audience)) => Some((claim, vec![audience])),
        (Some(_), None) => {
            let why = format!("is needed beside {}tokenAudienceClaim", settings.prefix);
            return Err(("tokenAudience", why));
        }
        // Java does not look at the audience then.
        (None, _) => None,
    };
    let skew_seconds: u64 = match given(&settings.allowed_clock_skew_seconds) {
        None => 0,
        Some(text) => text.trim().parse().map_err(|_| {
            let why = "is not a whole number of seconds";
            ("tokenAllowedClockSkewSeconds", why.to_owned())
        })?,
    };
    Ok(TokenProvider {
        key: token_key(settings)?,
        role_claim: given(&settings.auth_claim).unwrap_or_else(|| ROLE_CLAIM.to_owned()),
        audience,
        skew_ms: skew_seconds.saturating_mul(1000),
    })
}

/// The secret wins over a public key, as in Java.
fn token_key(settings: &TokenSettings) -> Result<Key, Fault> {
    let given = |value: &'_ Option<String>| value.clone().filter(|text| !text.trim().is_empty());
    let family = match given(&settings.public_alg) {
        None => Family::Rsa,
        Some(name) => family(name.trim()).ok_or_else(|| {
            let why = "is none of RS, PS and ES with 256, 384 or 512, or EdDSA";
            ("tokenPublicAlg", why.to_owned())
        })?,
    };
    let fault = |key: &'static str| move |why| (key, why);
    if let Some(place) = given(&settings.secret_key) {
        let bytes = source::read(&place).map_err(fault("tokenSecretKey"))?;
        Key::secret(&bytes).map_err(fault("tokenSecretKey"))
    } else if let Some(place) = given(&settings.public_key) {
        let bytes = source::read(&place).map_err(fault("tokenPublicKey"))?;
        Key::public(&bytes, family).map_err(fault("tokenPublicKey"))
    } else {
        let other = format!("{}tokenPublicKey", settings.prefix);
        let why = format!("or {other} is needed by AuthenticationProviderToken");
        Err(("tokenSecretKey", why))
    }
}

/// `SignatureAlgorithm.forName`, which does not look at case, for key pairs.
fn family(name: &str) -> Option<Family> {
    let upper = name.to_ascii_uppercase();
    let algorithm = match upper.as_str() {
        "EDDSA" | "ED25519" => Algorithm::EdDsa,
        name => Algorithm::named(name)?,
    };
    Some(algorithm.family()).filter(|family| *family != Family::Hmac)
}
