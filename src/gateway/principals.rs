//! In whose names this shard's broker connections are, where the broker decides what clients may do
//! (`authorization=broker`): clients share an upstream with those of the same role alone (of the same roles, where their
//! tokens name several), and it shows what they have shown.
//!
//! Who can show the same again is shown so (a token, a password). For the others, who have a certificate or nothing, the
//! gateway shows its own credentials and names them (`original_principal`), which brokers believe to their `proxyRoles`.
//! With `forwardAuthorizationCredentials` it does that for everybody, as Pulsar's proxy does, and what the client has
//! shown goes along (`original_auth_data`), for brokers that look at it (`authenticateOriginalAuthData`).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::post::{Post, SocketId};
use super::shard::Shard;
use crate::auth::{Identity, Method, Secret};
use crate::config::Authorization;
use crate::pulsar::client::{self, Credentials, Original, Principal};
use crate::pulsar::{BrokerError, ErrorKind};

/// Somebody in whose name something is done. The same one, whatever was shown last.
#[derive(Clone)]
pub struct Speaker {
    method: Method,
    role: Arc<str>,
    further_roles: Arc<[String]>,
    expires_ms: Option<u64>,
    credential: Option<Arc<Secret>>,
}

impl Speaker {
    pub fn role(&self) -> &str {
        &self.role
    }

    /// What brokers can tell it by from others.
    fn told_by(&self) -> (Method, &str, &[String]) {
        (self.method, &self.role, &self.further_roles)
    }

    fn of(identity: &Identity) -> Speaker {
        Speaker {
            method: identity.method,
            role: identity.role.clone(),
            further_roles: identity.further_roles.clone(),
            expires_ms: identity.expires_ms,
            credential: identity.credential.clone(),
        }
    }

    /// What it has shown, as brokers want it. None: nothing that could be shown again.
    fn secret(&self) -> Option<client::Secret> {
        let credential = self.credential.as_ref()?;
        Some(client::Secret::new(credential.as_bytes().to_vec()))
    }

    /// What it has shown holds longer than that.
    fn outlives(&self, other: &Speaker) -> bool {
        let end = |speaker: &Speaker| speaker.expires_ms.unwrap_or(u64::MAX);
        end(self) > end(other)
    }
}

impl PartialEq for Speaker {
    fn eq(&self, other: &Speaker) -> bool {
        self.told_by() == other.told_by()
    }
}

impl Eq for Speaker {}

impl Hash for Speaker {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.told_by().hash(state);
    }
}

impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.role, self.method.name())
    }
}

/// What a connection shows.
pub enum Shown {
    This(Credentials),
    /// The gateway's own credentials; for somebody, where it is not the gateway that speaks.
    Own(Option<Arc<Original>>),
}

struct Known {
    speaker: Speaker,
    uses: usize,
}

/// Those of one shard, which numbers them for its client machines.
#[derive(Default)]
pub struct Principals {
    /// The gateway speaks for its clients, and forwards what they have shown.
    forwards: bool,
    by_speaker: FxHashMap<Speaker, Principal>,
    known: FxHashMap<Principal, Known>,
    by_socket: FxHashMap<SocketId, Principal>,
    last: u32,
}

impl Principals {
    /// By who decides what clients may do.
    pub fn new(authorization: Option<&Authorization>) -> Principals {
        let forwards = matches!(
            authorization,
            Some(Authorization::Broker { forwards: true, .. })
        );
        Principals {
            forwards,
            ..Principals::default()
        }
    }

    /// One more user of its name; see [`Self::release`]. None: the gateway itself.
    pub fn take(&mut self, speaker: Option<&Speaker>) -> Principal {
        let Some(speaker) = speaker else {
            return Principal::GATEWAY;
        };
        self.renew(speaker);
        if let Some(principal) = self.by_speaker.get(speaker).copied() {
            if let Some(known) = self.known.get_mut(&principal) {
                known.uses += 1;
            }
            return principal;
        }
        let principal = loop {
            self.last = self.last.wrapping_add(1);
            let principal = Principal(self.last);
            if principal != Principal::GATEWAY && !self.known.contains_key(&principal) {
                break principal;
            }
        };
        let known = Known {
            speaker: speaker.clone(),
            uses: 1,
        };
        self.known.insert(principal, known);
        self.by_speaker.insert(speaker.clone(), principal);
        principal
    }

