//! Who a client is: the configured providers judge what it offers (`AuthenticationService.java`).

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::basic::Users;
use super::openid::OpenIdProvider;
use super::token::TokenProvider;
use super::{Offered, tls};
use crate::pulsar::client::WEBSOCKET_PRINCIPAL;

/// A text that nobody may read but who it is meant for: zeroed when dropped, never printed.
pub type Secret = Zeroizing<String>;

/// How a client has shown who it is; Java's `getAuthMethodName`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Token,
    Tls,
    Basic,
    /// Nobody has been asked, or `anonymousUserRole` was given to who could not say.
    None,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Token => "token",
            Method::Tls => "tls",
            Method::Basic => "basic",
            Method::None => "none",
        }
    }
}

/// Who a client is. Kept with its socket.
#[derive(Clone)]
pub struct Identity {
    /// What permissions are given to. Never empty.
    pub role: Arc<str>,
    /// What else its token names where it names the role, for brokers that look at all of it
    /// (`MultiRolesTokenAuthorizationProvider`): who differs in it is somebody else to them. As JSON, each once, sorted.
    /// Empty unless [`Authentication::keep_credentials`].
    pub further_roles: Arc<[String]>,
    pub method: Method,
    /// By the wall clock, in milliseconds since 1970. None: it holds as long as the socket.
    pub expires_ms: Option<u64>,
    /// What it has shown, for whom it must be shown again. None unless [`Authentication::keep_credentials`].
    pub credential: Option<Arc<Secret>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("role", &self.role)
            .field("further_roles", &self.further_roles)
            .field("method", &self.method)
            .field("expires_ms", &self.expires_ms)
            .finish_non_exhaustive()
    }
}

/// Why a client is not let in, in fixed words that hold nothing of what it has sent. For the log: the client is told
/// [`REFUSAL`] only.
pub type Why = &'static str;

/// What every client is told whose credentials are missing or bad: 401, as in Java.
pub const REFUSAL: &str = "Failed to authenticate";

/// The role that Java gives to everybody where authentication is on without a provider.
const NOBODY: &str = "<none>";

/// Whom a provider takes the client for.
pub(super) struct Verified {
    pub role: String,
    /// As in [`Identity`].
    pub further_roles: Vec<String>,
    pub expires_ms: Option<u64>,
}

/// What a provider says of what is offered.
pub(super) enum Verdict {
    Accepted(Verified),
    Rejected(Why),
    /// Not here, or not yet.
    Pending,
}

impl Verdict {
    /// It does not end.
    pub fn for_good(role: String) -> Verdict {
        Verdict::Accepted(Verified {
            role,
            further_roles: Vec::new(),
            expires_ms: None,
        })
    }
}

pub(super) enum Provider {
    Token(TokenProvider),
    Tls,
    Basic(Users),
    OpenId(OpenIdProvider),
}

impl Provider {
    fn method(&self) -> Method {
        match self {
            Provider::Token(_) | Provider::OpenId(_) => Method::Token,
            Provider::Tls => Method::Tls,
            Provider::Basic(_) => Method::Basic,
        }
    }

    /// Whether it may have to say [`Verdict::Pending`] on a shard.
    fn needs_desk(&self) -> bool {
        match self {
            Provider::Token(provider) => provider.is_slow(),
            Provider::Tls => false,
            Provider::Basic(_) | Provider::OpenId(_) => true,
        }
    }

    /// What can be said in the time that a shard has for it.
    fn quick(&self, offered: &Offered, now_ms: u64) -> Verdict {
        match self {
            Provider::Token(provider) if provider.is_slow() && offered.token.is_some() => {
                Verdict::Pending
            }
            Provider::Token(provider) => provider.check(offered, now_ms),
            Provider::Tls => tls::check(offered),
            Provider::Basic(users) => match &offered.basic {
                Some(pair) => users
                    .known(pair)
                    .map_or(Verdict::Pending, Verdict::for_good),
                None => Verdict::Rejected("no user and password"),
            },
            Provider::OpenId(provider) => match provider.is_concerned(offered) {
                Ok(()) => Verdict::Pending,
                Err(why) => Verdict::Rejected(why),
            },
        }
    }
}

