//! The keys of Java's gateway that do nothing here, each with the reason; and those that must not be ignored.
//!
//! The list is that of Pulsar 4.0.8: `conf/websocket.conf`, the fields of `WebSocketProxyConfiguration`, and the
//! properties that its authentication providers read beside them.

use super::{Key, Rule, Shape};

const THREADS: &str = "one pinned thread per CPU (cores) does all the work";
const HTTP: &str =
    "maxHttpServerConnections and handshakeTimeoutMillis bound what clients can take";
const STORE: &str = "the metadata store is read once, at the start";
const TLS: &str = "it only matters with TLS towards the brokers, which is not served yet";
const PROVIDER: &str = "the provider that reads it is not served";

const NO_TLS_CLIENT: &str =
    "TLS towards the brokers is not served yet, and plain text is not a substitute for it";
const NO_CREDENTIALS: &str = "credentials towards the brokers are not served yet, and connecting without them is not \
                              what this asks for";
const NO_AUTHORIZATION: &str =
    "permissions cannot be checked yet, and granting everything is not a substitute";
const fn text(name: &'static str, why: &'static str) -> Key {
    ignored(name, Shape::Text, "", why)
}

const fn ignored(
    name: &'static str,
    shape: Shape,
    shipped: &'static str,
    why: &'static str,
) -> Key {
    let rule = Rule::Ignored {
        shape,
        shipped,
        why,
    };
    Key { name, rule }
}

const fn refused(name: &'static str, shape: Shape, off: &'static str, why: &'static str) -> Key {
    let rule = Rule::Refused { shape, off, why };
    Key { name, rule }
}

pub(super) const KEYS: &[Key] = &[
    // What would protect something.
    refused(
        "authorizationEnabled",
        Shape::Boolean,
        "false",
        NO_AUTHORIZATION,
    ),
    // Java's name of old for the next.
    refused("tlsEnabled", Shape::Boolean, "false", NO_TLS_CLIENT),
    refused(
        "brokerClientTlsEnabled",
        Shape::Boolean,
        "false",
        NO_TLS_CLIENT,
    ),
    refused(
        "brokerClient_useTls",
        Shape::Boolean,
        "false",
        NO_TLS_CLIENT,
    ),
    refused(
        "brokerClientAuthenticationPlugin",
        Shape::Text,
        "",
        NO_CREDENTIALS,
    ),
    refused(
        "brokerClientAuthenticationParameters",
        Shape::Text,
        "",
        NO_CREDENTIALS,
    ),
    refused(
        "brokerClient_authPluginClassName",
        Shape::Text,
        "",
        NO_CREDENTIALS,
    ),
    refused("brokerClient_authParams", Shape::Text, "", NO_CREDENTIALS),
    // Threads and queues of a thread pool.
    ignored("webSocketNumIoThreads", Shape::Whole, "", THREADS),
    ignored("webSocketNumServiceThreads", Shape::Whole, "", THREADS),
    ignored("numHttpServerThreads", Shape::Whole, "", THREADS),
    ignored(
        "httpServerThreadPoolQueueSize",
        Shape::Whole,
        "8192",
        THREADS,
    ),
    ignored("httpServerAcceptQueueSize", Shape::Whole, "8192", HTTP),
    ignored("maxConcurrentHttpRequests", Shape::Whole, "1024", HTTP),
    ignored(
        "webSocketPulsarClientMemoryLimitInMB",
        Shape::Whole,
        "0",
        "upstreamPendingBytes and hubRetainedBytes bound this memory",
    ),
    // The metadata store.
    ignored(
        "metadataStoreCacheExpirySeconds",
        Shape::Whole,
        "300",
        STORE,
    ),
    ignored("zooKeeperCacheExpirySeconds", Shape::Whole, "-1", STORE),
    // HTTP beside the sockets.
    text("statusFilePath", "/status.html is not served yet"),
    ignored(
        "webServiceLogDetailedAddresses",
        Shape::Boolean,
        "",
        "the log tells clients' addresses where it tells of requests: at the level debug",
    ),
    // End-to-end encryption.
    text(
        "cryptoKeyReaderFactoryClassName",
        "Java classes cannot be loaded: name the files of the keys with cryptoKeyDirectory, or with cryptoPublicKeyFiles and cryptoPrivateKeyFiles",
    ),
    // Who may connect.
    text("athenzDomainNames", PROVIDER),
    text("saslJaasClientAllowedIds", PROVIDER),
    text("saslJaasServerSectionName", PROVIDER),
    text("saslJaasServerRoleTokenSignerSecretPath", PROVIDER),
    ignored(
        "openIDCacheSize",
        Shape::Whole,
        "5",
        "the keys of every allowed issuer are kept",
    ),
    // TLS.
    text("brokerClientTrustCertsFilePath", TLS),
    ignored(
        "tlsHostnameVerificationEnabled",
        Shape::Boolean,
        "false",
        TLS,
    ),
    ignored(
        "tlsProvider",
        Shape::Text,
        "Conscrypt",
        "TLS is rustls, whatever Java would load",
    ),
];
