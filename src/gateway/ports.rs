//! The ports that clients come to.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;

use super::post::Post;
use super::room::Room;
use crate::config::Config;
use crate::http::response;
use crate::runtime::acceptor::{AcceptPlan, Accepting};
use crate::runtime::{Accepted, Acceptor, Seats, Shards};

/// Connections that may wait in the kernel while the acceptor is busy: a whole fleet reconnects at once.
const ACCEPT_BACKLOG: u32 = 4096;

/// The ports, bound and not accepting yet.
pub struct Ports {
    plain: Option<Acceptor>,
    tls: Option<Acceptor>,
}

impl Ports {
    pub fn bind(config: &Config) -> io::Result<Ports> {
        let bind = |port| Acceptor::bind(SocketAddr::new(config.bind, port), ACCEPT_BACKLOG);
        let is_alone = config.tls.as_ref().is_some_and(|tls| tls.alone);
        Ok(Ports {
            plain: (!is_alone).then(|| bind(config.port)).transpose()?,
            tls: config.tls.as_ref().map(|tls| bind(tls.port)).transpose()?,
        })
    }

    /// Begins to accept. The plain one first; both count the same connections.
    pub fn accept(
        self,
        config: &Config,
        room: Room,
        shards: &Shards<Post>,
    ) -> io::Result<[Option<Accepting>; 2]> {
        let plan = AcceptPlan {
            core: config.cores.first().copied(),
            max_connections: room.sockets,
            max_farewells: room.farewells,
            seats: Seats::new(shards.count()),
            farewell: response::refusal(503, "Too many connections", false),
        };
        // Before TLS there is nothing that a client would understand.
        let plan_tls = AcceptPlan {
            farewell: Bytes::new(),
            ..plan.clone()
        };
        let start = |acceptor: Option<Acceptor>, plan, wrap: fn(Accepted) -> Post| {
            let start = |it: Acceptor| it.start(plan, shards.posts().to_vec(), wrap);
            acceptor.map(start).transpose()
        };
        Ok([
            start(self.plain, plan, Post::Accepted)?,
            start(self.tls, plan_tls, Post::AcceptedTls)?,
        ])
    }
}
