//! `ackCumulative`: one ack for a message and all before it, on Exclusive and Failover.

use serde_json::{Value, json};

use crate::support::{Client, World, base64, eventually, id_fields, id_of, payload_of, topic};

fn up_to(message: &Value) -> Value {
    json!({ "type": "ackCumulative", "messageId": message["messageId"] })
}

fn asked(message: &Value) -> Value {
    let mut command = up_to(message);
    command["requestId"] = json!(1);
    command
}

fn publish(producer: &mut Client, range: std::ops::Range<u32>) {
    for n in range {
        producer.publish(&n.to_string());
    }
}

#[test]
fn it_settles_all_before_it_and_frees_the_window() {
    let world = World::start();
    for kind in ["Exclusive", "Failover"] {
        let name = topic("cumulative");
        let query = format!("sub?subscriptionType={kind}&receiverQueueSize=5");
        let mut consumer = world.consumer(&name, &query);
        publish(&mut world.producer(&name), 0..12);
        let messages: Vec<Value> = (0..5).map(|_| consumer.json()).collect();
        assert!(consumer.is_silent());
        consumer.send_json(asked(&messages[3]));
        // The broker's word comes in between.
        let mut seen: Vec<Value> = (0..5).map(|_| consumer.json()).collect();
        seen.retain(|frame| *frame != json!({ "result": "ok", "requestId": 1 }));
        let payloads: Vec<String> = seen.iter().map(payload_of).collect();
        assert_eq!(payloads, ["5", "6", "7", "8"]);
        assert_eq!(world.backlog(&name, "sub"), 8);
        // It survives the subscription's move to another broker connection.
        world.admin().unload(&name);
        consumer.send_json(up_to(&seen[3]));
        for n in 9..12 {
            assert_eq!(consumer.receive(), n.to_string());
        }
        eventually("all are acked", || world.backlog(&name, "sub") == 0);
        assert!(consumer.is_silent());
    }
}

#[test]
fn within_a_batch_what_is_behind_it_stays_unsettled() {
    let world = World::start();
    let name = topic("cumulative-batch");
    let mut consumer = world.consumer(&name, "sub");
    let path =
        format!("{name}?batchingEnabled=true&batchingMaxMessages=4&batchingMaxPublishDelay=5000");
    let mut producer = world.producer(&path);
    for n in 0..8 {
        producer.send_json(json!({ "payload": base64(&n.to_string()) }));
    }
    let messages: Vec<Value> = (0..8).map(|_| consumer.json()).collect();
    consumer.send_json(asked(&messages[5]));
    assert_eq!(consumer.json()["result"], "ok");
    assert!(consumer.is_silent());
    consumer.close();
    let mut consumer = world.consumer(&name, "sub");
    let next: Vec<String> = (0..2).map(|_| consumer.payload()).collect();
    // A broker that does not keep single messages of a batch sends all of it again.
    assert!(next == ["6", "7"] || next == ["4", "5"], "{next:?}");
}

/// The broker says yes to it and moves nothing. All that was published later was taken for acked.
#[test]
fn an_id_beyond_the_end_keeps_nothing_back_that_is_published_later() {
    const LEDGER: u64 = 1;
    const ENTRY: u64 = 2;
    let world = World::start();
    for beyond in [LEDGER, ENTRY] {
        let name = topic("cumulative-beyond");
        let mut consumer = world.consumer(&name, "sub");
        let mut producer = world.producer(&name);
        producer.publish("0");
        let mut fields = id_fields(consumer.json()["messageId"].as_str().expect("an id"));
        for (number, value) in &mut fields {
            *value += if *number == beyond { 1000 } else { 0 };
        }
        consumer.send_json(asked(&json!({ "messageId": id_of(&fields) })));
        assert_eq!(consumer.json()["result"], "ok");
        publish(&mut producer, 1..4);
        for n in 1..4 {
            assert_eq!(consumer.receive(), n.to_string());
        }
        eventually("those are acked", || world.backlog(&name, "sub") <= 1);
    }
}

#[test]
fn it_is_refused_where_messages_are_settled_one_by_one() {
    let world = World::start();
    let name = topic("cumulative-shared");
    for kind in ["Shared", "Key_Shared"] {
        let subscription = format!("{kind}?subscriptionType={kind}");
        let mut consumer = world.consumer(&name, &subscription);
        world.producer(&name).publish("one");
        let message = consumer.json();
        consumer.send_json(up_to(&message));
        let text = "Cumulative acks are for Exclusive and Failover subscriptions";
        assert_eq!(
            consumer.json(),
            json!({ "result": "error:3", "errorMsg": text })
        );
        consumer.ack(&message);
        assert!(consumer.is_silent());
    }
}
