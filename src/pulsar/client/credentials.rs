//! In whose name a connection is, and what it shows to the broker: with CONNECT, when the broker asks again, and in
//! the head of an HTTP request.
//!
//! The machine keeps no credentials. It asks its owner for them each time ([`Io::Authenticate`]): they may have been
//! renewed meanwhile, and what is not kept cannot leak.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::Client;
use super::address::Route;
use super::commands;
use super::connection::ConnectionState;
use super::events::{Event, Io};
use super::pool::retryable;
use super::spec::ConnectionId;
use crate::pulsar::types::{BrokerError, ErrorKind};

/// The principal that a gateway names where it speaks for nobody in particular (Java's
/// `Constants.WEBSOCKET_DUMMY_ORIGINAL_PRINCIPLE`). Brokers want some original principal from a role in their
/// `proxyRoles`, and take this one from anybody.
pub const WEBSOCKET_PRINCIPAL: &str = "__websocket_dummy_original_principle";

/// In whose name: connections, lookups, producers and consumers of different principals share nothing. The owner
/// numbers the principals and knows their credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal(pub u32);

impl Principal {
    /// The gateway itself.
    pub const GATEWAY: Principal = Principal(0);
}

/// What [`Credentials::http_headers`] has room for beside the values: its three names, 58 bytes, and what separates them.
const NAMES_BYTES: usize = 128;

/// Bytes that are never shown, and wiped with the last copy.
#[derive(Clone, Default)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(Arc::new(Zeroizing::new(bytes)))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What one connection shows.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// `CommandConnect.auth_method_name`: `token`, `basic`, `tls`, or `none`.
    pub method: Arc<str>,
    /// `CommandConnect.auth_data`; empty where the method has none.
    pub data: Secret,
    /// Somebody else for whom it speaks, as a role among the broker's `proxyRoles` may.
    pub original: Option<Arc<Original>>,
}

/// `CommandConnect.original_*`.
#[derive(Clone, Debug)]
pub struct Original {
    pub principal: String,
    /// Method and data by which the principal has shown who it is, for brokers that look themselves
    /// (`authenticateOriginalAuthData`).
    pub credentials: Option<(Arc<str>, Secret)>,
}

impl Credentials {
    pub fn none() -> Credentials {
        Credentials::new("none", Secret::default())
    }

    pub fn new(method: &str, data: Secret) -> Credentials {
        Credentials {
            method: method.into(),
            data,
            original: None,
        }
    }

    pub fn is_none(&self) -> bool {
        &*self.method == "none"
    }

    /// The lines of a request's head, each with its end: `Authorization` as the method has it, what Pulsar wants
    /// beside it, and the original principal. Data that could not stand in a line are left out, and the server refuses; principals are looked
    /// at before (`named_in_headers`).
    pub fn http_headers(&self) -> Zeroizing<String> {
        let data = std::str::from_utf8(self.data.bytes()).unwrap_or_default();
        // Each has its whole place at once: what grows leaves copies behind.
        let value = Zeroizing::new(match &*self.method {
            "token" => ["Bearer ", data].concat(),
            "basic" => {
                let pair = base64_simd::STANDARD.encode_to_string(data);
                ["Basic ", &Zeroizing::new(pair)].concat()
            }
            _ => String::new(),
        });
        let original = self.original.as_ref();
        let principal = original.map_or("", |original| &original.principal);
        let bytes = NAMES_BYTES + value.len() + self.method.len() + principal.len();
        let mut lines = Zeroizing::new(String::with_capacity(bytes));
        for (name, value) in [
            ("Authorization", value.as_str()),
            (
                "X-Pulsar-Auth-Method-Name",
                if self.is_none() { "" } else { &self.method },
            ),
            ("X-Original-Principal", principal),
        ] {
            let legal = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
            if !value.is_empty() && value.bytes().all(legal) {
                lines.push_str(name);
                lines.push_str(": ");
                lines.push_str(value);
                lines.push_str("\r\n");
            }
        }
        lines
    }
}

/// A header line carries what stands in ASCII, and nothing at its ends but that: a server that found no principal, or
/// another one, would take the client for somebody else, with a gateway's credentials for the gateway itself.
pub(super) fn named_in_headers(credentials: Credentials) -> Result<Credentials, BrokerError> {
    let fits = |principal: &[u8]| {
        let is_legal = |byte: &u8| *byte == b' ' || byte.is_ascii_graphic();
        let ends = [principal.first(), principal.last()];
        principal.iter().all(is_legal) && ends.iter().flatten().all(|end| **end != b' ')
    };
    match &credentials.original {
        Some(original) if original.principal.is_empty() || !fits(original.principal.as_bytes()) => {
            Err(unauthorized(
                "the role cannot be named to a web service: it has other characters than ASCII's, or a blank at an end",
            ))
        }
        _ => Ok(credentials),
    }
}

/// Brokers let a proxy's role alone decide where it names [`WEBSOCKET_PRINCIPAL`]: nobody else may be called so.
fn named_by_right(credentials: Credentials) -> Result<Credentials, BrokerError> {
    match &credentials.original {
        Some(original) if original.principal.trim() == WEBSOCKET_PRINCIPAL => {
            Err(unauthorized("that name is the gateway's own"))
        }
        _ => Ok(credentials),
    }
}

/// Pulsar's proxy tells brokers of whoever connects to it, and of nobody that is named there: they would take everybody
/// for the gateway. A standalone Pulsar on loopback calls itself its own proxy (`TopicLookupBase`), which is well.
fn named_to_broker(route: &Route, credentials: Credentials) -> Result<Credentials, BrokerError> {
    let dialled = route.address.authority();
    let is_proxy = route
        .proxy_to
        .as_ref()
        .is_some_and(|broker| *broker != dialled);
    match &credentials.original {
        Some(_) if is_proxy => Err(unauthorized(
            "Pulsar's proxy takes nobody's word for its clients: only a token or a password that is shown to it itself",
        )),
        _ => Ok(credentials),
    }
}

