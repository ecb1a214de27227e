//! What every integration test stands on: a gateway in this process, a broker behind it, and real WebSocket clients.
//!
//! The broker is the embedded one, or with `PWS_TEST_BROKER=pulsar://…` (and `PWS_TEST_ADMIN=http://…`) a running
//! Apache Pulsar: the same tests run on both. Topics are named anew for every test and run.

pub mod admin;
pub mod certificates;
mod client;
pub mod deflating;
pub mod every_frame;
pub mod flow;
mod grants;
pub mod issuer;
mod neighbours;
pub mod on_broker;
pub mod process;
pub mod publisher;
pub mod raw;
mod relay;
pub mod secure;
pub mod signer;
pub mod tokens;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pws_fast::config::{self, Config, Place, Setting};
use pws_fast::embedded::{self, Embedded};
use pws_fast::gateway::{self, Running};
use pws_fast::runtime::Ended;

pub use admin::Admin;
pub use client::{
    Client, Closed, base64, http_get, id_fields, id_of, number, payload_of, query_value, take_from,
};
pub use neighbours::Neighbours;
pub use raw::Raw;
pub use relay::Relay;

/// A gateway and its broker, both gone when it is dropped.
pub struct World {
    gateway: Option<Running>,
    config: Config,
    embedded: Option<Embedded>,
    /// `http://host:port` of a real broker's admin service.
    admin_url: Option<String>,
    address: SocketAddr,
}

/// A gateway that has been told to stop.
pub struct Stopping(JoinHandle<Result<(), Vec<Ended>>>);

impl Stopping {
    /// Waits for its end.
    pub fn ended(self) {
        eventually("the gateway has stopped", || self.0.is_finished());
        let ended = self.0.join().expect("stopping does not panic");
        ended.expect("no shard panics");
    }
}

impl World {
    /// Two shards, defaults otherwise.
    pub fn start() -> World {
        World::with(&[])
    }

    /// With `key=value` settings as `--set` takes them.
    pub fn with(settings: &[&str]) -> World {
        World::with_options(embedded::Options::default(), settings)
    }

    /// The same; the options are the embedded broker's.
    pub fn with_options(options: embedded::Options, settings: &[&str]) -> World {
        match std::env::var("PWS_TEST_BROKER") {
            Ok(url) => {
                let admin = std::env::var("PWS_TEST_ADMIN");
                World::on_pulsar(
                    &url,
                    &admin.expect("PWS_TEST_ADMIN goes with PWS_TEST_BROKER"),
                    settings,
                )
            }
            Err(_) => World::embedded(options, settings),
        }
    }

    /// With a namespace (`tenant/namespace`) whose topics are deduplicated.
    pub fn deduplicating(namespace: &str) -> World {
        let options = embedded::Options {
            deduplication: true,
            ..embedded::Options::default()
        };
        let world = World::with_options(options, &[]);
        world.admin().create_deduplicated_namespace(namespace);
        world
    }

    /// On an embedded broker of its own, whatever the environment says: for tests that need its faults.
    pub fn embedded(options: embedded::Options, settings: &[&str]) -> World {
        let embedded = embedded::start(options).expect("the embedded broker starts");
        let url = embedded.service_url();
        World::on(&url, Some(embedded), None, settings)
    }

    /// On a broker that runs already, and its admin service. An empty URL: the settings have another way to it.
    pub fn on_pulsar(url: &str, admin_url: &str, settings: &[&str]) -> World {
        World::on(url, None, Some(admin_url.to_owned()), settings)
    }

    /// A second gateway on this one's broker.
    pub fn beside(&self) -> World {
        self.beside_with(&[])
    }

    /// With settings of its own, which may lead to the broker in another way.
    pub fn beside_with(&self, settings: &[&str]) -> World {
        World::on(&self.broker_url(), None, self.admin_url.clone(), settings)
    }

    /// `pulsar://host:port`.
    pub fn broker_url(&self) -> String {
        match &self.embedded {
            Some(embedded) => embedded.service_url(),
            None => std::env::var("PWS_TEST_BROKER").expect("no broker of its own"),
        }
    }

    /// `http://host:port` of its broker's web service.
    pub fn web_url(&self) -> String {
        match &self.embedded {
            Some(embedded) => embedded.serve_web().expect("a port"),
            None => self.admin_url.clone().expect("a real broker has one"),
        }
    }

    /// `host:port` of its broker.
    pub fn broker_host(&self) -> String {
        let url = self.broker_url();
        url.strip_prefix("pulsar://")
            .expect("a broker URL")
            .to_owned()
    }

