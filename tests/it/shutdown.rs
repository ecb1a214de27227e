//! The orderly end of a gateway (`Running::stop`, what a SIGTERM does): publishes in flight get their acks, every socket is
//! told with 1001, acks that clients have sent count, what is unsettled waits for the next gateway; and it ends, whatever
//! brokers and clients do.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use pws_fast::embedded::Options;
use serde_json::json;
use tungstenite::Message;

use crate::support::raw::upgrade_request;
use crate::support::{Client, Closed, Raw, World, base64, eventually, payload_of, topic};

/// Where nobody is going to answer, a test does not wait the eight seconds of the default.
const SHORT_DRAIN: &str = "drainTimeoutMillis=300";

fn going_away() -> Closed {
    Closed {
        code: 1001,
        reason: "The gateway is shutting down".to_owned(),
    }
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

#[test]
fn every_socket_is_told_and_nobody_is_let_in_any_more() {
    let mut world = World::start();
    let name = topic("told");
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(world.producer(&name));
        sockets.push(world.consumer(&name, "s?subscriptionType=Shared"));
        sockets.push(world.reader(&name));
    }
    let stopping = world.begin_stop();
    for socket in &mut sockets {
        assert_eq!(socket.closed(), going_away());
    }
    stopping.ended();
    assert!(TcpStream::connect(world.address()).is_err());
}

#[test]
fn publishes_that_the_broker_takes_its_time_with_get_their_acks() {
    let mut world = World::embedded(Options::default(), &[]);
    let name = topic("in-flight");
    let mut producer = world.producer(&name);
    world.broker().faults().delay_answers(400);
    for number in numbers(50) {
        producer.send_json(json!({ "payload": base64(&number), "context": number }));
    }
    eventually("the broker has them", || {
        let stats = world.broker().admin().stats(&name);
        stats.is_some_and(|stats| stats.published_entries == 50)
    });
    let stopping = world.begin_stop();
    for number in numbers(50) {
        let answer = producer.json();
        assert_eq!(answer["result"], "ok", "{answer}");
        assert_eq!(answer["context"], number);
    }
    assert_eq!(producer.closed(), going_away());
    stopping.ended();
}

/// Behind everything that the stream has published.
const END: &str = "the end";

/// A stream of publishes is cut in the middle: what is in the topic afterwards is what the client has acks of.
#[test]
fn no_publish_is_taken_without_being_acked() {
    let mut world = World::start();
    let name = topic("cut");
    let mut producer = world.producer(&name);
    let stream = std::thread::spawn(move || {
        let mut sent = 0;
        let mut acked = BTreeSet::new();
        loop {
            while sent - acked.len() < 64 {
                let number = sent.to_string();
                let message = json!({ "payload": base64(&number), "context": number });
                // It fails once the close frame is here; the acks before it still count.
                let _ = producer.raw().send(Message::text(message.to_string()));
                sent += 1;
            }
            match producer.raw().read() {
                Ok(Message::Text(text)) => {
                    let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                    assert_eq!(answer["result"], "ok", "{answer}");
                    let context = answer["context"].as_str().expect("the context");
                    acked.insert(context.to_owned());
                }
                Ok(Message::Close(frame)) => {
                    assert_eq!(u16::from(frame.expect("a code").code), 1001);
                    let _ = producer.raw().flush();
                    return acked;
                }
                other => panic!("{other:?}"),
            }
        }
    });
    eventually("the stream flows", || {
        world.admin().stats(&name).is_some() && stream_is_long(&world, &name)
    });
    world.begin_stop().ended();
    let acked = stream.join().expect("acks, then 1001");

    world.start_gateway();
    world.producer(&name).publish(END);
    let mut reader = world.reader(&format!("{name}?messageId=earliest"));
    let mut stored = BTreeSet::new();
    loop {
        let number = reader.receive();
        if number == END {
            break;
        }
        assert!(stored.insert(number.clone()), "{number} is there twice");
    }
    assert_eq!(stored, acked);
}

/// A reader that begins now finds something to read for a while.
fn stream_is_long(world: &World, name: &str) -> bool {
    let mut reader = world.reader(&format!("{name}?messageId=earliest"));
    for _ in 0..200 {
        reader.receive();
    }
    reader.close();
    true
}

