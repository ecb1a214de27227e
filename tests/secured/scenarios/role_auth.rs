//! Apache's ProxyRoleAuthTest and its kin: the gateway's own role is one of the brokers' `proxyRoles` and a superuser, or
//! only a superuser; clients show tokens of their own; the gateway decides what they may do. However the gateway finds
//! topics and grants, and whether or not brokers look at original credentials, the same clients are let in.

use super::{by_tokens, exchange, gateway_as, new_namespace, refusal};
use crate::secured::Secured;
use crate::support::World;

/// Ways to topics and grants, as settings.
fn ways(secured: &Secured) -> [Vec<String>; 3] {
    let web = format!("serviceUrl={}", secured.web_url());
    let store = secured.store_url();
    let store = format!("configurationMetadataStoreUrl={store}");
    [
        vec![web.clone()],
        // By the web service alone.
        vec![web, "brokerServiceUrl=".to_owned()],
        // As there: brokers for topics, the store for grants.
        vec![store, "clusterName=standalone".to_owned()],
    ]
}

fn lets_in_who_is_granted(secured: &Secured, world: &World) {
    let namespace = new_namespace(secured);
    secured.grant(&namespace, "client", &["produce", "consume"]);
    let by = |role: &str| exchange(world, Some(&secured.token(role)), "/ws/v2", &namespace);
    assert_eq!(by("client"), Ok(()));
    let not_authorized = refusal(403, "Not authorized");
    assert_eq!(by("unauthorized_user"), not_authorized);
    // For the gateway they are clients like others.
    assert_eq!(by("gateway"), not_authorized);
    let unknown = exchange(world, None, "/ws/v2", &namespace);
    assert_eq!(unknown, refusal(401, "Failed to authenticate"));
}

fn each_way_lets_in_who_is_granted(secured: &Secured, own_role: &str) {
    for way in ways(secured) {
        let mut settings = by_tokens(secured);
        settings.push("authorizationEnabled=true".to_owned());
        settings.extend(way);
        lets_in_who_is_granted(secured, &gateway_as(secured, own_role, &settings));
    }
}

#[test]
fn a_gateway_of_a_proxys_role_lets_in_who_is_granted() {
    each_way_lets_in_who_is_granted(Secured::get(), "gateway");
}

/// NonProxyRoleTest
#[test]
fn a_gateway_of_a_superusers_role_lets_in_who_is_granted() {
    each_way_lets_in_who_is_granted(Secured::get(), "admin");
}

#[test]
fn it_is_the_same_where_brokers_look_at_original_credentials() {
    let secured = Secured::that_asks_for_original_auth_data();
    each_way_lets_in_who_is_granted(secured, "gateway");
}
