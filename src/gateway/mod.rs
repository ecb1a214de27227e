//! The gateway as a whole: its shards, what each owns, and how the effects of the sans-IO rooms are carried out.
//!
//! | file | what it does |
//! |---|---|
//! | this one | starts shards and acceptor, stops them |
//! | [`shard`] | one shard's state and its turn |
//! | `connection` | the life of one client connection |
//! | `arrivals` | limits, proxies, `Origin`: before it is looked at what somebody wants |
//! | `certificates` | certificates: clients' own, and TLS files that change meanwhile |
//! | `begin` | from an upgrade request to a session |
//! | `identities` | who the clients are |
//! | `desk`, `fetch` | threads for credentials that take long, and for what issuers publish |
//! | `permissions`, `rights` | what the clients may do, and what a request needs |
//! | `principals` | in whose names broker connections are |
//! | `sockets`, `sessions`, `socket_timers` | the table of sockets, what happens to one, its timer |
//! | `publish` | the publishing lane's answers |
//! | `pressure` | when a socket is not read for now |
//! | `readers`, `catch_up` | reader sockets: in the log of their topic, and on the way to it |
//! | `tails`, `tail_sends`, `tail_homes` | this shard's logs, what goes out of them, and what feeds those of all shards |
//! | `hubs`, `hub_places`, `hub_effects` | this shard's hubs, their table, and the way of their effects |
//! | `siblings` | which of the hubs of one subscription a socket joins, and which of them holds a message |
//! | `dead_letters` | producers of dead-letter topics, for the hubs |
//! | `encryption`, `key_keeper`, `key_files` | keys of end-to-end encryption: who asks for them, the thread that has them, their files |
//! | `topics` | what is asked about topics, and the watch for new partitions |
//! | `lane`, `keeper` | broker connections; who reads what they show |
//! | `post`, `links` | what shards say to each other |
//! | `drain` | the orderly end |
//!
//! It must not know frames, JSON or Pulsar commands: those are the other rooms'.
#![forbid(unsafe_code)]

mod arrivals;
mod begin;
mod catch_up;
mod certificates;
mod connection;
mod dead_letters;
mod desk;
mod drain;
mod encryption;
mod fetch;
mod hub_effects;
mod hub_places;
mod hubs;
mod identities;
mod keeper;
mod key_files;
mod key_keeper;
mod lane;
mod links;
mod permissions;
mod post;
mod pressure;
mod principals;
mod publish;
mod reader_seek;
mod readers;
mod rights;
mod sessions;
pub mod shard;
mod siblings;
mod socket_timers;
mod sockets;
mod tail_homes;
mod tail_sends;
mod tails;
mod topics;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::cluster;
use crate::cluster::records::RecordReader;
use crate::config::{Authorization, Brokers, Config, PermissionSource};
use crate::doors::Entrance;
use crate::embedded::{self, Embedded};
use crate::http::response;
use crate::pulsar::client::{BrokerAddress, Client, ClientConfig, LookupBy};
use crate::runtime::acceptor::{AcceptPlan, Accepting};
use crate::runtime::driver::Choice;
use crate::runtime::{self, Accepted, Acceptor, Seats, ShardContext, ShardPlan, Shards};
use crate::tls::server::{self, Served};
use crate::tls::watch::Watch;
use certificates::Renewal;
use desk::Questions;
use keeper::Source;
use key_keeper::KeyKeeper;
use lane::{Lane, LaneKind};
use permissions::{Permissions, Store};
use post::Post;
use shard::{Shard, ShardRef};

/// Connections that may wait in the kernel while the acceptor is busy: a whole fleet reconnects at once.
const ACCEPT_BACKLOG: u32 = 4096;

/// A started gateway.
pub struct Running {
    /// The plain port.
    accepting: Option<Accepting>,
    accepting_tls: Option<Accepting>,
    renewal: Option<Renewal>,
    shards: Shards<Post>,
    embedded: Option<Embedded>,
    driver: Choice,
}

/// What cannot be told without looking at files.
///
/// # Errors
/// A sentence that names the file.
pub fn check(config: &Config) -> Result<(), String> {
    if let Some(settings) = &config.tls {
        server::load(settings)?;
    }
    let (_, idle) = keeper::open(&config.broker_client).map_err(|error| error.to_string())?;
    drop(idle);
    Ok(())
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
    let served = served.map_err(io::Error::other)?;
    let (source, idle_keeper) = keeper::open(&config.broker_client)?;
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
    let [accepting, accepting_tls] = ports.accept(&config, &shards)?;
    let renew = |(tls, watch)| Renewal::start(tls, watch, shards.posts().to_vec());
    let renewal = tls.zip(watch).map(renew).transpose()?;
    Ok(Running {
        accepting,
        accepting_tls,
        renewal,
        shards,
        embedded,
        driver,
    })
}

/// The ports, bound and not accepting yet.
struct Ports {
    plain: Option<Acceptor>,
    tls: Option<Acceptor>,
}

impl Ports {
    fn bind(config: &Config) -> io::Result<Ports> {
        let bind = |port| Acceptor::bind(SocketAddr::new(config.bind, port), ACCEPT_BACKLOG);
        let is_alone = config.tls.as_ref().is_some_and(|tls| tls.alone);
        Ok(Ports {
            plain: (!is_alone).then(|| bind(config.port)).transpose()?,
            tls: config.tls.as_ref().map(|tls| bind(tls.port)).transpose()?,
        })
    }

