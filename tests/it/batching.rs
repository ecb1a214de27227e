//! `batchingEnabled` and `compressionType`: what a producer is answered, what consumers get, and that nobody can tell
//! a batch from single messages but by its ids.

use serde_json::{Value, json};

use crate::support::{Client, World, base64, id_fields, payload_of, topic};

/// Long enough that only a full batch goes out before the test has seen what it wants.
const LONG_DELAY: &str = "batchingMaxPublishDelay=60000";
const BATCH_INDEX: u64 = 4;
const BATCH_SIZE: u64 = 6;

fn send(producer: &mut Client, n: usize) {
    producer.send_json(json!({
        "payload": base64(&n.to_string()),
        "key": format!("k{n}"),
        "properties": { "z": "1", "a": n.to_string() },
        "eventTime": "2021-10-29T16:01:38.967-07:00",
        "context": n,
    }));
}

/// The id of the next ack, which must be that of the given context.
fn ack(producer: &mut Client, context: usize) -> Vec<(u64, i64)> {
    let answer = producer.json();
    assert_eq!(answer["result"], "ok", "{answer}");
    assert_eq!(answer["context"], context.to_string(), "{answer}");
    id_fields(answer["messageId"].as_str().expect("an id"))
}

fn field(id: &[(u64, i64)], number: u64) -> Option<i64> {
    let found = id.iter().find(|(of, _)| *of == number);
    found.map(|(_, value)| *value)
}

#[test]
fn a_full_batch_is_one_entry_with_ids_and_messages_as_from_the_java_gateway() {
    let world = World::start();
    let name = topic("batch");
    let mut reader = world.reader(&name);
    let query = format!("{name}?batchingEnabled=true&batchingMaxMessages=3&{LONG_DELAY}");
    let mut producer = world.producer(&query);
    for n in 0..3 {
        send(&mut producer, n);
    }
    let ids: Vec<_> = (0..3).map(|n| ack(&mut producer, n)).collect();
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(id[..2], ids[0][..2], "one entry");
        assert_eq!(field(id, BATCH_INDEX), Some(n as i64));
        // Java's acks do not say how large the batch was.
        assert_eq!(field(id, BATCH_SIZE), Some(0));
    }
    for (n, acked) in ids.iter().enumerate() {
        let message = reader.json();
        let id = id_fields(message["messageId"].as_str().expect("an id"));
        assert_eq!(id[..3], acked[..3], "{message}");
        assert_eq!(field(&id, BATCH_SIZE), Some(3));
        assert_eq!(payload_of(&message), n.to_string());
        assert_eq!(message["key"], format!("k{n}"));
        assert_eq!(
            message["properties"],
            json!({ "a": n.to_string(), "z": "1" })
        );
        assert_eq!(message["eventTime"], "2021-10-29T23:01:38.967Z");
    }
}

#[test]
fn a_message_alone_is_no_batch_and_waits_only_for_its_delay() {
    let world = World::start();
    let name = topic("alone");
    let mut reader = world.reader(&name);
    let mut producer = world.producer(&format!("{name}?batchingEnabled=true"));
    send(&mut producer, 0);
    let id = ack(&mut producer, 0);
    assert_eq!(field(&id, BATCH_INDEX), None);
    assert_eq!(reader.receive(), "0");
}

#[test]
fn order_holds_between_batches_and_what_cannot_be_batched() {
    let world = World::start();
    let name = topic("order");
    let mut consumer = world.consumer(&name, "sub");
    let query =
        format!("{name}?batchingEnabled=true&batchingMaxMessages=4&batchingMaxPublishDelay=20");
    let mut producer = world.producer(&query);
    for n in 0..100 {
        match n % 7 {
            // On Exclusive a delay is not applied, but the broker must see it on an entry of its own.
            3 => producer.send_json(json!({
                "payload": base64(&n.to_string()), "deliverAfterMs": 1, "context": n
            })),
            _ => send(&mut producer, n),
        }
    }
    for n in 0..100 {
        let id = ack(&mut producer, n);
        if n % 7 == 3 {
            assert_eq!(field(&id, BATCH_INDEX), None);
        }
    }
    for n in 0..100 {
        assert_eq!(consumer.receive(), n.to_string());
    }
}