    /// With its last user what it has shown is forgotten.
    pub fn release(&mut self, principal: Principal) {
        let Some(known) = self.known.get_mut(&principal) else {
            return;
        };
        known.uses -= 1;
        if known.uses == 0
            && let Some(gone) = self.known.remove(&principal)
        {
            self.by_speaker.remove(&gone.speaker);
        }
    }

    /// What it shows now counts, if it is known here and holds longer.
    pub fn renew(&mut self, speaker: &Speaker) {
        let principal = self.by_speaker.get(speaker);
        if let Some(known) = principal.and_then(|principal| self.known.get_mut(principal))
            && speaker.outlives(&known.speaker)
        {
            known.speaker = speaker.clone();
        }
    }

    /// # Errors
    /// Nobody uses the name any more.
    pub fn show(&self, principal: Principal) -> Result<Shown, BrokerError> {
        if principal == Principal::GATEWAY {
            return Ok(Shown::Own(None));
        }
        let Some(Known { speaker, .. }) = self.known.get(&principal) else {
            return Err(BrokerError {
                kind: ErrorKind::Unauthenticated,
                message: "nobody is there who could show credentials".to_owned(),
            });
        };
        Ok(match speaker.secret() {
            Some(secret) if !self.forwards => {
                Shown::This(Credentials::new(speaker.method.name(), secret))
            }
            secret => Shown::Own(Some(Arc::new(Original {
                principal: speaker.role.to_string(),
                credentials: secret.map(|secret| (speaker.method.name().into(), secret)),
            }))),
        })
    }

    /// The socket's own; the gateway where that decides.
    pub fn of(&self, id: SocketId) -> Principal {
        self.by_socket
            .get(&id)
            .copied()
            .unwrap_or(Principal::GATEWAY)
    }
}

impl Shard {
    /// In whose name things are done for the socket. None: the gateway's.
    pub fn speaker(&mut self, id: SocketId) -> Option<Speaker> {
        match self.config.authorization {
            Some(Authorization::Broker { .. }) => {
                let identity = self.sockets.get(id)?.identity.as_ref()?;
                Some(Speaker::of(identity))
            }
            _ => None,
        }
    }

    /// The client is let in: from now on its name is in use here.
    pub fn enter_principal(&mut self, id: SocketId) {
        if let Some(speaker) = self.speaker(id) {
            let principal = self.principals.take(Some(&speaker));
            self.principals.by_socket.insert(id, principal);
            self.tell_renewed(speaker);
        }
    }

    /// The client has shown something new.
    pub fn renew_principal(&mut self, id: SocketId) {
        if let Some(speaker) = self.speaker(id) {
            self.principals.renew(&speaker);
            self.tell_renewed(speaker);
        }
    }

    pub fn forget_principal(&mut self, id: SocketId) {
        if let Some(principal) = self.principals.by_socket.remove(&id) {
            self.principals.release(principal);
        }
    }

