//! Well-formed frames with nonsense in them: JSON, base64, ids, permits.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tungstenite::Message;

use crate::support::{Closed, Neighbours, World, base64, id_fields, id_of, query_value, topic};

fn nested(depth: usize) -> String {
    format!(
        r#"{{"payload":"eA==","x":{}{}}}"#,
        "[".repeat(depth),
        "]".repeat(depth)
    )
}

#[test]
fn a_producer_is_told_what_is_wrong_and_stays() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    let name = topic("nonsense");
    let mut producer = world.producer(&name);
    let mut consumer = world.consumer(&name, "sub");
    let deep = nested(100_000);
    let long_number = format!(r#"{{"payload":"eA==","x":{}}}"#, "9".repeat(5000));
    for (frame, number) in [
        ("", 3),
        ("x", 3),
        ("{", 3),
        ("[1]", 3),
        ("\"text\"", 3),
        (r#"{"payload":"eA==""#, 3),
        (r#"{"payload":eA==}"#, 3),
        (r#"{"payload":["eA=="]}"#, 3),
        (r#"{"payload":"eA==","properties":[]}"#, 3),
        (r#"{"payload":"eA==","properties":{"n":null}}"#, 3),
        (r#"{"payload":"eA==","properties":{"n":{}}}"#, 3),
        (r#"{"payload":"eA==","sequenceId":"x"}"#, 3),
        (r#"{"payload":"eA==","sequenceId":99999999999999999999}"#, 3),
        (r#"{"payload":"eA==","key":"\q"}"#, 3),
        ("{\"payload\":\"eA==\",\"key\":\"\n\"}", 3),
        (&deep, 3),
        (&long_number, 3),
        ("null", 7),
        ("{}", 7),
        (r#"{"payload":null}"#, 7),
        (r#"{"payload":"e"}"#, 7),
        (r#"{"payload":"eA==="}"#, 7),
        (r#"{"payload":"eA==eA=="}"#, 7),
        (r#"{"payload":"e A="}"#, 7),
        (r#"{"payload":"ä"}"#, 7),
        (r#"{"payload":"eA==","eventTime":"yesterday"}"#, 7),
    ] {
        producer.send(frame);
        let answer = producer.json();
        let begin: String = frame.chars().take(60).collect();
        assert_eq!(
            answer["result"],
            format!("send-error:{number}"),
            "{begin}: {answer}"
        );
        assert!(answer["errorMsg"].is_string(), "{begin}: {answer}");
    }
    producer.send(r#"{"payload":"%","context":"c-1"}"#);
    assert_eq!(producer.json()["context"], "c-1");

    producer.publish("after all that");
    assert_eq!(consumer.receive(), "after all that");
    neighbours.are_well();
}

#[test]
fn the_largest_numbers_in_an_id_take_no_room() {
    let world = World::start();
    let most = i64::from(i32::MAX);
    // MessageIdData: partition, batch_index and batch_size.
    let numbers = [
        (most, most - 1, most),
        (most, 0, most),
        (0, most, most),
        (most, -1, 0),
    ];
    for suffix in ["", "-partition-2147483647"] {
        let name = format!("{}{suffix}", topic("largest-numbers"));
        let mut consumer = world.consumer(&name, "sub");
        let mut reader = world.reader(&name);
        let mut producer = world.producer(&name);
        let id = producer.publish("0");
        assert_eq!(consumer.receive(), "0");
        assert_eq!(reader.receive(), "0");
        for (partition, index, size) in numbers {
            let mut fields: BTreeMap<u64, i64> = id_fields(&id).into_iter().collect();
            fields.extend([(3, partition), (4, index), (6, size)]);
            let id = id_of(&fields.into_iter().collect::<Vec<_>>());
            for kind in ["negativeAcknowledge", "ack", "ackCumulative", "seek"] {
                consumer.send_json(json!({ "type": kind, "messageId": id }));
                reader.send_json(json!({ "type": kind, "messageId": id }));
            }
            let start = query_value(&id);
            world.reader(&format!("{name}?messageId={start}")).close();
        }
        // All of that is behind it.
        let mut consumer = world.consumer(&name, "other");
        let mut reader = world.reader(&name);
        producer.publish("1");
        assert_eq!(consumer.receive(), "1");
        assert_eq!(reader.receive(), "1");
    }
}

#[test]
fn odd_but_proper_json_is_published() {
    let world = World::start();
    let name = topic("odd");
    let mut producer = world.producer(&name);
    let mut consumer = world.consumer(&name, "sub");
    let mut publish = |frame: &str| -> Value {
        producer.send(frame);
        let answer = producer.json();
        assert_eq!(answer["result"], "ok", "{answer}");
        let message = consumer.json();
        consumer.ack(&message);
        message
    };

    let doubled = publish(r#"{"payload":"YQ==","payload":"Yg==","key":"1","key":"2"}"#);
    assert_eq!(
        (&doubled["payload"], &doubled["key"]),
        (&json!("Yg=="), &json!("2"))
    );
    let doubled = publish(r#"{"payload":"","properties":{"a":"1","b":"2","a":"3"}}"#);
    assert_eq!(doubled["properties"], json!({"a": "3", "b": "2"}));
    assert_eq!(publish(&nested(900))["payload"], "eA==");
    assert_eq!(publish(" {\t\"payload\" :\r\n\"eA\" } ")["payload"], "eA==");
    assert_eq!(
        publish("{\"p\\u0061yload\":\"\\u0065A==\"}")["payload"],
        "eA=="
    );

    let properties: Value = (0..10_000).map(|n| (format!("k{n}"), json!("v"))).collect();
    let many = json!({ "payload": "eA==", "properties": properties });
    assert_eq!(publish(&many.to_string())["properties"], many["properties"]);
}

fn refused(closed: &Closed) {
    assert_eq!(closed.code, 4003, "{closed:?}");
    assert!(
        closed
            .reason
            .starts_with("Failed to de-serialize from JSON"),
        "{closed:?}"
    );
}

#[test]
fn commands_that_cannot_be_understood_close_the_socket_with_4003() {
    let world = World::start();
    let mut neighbours = Neighbours::move_in(&world);
    let name = topic("commands");
    let deep = nested(100_000);
    let no_json = ["", "x", "5", "{", "[]", "null", r#"{"type":[]}"#, &deep];
    let long_id = json!({ "messageId": base64(&"x".repeat(10_000)) }).to_string();
    let commands = [
        "{}",
        r#"{"messageId":"%%%"}"#,
        r#"{"messageId":"eHh4"}"#,
        r#"{"messageId":""}"#,
        r#"{"messageId":null}"#,
        r#"{"messageId":{}}"#,
        &long_id,
        r#"{"type":"negativeAcknowledge"}"#,
        r#"{"type":"negativeAcknowledge","messageId":"!"}"#,
        r#"{"type":"permit"}"#,
        r#"{"type":"permit","permitMessages":null}"#,
        r#"{"type":"permit","permitMessages":2147483648}"#,
        r#"{"type":"permit","permitMessages":"many"}"#,
    ];
    for command in no_json.iter().chain(&commands) {
        for mode in ["", "&pullMode=true"] {
            let mut consumer = world.consumer(&name, &format!("sub?subscriptionType=Shared{mode}"));
            consumer.send(command);
            refused(&consumer.closed());
        }
    }
    for command in no_json {
        let mut reader = world.reader(&name);
        reader.send(command);
        refused(&reader.closed());
    }
    let mut binary = world.consumer(&name, "sub?subscriptionType=Shared");
    binary.send_message(Message::binary(&b"\xff\xfe"[..]));
    refused(&binary.closed());
    neighbours.are_well();
}

#[test]
fn ids_that_mean_nothing_here_change_nothing() {
    let world = World::start();
    let name = topic("ids");
    let mut elsewhere = world.producer(&topic("elsewhere"));
    let other = elsewhere.publish("other");
    let mut producer = world.producer(&name);
    let mut consumer = world.consumer(&name, "sub");
    producer.publish("0");
    let message = consumer.json();
    let made_up = base64("\x08\u{7f}\x10\u{7f}\x30\x00");
    let far = base64_simd::STANDARD
        .encode_to_string([&b"\x08"[..], &[0xff; 9], b"\x01\x10", &[0xff; 9], b"\x01"].concat());
    for id in [&made_up, &other, &far] {
        consumer.send_json(json!({ "messageId": id }));
        consumer.send_json(json!({ "type": "negativeAcknowledge", "messageId": id }));
        consumer.send_json(json!({ "type": "anything", "messageId": id }));
    }
    for _ in 0..3 {
        consumer.ack(&message);
        consumer.nack(&message);
    }
    for payload in ["1", "2", "3", "4"] {
        producer.publish(payload);
        assert_eq!(consumer.receive(), payload);
    }
}

#[test]
fn acks_beyond_what_was_delivered_do_not_widen_the_window() {
    let world = World::start();
    let name = topic("wide");
    let mut producer = world.producer(&name);
    let mut consumer = world.consumer(&name, "sub?receiverQueueSize=1");
    let id = producer.publish("0");
    assert_eq!(consumer.receive(), "0");
    for _ in 0..100 {
        consumer.send_json(json!({ "messageId": id }));
    }
    // All of them are done with.
    assert_eq!(consumer.end_of_topic(), Some(false));
    for payload in ["1", "2", "3"] {
        producer.publish(payload);
    }
    let first = consumer.json();
    assert!(consumer.is_silent());
    consumer.ack(&first);
    assert_eq!([consumer.receive(), consumer.receive()], ["2", "3"]);
}

#[test]
fn permits_of_nothing_give_nothing_and_too_many_are_no_overflow() {
    let world = World::start();
    let name = topic("permits");
    let mut producer = world.producer(&name);
    let mut consumer = world.consumer(&name, "sub?pullMode=true");
    for payload in ["0", "1", "2"] {
        producer.publish(payload);
    }
    for permits in [0, -1, i64::from(i32::MIN)] {
        consumer.permit(permits);
    }
    assert!(consumer.is_silent());
    consumer.permit(1);
    assert_eq!(consumer.receive(), "0");
    for _ in 0..3 {
        consumer.permit(i64::from(i32::MAX));
    }
    assert_eq!([consumer.receive(), consumer.receive()], ["1", "2"]);
}
