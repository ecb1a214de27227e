//! A connection from the dialling to its end: kept alive, closed when nobody uses it or it says what no broker says.

use bytes::BytesMut;

use super::Client;
use super::commands;
use super::connection::{Connection, ConnectionState, Waiter};
use super::deadlines::{Timer, User};
use super::events::{Event, Io};
use super::pool::retryable;
use super::requests::Purpose;
use super::spec::ConnectionId;
use crate::pulsar::types::BrokerError;

/// A connection that nobody has used for so long is closed. Long enough that a topic's sockets may come and go
/// without a new one each time; Java's `connectionMaxIdleSeconds`.
const UNUSED_TIMEOUT_MS: u64 = 60_000;

/// How a connection ended.
enum Ending {
    /// The owner's I/O knows already.
    Gone,
    /// The owner's I/O is to close it.
    Close,
}

impl Client {
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
            self.pool.control(Io::Close { connection: id });
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
