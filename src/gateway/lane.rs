//! One shard's broker connections of one kind: publishing and consuming have their own, because a broker that
//! throttles publishes stops reading the connection, acks and permits with it.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustc_hash::{FxHashMap, FxHashSet};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::credential_keeper::{Ask, Source};
use super::pressure::catch_up;
use super::principals::{Principals, Shown};
use super::turn::ShardRef;
use crate::credentials::tls::remedy;
use crate::observe::seldom::Seldom;
use crate::pulsar::client::{
    BrokerAddress, Client, ConnectionId, Credentials, Event, Io, Original, Principal, ProducerId,
};
use crate::pulsar::{BrokerError, ErrorKind};
use crate::runtime::diagnostics::{explain_files, is_without_files};
use crate::runtime::{self, Socket, TlsSide};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneKind {
    Publishing,
    Consuming,
    /// The admin API: no broker connection.
    Administration,
}

/// A broker that is told goodbye closes too, or is left, within this time.
const CLOSE_TIMEOUT_MS: u64 = 2_000;

/// What a broker may leave unread of acks, permits and the like: a million of them. One that is further behind is gone,
/// and what it has not read comes again on a new connection.
const COMMANDS_UNSENT_BYTES_MAX: usize = 16 * 1024 * 1024;

pub struct Lane {
    kind: LaneKind,
    pub client: Client,
    /// Of this shard.
    index: usize,
    source: Source,
    /// For whom the gateway speaks on connections whose credentials are being read.
    originals: FxHashMap<ConnectionId, Arc<Original>>,
    connections: FxHashMap<ConnectionId, Option<Socket>>,
    /// Publishing: more than this unread by a broker, and its producers wait. It counts messages too that are given up
    /// (timed out, or their producer has gone), which the pending bytes do not.
    unsent_bytes_max: usize,
    /// Publishing: the connections of such brokers.
    behind: FxHashSet<ConnectionId>,
    /// Brokers that could not be reached, or do not let this gateway in.
    unreached: Seldom,
}

impl Lane {
    pub fn new(
        kind: LaneKind,
        index: usize,
        source: Source,
        unsent_bytes_max: usize,
        client: Client,
    ) -> Lane {
        Lane {
            kind,
            client,
            index,
            source,
            originals: FxHashMap::default(),
            connections: FxHashMap::default(),
            unsent_bytes_max,
            behind: FxHashSet::default(),
            unreached: Seldom::default(),
        }
    }

    /// Carries out what the client machine asks of the network.
    pub fn flush(&mut self, shard: &ShardRef, now_ms: u64, principals: &Principals) {
        while let Some(io) = self.client.poll_io() {
            match io {
                Io::Connect {
                    connection,
                    address,
                    ..
                } => {
                    self.connections.insert(connection, None);
                    runtime::spawn(run_connection(
                        shard.clone(),
                        self.kind,
                        connection,
                        address,
                    ));
                }
                Io::Authenticate {
                    connection,
                    principal,
                    ..
                } => match principals.show(principal) {
                    Ok(Shown::This(credentials)) => {
                        self.client
                            .authenticate(now_ms, connection, Ok(credentials));
                    }
                    Ok(Shown::Own(original)) => self.show_own(now_ms, connection, original),
                    Err(error) => self.client.authenticate(now_ms, connection, Err(error)),
                },
                Io::Write { connection, bytes } => self.write(shard, connection, bytes),
                Io::Close { connection } => {
                    if let Some(Some(socket)) = self.connections.remove(&connection) {
                        socket.shutdown_after_flush(CLOSE_TIMEOUT_MS);
                    }
                }
            }
        }
    }

    /// The gateway's own credentials, for somebody or not.
    fn show_own(&mut self, now_ms: u64, connection: ConnectionId, original: Option<Arc<Original>>) {
        if let Some(original) = original {
            self.originals.insert(connection, original);
        }
        let ask = Ask {
            shard: self.index,
            lane: self.kind,
            connection,
        };
        if let Some(result) = self.source.take(ask) {
            self.credentials_read(now_ms, connection, result);
        }
    }

