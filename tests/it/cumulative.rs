//! `ackCumulative`: one ack for a message and all before it, on Exclusive and Failover.

use serde_json::{Value, json};

use crate::support::{Client, World, base64, eventually, payload_of, topic};

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
