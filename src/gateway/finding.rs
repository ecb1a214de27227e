//! Whom to ask: where topics are, and what clients may do.

use std::io;

use crate::cluster;
use crate::cluster::records::RecordReader;
use crate::config::{Authorization, Brokers, Config, PermissionSource};
use crate::embedded::{self, Embedded};
use crate::pulsar::client::{BrokerAddress, ClientConfig, LookupBy};

/// Whom to ask where topics are.
#[derive(Clone)]
pub struct Finder {
    lookup_by: LookupBy,
    service_urls: Vec<BrokerAddress>,
}

/// Starts the embedded broker where none is configured.
pub fn find_brokers(brokers: &Brokers) -> io::Result<(Option<Embedded>, Finder)> {
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
pub fn find_permissions(config: &Config) -> io::Result<(Finder, Option<RecordReader>)> {
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

/// Each client begins with a service URL of its own choice, as in Java: the lookups of many spread over the brokers.
pub fn client_config(config: &Config, finder: Finder, seed: u64) -> ClientConfig {
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