    /// What the gateway itself has to show.
    pub fn credentials_read(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        result: Result<Credentials, BrokerError>,
    ) {
        let original = self.originals.remove(&connection);
        let result = result.map(|own| Credentials { original, ..own });
        self.client.authenticate(now_ms, connection, result);
    }

    fn write(&mut self, shard: &ShardRef, connection: ConnectionId, bytes: Bytes) {
        let Some(Some(socket)) = self.connections.get(&connection) else {
            return;
        };
        socket.send(bytes);
        match self.kind {
            LaneKind::Publishing => {
                if socket.unsent_bytes() > self.unsent_bytes_max && self.behind.insert(connection) {
                    let (shard, socket) = (shard.clone(), socket.clone());
                    let unsent_bytes = self.unsent_bytes_max / 2;
                    runtime::spawn(catch_up(shard, connection, socket, unsent_bytes));
                }
            }
            LaneKind::Consuming | LaneKind::Administration => {
                if socket.unsent_bytes() > COMMANDS_UNSENT_BYTES_MAX {
                    tracing::warn!("a broker does not read acks and permits: leaving it");
                    socket.abort();
                }
            }
        }
    }

    /// For new connections.
    pub fn use_tls(&mut self, tls: Arc<ClientConfig>) {
        self.source.tls = Some(tls);
    }

    fn unreachable(&mut self, now_ms: u64, address: &BrokerAddress, error: &std::io::Error) {
        let broker = format!("{}:{}", address.host, address.port);
        if let Some(unsaid) = self.unreached.due(now_ms, &broker) {
            let remedy = match is_without_files(error) {
                true => Cow::Owned(explain_files()),
                false => Cow::Borrowed(remedy(error)),
            };
            tracing::warn!(broker, %error, unsaid, "cannot reach the broker: {remedy}");
        }
    }

    fn not_connected(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        address: &BrokerAddress,
        error: &io::Error,
    ) {
        if self.connections.remove(&connection).is_some() {
            self.unreachable(now_ms, address, error);
            self.client
                .connect_failed(now_ms, connection, &error.to_string());
        }
    }

    /// What the client machine has to tell its owner.
    pub fn poll_event(&mut self, now_ms: u64) -> Option<Event> {
        loop {
            match self.client.poll_event()? {
                Event::Refused {
                    principal,
                    broker,
                    error,
                } => self.refused(now_ms, principal, &broker, &error),
                Event::NoBroker { address, why } => self.no_broker(now_ms, &address, &why),
                event => return Some(event),
            }
        }
    }

    /// The broker does not let this gateway in, or somebody for whom it speaks.
    fn refused(&mut self, now_ms: u64, principal: Principal, broker: &str, error: &BrokerError) {
        let is_own = principal == Principal::GATEWAY;
        // Clients that are refused keep nobody from hearing that the gateway is.
        let subject = match is_own {
            true => broker.to_owned(),
            false => format!("clients of {broker}"),
        };
        if let Some(unsaid) = self.unreached.due(now_ms, &subject) {
            let remedy = remedy_of_refusal(is_own, error.kind);
            tracing::warn!(broker, error = %error.message, unsaid, "the broker refuses {remedy}");
        }
    }

    /// Somebody else may be at its address.
    fn no_broker(&mut self, now_ms: u64, address: &BrokerAddress, why: &str) {
        let broker = format!("{}:{}", address.host, address.port);
        if let Some(unsaid) = self.unreached.due(now_ms, &broker) {
            let remedy = remedy_of_silence(address.tls);
            tracing::warn!(broker, why, unsaid, "no answer of a broker: {remedy}");
        }
    }

    /// Whether one of these producers has a broker that does not keep up with what it is sent.
    pub fn is_behind(&self, mut producers: impl Iterator<Item = ProducerId>) -> bool {
        !self.behind.is_empty()
            && producers.any(|producer| {
                let connection = self.client.producer_connection(producer);
                connection.is_some_and(|connection| self.behind.contains(&connection))
            })
    }

    pub fn caught_up(&mut self, connection: ConnectionId) {
        self.behind.remove(&connection);
    }

    /// Lets go of all connections and gives them back, to be flushed and closed.
    pub fn close(&mut self) -> Vec<Socket> {
        self.connections
            .drain()
            .filter_map(|(_, socket)| socket)
            .collect()
    }
}