    /// Hubs and tails in its name may live on any shard. What does not end, or is never shown again, is
    /// known there from the first.
    fn tell_renewed(&mut self, speaker: Speaker) {
        if speaker.expires_ms.is_none() || speaker.credential.is_none() {
            return;
        }
        let others = (0..self.shards()).filter(|shard| *shard != self.index);
        for shard in others.collect::<Vec<_>>() {
            self.post(shard, Post::Renewed(Box::new(speaker.clone())));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn speaker(role: &str, token: &str, expires_ms: Option<u64>) -> Speaker {
        Speaker {
            method: Method::Token,
            role: role.into(),
            further_roles: Arc::default(),
            expires_ms,
            credential: Some(Arc::new(token.to_owned().into())),
        }
    }

    fn shown(principals: &Principals, principal: Principal) -> Option<String> {
        match principals.show(principal).ok()? {
            Shown::This(credentials) => {
                Some(String::from_utf8_lossy(credentials.data.bytes()).into_owned())
            }
            Shown::Own(original) => {
                let original = original?;
                let secret = original.credentials.as_ref().map(|(method, secret)| {
                    format!(", {method} {}", String::from_utf8_lossy(secret.bytes()))
                });
                let with = secret.unwrap_or_default();
                Some(format!("for {}{with}", original.principal))
            }
        }
    }

    #[test]
    fn a_role_is_one_principal_that_shows_what_holds_longest() {
        let mut principals = Principals::default();
        let first = principals.take(Some(&speaker("a", "1", Some(10))));
        assert_ne!(first, Principal::GATEWAY);
        assert_eq!(principals.take(Some(&speaker("a", "2", Some(20)))), first);
        assert_eq!(shown(&principals, first).as_deref(), Some("2"));
        principals.renew(&speaker("a", "3", Some(15)));
        assert_eq!(shown(&principals, first).as_deref(), Some("2"));
        principals.renew(&speaker("a", "4", None));
        assert_eq!(shown(&principals, first).as_deref(), Some("4"));
        let other = principals.take(Some(&speaker("b", "5", None)));
        assert_ne!(other, first);
        assert_eq!(shown(&principals, other).as_deref(), Some("5"));
    }

    #[test]
    fn who_has_other_roles_beside_the_first_is_another_principal() {
        let with = |roles: &[&str], token| Speaker {
            further_roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..speaker("default", token, None)
        };
        let mut principals = Principals::default();
        let first = principals.take(Some(&with(&["a"], "1")));
        let other = principals.take(Some(&with(&["b"], "2")));
        assert_ne!(first, other);
        assert_eq!(shown(&principals, other).as_deref(), Some("2"));
        assert_eq!(principals.take(Some(&with(&["a"], "3"))), first);
        assert_ne!(principals.take(Some(&with(&[], "4"))), first);
    }

    #[test]
    fn with_its_last_user_a_principal_is_forgotten() {
        let mut principals = Principals::default();
        let first = principals.take(Some(&speaker("a", "1", None)));
        principals.take(Some(&speaker("a", "1", None)));
        principals.release(first);
        assert!(principals.show(first).is_ok());
        principals.release(first);
        assert!(principals.show(first).is_err());
        // A number is not used again for somebody else while anybody could still mean the first.
        assert_ne!(principals.take(Some(&speaker("b", "2", None))), first);
        assert_eq!(principals.take(None), Principal::GATEWAY);
        principals.release(Principal::GATEWAY);
    }

    #[test]
    fn who_has_nothing_to_show_again_is_named_to_the_broker() {
        let mut principals = Principals::default();
        let by_certificate = Speaker {
            method: Method::Tls,
            credential: None,
            ..speaker("c", "", None)
        };
        let principal = principals.take(Some(&by_certificate));
        assert_eq!(shown(&principals, principal).as_deref(), Some("for c"));
        assert!(!format!("{:?}", speaker("a", "hidden", None)).contains("hidden"));
    }

    #[test]
    fn a_gateway_that_forwards_speaks_for_everybody_with_what_they_have_shown() {
        let mut principals = Principals::new(Some(&Authorization::Broker {
            forwards: true,
            cache_ms: 1,
        }));
        let by_token = principals.take(Some(&speaker("a", "1", Some(10))));
        assert_eq!(
            shown(&principals, by_token).as_deref(),
            Some("for a, token 1")
        );
        principals.renew(&speaker("a", "2", Some(20)));
        assert_eq!(
            shown(&principals, by_token).as_deref(),
            Some("for a, token 2")
        );
        let by_password = principals.take(Some(&Speaker {
            method: Method::Basic,
            ..speaker("b", "b:secret", None)
        }));
        assert_eq!(
            shown(&principals, by_password).as_deref(),
            Some("for b, basic b:secret")
        );
    }
}
