//! All connections of one client: opened on demand, and shared by route. What becomes of one is `connecting`'s.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::Client;
use super::address::Route;
use super::connection::{Connection, DEFAULT_MAX_MESSAGE_BYTES, Waiter};
use super::deadlines::Timer;
use super::events::Io;
use super::spec::ConnectionId;
use crate::pulsar::types::{BrokerError, ErrorKind};

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

    pub fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
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
}

pub(super) fn retryable(message: &str) -> BrokerError {
    BrokerError {
        kind: ErrorKind::Retryable,
        message: message.to_owned(),
    }
}