/// Whom it refuses, and what a person can do about it.
fn remedy_of_refusal(is_own: bool, kind: ErrorKind) -> &'static str {
    match (is_own, kind) {
        (true, _) => {
            "this gateway: check brokerClientAuthenticationPlugin and brokerClientAuthenticationParameters against the \
             broker's authenticationProviders"
        }
        (false, ErrorKind::Unauthorized) => {
            "a client for whom this gateway speaks: the gateway's role has to be one of the broker's proxyRoles, and the \
             client's none of them"
        }
        (false, _) => {
            "a client whom this gateway has let in: with authorization=broker both have to believe the same keys, \
             issuers and passwords"
        }
    }
}

/// What a person can do where nobody answers as a broker does.
fn remedy_of_silence(tls: bool) -> &'static str {
    match tls {
        false => {
            "is it up, and is the port for the binary protocol (pulsar://) or the web service (http://), as its URL \
             says? A port with TLS needs pulsar+ssl:// or https://, see brokerClientTlsEnabled"
        }
        true => {
            "is it up, and is the port for the binary protocol (pulsar+ssl://) or the web service (https://), as its \
             URL says?"
        }
    }
}

/// One broker connection, from the attempt to its end.
async fn run_connection(
    shard: ShardRef,
    kind: LaneKind,
    connection: ConnectionId,
    address: BrokerAddress,
) {
    let timeout_ms = shard.turn(|shard, _| shard.config.connection_timeout_ms);
    let socket = match runtime::connect(&address.host, address.port, timeout_ms).await {
        Ok(socket) => socket,
        Err(error) => {
            return shard.turn(|shard, now_ms| {
                shard
                    .lane(kind)
                    .not_connected(now_ms, connection, &address, &error);
            });
        }
    };
    let taken = shard.turn(|shard, _| {
        let lane = shard.lane(kind);
        let place = lane.connections.get_mut(&connection)?;
        // From now on the machine's own time limit can end it, in the middle of a handshake too.
        *place = Some(socket.clone());
        Some(lane.source.tls.clone())
    });
    if let Some(tls) = taken {
        match secure(&socket, &address, tls).await {
            Ok(()) => {
                shard.turn(|shard, now_ms| {
                    shard.lane(kind).client.connected(now_ms, connection);
                });
                read_until_lost(&shard, kind, connection, &socket).await;
            }
            Err(error) => shard.turn(|shard, now_ms| {
                shard
                    .lane(kind)
                    .not_connected(now_ms, connection, &address, &error);
            }),
        }
    }
    socket.abort();
}

/// TLS, where the address asks for it. The certificate has to be for the host that is dialled: Pulsar's proxy, where
/// there is one, which speaks TLS with the broker itself.
async fn secure(
    socket: &Socket,
    address: &BrokerAddress,
    tls: Option<Arc<ClientConfig>>,
) -> io::Result<()> {
    if !address.tls {
        return Ok(());
    }
    let tls =
        tls.ok_or_else(|| io::Error::other("there is no TLS without a URL that asks for it"))?;
    let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
    socket.secure(TlsSide::Client(tls, name))?;
    socket.handshake().await
}

async fn read_until_lost(
    shard: &ShardRef,
    kind: LaneKind,
    connection: ConnectionId,
    socket: &Socket,
) {
    let mut unread = BytesMut::new();
    loop {
        let read = socket
            .read_with(|bytes| unread.extend_from_slice(bytes))
            .await;
        let open = shard.gather(|shard, now_ms| {
            let lane = shard.lane(kind);
            if !lane.connections.contains_key(&connection) {
                return false;
            }
            if matches!(read, Ok(Some(()))) {
                lane.client.received(now_ms, connection, &mut unread);
                return lane.connections.contains_key(&connection);
            }
            lane.connections.remove(&connection);
            lane.client.lost(now_ms, connection);
            false
        });
        if !open {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_settings_of_whom_it_is_about() {
        let kinds = [ErrorKind::Unauthenticated, ErrorKind::Unauthorized];
        for kind in kinds {
            assert!(remedy_of_refusal(true, kind).contains("brokerClientAuthenticationPlugin"));
            assert!(!remedy_of_refusal(false, kind).contains("brokerClient"));
        }
    }
}
