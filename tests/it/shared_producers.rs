//! Producer sockets that ask for the same share one upstream producer.
//!
//! Set-up: several anonymous producer sockets of one topic, on a gateway with two shards. Claim: the broker sees one
//! producer for each shard, and no client can tell: order, answers, refusals, timeouts and ends are each socket's own.

use std::collections::BTreeMap;

use pulsar::proto::ServerError;
use pws_fast::embedded::Options;
use serde_json::{Value, json};

use crate::support::{Client, World, base64, eventually, topic};

const SOCKETS: usize = 6;
const SHARDS: usize = 2;

fn sockets(world: &World, name: &str) -> Vec<Client> {
    (0..SOCKETS).map(|_| world.producer(name)).collect()
}

fn publishers(world: &World, name: &str) -> usize {
    world.admin().stats(name).map_or(0, |s| s.publishers)
}

/// Sends without waiting for the ack.
fn send(producer: &mut Client, payload: &str) {
    producer.send_json(json!({ "payload": base64(payload), "context": payload }));
}

/// The answer to [`send`].
fn answered(producer: &mut Client, payload: &str, result: &str) {
    let answer: Value = producer.json();
    assert_eq!(answer["result"], result, "{answer}");
    assert_eq!(answer["context"], payload, "{answer}");
}

/// "socket-number" payloads: each socket's numbers go up by one from 0.
#[derive(Default)]
struct Order(BTreeMap<String, usize>);

impl Order {
    fn next(&mut self, payload: &str) {
        let (socket, number) = payload.split_once('-').expect("socket-number");
        let expected = self.0.entry(socket.to_owned()).or_default();
        assert_eq!(number.parse(), Ok(*expected), "of socket {socket}");
        *expected += 1;
    }
}

#[test]
fn the_broker_sees_one_producer_for_each_shard_and_each_socket_keeps_its_order() {
    let world = World::start();
    let name = topic("order");
    let mut reader = world.reader(&name);
    let mut producers = sockets(&world, &name);
    let seen = publishers(&world, &name);
    assert!((1..=SHARDS).contains(&seen), "{seen}");
    for number in 0..50 {
        for (socket, producer) in producers.iter_mut().enumerate() {
            send(producer, &format!("{socket}-{number}"));
        }
    }
    for (socket, producer) in producers.iter_mut().enumerate() {
        for number in 0..50 {
            answered(producer, &format!("{socket}-{number}"), "ok");
        }
    }
    let mut order = Order::default();
    for _ in 0..50 * SOCKETS {
        order.next(&reader.receive());
    }
}

#[test]
fn one_sockets_end_leaves_the_others_and_the_last_one_closes_the_producer() {
    let world = World::start();
    let name = topic("ends");
    let mut reader = world.reader(&name);
    let mut producers = sockets(&world, &name);
    while let Some(mut gone) = producers.pop() {
        send(&mut gone, "last words");
        answered(&mut gone, "last words", "ok");
        assert_eq!(reader.receive(), "last words");
        gone.close();
        for producer in &mut producers {
            producer.publish("here");
            assert_eq!(reader.receive(), "here");
        }
    }
    eventually("the producers are closed", || {
        publishers(&world, &name) == 0
    });
    world.producer(&name).publish("new");
    assert_eq!(reader.receive(), "new");
}

#[test]
fn different_wishes_and_names_have_producers_of_their_own() {
    let world = World::start();
    let name = topic("wishes");
    let queries = [
        "",
        "?sendTimeoutMillis=5000",
        "?compressionType=LZ4",
        "?producerName=mine",
        "?initialSequenceId=7",
        "?batchingEnabled=true",
    ];
    let mut producers: Vec<_> = queries
        .iter()
        .map(|query| world.producer(&format!("{name}{query}")))
        .collect();
    assert_eq!(publishers(&world, &name), queries.len());
    for producer in &mut producers {
        producer.publish("x");
    }
}

#[test]
fn each_socket_chooses_partitions_for_itself() {
    let world = World::start();
    let name = topic("partitions");
    world.admin().create_partitioned(&name, 3);
    let mut reader = world.reader(&name);
    let query = "?messageRoutingMode=RoundRobinPartition";
    let mut producers: Vec<_> = (0..SOCKETS)
        .map(|_| world.producer(&format!("{name}{query}")))
        .collect();
    let mut direct = world.producer(&format!("{name}-partition-1"));
    let mut seen = BTreeMap::<String, usize>::new();
    for producer in &mut producers {
        for number in 0..6 {
            let id = producer.publish(&number.to_string());
            *seen.entry(partition_of(&id)).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), 3);
    assert!(seen.values().all(|count| *count == 2 * SOCKETS), "{seen:?}");
    direct.publish("direct");
    reader.receive_all(6 * SOCKETS + 1);
}

fn partition_of(id: &str) -> String {
    let fields = crate::support::id_fields(id);
    let partition = fields.iter().find(|(number, _)| *number == 3);
    format!("{:?}", partition.map(|(_, value)| *value))
}

