//! One shard's broker connections of one kind: publishing and consuming have their own, because a broker that
//! throttles publishes stops reading the connection, acks and permits with it.

use bytes::{Bytes, BytesMut};
use rustc_hash::{FxHashMap, FxHashSet};

use super::pressure::catch_up;
use super::shard::ShardRef;
use crate::observe::seldom::Seldom;
use crate::pulsar::BrokerError;
use crate::pulsar::client::{BrokerAddress, Client, ConnectionId, Credentials, Io, ProducerId};
use crate::runtime::{self, Socket};

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
    pub fn new(kind: LaneKind, unsent_bytes_max: usize, client: Client) -> Lane {
        Lane {
            kind,
            client,
            connections: FxHashMap::default(),
            unsent_bytes_max,
            behind: FxHashSet::default(),
            unreached: Seldom::default(),
        }
    }

    /// Carries out what the client machine asks of the network.
    pub fn flush(&mut self, shard: &ShardRef, now_ms: u64) {
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
                Io::Authenticate { connection, .. } => {
                    let none = Credentials::none();
                    self.client.authenticate(now_ms, connection, Ok(none));
                }
                Io::Write { connection, bytes } => self.write(shard, connection, bytes),
                Io::Close { connection } => {
                    if let Some(Some(socket)) = self.connections.remove(&connection) {
                        socket.shutdown_after_flush(CLOSE_TIMEOUT_MS);
                    }
                }
            }
        }
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

    fn unreachable(&mut self, now_ms: u64, address: &BrokerAddress, error: &std::io::Error) {
        let broker = format!("{}:{}", address.host, address.port);
        if let Some(unsaid) = self.unreached.due(now_ms, &broker) {
            tracing::warn!(broker, %error, unsaid, "cannot reach the broker");
        }
    }

    /// The broker does not let this gateway in.
    pub fn refused(&mut self, now_ms: u64, broker: &str, error: &BrokerError) {
        if let Some(unsaid) = self.unreached.due(now_ms, broker) {
            tracing::warn!(
                broker,
                error = %error.message,
                unsaid,
                "the broker refuses this gateway: check brokerClientAuthenticationPlugin and \
                 brokerClientAuthenticationParameters against the broker's authenticationProviders"
            );
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
                let lane = shard.lane(kind);
                if lane.connections.remove(&connection).is_some() {
                    lane.unreachable(now_ms, &address, &error);
                    lane.client
                        .connect_failed(now_ms, connection, &error.to_string());
                }
            });
        }
    };
    let wanted = shard.turn(|shard, now_ms| {
        let lane = shard.lane(kind);
        let Some(place) = lane.connections.get_mut(&connection) else {
            return false;
        };
        *place = Some(socket.clone());
        lane.client.connected(now_ms, connection);
        true
    });
    if wanted {
        read_until_lost(&shard, kind, connection, &socket).await;
    }
    socket.abort();
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