fn unauthorized(why: &str) -> BrokerError {
    BrokerError {
        kind: ErrorKind::Unauthorized,
        message: why.to_owned(),
    }
}

impl Client {
    /// What `Io::Authenticate` asked for. An error fails whoever waits for the connection, with its text.
    pub fn authenticate(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        result: Result<Credentials, BrokerError>,
    ) {
        let result = result.and_then(named_by_right);
        if self.exchanges.has(connection) {
            return self.http_authenticated(now_ms, connection, result);
        }
        let for_websocket = self.pool.names_websocket_principal;
        let Some(open) = self.pool.writing(connection) else {
            return;
        };
        let result = result.and_then(|credentials| named_to_broker(&open.route, credentials));
        let challenged = std::mem::take(&mut open.challenged);
        match (open.state, result) {
            (ConnectionState::Authenticating, Ok(credentials)) => {
                open.state = ConnectionState::Handshaking;
                let own = open.route.principal == Principal::GATEWAY;
                let command = commands::connect(&open.route, &credentials, for_websocket && own);
                open.write_secret(command);
            }
            (ConnectionState::Authenticating, Err(error)) => {
                self.close_connection(now_ms, connection, error);
            }
            (_, Ok(credentials)) if challenged => {
                open.write_secret(commands::auth_response(&credentials));
            }
            // The broker closes the connection when it gets no answer; until then it works.
            _ => {}
        }
    }

    /// AUTH_CHALLENGE: what was shown has expired, or does not suffice. One answer at a time.
    pub(super) fn challenged(&mut self, connection: ConnectionId) {
        let Some(open) = self.pool.get_mut(connection) else {
            return;
        };
        if std::mem::replace(&mut open.challenged, true) {
            return;
        }
        let principal = open.route.principal;
        self.pool.control(Io::Authenticate {
            connection,
            principal,
            renewed: true,
        });
    }

    /// CONNECT was refused.
    pub(super) fn connect_refused(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        error: BrokerError,
    ) {
        let Some(route) = self.pool.get(connection).map(|open| open.route.clone()) else {
            return;
        };
        // "Invalid roles.": this gateway's is one of `proxyRoles`, which have to name a principal. Named always, it
        // would keep brokers from asking for renewed credentials.
        if error.kind == ErrorKind::Unauthorized
            && route.principal == Principal::GATEWAY
            && !std::mem::replace(&mut self.pool.names_websocket_principal, true)
        {
            return self.close_connection(now_ms, connection, retryable(&error.message));
        }
        if matches!(
            error.kind,
            ErrorKind::Unauthenticated | ErrorKind::Unauthorized
        ) {
            self.events.push_back(Event::Refused {
                principal: route.principal,
                broker: route.address.authority(),
                error: error.clone(),
            });
        }
        self.close_connection(now_ms, connection, error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_request_says_what_the_method_has() {
        let head = |credentials: Credentials| credentials.http_headers().to_string();
        assert_eq!(head(Credentials::none()), "");
        assert_eq!(
            head(Credentials::new("token", "a.b.c".into())),
            "Authorization: Bearer a.b.c\r\nX-Pulsar-Auth-Method-Name: token\r\n"
        );
        assert_eq!(
            head(Credentials::new("basic", "user:secret".into())),
            "Authorization: Basic dXNlcjpzZWNyZXQ=\r\nX-Pulsar-Auth-Method-Name: basic\r\n"
        );
        let original = Original {
            principal: "somebody".to_owned(),
            credentials: None,
        };
        let for_somebody = Credentials {
            original: Some(Arc::new(original)),
            ..Credentials::new("tls", Secret::default())
        };
        assert_eq!(
            head(for_somebody),
            "X-Pulsar-Auth-Method-Name: tls\r\nX-Original-Principal: somebody\r\n"
        );
    }

    #[test]
    fn who_cannot_be_named_in_a_header_is_not_taken_for_the_gateway() {
        let named = |principal: &str| {
            let original = Original {
                principal: principal.to_owned(),
                credentials: None,
            };
            named_in_headers(Credentials {
                original: Some(Arc::new(original)),
                ..Credentials::new("token", "the gateway's".into())
            })
        };
        for principal in ["a", "a b", "CN=a, O=b", "~"] {
            assert!(named(principal).is_ok(), "{principal}");
        }
        for principal in ["Müller", " a", "a ", "", " ", "a\tb", "a\r\nb: c"] {
            let error = named(principal).expect_err(principal);
            assert_eq!(error.kind, ErrorKind::Unauthorized);
        }
    }

    #[test]
    fn nobody_else_is_called_as_the_gateway_is() {
        for principal in [
            WEBSOCKET_PRINCIPAL.to_owned(),
            format!(" {WEBSOCKET_PRINCIPAL} "),
        ] {
            let original = Original {
                principal,
                credentials: None,
            };
            let credentials = Credentials {
                original: Some(Arc::new(original)),
                ..Credentials::none()
            };
            assert!(named_by_right(credentials).is_err());
        }
    }

    #[test]
    fn nothing_in_a_credential_adds_a_line_to_a_request() {
        let split = Credentials::new("token", "a\r\nHost: b".into());
        assert_eq!(
            *split.http_headers(),
            "X-Pulsar-Auth-Method-Name: token\r\n"
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let credentials = Credentials::new("token", "hidden".into());
        assert!(!format!("{credentials:?}").contains("hidden"));
    }
}
