//! Handshakes that the broker refuses because of what an administrator has set, or of who is there already.
//!
//! Set-up: a namespace of the test's own. Claim: the status of `AbstractWebSocketHandler.getErrorCode` and the broker's own text, for
//! producers, consumers and readers alike.

use ::pulsar::proto::ServerError;
use pws_fast::embedded::{BacklogQuota, Options, Policies};

use crate::support::{Client, World, eventually, topic};

/// A world and a namespace (`public/…`) that nobody else uses.
fn namespace(settings: &[&str]) -> (World, String) {
    let world = World::with(settings);
    let namespace = format!("public/{}", topic("policies"));
    world.admin().create_namespace(&namespace);
    (world, namespace)
}

fn producer(namespace: &str, name: &str) -> String {
    format!("/ws/v2/producer/persistent/{namespace}/{name}")
}

fn consumer(namespace: &str, name: &str, rest: &str) -> String {
    format!("/ws/v2/consumer/persistent/{namespace}/{name}/{rest}")
}

fn reader(namespace: &str, name: &str) -> String {
    format!("/ws/v2/reader/persistent/{namespace}/{name}")
}

/// Policies take a moment on Pulsar: the first refusal counts.
fn refused(world: &World, path: &str) -> (u16, String) {
    let mut refusal = None;
    eventually("it is refused", || {
        match Client::open(world.address(), path) {
            Ok(client) => client.close(),
            Err(error) => refusal = Some(error),
        }
        refusal.is_some()
    });
    refusal.expect("it was")
}

