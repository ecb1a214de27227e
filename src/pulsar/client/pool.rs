//! All connections of one client: opened on demand, shared by route, kept alive, closed when nobody uses them.

use std::collections::VecDeque;

use bytes::BytesMut;
use rustc_hash::FxHashMap;

use super::Client;
use super::address::Route;
use super::commands;
use super::connection::{Connection, ConnectionState, DEFAULT_MAX_MESSAGE_BYTES, Waiter};
use super::deadlines::{Timer, User};
use super::requests::Purpose;
use super::spec::{ConnectionId, Event, Io};
use crate::pulsar::types::{BrokerError, ErrorKind};

/// A connection that nobody has used for so long is closed. Long enough that a topic's sockets may come and go
/// without a new one each time; Java's `connectionMaxIdleSeconds`.
const UNUSED_TIMEOUT_MS: u64 = 60_000;
/// Only a broker that names another address in every lookup answer could pass it.
const MAX_CONNECTIONS: usize = 4_096;

#[derive(Debug)]
pub(super) struct Pool {
    connections: FxHashMap<ConnectionId, Connection>,
    by_route: FxHashMap<Route, Vec<ConnectionId>>,
    next_id: u64,
    /// `Io::Connect`, `Io::Authenticate` and `Io::Close`, and what HTTP lookups write, in order.
    control: VecDeque<Io>,
    /// Connections with output, each once.
    unwritten: VecDeque<ConnectionId>,
    /// The bound that a broker named last, for messages to a producer that has no connection.
    pub max_message_bytes: usize,
    /// A broker has refused the gateway's role for want of an original principal.
    pub names_websocket_principal: bool,
}

impl Pool {
    pub fn new() -> Pool {
        Pool {
            connections: FxHashMap::default(),
            by_route: FxHashMap::default(),
            next_id: 1,
            control: VecDeque::new(),
            unwritten: VecDeque::new(),
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES,
            names_websocket_principal: false,
        }
    }

    /// For a connection; ids are never used again.
    pub fn new_id(&mut self) -> ConnectionId {
        let id = ConnectionId(self.next_id);
        self.next_id += 1;
        id
    }

    /// Before anything else that is to be written.
    pub fn control(&mut self, io: Io) {
        self.control.push_back(io);
    }

    pub fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(&id)
    }

    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    /// As [`Pool::get_mut`], and the owner will be told that there is something to write.
    pub fn writing(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(&id)?;
        if !connection.queued {
            connection.queued = true;
            self.unwritten.push_back(id);
        }
        Some(connection)
    }

    pub fn poll_io(&mut self) -> Option<Io> {
        if let Some(io) = self.control.pop_front() {
            return Some(io);
        }
        while let Some(&id) = self.unwritten.front() {
            if let Some(connection) = self.connections.get_mut(&id) {
                if let Some(bytes) = connection.output.pop() {
                    return Some(Io::Write {
                        connection: id,
                        bytes,
                    });
                }
                connection.queued = false;
            }
            self.unwritten.pop_front();
        }
        None
    }

    /// The one with the least to do; `None` when another should be opened.
    fn choose(&self, route: &Route, per_broker: usize, spread: bool) -> Option<ConnectionId> {
        let ids = self.by_route.get(route)?;
        let (load, id) = ids
            .iter()
            .filter_map(|id| Some((self.connections.get(id)?.load(), *id)))
            .min()?;
        let may_open = spread && ids.len() < per_broker;
        (load == 0 || !may_open).then_some(id)
    }

    fn open(&mut self, now_ms: u64, route: &Route) -> Option<ConnectionId> {
        if self.connections.len() >= MAX_CONNECTIONS {
            return None;
        }
        let id = self.new_id();
        self.connections
            .insert(id, Connection::new(route.clone(), now_ms));
        self.by_route.entry(route.clone()).or_default().push(id);
        self.control.push_back(Io::Connect {
            connection: id,
            address: route.address.clone(),
            principal: route.principal,
        });
        Some(id)
    }

    fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        if let Some(ids) = self.by_route.get_mut(&connection.route) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_route.remove(&connection.route);
            }
        }
        Some(connection)
    }
}

/// Where a waiter stands with its connection.
pub(super) enum Placed {
    Ready(ConnectionId),
    /// It will be called when the connection is ready or has failed.
    Waiting(ConnectionId),
}

/// How a connection ended.
pub(super) enum Ending {
    /// The owner's I/O knows already.
    Gone,
    /// The owner's I/O is to close it.
    Close,
}

