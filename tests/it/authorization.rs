//! A gateway that asks what its clients may do, where administrators have said it (`authorizationEnabled`).
//!
//! Set-up: a namespace of the test's own, in whose tenant only `admin` has a say. Claim: every socket is let in exactly
//! where its role was granted that, also where it would only join what others have opened; and what is taken back ends
//! the sockets that lived on it, and no others.

use crate::support::tokens::{TOKEN_SETTINGS, token};
use crate::support::{Client, World, eventually, topic};

/// Short, so that what is taken back ends soon.
const CACHE_SETTING: &str = "authorizationCacheMillis=500";

struct Guarded {
    /// Its administrator's, with no gateway in use.
    broker: World,
    world: World,
    tenant: String,
    namespace: String,
}

type Refused = (u16, String);

impl Guarded {
    fn start() -> Guarded {
        Guarded::with(&[])
    }

    fn with(settings: &[&str]) -> Guarded {
        let broker = World::start();
        let web = format!("serviceUrl={}", broker.web_url());
        let mut all = vec![
            web.as_str(),
            "authorizationEnabled=true",
            "superUserRoles=root,other",
        ];
        all.extend([CACHE_SETTING]);
        all.extend(TOKEN_SETTINGS);
        all.extend(settings);
        let world = broker.beside_with(&all);
        let tenant = topic("tenant");
        broker.admin().create_tenant(&tenant, "ns", &["admin"]);
        let namespace = format!("{tenant}/ns");
        Guarded {
            broker,
            world,
            tenant,
            namespace,
        }
    }

    fn topic(&self, name: &str) -> String {
        format!("persistent://{}/{name}", self.namespace)
    }

    fn path(&self, kind: &str, rest: &str) -> String {
        format!("/ws/v2/{kind}/persistent/{}/{rest}", self.namespace)
    }

    fn ask(&self, role: &str, path: &str) -> Result<Client, Refused> {
        let and = if path.contains('?') { '&' } else { '?' };
        Client::open(
            self.world.address(),
            &format!("{path}{and}token={}", token(role)),
        )
    }

    fn may(&self, role: &str, path: &str) -> bool {
        match self.ask(role, path) {
            Ok(client) => {
                client.close();
                true
            }
            Err(refused) => {
                assert_eq!(refused, (403, "Not authorized\n".to_owned()), "{path}");
                false
            }
        }
    }

    /// Of produce, consume, read.
    fn rights(&self, role: &str, name: &str) -> [bool; 3] {
        [
            self.may(role, &self.path("producer", name)),
            self.may(role, &self.path("consumer", &format!("{name}/s-{role}"))),
            self.may(role, &self.path("reader", name)),
        ]
    }

    fn open(&self, role: &str, path: &str) -> Client {
        let mut opened = None;
        // What was refused just now is believed for a moment.
        eventually("it is granted", || {
            opened = self.ask(role, path).ok();
            opened.is_some()
        });
        opened.expect("it was")
    }
}

fn assert_taken_back(client: &mut Client) {
    let closed = client.closed();
    let reason = "Client is not authorized: the permission was taken back";
    assert_eq!((closed.code, closed.reason.as_str()), (4006, reason));
}

#[test]
fn roles_may_do_what_they_were_granted_and_nothing_else() {
    let guarded = Guarded::start();
    let admin = guarded.broker.admin();
    admin.grant(&guarded.namespace, "p", &["produce"]);
    admin.grant(&guarded.namespace, "c", &["consume"]);
    admin.grant_topic(&guarded.topic("only"), "t", &["produce", "consume"]);
    assert_eq!(guarded.rights("nobody", "a"), [false, false, false]);
    assert_eq!(guarded.rights("p", "a"), [true, false, false]);
    assert_eq!(guarded.rights("c", "a"), [false, true, true]);
    assert_eq!(guarded.rights("t", "only"), [true, true, true]);
    assert_eq!(guarded.rights("t", "a"), [false, false, false]);
    for role in ["root", "other", "admin"] {
        assert_eq!(guarded.rights(role, "a"), [true, true, true], "{role}");
    }
    // A role is not another one that begins like it.
    assert_eq!(guarded.rights("p2", "a"), [false, false, false]);
    let anonymous = Client::open(guarded.world.address(), &guarded.path("producer", "a"));
    assert_eq!(anonymous.err().expect("refused").0, 401);
}

