//! Who comes, before it is looked at what they want: from where, how many, how fast, from which page.
//!
//! The address that counts is the one that the trusted proxies in between tell of; the TCP connection's where there are none.

use std::net::IpAddr;
use std::rc::Rc;

use super::post::SocketId;
use super::shard::Shard;
use super::turn::ShardRef;
use crate::api::{Refusal, shown_target};
use crate::doors::proxy_protocol::{HeaderReader, Source};
use crate::doors::{Closed, Places, forwarded};
use crate::http::Request;
use crate::runtime::Socket;

/// Connections of a shard that are refused at the door and may stay to read why. A flood of more is cut off unheard, so that
/// refusing costs less than serving.
const TURNED_AWAY_MAX: usize = 256;

/// How long they may stay.
const TURNED_AWAY_MS: u64 = 1_000;

/// What a line shows of a role, and of an origin: clients may make either as long as a head is.
const ROLE_SHOWN_CHARS: usize = 128;
const ORIGIN_SHOWN_BYTES: usize = 256;

/// A new connection: from whom, as far as that is known without its request. None: it has gone.
pub async fn arrive(
    shard: &ShardRef,
    id: SocketId,
    socket: &Socket,
    peer: IpAddr,
) -> Option<Result<IpAddr, Refusal>> {
    let peer = peer.to_canonical();
    let arrived = shard.glance(|shard, _, now_ms| {
        let is_proxied =
            shard.config.doors.proxy_protocol && shard.config.doors.trusted_proxies.contain(peer);
        shard
            .bounded(|shard| shard.entrance.arrive(now_ms))
            .map(|()| is_proxied)
    });
    let address = match arrived {
        Err(refusal) => return Some(Err(outside(peer, refusal))),
        Ok(false) => peer,
        Ok(true) => match proxied(socket, peer).await? {
            Ok(address) => address,
            Err(why) => {
                shard.glance(|shard, _, _| shard.counters.refused_proxied += 1);
                return Some(Err(outside(peer, Refusal::new(400, why))));
            }
        },
    };
    let admitted = shard.glance(|shard, _, now_ms| {
        match shard.config.doors.forwarded_for
            && shard.config.doors.trusted_proxies.contain(address)
        {
            // The request says for whom.
            true => Ok(address),
            false => shard.admit(now_ms, id, address).map(|()| address),
        }
    });
    Some(admitted.map_err(|refusal| outside(address, refusal)))
}

/// Somebody is refused before there is a request that a line could tell of.
pub fn outside(client: IpAddr, refusal: Refusal) -> Refusal {
    let (status, why) = (refusal.status, &refusal.message);
    tracing::debug!(%client, status, why, "refused without a look at a request");
    refusal
}

/// Reads what a proxy says in front of the connection. None: it has gone.
async fn proxied(socket: &Socket, peer: IpAddr) -> Option<Result<IpAddr, &'static str>> {
    let mut header = HeaderReader::default();
    loop {
        let mut room = vec![0; header.wants()];
        let count = socket
            .read_raw(&mut room)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        match header.feed(&room[..count]) {
            Ok(None) => {}
            Ok(Some(Source::Client(client))) => return Some(Ok(client.ip().to_canonical())),
            Ok(Some(Source::Proxy)) => return Some(Ok(peer)),
            Err(why) => return Some(Err(why)),
        }
    }
}

/// Tells a connection that is refused at the door why, and leaves it a moment to read that.
pub async fn turn_away(shard: &ShardRef, socket: &Socket, refusal: bytes::Bytes) {
    let turned_away = shard.glance(|shard, _, _| shard.turned_away.clone());
    // In front of TLS there is nothing that a client would understand, and its handshake is what costs.
    if socket.is_secured() || Rc::strong_count(&turned_away) > TURNED_AWAY_MAX {
        return socket.abort();
    }
    socket.send(refusal);
    socket.shutdown_after_flush(TURNED_AWAY_MS);
    while let Ok(Some(())) = socket.read_with(|_| ()).await {}
}

/// One handshake, for the log.
pub struct Visit {
    pub client: IpAddr,
    /// None: nobody wants to know.
    target: Option<String>,
}

