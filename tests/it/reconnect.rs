//! The upstream goes and comes back while a stream flows through a producer, an Exclusive consumer, Shared consumers on
//! both shards and readers: no message is lost, out of order or repeated, and no socket notices (`support::flow`).

use ::pulsar::proto::{MessageMetadata, ServerError};
use pws_fast::embedded::{Faults, Options};

use serde_json::json;

use crate::support::flow::Flow;
use crate::support::publisher::Publisher;
use crate::support::{World, base64, eventually, topic};

/// How long a restarting broker refuses connections: some of the gateway's attempts fail.
const REFUSE_MS: u64 = 300;

/// A stream on the embedded broker, disturbed by one of its faults, twice.
fn through_a_fault(options: Options, fault: impl Fn(&Faults, &Flow)) {
    let world = World::embedded(options, &[]);
    let faults = world.broker().faults();
    let mut flow = Flow::start(&world, &topic("fault"));
    flow.run();
    flow.through(|flow| fault(&faults, flow));
    flow.through(|flow| fault(&faults, flow));
    flow.finish(&world);
}

#[test]
fn a_stream_goes_on_unharmed_when_the_connections_to_the_broker_break() {
    through_a_fault(Options::default(), |faults, _| {
        assert!(faults.drop_connections() > 0);
    });
}

#[test]
fn a_stream_goes_on_unharmed_when_the_topic_moves() {
    let world = World::start();
    let name = topic("moves");
    let mut flow = Flow::start(&world, &name);
    flow.run();
    flow.through(|_| world.admin().unload(&name));
    flow.through(|_| world.admin().unload(&name));
    flow.finish(&world);
}

/// A bundle of a namespace moves with all its topics, of which a partitioned one has several.
#[test]
fn sockets_of_every_kind_go_on_when_their_namespace_moves() {
    let world = World::start();
    let namespace = format!("public/{}", topic("moves"));
    world.admin().create_namespace(&namespace);
    let topics = ["alone", "partitioned"].map(|name| format!("{namespace}/{name}"));
    let in_full = topics.each_ref().map(|name| format!("persistent://{name}"));
    world.admin().create_partitioned(&in_full[1], 3);
    let path =
        |kind: &str, topic: &str, rest: &str| format!("/ws/v2/{kind}/persistent/{topic}{rest}");
    let mut sockets = Vec::new();
    for topic in &topics {
        let mut consumers = Vec::new();
        for kind in ["Exclusive", "Shared", "Failover", "Key_Shared"] {
            let rest = format!("/{kind}?subscriptionType={kind}");
            consumers.push(world.open(&path("consumer", topic, &rest)));
        }
        consumers.push(world.open(&path("reader", topic, "")));
        sockets.push((world.open(&path("producer", topic, "")), consumers));
    }
    for round in 0..3 {
        // Some of each round are under way when the topics go.
        for (producer, _) in &mut sockets {
            for number in 0..20 {
                let payload = base64(&format!("{round}-{number}"));
                producer.send_json(json!({ "payload": payload, "key": "k" }));
            }
        }
        world.admin().unload_namespace(&namespace);
        for (producer, consumers) in &mut sockets {
            for _ in 0..20 {
                assert_eq!(producer.json()["result"], "ok");
            }
            // The key keeps them on one partition, in order. What was unconfirmed may be there twice, the repeats behind.
            for consumer in consumers {
                let expected: Vec<String> =
                    (0..20).map(|number| format!("{round}-{number}")).collect();
                let mut got: Vec<String> = Vec::new();
                while got.len() < 20 {
                    let payload = consumer.receive();
                    if payload.starts_with(&format!("{round}-")) && !got.contains(&payload) {
                        got.push(payload);
                    }
                }
                assert_eq!(got, expected);
            }
        }
    }
}

/// Its cursor goes with its connection, and "latest" is further on by then.
#[test]
fn a_non_durable_consumer_gets_what_is_published_before_it_is_there_again() {
    let world = World::embedded(Options::default(), &[]);
    let faults = world.broker().faults();
    let not_found = |times| {
        faults.refuse_lookups(times, ServerError::ServiceNotReady, "in a moment");
    };
    for subscription_type in ["Exclusive", "Shared", "Failover", "Key_Shared"] {
        let name = topic("volatile");
        let query = format!("s?subscriptionMode=NonDurable&subscriptionType={subscription_type}");
        let mut consumer = world.consumer(&name, &query);
        not_found(u32::MAX);
        assert!(faults.drop_connections() > 0);
        // It goes to the only broker, whatever it is told.
        let mut publisher = Publisher::open(&world.broker_url(), &name);
        publisher.publish(MessageMetadata::default(), b"meanwhile");
        not_found(0);
        assert_eq!(consumer.receive(), "meanwhile", "{subscription_type}");
    }
}

#[test]
fn a_stream_goes_on_unharmed_when_the_broker_restarts() {
    through_a_fault(Options::default(), |faults, _| faults.restart(REFUSE_MS));
}

#[test]
fn a_stream_goes_on_unharmed_when_a_killed_broker_forgets_acks_that_it_had_confirmed() {
    let world = World::embedded(Options::default(), &[]);
    let faults = world.broker().faults();
    let mut flow = Flow::start(&world, &topic("forgets"));
    flow.run();
    for _ in 0..2 {
        faults.checkpoint_acks();
        flow.run();
        flow.through(|_| faults.restart_abruptly(REFUSE_MS));
    }
    flow.finish(&world);
}

/// The broker has stored what it never confirmed: those, and no others, are there twice.
#[test]
fn publishes_whose_receipts_are_lost_are_there_twice_and_no_others() {
    through_a_fault(Options::default(), lose_receipts);
}

/// Publishes go out again under their old sequence ids: a broker that deduplicates stores each once.
#[test]
fn a_broker_that_deduplicates_has_every_publish_once() {
    let options = Options {
        deduplication: true,
        ..Options::default()
    };
    let world = World::embedded(options, &[]);
    let faults = world.broker().faults();
    let name = topic("deduplicates");
    let mut flow = Flow::start(&world, &name);
    flow.run();
    flow.through(|flow| lose_receipts(&faults, flow));
    flow.through(|_| faults.restart(REFUSE_MS));
    flow.forbid_repeats();
    flow.finish(&world);
}

fn lose_receipts(faults: &Faults, flow: &Flow) {
    faults.swallow_receipts(true);
    flow.await_full_window();
    faults.swallow_receipts(false);
    assert!(faults.drop_connections() > 0);
}

#[test]
fn a_cursor_reset_by_the_administrator_replays_to_connected_sockets() {
    let world = World::start();
    for subscription_type in ["Exclusive", "Shared", "Failover", "Key_Shared"] {
        let name = topic("reset");
        let mut consumer =
            world.consumer(&name, &format!("s?subscriptionType={subscription_type}"));
        let mut producer = world.producer(&name);
        let payloads: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        for payload in &payloads {
            producer.publish(payload);
        }
        for payload in &payloads {
            assert_eq!(consumer.receive(), *payload);
        }
        eventually("the broker knows the acks", || {
            world.backlog(&name, "s") == 0
        });

        world.admin().reset_to_earliest(&name, "s");
        for payload in &payloads {
            assert_eq!(consumer.receive(), *payload, "{subscription_type}");
        }
        producer.publish("new");
        assert_eq!(consumer.receive(), "new");
    }
}