/// What came of looking at credentials.
#[derive(Debug)]
pub enum Step {
    Done(Result<Identity, Why>),
    /// A provider needs longer than a shard may take: all is to be asked again at the [`super::Desk`].
    Slow,
}

/// Whom to let in: `authenticationEnabled`, with its providers.
pub struct Authentication {
    pub(super) providers: Vec<Provider>,
    /// Who cannot say who it is gets this role (`anonymousUserRole`).
    pub(super) anonymous_role: Option<Arc<str>>,
    /// Identities bring what was shown for them.
    pub keep_credentials: bool,
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods = self.providers.iter().map(|it| it.method().name());
        f.debug_list().entries(methods).finish()
    }
}

impl Authentication {
    /// What a shard can say at once.
    pub fn check(&self, offered: &Offered, now_ms: u64) -> Step {
        let said = self.ask_each(offered, |provider| provider.quick(offered, now_ms));
        said.map_or(Step::Slow, Step::Done)
    }

    /// Whether [`Authentication::check`] may want a desk.
    pub fn needs_desk(&self) -> bool {
        self.providers.iter().any(Provider::needs_desk)
    }

    /// Whether passwords are among what it looks at.
    pub fn has_passwords(&self) -> bool {
        let mut providers = self.providers.iter();
        providers.any(|provider| matches!(provider, Provider::Basic(_)))
    }

    /// The provider that has its keys from elsewhere, if there is one.
    pub(super) fn open_id(&self) -> Option<&OpenIdProvider> {
        self.providers.iter().find_map(|provider| match provider {
            Provider::OpenId(provider) => Some(provider),
            _ => None,
        })
    }

    /// The providers of the named method, or all, each in its turn: the first that accepts counts, and who is accepted
    /// by none is anonymous where that is a role. None: one of them is pending.
    pub(super) fn ask_each(
        &self,
        offered: &Offered,
        ask: impl FnMut(&Provider) -> Verdict,
    ) -> Option<Result<Identity, Why>> {
        // Brokers let what is done under this name pass with the gateway's own rights.
        let is_client = |identity: &Identity| identity.role.trim() != WEBSOCKET_PRINCIPAL;
        let said = self.first_to_accept(offered, ask)?;
        Some(said.and_then(|identity| match is_client(&identity) {
            true => Ok(identity),
            false => Err("the role is the one that stands for a gateway"),
        }))
    }

    fn first_to_accept(
        &self,
        offered: &Offered,
        mut ask: impl FnMut(&Provider) -> Verdict,
    ) -> Option<Result<Identity, Why>> {
        let is_asked = |provider: &&Provider| match &offered.method {
            Some(name) => name == provider.method().name(),
            None => true,
        };
        let mut why = "no credentials";
        let mut asked = 0;
        for provider in self.providers.iter().filter(is_asked) {
            asked += 1;
            match ask(provider) {
                Verdict::Accepted(verified) => {
                    return Some(Ok(self.identity(provider.method(), verified, offered)));
                }
                Verdict::Rejected(reason) => why = reason,
                Verdict::Pending => return None,
            }
        }
        if asked == 0 && offered.method.is_some() {
            return Some(Err("no provider for the authentication method it names"));
        }
        let role = match &self.anonymous_role {
            _ if self.providers.is_empty() => Some(Arc::from(NOBODY)),
            anonymous => anonymous.clone(),
        };
        if role.is_some() && asked > 0 {
            tracing::debug!(why, "a client is let in as the anonymousUserRole");
        }
        Some(role.map(anonymous).ok_or(why))
    }

    fn identity(&self, method: Method, verified: Verified, offered: &Offered) -> Identity {
        let kept = self.keep_credentials;
        let further_roles = kept.then_some(verified.further_roles);
        let credential = kept.then(|| offered.credential(method));
        Identity {
            role: verified.role.into(),
            further_roles: further_roles.unwrap_or_default().into(),
            method,
            expires_ms: verified.expires_ms,
            credential: credential.flatten().map(Arc::new),
        }
    }
}

fn anonymous(role: Arc<str>) -> Identity {
    Identity {
        role,
        further_roles: Arc::default(),
        method: Method::None,
        expires_ms: None,
        credential: None,
    }
}