impl Client {
    /// A connection for `waiter`: the one it would rather have, if that leads there. Else producers and consumers spread
    /// over `connections_per_broker`; lookups take what there is.
    pub(super) fn place(
        &mut self,
        now_ms: u64,
        route: &Route,
        waiter: Waiter,
        rather: Option<ConnectionId>,
    ) -> Result<Placed, BrokerError> {
        let spread = matches!(waiter, Waiter::User(_));
        let per_broker = self.config.connections_per_broker.max(1);
        let leads_there = |id: &ConnectionId| {
            let connection = self.pool.get(*id);
            connection.is_some_and(|connection| connection.route == *route)
        };
        let chosen = rather.filter(leads_there);
        let chosen = chosen.or_else(|| self.pool.choose(route, per_broker, spread));
        let id = match chosen {
            Some(id) => id,
            None => {
                let id = self
                    .pool
                    .open(now_ms, route)
                    .ok_or_else(|| retryable("too many broker connections"))?;
                self.deadlines.set(
                    Timer::Handshake(id),
                    now_ms.saturating_add(self.config.connection_timeout_ms),
                );
                id
            }
        };
        self.deadlines.cancel(Timer::Unused(id));
        let Some(connection) = self.pool.get_mut(id) else {
            return Err(retryable("the broker connection is gone"));
        };
        if connection.is_ready() {
            return Ok(Placed::Ready(id));
        }
        connection.waiters.push(waiter);
        Ok(Placed::Waiting(id))
    }

    /// The owner's I/O has connected: the owner is asked for credentials; with them CONNECT goes out, or the request of
    /// an HTTP lookup.
    pub fn connected(&mut self, now_ms: u64, connection: ConnectionId) {
        if self.exchanges.has(connection) {
            return self.http_connected(now_ms, connection);
        }
        let Some(dialled) = self.pool.get_mut(connection) else {
            return;
        };
        if dialled.state != ConnectionState::Dialling {
            return;
        }
        dialled.state = ConnectionState::Authenticating;
        dialled.last_received_ms = now_ms;
        let principal = dialled.route.principal;
        self.pool.control(Io::Authenticate {
            connection,
            principal,
            renewed: false,
        });
    }

    /// The owner's I/O could not connect; `reason` goes into error texts.
    pub fn connect_failed(&mut self, now_ms: u64, connection: ConnectionId, reason: &str) {
        if self.exchanges.has(connection) {
            return self.http_failed(now_ms, connection, reason, false);
        }
        self.end_connection(now_ms, connection, Ending::Gone, retryable(reason));
    }

    /// The connection has broken, or the broker has closed it.
    pub fn lost(&mut self, now_ms: u64, connection: ConnectionId) {
        if self.exchanges.has(connection) {
            return self.http_lost(now_ms, connection);
        }
        let why = "the connection was closed before CONNECTED";
        self.tell_no_broker(connection, why);
        let error = retryable("the connection to the broker was lost");
        self.end_connection(now_ms, connection, Ending::Gone, error);
    }

    /// What has come in. Whole frames (of HTTP: all) are taken out of `bytes`, a partial one stays in it.
    pub fn received(&mut self, now_ms: u64, connection: ConnectionId, bytes: &mut BytesMut) {
        if self.exchanges.has(connection) {
            return self.http_received(now_ms, connection, bytes);
        }
        loop {
            let Some(open) = self.pool.get_mut(connection) else {
                bytes.clear();
                return;
            };
            open.last_received_ms = now_ms;
            let violation = match crate::pulsar::wire::split_frame(bytes, open.max_frame_bytes()) {
                Ok(None) => return,
                Ok(Some(frame)) => match self.frame(now_ms, connection, &frame) {
                    Ok(()) => continue,
                    Err(violation) => violation,
                },
                Err(error) => error.to_string(),
            };
            self.tell_violation(connection, &violation);
            let error = retryable(&violation);
            self.end_connection(now_ms, connection, Ending::Close, error);
        }
    }

    fn tell_violation(&mut self, connection: ConnectionId, violation: &str) {
        if let Some(open) = self.pool.get(connection).filter(|open| open.is_ready()) {
            let broker = open.route.address.authority();
            tracing::warn!(broker, %violation, "closing a broker connection");
        }
        self.tell_no_broker(connection, violation);
    }

    /// Who is on the other side has not welcomed us as a broker would: its URL may be another service's. One that has
    /// is a broker, and one that waits for our credentials has done nothing.
    fn tell_no_broker(&mut self, connection: ConnectionId, why: &str) {
        if let Some(open) = self.pool.get(connection)
            && matches!(
                open.state,
                ConnectionState::Dialling | ConnectionState::Handshaking
            )
        {
            let address = open.route.address.clone();
            let why = why.to_owned();
            self.events.push_back(Event::NoBroker { address, why });
        }
    }

