//! Who may do what by which records: every rule, and what a record that is missing means.

use std::collections::HashMap;

use serde_json::json;

use super::super::access::{Access, Action, Resource};
use super::super::records::Record;
use super::super::rules::{Records, Rules};
use super::{access, consume};

#[derive(Default)]
struct Stored(HashMap<Resource, Record>);

impl Records for Stored {
    fn record(&self, resource: &Resource) -> Option<&Record> {
        self.0.get(resource)
    }
}

impl Stored {
    fn put(&mut self, resource: Resource, value: serde_json::Value) -> &mut Stored {
        let record = Record::parse(&resource, value.to_string().as_bytes()).expect("a record");
        self.0.insert(resource, record);
        self
    }

    /// A tenant `t` with an administrator and a namespace `t/n`.
    fn with_policies(policies: serde_json::Value) -> Stored {
        let mut stored = Stored::default();
        stored.put(
            Resource::Tenant("t".into()),
            json!({"adminRoles": ["admin"], "allowedClusters": ["c"]}),
        );
        stored.put(Resource::Policies("t/n".into()), policies);
        stored
    }

    fn with_auth(auth: serde_json::Value) -> Stored {
        Stored::with_policies(json!({ "auth_policies": auth }))
    }
}

const TOPIC: &str = "persistent://t/n/topic";

fn rules() -> Rules {
    Rules {
        super_user_roles: ["root".to_owned()].into(),
        wildcards: false,
        explicit_subscriptions: false,
        cluster: Some("c".to_owned()),
    }
}

fn wildcards() -> Rules {
    Rules {
        wildcards: true,
        ..rules()
    }
}

fn may(stored: &Stored, rules: &Rules, access: &Access) -> bool {
    rules.allow(access, stored)
}

/// Whether the role may produce to and consume from the topic, with a subscription `s`.
fn both(stored: &Stored, rules: &Rules, role: &str, topic: &str) -> (bool, bool) {
    (
        may(stored, rules, &access(role, topic, Action::Produce)),
        may(stored, rules, &access(role, topic, consume("s"))),
    )
}

#[test]
fn super_users_may_do_everything_and_nothing_is_read_for_them() {
    let wanted = access("root", "persistent://nobody/knows/it", Action::Produce);
    assert_eq!(rules().needs(&wanted), []);
    assert!(may(&Stored::default(), &rules(), &wanted));
}

#[test]
fn administrators_of_the_tenant_may_do_everything_in_it() {
    let mut stored = Stored::with_policies(json!({"subscription_auth_mode": "Prefix"}));
    assert_eq!(both(&stored, &rules(), "admin", TOPIC), (true, true));
    // Also where a namespace is missing.
    let missing = "persistent://t/missing/topic";
    assert_eq!(both(&stored, &rules(), "admin", missing), (true, true));
    stored.put(Resource::Tenant("u".into()), json!({"adminRoles": []}));
    let other = "persistent://u/n/topic";
    assert_eq!(both(&stored, &rules(), "admin", other), (false, false));
}

#[test]
fn a_namespace_grant_holds_for_all_its_topics_and_one_action() {
    let stored = Stored::with_auth(json!({
        "namespace_auth": {"p": ["produce"], "c": ["consume", "functions"], "pc": ["consume", "produce"]},
    }));
    for topic in [
        TOPIC,
        "non-persistent://t/n/x",
        "persistent://t/n/x-partition-0",
    ] {
        assert_eq!(both(&stored, &rules(), "p", topic), (true, false));
        assert_eq!(both(&stored, &rules(), "c", topic), (false, true));
        assert_eq!(both(&stored, &rules(), "pc", topic), (true, true));
        assert_eq!(both(&stored, &rules(), "", topic), (false, false));
        assert_eq!(both(&stored, &rules(), "stranger", topic), (false, false));
    }
}

#[test]
fn a_topic_grant_holds_for_that_topic_and_its_partitions() {
    let stored = Stored::with_auth(json!({
        "destination_auth": {TOPIC: {"p": ["produce"]}, "non-persistent://t/n/np": {"p": ["consume"]}},
    }));
    for topic in [TOPIC, "persistent://t/n/topic-partition-7"] {
        assert_eq!(both(&stored, &rules(), "p", topic), (true, false));
    }
    for other in [
        "persistent://t/n/topic-partition-07",
        "persistent://t/n/topic-partition--1",
        "persistent://t/n/topic-partition-99999999999",
        "persistent://t/n/topic2",
        "non-persistent://t/n/topic",
        "persistent://t/n/np",
    ] {
        assert_eq!(both(&stored, &rules(), "p", other), (false, false));
    }
    let non_persistent = "non-persistent://t/n/np";
    assert_eq!(both(&stored, &rules(), "p", non_persistent), (false, true));
}