#[test]
fn nothing_is_made_and_nothing_told_for_who_has_no_right() {
    let guarded = Guarded::start();
    let admin = guarded.broker.admin();
    for kind in ["producer", "reader"] {
        assert!(!guarded.may("nobody", &guarded.path(kind, "never")));
    }
    assert!(!guarded.may("nobody", &guarded.path("consumer", "never/s")));
    assert_eq!(admin.stats(&guarded.topic("never")), None);
    // What is not there is refused like what is.
    let missing = format!("/ws/v2/reader/persistent/{}/missing/t", guarded.tenant);
    assert!(!guarded.may("nobody", &missing));
    let tenant = "/ws/v2/reader/persistent/no-such-tenant/ns/t";
    assert!(!guarded.may("nobody", tenant));
    // What would be another place in the path of the question is no name.
    let dots = guarded.ask("nobody", "/ws/v2/reader/persistent/../ns/t");
    assert_eq!(dots.err().expect("refused").0, 400);
    assert_eq!(
        guarded.ask("admin", &missing).err().expect("missing").0,
        404
    );
}

#[test]
fn a_grant_on_a_topic_holds_for_its_partitions() {
    let guarded = Guarded::start();
    let admin = guarded.broker.admin();
    let name = guarded.topic("partitioned");
    admin.create_partitioned(&name, 2);
    admin.grant_topic(&name, "t", &["produce", "consume"]);
    assert_eq!(guarded.rights("t", "partitioned"), [true, true, true]);
    assert_eq!(
        guarded.rights("t", "partitioned-partition-1"),
        [true, true, true]
    );
    assert_eq!(
        guarded.rights("t", "partitioned-partition-01"),
        [false, false, false]
    );
}

#[test]
fn subscriptions_have_their_own_roles_and_prefixes() {
    let guarded = Guarded::start();
    let admin = guarded.broker.admin();
    for role in ["a", "b"] {
        admin.grant(&guarded.namespace, role, &["consume"]);
    }
    admin.grant_subscription(&guarded.namespace, "private", &["a"]);
    let consumer = |subscription: &str| guarded.path("consumer", &format!("t/{subscription}"));
    assert!(guarded.may("a", &consumer("private")));
    assert!(!guarded.may("b", &consumer("private")));
    assert!(guarded.may("b", &consumer("other")));
    let strict = Guarded::start();
    let admin = strict.broker.admin();
    admin.grant(&strict.namespace, "a", &["consume"]);
    admin.want_subscription_prefix(&strict.namespace);
    let consumer = |subscription: &str| strict.path("consumer", &format!("t/{subscription}"));
    assert!(!strict.may("a", &consumer("other")));
    assert!(strict.may("a", &consumer("a-mine")));
    assert!(strict.may("admin", &consumer("other")));
    assert!(strict.may("a", &strict.path("reader", "t")));
}

#[test]
fn wildcards_in_roles_count_where_they_are_switched_on() {
    let granted = |guarded: &Guarded| {
        let admin = guarded.broker.admin();
        admin.grant(&guarded.namespace, "web-*", &["produce"]);
        guarded.rights("web-1", "t")
    };
    assert_eq!(granted(&Guarded::start()), [false, false, false]);
    let wild = Guarded::with(&["authorizationAllowWildcardsMatching=true"]);
    assert_eq!(granted(&wild), [true, false, false]);
    assert_eq!(wild.rights("mobile-1", "t"), [false, false, false]);
}

#[test]
fn several_topics_want_a_grant_on_each_and_a_pattern_one_on_the_namespace() {
    let guarded = Guarded::start();
    let admin = guarded.broker.admin();
    let (one, two) = (guarded.topic("one"), guarded.topic("two"));
    admin.grant_topic(&one, "t", &["consume"]);
    admin.grant(&guarded.namespace, "n", &["consume"]);
    let several = |topics: &str| format!("/ws/v3/consumer/sub-{}?topics={topics}", topic("s"));
    assert!(guarded.may("t", &several(&one)));
    assert!(!guarded.may("t", &several(&format!("{one},{two}"))));
    assert!(guarded.may("n", &several(&format!("{one},{two}"))));
    let elsewhere = format!("{one},persistent://public/default/{}", topic("other"));
    assert!(!guarded.may("n", &several(&elsewhere)));
    let pattern = format!(
        "/ws/v3/consumer/all?topicsPattern=persistent://{}/.*",
        guarded.namespace
    );
    assert!(!guarded.may("t", &pattern));
    assert!(guarded.may("n", &pattern));
}

