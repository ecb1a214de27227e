//! Finding the cluster by its name: its URLs as the configuration metadata store, a ZooKeeper, has them.
//!
//! (`records`: what else is read there, later.)
//!
//! Read once, when the process starts, as the Java gateway reads them before its first client. It happens on a thread
//! of its own with a small runtime for the ZooKeeper library, which both end with it: no shard runs yet.

pub mod records;

use std::io;
use std::thread;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use zookeeper_client::{Client, Error};

use crate::config::{Brokers, ClusterInStore};

/// Where clusters stand (`ClusterResources.BASE_CLUSTERS_PATH`).
const CLUSTERS_PATH: &str = "/admin/clusters";
/// Between two tries: short beside the time that a ZooKeeper takes to start.
const RETRY_MS: u64 = 500;
/// Clusters named in an error: enough to see a misspelt name.
const NAMED_MAX: usize = 10;

/// Reads the cluster's URLs. A store that does not answer or does not have it yet is asked again until its session
/// timeout is over.
///
/// # Errors
/// What is missing at the end: the store, the cluster in it, or a URL that can be used.
pub fn find(store: &ClusterInStore) -> io::Result<Brokers> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let found = thread::scope(|scope| {
        let reading = thread::Builder::new()
            .name("metadata-store".to_owned())
            .spawn_scoped(scope, || runtime.block_on(read_in_time(store)))?;
        reading
            .join()
            .map_err(|_| io::Error::other("the ZooKeeper client has panicked"))
    })?;
    let described = |why| io::Error::other(format!("zk:{}: {why}", store.servers));
    let data = found.map_err(described)?;
    Brokers::of_cluster_data(&data, store.with_tls)
        .map_err(|why| described(format!("{CLUSTERS_PATH}/{} {why}", store.cluster)))
}

async fn read_in_time(store: &ClusterInStore) -> Result<Vec<u8>, String> {
    let time = Duration::from_millis(store.session_timeout_ms);
    let deadline = Instant::now() + time;
    let mut last = None;
    loop {
        match timeout_at(deadline, read(store, time)).await {
            Ok(Ok(data)) => return Ok(data),
            Ok(Err(why)) => {
                if last.as_ref() != Some(&why) {
                    tracing::warn!(cluster = store.cluster, "looking for the cluster: {why}");
                }
                last = Some(why);
            }
            Err(_) => {
                let why = last.unwrap_or_else(|| "it does not answer".to_owned());
                return Err(format!("{why} (asked for {} ms)", store.session_timeout_ms));
            }
        }
        sleep(Duration::from_millis(RETRY_MS)).await;
    }
}

async fn read(store: &ClusterInStore, session_timeout: Duration) -> Result<Vec<u8>, String> {
    let connector = Client::connector().with_session_timeout(session_timeout);
    let client = connector.connect(&store.servers).await;
    let client = client.map_err(|error| format!("cannot be reached: {error}"))?;
    let path = format!("{CLUSTERS_PATH}/{}", store.cluster);
    match client.get_data(&path).await {
        Ok((data, _)) => Ok(data),
        Err(Error::NoNode) => Err(missing(&client, &path).await),
        Err(error) => Err(format!("{path} cannot be read: {error}")),
    }
}

/// What there is instead of the cluster.
async fn missing(client: &Client, path: &str) -> String {
    match client.list_children(CLUSTERS_PATH).await {
        Ok(mut names) => {
            // A node of Pulsar's own, no cluster.
            names.retain(|name| name != "global");
            names.sort();
            names.truncate(NAMED_MAX);
            match names.is_empty() {
                true => format!("there is no {path}, and no other cluster"),
                false => format!("there is no {path}; clusters there: {}", names.join(", ")),
            }
        }
        Err(_) => format!(
            "there is no {path}, nor {CLUSTERS_PATH}: it is not the configuration store of a Pulsar cluster, or the \
             cluster's metadata is not initialized"
        ),
    }
}
