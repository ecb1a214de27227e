//! The thread that reads credentials and certificates for broker connections: files and issuers block. It is there where
//! something is to be read, and ends with the shards.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use super::fetch::Fetcher;
use super::lane::LaneKind;
use super::post::Post;
use crate::auth::Fetching;
use crate::config::BrokerClient;
use crate::credentials::{self, tls};
use crate::observe::seldom::Seldom;
use crate::pulsar::client::{ConnectionId, Credentials};
use crate::pulsar::{BrokerError, ErrorKind};
use crate::runtime;
use crate::tls::watch::Watch;

/// Connections of all shards that may wait for credentials: all of a large cluster's at once. The others try again.
const ASKS_MAX: usize = 16 * 1024;

/// Java's `DEFAULT_CONNECT_TIMEOUT_IN_SECONDS` and `DEFAULT_READ_TIMEOUT_IN_SECONDS` of its `TokenClient`.
const ISSUER_CONNECT_TIMEOUT_MS: u64 = 10_000;
const ISSUER_READ_TIMEOUT_MS: u64 = 30_000;

/// A connection that wants to show something.
pub struct Ask {
    pub shard: usize,
    pub lane: LaneKind,
    pub connection: ConnectionId,
}

/// Where a shard gets what its connections show, and by what they know brokers.
#[derive(Clone)]
pub struct Source {
    fixed: Option<Credentials>,
    /// None: there is nothing to be read.
    asks: Option<flume::Sender<Ask>>,
    /// None: no URL asks for TLS. Replaced by `Post::BrokerTls`.
    pub tls: Option<Arc<ClientConfig>>,
}

/// A keeper that does not work yet.
pub struct Idle {
    settings: BrokerClient,
    asks: flume::Receiver<Ask>,
}

/// # Errors
/// What is wrong with which files.
pub fn open(settings: &BrokerClient) -> Result<(Source, Option<Idle>), Vec<String>> {
    let told = |mistakes: Vec<String>| {
        let mistakes = mistakes.iter();
        mistakes
            .map(|why| format!("TLS towards the brokers: {why}"))
            .collect::<Vec<_>>()
    };
    let tls = match settings.tls.wanted {
        true => Some(tls::load(&settings.tls).map_err(told)?),
        false => None,
    };
    let mut source = Source {
        fixed: credentials::fixed(&settings.proof),
        asks: None,
        tls,
    };
    if source.fixed.is_some() && source.tls.is_none() {
        return Ok((source, None));
    }
    let (sender, asks) = flume::bounded(ASKS_MAX);
    source.asks = Some(sender);
    let settings = settings.clone();
    Ok((source, Some(Idle { settings, asks })))
}

impl Source {
    /// What the connection shows; None: it comes by `Post::Credentials`.
    pub fn take(&self, ask: Ask) -> Option<Result<Credentials, BrokerError>> {
        if let Some(fixed) = &self.fixed {
            return Some(Ok(fixed.clone()));
        }
        let asked = self.asks.as_ref().map(|asks| asks.try_send(ask));
        match asked {
            Some(Ok(())) => None,
            _ => Some(Err(unavailable())),
        }
    }
}

/// What clients hear; the log says more.
fn unavailable() -> BrokerError {
    BrokerError {
        kind: ErrorKind::Retryable,
        message: "the gateway's own credentials cannot be had".to_owned(),
    }
}

impl Idle {
    /// Starts to answer, and to look after the files.
    ///
    /// # Errors
    /// A thread cannot be had.
    pub fn start(self, shards: Vec<runtime::Post<Post>>) -> io::Result<()> {
        let fetcher = Fetcher::new(&Fetching {
            connect_timeout_ms: ISSUER_CONNECT_TIMEOUT_MS,
            read_timeout_ms: ISSUER_READ_TIMEOUT_MS,
            ..Fetching::default()
        });
        let fetcher = fetcher.map_err(io::Error::other)?;
        let fetch = move |url: &str, form: Option<&str>| fetcher.ask(url, form);
        let keeper = Keeper {
            reader: credentials::Reader::new(self.settings.proof.clone(), Box::new(fetch)),
            watch: Watch::new(self.settings.tls.paths()),
            failures: Seldom::default(),
            settings: self.settings,
            shards,
        };
        let thread = thread::Builder::new().name("credentials".to_owned());
        thread.spawn(move || keeper.keep(&self.asks)).map(drop)
    }
}

struct Keeper {
    settings: BrokerClient,
    reader: credentials::Reader,
    /// Of the files that TLS was made of.
    watch: Watch,
    failures: Seldom,
    shards: Vec<runtime::Post<Post>>,
}

impl Keeper {
    fn keep(mut self, asks: &flume::Receiver<Ask>) {
        let interval = Duration::from_millis(self.settings.tls.refresh_ms);
        let mut look_at = Instant::now() + interval;
        loop {
            match asks.recv_deadline(look_at) {
                Ok(ask) => self.answer(&ask),
                Err(flume::RecvTimeoutError::Timeout) => {
                    self.look();
                    look_at = Instant::now() + interval;
                }
                Err(flume::RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn answer(&mut self, ask: &Ask) {
        let now_ms = runtime::wall_ms();
        let result = self.reader.read(now_ms).map_err(|why| {
            if let Some(unsaid) = self.failures.due(now_ms, &why) {
                tracing::warn!(
                    why,
                    unsaid,
                    "this gateway has nothing to show to a broker: see brokerClientAuthenticationParameters"
                );
            }
            unavailable()
        });
        let post = Post::Credentials {
            lane: ask.lane,
            connection: ask.connection,
            result,
        };
        self.post(ask.shard, post);
    }

    /// New files count for new connections; what cannot be read leaves the old ones in use.
    fn look(&mut self) {
        if !self.settings.tls.wanted || !self.watch.has_changed() {
            return;
        }
        match tls::load(&self.settings.tls) {
            Ok(config) => {
                tracing::info!("new certificates towards the brokers are in use");
                for shard in 0..self.shards.len() {
                    self.post(shard, Post::BrokerTls(config.clone()));
                }
            }
            Err(mistakes) => tracing::warn!(
                why = mistakes.join("; "),
                "certificates towards the brokers have changed and cannot be used: the old ones stay"
            ),
        }
    }

    /// A shard's full mailbox is waited for: it empties its own at every turn.
    fn post(&self, shard: usize, post: Post) {
        let Some(shard) = self.shards.get(shard) else {
            return;
        };
        let mut batch = vec![post];
        while let Err(again) = shard.try_post(batch) {
            if shard.is_closed() {
                return;
            }
            batch = again;
            thread::yield_now();
        }
    }
}