#[test]
fn a_message_too_large_for_the_broker_harms_no_batch() {
    let world = World::with(&["webSocketMaxTextFrameSize=16777216"]);
    let name = topic("large");
    let mut reader = world.reader(&name);
    let mut producer = world.producer(&format!("{name}?batchingEnabled=true"));
    send(&mut producer, 0);
    let large = "x".repeat(5 * 1024 * 1024 + 1);
    producer.send_json(json!({ "payload": base64(&large), "context": "large" }));
    send(&mut producer, 1);
    ack(&mut producer, 0);
    let refused = producer.json();
    assert_eq!(refused["result"], "send-error:8", "{refused}");
    assert_eq!(refused["context"], "large");
    ack(&mut producer, 1);
    assert_eq!([reader.receive(), reader.receive()], ["0", "1"]);
    // What counts is the size that goes out.
    let mut packing = world.producer(&format!("{name}?compressionType=LZ4"));
    packing.publish(&large);
    assert!(reader.receive() == large);
}

#[test]
fn a_full_queue_is_an_error_at_once_and_the_others_are_acked() {
    let world = World::start();
    let query = "?batchingEnabled=true&maxPendingMessages=2&batchingMaxPublishDelay=300";
    let mut producer = world.producer(&format!("{}{query}", topic("full")));
    for n in 0..4 {
        send(&mut producer, n);
    }
    for n in 2..4 {
        let refused = producer.json();
        assert_eq!(
            refused,
            json!({
                "result": "send-error:8", "errorMsg": "Producer send queue is full",
                "context": n.to_string(), "errorCode": 0, "schemaVersion": 0,
            })
        );
    }
    ack(&mut producer, 0);
    ack(&mut producer, 1);
    send(&mut producer, 5);
    ack(&mut producer, 5);
}

#[test]
fn every_compression_is_read_back_batched_or_not() {
    let world = World::start();
    let name = topic("compression");
    let mut reader = world.reader(&name);
    let payloads = ["", "a", &"pulsar ".repeat(3_000)];
    for compression in ["NONE", "LZ4", "ZLIB", "ZSTD", "SNAPPY"] {
        for batching in [false, true] {
            let query = format!("compressionType={compression}&batchingEnabled={batching}");
            let mut producer = world.producer(&format!("{name}?{query}&batchingMaxMessages=3"));
            for payload in payloads {
                producer.send_json(json!({ "payload": base64(payload), "key": "k" }));
            }
            for _ in payloads {
                let answer = producer.json();
                assert_eq!(answer["result"], "ok", "{answer}");
            }
            for payload in payloads {
                let message: Value = reader.json();
                assert!(payload_of(&message) == payload, "{query}: {message}");
                assert_eq!(message["key"], "k");
                reader.send("{}");
            }
        }
    }
}

#[test]
fn a_socket_that_closes_leaves_its_batch_with_the_broker() {
    let world = World::start();
    let name = topic("closing");
    let mut reader = world.reader(&name);
    let mut producer = world.producer(&format!("{name}?batchingEnabled=true&{LONG_DELAY}"));
    send(&mut producer, 0);
    send(&mut producer, 1);
    producer.close();
    assert_eq!([reader.receive(), reader.receive()], ["0", "1"]);
}

#[test]
fn an_orderly_stop_does_not_wait_for_a_batchs_delay() {
    let mut world = World::start();
    let name = topic("stop");
    let mut producer = world.producer(&format!("{name}?batchingEnabled=true&{LONG_DELAY}"));
    send(&mut producer, 0);
    send(&mut producer, 1);
    // The message has been read when its neighbour on the socket is answered.
    producer.send("{}");
    assert_eq!(producer.json()["result"], "send-error:7");
    let stopping = world.begin_stop();
    ack(&mut producer, 0);
    ack(&mut producer, 1);
    assert_eq!(producer.closed().code, 1001);
    stopping.ended();
}