#[test]
fn what_is_unsettled_waits_for_the_next_gateway() {
    for subscription_type in ["Exclusive", "Shared", "Failover", "Key_Shared"] {
        let mut world = World::start();
        let name = topic("unsettled");
        let query = format!("s?subscriptionType={subscription_type}");
        let mut consumer = world.consumer(&name, &query);
        let mut producer = world.producer(&name);
        for number in numbers(10) {
            producer.publish(&number);
        }
        for number in 0..10 {
            let message = consumer.json();
            if number % 2 == 0 {
                consumer.ack(&message);
            }
        }
        let stopping = world.begin_stop();
        assert_eq!(consumer.closed(), going_away());
        assert_eq!(producer.closed(), going_away());
        stopping.ended();

        world.start_gateway();
        let mut consumer = world.consumer(&name, &query);
        for number in ["1", "3", "5", "7", "9"] {
            let message = consumer.json();
            assert_eq!(payload_of(&message), number);
            assert_eq!(message["redeliveryCount"], 0, "{subscription_type}");
            consumer.ack(&message);
        }
        assert!(consumer.is_silent_for(Duration::from_millis(300)));
    }
}

/// The acks are on their way (in the client's socket, in the hub) when the stop begins.
#[test]
fn acks_sent_just_before_are_not_lost() {
    for round in 0..5 {
        let mut world = World::start();
        let name = topic("last-acks");
        let query = "s?subscriptionType=Shared&receiverQueueSize=100";
        let mut consumers: Vec<Client> = (0..4).map(|_| world.consumer(&name, query)).collect();
        let mut producer = world.producer(&name);
        for number in numbers(200) {
            producer.publish(&number);
        }
        let mut taken: Vec<_> = consumers.iter().map(|_| Vec::new()).collect();
        while taken.iter().map(Vec::len).sum::<usize>() < 200 {
            for (consumer, taken) in consumers.iter_mut().zip(&mut taken) {
                while let Some(message) = consumer.within(Duration::from_millis(20)) {
                    taken.push(message);
                }
            }
        }
        for (consumer, taken) in consumers.iter_mut().zip(&taken) {
            for message in taken {
                consumer.ack(message);
            }
        }
        let stopping = world.begin_stop();
        for consumer in &mut consumers {
            assert_eq!(consumer.closed(), going_away());
        }
        assert_eq!(producer.closed(), going_away());
        stopping.ended();
        assert_eq!(
            (world.backlog(&name, "s"), world.consumers(&name, "s")),
            (0, 0),
            "round {round}"
        );
    }
}

#[test]
fn a_stalled_broker_does_not_hold_it_up() {
    let mut world = World::embedded(Options::default(), &[SHORT_DRAIN]);
    let name = topic("stalled");
    let mut producer = world.producer(&name);
    let mut consumer = world.consumer(&name, "s");
    producer.publish("one");
    let message = consumer.json();
    let faults = world.broker().faults();
    faults.stall(true);
    consumer.ack(&message);
    producer.send_json(json!({ "payload": base64("two") }));
    // A handshake that waits for its upstream. Its shard has read it when requests that came later are answered, on both.
    let mut half_open = Raw::connect(world.address());
    let path = "/ws/v2/consumer/persistent/public/default/another/s";
    half_open.send(upgrade_request(path).as_bytes());
    for _ in 0..4 {
        let mut later = Raw::connect(world.address());
        later.send(upgrade_request("/nowhere").as_bytes());
        assert!(later.rest().starts_with(b"HTTP/1.1 404 "));
    }
    let stopping = world.begin_stop();
    assert_eq!(consumer.closed(), going_away());
    assert_eq!(producer.closed(), going_away());
    assert!(half_open.rest().starts_with(b"HTTP/1.1 503 "));
    stopping.ended();
}

#[test]
fn clients_that_answer_nothing_do_not_hold_it_up() {
    let mut world = World::with(&[SHORT_DRAIN]);
    let name = topic("silent");
    let address = world.address();
    // They stay open and unread until the end of the test.
    let _without_a_request = TcpStream::connect(address).expect("the gateway accepts");
    let mut half_a_request = TcpStream::connect(address).expect("the gateway accepts");
    half_a_request
        .write_all(b"GET /ws/v2/producer/persistent/public/default/")
        .expect("it is taken");
    let mut producer = world.producer(&name);
    let _reader = world.reader(&name);
    let _consumer = world.consumer(&name, "s");
    let _another_reader = world.reader(&format!("{name}?messageId=earliest"));
    let large = "x".repeat(500_000);
    for _ in 0..20 {
        producer.publish(&large);
    }
    world.begin_stop().ended();
}
