//! What an administrator lets roles do: said to the embedded broker or to Pulsar's REST API, both of which tell it to who
//! asks. Namespaces are `tenant/name`, topics full names.

use serde_json::{Value, json};

use super::Admin;
use super::admin::{expect_ok, http};

impl Admin<'_> {
    /// A tenant with these administrators, and a namespace in it.
    pub fn create_tenant(&self, tenant: &str, namespace: &str, admins: &[&str]) {
        match self {
            Admin::Embedded(broker) => broker.admin().set_tenant_admins(tenant, admins),
            Admin::Http(url) => {
                let path = format!("/admin/v2/tenants/{tenant}");
                let body = json!({ "adminRoles": admins, "allowedClusters": ["standalone"] });
                expect_ok(http(url, "PUT", &path, &body.to_string()));
            }
        }
        self.create_namespace(&format!("{tenant}/{namespace}"));
    }

    /// What a role may do in a namespace; nothing takes back what it had.
    pub fn grant(&self, namespace: &str, role: &str, actions: &[&str]) {
        match self {
            Admin::Embedded(broker) => {
                let granted = broker.admin().grant(namespace, role, actions);
                granted.expect("the namespace is there");
            }
            Admin::Http(url) => {
                let path = format!("/admin/v2/namespaces/{namespace}/permissions/{role}");
                set(url, &path, actions);
            }
        }
    }

    /// The same on one topic, which Pulsar wants to be there.
    pub fn grant_topic(&self, topic: &str, role: &str, actions: &[&str]) {
        match self {
            Admin::Embedded(broker) => {
                let granted = broker.admin().grant_topic(topic, role, actions);
                granted.expect("the namespace is there");
            }
            Admin::Http(url) => {
                let name = topic.replacen("://", "/", 1);
                let (status, body) = http(url, "PUT", &format!("/admin/v2/{name}"), "");
                assert!(status == 204 || status == 409, "{status}: {body}");
                set(
                    url,
                    &format!("/admin/v2/{name}/permissions/{role}"),
                    actions,
                );
            }
        }
    }

    /// Who may use a subscription.
    pub fn grant_subscription(&self, namespace: &str, subscription: &str, roles: &[&str]) {
        match self {
            Admin::Embedded(broker) => {
                let admin = broker.admin();
                let granted = admin.grant_subscription(namespace, subscription, roles);
                granted.expect("the namespace is there");
            }
            Admin::Http(url) => {
                let path = format!(
                    "/admin/v2/namespaces/{namespace}/permissions/subscription/{subscription}"
                );
                expect_ok(http(url, "POST", &path, &json!(roles).to_string()));
            }
        }
    }

    /// Subscriptions have to begin with the role of who uses them.
    pub fn want_subscription_prefix(&self, namespace: &str) {
        match self {
            Admin::Embedded(broker) => {
                let set = broker.admin().set_subscription_prefix(namespace, true);
                set.expect("the namespace is there");
            }
            Admin::Http(url) => {
                let path = format!("/admin/v2/namespaces/{namespace}/subscriptionAuthMode");
                expect_ok(http(url, "POST", &path, &Value::from("Prefix").to_string()));
            }
        }
    }
}

fn set(url: &str, path: &str, actions: &[&str]) {
    expect_ok(match actions {
        [] => http(url, "DELETE", path, ""),
        _ => http(url, "POST", path, &json!(actions).to_string()),
    });
}
