//! The keys of Java's gateway that do nothing here, each with the reason; and those that must not be ignored.
//!
//! The list is that of Pulsar 4.0.8: `conf/websocket.conf`, the fields of `WebSocketProxyConfiguration`, and the
//! properties that its authentication providers read beside them.

use super::{Key, Rule, Shape};

const THREADS: &str = "one pinned thread per CPU (cores) does all the work";
const HTTP: &str =
    "maxHttpServerConnections and handshakeTimeoutMillis bound what clients can take";
const STORE: &str = "the metadata store is read once, at the start";
const RUSTLS: &str = "TLS is rustls, whatever Java would load";
const STORES: &str = "is a key of brokers: this gateway's are brokerClient_useKeyStoreTls with brokerClient_tlsKeyStorePath, \
     brokerClient_tlsTrustStorePath and their passwords";
const PROVIDER: &str = "the provider that reads it is not served";

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
    refused(
        "cryptoKeyReaderFactoryClassName",
        Shape::Class,
        "",
        "which cannot be loaded: name the files of the keys with cryptoKeyDirectory, or with \
         cryptoPublicKeyFiles and cryptoPrivateKeyFiles",
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
    // Keys of brokers and of Pulsar's proxy: Java's gateway passes them over, and does without what they would protect.
    refused(
        "brokerClientTlsEnabledWithKeyStore",
        Shape::Boolean,
        "false",
        STORES,
    ),
    refused("brokerClientTlsKeyStore", Shape::Text, "", STORES),
    refused("brokerClientTlsTrustStore", Shape::Text, "", STORES),
    refused(
        "brokerClientTlsCiphers",
        Shape::Text,
        "",
        "is a key of brokers: this gateway's is brokerClient_tlsCiphers",
    ),
    refused(
        "brokerClientTlsProtocols",
        Shape::Text,
        "",
        "is a key of brokers: this gateway's is brokerClient_tlsProtocols",
    ),
    refused(
        "brokerClient_sslFactoryPlugin",
        Shape::Class,
        "org.apache.pulsar.common.util.DefaultPulsarSslFactory",
        "which cannot be loaded",
    ),
    // TLS.
    text("brokerClientSslProvider", RUSTLS),
    text("brokerClient_sslProvider", RUSTLS),
    ignored("tlsProvider", Shape::Text, "Conscrypt", RUSTLS),
];
