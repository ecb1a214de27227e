//! The gateway as a whole: its shards, what each owns, and how the effects of the sans-IO rooms are carried out.
//!
//! | file | what it does |
//! |---|---|
//! | this one | starts shards and acceptor, stops them |
//! | `ports`, `room`, `finding` | where clients come to, for how many of them there is room, whom the shards ask |
//! | `shard`, `life` | one shard's state; how it is made and what it takes in |
//! | `turn`, `events` | its turn, and what posts and brokers' events do in it |
//! | `connection` | the life of one client connection |
//! | `arrivals` | limits, proxies, `Origin`: before it is looked at what somebody wants |
//! | `certificates` | certificates: clients' own, and TLS files that change meanwhile |
//! | `begin` | from an upgrade request to a session |
//! | `identities` | who the clients are |
//! | `desk`, `fetch` | threads for credentials that take long, and for what issuers publish |
//! | `permissions`, `rights` | what the clients may do, and what a request needs |
//! | `principals` | in whose names broker connections are |
//! | `proofs`, `tail_proofs` | rights of who joins what is open, where brokers decide |
//! | `sockets`, `sessions`, `socket_timers` | the table of sockets, what happens to one, its timer |
//! | `publish` | the publishing lane's answers |
//! | `pressure` | when a socket is not read for now |
//! | `readers`, `reader_commands`, `reader_seek` | reader sockets, what their clients say, and where a `seek` takes them |
//! | `catch_up`, `catch_up_turns` | readers on the way into the log of their topic, so many at a time |
//! | `tails`, `tail_frames`, `tail_sends` | this shard's logs, what comes into them, and what goes out to the readers |
//! | `tail_homes` | what feeds the logs of all shards |
//! | `gaps` | what readers never get, and who hears of it |
//! | `hubs`, `hub_places`, `hub_effects` | this shard's hubs, their table, and the way of their effects |
//! | `siblings` | which of the hubs of one subscription a socket joins, and which of them holds a message |
//! | `dead_letters` | producers of dead-letter topics, for the hubs |
//! | `encryption`, `key_keeper`, `key_files` | keys of end-to-end encryption: who asks for them, the thread that has them, their files |
//! | `topics` | what is asked about topics, and the watch for new partitions |
//! | `lane`, `credential_keeper` | broker connections; who reads what they show |
//! | `post`, `links` | what shards say to each other |
//! | `drain` | the orderly end |
//!
//! It must not know frames, JSON or Pulsar commands: those are the other rooms'.
#![forbid(unsafe_code)]

mod arrivals;
mod begin;
mod catch_up;
mod catch_up_turns;
mod certificates;
mod connection;
mod credential_keeper;
mod dead_letters;
mod desk;
mod drain;
mod encryption;
mod events;
mod fetch;
mod finding;
mod gaps;
mod hub_effects;
mod hub_places;
mod hubs;
mod identities;
mod key_files;
mod key_keeper;
mod lane;
mod life;
mod links;
mod permissions;
mod ports;
mod post;
mod pressure;
mod principals;
mod proofs;
mod publish;
mod reader_commands;
mod reader_seek;
mod readers;
mod rights;
mod room;
mod sessions;
mod shard;
mod siblings;
mod socket_timers;
mod sockets;
mod tail_frames;
mod tail_homes;
mod tail_proofs;
mod tail_sends;
mod tails;
#[cfg(test)]
mod tests;
mod topics;
mod turn;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::Config;
use crate::credentials;
use crate::doors::Entrance;
use crate::embedded::Embedded;
use crate::runtime::acceptor::Accepting;
use crate::runtime::driver::Choice;
use crate::runtime::{self, ShardPlan, Shards};
use crate::tls::server::{self, Served};
use crate::tls::watch::Watch;
use certificates::Renewal;
use finding::{find_brokers, find_permissions};
use key_files::KeyFiles;
use key_keeper::KeyKeeper;
use life::{Equipment, run_shard};
use ports::Ports;
use post::Post;
pub use room::Room;

/// A started gateway.
pub struct Running {
    /// The plain port.
    accepting: Option<Accepting>,
    accepting_tls: Option<Accepting>,
    renewal: Option<Renewal>,
    shards: Shards<Post>,
    embedded: Option<Embedded>,
    driver: Choice,
    room: Room,
    notes: Vec<String>,
}

/// What cannot be told without looking at files: what is well enough to start with, but will not work as it is.
///
/// # Errors
/// Every mistake, with the setting and the file that it is about.
pub fn check(config: &Config) -> Result<Vec<String>, Vec<String>> {
    let served = config.tls.as_ref().map(server::load).transpose();
    let mut mistakes = served.as_ref().err().cloned().unwrap_or_default();
    let opened = credential_keeper::open(&config.broker_client);
    mistakes.extend(opened.err().unwrap_or_default());
    if !config.crypto_keys.is_empty() {
        let keys = KeyFiles::new(config.crypto_keys.clone());
        mistakes.extend(keys.err().map(|error| error.to_string()));
    }
    match served {
        Ok(served) if mistakes.is_empty() => Ok(notes(config, served.as_ref())),
        _ => Err(mistakes),
    }
}

