//! The keys that take effect: those shared with Java's gateway, and this gateway's own.

use std::fmt::Write;

#[cfg(test)]
use super::broker_client;
use super::{Draft, Key, Rule, doors};
use crate::config::{UpstreamMode, cluster, crypto_keys, limits, values};

/// A key that Java's gateway does not have, with what `--help` says of it.
pub(super) struct OwnKey {
    pub(super) key: Key,
    pub(super) default: fn() -> String,
    pub(super) help: &'static str,
}

pub(super) const fn sets(
    name: &'static str,
    set: fn(&mut Draft, &str) -> Result<(), String>,
) -> Key {
    Key {
        name,
        rule: Rule::Sets(set),
    }
}

pub(super) const JAVA: &[Key] = &[
    sets("webServicePort", |d, v| {
        d.config.port = values::port(v)?;
        Ok(())
    }),
    sets("bindAddress", |d, v| {
        d.config.bind = values::bind_address(v)?;
        Ok(())
    }),
    sets("brokerServiceUrl", |d, v| {
        d.ways.brokers = values::brokers(v)?;
        Ok(())
    }),
    sets("serviceUrl", |d, v| {
        d.ways.web_services = cluster::web_services(v)?;
        Ok(())
    }),
    sets("serviceUrlTls", |d, v| {
        let addresses = cluster::web_services(v)?;
        if addresses.iter().any(|address| !address.tls) {
            return Err("is not an https:// URL".into());
        }
        d.ways.web_services_tls = addresses;
        Ok(())
    }),
    sets("brokerServiceUrlTls", |d, v| {
        let brokers = values::brokers(v)?;
        if brokers.iter().any(|broker| !broker.tls) {
            return Err("is not a pulsar+ssl:// URL".into());
        }
        d.ways.brokers_tls = brokers;
        Ok(())
    }),
    sets("clusterName", |d, v| {
        if v.contains('/') || v.chars().any(char::is_control) {
            return Err("is not the name of a cluster".into());
        }
        d.ways.cluster = Some(v.to_owned());
        Ok(())
    }),
    sets("configurationMetadataStoreUrl", |d, v| {
        d.ways.store[0] = Some(cluster::store(v)?);
        Ok(())
    }),
    sets("configurationStoreServers", |d, v| {
        d.ways.store[1] = Some(cluster::store(v)?);
        Ok(())
    }),
    sets("globalZookeeperServers", |d, v| {
        d.ways.store[2] = Some(cluster::store(v)?);
        Ok(())
    }),
    sets("metadataStoreSessionTimeoutMillis", |d, v| {
        d.ways.session_timeout_ms = values::within(v, 1..=limits::TIME_MAX_MS)?;
        Ok(())
    }),
    sets("zooKeeperSessionTimeoutMillis", |d, v| {
        d.ways.old_session_timeout_ms = positive(values::whole(v)?);
        Ok(())
    }),
    sets("webSocketMaxTextFrameSize", |d, v| {
        d.config.max_text_frame_bytes =
            values::within(v, 1..=limits::TEXT_FRAME_BYTES_MAX)? as usize;
        Ok(())
    }),
    sets("webSocketSessionIdleTimeoutMillis", |d, v| {
        // Java hands only positive values to Jetty, whose own default is the same five minutes.
        d.config.idle_timeout_ms = positive(values::whole(v)?).unwrap_or(limits::IDLE_TIMEOUT_MS);
        Ok(())
    }),
    sets("webSocketPingDurationSeconds", |d, v| {
        d.config.ping_interval_ms = positive(values::whole(v)?.saturating_mul(1000));
        Ok(())
    }),
    sets("webSocketConnectionsPerBroker", |d, v| {
        d.connections_per_broker_total =
            values::within(v, 1..=limits::CONNECTIONS_PER_BROKER_MAX)? as usize;
        Ok(())
    }),
    sets("maxHttpServerConnections", |d, v| {
        let most = limits::CONNECTIONS_MAX;
        d.config.max_connections =
            positive(values::whole(v)?).map_or(most, |n| most.min(n as usize));
        Ok(())
    }),
    sets("brokerClient_operationTimeoutMs", |d, v| {
        d.config.operation_timeout_ms = values::within(v, 1..=limits::TIME_MAX_MS)?;
        Ok(())
    }),
    // Java lays these over the gateway's own keys.
    sets("brokerClient_connectionsPerBroker", |d, v| {
        d.client_connections_per_broker =
            Some(values::within(v, 1..=limits::CONNECTIONS_PER_BROKER_MAX)? as usize);
        Ok(())
    }),
    sets("brokerClient_connectionTimeoutMs", |d, v| {
        d.config.connection_timeout_ms = values::within(v, 1..=limits::TIME_MAX_MS)?;
        Ok(())
    }),
    sets("brokerClient_keepAliveIntervalSeconds", |d, v| {
        d.config.keep_alive_ms = 1000 * values::within(v, 1..=limits::TIME_MAX_MS / 1000)?;
        Ok(())
    }),
    sets("brokerClient_initialBackoffIntervalNanos", |d, v| {
        d.config.backoff_first_ms = nanos_as_ms(v)?;
        Ok(())
    }),
    sets("brokerClient_maxBackoffIntervalNanos", |d, v| {
        d.config.backoff_last_ms = nanos_as_ms(v)?;
        Ok(())
    }),
];

