//! A producer socket's conversation: what it is answered, byte for byte, and what consumers then get.
//!
//! Codes, fields and their order are Java's, which `tests/golden` has recorded; the texts of its exceptions are plain words
//! here (README, "Where it differs from the Java gateway").

use serde_json::{Value, json};

use crate::support::{Client, World, base64, topic};

/// Sends a frame; the answer, byte for byte but for its message id.
fn answer(producer: &mut Client, frame: &str) -> String {
    producer.send(frame);
    let text = producer.text();
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    match answer["messageId"].as_str() {
        Some(id) => text.replacen(id, "ID", 1),
        None => text,
    }
}

fn ok(context: Option<&str>) -> String {
    let context = context.map_or(String::new(), |context| {
        format!("\"context\":\"{context}\",")
    });
    format!(
        "{{\"result\":\"ok\",\"messageId\":\"ID\",{context}\"errorCode\":0,\"schemaVersion\":0}}"
    )
}

fn error(code: u16, text: &str, context: Option<&str>) -> String {
    let context = context.map_or(String::new(), |context| {
        format!("\"context\":\"{context}\",")
    });
    format!(
        "{{\"result\":\"send-error:{code}\",\"errorMsg\":\"{text}\",{context}\"errorCode\":0,\"schemaVersion\":0}}"
    )
}

#[test]
fn what_is_wrong_with_a_frame_is_told_and_the_next_one_is_published() {
    let world = World::start();
    let name = topic("talk");
    let mut consumer = world.consumer(&name, "sub");
    let mut producer = world.producer(&name);
    for (frame, code, text) in [
        (
            r#"{"payload":"***"}"#,
            7,
            "Invalid Base64 message-payload error=Illegal base64 character 2a",
        ),
        ("{}", 7, "The payload is missing"),
        ("null", 7, "The request is null"),
        (
            r#"{"payload":"eA==","eventTime":"garbage"}"#,
            7,
            "Text 'garbage' could not be parsed at index 0",
        ),
        (
            "not json",
            3,
            "Not readable as JSON: unknown word at byte 1",
        ),
        (r#""x""#, 3, "Not a JSON object"),
        (
            r#"{"payload":"eA==","properties":"bad"}"#,
            3,
            "The value of properties is of the wrong type or out of range",
        ),
    ] {
        assert_eq!(
            answer(&mut producer, frame),
            error(code, text, None),
            "{frame}"
        );
    }
    for cluster in ["standalone", "nope"] {
        let frame = format!(r#"{{"payload":"eA==","replicationClusters":["{cluster}"]}}"#);
        assert_eq!(answer(&mut producer, &frame), ok(None), "{frame}");
        assert_eq!(consumer.receive(), "x");
    }
    assert!(consumer.is_silent());
}

#[test]
fn the_context_comes_back_with_every_error_whose_json_could_be_read() {
    let world = World::start();
    let mut producer = world.producer(&topic("context"));
    let missing = answer(&mut producer, r#"{"context":"c1"}"#);
    assert_eq!(missing, error(7, "The payload is missing", Some("c1")));
    let bad = answer(&mut producer, r#"{"payload":"*","context":"c2"}"#);
    assert!(bad.starts_with("{\"result\":\"send-error:7\""), "{bad}");
    assert!(bad.contains("\"context\":\"c2\""), "{bad}");
    let null = answer(
        &mut producer,
        r#"{"payload":"eA==","context":"c3","properties":{"n":null}}"#,
    );
    assert_eq!(null, error(3, "A property has no value", Some("c3")));
    // Quotes and controls are escaped on the way back.
    assert_eq!(
        answer(
            &mut producer,
            r#"{"payload":"eA==","context":"a\"\\\n\u0001é"}"#
        ),
        ok(Some(r#"a\"\\\n\u0001é"#))
    );
}

#[test]
fn the_same_json_in_a_binary_frame_is_a_message() {
    let world = World::start();
    let mut producer = world.producer(&topic("binary"));
    let frame: &[u8] = br#"{"payload":"eA==","context":"b"}"#;
    producer.send_message(tungstenite::Message::binary(frame));
    let answer = producer.json();
    assert_eq!(
        (&answer["result"], &answer["context"]),
        (&json!("ok"), &json!("b"))
    );
}

#[test]
fn a_message_larger_than_the_broker_takes_is_error_8_and_harms_nothing() {
    let world = World::with(&["webSocketMaxTextFrameSize=16777216"]);
    let name = topic("large");
    let mut consumer = world.consumer(&name, "sub");
    let mut producer = world.producer(&name);
    let mut other = world.producer(&name);
    producer.publish("before");
    // Pulsar's maxMessageSize is 5 MiB.
    let large = "x".repeat(5 * 1024 * 1024 + 1);
    producer.send_json(json!({ "payload": base64(&large), "context": "large" }));
    let refused = producer.json();
    assert_eq!(refused["result"], "send-error:8", "{refused}");
    assert_eq!(refused["context"], "large");
    producer.publish("after");
    other.publish("other");
    assert_eq!(consumer.receive_all(3), ["before", "after", "other"]);

    let fits = "y".repeat(4 * 1024 * 1024);
    producer.publish(&fits);
    assert!(consumer.receive() == fits, "four megabytes come through");
}

#[test]
fn acks_come_in_the_order_of_the_messages() {
    let world = World::start();
    let name = topic("order");
    let mut reader = world.reader(&name);
    let mut producer = world.producer(&name);
    for n in 0..500 {
        let payload = base64(&n.to_string());
        producer.send_json(json!({ "payload": payload, "context": n }));
    }
    for n in 0..500 {
        let ack = producer.json();
        assert_eq!(ack["result"], "ok", "{ack}");
        assert_eq!(ack["context"], n.to_string());
    }
    for n in 0..500 {
        assert_eq!(reader.receive(), n.to_string());
    }
}

#[test]
fn an_error_comes_at_once_and_the_acks_around_it_in_their_order() {
    let world = World::start();
    let mut producer = world.producer(&topic("mixed"));
    for n in 0..30 {
        let payload = if n % 3 == 1 { "*" } else { "eA==" };
        producer.send_json(json!({ "payload": payload, "context": n }));
    }
    let (mut acks, mut errors) = (Vec::new(), Vec::new());
    for _ in 0..30 {
        let answer = producer.json();
        let context = answer["context"].as_str().expect("a context").to_owned();
        match answer["result"].as_str() {
            Some("ok") => acks.push(context),
            Some("send-error:7") => errors.push(context),
            _ => panic!("{answer}"),
        }
    }
    let numbers = |of: fn(u32) -> bool| -> Vec<String> {
        (0..30).filter(|n| of(*n)).map(|n| n.to_string()).collect()
    };
    assert_eq!(acks, numbers(|n| n % 3 != 1));
    assert_eq!(errors, numbers(|n| n % 3 == 1));
}

#[test]
fn a_producers_name_is_taken_until_its_socket_closes() {
    let world = World::start();
    let name = topic("named");
    let mut first = world.producer(&format!("{name}?producerName=p1"));
    first.publish("x");
    let path = format!("/ws/v2/producer/persistent/public/default/{name}?producerName=p1");
    let (status, body) = world.refused(&path);
    assert_eq!(status, 409, "{body}");
    assert!(
        body.contains("Producer with name 'p1' is already connected to topic"),
        "{body}"
    );
    first.close();
    // The name is free again at once.
    world.open(&path).publish("y");
}
