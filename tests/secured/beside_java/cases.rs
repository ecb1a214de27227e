//! What is asked of both: every right, nobody, and what is not there.

use serde_json::json;

use super::pair::Door;
use crate::secured::{BASIC_USER, Secured};
use crate::support::{base64, topic};

/// A request to both.
pub struct Case {
    pub name: String,
    pub door: Door,
    /// `$side` in it is replaced by the gateway's name, where they would be in each other's way.
    pub path: String,
    /// Lines of its head, each with its end.
    pub lines: String,
}

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub fn basic(pair: &str) -> String {
    format!("Authorization: Basic {}\r\n", base64(pair))
}

/// A namespace in a tenant of its own: `a` may publish and consume in it, `p` publish, `c` consume, `t` administers.
pub struct Place {
    tenant: String,
    namespace: String,
}

impl Place {
    pub fn new() -> Place {
        let secured = Secured::get();
        let tenant = topic("tenant");
        let settings = json!({ "adminRoles": ["t"], "allowedClusters": ["standalone"] });
        let path = format!("/admin/v2/tenants/{tenant}");
        secured.admin().expect("PUT", &path, &settings);
        let namespace = format!("{tenant}/ns");
        secured.create_namespace(&namespace);
        for role in ["a", BASIC_USER] {
            secured.grant(&namespace, role, &["produce", "consume"]);
        }
        secured.grant(&namespace, "p", &["produce"]);
        secured.grant(&namespace, "c", &["consume"]);
        Place { tenant, namespace }
    }

    /// Of a topic on which `a` may do everything.
    pub fn producer(&self) -> String {
        format!("/ws/v2/producer/persistent/{}/t", self.namespace)
    }

    /// Paths of all kinds, each with a name.
    fn paths(&self) -> Vec<(&'static str, String)> {
        let topic = topic("t");
        let of = |kind: &str| format!("/ws/v2/{kind}/persistent/{}/{topic}-$side", self.namespace);
        let full = format!("persistent://{}/{topic}-$side", self.namespace);
        vec![
            ("producer", of("producer")),
            ("consumer", format!("{}/s-$n", of("consumer"))),
            ("reader", of("reader")),
            ("topics", format!("/ws/v3/consumer/v3-$n?topics={full}")),
            (
                "pattern",
                format!(
                    "/ws/v3/consumer/v3-$n?topicsPattern=persistent://{}/{topic}-$side.*",
                    self.namespace
                ),
            ),
        ]
    }
}

/// Cases as they are added.
#[derive(Default)]
pub struct Cases(pub Vec<Case>);

impl Cases {
    pub fn add(&mut self, name: impl Into<String>, door: Door, path: &str, lines: &str) {
        let path = path.replace("$n", &self.0.len().to_string());
        self.0.push(Case {
            name: name.into(),
            door,
            path,
            lines: lines.to_owned(),
        });
    }

    pub fn plain(&mut self, name: impl Into<String>, path: &str, lines: &str) {
        self.add(name, Door::Plain, path, lines);
    }
}

/// Who may do what.
pub fn rights(cases: &mut Cases, place: &Place) {
    let secured = Secured::get();
    for role in ["a", "p", "c", "t", "nobody", "root"] {
        for (kind, path) in place.paths() {
            cases.plain(
                format!("{role} as {kind}"),
                &path,
                &bearer(&secured.token(role)),
            );
        }
    }
    let namespace = &place.namespace;
    for (topic, granted) in [
        ("one", "one"),
        ("parts", "parts"),
        ("parts-partition-0", "parts"),
    ] {
        let path = format!("/admin/v2/persistent/{namespace}/{granted}");
        // It may be there.
        secured.admin().ask("PUT", &path, &json!({}));
        let grant = format!("{path}/permissions/only");
        secured.admin().expect("POST", &grant, &json!(["produce"]));
        let path = format!("/ws/v2/producer/persistent/{namespace}/{topic}");
        let name = format!("a grant on {granted} for {topic}");
        cases.plain(name, &path, &bearer(&secured.token("only")));
    }
    let v1 = format!("{}/standalone/v1", place.tenant);
    let path = format!("/admin/namespaces/{v1}");
    secured.admin().expect("PUT", &path, &json!({}));
    let grant = format!("{path}/permissions/a");
    secured
        .admin()
        .expect("POST", &grant, &json!(["produce", "consume"]));
    for role in ["a", "p", "t"] {
        for (kind, rest) in [("producer", ""), ("consumer", "/s-$n"), ("reader", "")] {
            let path = format!("/ws/{kind}/persistent/{v1}/t-$side{rest}");
            let name = format!("{role} as V1 {kind}");
            cases.plain(name, &path, &bearer(&secured.token(role)));
        }
    }
    secured.admin().expect(
        "POST",
        &format!("/admin/v2/namespaces/{namespace}/permissions/subscription/private"),
        &json!(["c"]),
    );
    for role in ["a", "c", "t"] {
        let path = format!("/ws/v2/consumer/persistent/{namespace}/t-$side-{role}/private");
        let name = format!("{role} with a subscription of c's");
        cases.plain(name, &path, &bearer(&secured.token(role)));
    }
    let strict = format!("{}/strict", place.tenant);
    secured.create_namespace(&strict);
    secured.grant(&strict, "a", &["consume"]);
    secured.admin().expect(
        "POST",
        &format!("/admin/v2/namespaces/{strict}/subscriptionAuthMode"),
        &json!("Prefix"),
    );
    for (name, rest) in [
        ("its prefix", "consumer/persistent/$ns/t-$side/a-1"),
        ("no prefix", "consumer/persistent/$ns/t-$side/b-1"),
        ("no subscription", "reader/persistent/$ns/t-$side"),
    ] {
        let path = format!("/ws/v2/{}", rest.replace("$ns", &strict));
        let name = format!("where prefixes are wanted, {name}");
        cases.plain(name, &path, &bearer(&secured.token("a")));
    }
}

