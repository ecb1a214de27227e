//! What Apache Pulsar's own tests of its WebSocket gateway show about who is let in, each on this one: the file names the
//! scenario, and what it has to do with is a Pulsar that asks everybody, too.
//!
//! | Apache's test (`org.apache.pulsar.websocket.proxy`) | here |
//! |---|---|
//! | `ProxyAuthenticationTest`, `v1.V1ProxyAuthenticationTest` | `authentication` |
//! | `ProxyAuthorizationTest`, `ProxyAuthorizationWithoutImplicitPermissionOnSubscriptionTest` | `authorization` |
//! | `ProxyRoleAuthTest`, `WebSocketProxyAuthIntegrationTest`, `NonProxyRoleTest`, `ProxyRoleAuthWebServiceURLTest`, `ProxyRoleAuthenticateOriginalAuthData…Test` | `role_auth` |
//! | `ProxyPublishConsumeTlsTest`, `ProxyPublishConsumeTls` | `publish_consume_tls` |
//! | `ProxyEncryptionPublishConsumeTest` | `tests/it/encryption_keys.rs` |
//! | `ProxyPublishConsumeClientSideEncryptionTest` | `tests/it/interop/by_itself.rs` |

mod authentication;
mod authorization;
mod publish_consume_tls;
mod role_auth;

use serde_json::json;

use crate::secured::Secured;
use crate::support::{Client, World, topic};

/// Settings of a gateway that knows its clients by tokens.
fn by_tokens(secured: &Secured) -> Vec<String> {
    vec![
        "authenticationEnabled=true".to_owned(),
        "authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderToken".to_owned(),
        format!("tokenSecretKey=file://{}", secured.secret_key().display()),
    ]
}

fn gateway_as(secured: &Secured, role: &str, settings: &[String]) -> World {
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    secured.gateway_as(role, &settings)
}

/// A client that shows this token, if any.
fn open(world: &World, token: Option<&str>, path: &str) -> Result<Client, (u16, String)> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer
        .iter()
        .map(|value| ("Authorization", value.as_str()))
        .collect();
    Client::open_with(world.address(), path, &headers)
}

/// What one publishes the other gets, on a new topic; `start` is a path's up to the role, `namespace` what follows that.
///
/// # Errors
/// How one of the two was refused.
fn exchange(
    world: &World,
    token: Option<&str>,
    start: &str,
    namespace: &str,
) -> Result<(), (u16, String)> {
    let name = topic("exchange");
    let path = |role: &str| format!("{start}/{role}/persistent/{namespace}/{name}");
    let mut consumer = open(world, token, &format!("{}/my-sub", path("consumer")))?;
    let mut producer = open(world, token, &path("producer"))?;
    for number in 0..3 {
        producer.publish(&number.to_string());
    }
    assert_eq!(consumer.receive_all(3), ["0", "1", "2"]);
    Ok(())
}

/// In a tenant that superusers made: of `public` they all are administrators, by name.
fn new_namespace(secured: &Secured) -> String {
    let tenant = topic("tenant");
    let settings = json!({ "adminRoles": [], "allowedClusters": ["standalone"] });
    let path = format!("/admin/v2/tenants/{tenant}");
    secured.admin().expect("PUT", &path, &settings);
    let namespace = format!("{tenant}/my-ns");
    secured.create_namespace(&namespace);
    namespace
}

fn refusal(status: u16, text: &str) -> Result<(), (u16, String)> {
    Err((status, format!("{text}\n")))
}
