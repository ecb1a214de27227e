//! What an administrator allows in a namespace.

use ::pulsar::proto::ServerError;

use super::Broker;
use super::names::TopicName;
use super::subscription::Refusal;
use super::topic::Topic;

/// Of one namespace; all unset is what a namespace begins with.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// allowAutoTopicCreation; `None`: as the broker's options say.
    pub auto_create_topics: Option<bool>,
    /// No producer is made on a topic whose subscriptions have left so many bytes unacked.
    pub backlog_quota: Option<BacklogQuota>,
    pub max_producers_per_topic: Option<usize>,
    pub max_consumers_per_topic: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
pub struct BacklogQuota {
    pub bytes: usize,
    /// `producer_request_hold`; else `producer_exception`.
    pub hold: bool,
}

impl Broker {
    /// They count from now on; what exists stays.
    pub fn set_policies(&mut self, namespace: &str, policies: Policies) {
        self.policies.insert(namespace.to_owned(), policies);
    }

    fn policies_of(&self, name: &TopicName) -> Option<&Policies> {
        self.policies.get(&name.namespace)
    }

    pub(super) fn may_create(&self, name: &TopicName) -> bool {
        self.policies_of(name)
            .and_then(|policies| policies.auto_create_topics)
            .unwrap_or(self.options.auto_create_topics)
    }

    pub(super) fn check_producers(&self, topic: &Topic) -> Result<(), Refusal> {
        let Some(policies) = self.policies_of(&topic.name) else {
            return Ok(());
        };
        if let Some(quota) = policies.backlog_quota
            && backlog_bytes(topic) >= quota.bytes
        {
            let error = match quota.hold {
                true => ServerError::ProducerBlockedQuotaExceededError,
                false => ServerError::ProducerBlockedQuotaExceededException,
            };
            let message = "org.apache.pulsar.broker.service.BrokerServiceException\
                           $TopicBacklogQuotaExceededException: Cannot create producer on topic with backlog quota \
                           exceeded";
            return Err(Refusal::new(error, message));
        }
        match policies.max_producers_per_topic {
            Some(most) if topic.producers.len() >= most => Err(Refusal::new(
                ServerError::ProducerBusy,
                format!("Topic '{}' reached max producers limit", topic.name.full),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn check_consumers(&self, topic: &Topic) -> Result<(), Refusal> {
        let most = self
            .policies_of(&topic.name)
            .and_then(|policies| policies.max_consumers_per_topic);
        let consumers = topic.subscriptions.iter();
        let consumers: usize = consumers.map(|(_, s)| s.consumers.len()).sum();
        match most {
            Some(most) if consumers >= most => Err(Refusal::new(
                ServerError::ConsumerBusy,
                "Topic reached max consumers limit",
            )),
            _ => Ok(()),
        }
    }
}

/// From the oldest message that a durable subscription has not acked.
fn backlog_bytes(topic: &Topic) -> usize {
    let marks = topic.subscriptions.iter();
    let marks = marks.filter(|(_, subscription)| subscription.durable);
    let oldest = marks
        .map(|(_, subscription)| subscription.cursor.mark())
        .min();
    let end = topic.log.end();
    let unacked = oldest.unwrap_or(end).max(topic.log.start())..end;
    let entries = unacked.filter_map(|index| topic.log.get(index));
    entries.map(|entry| entry.body.len()).sum()
}