#[test]
fn a_dead_letter_topic_elsewhere_wants_the_right_to_produce_there() {
    let guarded = Guarded::start();
    let admin = guarded.broker.admin();
    admin.grant(&guarded.namespace, "c", &["consume"]);
    let with = |dead: &str| {
        let query = format!("subscriptionType=Shared&maxRedeliverCount=1{dead}");
        guarded.may("c", &guarded.path("consumer", &format!("t/s?{query}")))
    };
    assert!(with(""));
    assert!(with(&format!(
        "&deadLetterTopic={}",
        guarded.topic("t-s-DLQ")
    )));
    let named = format!("&deadLetterTopic={}", guarded.topic("dead"));
    assert!(!with(&named));
    assert!(!with("&deadLetterTopic=persistent://public/default/dead"));
    admin.grant_topic(&guarded.topic("dead"), "c", &["produce"]);
    eventually("it is granted", || with(&named));
}

#[test]
fn who_joins_what_others_have_opened_needs_the_right_too() {
    let guarded = Guarded::start();
    let admin = guarded.broker.admin();
    admin.grant(&guarded.namespace, "a", &["produce", "consume"]);
    let mut reader = guarded.open("a", &guarded.path("reader", "t"));
    let shared = guarded.path("consumer", "t/s?subscriptionType=Shared");
    let mut consumer = guarded.open("a", &shared);
    assert!(!guarded.may("nobody", &guarded.path("reader", "t")));
    assert!(!guarded.may("nobody", &shared));
    let mut producer = guarded.open("a", &guarded.path("producer", "t"));
    producer.publish("x");
    assert_eq!(
        (reader.receive(), consumer.receive()),
        ("x".into(), "x".into())
    );
}

#[test]
fn what_is_taken_back_ends_its_sockets_and_no_others() {
    let guarded = Guarded::start();
    let admin = guarded.broker.admin();
    let paths = [
        guarded.path("producer", "t"),
        guarded.path("reader", "t"),
        guarded.path("consumer", "t/s?subscriptionType=Shared"),
        guarded.path("consumer", "t/keys?subscriptionType=Key_Shared"),
        guarded.path("consumer", "t/turns?subscriptionType=Failover"),
        format!(
            "/ws/v3/consumer/several?subscriptionType=Shared&topics={},{}",
            guarded.topic("t"),
            guarded.topic("u")
        ),
        format!(
            "/ws/v3/consumer/all?subscriptionType=Shared&topicsPattern=persistent://{}/t",
            guarded.namespace
        ),
    ];
    for role in ["a", "b"] {
        admin.grant(&guarded.namespace, role, &["produce", "consume"]);
    }
    let [mut gone, mut kept] =
        ["a", "b"].map(|role| paths.each_ref().map(|path| guarded.open(role, path)));
    admin.grant(&guarded.namespace, "a", &[]);
    gone.iter_mut().for_each(assert_taken_back);
    assert_eq!(guarded.rights("a", "t"), [false, false, false]);
    kept[0].publish("x");
    for client in &mut kept[1..] {
        assert_eq!(client.receive(), "x");
    }
    // One of two rights: the other's sockets stay.
    admin.grant(&guarded.namespace, "b", &["produce"]);
    kept[1..].iter_mut().for_each(assert_taken_back);
    kept[0].publish("y");
}

#[test]
fn permissions_that_cannot_be_read_let_nobody_in() {
    let web = ["serviceUrl=http://127.0.0.1:9"];
    let store = [
        "serviceUrl=",
        "configurationMetadataStoreUrl=zk:127.0.0.1:9",
        "clusterName=standalone",
        "metadataStoreSessionTimeoutMillis=2000",
    ];
    for settings in [&web[..], &store[..]] {
        let short = ["brokerClient_operationTimeoutMs=5000"];
        let guarded = Guarded::with(&[settings, &short].concat());
        let refused = guarded.ask("a", &guarded.path("producer", "t"));
        assert_eq!(refused.err(), Some((500, "Server error\n".to_owned())));
        // Of a superuser nothing has to be read.
        assert_eq!(guarded.rights("root", "t"), [true, true, true]);
    }
}