    /// The plain one first. Both count the same connections.
    fn accept(self, config: &Config, shards: &Shards<Post>) -> io::Result<[Option<Accepting>; 2]> {
        let plan = AcceptPlan {
            core: config.cores.first().copied(),
            max_connections: config.max_connections,
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

/// Whom to ask where topics are.
#[derive(Clone)]
struct Finder {
    lookup_by: LookupBy,
    service_urls: Vec<BrokerAddress>,
}

fn find_brokers(brokers: &Brokers) -> io::Result<(Option<Embedded>, Finder)> {
    match brokers {
        Brokers::ServiceUrls(urls) => {
            let urls = urls.iter().map(|url| (url.host.clone(), url.port, url.tls));
            Ok((None, finder(LookupBy::Broker, urls)))
        }
        Brokers::WebServices(urls) => {
            let urls = urls.iter().map(|url| (url.host.clone(), url.port, url.tls));
            Ok((None, finder(LookupBy::Http, urls)))
        }
        Brokers::InStore(store) => {
            let found = cluster::find(store)?;
            tracing::info!(cluster = store.cluster, "the cluster is at {found}");
            find_brokers(&found)
        }
        Brokers::Embedded => {
            let embedded = embedded::start(embedded::Options::default())?;
            let address = embedded.address();
            let urls = [(address.ip().to_string(), address.port(), false)];
            Ok((Some(embedded), finder(LookupBy::Broker, urls.into_iter())))
        }
    }
}

/// Whom to ask what clients may do: nobody, where the gateway does not decide; or the metadata store.
fn find_permissions(config: &Config) -> io::Result<(Finder, Option<RecordReader>)> {
    let nobody = || finder(LookupBy::Http, std::iter::empty());
    let Some(Authorization::Gateway(permissions)) = &config.authorization else {
        return Ok((nobody(), None));
    };
    match &permissions.source {
        PermissionSource::WebServices(urls) => {
            let urls = urls.iter().map(|url| (url.host.clone(), url.port, url.tls));
            Ok((finder(LookupBy::Http, urls), None))
        }
        PermissionSource::Store(store) => Ok((nobody(), Some(RecordReader::start(store)?))),
    }
}

fn finder(lookup_by: LookupBy, urls: impl Iterator<Item = (String, u16, bool)>) -> Finder {
    let service_urls = urls.map(|(host, port, tls)| BrokerAddress { host, port, tls });
    Finder {
        lookup_by,
        service_urls: service_urls.collect(),
    }
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

/// What every shard has a copy of.
#[derive(Clone)]
struct Equipment {
    config: Arc<Config>,
    entrance: Arc<Entrance>,
    tls: Option<Served>,
    finder: Finder,
    source: Source,
    questions: Option<Questions>,
    key_keeper: Option<KeyKeeper>,
    granted: (Finder, Option<RecordReader>),
}

/// One shard's life.
async fn run_shard(context: ShardContext<Post>, equipment: Equipment) {
    let Equipment {
        config,
        entrance,
        tls,
        finder,
        source,
        questions,
        key_keeper,
        granted,
    } = equipment;
    let ShardContext {
        index,
        mut inbox,
        peers,
        ..
    } = context;
    let lane = |kind, finder: &Finder| {
        Lane::new(
            kind,
            index,
            source.clone(),
            config.upstream_pending_bytes,
            Client::new(client_config(&config, finder.clone(), fastrand::u64(..))),
        )
    };
    let (administration, store) = granted;
    let lanes = [
        lane(LaneKind::Publishing, &finder),
        lane(LaneKind::Consuming, &finder),
        lane(LaneKind::Administration, &administration),
    ];
    let store = store.map(|reader| Store {
        reader,
        mailbox: peers[index].clone(),
    });
    let permissions = match &config.authorization {
        Some(Authorization::Gateway(permissions)) => {
            Some(Box::new(Permissions::new(permissions, store)))
        }
        _ => None,
    };
    let mut shard = Shard::new(index, config.clone(), entrance, tls, peers, lanes);
    shard.identities.desk = questions;
    shard.key_keeper = key_keeper;
    shard.permissions = permissions;
    let shard = ShardRef::new(shard);
    runtime::spawn(shard.clone().run_timers());
    if config.busy_poll {
        runtime::spawn(runtime::turn::spin());
    }
    while let Some(batch) = inbox.recv().await {
        let ended = shard.gather(|shard_now, now_ms| {
            for post in batch {
                match post {
                    Post::Accepted(accepted) => {
                        connection::accept(shard.clone(), accepted, None);
                    }
                    Post::AcceptedTls(accepted) => {
                        connection::accept(shard.clone(), accepted, shard_now.tls.as_ref());
                    }
                    post => shard_now.on_post(now_ms, post),
                }
            }
            shard_now.is_drained()
        });
        if ended {
            break;
        }
    }
    shard.finish().await;
}

/// Each client begins with a service URL of its own choice, as in Java: the lookups of many spread over the brokers.
fn client_config(config: &Config, finder: Finder, seed: u64) -> ClientConfig {
    let Finder {
        lookup_by,
        mut service_urls,
    } = finder;
    let urls = service_urls.len().max(1) as u64;
    service_urls.rotate_left((seed % urls) as usize);
    ClientConfig {
        service_urls,
        lookup_by,
        connections_per_broker: config.connections_per_broker,
        connection_timeout_ms: config.connection_timeout_ms,
        operation_timeout_ms: config.operation_timeout_ms,
        keep_alive_ms: config.keep_alive_ms,
        backoff_first_ms: config.backoff_first_ms,
        backoff_last_ms: config.backoff_last_ms,
        seed,
    }
}
