//! What a socket wants to do, and which of Pulsar's records decide on it.

use std::sync::Arc;

use crate::pulsar::topics::split_partition;

/// What one socket wants: all of it must be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    pub role: Arc<str>,
    /// Never empty.
    pub rights: Vec<Right>,
}

/// One thing on one topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Right {
    /// A full name: `persistent://tenant/namespace/topic`, or the V1 form with the cluster.
    pub topic: Arc<str>,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Produce,
    /// Readers have no subscription that an administrator could know.
    Consume {
        subscription: Option<Arc<str>>,
    },
    /// Every topic of the namespace: the topic is a pattern, whose name nobody can have been granted.
    ConsumeAll {
        subscription: Arc<str>,
    },
}

/// A record that is read to decide. Names are as in Pulsar.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    Tenant(Box<str>),
    /// `tenant/namespace`, or `tenant/cluster/namespace`.
    Policies(Box<str>),
    /// The names of all clusters.
    Clusters,
}

impl Right {
    /// What stands between `://` and the local name: `tenant/namespace`, or `tenant/cluster/namespace`.
    pub fn namespace(&self) -> &str {
        let rest = self.topic.split_once("://").map_or("", |(_, rest)| rest);
        let slashes = rest.match_indices('/').map(|(at, _)| at).take(3);
        rest.get(..slashes.last().unwrap_or(0)).unwrap_or_default()
    }

    pub fn tenant(&self) -> &str {
        self.namespace().split('/').next().unwrap_or_default()
    }

    /// Of a V1 name that belongs to one cluster (`TopicName.isGlobal`).
    pub fn cluster(&self) -> Option<&str> {
        let mut parts = self.namespace().split('/');
        let (_, second, third) = (parts.next(), parts.next(), parts.next());
        third
            .and(second)
            .filter(|cluster| !cluster.eq_ignore_ascii_case("global"))
    }

    /// The partitioned topic that this is a partition of (`TopicName.getPartitionIndex`).
    pub fn partitioned(&self) -> Option<&str> {
        match split_partition(&self.topic) {
            (_, -1) => None,
            (name, _) => Some(name),
        }
    }
}