impl Visit {
    pub fn new(client: IpAddr, request: &Request) -> Visit {
        let is_told = tracing::enabled!(tracing::Level::DEBUG);
        let target = is_told.then(|| shown_target(request.path(), request.query()));
        Visit { client, target }
    }

    /// How it ended, and who it was, if that has been asked and found out.
    pub fn tell(&self, shard: &ShardRef, id: SocketId, status: u16) {
        let Some(target) = &self.target else { return };
        let role = shard.glance(|shard, _, _| {
            let identity = shard.sockets.get(id)?.identity.as_ref()?;
            Some(identity.role.chars().take(ROLE_SHOWN_CHARS).collect())
        });
        let role: Option<String> = role;
        tracing::debug!(client = %self.client, status, role, "{target}");
    }
}

impl Shard {
    /// The request is there: whom it is from, where a trusted proxy tells that in it, and which page may ask.
    pub fn arrived(
        &mut self,
        now_ms: u64,
        id: SocketId,
        visit: &mut Visit,
        request: &Request,
    ) -> Result<(), Refusal> {
        let address = visit.client;
        let doors = &self.config.doors;
        if doors.forwarded_for && doors.trusted_proxies.contain(address) {
            let found = forwarded::client(
                address,
                &doors.trusted_proxies,
                request.raw_values("x-forwarded-for"),
                request.raw_values("forwarded"),
            );
            let Some(found) = found else {
                self.counters.refused_proxied += 1;
                return Err(Refusal::new(
                    400,
                    "X-Forwarded-For and Forwarded contradict each other",
                ));
            };
            visit.client = found;
            self.admit(now_ms, id, found)?;
        }
        let origins = &self.config.doors.origins;
        if !origins.admit(request.raw_values("origin"), request.header("host")) {
            self.counters.refused_origins += 1;
            for origin in request.raw_values("origin").take(1) {
                let shown = &origin[..origin.len().min(ORIGIN_SHOWN_BYTES)];
                let origin = String::from_utf8_lossy(shown);
                tracing::debug!(client = %visit.client, ?origin, "a page that allowedOrigins does not have");
            }
            return Err(Refusal::new(
                403,
                "Pages of this origin may not open sockets here",
            ));
        }
        Ok(())
    }

    /// Takes a place for the address.
    fn admit(&mut self, now_ms: u64, id: SocketId, address: IpAddr) -> Result<(), Refusal> {
        let mut places = self.places.remove(&id).unwrap_or_default();
        self.bounded(|shard| shard.entrance.admit_address(now_ms, address, &mut places))?;
        self.keep_places(id, places);
        Ok(())
    }

    /// Takes a place for the role, where there is one.
    pub fn admit_role(&mut self, now_ms: u64, id: SocketId) -> Result<(), Refusal> {
        let identity = self
            .sockets
            .get(id)
            .and_then(|entry| entry.identity.as_ref());
        let Some(role) = identity.map(|identity| identity.role.clone()) else {
            return Ok(());
        };
        let mut places = self.places.remove(&id).unwrap_or_default();
        let admitted = self.bounded(|shard| shard.entrance.admit_role(now_ms, role, &mut places));
        self.keep_places(id, places);
        admitted
    }

    /// Places are kept until the socket is forgotten.
    fn keep_places(&mut self, id: SocketId, places: Places) {
        if !places.is_empty() {
            self.places.insert(id, places);
        }
    }

    /// Counts a refusal by its reason.
    fn bounded(&mut self, ask: impl FnOnce(&Shard) -> Result<(), Closed>) -> Result<(), Refusal> {
        ask(self).map_err(|closed| {
            let counters = &mut self.counters;
            *match closed {
                Closed::Handshakes => &mut counters.refused_handshake_rate,
                Closed::AddressHandshakes => &mut counters.refused_address_rate,
                Closed::AddressConnections => &mut counters.refused_address_connections,
                Closed::RoleConnections => &mut counters.refused_role_connections,
            } += 1;
            Refusal::new(closed.status(), closed.text())
        })
    }
}
