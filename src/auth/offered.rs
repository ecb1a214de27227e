//! What a client offers to show who it is, out of its upgrade request.
//!
//! A token stands in `Authorization`, else in `?token=`, else in an entry `pulsar-token.<token>` of
//! `Sec-WebSocket-Protocol`: the one header that a browser's WebSocket can set, so that no token stands in a URL, where
//! logs and histories keep it. Kubernetes' API server takes bearer tokens in the same way
//! (`base64url.bearer.authorization.k8s.io.<token>`), and answers with another of the offered protocols, as here: a
//! browser drops a connection whose answer names none of them, and the answer must not repeat the token.

use zeroize::Zeroizing;

use super::{Method, Secret, tls};
use crate::http::Request;

/// Names the provider that is to judge, as in Java.
const METHOD_HEADER: &str = "x-pulsar-auth-method-name";
const AUTHORIZATION: &str = "authorization";
const PROTOCOL: &str = "sec-websocket-protocol";
/// Before the token in an entry of `Sec-WebSocket-Protocol`. A JSON Web Token has none but characters of a protocol's name.
pub const TOKEN_PROTOCOL: &str = "pulsar-token.";

/// The longest token: what a request head has room for.
pub const TOKEN_BYTES_MAX: usize = crate::http::head::MAX_HEAD_BYTES;

/// Credentials as offered, not yet believed.
#[derive(Default)]
pub struct Offered {
    /// The provider's method that the client names.
    pub method: Option<String>,
    pub token: Option<Secret>,
    /// `user:password`, out of the base64 that follows `Basic`.
    pub basic: Option<Secret>,
    /// Whom the client's certificate names, which TLS has verified.
    pub certificate: Option<tls::Subject>,
}

impl Offered {
    /// `query_token` is the request's parameter `token`, decoded. `certificate` is the first of the client's
    /// certificates, as DER: only one that TLS has verified up to a trusted root may be given.
    pub fn of(request: &Request, query_token: Option<&str>, certificate: Option<&[u8]>) -> Offered {
        let mut offered = Offered {
            method: request.header(METHOD_HEADER).map(str::to_owned),
            certificate: certificate.and_then(tls::subject),
            ..Offered::default()
        };
        if request.header_count(AUTHORIZATION) > 0 {
            // The header wins, also where it is of no use; of several the first counts.
            let value = request.header(AUTHORIZATION).unwrap_or_default();
            offered.take_authorization(value);
        } else if let Some(token) = query_token {
            offered.take_token(after_scheme(token, BEARER).unwrap_or(token));
        } else if let Some(token) = protocol_token(request) {
            offered.take_token(token);
        }
        offered
    }

    /// A new token for a socket that has shown one before, for the provider of this method or any.
    pub fn new_token(method: Option<String>, token: &str) -> Offered {
        let mut offered = Offered {
            method,
            ..Offered::default()
        };
        offered.take_token(token);
        offered
    }

    fn take_authorization(&mut self, value: &str) {
        if let Some(token) = after_scheme(value, BEARER) {
            self.take_token(token);
        } else if let Some(pair) = after_scheme(value, BASIC) {
            self.basic = decoded(pair);
        }
    }

    fn take_token(&mut self, token: &str) {
        let token = token.trim();
        if !token.is_empty() && token.len() <= TOKEN_BYTES_MAX {
            self.token = Some(Zeroizing::new(token.to_owned()));
        }
    }

    /// What was shown to a provider of this method, as brokers want it from who must show it again.
    pub(super) fn credential(&self, method: Method) -> Option<Secret> {
        match method {
            Method::Token => self.token.clone(),
            Method::Basic => self.basic.clone(),
            Method::Tls | Method::None => None,
        }
    }
}

const BEARER: &str = "Bearer";
const BASIC: &str = "Basic";

/// What follows the scheme, in any case of letters (RFC 9110 §11.1). The space may be missing: clients that write
/// `"Authorization:Bearer" + token` are in use, and a token begins with no letter that could make another scheme of it.
fn after_scheme<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (first, rest) = value.split_at_checked(scheme.len())?;
    first
        .eq_ignore_ascii_case(scheme)
        .then(|| rest.trim_start())
}

/// With padding or without, and white space between: clients write all of that.
fn decoded(base64: &str) -> Option<Secret> {
    let bytes = base64_simd::forgiving_decode_to_vec(base64.as_bytes()).map(Zeroizing::new);
    let bytes = bytes.ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

/// Each protocol that the client offers.
fn protocols(request: &Request) -> impl Iterator<Item = &str> {
    let values = request.values(PROTOCOL);
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|it| !it.is_empty())
}

fn protocol_token(request: &Request) -> Option<&str> {
    protocols(request).find_map(|it| it.strip_prefix(TOKEN_PROTOCOL))
}

/// The protocol to answer with, of a client that offers a token among its protocols; others get no answer, as in Java.
///
/// # Errors
/// There is no other protocol beside the token.
pub fn protocol_to_answer(request: &Request) -> Result<Option<&str>, &'static str> {
    if protocol_token(request).is_none() {
        return Ok(None);
    }
    let mut plain = protocols(request).filter(|it| !it.starts_with(TOKEN_PROTOCOL));
    match plain.find(|it| it.bytes().all(is_token_byte)) {
        Some(protocol) => Ok(Some(protocol)),
        None => Err("A token among the protocols needs another protocol beside it, such as pulsar"),
    }
}

/// RFC 9110 §5.6.2: what a protocol's name is made of.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
