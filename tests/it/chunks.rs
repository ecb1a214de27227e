//! Messages that a producer has cut into chunks reach clients whole.

use pulsar::proto::MessageMetadata;
use serde_json::Value;

use crate::support::publisher::Publisher;
use crate::support::{Client, World, eventually, payload_of, query_value, take_from, topic};

/// Publishes one chunk of a message of so many, each with two bytes more than the id.
fn publish_chunk(publisher: &mut Publisher, uuid: &str, index: i32, count: i32) {
    let metadata = MessageMetadata {
        uuid: Some(uuid.to_owned()),
        chunk_id: Some(index),
        num_chunks_from_msg: Some(count),
        total_chunk_msg_size: Some(count * (uuid.len() as i32 + 2)),
        partition_key: Some(format!("key-{uuid}")),
        ..MessageMetadata::default()
    };
    publisher.publish(metadata, format!("{uuid}{index} ").as_bytes());
}

fn publish_chunked(publisher: &mut Publisher, uuid: &str, count: i32) {
    for index in 0..count {
        publish_chunk(publisher, uuid, index, count);
    }
}

/// Ledger and entry of a message id, and of the first chunk in it.
fn positions(message: &Value) -> [(u64, u64); 2] {
    let id = message["messageId"].as_str().expect("an id");
    let bytes = base64_simd::STANDARD.decode_to_vec(id).expect("base64");
    let id: IdWithFirstChunk = prost::Message::decode(&bytes[..]).expect("an id");
    let first = id.first_chunk_message_id.expect("the first chunk");
    [
        (id.ledger_id, id.entry_id),
        (first.ledger_id, first.entry_id),
    ]
}

/// `MessageIdData` with the field that the `pulsar` crate's older one lacks.
#[derive(Clone, PartialEq, prost::Message)]
struct IdWithFirstChunk {
    #[prost(uint64, required, tag = "1")]
    ledger_id: u64,
    #[prost(uint64, required, tag = "2")]
    entry_id: u64,
    #[prost(message, optional, tag = "7")]
    first_chunk_message_id: Option<pulsar::proto::MessageIdData>,
}

#[test]
fn chunks_that_alternate_are_whole_to_a_reader_that_falls_off_its_log() {
    // A dozen small messages.
    let world = World::with(&["tailLogBytes=4096"]);
    let name = topic("chunks-alternate");
    let mut slow = world.reader(&format!("{name}?receiverQueueSize=1"));
    let mut quick = world.reader(&name);
    let mut publisher = Publisher::open(&world.broker_url(), &name);
    let next = |reader: &mut Client, n: u32| {
        assert_eq!(reader.receive(), format!("{n}0 {n}1 "));
    };
    for round in 0..3 {
        let numbers = round * 100..round * 100 + 100;
        // Whenever one is whole, the next one has begun.
        publish_chunk(&mut publisher, &numbers.start.to_string(), 0, 2);
        for n in numbers.clone() {
            if n + 1 < numbers.end {
                publish_chunk(&mut publisher, &(n + 1).to_string(), 0, 2);
            }
            publish_chunk(&mut publisher, &n.to_string(), 1, 2);
        }
        numbers.clone().for_each(|n| next(&mut quick, n));
        numbers.clone().for_each(|n| next(&mut slow, n));
    }
    assert!(slow.is_silent() && quick.is_silent());
}

