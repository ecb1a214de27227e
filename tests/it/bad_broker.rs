//! A broker that refuses, stalls, lies, or comes and goes.
//!
//! Set-up: the embedded broker and its faults; a short operation timeout where a test waits for it. Claim: a handshake
//! gets the documented refusal, an open socket sees a delay at most, and what is not concerned goes on.

use ::pulsar::proto::ServerError;
use pws_fast::embedded::{Faults, Options};
use serde_json::json;

use crate::support::{Client, Neighbours, World, base64, eventually, topic};

const SHORT: &str = "brokerClient_operationTimeoutMs=400";
/// Reconnects are tried often, so that tests do not wait for them.
const QUICK: &str = "brokerClient_maxBackoffIntervalNanos=200000000";

fn paths(name: &str) -> [String; 4] {
    [
        format!("/ws/v2/producer/persistent/public/default/{name}"),
        format!("/ws/v2/consumer/persistent/public/default/{name}/alone"),
        format!("/ws/v2/consumer/persistent/public/default/{name}/sub?subscriptionType=Shared"),
        format!("/ws/v2/reader/persistent/public/default/{name}"),
    ]
}

#[test]
fn refusals_of_the_broker_have_their_statuses() {
    let world = World::embedded(Options::default(), &[]);
    let mut neighbours = Neighbours::move_in(&world);
    let name = topic("refused");
    for (error, status) in [
        (ServerError::AuthenticationError, 401),
        (ServerError::AuthorizationError, 403),
        (ServerError::TopicNotFound, 404),
        (ServerError::SubscriptionNotFound, 404),
        (ServerError::ProducerBusy, 409),
        (ServerError::ConsumerBusy, 409),
        (ServerError::ProducerFenced, 409),
        (ServerError::IncompatibleSchema, 409),
        (ServerError::TooManyRequests, 429),
        (ServerError::ProducerBlockedQuotaExceededError, 503),
        (ServerError::ProducerBlockedQuotaExceededException, 503),
        (ServerError::TopicTerminatedError, 503),
        (ServerError::InvalidTopicName, 500),
    ] {
        has_status(&world, &name, error, status);
    }
    neighbours.are_well();
    walk(
        &mut world.producer(&name),
        &mut world.consumer(&name, "walk"),
        3,
    );
}

#[test]
fn refusals_that_may_pass_have_theirs_when_the_time_is_up() {
    let world = World::embedded(Options::default(), &[SHORT, QUICK]);
    let name = topic("not-in-time");
    for (error, status) in [
        (ServerError::ServiceNotReady, 504),
        (ServerError::MetadataError, 504),
        (ServerError::PersistenceError, 504),
        (ServerError::ChecksumError, 504),
        (ServerError::UnknownError, 500),
        (ServerError::NotAllowedError, 500),
        (ServerError::UnsupportedVersionError, 500),
        (ServerError::ConsumerNotFound, 500),
        (ServerError::ConsumerAssignError, 500),
        (ServerError::TransactionConflict, 500),
    ] {
        has_status(&world, &name, error, status);
    }
}

/// The broker refuses everything with this error.
fn has_status(world: &World, name: &str, error: ServerError, status: u16) {
    let faults = world.broker().faults();
    faults.refuse_creates(u32::MAX, error, "said\r\nthe broker: \"no\"");
    for path in paths(name) {
        let (refused, body) = world.refused(&path);
        assert_eq!(refused, status, "{error:?} on {path}: {body}");
        assert!(body.starts_with("Failed to create "), "{body}");
        assert!(body.contains("said  the broker: \"no\""), "{body}");
        assert_eq!(body.lines().count(), 1, "{body}");
    }
    faults.refuse_creates(0, error, "");
}

fn walk(producer: &mut Client, consumer: &mut Client, count: usize) {
    for number in 0..count {
        let payload = number.to_string();
        producer.publish(&payload);
        assert_eq!(consumer.receive(), payload);
    }
}

#[test]
fn a_passing_refusal_is_only_a_delay() {
    let world = World::embedded(Options::default(), &[QUICK]);
    let name = topic("passing");
    for error in [ServerError::ServiceNotReady, ServerError::MetadataError] {
        for path in paths(&name) {
            world.broker().faults().refuse_creates(2, error, "not yet");
            world.open(&path).close();
        }
    }
    world.broker().faults().redirect_lookups(3);
    for path in paths(&name) {
        world.open(&path).close();
    }
}

#[test]
fn a_broker_that_says_nothing_is_504_and_is_asked_again_by_the_next() {
    let world = World::embedded(Options::default(), &[SHORT, QUICK]);
    let name = topic("silent");
    // Stalled before the first connection, and with one that is there.
    for _ in 0..2 {
        world.broker().faults().stall(true);
        for path in paths(&name) {
            let (status, body) = world.refused(&path);
            assert_eq!(status, 504, "{path}: {body}");
        }
        world.broker().faults().stall(false);
        for path in paths(&name) {
            open_again(&world, &path);
        }
    }
}

