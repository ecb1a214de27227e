//! What an administrator has granted, as Pulsar keeps it: the JSON of a namespace's `Policies` and of a `TenantInfo`, in
//! the metadata store and in the answers of the admin API alike.

use std::collections::HashSet;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Map, Value};

use super::access::Resource;

/// What is kept of a namespace's policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// `auth_policies.namespace_auth`
    pub namespace_roles: Roles,
    /// `auth_policies.destination_auth`: by the full name of the topic.
    pub topic_roles: FxHashMap<String, Roles>,
    /// `auth_policies.subscription_auth_roles`: the roles of a subscription, where it has any.
    pub subscription_roles: FxHashMap<String, HashSet<String>>,
    /// `subscription_auth_mode` is `Prefix`: subscriptions begin with the role of who uses them.
    pub subscription_prefix: bool,
}

/// What each role may do.
pub type Roles = FxHashMap<String, Actions>;

/// Of Pulsar's `AuthAction` what matters to sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    pub produce: bool,
    pub consume: bool,
}

/// One record that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// `adminRoles`
    Tenant {
        admins: FxHashSet<String>,
    },
    Policies(Box<Policies>),
    Clusters(FxHashSet<String>),
}

impl Record {
    /// Reads what was found for a resource. A record that says less than it could grants less; one that is no record is
    /// an error, never a record without grants.
    ///
    /// # Errors
    /// What it should have been; nothing of its text.
    pub fn parse(resource: &Resource, json: &[u8]) -> Result<Record, &'static str> {
        let value: Value =
            serde_json::from_slice(json).map_err(|_| "a record of Pulsar's is not JSON")?;
        match (resource, &value) {
            (Resource::Tenant(_), Value::Object(tenant)) => Ok(Record::Tenant {
                admins: strings(tenant.get("adminRoles"))?,
            }),
            (Resource::Policies(_), Value::Object(namespace)) => {
                Ok(Record::Policies(Box::new(policies(namespace)?)))
            }
            (Resource::Clusters, names @ Value::Array(_)) => {
                Ok(Record::Clusters(strings(Some(names))?))
            }
            _ => Err("a record of Pulsar's is not of its kind"),
        }
    }
}

fn policies(namespace: &Map<String, Value>) -> Result<Policies, &'static str> {
    let mode = namespace
        .get("subscription_auth_mode")
        .and_then(Value::as_str);
    let mut policies = Policies {
        subscription_prefix: mode == Some("Prefix"),
        ..Policies::default()
    };
    let Some(auth) = object(namespace.get("auth_policies"))? else {
        return Ok(policies);
    };
    policies.namespace_roles = roles(auth.get("namespace_auth"))?;
    for (topic, granted) in object(auth.get("destination_auth"))?.into_iter().flatten() {
        policies
            .topic_roles
            .insert(topic.clone(), roles(Some(granted))?);
    }
    let subscriptions = object(auth.get("subscription_auth_roles"))?;
    for (subscription, granted) in subscriptions.into_iter().flatten() {
        policies
            .subscription_roles
            .insert(subscription.clone(), strings(Some(granted))?);
    }
    Ok(policies)
}

fn roles(value: Option<&Value>) -> Result<Roles, &'static str> {
    let mut roles = Roles::default();
    for (role, actions) in object(value)?.into_iter().flatten() {
        let actions: HashSet<String> = strings(Some(actions))?;
        let actions = Actions {
            produce: actions.contains("produce"),
            consume: actions.contains("consume"),
        };
        roles.insert(role.clone(), actions);
    }
    Ok(roles)
}

/// None: it is left out, or null.
fn object(value: Option<&Value>) -> Result<Option<&Map<String, Value>>, &'static str> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err("a list of grants is not an object"),
    }
}

fn strings<S: std::hash::BuildHasher + Default>(
    value: Option<&Value>,
) -> Result<HashSet<String, S>, &'static str> {
    let names = match value {
        None | Some(Value::Null) => return Ok(HashSet::default()),
        Some(Value::Array(names)) => names,
        Some(_) => return Err("a list of roles is not a list"),
    };
    let name = |value: &Value| value.as_str().map(str::to_owned);
    let names: Option<HashSet<String, S>> = names.iter().map(name).collect();
    names.ok_or("a role is not a text")
}
