//! What clients may do, on a Pulsar that has it written down: decided by the gateway, or by the brokers.
//!
//! Claim: what an administrator grants counts, what is taken back ends; and where the brokers decide, each role is there
//! in its own name, also on one topic with others.

use serde_json::{Value, json};

use crate::secured::Secured;
use crate::support::{Client, World, eventually, take_from, topic};

/// A gateway that asks who its clients are, with these settings beside.
fn guarded(own_role: Option<&str>, settings: &[&str]) -> World {
    let secured = Secured::get();
    let key = format!("tokenSecretKey=file://{}", secured.secret_key().display());
    let mut all = vec![
        "authenticationEnabled=true",
        "authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderToken",
        &key,
    ];
    all.extend(settings);
    match own_role {
        Some(role) => secured.gateway_as(role, &all),
        None => secured.gateway(&all),
    }
}

/// One that decides by itself, with the rights of this role towards the brokers.
fn deciding(own_role: &str, settings: &[&str]) -> World {
    deciding_by(
        &format!("serviceUrl={}", Secured::get().web_url()),
        own_role,
        settings,
    )
}

/// One that knows its cluster's ZooKeeper and nothing else of it.
fn deciding_by_store(own_role: &str) -> World {
    deciding_by(
        &format!(
            "configurationMetadataStoreUrl={}",
            Secured::get().store_url()
        ),
        own_role,
        &[
            "brokerServiceUrl=",
            "clusterName=standalone",
            "brokerClientTlsEnabled=true",
        ],
    )
}

fn deciding_by(source: &str, own_role: &str, settings: &[&str]) -> World {
    let mut all = vec![
        source,
        "authorizationEnabled=true",
        "authorizationCacheMillis=500",
        "superUserRoles=root",
    ];
    all.extend(settings);
    guarded(Some(own_role), &all)
}

fn ask(world: &World, role: &str, path: &str) -> Result<Client, (u16, String)> {
    let token = Secured::get().token(role);
    let and = if path.contains('?') { '&' } else { '?' };
    Client::open(world.address(), &format!("{path}{and}token={token}"))
}

fn status(world: &World, role: &str, path: &str) -> u16 {
    match ask(world, role, path) {
        Ok(client) => {
            client.close();
            101
        }
        Err((status, _)) => status,
    }
}

/// What was granted counts a moment later.
fn open(world: &World, role: &str, path: &str) -> Client {
    let mut opened = None;
    eventually("it is granted", || {
        opened = ask(world, role, path).ok();
        opened.is_some()
    });
    opened.expect("it was")
}

fn namespace(name: &str) -> String {
    let namespace = format!("public/{}", topic(name));
    Secured::get().create_namespace(&namespace);
    namespace
}

/// Of producer, consumer, reader.
fn paths(namespace: &str) -> [String; 3] {
    ["producer/", "consumer/", "reader/"].map(|kind| {
        let subscription = match kind {
            "consumer/" => "/s?subscriptionType=Shared",
            _ => "",
        };
        format!("/ws/v2/{kind}persistent/{namespace}/t{subscription}")
    })
}

fn used_and_taken_back(world: &World) {
    let secured = Secured::get();
    let namespace = namespace("granted");
    let paths = paths(&namespace);
    for path in &paths {
        assert_eq!(status(world, "a", path), 403);
    }
    for role in ["a", "b"] {
        secured.grant(&namespace, role, &["produce", "consume"]);
    }
    let [mut taken, mut kept] =
        ["a", "b"].map(|role| paths.each_ref().map(|path| open(world, role, path)));
    secured.revoke(&namespace, "a");
    for client in &mut taken {
        assert_eq!(client.closed().code, 4006);
    }
    kept[0].publish("x");
    for client in &mut kept[1..] {
        assert_eq!(client.receive(), "x");
    }
}

#[test]
fn what_is_granted_can_be_used_until_it_is_taken_back() {
    used_and_taken_back(&deciding("admin", &[]));
    // By its web service alone.
    used_and_taken_back(&deciding("admin", &["brokerServiceUrl="]));
}

#[test]
fn what_is_granted_is_read_from_the_metadata_store_where_that_is_all_there_is() {
    let (secured, world) = (Secured::get(), deciding_by_store("admin"));
    used_and_taken_back(&world);
    let namespace = namespace("in-store");
    let topic_grant = format!("/admin/v2/persistent/{namespace}/t/permissions/of-topic");
    secured.admin().expect(
        "PUT",
        &format!("/admin/v2/persistent/{namespace}/t"),
        &Value::Null,
    );
    secured
        .admin()
        .expect("POST", &topic_grant, &json!(["consume"]));
    let subscription =
        format!("/admin/v2/namespaces/{namespace}/permissions/subscription/of-another");
    secured
        .admin()
        .expect("POST", &subscription, &json!(["another"]));
    let [producer, consumer, reader] = paths(&namespace);
    let its = |role: &str| [&producer, &consumer, &reader].map(|path| status(&world, role, path));
    assert_eq!(its("of-topic"), [403, 101, 101]);
    assert_eq!(its("nobody"), [403, 403, 403]);
    let another = consumer.replace("/s?", "/of-another?");
    assert_eq!(status(&world, "of-topic", &another), 403);
    let tenant = topic("tenant");
    let administrators = json!({ "adminRoles": ["chief"], "allowedClusters": ["standalone"] });
    let missing = format!("/ws/v2/reader/persistent/{tenant}/ns/t");
    assert_eq!(status(&world, "chief", &missing), 403);
    secured.admin().expect(
        "PUT",
        &format!("/admin/v2/tenants/{tenant}"),
        &administrators,
    );
    secured.create_namespace(&format!("{tenant}/ns"));
    drop(open(&world, "chief", &missing));
    assert_eq!(status(&world, "of-topic", &missing), 403);
}