#[test]
fn what_is_missing_refuses() {
    let stored = Stored::with_policies(json!({}));
    assert_eq!(both(&stored, &rules(), "p", TOPIC), (false, false));
    let namespace = "persistent://t/missing/topic";
    assert_eq!(both(&stored, &rules(), "p", namespace), (false, false));
    let tenant = "persistent://missing/n/topic";
    assert_eq!(both(&stored, &rules(), "p", tenant), (false, false));
}

#[test]
fn a_subscription_with_roles_is_for_these_only() {
    let stored = Stored::with_auth(json!({
        "namespace_auth": {"a": ["consume"], "b": ["consume"]},
        "subscription_auth_roles": {"s": ["a"], "everybody": []},
    }));
    let with = |role: &str, subscription: &str| {
        may(
            &stored,
            &rules(),
            &access(role, TOPIC, consume(subscription)),
        )
    };
    assert!(with("a", "s"));
    assert!(!with("b", "s"));
    assert!(with("b", "everybody") && with("b", "other"));
    // To be named there is not to be allowed to consume.
    let stored = Stored::with_auth(json!({"subscription_auth_roles": {"s": ["a"]}}));
    assert!(!may(&stored, &rules(), &access("a", TOPIC, consume("s"))));
    // A reader has no subscription of its own.
    let stored = Stored::with_policies(json!({
        "auth_policies": {"namespace_auth": {"a": ["consume"]}, "subscription_auth_roles": {"": ["b"]}},
        "subscription_auth_mode": "Prefix",
    }));
    let reading = Action::Consume { subscription: None };
    assert!(may(&stored, &rules(), &access("a", TOPIC, reading)));
}

/// `grantImplicitPermissionOnSubscription=false`
#[test]
fn where_nothing_is_implied_a_subscription_without_roles_is_nobodys() {
    let stored = Stored::with_auth(json!({
        "namespace_auth": {"a": ["consume"], "b": ["consume"]},
        "subscription_auth_roles": {"s": ["a", "c"], "nobodys": []},
    }));
    let rules = Rules {
        explicit_subscriptions: true,
        ..rules()
    };
    let with = |role: &str, action| may(&stored, &rules, &access(role, TOPIC, action));
    assert!(with("a", consume("s")));
    for (role, subscription) in [("b", "s"), ("c", "s"), ("a", "nobodys"), ("a", "other")] {
        assert!(!with(role, consume(subscription)), "{role} {subscription}");
    }
    assert!(with("b", Action::Consume { subscription: None }));
}

#[test]
fn in_prefix_mode_a_subscription_begins_with_the_role() {
    let policies = |mode: &str| {
        Stored::with_policies(json!({
            "auth_policies": {"namespace_auth": {"a": ["consume"]}},
            "subscription_auth_mode": mode,
        }))
    };
    let prefix = policies("Prefix");
    assert!(may(&prefix, &rules(), &access("a", TOPIC, consume("a-s"))));
    assert!(!may(&prefix, &rules(), &access("a", TOPIC, consume("s"))));
    assert!(!may(&prefix, &rules(), &access("b", TOPIC, consume("b-s"))));
    let none = policies("None");
    assert!(may(&none, &rules(), &access("a", TOPIC, consume("s"))));
}

/// Rust and Java differ in what is white space, so what passes a path as a name must not be none to the rules.
#[test]
fn a_subscription_of_white_space_has_the_rules_of_any_other() {
    let granted = json!({"namespace_auth": {"a": ["consume"]}});
    let prefix = Stored::with_policies(json!({
        "auth_policies": granted, "subscription_auth_mode": "Prefix",
    }));
    let explicit = Rules {
        explicit_subscriptions: true,
        ..rules()
    };
    let stored = Stored::with_auth(granted);
    for white in ["\u{a0}", "\u{2007}", "\u{202f}", "\u{85}", " ", ""] {
        let of_all = Action::ConsumeAll {
            subscription: white.into(),
        };
        for action in [consume(white), of_all] {
            let wanted = access("a", TOPIC, action);
            assert!(!may(&prefix, &rules(), &wanted), "{wanted:?}");
            assert!(!may(&stored, &explicit, &wanted), "{wanted:?}");
        }
    }
}

