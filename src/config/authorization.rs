//! What clients may do: who decides, and where what is granted stands.

use std::borrow::Cow;

use super::cluster::{ClusterInStore, Ways, WebAddress};
use super::limits;
use super::values;
use crate::auth::rules::Rules;

/// The rules that are known here.
const PROVIDER: &str = "org.apache.pulsar.broker.authorization.PulsarAuthorizationProvider";

/// Who decides what clients may do.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// The gateway, by what administrators have granted.
    Gateway(Permissions),
    /// The broker, to which every client's own credentials are shown.
    Broker {
        /// The gateway shows its own beside, as a proxy does.
        forwards: bool,
        /// What it has said of a role's right counts for so long for those who join what is open there. Never 0.
        cache_ms: u64,
    },
}

#[derive(Clone, Debug)]
pub struct Permissions {
    pub rules: Rules,
    pub source: PermissionSource,
    /// What was read is good for so long. Never 0.
    pub cache_ms: u64,
}

/// Where grants are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PermissionSource {
    /// The brokers' admin API at `serviceUrl`. Never empty.
    WebServices(Vec<WebAddress>),
    /// The configuration metadata store.
    Store(ClusterInStore),
}

/// What the settings say, before it is put together.
pub(super) struct Collected {
    /// `authorizationEnabled`
    pub is_enabled: bool,
    /// `authorization=broker`
    pub by_broker: bool,
    /// `forwardAuthorizationCredentials`
    pub forwards: bool,
    /// `authorizationProvider`
    pub provider: Option<String>,
    pub rules: Rules,
    pub cache_ms: u64,
}

impl Default for Collected {
    fn default() -> Collected {
        Collected {
            is_enabled: false,
            by_broker: false,
            forwards: false,
            provider: None,
            rules: Rules::default(),
            cache_ms: limits::AUTHORIZATION_CACHE_MS,
        }
    }
}

impl Collected {
    /// None: everybody who is let in may do everything.
    ///
    /// # Errors
    /// The key that cannot be followed, and what is missing.
    pub fn choose(
        self,
        ways: &Ways,
        authenticates: bool,
    ) -> Result<Option<Authorization>, (&'static str, Cow<'static, str>)> {
        if self.by_broker {
            return match authenticates {
                true => Ok(Some(Authorization::Broker {
                    forwards: self.forwards,
                    cache_ms: self.cache_ms,
                })),
                false => Err((
                    "authorization",
                    "cannot be the broker's without authenticationEnabled: clients have no credentials to show to it".into(),
                )),
            };
        }
        if self.forwards {
            return Err((
                "forwardAuthorizationCredentials",
                "wants authorization=broker: otherwise the gateway decides, and nothing of its clients goes to the brokers".into(),
            ));
        }
        if !self.is_enabled {
            return Ok(None);
        }
        if let Some(provider) = self.provider.filter(|provider| provider != PROVIDER) {
            let why = format!(
                "names {}, which cannot be loaded: the rules served are those of PulsarAuthorizationProvider; with \
                 authorization=broker the brokers decide by theirs",
                values::java_class(&provider)
            );
            return Err(("authorizationProvider", why.into()));
        }
        let Some(source) = source(ways) else {
            return Err((
                "authorizationEnabled",
                "wants serviceUrl (the brokers' web service) or configurationMetadataStoreUrl: permissions are read \
                 there"
                    .into(),
            ));
        };
        let rules = Rules {
            cluster: ways.cluster.clone(),
            ..self.rules
        };
        Ok(Some(Authorization::Gateway(Permissions {
            rules,
            source,
            cache_ms: self.cache_ms,
        })))
    }
}

/// The web services, else the store.
fn source(ways: &Ways) -> Option<PermissionSource> {
    if ways.with_tls && !ways.web_services_tls.is_empty() {
        let addresses = ways.web_services_tls.clone();
        return Some(PermissionSource::WebServices(addresses));
    }
    if !ways.web_services.is_empty() {
        return Some(PermissionSource::WebServices(ways.web_services.clone()));
    }
    Some(PermissionSource::Store(ways.in_store()?))
}
