//! What is asked over HTTP, and what the answers mean.

use std::sync::Arc;

use super::super::Client;
use super::super::address::Route;
use super::super::pool::retryable;
use super::super::spec::{BrokerAddress, LookupBy};
use super::{About, Answer, LookupId};
use crate::pulsar::rest::{self, Response};

/// Of the request; `None` where the question goes over the binary protocol, as it does to other clusters.
pub(super) fn target(lookup_by: LookupBy, about: &About) -> Option<String> {
    match about {
        About::Resource(target) => Some(target.clone()),
        _ if lookup_by == LookupBy::Broker => None,
        About::Owner(topic) => Some(rest::lookup_path(topic)),
        About::OwnerThere(..) => None,
        About::Partitions { topic, create } => Some(rest::partitions_path(topic, *create)),
        About::Topics {
            namespace,
            persistent,
            ..
        } => Some(rest::topics_path(namespace, *persistent)),
    }
}

impl Client {
    pub(in crate::pulsar::client) fn http_answered(
        &mut self,
        now_ms: u64,
        id: LookupId,
        response: &Response,
    ) {
        let Some(lookup) = self.lookups.open.get(&id) else {
            return;
        };
        match (response.status, &lookup.question.about) {
            (200, About::Owner(_) | About::OwnerThere(..)) => {
                // As in the binary protocol, TLS leads to TLS alone.
                let tls = lookup.route.address.tls;
                let url = rest::owner(&response.body).and_then(|owner| match tls {
                    true => owner.service_url_tls,
                    false => owner.service_url,
                });
                match url.as_deref().and_then(BrokerAddress::parse) {
                    Some(broker) if broker.tls == tls => {
                        let route = Route::direct(lookup.question.principal, broker);
                        self.lookup_done(now_ms, id, Ok(Answer::Owner(route)));
                    }
                    _ => {
                        let error = retryable("the answer to an HTTP lookup names no broker");
                        self.lookup_failed(now_ms, id, error);
                    }
                }
            }
            (200, About::Partitions { .. }) => match rest::partitions(&response.body) {
                Some(partitions) => self.partitions_known(now_ms, id, partitions),
                None => {
                    let error = retryable("the answer to an HTTP lookup is no partition count");
                    self.lookup_failed(now_ms, id, error);
                }
            },
            (200, About::Topics { .. }) => match rest::topics(&response.body) {
                Some(names) => self.lookup_done(now_ms, id, Ok(Answer::Topics(Arc::new(names)))),
                None => {
                    let error = retryable("the answer to an HTTP lookup is no list of topics");
                    self.lookup_failed(now_ms, id, error);
                }
            },
            (200, About::Resource(_)) => {
                let body = Some(response.body.as_slice().into());
                self.lookup_done(now_ms, id, Ok(Answer::Resource(body)));
            }
            (404, About::Resource(_)) => {
                self.lookup_done(now_ms, id, Ok(Answer::Resource(None)));
            }
            (301 | 302 | 307 | 308, _) => self.http_redirected(now_ms, id, response),
            _ => self.lookup_failed(now_ms, id, rest::refusal(response)),
        }
    }

    /// The bundle belongs to another broker, whose web service is asked then.
    fn http_redirected(&mut self, now_ms: u64, id: LookupId, response: &Response) {
        let Some(lookup) = self.lookups.open.get_mut(&id) else {
            return;
        };
        let tls = lookup.route.address.tls;
        let to = rest::redirect(response, tls).and_then(|(authority, target)| {
            let server = match authority {
                Some(authority) => Some(BrokerAddress::parse_http(&authority, tls)?),
                None => None,
            };
            Some((server, target))
        });
        let Some((server, target)) = to else {
            let error =
                retryable("an HTTP lookup is redirected to what is no URL of the same kind");
            return self.lookup_failed(now_ms, id, error);
        };
        if let Some(server) = server {
            lookup.route = Route::direct(lookup.question.principal, server);
        }
        lookup.http_target = Some(target);
        self.redirected(now_ms, id);
    }
}
