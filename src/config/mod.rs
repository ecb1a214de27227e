//! Settings: `websocket.conf` and flags, turned once into a checked [`Config`].
//!
//! A setting is a key, a value and the place it came from; flags are settings too. The later one wins, `keys`
//! knows every key, and all mistakes are reported at once. Nothing here logs: what is worth telling goes into
//! [`Config::notes`], never with the value of a secret.

#![forbid(unsafe_code)]

mod authorization;
mod broker_client;
mod broker_tls;
mod cluster;
mod crypto_keys;
mod doors;
mod keys;
pub mod limits;
mod properties;
mod tls;
mod typo;
mod values;

use std::fmt;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use crate::auth::Authentication;
pub use authorization::{Authorization, PermissionSource, Permissions};
pub use broker_client::{BrokerClient, KeyPlace, OAuth2, Proof};
pub use broker_tls::{BrokerTls, OwnCertificate, Trusted};
pub use cluster::{Brokers, ClusterInStore, WebAddress};
pub use crypto_keys::CryptoKeys;
pub use doors::Doors;
pub use keys::own_keys_help;
pub use tls::{KeyFiles, ListenerTls, Password};
pub use values::BrokerAddress;

/// What the process runs by. Times are in milliseconds; byte bounds are exact.
#[derive(Clone, Debug)]
pub struct Config {
    /// One shard is pinned to each. Never empty.
    pub cores: Vec<usize>,
    pub bind: IpAddr,
    /// 0: any free one.
    pub port: u16,
    pub brokers: Brokers,
    pub upstream: UpstreamMode,
    /// The longest WebSocket message a client may send; above it the socket is closed with 1009.
    pub max_text_frame_bytes: usize,
    /// None: no pings.
    pub ping_interval_ms: Option<u64>,
    /// A socket on which neither side sends anything for so long is closed.
    pub idle_timeout_ms: u64,
    /// Per shard. Never 0.
    pub connections_per_broker: usize,
    /// For a broker to accept a connection and answer on it.
    pub connection_timeout_ms: u64,
    /// Sockets in the whole process.
    pub max_connections: usize,
    /// Shards look for work without ever sleeping.
    pub busy_poll: bool,
    /// From accept to the end of the upgrade request.
    pub handshake_timeout_ms: u64,
    /// From the signal to the end of the process.
    pub drain_timeout_ms: u64,
    /// Of unsettled messages, per hub.
    pub hub_retained_bytes: usize,
    /// Of frames that one topic's readers may still want, per shard that has some.
    pub tail_log_bytes: usize,
    /// The same for all topics, in the whole process.
    pub tail_logs_bytes: usize,
    /// Upstream readers for sockets that fell off their topic's log, in the whole process.
    pub max_catch_up_readers: usize,
    /// None: a socket whose client takes nothing stays.
    pub slow_consumer_timeout_ms: Option<u64>,
    /// A reader whose next message the broker has no more is closed (4008) and not sent on from behind the gap.
    pub close_readers_on_gap: bool,
    /// Clients that offer permessage-deflate get it.
    pub permessage_deflate: bool,
    /// Of unconfirmed publishes, per producer socket.
    pub producer_pending_bytes: usize,
    /// Of unconfirmed publishes, per shard.
    pub upstream_pending_bytes: usize,
    /// Of frames not yet taken by the peer, per socket.
    pub socket_unsent_bytes: usize,
    /// Lookups, creates and subscribes.
    pub operation_timeout_ms: u64,
    /// How often new partitions, and new topics of a pattern, are looked for.
    pub topics_update_ms: u64,
    pub keep_alive_ms: u64,
    /// Reconnects to a broker: first and last delay.
    pub backoff_first_ms: u64,
    pub backoff_last_ms: u64,
    /// TLS and credentials towards the brokers.
    pub broker_client: BrokerClient,
    /// Whom to let in. None: everybody.
    pub authentication: Option<Arc<Authentication>>,
    /// Keys of end-to-end encryption.
    pub crypto_keys: CryptoKeys,
    pub doors: Doors,
    /// So long before a client's token runs out it is asked for a new one. 0: tokens are looked at in handshakes only.
    pub authentication_refresh_ms: u64,
    /// Who decides what clients may do. None: they may do everything.
    pub authorization: Option<Authorization>,
    /// TLS towards clients, on a port of its own.
    pub tls: Option<ListenerTls>,
    /// A crash may leave an image of the memory, keys and tokens in it.
    pub core_dumps: bool,
    /// What an operator should know of the settings: ignored ones, unknown ones. One line each, to be logged once.
    pub notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamMode {
    /// Sockets of one subscription share an upstream consumer.
    Shared,
    /// Every socket has its own, as with the Java gateway.
    PerSocket,
}

/// One assignment. An empty value unsets the key, as in Java. Values may be secrets: they are zeroed, and not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    pub key: String,
    pub value: String,
    pub place: Place,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.key)
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

/// Where a setting was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Line { file: String, line: usize },
    Flag(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line { file, line } => write!(f, "{file} line {line}"),
            Place::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A sentence about something that stops the start: `websocket.conf line 12: webServicePort: 'abc' is not a port …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake(String);

impl Mistake {
    fn at(place: &Place, what: impl fmt::Display) -> Mistake {
        Mistake(format!("{place}: {what}"))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the file, lays `overrides` over it (the later wins) and checks everything.
///
/// Without a file the gateway listens on the loopback address only; with one, Java's default for `bindAddress` holds.
///
/// # Errors
/// Every mistake that was found; never empty.
pub fn load(file: Option<&Path>, overrides: Vec<Setting>) -> Result<Config, Vec<Mistake>> {
    let bind = IpAddr::V4(match file {
        Some(_) => Ipv4Addr::UNSPECIFIED,
        None => Ipv4Addr::LOCALHOST,
    });
    let mut settings = match file {
        Some(path) => read(path)?,
        None => Vec::new(),
    };
    settings.extend(overrides);
    keys::check(bind, settings)
}

fn read(path: &Path) -> Result<Vec<Setting>, Vec<Mistake>> {
    let name = path.display();
    let fail = |why: String| vec![Mistake(format!("{name}: {why}"))];
    let file = std::fs::File::open(path).map_err(|error| fail(error.to_string()))?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(limits::FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(error.to_string()))?;
    if bytes.len() as u64 > limits::FILE_BYTES_MAX {
        return Err(fail(format!(
            "is larger than {} bytes",
            limits::FILE_BYTES_MAX
        )));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
        fail(format!("line {line} is not UTF-8"))
    })?;
    properties::parse(&name.to_string(), text)
}

#[cfg(test)]
mod tests;