#[test]
fn a_gateway_that_may_not_read_permissions_lets_nobody_in_that_needs_them() {
    let world = deciding("nobody-special", &[]);
    let [producer, ..] = paths(&namespace("unreadable"));
    let refused = ask(&world, "a", &producer).err();
    assert_eq!(refused, Some((500, "Server error\n".to_owned())));
}

#[test]
fn the_brokers_decide_for_each_role_in_its_own_name() {
    let secured = Secured::get();
    let world = guarded(None, &["authorization=broker"]);
    let namespace = namespace("by-broker");
    let [producer, consumer, reader] = paths(&namespace);
    secured.grant(&namespace, "a", &["produce", "consume"]);
    let mut publisher = open(&world, "a", &producer);
    let mut reading = open(&world, "a", &reader);
    let mut consuming = open(&world, "a", &consumer);
    for path in [&producer, &consumer, &reader] {
        assert_eq!(status(&world, "b", path), 403, "{path}");
    }
    secured.grant(&namespace, "b", &["consume"]);
    let mut other = open(&world, "b", &reader);
    assert_eq!(status(&world, "b", &producer), 403);
    publisher.publish("x");
    for client in [&mut reading, &mut consuming, &mut other] {
        assert_eq!(client.receive(), "x");
    }
    // An upstream is nobody's but its role's: for the brokers these are two consumers.
    let exclusive = format!("/ws/v2/consumer/persistent/{namespace}/t/alone");
    let _first = open(&world, "a", &exclusive);
    assert_eq!(status(&world, "b", &exclusive), 409);
}

/// Of a topic and of one with partitions, which are the same to who opens a socket.
fn shared_paths(namespace: &str) -> Vec<String> {
    let secured = Secured::get();
    let partitions = format!("/admin/v2/persistent/{namespace}/p/partitions");
    secured.admin().expect("PUT", &partitions, &json!(2));
    let mut all = Vec::new();
    for topic in ["t", "p"] {
        for (kind, rest) in [
            ("producer", ""),
            ("consumer", "/shared?subscriptionType=Shared"),
            ("consumer", "/failover?subscriptionType=Failover"),
            ("reader", ""),
        ] {
            all.push(format!(
                "/ws/v2/{kind}/persistent/{namespace}/{topic}{rest}"
            ));
        }
    }
    all
}

#[test]
fn who_joins_what_is_open_needs_the_right_too() {
    let secured = Secured::get();
    let broker = "authorization=broker";
    let world = guarded(None, &[broker, "authorizationCacheMillis=1"]);
    let trusting = guarded(None, &[broker, "authorizationCacheMillis=3600000"]);
    let namespace = namespace("joined");
    let paths = shared_paths(&namespace);
    secured.grant(&namespace, "a", &["produce", "consume"]);
    // On every shard; the last ones only join.
    let open_all = |world: &World| -> Vec<Client> {
        let all = paths.iter().flat_map(|path| [path; 4]);
        all.map(|path| open(world, "a", path)).collect()
    };
    let mut joined = open_all(&world);
    // One of those who share a subscription has the message, every reader has.
    joined[0].publish("x");
    for consumers in [4..8, 8..12] {
        take_from(&mut joined[consumers], 1, |_, client, message| {
            client.ack(message)
        });
    }
    for reader in &mut joined[12..16] {
        assert_eq!(reader.receive(), "x");
    }
    // Behind the messages: it shares the subscriptions.
    let _trusted = open_all(&trusting);
    // With the other right everybody is still told how many partitions there are.
    for (left, taken) in [("consume", "produce"), ("produce", "consume")] {
        secured.grant(&namespace, "a", &[left]);
        let needs_it = |path: &&String| path.contains("/producer/") == (taken == "produce");
        for path in paths.iter().filter(needs_it) {
            eventually("the broker is asked again", || {
                status(&world, "a", path) == 403
            });
            // For as long as that counts; producers are shared by the sockets of one shard only.
            if taken == "consume" {
                assert_eq!(status(&trusting, "a", path), 101, "{path}");
            }
        }
    }
    secured.grant(&namespace, "a", &["produce", "consume"]);
    for path in &paths {
        drop(open(&world, "a", path));
    }
}

#[test]
fn a_role_is_believed_by_what_it_has_shown_last() {
    let secured = Secured::get();
    let world = guarded(None, &["authorization=broker"]);
    let namespace = namespace("renewed");
    secured.grant(&namespace, "a", &["produce", "consume"]);
    let [_, _, reader] = paths(&namespace);
    let with = |token: &str| Client::open(world.address(), &format!("{reader}?token={token}"));
    let _opened = with(&secured.token_for("a", 600)).expect("granted");
    // Shared with the first one's upstream, and with a token that holds longer.
    let mut stays = with(&secured.token_for("a", 3600)).expect("granted");
    let mut publisher = open(&world, "a", &paths(&namespace)[0]);
    publisher.publish("x");
    assert_eq!(stays.receive(), "x");
}