#[test]
fn wildcards_count_only_where_they_are_switched_on() {
    let stored = Stored::with_auth(json!({
        "namespace_auth": {"web-*": ["produce"], "*.admin": ["consume"], "": ["produce"]},
        "destination_auth": {TOPIC: {"mobile-*": ["produce"]}},
    }));
    assert_eq!(both(&stored, &rules(), "web-1", TOPIC), (false, false));
    assert_eq!(both(&stored, &wildcards(), "web-1", TOPIC), (true, false));
    assert_eq!(both(&stored, &wildcards(), "web-", TOPIC), (true, false));
    assert_eq!(both(&stored, &wildcards(), "web", TOPIC), (false, false));
    assert_eq!(both(&stored, &wildcards(), "x.admin", TOPIC), (false, true));
    assert_eq!(
        both(&stored, &wildcards(), "mobile-1", TOPIC),
        (true, false)
    );
    // As in Java: a partition does not have its topic's wildcards.
    let partition = "persistent://t/n/topic-partition-0";
    assert_eq!(
        both(&stored, &wildcards(), "mobile-1", partition),
        (false, false)
    );
    // A role that is written with a star is no pattern for others' grants.
    let stored = Stored::with_auth(json!({"namespace_auth": {"web-1": ["produce"]}}));
    assert_eq!(both(&stored, &wildcards(), "web-*", TOPIC), (false, false));
    assert_eq!(both(&stored, &wildcards(), "*", TOPIC), (false, false));
}

#[test]
fn v1_names_have_policies_of_their_own_and_want_a_cluster_that_is_known() {
    let topic = "persistent://t/c/n/topic";
    let grants = json!({"auth_policies": {"namespace_auth": {"p": ["produce"]}}});
    let mut stored = Stored::with_policies(grants.clone());
    assert_eq!(both(&stored, &rules(), "p", topic), (false, false));
    stored.put(Resource::Policies("t/c/n".into()), grants.clone());
    assert_eq!(both(&stored, &rules(), "p", topic), (true, false));
    // Of another cluster the list is asked for.
    let other = access("p", "persistent://t/other/n/topic", Action::Produce);
    assert!(rules().needs(&other).contains(&Resource::Clusters));
    stored.put(Resource::Policies("t/other/n".into()), grants.clone());
    assert!(!may(&stored, &rules(), &other));
    stored.put(Resource::Clusters, json!(["c"]));
    assert!(!may(&stored, &rules(), &other));
    stored.put(Resource::Clusters, json!(["c", "other"]));
    assert!(may(&stored, &rules(), &other));
    let global = access("p", "persistent://t/global/n/topic", Action::Produce);
    assert!(!rules().needs(&global).contains(&Resource::Clusters));
    stored.put(Resource::Policies("t/global/n".into()), grants);
    assert!(may(&stored, &rules(), &global));
}

#[test]
fn of_several_rights_each_must_be_granted() {
    let stored = Stored::with_auth(json!({
        "destination_auth": {TOPIC: {"a": ["consume"]}, "persistent://t/n/dead": {"a": ["produce"]}},
    }));
    let mut wanted = access("a", TOPIC, consume("s"));
    let dead = access("a", "persistent://t/n/dead", Action::Produce);
    wanted.rights.extend(dead.rights);
    assert!(may(&stored, &rules(), &wanted));
    let other = access("a", "persistent://u/n/topic", consume("s"));
    wanted.rights.extend(other.rights);
    assert!(!may(&stored, &rules(), &wanted));
    assert_eq!(
        rules().needs(&wanted),
        [
            Resource::Tenant("t".into()),
            Resource::Tenant("u".into()),
            Resource::Policies("t/n".into()),
            Resource::Policies("u/n".into()),
        ]
    );
}

#[test]
fn all_topics_of_a_namespace_want_a_grant_on_the_namespace() {
    let pattern = "persistent://t/n/.*";
    let all = || Action::ConsumeAll {
        subscription: "s".into(),
    };
    let stored = Stored::with_auth(json!({
        "namespace_auth": {"a": ["consume"], "p": ["produce"]},
        "destination_auth": {TOPIC: {"b": ["consume"]}, pattern: {"b": ["consume"]}},
        "subscription_auth_roles": {"s": ["a", "b", "p"]},
    }));
    for (role, allowed) in [("a", true), ("b", false), ("p", false), ("admin", true)] {
        assert_eq!(
            may(&stored, &rules(), &access(role, pattern, all())),
            allowed
        );
    }
}

#[test]
fn what_is_no_record_is_an_error_and_never_an_empty_one() {
    let tenant = Resource::Tenant("t".into());
    let policies = Resource::Policies("t/n".into());
    for (resource, text) in [
        (&tenant, "[]"),
        (&tenant, "<html>"),
        (&tenant, r#"{"adminRoles": "root"}"#),
        (&tenant, r#"{"adminRoles": [1]}"#),
        (&policies, "null"),
        (&policies, r#"{"auth_policies": []}"#),
        (
            &policies,
            r#"{"auth_policies": {"namespace_auth": {"a": "produce"}}}"#,
        ),
        (
            &policies,
            r#"{"auth_policies": {"destination_auth": {"t": []}}}"#,
        ),
        (&Resource::Clusters, "{}"),
    ] {
        assert!(Record::parse(resource, text.as_bytes()).is_err(), "{text}");
    }
}
