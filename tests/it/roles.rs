//! Who is the same to brokers, where they decide what clients may do (`authorization=broker`).
//!
//! Set-up: a broker that lets everybody do everything, so that only the sharing is seen. Claim: sockets share what is open
//! at the brokers with those alone whom these cannot tell from them: of the same role, and of the same roles where tokens
//! name several, at which a broker may look (`MultiRolesTokenAuthorizationProvider`).

use serde_json::json;

use crate::support::tokens::{self, claiming};
use crate::support::{Client, World, topic};
use crate::token_expiry::response;

fn world() -> World {
    World::with(&tokens::settings(&["authorization=broker"]))
}

/// A token of these roles that ends in an hour and a bit.
fn token(roles: &[&str], seconds: i64) -> String {
    let ends = tokens::now_seconds() + 3600 + seconds;
    claiming(&json!({ "sub": roles, "exp": ends }))
}

fn open(world: &World, kind: &str, rest: &str, token: &str) -> Client {
    world.open(&format!(
        "/ws/v2/{kind}/persistent/public/default/{rest}?token={token}"
    ))
}

#[test]
fn sockets_share_nothing_with_those_whose_further_roles_differ() {
    let world = world();
    let name = topic("roles");
    let consumer = |roles: &[&str], seconds| {
        let rest = format!("{name}/s");
        let token = token(roles, seconds);
        world.open(&format!(
            "/ws/v2/consumer/persistent/public/default/{rest}?subscriptionType=Shared&token={token}"
        ))
    };
    let consumers = || {
        let stats = world.admin().stats(&name).expect("a topic");
        stats.subscription("s").expect("a subscription").consumers
    };
    let _first = consumer(&["default", "a", "c"], 0);
    let _same = consumer(&["default", "c", "a"], 1);
    assert_eq!(consumers(), 1);
    let _other = consumer(&["default", "b"], 0);
    assert_eq!(consumers(), 2);
    let _fewer = consumer(&["default"], 0);
    assert_eq!(consumers(), 3);
}

#[test]
fn a_new_token_names_the_same_roles() {
    let world = world();
    let name = topic("roles");
    let first = token(&["default", "a"], 0);
    let [mut same, mut other] = [0, 1].map(|_| open(&world, "reader", &name, &first));
    same.send_json(response(&token(&["default", "a"], 1)));
    open(&world, "producer", &name, &first).publish("still here");
    assert_eq!(same.receive(), "still here");
    other.send_json(response(&token(&["default", "b"], 1)));
    assert_eq!(
        other.closed().reason,
        "Failed to authenticate client: the token is of another role"
    );
}