pub(super) const OWN: &[OwnKey] = &[
    OwnKey {
        key: sets("cryptoKeyDirectory", |d, v| {
            d.config.crypto_keys.directory = Some(v.into());
            Ok(())
        }),
        default: || "none".into(),
        help: "where the keys of end-to-end encryption are: <name>.public.pem, <name>.private.pem",
    },
    OwnKey {
        key: sets("cryptoPublicKeyFiles", |d, v| {
            d.config.crypto_keys.public_files = crypto_keys::files(v)?;
            Ok(())
        }),
        default: || "none".into(),
        help: "public keys elsewhere: name=/path.pem,…",
    },
    OwnKey {
        key: sets("cryptoPrivateKeyFiles", |d, v| {
            d.config.crypto_keys.private_files = crypto_keys::files(v)?;
            Ok(())
        }),
        default: || "none".into(),
        help: "private keys elsewhere: name=/path.pem,…",
    },
    OwnKey {
        key: sets("cores", |d, v| {
            d.config.cores = values::cpu_list(v)?;
            Ok(())
        }),
        default: || "all that it may use".into(),
        help: "CPUs to run on, one shard pinned to each: 0-3,8",
    },
    OwnKey {
        key: sets("upstream", |d, v| {
            d.config.upstream = match v {
                "shared" => UpstreamMode::Shared,
                "per-socket" => UpstreamMode::PerSocket,
                _ => return Err("is not shared or per-socket".into()),
            };
            Ok(())
        }),
        default: || "shared".into(),
        help: "whether sockets share upstream consumers",
    },
    OwnKey {
        key: sets("authorization", |d, v| {
            d.authorization.by_broker = match v {
                "gateway" => false,
                "broker" => true,
                _ => return Err("is not gateway or broker".into()),
            };
            Ok(())
        }),
        default: || "gateway".into(),
        help: "who decides what clients may do: the gateway, or the broker, which is then shown every client's own credentials",
    },
    OwnKey {
        key: sets(super::broker_client::FORWARDS, |d, v| {
            d.authorization.forwards = values::boolean(v)?;
            Ok(())
        }),
        default: || "false".into(),
        help: "with authorization=broker: the gateway shows its own credentials, and its clients' beside, as Pulsar's proxy",
    },
    OwnKey {
        key: sets("authorizationCacheMillis", |d, v| {
            d.authorization.cache_ms = values::within(v, 1..=limits::TIME_MAX_MS)?;
            Ok(())
        }),
        default: || limits::AUTHORIZATION_CACHE_MS.to_string(),
        help: "a grant that is taken back ends what lives on it within this time",
    },
    OwnKey {
        key: sets("topicsUpdateMillis", |d, v| {
            d.config.topics_update_ms = values::within(v, 1..=limits::TIME_MAX_MS)?;
            Ok(())
        }),
        default: || limits::TOPICS_UPDATE_MS.to_string(),
        help: "how often new partitions, and new topics of a pattern, are looked for",
    },
    OwnKey {
        key: sets("handshakeTimeoutMillis", |d, v| {
            d.config.handshake_timeout_ms = values::within(v, 1..=limits::TIME_MAX_MS)?;
            Ok(())
        }),
        default: || limits::HANDSHAKE_TIMEOUT_MS.to_string(),
        help: "time a client has for its upgrade request",
    },
    OwnKey {
        key: sets("drainTimeoutMillis", |d, v| {
            d.config.drain_timeout_ms = values::within(v, 0..=limits::TIME_MAX_MS)?;
            Ok(())
        }),
        default: || limits::DRAIN_TIMEOUT_MS.to_string(),
        help: "time that sockets have to finish after SIGTERM or SIGINT",
    },
    OwnKey {
        key: sets("hubRetainedBytes", |d, v| {
            d.config.hub_retained_bytes = bytes(v)?;
            Ok(())
        }),
        default: || limits::HUB_RETAINED_BYTES.to_string(),
        help: "unsettled messages kept per subscription; more are not asked for",
    },
    OwnKey {
        key: sets("tailLogBytes", |d, v| {
            d.config.tail_log_bytes = bytes(v)?;
            Ok(())
        }),
        default: || limits::TAIL_LOG_BYTES.to_string(),
        help: "frames kept per topic for readers that are behind; who lacks older ones reads them from the broker",
    },
    OwnKey {
        key: sets("tailLogsBytes", |d, v| {
            d.config.tail_logs_bytes = bytes(v)?;
            Ok(())
        }),
        default: || limits::TAIL_LOGS_BYTES.to_string(),
        help: "the same for all topics of the process",
    },
    OwnKey {
        key: sets("busyPoll", |d, v| {
            d.config.busy_poll = match v {
                "true" => true,
                "false" => false,
                _ => return Err("is not true or false".into()),
            };
            Ok(())
        }),
        default: || "false".into(),
        help: "shards never sleep: lower latency for all of their CPU time",
    },
    OwnKey {
        key: sets("maxCatchUpReaders", |d, v| {
            d.config.max_catch_up_readers =
                values::within(v, 1..=limits::CATCH_UP_READERS_MAX)? as usize;
            Ok(())
        }),
        default: || limits::CATCH_UP_READERS.to_string(),
        help: "readers that are caught up from the broker at a time; the others wait their turn",
    },
    OwnKey {
        key: sets("slowConsumerTimeoutMillis", |d, v| {
            d.config.slow_consumer_timeout_ms =
                positive(values::within(v, 0..=limits::TIME_MAX_MS)? as i64);
            Ok(())
        }),
        default: || "0 (never)".into(),
        help: "a socket whose client takes nothing of what it was sent for so long is closed with 1008",
    },
    OwnKey {
        key: sets("closeReadersOnGap", |d, v| {
            d.config.close_readers_on_gap = values::boolean(v)?;
            Ok(())
        }),
        default: || "false".into(),
        help: "whether a reader that fell behind what the broker keeps is closed with 4008; it goes on behind the gap otherwise",
    },
    OwnKey {
        key: sets("permessageDeflate", |d, v| {
            d.config.permessage_deflate = values::boolean(v)?;
            Ok(())
        }),
        default: || "true".into(),
        help: "whether messages are compressed for and by clients that offer it (RFC 7692)",
    },
    OwnKey {
        key: sets("producerPendingBytes", |d, v| {
            d.config.producer_pending_bytes = bytes(v)?;
            Ok(())
        }),
        default: || limits::PRODUCER_PENDING_BYTES.to_string(),
        help: "unconfirmed publishes per producer socket before it is no longer read",
    },
    OwnKey {
        key: sets("upstreamPendingBytes", |d, v| {
            d.config.upstream_pending_bytes = bytes(v)?;
            Ok(())
        }),
        default: || limits::UPSTREAM_PENDING_BYTES.to_string(),
        help: "the same for all producer sockets of a shard",
    },
    OwnKey {
        key: sets("socketUnsentBytes", |d, v| {
            d.config.socket_unsent_bytes = bytes(v)?;
            Ok(())
        }),
        default: || limits::SOCKET_UNSENT_BYTES.to_string(),
        help: "what a slow socket may have unsent before it gets no more messages",
    },
];

