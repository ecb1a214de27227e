//! The administrator's handle on a running broker: what `pulsar-admin` would do.

use std::io;
use std::sync::Arc;

use super::broker::{Policies, TopicStats};
use super::server::Shared;

/// Cheap to clone; works as long as anything of the broker lives. Topic names may be short (`t` is
/// `persistent://public/default/t`). Errors: `NotFound` for what is not there, `InvalidInput` for what cannot be.
#[derive(Clone)]
pub struct Admin {
    shared: Arc<Shared>,
}

impl Admin {
    pub(super) fn new(shared: Arc<Shared>) -> Admin {
        Admin { shared }
    }

    /// `tenant/namespace`. `public/default` and `sample/standalone/ns1` are there from the beginning.
    pub fn create_namespace(&self, namespace: &str) -> io::Result<()> {
        self.shared
            .turn(|broker, _| broker.create_namespace(namespace))
    }

    /// What is allowed in a namespace from now on.
    pub fn set_policies(&self, namespace: &str, policies: Policies) {
        self.shared
            .turn(|broker, _| broker.set_policies(namespace, policies));
    }

    /// `produce`, `consume`: what a role may do in a namespace (`tenant/namespace`); nothing takes back what it had. It is
    /// kept for those who read it: this broker lets everybody do everything.
    pub fn grant(&self, namespace: &str, role: &str, actions: &[&str]) -> io::Result<()> {
        self.shared
            .turn(|broker, _| broker.grant(namespace, role, actions))
    }

    /// The same on one topic.
    pub fn grant_topic(&self, topic: &str, role: &str, actions: &[&str]) -> io::Result<()> {
        self.shared
            .turn(|broker, _| broker.grant_topic(topic, role, actions))
    }

    /// Who may use a subscription; no roles: everybody who may consume.
    pub fn grant_subscription(
        &self,
        namespace: &str,
        subscription: &str,
        roles: &[&str],
    ) -> io::Result<()> {
        self.shared
            .turn(|broker, _| broker.grant_subscription(namespace, subscription, roles))
    }

    /// Whether subscriptions have to begin with the role of who uses them.
    pub fn set_subscription_prefix(&self, namespace: &str, prefix: bool) -> io::Result<()> {
        self.shared
            .turn(|broker, _| broker.set_subscription_prefix(namespace, prefix))
    }

    pub fn set_tenant_admins(&self, tenant: &str, roles: &[&str]) {
        self.shared
            .turn(|broker, _| broker.set_tenant_admins(tenant, roles));
    }

    pub fn create_partitioned_topic(&self, topic: &str, partitions: u32) -> io::Result<()> {
        self.shared
            .turn(|broker, _| broker.create_partitioned_topic(topic, partitions))
    }

    /// More partitions for a topic that has some.
    pub fn update_partitioned_topic(&self, topic: &str, partitions: u32) -> io::Result<()> {
        self.shared
            .turn(|broker, _| broker.update_partitioned_topic(topic, partitions))
    }

    /// With its messages, subscriptions and partitions; connected producers and consumers are closed.
    pub fn delete_topic(&self, topic: &str) -> io::Result<()> {
        self.shared
            .turn(|broker, now| broker.delete_topic(now, topic))
    }

    /// Nothing more can be published to it; consumers are told when they have acked everything.
    pub fn terminate(&self, topic: &str) -> io::Result<()> {
        self.shared.turn(|broker, now| broker.terminate(now, topic))
    }

    /// As when the broker hands the topic to another: every producer and consumer is closed (CLOSE_PRODUCER,
    /// CLOSE_CONSUMER) and finds it again.
    pub fn unload(&self, topic: &str) -> io::Result<()> {
        self.shared.turn(|broker, now| broker.unload(now, topic))
    }

    /// The same for all topics of a namespace.
    pub fn unload_namespace(&self, namespace: &str) -> io::Result<()> {
        self.shared
            .turn(|broker, now| broker.unload_namespace(now, namespace))
    }

    /// The topic goes to another broker of the cluster, without its messages: look-ups lead there, and whoever is
    /// connected is told with the CLOSE (`assignedBrokerServiceUrl`).
    pub fn hand_over(&self, topic: &str, service_url: &str) -> io::Result<()> {
        self.shared
            .turn(|broker, now| broker.hand_over(now, topic, service_url))
    }

    /// The topic goes to another cluster, without its messages: whoever is or wants to be connected is told
    /// (TOPIC_MIGRATED), look-ups still lead here.
    pub fn migrate(&self, topic: &str, service_url: &str) -> io::Result<()> {
        self.shared
            .turn(|broker, now| broker.migrate(now, topic, service_url))
    }

    /// Moves a subscription to the first message published at `time_ms` (since 1970) or later: 0 is the earliest,
    /// `u64::MAX` the latest. Its consumers are closed and come back.
    pub fn reset_cursor(&self, topic: &str, subscription: &str, time_ms: u64) -> io::Result<()> {
        self.shared
            .turn(|broker, now| broker.reset_cursor(now, topic, subscription, time_ms))
    }

    /// Of one topic or one partition (`t-partition-0`); `None` when it does not exist.
    pub fn stats(&self, topic: &str) -> Option<TopicStats> {
        self.shared.turn(|broker, _| broker.stats(topic))
    }

    /// Open client connections.
    pub fn connections(&self) -> usize {
        self.shared.turn(|broker, _| broker.connection_count())
    }
}
