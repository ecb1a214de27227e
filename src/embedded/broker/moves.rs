//! Topics that go elsewhere: to another broker of the cluster, which a CLOSE names at once (as the extensible load manager
//! does), or to another cluster (TOPIC_MIGRATED). Both commands are newer than the `pulsar` crate's proto.

use std::io;

use ::prost::Message;
use ::pulsar::proto::ServerError;
use ::pulsar::proto::base_command::Type;

use super::Broker;
use super::connection::{ConnectionId, NO_REQUEST};
use super::names::TopicName;
use super::subscription::Refusal;

/// `BaseCommand.Type.TOPIC_MIGRATED`.
const TOPIC_MIGRATED: i32 = 68;

/// A CLOSE that names no next owner.
pub(super) const NO_OWNER: &str = "";

/// CommandCloseProducer and CommandCloseConsumer with the field `assignedBrokerServiceUrl`.
#[derive(Clone, PartialEq, Message)]
struct CloseWithOwner {
    #[prost(uint64, required, tag = "1")]
    id: u64,
    #[prost(uint64, required, tag = "2")]
    request_id: u64,
    #[prost(string, tag = "3")]
    assigned_broker_service_url: String,
}

#[derive(Clone, PartialEq, Message)]
struct CommandTopicMigrated {
    #[prost(uint64, required, tag = "1")]
    resource_id: u64,
    /// 0: a producer, 1: a consumer.
    #[prost(int32, required, tag = "2")]
    resource_type: i32,
    #[prost(string, tag = "3")]
    broker_service_url: String,
}

/// Where a topic is now.
#[derive(Clone, Debug)]
pub(super) enum Elsewhere {
    /// At another broker of this cluster, which look-ups name.
    Owner(String),
    /// In another cluster, as those learn who try to use it here.
    Cluster(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Producer(u64),
    Consumer(u64),
}

impl Resource {
    fn id(self) -> u64 {
        match self {
            Resource::Producer(id) | Resource::Consumer(id) => id,
        }
    }
}

impl Broker {
    /// To another broker of the cluster: look-ups lead there, and those who are connected are told with their CLOSE.
    pub fn hand_over(&mut self, now_ms: u64, topic: &str, service_url: &str) -> io::Result<()> {
        self.leave(now_ms, topic, &Elsewhere::Owner(service_url.to_owned()))
    }

    /// To another cluster. Consumers go at once, also those with a backlog, which the real broker keeps until theirs is
    /// consumed.
    pub fn migrate(&mut self, now_ms: u64, topic: &str, service_url: &str) -> io::Result<()> {
        self.leave(now_ms, topic, &Elsewhere::Cluster(service_url.to_owned()))
    }

    fn leave(&mut self, now_ms: u64, topic: &str, to: &Elsewhere) -> io::Result<()> {
        let keys = self.topics_named(topic)?;
        self.begin(now_ms);
        for key in keys {
            let name = self.topics[key].name.full.clone();
            self.elsewhere.insert(name, to.clone());
            match to {
                Elsewhere::Owner(url) => self.disconnect_all(key, url),
                Elsewhere::Cluster(url) => {
                    for (connection, resource) in self.connected_to(key) {
                        self.tell_migrated(connection, resource, url);
                    }
                    self.disconnect_all(key, NO_OWNER);
                }
            }
        }
        self.end();
        Ok(())
    }

    fn connected_to(&self, key: usize) -> Vec<(ConnectionId, Resource)> {
        let topic = &self.topics[key];
        let producers = topic.producers.values();
        let producers = producers.map(|p| (p.connection, Resource::Producer(p.producer_id)));
        let consumers = topic.subscriptions.iter().flat_map(|(_, subscription)| {
            let consumers = subscription.consumers.iter();
            consumers.map(|(_, c)| (c.connection, Resource::Consumer(c.consumer_id)))
        });
        producers.chain(consumers).collect()
    }

    fn tell_migrated(&mut self, id: ConnectionId, resource: Resource, url: &str) {
        let migrated = CommandTopicMigrated {
            resource_id: resource.id(),
            resource_type: i32::from(matches!(resource, Resource::Consumer(_))),
            broker_service_url: url.to_owned(),
        };
        if let Some(connection) = self.connections.touch(id) {
            connection.send(TOPIC_MIGRATED, &migrated);
        }
    }

    /// CLOSE_PRODUCER or CLOSE_CONSUMER; `owner`: the broker to go to, or [`NO_OWNER`].
    pub(super) fn tell_closed(&mut self, id: ConnectionId, resource: Resource, owner: &str) {
        let close = CloseWithOwner {
            id: resource.id(),
            request_id: NO_REQUEST,
            assigned_broker_service_url: owner.to_owned(),
        };
        let kind = match resource {
            Resource::Producer(_) => Type::CloseProducer,
            Resource::Consumer(_) => Type::CloseConsumer,
        };
        if let Some(connection) = self.connections.touch(id) {
            connection.send(kind, &close);
        }
    }

    /// The broker that has the topic, where it is not this one.
    pub(super) fn owner_elsewhere(&self, topic: &TopicName) -> Option<String> {
        match self.elsewhere.get(&topic.full)? {
            Elsewhere::Owner(url) => Some(url.clone()),
            Elsewhere::Cluster(_) => None,
        }
    }

    /// A producer or consumer is to be made on a topic that may have gone. `Ok(true)`: it was told where, without an
    /// answer to its request.
    pub(super) fn sent_away(
        &mut self,
        id: ConnectionId,
        topic: &str,
        resource: Resource,
    ) -> Result<bool, Refusal> {
        if self.elsewhere.is_empty() {
            return Ok(false);
        }
        let name = TopicName::parse(topic)
            .map_err(|text| Refusal::new(ServerError::InvalidTopicName, text))?;
        match self.elsewhere.get(&name.full).cloned() {
            None => Ok(false),
            Some(Elsewhere::Owner(_)) => Err(Refusal::new(
                ServerError::ServiceNotReady,
                format!(
                    "Namespace bundle for topic ({}) not served by this instance. Please redo the lookup.",
                    name.full
                ),
            )),
            Some(Elsewhere::Cluster(url)) => {
                self.tell_migrated(id, resource, &url);
                self.tell_closed(id, resource, NO_OWNER);
                Ok(true)
            }
        }
    }
}
