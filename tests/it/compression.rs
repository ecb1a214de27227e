//! permessage-deflate: messages in either direction, on every kind of socket; readers of one tail with and without it.

use serde_json::json;

use crate::support::deflating::Deflating;
use crate::support::raw::{Raw, frame};
use crate::support::{Client, World, base64, payload_of, topic};

fn path(kind: &str, topic: &str, rest: &str) -> String {
    format!("/ws/v2/{kind}/persistent/public/default/{topic}{rest}")
}

/// Long enough to be worth compressing.
fn text(number: usize) -> String {
    format!("{number}: {}", "all work and no play ".repeat(20))
}

fn publish(text: &str) -> String {
    json!({ "payload": base64(text), "context": "1" }).to_string()
}

#[test]
fn producers_consumers_and_readers_talk_compressed() {
    let world = World::start();
    let name = topic("deflate");
    let mut reader = Deflating::open(&world, &path("reader", &name, ""), "");
    let mut consumer = Deflating::open(&world, &path("consumer", &name, "/sub"), "");
    let mut producer = Deflating::open(&world, &path("producer", &name, ""), "");
    for n in 0..20 {
        producer.send(&publish(&text(n)));
        let answer = producer.json();
        assert_eq!(answer["result"], "ok", "{answer}");
        assert_eq!(consumer.receive(), text(n));
        assert_eq!(reader.receive(), text(n));
    }
    assert_eq!((consumer.compressed, reader.compressed), (20, 20));
    // An ack is shorter compressed, but not by enough.
    assert_eq!(producer.compressed, 0);
    for agreed in [&consumer.agreed, &reader.agreed] {
        assert_eq!(
            agreed,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        );
    }
    assert_eq!(
        producer.agreed,
        "permessage-deflate; server_no_context_takeover"
    );
}

#[test]
fn all_was_acked_that_came_compressed() {
    let world = World::start();
    let name = topic("deflate-acks");
    let mut consumer = Deflating::open(&world, &path("consumer", &name, "/sub"), "");
    let mut producer = world.producer(&name);
    for n in 0..5 {
        producer.publish(&text(n));
        assert_eq!(consumer.receive(), text(n));
    }
    // Its answer comes behind the acks.
    consumer.send(r#"{"type":"isEndOfTopic"}"#);
    assert_eq!(consumer.json()["endOfTopic"], false);
    drop(consumer);
    let mut again = world.consumer(&name, "sub?subscriptionType=Shared");
    producer.publish("next");
    assert_eq!(again.receive(), "next");
}

#[test]
fn readers_with_and_without_compression_share_a_tail_and_fall_off_it() {
    const MESSAGES: usize = 200;
    // A log of a few messages: whoever is slow falls off it.
    let world = World::with(&["tailLogBytes=16384"]);
    let name = topic("deflate-tail");
    let path = |window: usize| path("reader", &name, &format!("?receiverQueueSize={window}"));
    let mut plain: Vec<Client> = [1000, 3].map(|window| world.open(&path(window))).into();
    let mut deflating: Vec<Deflating> = [
        (1000, ""),
        (1000, "; client_no_context_takeover"),
        (1, ""),
        (5, ""),
        (1000, "; server_max_window_bits=10"),
    ]
    .map(|(window, parameters)| Deflating::open(&world, &path(window), parameters))
    .into();
    let mut producer = world.producer(&name);
    for n in 0..MESSAGES {
        producer.publish(&text(n));
    }
    for reader in &mut plain {
        for n in 0..MESSAGES {
            assert_eq!(reader.receive(), text(n));
        }
    }
    for (place, reader) in deflating.iter_mut().enumerate() {
        for n in 0..MESSAGES {
            assert_eq!(reader.receive(), text(n), "reader {place}");
        }
    }
    for reader in &deflating[..4] {
        assert_eq!(reader.compressed, MESSAGES);
    }
    // In the log again, each in its own form.
    producer.publish(&text(MESSAGES));
    for reader in &mut deflating {
        assert_eq!(reader.receive(), text(MESSAGES));
    }
    for reader in &mut plain {
        assert_eq!(reader.receive(), text(MESSAGES));
    }
}

#[test]
fn a_window_too_small_for_a_message_gets_it_as_it_is() {
    let world = World::start();
    let name = topic("deflate-window");
    let offer = "; server_max_window_bits=9";
    let mut consumer = Deflating::open(&world, &path("consumer", &name, "/sub"), offer);
    assert!(consumer.agreed.ends_with(offer), "{}", consumer.agreed);
    let mut producer = world.producer(&name);
    for (text, compressed) in [("x".repeat(200), 1), ("x".repeat(1000), 1)] {
        producer.publish(&text);
        assert_eq!(payload_of(&consumer.json()), text);
        assert_eq!(consumer.compressed, compressed);
    }
}

#[test]
fn many_messages_in_few_bytes_are_all_taken_in_order() {
    const MESSAGES: usize = 12;
    let world = World::start();
    let name = topic("deflate-bombs");
    let mut reader = world.reader(&name);
    let mut producer = Deflating::open(&world, &path("producer", &name, ""), "");
    let payload = |n: usize| format!("{n}{}", "0".repeat(500_000));
    let messages: Vec<u8> = (0..MESSAGES)
        .flat_map(|n| producer.message(&publish(&payload(n))))
        .collect();
    // They are one read, and each is more than one turn takes.
    assert!(messages.len() < 64 * 1024);
    producer.raw.send(&messages);
    for n in 0..MESSAGES {
        assert_eq!(producer.json()["result"], "ok");
        assert!(reader.receive() == payload(n), "message {n}");
    }
}

#[test]
fn bad_compressed_data_and_too_much_of_it_end_the_socket() {
    let world = World::with(&["webSocketMaxTextFrameSize=10000"]);
    let name = topic("deflate-bad");
    let open = || Deflating::open(&world, &path("producer", &name, ""), "");
    let mut corrupt = open();
    corrupt.raw.send(&frame(0xc1, &[0xff; 20]));
    assert_eq!(corrupt.raw.close_code(), 1007);
    let mut too_big = open();
    too_big.send(&publish(&"x".repeat(1_000_000)));
    assert_eq!(too_big.raw.close_code(), 1009);
    let mut marked_ping = open();
    marked_ping.raw.send(&frame(0xc9, b""));
    assert_eq!(marked_ping.raw.close_code(), 1002);
}

#[test]
fn switched_off_it_is_declined() {
    let world = World::with(&["permessageDeflate=false"]);
    let name = topic("deflate-off");
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let (mut raw, head) = Raw::open_with(world.address(), &path("producer", &name, ""), offer);
    assert!(!head.contains("Extensions"), "{head}");
    raw.send(&frame(0xc1, &[0]));
    assert_eq!(raw.close_code(), 1002);
}