/// What is not there.
pub fn missing(cases: &mut Cases, place: &Place) {
    let secured = Secured::get();
    let namespace = format!("{}/not-there", place.tenant);
    let tenant = format!("{}/ns", topic("not-there"));
    let v1 = format!("{}/standalone/not-there", place.tenant);
    for role in ["a", "t", "root"] {
        for (what, version, namespace) in [
            ("a namespace", "/v2", &namespace),
            ("a tenant", "/v2", &tenant),
            ("a V1 namespace", "", &v1),
        ] {
            for (kind, rest) in [("producer", ""), ("consumer", "/s-$n"), ("reader", "")] {
                let path = format!("/ws{version}/{kind}/persistent/{namespace}/t{rest}");
                let name = format!("{role} as {kind} of {what} that is not there");
                cases.plain(name, &path, &bearer(&secured.token(role)));
            }
        }
    }
    for (name, path) in [
        ("a path that is none", "/ws/v2/producer/x".to_owned()),
        (
            "a consumer's bad parameter",
            format!(
                "/ws/v2/consumer/persistent/{}/t/s?ackTimeoutMillis=1",
                place.namespace
            ),
        ),
        (
            "a reader's bad parameter",
            format!("/ws/v2/reader/persistent/{}/t?messageId=!", place.namespace),
        ),
        (
            "a producer's bad parameter",
            format!(
                "/ws/v2/producer/persistent/{}/t?sendTimeoutMillis=x",
                place.namespace
            ),
        ),
    ] {
        for (who, lines) in [
            ("nobody", String::new()),
            ("a bad token", bearer("a.b.c")),
            ("without rights", bearer(&secured.token("nobody"))),
            ("with rights", bearer(&secured.token("a"))),
        ] {
            cases.plain(format!("{name}, {who}"), &path, &lines);
        }
    }
}

/// What somebody gets who cannot say who he is, where that is a role.
pub fn nobody(cases: &mut Cases, place: &Place) {
    let secured = Secured::get();
    let method = |name: &str| format!("X-Pulsar-Auth-Method-Name: {name}\r\n");
    for (what, namespace) in [
        ("with rights", &place.namespace),
        ("without", &"public/default".to_owned()),
    ] {
        let path = format!("/ws/v2/producer/persistent/{namespace}/t");
        for (name, lines) in [
            ("nothing", String::new()),
            ("a bad token", bearer("a.b.c")),
            ("an expired token", bearer(&secured.token_for("a", -60))),
            ("a wrong password", basic(&format!("{BASIC_USER}:wrong"))),
            ("the method token and nothing", method("token")),
            (
                "the method token and a bad token",
                method("token") + &bearer("a.b.c"),
            ),
            ("a method that nobody knows", method("athenz")),
            ("an empty method", method("")),
            ("the token of nobody", bearer(&secured.token("nobody"))),
        ] {
            cases.plain(format!("{name}, {what}"), &path, &lines);
        }
        let bad = format!("{path}?token=a.b.c");
        cases.plain(format!("a bad token in the query, {what}"), &bad, "");
        cases.add(format!("TLS, nothing, {what}"), Door::Tls(None), &path, "");
    }
    secured.grant(&place.namespace, "anonymous", &["produce", "consume"]);
    for (kind, path) in place.paths() {
        cases.plain(format!("nobody as {kind}"), &path, "");
    }
    let far = format!("{}/elsewhere/not-there", place.tenant);
    let path = format!("/ws/producer/persistent/{far}/t");
    let name = "root as producer of a V1 cluster that is not there";
    cases.plain(name, &path, &bearer(&secured.token("root")));
}

/// What somebody gets whom the gateway lets do everything.
pub fn superuser(cases: &mut Cases, place: &Place) {
    let token = Secured::get().token("root");
    for (kind, path) in place.paths() {
        cases.plain(format!("the superuser as {kind}"), &path, &bearer(&token));
    }
}
