//! What a producer socket and a message may ask for beside a payload: deduplication, delays, a topic that is deleted
//! under them.

use serde_json::{Value, json};

use crate::support::{Client, World, base64, eventually, id_fields, payload_of, topic};

/// Whose topics are deduplicated.
const NAMESPACE: &str = "public/pws-fast-deduplicated";

fn path(kind: &str, name: &str, query: &str) -> String {
    format!("/ws/v2/{kind}/persistent/{NAMESPACE}/{name}?{query}")
}

/// Ledger and entry of the ack.
fn publish(producer: &mut Client, payload: &str, sequence_id: Option<u64>) -> (i64, i64) {
    let id = producer.publish_json(match sequence_id {
        Some(id) => json!({ "payload": base64(payload), "sequenceId": id }),
        None => json!({ "payload": base64(payload) }),
    });
    let fields = id_fields(&id);
    (fields[0].1, fields[1].1)
}

const DUPLICATE: (i64, i64) = (-1, -1);

#[test]
fn a_repeated_sequence_id_is_answered_as_a_duplicate_and_not_delivered() {
    let world = World::deduplicating(NAMESPACE);
    let name = topic("duplicates");
    let mut reader = world.open(&path("reader", &name, ""));
    let mut producer = world.open(&path("producer", &name, "producerName=p"));
    assert_ne!(publish(&mut producer, "five", Some(5)), DUPLICATE);
    assert_eq!(publish(&mut producer, "again", Some(5)), DUPLICATE);
    assert_eq!(publish(&mut producer, "four", Some(4)), DUPLICATE);
    assert_ne!(publish(&mut producer, "six", Some(6)), DUPLICATE);
    assert_eq!([reader.receive(), reader.receive()], ["five", "six"]);
    producer.close();

    // Batches are deduplicated by their messages: what is new is not dropped with what is not.
    let query = "producerName=p&batchingEnabled=true&batchingMaxMessages=2";
    let mut batching = world.open(&path("producer", &name, query));
    for (payload, sequence_id) in [("6", 6), ("7", 7), ("8", 8), ("7 again", 7)] {
        batching.send_json(json!({
            "payload": base64(payload), "sequenceId": sequence_id, "context": payload
        }));
    }
    let mut ledgers = Vec::new();
    for context in ["6", "7", "8", "7 again"] {
        let ack: Value = batching.json();
        assert_eq!(
            (&ack["result"], &ack["context"]),
            (&json!("ok"), &json!(context))
        );
        ledgers.push(id_fields(ack["messageId"].as_str().expect("an id"))[0].1);
    }
    // The others may be duplicates, too: when the topic moves meanwhile they are sent a second time.
    let dropped: Vec<bool> = ledgers.iter().map(|ledger| *ledger == -1).collect();
    assert!(dropped[0] && dropped[3], "{dropped:?}");
    assert_eq!([reader.receive(), reader.receive()], ["7", "8"]);
    publish(&mut batching, "9", Some(9));
    assert_eq!(reader.receive(), "9");
}

/// The broker may hear of the end of a name's last holder behind the next one's wish for it, on another connection.
fn once_it_is_free(world: &World, path: &str) -> Client {
    let mut opened = None;
    eventually("the name is free", || {
        opened = Client::open(world.address(), path).ok();
        opened.is_some()
    });
    opened.expect("it is in")
}

#[test]
fn sequence_ids_go_on_with_the_producers_name_or_where_the_client_says() {
    let world = World::deduplicating(NAMESPACE);
    let name = topic("initial");
    let mut first = world.open(&path(
        "producer",
        &name,
        "producerName=p&initialSequenceId=9",
    ));
    for payload in ["10", "11", "12"] {
        assert_ne!(publish(&mut first, payload, None), DUPLICATE);
    }
    first.close();
    let mut second = once_it_is_free(&world, &path("producer", &name, "producerName=p"));
    assert_ne!(publish(&mut second, "13", None), DUPLICATE);
    second.close();
    let path_of_third = path("producer", &name, "producerName=p&initialSequenceId=11");
    let mut third = once_it_is_free(&world, &path_of_third);
    assert_eq!(publish(&mut third, "12", None), DUPLICATE);
    assert_eq!(publish(&mut third, "13", None), DUPLICATE);
    assert_ne!(publish(&mut third, "14", None), DUPLICATE);
    let mut reader = world.open(&path("reader", &name, "messageId=earliest"));
    for payload in ["10", "11", "12", "13", "14"] {
        assert_eq!(reader.receive(), payload);
    }
}

#[test]
fn a_delayed_message_comes_after_later_ones_on_shared_and_in_order_elsewhere() {
    let world = World::start();
    let name = topic("delayed");
    let mut shared = world.consumer(&name, "shared?subscriptionType=Shared");
    let mut exclusive = world.consumer(&name, "exclusive");
    for batching in ["", "?batchingEnabled=true"] {
        let mut producer = world.producer(&format!("{name}{batching}"));
        // A broker's first messages may take it longer than the delays below.
        producer.publish("first");
        assert_eq!([shared.receive(), exclusive.receive()], ["first", "first"]);
        let after = json!({ "payload": base64("after"), "deliverAfterMs": 1_500 });
        producer.send_json(after);
        let at = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("the clock is past 1970");
        let at_ms = at.as_millis() as u64 + 3_000;
        producer.send_json(json!({ "payload": base64("at"), "deliverAt": at_ms }));
        producer.send_json(json!({ "payload": base64("now") }));
        for _ in 0..3 {
            assert_eq!(producer.json()["result"], "ok");
        }
        assert_eq!(exclusive.receive_all(3), ["after", "at", "now"]);
        assert_eq!(shared.receive_all(3), ["now", "after", "at"]);
    }
}

#[test]
fn a_context_is_any_scalar_and_comes_back_as_text() {
    let world = World::start();
    let mut producer = world.producer(&topic("context"));
    for (context, text) in [
        (json!("a"), json!("a")),
        (json!(5), json!("5")),
        (json!(1.5), json!("1.5")),
        (json!(true), json!("true")),
        (json!(""), json!("")),
        (json!(null), Value::Null),
    ] {
        producer.send_json(json!({ "payload": "eA==", "context": context }));
        let ack = producer.json();
        assert_eq!(ack["result"], "ok", "{ack}");
        assert_eq!(ack["context"], text);
    }
}

/// As with the Java gateway: the producer finds its topic again, which by that is made anew.
#[test]
fn a_producer_whose_topic_is_deleted_goes_on_with_a_new_one() {
    let world = World::start();
    let name = topic("deleted");
    let mut producer = world.producer(&name);
    producer.publish("before");
    assert_eq!(world.admin().delete_forced(&name), 204);
    producer.publish("after");
    let mut reader = world.reader(&format!("{name}?messageId=earliest"));
    assert_eq!(reader.receive(), "after");
    assert!(reader.is_silent());
    assert_eq!(
        payload_of(&{
            producer.publish("more");
            reader.json()
        }),
        "more"
    );
}