    /// CONNECTED: whoever waited goes on.
    pub(super) fn connection_ready(
        &mut self,
        now_ms: u64,
        id: ConnectionId,
        max_message_size: Option<i32>,
    ) -> Result<(), String> {
        let Some(connection) = self.pool.get_mut(id) else {
            return Ok(());
        };
        if connection.state != ConnectionState::Handshaking {
            return Err("CONNECTED without a CONNECT".to_owned());
        }
        connection.state = ConnectionState::Ready;
        connection.set_max_message_size(max_message_size);
        let max_message_bytes = connection.max_message_bytes;
        let waiters = std::mem::take(&mut connection.waiters);
        self.pool.max_message_bytes = max_message_bytes;
        self.deadlines.cancel(Timer::Handshake(id));
        self.deadlines.set(
            Timer::KeepAlive(id),
            now_ms.saturating_add(self.config.keep_alive_ms),
        );
        for waiter in waiters {
            match waiter {
                Waiter::Lookup(lookup) => self.lookup_placed(now_ms, lookup, id),
                Waiter::User(user) => self.link_placed(now_ms, user, id),
            }
        }
        self.watch_unused(now_ms, id);
        Ok(())
    }

    pub(super) fn close_connection(&mut self, now_ms: u64, id: ConnectionId, error: BrokerError) {
        self.end_connection(now_ms, id, Ending::Close, error);
    }

    /// Everything on the connection starts anew; the waiters fail with `error`.
    fn end_connection(&mut self, now_ms: u64, id: ConnectionId, end: Ending, error: BrokerError) {
        let Some(connection) = self.pool.remove(id) else {
            return;
        };
        for timer in [
            Timer::Handshake(id),
            Timer::KeepAlive(id),
            Timer::Unused(id),
        ] {
            self.deadlines.cancel(timer);
        }
        if let Ending::Close = end {
            self.pool.control.push_back(Io::Close { connection: id });
        }
        // A creation's link hears of it below.
        for (request_id, request) in self.requests.take_all_of(id) {
            if let Purpose::Lookup(lookup) = request.purpose {
                self.lookup_unreachable(now_ms, lookup, error.clone());
            } else {
                self.owner_request_failed(request_id, request.purpose, error.clone());
            }
        }
        for waiter in connection.waiters {
            match waiter {
                Waiter::Lookup(lookup) => self.lookup_unreachable(now_ms, lookup, error.clone()),
                Waiter::User(user) => self.link_failed(now_ms, user, error.clone()),
            }
        }
        for user in connection.users {
            self.link_lost(now_ms, user, true, error.clone(), None);
        }
    }

    /// `user` no longer needs the connection.
    pub(super) fn leave_connection(&mut self, now_ms: u64, id: ConnectionId, user: User) {
        if let Some(connection) = self.pool.get_mut(id) {
            connection.users.remove(&user);
            connection
                .waiters
                .retain(|waiter| *waiter != Waiter::User(user));
            self.watch_unused(now_ms, id);
        }
    }

    /// Starts the clock of a connection that has nobody on it.
    pub(super) fn watch_unused(&mut self, now_ms: u64, id: ConnectionId) {
        if self.pool.get(id).is_some_and(Connection::is_unused) {
            self.deadlines
                .set(Timer::Unused(id), now_ms + UNUSED_TIMEOUT_MS);
        }
    }

    pub(super) fn handshake_expired(&mut self, now_ms: u64, id: ConnectionId) {
        let why = "the broker did not answer the connection in time";
        self.tell_no_broker(id, why);
        let error = retryable(why);
        self.close_connection(now_ms, id, error);
    }

    pub(super) fn unused_expired(&mut self, now_ms: u64, id: ConnectionId) {
        if self.pool.get(id).is_some_and(Connection::is_unused) {
            self.close_connection(now_ms, id, retryable("unused"));
        }
    }

    /// Nothing has come for one interval: PING. For two: the broker is gone, whatever TCP says.
    pub(super) fn keep_alive_due(&mut self, now_ms: u64, id: ConnectionId) {
        let interval_ms = self.config.keep_alive_ms.max(1);
        let Some(connection) = self.pool.get(id) else {
            return;
        };
        let last_ms = connection.last_received_ms;
        let silent_ms = now_ms.saturating_sub(last_ms);
        if silent_ms >= 2 * interval_ms {
            let error = retryable("the broker has been silent for too long");
            self.close_connection(now_ms, id, error);
            return;
        }
        let mut next_ms = last_ms + interval_ms;
        if silent_ms >= interval_ms {
            next_ms = last_ms + 2 * interval_ms;
            if let Some(connection) = self.pool.writing(id) {
                connection.write(&commands::ping());
            }
        }
        self.deadlines.set(Timer::KeepAlive(id), next_ms);
    }
}

pub(super) fn retryable(message: &str) -> BrokerError {
    BrokerError {
        kind: ErrorKind::Retryable,
        message: message.to_owned(),
    }
}