fn notes(config: &Config, served: Option<&Served>) -> Vec<String> {
    let invalid = served.and_then(|served| served.valid.check(runtime::wall_ms()).err());
    let own = invalid.map(|why| format!("webServicePortTls: {why}: clients will refuse it"));
    let missing = credentials::missing(&config.broker_client.proof);
    let missing = missing.map(|why| {
        format!("brokerClientAuthenticationParameters: {why}: as long as that is so no broker can be asked anything")
    });
    own.into_iter().chain(missing).collect()
}

/// Starts everything: finds the cluster, or starts the embedded broker where none is configured, one shard for each core, the acceptors.
///
/// # Errors
/// What the kernel refuses, with the remedy in the text, why the cluster cannot be found, or what is wrong with a file.
pub fn start(config: Config) -> io::Result<Running> {
    let ports = Ports::bind(&config)?;
    let tls = config.tls.clone();
    // Looked at before they are read: what changes in between is seen later.
    let watch = tls.as_ref().map(|tls| Watch::new(tls.files.paths()));
    let served = tls.as_ref().map(server::load).transpose();
    let served = served.map_err(together)?;
    let notes = [config.notes.clone(), notes(&config, served.as_ref())].concat();
    let opened = credential_keeper::open(&config.broker_client);
    let (source, idle_keeper) = opened.map_err(together)?;
    let (embedded, finder) = find_brokers(&config.brokers)?;
    let key_keeper = KeyKeeper::start(&config.crypto_keys)?;
    let granted = find_permissions(&config)?;
    let driver = runtime::driver::choose();
    let config = Arc::new(config);
    let entrance = Arc::new(Entrance::new(config.doors.bounds));
    let plan = ShardPlan {
        cores: config.cores.clone(),
        driver: driver.driver,
    };
    let (questions, vacant) = desk::open(config.authentication.as_ref()).unzip();
    let shards = runtime::shard::start(plan, {
        let equipment = Equipment {
            config: config.clone(),
            entrance,
            tls: served,
            finder,
            source,
            questions,
            key_keeper,
            granted,
        };
        move |context| run_shard(context, equipment.clone())
    })?;
    if let Some(keeper) = idle_keeper {
        keeper.start(shards.posts().to_vec())?;
    }
    if let Some(vacant) = vacant {
        vacant.occupy(shards.posts().to_vec())?;
    }
    let room = Room::find(&config, shards.count());
    let [accepting, accepting_tls] = ports.accept(&config, room, &shards)?;
    let renew = |(tls, watch)| Renewal::start(tls, watch, shards.posts().to_vec());
    let renewal = tls.zip(watch).map(renew).transpose()?;
    Ok(Running {
        accepting,
        accepting_tls,
        renewal,
        shards,
        embedded,
        driver,
        room,
        notes,
    })
}

fn together(mistakes: Vec<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, mistakes.join("; "))
}

impl Running {
    /// What it listens on for plain connections, if it does.
    pub fn address(&self) -> Option<SocketAddr> {
        self.accepting.as_ref().map(Accepting::local_addr)
    }

    /// What it listens on for TLS, if it does.
    pub fn address_tls(&self) -> Option<SocketAddr> {
        self.accepting_tls.as_ref().map(Accepting::local_addr)
    }

    /// The broker of this process, where none is configured.
    pub fn embedded(&self) -> Option<&Embedded> {
        self.embedded.as_ref()
    }

    /// How the shards wait for the kernel, and why not better.
    pub fn driver(&self) -> &Choice {
        &self.driver
    }

    /// What the operator should know of settings and files.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How many sockets there may be.
    pub fn room(&self) -> Room {
        self.room
    }

    /// A shard that ended by itself tells it here: the process should stop.
    pub fn ended(&self) -> flume::Receiver<runtime::Ended> {
        self.shards.ended()
    }

    /// The orderly end: no new connections, publishes in flight get their acks, every socket is told (1001).
    /// Returns when all is done, at the latest a little after `drainTimeoutMillis`.
    ///
    /// # Errors
    /// The shards that panicked.
    pub fn stop(self) -> Result<(), Vec<runtime::Ended>> {
        for accepting in [self.accepting, self.accepting_tls].into_iter().flatten() {
            accepting.stop();
        }
        drop(self.renewal);
        for index in 0..self.shards.count() {
            while self.shards.post(index, Post::Drain).is_err()
                && !self.shards.posts()[index].is_closed()
            {
                std::thread::yield_now();
            }
        }
        let result = self.shards.join();
        if let Some(embedded) = self.embedded {
            embedded.stop();
        }
        result
    }
}