#[test]
fn a_full_backlog_quota_is_503_for_producers_alone() {
    let (world, namespace) = namespace(&[]);
    for hold in [true, false] {
        let name = topic("quota");
        let mut idle = world.open(&consumer(&namespace, &name, "idle?pullMode=true"));
        let mut publisher = world.open(&producer(&namespace, &name));
        publisher.publish(&"x".repeat(100));
        publisher.publish(&"x".repeat(100));
        publisher.close();
        let quota = BacklogQuota { bytes: 150, hold };
        let policies = Policies {
            backlog_quota: Some(quota),
            ..Policies::default()
        };
        world.admin().set_policies(&namespace, &policies);
        let (status, text) = refused(&world, &producer(&namespace, &name));
        assert_eq!(status, 503, "{text}");
        let why = "Cannot create producer on topic with backlog quota exceeded";
        assert!(
            text.starts_with("Failed to create producer/consumer: ") && text.contains(why),
            "{text}"
        );
        world.open(&consumer(&namespace, &name, "other")).close();
        world.open(&reader(&namespace, &name)).close();
        // When somebody has consumed it, there is room again.
        idle.send(r#"{"type":"permit","permitMessages":10}"#);
        idle.receive();
        idle.receive();
        let path = producer(&namespace, &name);
        eventually("there is room", || {
            Client::open(world.address(), &path)
                .map(Client::close)
                .is_ok()
        });
    }
}

#[test]
fn a_topic_that_must_not_be_created_is_404() {
    let (world, namespace) = namespace(&[]);
    let there = topic("there");
    world.open(&producer(&namespace, &there)).close();
    let policies = Policies {
        auto_create_topics: Some(false),
        ..Policies::default()
    };
    world.admin().set_policies(&namespace, &policies);
    // Each try has a topic of its own: one that came too early has created it.
    let refused = |path: fn(&str, &str) -> String| {
        let mut refusal = None;
        eventually("it is refused", || {
            let path = path(&namespace, &topic("missing"));
            match Client::open(world.address(), &path) {
                Ok(client) => client.close(),
                Err(error) => refusal = Some(error),
            }
            refusal.is_some()
        });
        refusal.expect("it was")
    };
    let (status, text) = refused(producer);
    assert_eq!(status, 404, "{text}");
    assert!(
        text.starts_with("Failed to create producer/consumer: "),
        "{text}"
    );
    let (status, text) = refused(|namespace, name| consumer(namespace, name, "s"));
    assert_eq!(status, 404, "{text}");
    let (status, text) = refused(reader);
    assert_eq!(status, 404, "{text}");
    assert!(text.starts_with("Failed to create reader: "), "{text}");
    world.open(&producer(&namespace, &there)).close();
}

#[test]
fn more_than_a_topic_may_have_is_409() {
    let (world, namespace) = namespace(&["upstream=per-socket"]);
    let name = topic("most");
    let policies = Policies {
        max_producers_per_topic: Some(1),
        max_consumers_per_topic: Some(1),
        ..Policies::default()
    };
    let one = world.open(&producer(&namespace, &name));
    let other = world.open(&consumer(&namespace, &name, "s"));
    world.admin().set_policies(&namespace, &policies);
    let (status, text) = refused(&world, &producer(&namespace, &name));
    assert_eq!(status, 409, "{text}");
    assert!(text.contains("reached max producers limit"), "{text}");
    for path in [consumer(&namespace, &name, "s2"), reader(&namespace, &name)] {
        let (status, text) = refused(&world, &path);
        assert_eq!(status, 409, "{text}");
        assert!(text.contains("Topic reached max consumers limit"), "{text}");
    }
    drop((one, other));
}

#[test]
fn a_taken_producer_name_is_409() {
    let world = World::start();
    let name = topic("taken");
    let path = format!("{name}?producerName=mine");
    let holder = world.producer(&path);
    let (status, text) =
        world.refused(&format!("/ws/v2/producer/persistent/public/default/{path}"));
    assert_eq!(status, 409, "{text}");
    assert!(
        text.contains("Producer with name 'mine' is already connected to topic"),
        "{text}"
    );
    holder.close();
    let path = format!("/ws/v2/producer/persistent/public/default/{path}");
    eventually("the name is free", || {
        Client::open(world.address(), &path)
            .map(Client::close)
            .is_ok()
    });
}

#[test]
fn a_taken_subscription_is_409_in_the_brokers_words() {
    for settings in [&[][..], &["upstream=per-socket"]] {
        let world = World::with(settings);
        let name = topic("taken");
        let holder = world.consumer(&name, "s");
        let base = format!("/ws/v2/consumer/persistent/public/default/{name}/s");
        for (query, why) in [
            ("", "Exclusive consumer is already connected"),
            (
                "?subscriptionType=Shared",
                "Subscription is of different type. Active subscription type of 'Exclusive' is different than the \
                 connecting consumer's type 'Shared'.",
            ),
        ] {
            let (status, text) = world.refused(&format!("{base}{query}"));
            assert_eq!(status, 409, "{text}");
            assert!(text.contains(why), "{settings:?}: {text}");
        }
        holder.close();
    }
}

#[test]
fn a_terminated_topic_is_503_for_producers_alone() {
    let world = World::start();
    let name = topic("terminated");
    world.producer(&name).close();
    world.admin().terminate(&name);
    let path = format!("/ws/v2/producer/persistent/public/default/{name}");
    let (status, text) = world.refused(&path);
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("Topic was already terminated"), "{text}");
    world.consumer(&name, "s").close();
    world.reader(&name).close();
}

/// Throttled before it is made, where the topic is looked up.
#[test]
fn throttled_lookups_are_429() {
    let world = World::embedded(Options::default(), &[]);
    let why = "Failed due to too many pending lookup requests";
    let faults = world.broker().faults();
    faults.refuse_lookups(u32::MAX, ServerError::TooManyRequests, why);
    let name = topic("throttled");
    for (kind, of) in [
        ("producer", producer("public/default", &name)),
        ("producer", consumer("public/default", &name, "s")),
        ("reader", reader("public/default", &name)),
    ] {
        let (status, text) = world.refused(&of);
        let whom = match kind {
            "reader" => "reader",
            _ => "producer/consumer",
        };
        assert_eq!(
            (status, text),
            (429, format!("Failed to create {whom}: {why}\n"))
        );
    }
}
