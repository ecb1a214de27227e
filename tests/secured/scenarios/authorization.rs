//! Apache's ProxyAuthorizationTest: what roles may do while a tenant, a namespace and its grants come one after the
//! other, on topics of V1 (as there) and v2 names, with grants out of the admin API and out of ZooKeeper.

use serde_json::json;

use super::{by_tokens, gateway_as, open};
use crate::secured::Secured;
use crate::support::{World, eventually, topic};

/// A tenant that only the superuser knows as yet, and a namespace in it.
struct Place {
    tenant: String,
    /// `tenant/ns1`, or `tenant/standalone/ns1`.
    namespace: String,
    /// Where WebSocket paths and admin paths of this kind of name start.
    paths: &'static str,
    admin_paths: &'static str,
}

fn places() -> [Place; 2] {
    let (one, two) = (topic("p1"), topic("p1"));
    [
        Place {
            namespace: format!("{one}/ns1"),
            tenant: one,
            paths: "/ws/v2",
            admin_paths: "/admin/v2",
        },
        Place {
            namespace: format!("{two}/standalone/ns1"),
            tenant: two,
            paths: "/ws",
            admin_paths: "/admin",
        },
    ]
}

impl Place {
    fn ask(&self, method: &str, path: &str, body: &serde_json::Value) {
        let path = format!("{}/{path}", self.admin_paths);
        Secured::get().admin().expect(method, &path, body);
    }

    fn create_tenant(&self) {
        let tenant = json!({ "adminRoles": ["role1"], "allowedClusters": ["standalone"] });
        let path = format!("/admin/v2/tenants/{}", self.tenant);
        Secured::get().admin().expect("PUT", &path, &tenant);
    }

    fn create_namespace(&self) {
        let path = format!("namespaces/{}", self.namespace);
        self.ask("PUT", &path, &json!({}));
    }

    fn grant(&self, role: &str, actions: &[&str]) {
        let path = format!("namespaces/{}/permissions/{role}", self.namespace);
        self.ask("POST", &path, &json!(actions));
    }

    fn grant_topic(&self, topic: &str, role: &str, actions: &[&str]) {
        let path = format!("persistent/{}/{topic}/permissions/{role}", self.namespace);
        self.ask("POST", &path, &json!(actions));
    }

    fn grant_subscription(&self, subscription: &str, roles: &[&str]) {
        let path = format!(
            "namespaces/{}/permissions/subscription/{subscription}",
            self.namespace
        );
        self.ask("POST", &path, &json!(roles));
    }

    /// Of producing and consuming.
    fn rights(&self, world: &World, role: &str, topic: &str) -> [bool; 2] {
        ["producer", "consumer"].map(|kind| {
            let start = format!("{}/{kind}/persistent/{}", self.paths, self.namespace);
            let path = match kind {
                "consumer" => format!("{start}/{topic}/s-{role}"),
                _ => format!("{start}/{topic}"),
            };
            let token = Secured::get().token(role);
            match open(world, Some(&token), &path) {
                Ok(client) => {
                    client.close();
                    true
                }
                Err(refused) => {
                    let text = "Not authorized\n".to_owned();
                    assert_eq!(refused, (403, text), "{role} {path}");
                    false
                }
            }
        })
    }

    /// What was granted just now counts a moment later.
    fn becomes(&self, world: &World, role: &str, topic: &str, rights: [bool; 2]) {
        eventually("it is granted", || {
            self.rights(world, role, topic) == rights
        });
    }
}

/// A gateway that decides by grants that it reads there.
fn deciding(more: &[String]) -> World {
    let secured = Secured::get();
    let mut settings = by_tokens(secured);
    settings.push("authorizationEnabled=true".to_owned());
    settings.push("clusterName=standalone".to_owned());
    settings.extend_from_slice(more);
    gateway_as(secured, "admin", &settings)
}

fn roles_may_do_what_they_are_granted(world: &World) {
    for place in places() {
        assert_eq!(place.rights(world, "my-role", "ds1"), [false, false]);
        place.create_tenant();
        place.create_namespace();
        assert_eq!(place.rights(world, "my-role", "ds1"), [false, false]);
        place.grant("my-role", &["produce"]);
        place.becomes(world, "my-role", "ds1", [true, false]);
        // Only to a topic that is there something is granted.
        let path = format!("persistent/{}/ds2", place.namespace);
        place.ask("PUT", &path, &json!({}));
        place.grant_topic("ds2", "other-role", &["consume"]);
        place.becomes(world, "other-role", "ds2", [false, true]);
        assert_eq!(place.rights(world, "other-role", "ds1"), [false, false]);
        assert_eq!(place.rights(world, "my-role", "ds1"), [true, false]);
        for topic in ["ds1", "ds2"] {
            assert_eq!(place.rights(world, "no-access-role", topic), [false, false]);
        }
        place.grant("my-role", &["produce", "consume"]);
        place.becomes(world, "my-role", "ds1", [true, true]);
        // The tenant's administrator.
        assert_eq!(place.rights(world, "role1", "ds1"), [true, true]);
    }
}

#[test]
fn roles_may_do_what_they_are_granted_by_the_admin_api() {
    let web = Secured::get().web_url();
    roles_may_do_what_they_are_granted(&deciding(&[format!("serviceUrl={web}")]));
}

#[test]
fn roles_may_do_what_they_are_granted_by_the_store() {
    let store = Secured::get().store_url();
    let setting = format!("configurationMetadataStoreUrl={store}");
    roles_may_do_what_they_are_granted(&deciding(&[setting]));
}

/// ProxyAuthorizationWithoutImplicitPermissionOnSubscriptionTest. Pulsar 4.0.8 itself does not know the setting: the
/// gateway is stricter than its brokers.
#[test]
fn without_implicit_permissions_a_subscription_is_for_whom_it_was_granted_to() {
    let web = format!("serviceUrl={}", Secured::get().web_url());
    let strict = "grantImplicitPermissionOnSubscription=false".to_owned();
    let world = deciding(&[web, strict]);
    for place in places() {
        place.create_tenant();
        place.create_namespace();
        place.grant("other-role", &["produce", "consume"]);
        place.becomes(&world, "other-role", "ds1", [true, false]);
        place.grant_subscription("s-other-role", &["other-role"]);
        place.becomes(&world, "other-role", "ds1", [true, true]);
        assert_eq!(
            place.rights(&world, "no-access-role", "ds1"),
            [false, false]
        );
    }
}
