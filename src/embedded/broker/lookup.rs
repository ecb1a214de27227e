//! Which topics there are, and where: always here.

use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::command_get_topics_of_namespace::Mode;
use ::pulsar::proto::command_lookup_topic_response::LookupType;
use ::pulsar::proto::command_partitioned_topic_metadata_response as partitioned;
use ::pulsar::proto::{
    CommandGetTopicsOfNamespace, CommandGetTopicsOfNamespaceResponse, CommandLookupTopic,
    CommandLookupTopicResponse, CommandPartitionedTopicMetadata,
    CommandPartitionedTopicMetadataResponse, ServerError,
};

use super::connection::ConnectionId;
use super::names::TopicName;
use super::subscription::{Refusal, Subscription};
use super::topic::Topic;
use super::{Broker, MAX_TOPICS};

impl Broker {
    pub(super) fn partitioned_metadata(
        &mut self,
        id: ConnectionId,
        request: &CommandPartitionedTopicMetadata,
    ) {
        let mut response = CommandPartitionedTopicMetadataResponse {
            request_id: request.request_id,
            response: Some(partitioned::LookupType::Success as i32),
            ..CommandPartitionedTopicMetadataResponse::default()
        };
        match self.partitions_of(&request.topic) {
            Ok(partitions) => response.partitions = Some(partitions),
            Err(refusal) => {
                response.response = Some(partitioned::LookupType::Failed as i32);
                response.error = Some(refusal.error as i32);
                response.message = Some(refusal.message);
            }
        }
        self.answer(id, Type::PartitionedMetadataResponse, &response);
    }

    pub(super) fn lookup(&mut self, id: ConnectionId, request: &CommandLookupTopic) {
        let mut response = CommandLookupTopicResponse {
            request_id: request.request_id,
            ..CommandLookupTopicResponse::default()
        };
        match self.owner_of(&request.topic) {
            Ok(url) => {
                let redirect = self.faults.take_redirect();
                response.broker_service_url = Some(url);
                response.authoritative = Some(true);
                response.response = Some(match redirect {
                    true => LookupType::Redirect as i32,
                    false => LookupType::Connect as i32,
                });
            }
            Err(refusal) => {
                response.response = Some(LookupType::Failed as i32);
                response.error = Some(refusal.error as i32);
                response.message = Some(refusal.message);
            }
        }
        self.answer(id, Type::LookupResponse, &response);
    }

    /// 0: it is not partitioned.
    pub(super) fn partitions_of(&mut self, topic: &str) -> Result<u32, Refusal> {
        self.faults.refuse_lookup()?;
        let name = self.checked_name(topic)?;
        Ok(self.partitioned.get(&name.full).copied().unwrap_or(0))
    }

    /// The service URL of the broker that has the topic.
    pub(super) fn owner_of(&mut self, topic: &str) -> Result<String, Refusal> {
        self.faults.refuse_lookup()?;
        let name = self.checked_name(topic)?;
        let elsewhere = self.owner_elsewhere(&name);
        Ok(elsewhere.unwrap_or_else(|| self.service_url.clone()))
    }

    /// The client filters by its pattern: `filtered` stays false.
    pub(super) fn topics_of_namespace(
        &mut self,
        id: ConnectionId,
        request: &CommandGetTopicsOfNamespace,
    ) {
        let mode = Mode::try_from(request.mode.unwrap_or(0)).unwrap_or(Mode::Persistent);
        let topics = self.topics_in(&request.namespace, mode);
        let response = CommandGetTopicsOfNamespaceResponse {
            request_id: request.request_id,
            topics,
            changed: Some(true),
            ..CommandGetTopicsOfNamespaceResponse::default()
        };
        self.answer(id, Type::GetTopicsOfNamespaceResponse, &response);
    }

    pub(super) fn topics_in(&self, namespace: &str, mode: Mode) -> Vec<String> {
        let wanted = |persistent: bool| match mode {
            Mode::All => true,
            Mode::Persistent => persistent,
            Mode::NonPersistent => !persistent,
        };
        let names = self.topics.iter().map(|(_, topic)| &topic.name);
        let names = names.filter(|name| name.namespace == namespace && wanted(name.persistent));
        let mut topics: Vec<String> = names.map(|name| name.full.clone()).collect();
        topics.sort();
        topics
    }

    /// A V1 namespace of one cluster is not looked for (`PulsarWebResource.checkLocalOrGetPeerReplicationCluster`).
    pub(super) fn has_namespace(&self, namespace: &str) -> bool {
        let parts: Vec<&str> = namespace.split('/').collect();
        match parts[..] {
            [_, cluster, _] if !cluster.eq_ignore_ascii_case("global") => true,
            _ => self.namespaces.contains(namespace),
        }
    }

    /// A name in a namespace that exists; with auto-creation off, of a topic that exists.
    fn checked_name(&self, topic: &str) -> Result<TopicName, Refusal> {
        let name = TopicName::parse(topic)
            .map_err(|text| Refusal::new(ServerError::InvalidTopicName, text))?;
        if !self.has_namespace(&name.namespace) {
            return Err(Refusal::new(
                ServerError::TopicNotFound,
                "Namespace not found",
            ));
        }
        let partitions = self.partitioned.get(name.base());
        let exists = self.by_name.contains_key(&name.full) || partitions.is_some();
        // Of a partitioned topic there are only the partitions it was created with.
        let no_such_partition = partitions
            .is_some_and(|&n| u32::try_from(name.partition).is_ok_and(|partition| partition >= n));
        if no_such_partition {
            // Pulsar says no more than the code.
            return Err(Refusal::new(ServerError::TopicNotFound, ""));
        }
        if !exists && !self.may_create(&name) {
            return Err(Refusal::new(
                ServerError::TopicNotFound,
                format!("Topic {} does not exist", name.full),
            ));
        }
        Ok(name)
    }

    /// The topic, created if need be and allowed.
    pub(super) fn topic(&mut self, topic: &str, create: bool) -> Result<usize, Refusal> {
        let name = self.checked_name(topic)?;
        if let Some(&key) = self.by_name.get(&name.full) {
            return Ok(key);
        }
        if !create {
            return Err(Refusal::new(
                ServerError::TopicNotFound,
                format!("Topic {} does not exist", name.full),
            ));
        }
        if self.topics.len() >= MAX_TOPICS {
            return Err(Refusal::new(
                ServerError::NotAllowedError,
                "The embedded broker has no room for another topic",
            ));
        }
        let ledger = self.new_ledger();
        let full = name.full.clone();
        let key = self.topics.insert(Topic::new(name, ledger));
        self.by_name.insert(full, key);
        Ok(key)
    }

    pub(super) fn subscription_mut(
        &mut self,
        topic: usize,
        subscription: usize,
    ) -> Option<&mut Subscription> {
        self.topics
            .get_mut(topic)?
            .subscriptions
            .get_mut(subscription)
    }
}
