//! One shard's broker connections of one kind: publishing and consuming have their own, because a broker that
//! throttles publishes stops reading the connection, acks and permits with it.

use bytes::{Bytes, BytesMut};
use rustc_hash::FxHashMap;

use super::shard::ShardRef;
use crate::pulsar::client::{BrokerAddress, Client, ConnectionId, Io};
use crate::runtime::{self, Socket};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneKind {
    Publishing,
    Consuming,
}

/// A broker that does not accept a connection within this time counts as unreachable; Java's
/// `connectionTimeoutMs`.
const CONNECT_TIMEOUT_MS: u64 = 10_000;

/// A broker that is told goodbye closes too, or is left, within this time.
const CLOSE_TIMEOUT_MS: u64 = 2_000;

pub struct Lane {
    kind: LaneKind,
    pub client: Client,
    connections: FxHashMap<ConnectionId, Option<Socket>>,
}

impl Lane {
    pub fn new(kind: LaneKind, client: Client) -> Lane {
        Lane {
            kind,
            client,
            connections: FxHashMap::default(),
        }
    }

    /// Carries out what the client machine asks of the network.
    pub fn flush(&mut self, shard: &ShardRef) {
        while let Some(io) = self.client.poll_io() {
            match io {
                Io::Connect {
                    connection,
                    address,
                } => {
                    self.connections.insert(connection, None);
                    runtime::spawn(run_connection(
                        shard.clone(),
                        self.kind,
                        connection,
                        address,
                    ));
                }
                Io::Write { connection, bytes } => self.write(connection, bytes),
                Io::Close { connection } => {
                    if let Some(Some(socket)) = self.connections.remove(&connection) {
                        socket.shutdown_after_flush(CLOSE_TIMEOUT_MS);
                    }
                }
            }
        }
    }

    fn write(&mut self, connection: ConnectionId, bytes: Bytes) {
        if let Some(Some(socket)) = self.connections.get(&connection) {
            socket.send(bytes);
        }
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
    let socket = match runtime::connect(&address.host, address.port, CONNECT_TIMEOUT_MS).await {
        Ok(socket) => socket,
        Err(error) => {
            tracing::warn!(broker = %format_args!("{}:{}", address.host, address.port), %error, "cannot reach the broker");
            return shard.turn(|shard, now_ms| {
                let lane = shard.lane(kind);
                if lane.connections.remove(&connection).is_some() {
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
        let open = shard.turn(|shard, now_ms| {
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