/// All keys that Java's gateway does not have.
pub(super) fn own() -> impl Iterator<Item = &'static OwnKey> {
    OWN.iter().chain(doors::OWN)
}

/// The part of `--help` about this gateway's own keys.
pub fn own_keys_help() -> String {
    let mut text = String::from(
        "Keys beyond those of Pulsar's websocket.conf (in the file, or with --set):\n",
    );
    for own in own() {
        let _ = writeln!(
            text,
            "  {:<24} {} [default: {}]",
            own.key.name,
            own.help,
            (own.default)()
        );
    }
    text
}

/// None for 0 and less, which switch the thing off in Java; the largest time or count stands for "never".
fn positive(number: i64) -> Option<u64> {
    u64::try_from(number)
        .ok()
        .filter(|&number| number > 0)
        .map(|number| number.min(limits::TIME_MAX_MS))
}

fn bytes(text: &str) -> Result<usize, String> {
    values::within(text, limits::BYTES_MIN..=limits::BYTES_MAX).map(|bytes| bytes as usize)
}

/// Whole milliseconds, at least one.
fn nanos_as_ms(text: &str) -> Result<u64, String> {
    values::within(text, 1..=limits::TIME_MAX_MS * 1_000_000)
        .map(|nanos| (nanos / 1_000_000).max(1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    use super::super::{authentication, authorization, tls};
    use super::*;

    /// The parts of the README about keys.
    const PARTS: [(&str, &str); 2] = [
        ("### Keys of websocket.conf", "## The protocol"),
        ("| `tokenSecretKey`", "\n\n"),
    ];

    static README: LazyLock<String> = LazyLock::new(|| {
        let text = include_str!("../../../README.md");
        let parts = PARTS.map(|(begin, end)| {
            let (_, part) = text.split_once(begin).unwrap();
            format!("{begin}{}", part.split_once(end).unwrap().0)
        });
        parts.join("\n")
    });

    /// What stands in the first column of their tables, with the default beside it.
    fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
        let rows = README.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.flat_map(|row| {
            let mut columns = row.split(" | ");
            let (names, default) = (columns.next().unwrap(), columns.next().unwrap());
            let names = names.split("`, `").map(|name| name.trim_end_matches('`'));
            names.map(move |name| (name, default))
        })
    }

    #[test]
    fn the_readme_names_every_key_that_has_an_effect_and_no_other() {
        let described: BTreeSet<_> = rows().map(|(name, _)| name).collect();
        let own = own().map(|own| &own.key);
        let mut known = BTreeSet::new();
        for key in JAVA
            .iter()
            .chain(doors::JAVA)
            .chain(authentication::KEYS)
            .chain(authorization::KEYS)
            .chain(tls::KEYS)
            .chain(broker_client::KEYS)
            .chain(own)
        {
            match key.rule {
                Rule::Sets(_) => drop(known.insert(key.name)),
                _ => assert!(README.contains(&format!("`{}`", key.name)), "{}", key.name),
            }
        }
        assert_eq!(described, known);
    }

    /// Bytes stand there in KiB or MiB.
    #[test]
    fn the_readme_tells_the_defaults_of_the_bounds() {
        let bytes = |text: &str| {
            let (number, unit) = text.split_once(' ')?;
            let number: u64 = number.parse().ok()?;
            Some(match unit {
                "KiB" => number << 10,
                "MiB" => number << 20,
                _ => return None,
            })
        };
        for own in own().filter(|own| (own.default)().parse::<u64>().is_ok()) {
            let (_, told) = rows().find(|(name, _)| *name == own.key.name).unwrap();
            let told = bytes(told).map_or(told.to_owned(), |bytes| bytes.to_string());
            assert_eq!(told, (own.default)(), "{}", own.key.name);
        }
    }
}
