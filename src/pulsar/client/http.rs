//! Lookups over HTTP: one connection for each request, beside the pool of broker connections.
//!
//! The owner's I/O sees no difference: `Io::Connect`, `Io::Authenticate`, `Io::Write`, `Io::Close`, and the same methods
//! for what comes.
//!
//! A role among a server's `proxyRoles` is refused without an original principal, in words that differ by question. So a
//! refusal is asked again once, with the principal that gateways name; where that helps, it is named from then on. Always
//! named, it would be refused by servers that are older than it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustc_hash::FxHashMap;
use zeroize::Zeroizing;

use super::Client;
use super::address::Route;
use super::credentials::{Credentials, Original, Principal, WEBSOCKET_PRINCIPAL, named_in_headers};
use super::deadlines::Timer;
use super::events::{Event, Io};
use super::lookup::LookupId;
use super::pool::retryable;
use super::spec::ConnectionId;
use crate::pulsar::BrokerError;
use crate::pulsar::rest::{self, Response, ResponseReader};

#[derive(Debug)]
struct Exchange {
    lookup: LookupId,
    route: Route,
    target: String,
    response: ResponseReader,
    names_principal: bool,
    shows_credentials: bool,
}

impl Exchange {
    fn is_refused(&self, response: &Response) -> bool {
        self.shows_credentials && matches!(response.status, 401 | 403)
    }
}

#[derive(Debug, Default)]
pub(super) struct Exchanges {
    open: FxHashMap<ConnectionId, Exchange>,
    /// It has helped.
    names_principal: bool,
}

impl Exchanges {
    pub fn has(&self, connection: ConnectionId) -> bool {
        self.open.contains_key(&connection)
    }
}

impl Client {
    /// Asks a server for `target` on behalf of a lookup, which hears of it by `http_answered` or `lookup_unreachable`.
    pub(super) fn http_ask(&mut self, now_ms: u64, lookup: LookupId, route: Route, target: &str) {
        let own = route.principal == Principal::GATEWAY;
        let exchange = Exchange {
            lookup,
            route,
            target: target.to_owned(),
            response: ResponseReader::default(),
            names_principal: own && self.exchanges.names_principal,
            shows_credentials: false,
        };
        self.http_connect(now_ms, exchange);
    }

    fn http_connect(&mut self, now_ms: u64, exchange: Exchange) {
        let connection = self.pool.new_id();
        self.pool.control(Io::Connect {
            connection,
            address: exchange.route.address.clone(),
            principal: exchange.route.principal,
        });
        self.exchanges.open.insert(connection, exchange);
        let connected_ms = now_ms.saturating_add(self.config.connection_timeout_ms);
        self.deadlines.set(Timer::Http(connection), connected_ms);
    }

    pub(super) fn http_connected(&mut self, now_ms: u64, connection: ConnectionId) {
        let Some(exchange) = self.exchanges.open.get(&connection) else {
            return;
        };
        let principal = exchange.route.principal;
        self.pool.control(Io::Authenticate {
            connection,
            principal,
            renewed: false,
        });
        let answer_ms = now_ms.saturating_add(self.config.operation_timeout_ms);
        self.deadlines.set(Timer::Http(connection), answer_ms);
    }

    pub(super) fn http_authenticated(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        result: Result<Credentials, BrokerError>,
    ) {
        let Some(exchange) = self.exchanges.open.get_mut(&connection) else {
            return;
        };
        match result.and_then(named_in_headers) {
            Ok(mut credentials) => {
                exchange.shows_credentials = !credentials.is_none();
                if exchange.names_principal {
                    credentials.original = Some(Arc::new(Original {
                        principal: WEBSOCKET_PRINCIPAL.to_owned(),
                        credentials: None,
                    }));
                }
                let authority = exchange.route.address.authority();
                let headers = credentials.http_headers();
                let request = rest::request(&authority, &exchange.target, &headers);
                let bytes = Bytes::from_owner(Zeroizing::new(request));
                self.pool.control(Io::Write { connection, bytes });
            }
            Err(error) => {
                if let Some(exchange) = self.http_over(connection) {
                    self.pool.control(Io::Close { connection });
                    self.lookup_failed(now_ms, exchange.lookup, error);
                }
            }
        }
    }

    pub(super) fn http_received(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        bytes: &mut BytesMut,
    ) {
        let Some(exchange) = self.exchanges.open.get_mut(&connection) else {
            return;
        };
        match exchange.response.feed(bytes) {
            Ok(None) => {}
            Ok(Some(response)) => {
                self.pool.control(Io::Close { connection });
                self.http_heard(now_ms, connection, &response);
            }
            Err(why) => {
                let why = format!("the answer to an HTTP lookup cannot be read: {why}");
                self.http_misunderstood(now_ms, connection, &why, true);
            }
        }
    }

    /// The server has closed the connection, or it broke: both look alike.
    pub(super) fn http_lost(&mut self, now_ms: u64, connection: ConnectionId) {
        let exchange = self.exchanges.open.get_mut(&connection);
        let response = exchange.and_then(|exchange| std::mem::take(&mut exchange.response).end());
        match response {
            Some(response) => self.http_heard(now_ms, connection, &response),
            None => {
                let why = "the server closed the connection without an answer to the HTTP lookup";
                self.http_misunderstood(now_ms, connection, why, false);
            }
        }
    }

    fn http_heard(&mut self, now_ms: u64, connection: ConnectionId, response: &Response) {
        let Some(mut exchange) = self.http_over(connection) else {
            return;
        };
        let is_refused = exchange.is_refused(response);
        let own = exchange.route.principal == Principal::GATEWAY;
        if is_refused && own && !std::mem::replace(&mut exchange.names_principal, true) {
            exchange.response = ResponseReader::default();
            return self.http_connect(now_ms, exchange);
        }
        self.exchanges.names_principal |= own && exchange.names_principal && !is_refused;
        // A 403 is about what was asked, a 401 about who asks.
        if response.status == 401 {
            self.events.push_back(Event::Refused {
                principal: exchange.route.principal,
                broker: exchange.route.address.authority(),
                error: rest::refusal(response),
            });
        }
        self.http_answered(now_ms, exchange.lookup, response);
    }

    pub(super) fn http_expired(&mut self, now_ms: u64, connection: ConnectionId) {
        let why = "no answer to an HTTP lookup in time";
        self.http_misunderstood(now_ms, connection, why, true);
    }

    /// No web service is there, as far as one can hear.
    fn http_misunderstood(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        why: &str,
        close: bool,
    ) {
        if let Some(exchange) = self.exchanges.open.get(&connection) {
            self.events.push_back(Event::NoBroker {
                address: exchange.route.address.clone(),
                why: why.to_owned(),
            });
        }
        self.http_failed(now_ms, connection, why, close);
    }

    /// `close`: the owner's I/O does not know yet.
    pub(super) fn http_failed(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        why: &str,
        close: bool,
    ) {
        if let Some(exchange) = self.http_over(connection) {
            if close {
                self.pool.control(Io::Close { connection });
            }
            self.lookup_unreachable(now_ms, exchange.lookup, retryable(why));
        }
    }

    fn http_over(&mut self, connection: ConnectionId) -> Option<Exchange> {
        self.deadlines.cancel(Timer::Http(connection));
        self.exchanges.open.remove(&connection)
    }
}
