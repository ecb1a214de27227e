//! A topic that goes elsewhere: what the broker says of it, and where the link goes on.

use super::Client;
use super::address::Route;
use super::deadlines::User;
use super::pool::retryable;
use super::spec::{BrokerAddress, ConnectionId, ConsumerId, ProducerId};
use crate::pulsar::wire::{AssignedBroker, TopicMigrated, assigned_broker};

impl Client {
    /// CLOSE_PRODUCER or CLOSE_CONSUMER from the broker: an unload, a cursor reset, an admin.
    pub(super) fn closed_by_broker(
        &mut self,
        now_ms: u64,
        user: User,
        connection: ConnectionId,
        command: &[u8],
    ) {
        let known = self
            .link(user)
            .is_some_and(|link| link.known_on() == Some(connection));
        if !known {
            return;
        }
        let assigned = self.assigned_route(connection, command);
        let error = retryable("closed by the broker");
        self.link_lost(now_ms, user, false, error, assigned);
    }

    /// TOPIC_MIGRATED: a CLOSE follows, and then the look-up goes to the other cluster.
    pub(super) fn topic_migrated(&mut self, connection: ConnectionId, migrated: &TopicMigrated) {
        let user = match migrated.is_producer {
            true => User::Producer(ProducerId(migrated.resource_id)),
            false => User::Consumer(ConsumerId(migrated.resource_id)),
        };
        let tls = self
            .pool
            .get(connection)
            .is_some_and(|c| c.route.address.tls);
        let cluster = address_of(migrated.cluster.clone(), tls);
        if let Some(link) = self.link_mut(user)
            && link.known_on() == Some(connection)
        {
            match cluster {
                Some(cluster) => {
                    let opened = link.opened;
                    let from = link.migrated_to.replace(cluster.clone());
                    if let User::Consumer(id) = user
                        && let Some(consumer) = self.consumers.get_mut(&id)
                    {
                        consumer.migrated |= opened && from != Some(cluster);
                    }
                }
                None => tracing::warn!("a topic has migrated to a cluster without a usable URL"),
            }
        }
    }

    /// The next owner that a CLOSE command may name; behind a proxy, by the same proxy.
    fn assigned_route(&self, connection: ConnectionId, command: &[u8]) -> Option<Route> {
        let route = &self.pool.get(connection)?.route;
        let assigned = assigned_broker(command)?;
        let address = address_of(assigned, route.address.tls)?;
        Some(match &route.proxy_to {
            Some(_) => Route {
                principal: route.principal,
                address: route.address.clone(),
                proxy_to: Some(address.authority()),
                for_lists: false,
            },
            None => Route::direct(route.principal, address),
        })
    }
}

/// From a connection with TLS only to one with TLS, and the other way round.
fn address_of(broker: AssignedBroker, tls: bool) -> Option<BrokerAddress> {
    let url = match tls {
        true => broker.service_url_tls?,
        false => broker.service_url?,
    };
    BrokerAddress::parse_first(&url).filter(|address| address.tls == tls)
}