/// What was asked while the broker was stalled may have taken its connection with it; then the next try finds a new one.
fn open_again(world: &World, path: &str) {
    eventually("it opens", || match Client::open(world.address(), path) {
        Ok(client) => {
            client.close();
            true
        }
        Err((status, body)) => {
            assert_eq!(status, 504, "{path}: {body}");
            false
        }
    });
}

#[test]
fn lookups_that_go_in_circles_end_in_504() {
    let world = World::embedded(Options::default(), &[SHORT, QUICK]);
    let mut neighbours = Neighbours::move_in(&world);
    world.broker().faults().redirect_lookups(u32::MAX);
    for path in paths(&topic("circles")) {
        let (status, body) = world.refused(&path);
        assert_eq!(status, 504, "{path}: {body}");
    }
    neighbours.are_well();
}

#[test]
fn nobody_there_is_504() {
    let world = World::on_pulsar("pulsar://127.0.0.1:9", "http://127.0.0.1:9", &[SHORT]);
    for path in paths(&topic("nobody")) {
        let (status, body) = world.refused(&path);
        assert_eq!(status, 504, "{path}: {body}");
    }
}

type Wrong = fn(&Faults);

/// Everything that ends connections: open sockets publish and consume on, each message once and in order.
#[test]
fn garbage_lies_and_lost_connections_are_only_a_delay() {
    // Otherwise a publish whose receipt was lost is there twice.
    let options = Options {
        deduplication: true,
        ..Options::default()
    };
    let world = World::embedded(options, &[QUICK]);
    let mut neighbours = Neighbours::move_in(&world);
    let name = topic("lies");
    let mut producer = world.producer(&name);
    let mut consumer = world.consumer(&name, "sub");
    let mut reader = world.reader(&name);
    let faults = world.broker().faults();
    let wrongs: [(&str, Wrong); 6] = [
        ("garbage", Faults::write_garbage),
        ("huge frame", Faults::write_huge_frame),
        ("huge command", Faults::write_huge_command),
        ("lost", |faults| assert!(faults.drop_connections() > 0)),
        ("restart", |faults| faults.restart(100)),
        ("garbage again and again", |faults| {
            for _ in 0..5 {
                faults.write_garbage();
                faults.write_huge_command();
            }
        }),
    ];
    let mut number = 0;
    for (what, wrong) in wrongs {
        wrong(&faults);
        for _ in 0..3 {
            number += 1;
            let payload = number.to_string();
            producer.publish(&payload);
            assert_eq!(consumer.receive(), payload, "{what}");
            assert_eq!(reader.receive(), payload, "{what}");
        }
        neighbours.are_well();
    }
    assert!(consumer.is_silent());
    assert!(reader.is_silent());
}

#[test]
fn a_slow_broker_answers_everything_in_order() {
    let world = World::embedded(Options::default(), &[]);
    let name = topic("slow");
    let mut producer = world.producer(&name);
    let mut consumer = world.consumer(&name, "sub");
    let faults = world.broker().faults();
    let mut burst = |what: &str| {
        for number in 0..40 {
            let payload = base64(&"x".repeat(1_000));
            producer.send_json(json!({ "payload": payload, "context": number.to_string() }));
        }
        for number in 0..40 {
            let answer = producer.json();
            assert_eq!(answer["result"], "ok", "{what}: {answer}");
            assert_eq!(answer["context"], number.to_string(), "{what}");
        }
        assert_eq!(consumer.receive_all(40).len(), 40);
    };
    faults.delay_answers(200);
    burst("delayed");
    faults.delay_answers(0);
    faults.throttle(Some(20_000));
    burst("throttled");
    faults.throttle(None);
    burst("as usual");
}

#[test]
fn receipts_that_never_come_are_error_8_after_the_send_timeout() {
    let world = World::embedded(Options::default(), &[]);
    let mut neighbours = Neighbours::move_in(&world);
    let name = topic("receipts");
    let path = format!("{}?sendTimeoutMillis=300", paths(&name)[0]);
    let mut producer = world.open(&path);
    world.broker().faults().swallow_receipts(true);
    for context in ["a", "b", "c"] {
        producer.send_json(json!({ "payload": "eA==", "context": context }));
    }
    for context in ["a", "b", "c"] {
        let answer = producer.json();
        assert_eq!(answer["result"], "send-error:8", "{answer}");
        assert_eq!(answer["context"], context);
    }
    world.broker().faults().swallow_receipts(false);
    producer.publish("after that");
    neighbours.are_well();
}

#[test]
fn a_topic_that_is_deleted_or_terminated_concerns_its_sockets_only() {
    let world = World::embedded(Options::default(), &[QUICK]);
    let mut neighbours = Neighbours::move_in(&world);
    let name = topic("terminated");
    let mut producer = world.producer(&name);
    let mut consumer = world.consumer(&name, "sub");
    walk(&mut producer, &mut consumer, 2);
    world.admin().terminate(&name);
    producer.send_json(json!({ "payload": "eA==", "context": "late" }));
    let answer = producer.json();
    assert_eq!(answer["result"], "send-error:8", "{answer}");
    assert_eq!(answer["context"], "late");
    eventually("the consumer is told", || {
        consumer.end_of_topic() == Some(true)
    });
    assert_eq!(world.refused(&paths(&name)[0]).0, 503);
    neighbours.are_well();
}