#[test]
fn chunked_messages_arrive_whole_with_ids_of_their_first_and_last_chunk() {
    let world = World::start();
    let name = topic("chunks");
    let mut consumer = world.consumer(&name, "sub?receiverQueueSize=1");
    let mut reader = world.reader(&name);
    let mut publisher = Publisher::open(&world.broker_url(), &name);
    publish_chunk(&mut publisher, "a", 0, 3);
    publish_chunk(&mut publisher, "b", 0, 2);
    publish_chunk(&mut publisher, "a", 1, 3);
    publish_chunk(&mut publisher, "a", 2, 3);
    publisher.publish(MessageMetadata::default(), b"plain");
    publish_chunk(&mut publisher, "b", 1, 2);
    let expected = ["a0 a1 a2 ", "plain", "b0 b1 "];
    for socket in [&mut consumer, &mut reader] {
        for payload in expected {
            let message = socket.json();
            assert_eq!(payload_of(&message), payload);
            if payload != "plain" {
                let [last, first] = positions(&message);
                assert_eq!(last.0, first.0);
                assert_eq!(
                    last.1 - first.1,
                    if payload.starts_with('a') { 3 } else { 4 }
                );
                assert_eq!(message["key"], format!("key-{}", &payload[..1]));
            }
            socket.ack(&message);
        }
    }
    eventually("all chunks are acked", || world.backlog(&name, "sub") == 0);
}

#[test]
fn a_chunked_message_that_is_nacked_or_left_behind_comes_again_whole() {
    let world = World::start();
    let name = topic("again");
    let query = "sub?subscriptionType=Shared&negativeAckRedeliveryDelay=100";
    let mut first = world.consumer(&name, query);
    let mut publisher = Publisher::open(&world.broker_url(), &name);
    publish_chunked(&mut publisher, "a", 4);
    let message = first.json();
    assert_eq!(payload_of(&message), "a0 a1 a2 a3 ");
    first.nack(&message);
    let message = first.json();
    assert_eq!(payload_of(&message), "a0 a1 a2 a3 ");
    assert_eq!(message["redeliveryCount"], 1);
    let mut second = world.consumer(&name, query);
    first.close();
    take_from(&mut [&mut second], 1, |_, socket, message| {
        assert_eq!(payload_of(message), "a0 a1 a2 a3 ");
        socket.ack(message);
    });
    eventually("all chunks are acked", || world.backlog(&name, "sub") == 0);

    // The last one leaves: the broker sends it to whoever comes.
    publish_chunked(&mut publisher, "b", 2);
    assert_eq!(payload_of(&second.json()), "b0 b1 ");
    second.close();
    let mut third = world.consumer(&name, query);
    assert_eq!(third.receive(), "b0 b1 ");
    eventually("all chunks are acked", || world.backlog(&name, "sub") == 0);
}

#[test]
fn a_reader_begins_behind_a_chunked_message() {
    let world = World::start();
    let name = topic("behind");
    let mut publisher = Publisher::open(&world.broker_url(), &name);
    publish_chunked(&mut publisher, "a", 3);
    publish_chunked(&mut publisher, "b", 2);
    let mut earliest = world.reader(&format!("{name}?messageId=earliest"));
    let message = earliest.json();
    assert_eq!(payload_of(&message), "a0 a1 a2 ");
    let id = query_value(message["messageId"].as_str().expect("an id"));
    let mut behind = world.reader(&format!("{name}?messageId={id}"));
    assert_eq!(behind.receive(), "b0 b1 ");
    publish_chunked(&mut publisher, "c", 2);
    assert_eq!(behind.receive(), "c0 c1 ");
    assert_eq!(
        [earliest.receive(), earliest.receive()],
        ["b0 b1 ", "c0 c1 "]
    );
}

#[test]
fn chunks_survive_a_topic_that_moves() {
    let world = World::start();
    let name = topic("moving");
    let mut consumer = world.consumer(&name, "sub");
    let mut publisher = Publisher::open(&world.broker_url(), &name);
    publish_chunked(&mut publisher, "a", 2);
    let held = consumer.json();
    publish_chunk(&mut publisher, "b", 0, 2);
    world.admin().unload(&name);
    let mut publisher = Publisher::open(&world.broker_url(), &name);
    publish_chunk(&mut publisher, "b", 1, 2);
    assert_eq!(consumer.receive(), "b0 b1 ");
    consumer.ack(&held);
    eventually("all chunks are acked", || world.backlog(&name, "sub") == 0);
    assert!(consumer.is_silent());
}
