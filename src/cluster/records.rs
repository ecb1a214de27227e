//! Records of the metadata store, read while the gateway runs: grants, where no web service is configured.
//!
//! A thread of its own with a small runtime for the ZooKeeper library. One read at a time, each about a millisecond;
//! what is asked again is in the shards' caches.

use std::io;
use std::thread;
use std::time::Duration;

use tokio::time::timeout;
use zookeeper_client::{Client, Error};

use super::CLUSTERS_PATH;
use crate::auth::access::Resource;
use crate::config::ClusterInStore;

/// Where tenants and namespaces stand (`BaseResources.BASE_POLICIES_PATH`).
const POLICIES_PATH: &str = "/admin/policies";
/// Reads that wait. Each is of a record that some shard lacks: more means that the store does not answer.
const READS_MAX: usize = 4096;
/// A read, with a new connection if it takes one. Half of Java's metadataStoreOperationTimeoutSeconds: who waits in a
/// handshake should still be there.
const READ_TIMEOUT_MS: u64 = 15_000;

/// None: there is no such record.
pub type Found = Result<Option<Vec<u8>>, String>;

struct Request {
    resource: Resource,
    reply: Box<dyn FnOnce(Resource, Found) + Send>,
}

/// Reads from one store; cheap to clone. The thread ends with the last one.
#[derive(Clone)]
pub struct RecordReader(flume::Sender<Request>);

impl RecordReader {
    /// Starts the thread; it connects with the first read.
    ///
    /// # Errors
    /// No thread, or no runtime, can be had.
    pub fn start(store: &ClusterInStore) -> io::Result<RecordReader> {
        let (sender, requests) = flume::bounded(READS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let store = store.clone();
        thread::Builder::new()
            .name("permissions".to_owned())
            .spawn(move || runtime.block_on(serve(&store, &requests)))?;
        Ok(RecordReader(sender))
    }

    /// One that takes no reads.
    #[cfg(test)]
    pub fn full() -> RecordReader {
        RecordReader(flume::bounded(0).0)
    }

    /// The reply comes from the thread of the reader.
    ///
    /// # Errors
    /// The resource, where too many reads wait.
    pub fn read(
        &self,
        resource: Resource,
        reply: impl FnOnce(Resource, Found) + Send + 'static,
    ) -> Result<(), Resource> {
        let request = Request {
            resource,
            reply: Box::new(reply),
        };
        let sent = self.0.try_send(request);
        sent.map_err(|refused| refused.into_inner().resource)
    }
}

async fn serve(store: &ClusterInStore, requests: &flume::Receiver<Request>) {
    let time = Duration::from_millis(READ_TIMEOUT_MS);
    let mut client = None;
    while let Ok(Request { resource, reply }) = requests.recv_async().await {
        let found = match timeout(time, read(store, &mut client, &resource)).await {
            Ok(found) => found,
            Err(_) => Err("the metadata store does not answer".to_owned()),
        };
        let failed = found.as_ref().err().cloned();
        reply(resource, found);
        if let Some(why) = failed {
            client = None;
            // They would each wait as long for the same.
            for Request { resource, reply } in requests.drain() {
                reply(resource, Err(why.clone()));
            }
        }
    }
}

async fn read(store: &ClusterInStore, client: &mut Option<Client>, resource: &Resource) -> Found {
    let session_timeout = Duration::from_millis(store.session_timeout_ms);
    let connected = match client.take() {
        Some(client) => client,
        None => {
            let connector = Client::connector().with_session_timeout(session_timeout);
            let connecting = connector.connect(&store.servers).await;
            connecting.map_err(|error| format!("the metadata store cannot be reached: {error}"))?
        }
    };
    let client = client.insert(connected);
    let result = match resource {
        Resource::Tenant(name) | Resource::Policies(name) => {
            let read = client.get_data(&format!("{POLICIES_PATH}/{name}")).await;
            read.map(|(data, _)| data)
        }
        Resource::Clusters => {
            let names = client.list_children(CLUSTERS_PATH).await;
            names.map(|names| serde_json::json!(names).to_string().into_bytes())
        }
    };
    match result {
        Ok(data) => Ok(Some(data)),
        Err(Error::NoNode) => Ok(None),
        Err(error) => Err(format!("the metadata store cannot be read: {error}")),
    }
}
