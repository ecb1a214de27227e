//! Whether the records allow an access: the rules of Java's `PulsarAuthorizationProvider` as its WebSocket handlers ask it
//! (`allowTopicOperationAsync` with PRODUCE and CONSUME).
//!
//! Who is refused is not told whether a tenant, a namespace or a topic is there: what is missing refuses like a grant
//! that is missing.

use std::collections::HashSet;

use super::access::{Access, Action, Resource, Right};
use super::records::{Actions, Policies, Record, Roles};

/// What the configuration says about permissions.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `superUserRoles`: may do everything.
    pub super_user_roles: HashSet<String>,
    /// `authorizationAllowWildcardsMatching`: a granted role may begin or end with `*`.
    pub wildcards: bool,
    /// Not `grantImplicitPermissionOnSubscription`: a subscription is for the roles that it has, also where it has none.
    pub explicit_subscriptions: bool,
    /// `clusterName`: known without asking.
    pub cluster: Option<String>,
}

/// What is known of a resource: None, it does not exist.
pub trait Records {
    fn record(&self, resource: &Resource) -> Option<&Record>;
}

impl Rules {
    /// The records that decide on an access; empty where the role alone does.
    pub fn needs(&self, access: &Access) -> Vec<Resource> {
        let mut needs = Vec::new();
        if self.is_super_user(&access.role) {
            return needs;
        }
        for right in &access.rights {
            needs.push(Resource::Tenant(right.tenant().into()));
            needs.push(Resource::Policies(right.namespace().into()));
            if self.foreign_cluster(right).is_some() {
                needs.push(Resource::Clusters);
            }
        }
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// Whether the records that it [needs](Self::needs) allow all of it.
    pub fn allow(&self, access: &Access, records: &impl Records) -> bool {
        let mut rights = access.rights.iter();
        self.is_super_user(&access.role)
            || rights.all(|right| self.allow_right(&access.role, right, records))
    }

    fn is_super_user(&self, role: &str) -> bool {
        self.super_user_roles.contains(role)
    }

    fn allow_right(&self, role: &str, right: &Right, records: &impl Records) -> bool {
        // Of a tenant that is not there Java makes an error (status 500), which would tell that it is not there.
        let tenant = Resource::Tenant(right.tenant().into());
        let Some(Record::Tenant { admins }) = records.record(&tenant) else {
            return false;
        };
        if admins.contains(role) {
            return true;
        }
        let policies = Resource::Policies(right.namespace().into());
        let Some(Record::Policies(policies)) = records.record(&policies) else {
            return false;
        };
        self.is_granted(role, right, policies) && self.cluster_is_known(right, records)
    }

    fn is_granted(&self, role: &str, right: &Right, policies: &Policies) -> bool {
        match &right.action {
            Action::Produce => self.has(role, right, policies, |actions| actions.produce),
            Action::Consume { subscription } => {
                let subscription = subscription.as_deref();
                subscription.is_none_or(|name| self.may_subscribe(role, name, policies))
                    && self.has(role, right, policies, |actions| actions.consume)
            }
            Action::ConsumeAll { subscription } => {
                self.may_subscribe(role, subscription, policies)
                    && self.in_roles(role, &policies.namespace_roles, |actions| actions.consume)
            }
        }
    }

    /// The subscription's roles, where it has any, and the namespace's mode. Of the latter Java makes an error (status 500).
    fn may_subscribe(&self, role: &str, subscription: &str, policies: &Policies) -> bool {
        let roles = policies.subscription_roles.get(subscription);
        let is_for_role = match roles.filter(|roles| !roles.is_empty()) {
            Some(roles) => roles.contains(role),
            None => !self.explicit_subscriptions,
        };
        is_for_role && (!policies.subscription_prefix || subscription.starts_with(role))
    }

    /// `checkPermission`
    fn has(
        &self,
        role: &str,
        right: &Right,
        policies: &Policies,
        action: fn(Actions) -> bool,
    ) -> bool {
        let topic_roles = |topic: &str| policies.topic_roles.get(topic);
        let exact = |roles: &Roles| roles.get(role).is_some_and(|actions| action(*actions));
        self.in_roles(role, &policies.namespace_roles, action)
            || topic_roles(&right.topic).is_some_and(|roles| self.in_roles(role, roles, action))
            // A partition has what its topic has, though not by wildcards.
            || right.partitioned().and_then(topic_roles).is_some_and(exact)
    }

    fn in_roles(&self, role: &str, roles: &Roles, action: fn(Actions) -> bool) -> bool {
        roles.get(role).is_some_and(|actions| action(*actions))
            || self.wildcards
                && roles
                    .iter()
                    .any(|(granted, actions)| action(*actions) && matches_wildcard(role, granted))
    }

    /// `checkCluster`: a V1 topic of a cluster that is gone is nobody's but the tenant's administrators'.
    fn cluster_is_known(&self, right: &Right, records: &impl Records) -> bool {
        let Some(cluster) = self.foreign_cluster(right) else {
            return true;
        };
        match records.record(&Resource::Clusters) {
            Some(Record::Clusters(names)) => names.contains(cluster),
            _ => false,
        }
    }

    /// The cluster of a V1 topic, unless it is the gateway's own.
    fn foreign_cluster<'a>(&self, right: &'a Right) -> Option<&'a str> {
        let cluster = right.cluster()?;
        (self.cluster.as_deref() != Some(cluster)).then_some(cluster)
    }
}

/// `checkWildcardPermission`: `role*` and `*role`.
fn matches_wildcard(role: &str, granted: &str) -> bool {
    let prefix = granted.strip_suffix('*');
    let suffix = granted.strip_prefix('*');
    prefix.is_some_and(|prefix| role.starts_with(prefix))
        || suffix.is_some_and(|suffix| role.ends_with(suffix))
}