#[test]
fn an_error_goes_to_the_socket_whose_message_it_is_about() {
    let world = World::with(&["webSocketMaxTextFrameSize=16777216"]);
    let name = topic("errors");
    let mut producers = sockets(&world, &name);
    let too_large = "x".repeat(6 << 20);
    for round in 0..3 {
        for (socket, producer) in producers.iter_mut().enumerate() {
            match (round, socket) {
                (1, 2) => producer.send_json(json!({
                    "payload": base64(&too_large), "context": "large"
                })),
                _ => send(producer, "small"),
            }
        }
    }
    for (socket, producer) in producers.iter_mut().enumerate() {
        for round in 0..3 {
            match (round, socket) {
                (1, 2) => answered(producer, "large", "send-error:8"),
                _ => answered(producer, "small", "ok"),
            }
        }
    }
}

#[test]
fn a_client_that_chooses_sequence_ids_is_alone_with_them() {
    let namespace = "public/pws-fast-shared-producers";
    let world = World::deduplicating(namespace);
    let name = topic("sequence-ids");
    let path = |kind: &str| format!("/ws/v2/{kind}/persistent/{namespace}/{name}");
    let mut reader = world.open(&path("reader"));
    let mut producers: Vec<_> = (0..SOCKETS)
        .map(|_| world.open(&path("producer")))
        .collect();
    let mut order = Order::default();
    for (socket, producer) in producers.iter_mut().enumerate() {
        for number in 0..5 {
            send(producer, &format!("{socket}-{number}"));
        }
        // From here on in the order of these ids, which others use as well.
        for number in 5..10 {
            let payload = format!("{socket}-{number}");
            producer.send_json(json!({
                "payload": base64(&payload), "context": payload, "sequenceId": number * 10
            }));
        }
    }
    for (socket, producer) in producers.iter_mut().enumerate() {
        for number in 0..10 {
            answered(producer, &format!("{socket}-{number}"), "ok");
        }
    }
    for _ in 0..10 * SOCKETS {
        order.next(&reader.receive());
    }
    assert!(reader.is_silent());
}

/// The broker stores nothing with an id that is not higher than the last.
#[test]
fn a_message_without_a_sequence_id_after_one_with_it_is_stored_as_well() {
    let namespace = "public/pws-fast-mixed-sequence-ids";
    let world = World::deduplicating(namespace);
    let name = topic("mixed-ids");
    let path = |kind: &str| format!("/ws/v2/{kind}/persistent/{namespace}/{name}");
    let mut reader = world.open(&path("reader"));
    let mut producer = world.open(&path("producer"));
    producer.send_json(json!({ "payload": base64("a"), "context": "a", "sequenceId": 100 }));
    send(&mut producer, "b");
    for payload in ["a", "b"] {
        answered(&mut producer, payload, "ok");
        assert_eq!(reader.receive(), payload);
    }
}

#[test]
fn a_first_sequence_id_during_an_outage_is_only_a_delay() {
    let world = World::embedded(Options::default(), &[]);
    let mut producer = world.producer(&topic("outage"));
    producer.publish("before");
    let refusal = ServerError::TooManyRequests;
    world
        .broker()
        .faults()
        .refuse_creates(1, refusal, "too many");
    let message = json!({ "payload": base64("x"), "context": "x", "sequenceId": 7 });
    producer.send_json(message);
    answered(&mut producer, "x", "ok");
}

#[test]
fn every_socket_goes_on_after_the_topic_has_moved() {
    let world = World::start();
    let name = topic("moves");
    let mut reader = world.reader(&name);
    let mut producers = sockets(&world, &name);
    let mut order = Order::default();
    for number in 0..6 {
        for (socket, producer) in producers.iter_mut().enumerate() {
            send(producer, &format!("{socket}-{number}"));
        }
        if number % 2 == 1 {
            world.admin().unload(&name);
            // It finds the producer on its way back, or asks for one more.
            world.producer(&name).close();
        }
    }
    for (socket, producer) in producers.iter_mut().enumerate() {
        for number in 0..6 {
            answered(producer, &format!("{socket}-{number}"), "ok");
        }
    }
    let (mut rest, mut last) = (6 * SOCKETS, BTreeMap::new());
    while rest > 0 {
        let payload = reader.receive();
        // The receipt of a message may be lost with the broker side: it is stored again then.
        if last.insert(payload.clone(), ()).is_none() {
            order.next(&payload);
            rest -= 1;
        }
    }
}

#[test]
fn a_terminated_topic_is_told_to_every_socket() {
    let world = World::start();
    let name = topic("terminated");
    let mut producers = sockets(&world, &name);
    for producer in &mut producers {
        producer.publish("before");
    }
    world.admin().terminate(&name);
    for producer in &mut producers {
        send(producer, "after");
        answered(producer, "after", "send-error:8");
    }
}

#[test]
fn messages_time_out_by_the_clock_of_their_socket() {
    let world = World::embedded(Options::default(), &[]);
    let name = topic("timeouts");
    let path = format!("{name}?sendTimeoutMillis=1000");
    let mut producers: Vec<_> = (0..SOCKETS).map(|_| world.producer(&path)).collect();
    world.broker().faults().swallow_receipts(true);
    for producer in &mut producers {
        send(producer, "lost");
    }
    for producer in &mut producers {
        answered(producer, "lost", "send-error:8");
    }
    world.broker().faults().swallow_receipts(false);
    for producer in &mut producers {
        send(producer, "found");
        answered(producer, "found", "ok");
    }
}

#[test]
fn with_an_upstream_for_each_socket_none_is_shared() {
    let world = World::with(&["upstream=per-socket"]);
    let name = topic("per-socket");
    let producers = sockets(&world, &name);
    assert_eq!(publishers(&world, &name), SOCKETS);
    drop(producers);
}
