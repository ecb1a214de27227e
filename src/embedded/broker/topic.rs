//! One topic (or one partition): its log, its subscriptions, its producers.

use std::collections::HashMap;

use ::pulsar::proto::ServerError;
use slab::Slab;

use super::connection::ConnectionId;
use super::log::Log;
use super::names::TopicName;
use super::subscription::{Refusal, Subscription};

/// More subscriptions on one topic are refused. Each reader of a gateway without shared upstreams has one of its own;
/// this is as many as one process' sockets would need in a demo.
const MAX_SUBSCRIPTIONS: usize = 50_000;

/// Producer names whose last sequence id deduplication remembers
/// (brokerDeduplicationMaxNumberOfProducers of the broker). Beyond, new names are not deduplicated.
const MAX_DEDUPLICATED_PRODUCERS: usize = 10_000;

#[derive(Debug)]
pub(super) struct Producer {
    pub connection: ConnectionId,
    pub producer_id: u64,
    pub epoch: u64,
    pub exclusive: bool,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub name: TopicName,
    pub log: Log,
    pub subscriptions: Slab<Subscription>,
    by_name: HashMap<String, usize>,
    /// By producer name, which is unique on a topic.
    pub producers: HashMap<String, Producer>,
    /// Highest sequence id by producer name, where deduplication is on.
    sequences: HashMap<String, u64>,
    /// Entries ever published, non-persistent ones included.
    pub published: u64,
    /// Messages of a non-persistent topic that a subscription had no consumer with permits for.
    pub missed: u64,
}

impl Topic {
    pub fn new(name: TopicName, ledger: u64) -> Topic {
        Topic {
            name,
            log: Log::new(ledger),
            subscriptions: Slab::new(),
            by_name: HashMap::new(),
            producers: HashMap::new(),
            sequences: HashMap::new(),
            published: 0,
            missed: 0,
        }
    }

    pub fn subscription(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub fn add_subscription(&mut self, subscription: Subscription) -> Result<usize, Refusal> {
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return Err(Refusal::new(
                ServerError::NotAllowedError,
                format!(
                    "Exceed the maximum number of subscriptions of the topic: {}",
                    self.name.full
                ),
            ));
        }
        let name = subscription.name.clone();
        let key = self.subscriptions.insert(subscription);
        self.by_name.insert(name, key);
        Ok(key)
    }

    pub fn remove_subscription(&mut self, key: usize) {
        if let Some(subscription) = self.subscriptions.try_remove(key) {
            self.by_name.remove(&subscription.name);
        }
    }

    /// Whether a producer may join under this name; the caller inserts it.
    pub fn check_producer(&self, name: &str, producer: &Producer) -> Result<(), Refusal> {
        if self.log.terminated {
            return Err(Refusal::new(
                ServerError::TopicTerminatedError,
                "org.apache.pulsar.broker.service.BrokerServiceException$TopicTerminatedException: \
                 Topic was already terminated",
            ));
        }
        let exclusive = self.producers.iter().find(|(_, p)| p.exclusive);
        if let Some((holder, _)) = exclusive {
            let error = match producer.exclusive {
                true => ServerError::ProducerFenced,
                false => ServerError::ProducerBusy,
            };
            return Err(Refusal::new(
                error,
                format!("Topic has an existing exclusive producer: {holder}"),
            ));
        }
        if producer.exclusive && !self.producers.is_empty() {
            return Err(Refusal::new(
                ServerError::ProducerFenced,
                "Topic has existing shared producers",
            ));
        }
        match self.producers.get(name) {
            // The same producer, created again on its own connection.
            Some(old)
                if old.connection == producer.connection
                    && old.producer_id == producer.producer_id
                    && old.epoch < producer.epoch =>
            {
                Ok(())
            }
            Some(_) => Err(Refusal::new(
                ServerError::ProducerBusy,
                format!(
                    "org.apache.pulsar.broker.service.BrokerServiceException$NamingException: \
                     Producer with name '{name}' is already connected to topic '{}'",
                    self.name.full
                ),
            )),
            None => Ok(()),
        }
    }

    /// −1: none known (always, without deduplication).
    pub fn last_sequence_id(&self, producer_name: &str) -> i64 {
        self.sequences
            .get(producer_name)
            .map_or(-1, |&last| last as i64)
    }

    /// Whether a message was published before; if not, its sequence ids are remembered.
    pub fn is_duplicate(&mut self, producer_name: &str, sequence_id: u64, highest: u64) -> bool {
        let full = self.sequences.len() >= MAX_DEDUPLICATED_PRODUCERS;
        let highest = highest.max(sequence_id);
        match self.sequences.get_mut(producer_name) {
            Some(last) if sequence_id <= *last => return true,
            Some(last) => *last = highest,
            None if full => {}
            None => {
                self.sequences.insert(producer_name.to_owned(), highest);
            }
        }
        false
    }
}
