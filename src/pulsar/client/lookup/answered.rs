//! What brokers answer in the binary protocol: an owner, a number of partitions, a list of topics, or no.

use std::sync::Arc;

use ::pulsar::proto::command_lookup_topic_response::LookupType;
use ::pulsar::proto::command_partitioned_topic_metadata_response::LookupType as PartitionsLookupType;
use ::pulsar::proto::{
    CommandLookupTopicResponse, CommandPartitionedTopicMetadataResponse, ServerError,
};

use super::super::Client;
use super::super::address::Route;
use super::super::pool::retryable;
use super::super::spec::BrokerAddress;
use super::{About, Answer, LookupId, MAX_PARTITIONS};
use crate::pulsar::types::{BrokerError, ErrorKind};
use crate::pulsar::wire::{MAX_NAMES, TopicsListed, error_kind};

impl Client {
    pub(in crate::pulsar::client) fn owner_answered(
        &mut self,
        now_ms: u64,
        id: LookupId,
        response: CommandLookupTopicResponse,
    ) -> Result<(), String> {
        let Some(lookup) = self.lookups.open.get_mut(&id) else {
            return Ok(());
        };
        let kind = response
            .response
            .and_then(|kind| LookupType::try_from(kind).ok());
        // Pulsar's proxy refuses other questions so, too.
        if !matches!(kind, Some(LookupType::Connect | LookupType::Redirect)) {
            let error = refusal(response.error, response.message);
            self.lookup_failed(now_ms, id, error);
            return Ok(());
        }
        if !matches!(
            lookup.question.about,
            About::Owner(_) | About::OwnerThere(..)
        ) {
            return self.lookup_misunderstood(now_ms, id);
        }
        // An answer may not lead from an encrypted connection to one in the clear.
        let url = if lookup.route.address.tls {
            response.broker_service_url_tls.as_deref()
        } else {
            response.broker_service_url.as_deref()
        };
        let tls = lookup.route.address.tls;
        let Some(broker) = url
            .and_then(BrokerAddress::parse)
            .filter(|broker| broker.tls == tls)
        else {
            self.lookup_failed(now_ms, id, retryable("the lookup answer names no broker"));
            return Ok(());
        };
        if kind == Some(LookupType::Redirect) {
            lookup.route = Route::direct(lookup.question.principal, broker);
            lookup.authoritative = response.authoritative.unwrap_or(false);
            self.redirected(now_ms, id);
            return Ok(());
        }
        let route = if response.proxy_through_service_url.unwrap_or(false) {
            Route {
                principal: lookup.question.principal,
                address: lookup.route.address.clone(),
                proxy_to: Some(broker.authority()),
                for_lists: false,
            }
        } else {
            Route::direct(lookup.question.principal, broker)
        };
        self.lookup_done(now_ms, id, Ok(Answer::Owner(route)));
        Ok(())
    }

    pub(in crate::pulsar::client) fn partitions_answered(
        &mut self,
        now_ms: u64,
        id: LookupId,
        response: CommandPartitionedTopicMetadataResponse,
    ) -> Result<(), String> {
        let Some(lookup) = self.lookups.open.get(&id) else {
            return Ok(());
        };
        if !matches!(lookup.question.about, About::Partitions { .. }) {
            return self.lookup_misunderstood(now_ms, id);
        }
        let succeeded = response.response == Some(PartitionsLookupType::Success as i32);
        match response.partitions.filter(|_| succeeded) {
            Some(partitions) => self.partitions_known(now_ms, id, partitions.into()),
            None => {
                let error = refusal(response.error, response.message);
                self.lookup_failed(now_ms, id, error);
            }
        }
        Ok(())
    }

    /// An answer to another question: a violation that ends the connection, and is no answer for those who asked.
    fn lookup_misunderstood(&mut self, now_ms: u64, id: LookupId) -> Result<(), String> {
        let violation = "a lookup was given the answer to another question";
        self.lookup_failed(now_ms, id, retryable(violation));
        Err(violation.to_owned())
    }

    pub(super) fn partitions_known(&mut self, now_ms: u64, id: LookupId, partitions: u64) {
        let result = match u32::try_from(partitions) {
            Ok(partitions) if partitions <= MAX_PARTITIONS => Ok(Answer::Partitions(partitions)),
            _ => Err(BrokerError {
                kind: ErrorKind::Invalid,
                message: "the broker names more partitions than a topic can have".to_owned(),
            }),
        };
        self.lookup_done(now_ms, id, result);
    }

    pub(in crate::pulsar::client) fn listed(
        &mut self,
        now_ms: u64,
        id: LookupId,
        listed: TopicsListed,
    ) -> Result<(), String> {
        let Some(lookup) = self.lookups.open.get(&id) else {
            return Ok(());
        };
        if !matches!(lookup.question.about, About::Topics { .. }) {
            return self.lookup_misunderstood(now_ms, id);
        }
        let result = match listed.is_cut {
            false => Ok(Answer::Topics(Arc::new(listed.names))),
            true => Err(BrokerError {
                kind: ErrorKind::Invalid,
                message: format!("the namespace has more than {MAX_NAMES} topics"),
            }),
        };
        self.lookup_done(now_ms, id, result);
        Ok(())
    }
}

/// A broker's refusal out of an answer's optional fields. Without words, it is the name of the code.
pub(in crate::pulsar::client) fn refusal(
    error: Option<i32>,
    message: Option<String>,
) -> BrokerError {
    let named = |code| ServerError::try_from(code).map(|error| error.as_str_name().to_owned());
    let message = match message {
        Some(message) if !message.trim().is_empty() => message,
        _ => error.and_then(|code| named(code).ok()).unwrap_or_default(),
    };
    match error {
        Some(code) => BrokerError {
            kind: error_kind(code, &message),
            message,
        },
        None => retryable("the broker refused without a reason"),
    }
}