    fn on(
        url: &str,
        embedded: Option<Embedded>,
        admin_url: Option<String>,
        settings: &[&str],
    ) -> World {
        let config = test_config(url, settings);
        let gateway = gateway::start(config.clone()).expect("the gateway starts");
        let address = listens_on(&gateway);
        World {
            gateway: Some(gateway),
            config,
            embedded,
            admin_url,
            address,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its TLS port.
    pub fn address_tls(&self) -> SocketAddr {
        let gateway = self.gateway.as_ref().expect("a gateway runs");
        gateway.address_tls().expect("there is a TLS port")
    }

    /// The broker's test handle. Panics on real Pulsar: use `World::embedded` for such tests.
    pub fn broker(&self) -> &Embedded {
        self.embedded
            .as_ref()
            .expect("a test that needs the embedded broker starts it itself")
    }

    pub fn admin(&self) -> Admin<'_> {
        match &self.embedded {
            Some(embedded) => Admin::Embedded(embedded),
            None => Admin::Http(self.admin_url.clone().expect("a real broker has one")),
        }
    }

    /// Messages that the broker has not seen acked; topic and subscription have to be there.
    pub fn backlog(&self, topic: &str, subscription: &str) -> u64 {
        let stats = self.admin().stats(topic).expect("the topic is there");
        let subscription = stats.subscription(subscription);
        subscription.expect("the subscription is there").backlog
    }

    /// How many consumers the broker knows of; 0 where there is no such subscription of the topic.
    pub fn consumers(&self, topic: &str, subscription: &str) -> usize {
        let stats = self.admin().stats(topic).expect("the topic is there");
        let subscription = stats.subscription(subscription);
        subscription.map_or(0, |subscription| subscription.consumers)
    }

    /// Opens a socket; panics with the answer when it is refused.
    pub fn open(&self, path: &str) -> Client {
        Client::open(self.address, path)
            .unwrap_or_else(|(status, body)| panic!("{path}: {status} {body}"))
    }

    /// The status and body with which the handshake is refused.
    pub fn refused(&self, path: &str) -> (u16, String) {
        match Client::open(self.address, path) {
            Ok(_) => panic!("{path}: was let in"),
            Err(refusal) => refusal,
        }
    }

    pub fn producer(&self, topic: &str) -> Client {
        self.open(&format!(
            "/ws/v2/producer/persistent/public/default/{topic}"
        ))
    }

    pub fn consumer(&self, topic: &str, subscription_and_query: &str) -> Client {
        self.open(&format!(
            "/ws/v2/consumer/persistent/public/default/{topic}/{subscription_and_query}"
        ))
    }

    pub fn reader(&self, topic_and_query: &str) -> Client {
        self.open(&format!(
            "/ws/v2/reader/persistent/public/default/{topic_and_query}"
        ))
    }

    pub fn stop_gateway(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop().expect("no shard panics");
        }
    }

    /// Begins to stop the gateway, as a signal does; clients can see it happen.
    pub fn begin_stop(&mut self) -> Stopping {
        let gateway = self.gateway.take().expect("a gateway runs");
        Stopping(std::thread::spawn(|| gateway.stop()))
    }

    /// The next gateway, on the same broker.
    pub fn start_gateway(&mut self) {
        let gateway = gateway::start(self.config.clone()).expect("the gateway starts");
        self.address = listens_on(&gateway);
        self.gateway = Some(gateway);
    }
}

/// The plain port where there is one.
fn listens_on(gateway: &Running) -> SocketAddr {
    let address = gateway.address().or(gateway.address_tls());
    address.expect("there is a port")
}

/// Two shards (on one CPU where there is only one), any free port, and `key=value` settings as `--set` takes them.
fn test_config(broker: &str, settings: &[&str]) -> Config {
    let setting = |key: &str, value: &str| Setting {
        key: key.to_owned(),
        value: value.to_owned(),
        place: Place::Flag("--set"),
    };
    let mut all = vec![
        setting("brokerServiceUrl", broker),
        setting("webServicePort", "0"),
    ];
    all.extend(settings.iter().map(|text| {
        let (key, value) = text.split_once('=').expect("key=value");
        setting(key, value)
    }));
    let mut config = config::load(None, all).expect("the test's settings are right");
    let first = config.cores[0];
    let second = config.cores.get(1).copied().unwrap_or(first);
    config.cores = vec![first, second];
    config
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop_gateway();
        if let Some(embedded) = self.embedded.take() {
            embedded.stop();
        }
    }
}

/// A topic name that no other test and no other run uses.
pub fn topic(name: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("the clock is past 1970");
    format!(
        "{name}-{:x}-{}-{}",
        now.as_millis(),
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed)
    )
}

/// Long enough for a loaded machine and a broker that restarts; what takes longer will not happen.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// Waits until it is so.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        pause(Duration::from_millis(2));
    }
}

#[expect(clippy::disallowed_methods, reason = "the test's thread, no shard")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}
