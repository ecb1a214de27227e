//! Who may do what, as an administrator has said it and the admin API tells it. It is kept for those who ask: this broker
//! itself lets everybody do everything.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde_json::{Value, json};

use super::Broker;
use super::manage::{not_found, parse};
use super::web::WebAnswer;

/// What each role may do: `produce`, `consume`.
type Roles = BTreeMap<String, BTreeSet<String>>;

/// Of one namespace.
#[derive(Debug, Default)]
pub(super) struct Permissions {
    namespace: Roles,
    topics: BTreeMap<String, Roles>,
    subscriptions: BTreeMap<String, BTreeSet<String>>,
    subscription_prefix: bool,
}

impl Broker {
    fn permissions_of(&mut self, namespace: &str) -> io::Result<&mut Permissions> {
        if !self.namespaces.contains(namespace) {
            return Err(not_found("Namespace"));
        }
        Ok(self.permissions.entry(namespace.to_owned()).or_default())
    }

    /// No actions: what the role had is taken back.
    pub fn grant(&mut self, namespace: &str, role: &str, actions: &[&str]) -> io::Result<()> {
        set(
            &mut self.permissions_of(namespace)?.namespace,
            role,
            actions,
        );
        Ok(())
    }

    /// The same on one topic.
    pub fn grant_topic(&mut self, topic: &str, role: &str, actions: &[&str]) -> io::Result<()> {
        let name = parse(topic)?;
        let permissions = self.permissions_of(&name.namespace)?;
        let roles = permissions.topics.entry(name.full).or_default();
        set(roles, role, actions);
        Ok(())
    }

    /// Who may use a subscription. No roles: everybody who may consume.
    pub fn grant_subscription(
        &mut self,
        namespace: &str,
        subscription: &str,
        roles: &[&str],
    ) -> io::Result<()> {
        let permissions = self.permissions_of(namespace)?;
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        permissions
            .subscriptions
            .insert(subscription.to_owned(), roles);
        Ok(())
    }

    /// Whether subscriptions have to begin with the role of who uses them.
    pub fn set_subscription_prefix(&mut self, namespace: &str, prefix: bool) -> io::Result<()> {
        self.permissions_of(namespace)?.subscription_prefix = prefix;
        Ok(())
    }

    pub fn set_tenant_admins(&mut self, tenant: &str, roles: &[&str]) {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        self.tenant_admins.insert(tenant.to_owned(), roles);
    }

    pub(super) fn web_policies(&self, namespace: &str) -> WebAnswer {
        if !self.namespaces.contains(namespace) {
            return WebAnswer::refused(404, "Namespace does not exist");
        }
        let none = Permissions::default();
        let permissions = self.permissions.get(namespace).unwrap_or(&none);
        let mode = match permissions.subscription_prefix {
            true => "Prefix",
            false => "None",
        };
        WebAnswer::ok(&json!({
            "auth_policies": {
                "namespace_auth": permissions.namespace,
                "destination_auth": permissions.topics,
                "subscription_auth_roles": permissions.subscriptions,
            },
            "subscription_auth_mode": mode,
        }))
    }

    pub(super) fn web_tenant(&self, tenant: &str) -> WebAnswer {
        let mut namespaces = self.namespaces.iter();
        if !namespaces.any(|namespace| namespace.split('/').next() == Some(tenant)) {
            return WebAnswer::refused(404, "Tenant does not exist");
        }
        let admins = self.tenant_admins.get(tenant);
        let admins: Value = admins.map_or_else(|| json!([]), |roles| json!(roles));
        WebAnswer::ok(&json!({ "adminRoles": admins, "allowedClusters": ["standalone"] }))
    }
}

fn set(roles: &mut Roles, role: &str, actions: &[&str]) {
    if actions.is_empty() {
        roles.remove(role);
        return;
    }
    let actions = actions.iter().map(|action| (*action).to_owned()).collect();
    roles.insert(role.to_owned(), actions);
}
