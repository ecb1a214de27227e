//! Commands with a `requestId` are answered with their outcome, in frames that clients without one never see.

use serde_json::{Value, json};

use crate::support::{World, eventually, topic};

fn ok(request: Value) -> Value {
    json!({ "result": "ok", "requestId": request })
}

fn refused(number: u32, text: &str, request: Value) -> Value {
    json!({ "result": format!("error:{number}"), "errorMsg": text, "requestId": request })
}

#[test]
fn an_ack_is_answered_when_the_broker_has_it() {
    let world = World::start();
    let name = topic("asked-ack");
    // Several, so that some are not on their hub's shard.
    for (n, request) in [json!(5), json!("five"), json!(true), json!(-0.5)]
        .into_iter()
        .enumerate()
    {
        let subscription = format!("sub-{n}");
        let mut consumer = world.consumer(&name, &subscription);
        world.producer(&name).publish("one");
        let message = consumer.json();
        consumer.send_json(json!({ "messageId": message["messageId"], "requestId": request }));
        assert_eq!(consumer.json(), ok(request));
        assert_eq!(world.backlog(&name, &subscription), 0);
    }
}

#[test]
fn negative_acks_and_permits_are_answered() {
    let world = World::start();
    let name = topic("asked-others");
    let query = "sub?subscriptionType=Shared&pullMode=true&negativeAckRedeliveryDelay=100";
    let mut consumer = world.consumer(&name, query);
    world.producer(&name).publish("one");
    consumer.send_json(json!({ "type": "permit", "permitMessages": 1, "requestId": 1 }));
    assert_eq!(consumer.json(), ok(json!(1)));
    let message = consumer.json();
    let id = message["messageId"].clone();
    let nack =
        |request| json!({ "type": "negativeAcknowledge", "messageId": id, "requestId": request });
    consumer.send_json(nack(2));
    assert_eq!(consumer.json(), ok(json!(2)));
    consumer.permit(1);
    assert_eq!(consumer.json()["redeliveryCount"], 1);
    consumer.send_json(json!({ "messageId": id, "requestId": 3 }));
    assert_eq!(consumer.json(), ok(json!(3)));
    consumer.send_json(nack(4));
    let text = "No message with this id is unsettled here";
    assert_eq!(consumer.json(), refused(3, text, json!(4)));
}

#[test]
fn a_command_that_cannot_be_understood_is_answered_and_the_socket_stays() {
    let world = World::start();
    let name = topic("asked-nonsense");
    let mut consumer = world.consumer(&name, "sub");
    for (command, text) in [
        (json!({ "requestId": 1 }), "messageId is missing"),
        (
            json!({ "requestId": 1, "messageId": "zz" }),
            "messageId is not a Pulsar message id",
        ),
        (
            json!({ "requestId": 1, "type": "permit" }),
            "permitMessages is missing",
        ),
    ] {
        consumer.send_json(command);
        assert_eq!(consumer.json(), refused(3, text, json!(1)));
    }
    world.producer(&name).publish("one");
    assert_eq!(consumer.receive(), "one");
    consumer.send_json(json!({ "messageId": "zz" }));
    assert_eq!(consumer.closed().code, 4003);
}

#[test]
fn unsubscribing_is_answered_with_the_brokers_word_and_closes_nothing() {
    let world = World::start();
    let name = topic("asked-unsubscribe");
    let mut first = world.consumer(&name, "sub?subscriptionType=Shared");
    let second = world.consumer(&name, "sub?subscriptionType=Shared");
    let unsubscribe = |request| json!({ "type": "unsubscribe", "requestId": request });
    first.send_json(unsubscribe("a"));
    let text = "Unconnected or shared consumer attempting to unsubscribe";
    assert_eq!(first.json(), refused(3, text, json!("a")));
    second.close();
    eventually("it is alone", || {
        first.send_json(unsubscribe("b"));
        first.json() == ok(json!("b"))
    });
    let stats = world.admin().stats(&name);
    assert!(stats.is_none_or(|stats| stats.subscription("sub").is_none()));
    first.send_json(unsubscribe("c"));
    let text = "Consumer was already closed";
    assert_eq!(first.json(), refused(3, text, json!("c")));
}

#[test]
fn a_reader_is_answered_too() {
    let world = World::start();
    let mut reader = world.reader(&topic("asked-reader"));
    reader.send_json(json!({ "requestId": "x" }));
    assert_eq!(reader.json(), ok(json!("x")));
}
