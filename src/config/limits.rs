//! The defaults and ranges of the settings, each with the reason for the number.

/// Java's `webServicePort`.
pub const PORT: u16 = 8080;

/// The ports of broker URLs that name none: Pulsar's own defaults for `pulsar://` and `pulsar+ssl://`.
pub const BROKER_PORT: u16 = 6650;
pub const BROKER_TLS_PORT: u16 = 6651;

/// Java's `metadataStoreSessionTimeoutMillis`: also how long the start waits for a metadata store that does not answer.
pub const STORE_SESSION_TIMEOUT_MS: u64 = 30_000;

/// Java's `webSocketMaxTextFrameSize`: 1 MiB of text is about 768 KiB of payload in base64.
pub const TEXT_FRAME_BYTES: usize = 1024 * 1024;

/// Java's `webSocketSessionIdleTimeoutMillis`, and Jetty's own timeout, which Java falls back to for 0 and less.
pub const IDLE_TIMEOUT_MS: u64 = 300_000;

/// What 0 (no limit) means for `maxHttpServerConnections`, and the default without a file: Linux's `fs.nr_open` is
/// 1,048,576 by default, so that no process has more descriptors.
pub const CONNECTIONS_MAX: usize = 1 << 20;

/// Java's `tlsCertRefreshCheckDurationSec`.
pub const TLS_REFRESH_MS: u64 = 300_000;

/// `maxHttpServerConnections` as Pulsar's file ships it: worth a note, because it stops sockets early.
pub const CONNECTIONS_SHIPPED: usize = 2048;

/// `webSocketConnectionsPerBroker` in all; more sockets than this to one broker only cost it memory.
pub const CONNECTIONS_PER_BROKER_MAX: u64 = 1024;

/// A client has this long for its whole upgrade request. A phone on a bad line needs a few round trips of a second;
/// a client that trickles bytes must not hold a socket for long.
pub const HANDSHAKE_TIMEOUT_MS: u64 = 10_000;

/// After a signal, sockets get this long to finish: below the 10 s after which `docker stop` kills.
pub const DRAIN_TIMEOUT_MS: u64 = 8_000;

/// The Java client's `connectionTimeoutMs`: with several service URLs a dead one costs so much.
pub const CONNECTION_TIMEOUT_MS: u64 = 10_000;

/// The broker's `authenticationRefreshCheckSeconds`: a client has a minute to get a new token.
pub const AUTHENTICATION_REFRESH_MS: u64 = 60_000;
/// A grant that is taken back ends what lives on it within this time. Each shard reads each record in use twice as often:
/// a thousand namespaces on 16 shards are a thousand requests a second to the admin API at 30 s, ten times as many at 3 s.
pub const AUTHORIZATION_CACHE_MS: u64 = 30_000;

/// What one hub retains of unsettled messages: a full window of 40,000 messages of about 1.6 KiB.
pub const HUB_RETAINED_BYTES: usize = 64 * 1024 * 1024;

/// What a topic's log of frames for its readers holds: 60 s of 3,000 messages of 300 bytes a second.
pub const TAIL_LOG_BYTES: usize = 64 * 1024 * 1024;

/// What all those logs hold in the process: 16 busy topics.
pub const TAIL_LOGS_BYTES: usize = 1024 * 1024 * 1024;

/// Readers that fell off the log are caught up from the broker this many at a time: each costs the broker a consumer and
/// a window of messages, and the others lose nothing but time.
pub const CATCH_UP_READERS: usize = 1000;

/// The most that may be asked for.
pub const CATCH_UP_READERS_MAX: u64 = 1 << 20;

/// What one producer socket may have unconfirmed before it is no longer read: 10 ms of broker latency at 100 MB/s.
/// One message may exceed it, so that a large one can pass.
pub const PRODUCER_PENDING_BYTES: usize = 1024 * 1024;

/// What the producers of one shard may have unconfirmed together: the Java client's `memoryLimit` of 64 MB.
pub const UPSTREAM_PENDING_BYTES: usize = 64 * 1024 * 1024;

/// A socket that has this much unsent gets no more messages until it has taken some: 10 Gbit/s times 0.2 ms, so that a
/// fast client never waits for the gateway. What is unsent is bounded by this plus one message.
pub const SOCKET_UNSENT_BYTES: usize = 256 * 1024;

/// The Java client's `operationTimeoutMs`: lookups, creates and subscribes.
pub const OPERATION_TIMEOUT_MS: u64 = 30_000;

/// The Java client's `autoUpdatePartitionsInterval` and `patternAutoDiscoveryPeriod`.
pub const TOPICS_UPDATE_MS: u64 = 60_000;

/// The Java client's `keepAliveIntervalSeconds`.
pub const KEEP_ALIVE_MS: u64 = 30_000;

/// The Java client's `initialBackoffIntervalNanos` and `maxBackoffIntervalNanos`.
pub const BACKOFF_FIRST_MS: u64 = 100;
pub const BACKOFF_LAST_MS: u64 = 60_000;

/// The longest time a setting may ask for, about 24 days: Java's keys are ints of milliseconds, and some set the
/// largest one to mean "never".
pub const TIME_MAX_MS: u64 = i32::MAX as u64;

/// The longest message a client may be allowed: Java's key is an int.
pub const TEXT_FRAME_BYTES_MAX: u64 = i32::MAX as u64;

/// The largest byte bound a setting may ask for: beyond a tebibyte it is a slip.
pub const BYTES_MAX: u64 = 1 << 40;

/// The smallest byte bound: below a page nothing useful passes.
pub const BYTES_MIN: u64 = 4096;

/// The largest settings file that is read: the shipped one has 7 KB.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The Java client's `autoCertRefreshSeconds`.
pub const BROKER_TLS_REFRESH_MS: u64 = 300_000;

/// A web service's port with TLS: Pulsar's own `webServicePortTls`.
pub const WEB_PORT_TLS: u16 = 8443;

/// Brokers in one `brokerServiceUrl`: Java has no bound; lists seen in the field have a handful.
pub const BROKERS_MAX: usize = 256;
