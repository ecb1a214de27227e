//! The end of a terminated topic: consumers and readers are told once they have had everything; nobody can publish.

use serde_json::json;

use crate::support::{Client, World, eventually, topic};

#[test]
fn is_end_of_topic_is_false_until_a_terminated_topic_is_read_to_its_end() {
    let world = World::start();
    let name = topic("end");
    let mut producer = world.producer(&name);
    let mut exclusive = world.consumer(&name, "sub?receiverQueueSize=1");
    let mut shared = world.consumer(&name, "shared?subscriptionType=Shared&receiverQueueSize=1");
    let mut reader = world.reader(&format!("{name}?receiverQueueSize=1"));
    for socket in [&mut exclusive, &mut shared, &mut reader] {
        assert_eq!(socket.end_of_topic(), Some(false));
    }
    producer.publish("one");
    producer.publish("two");
    let firsts = [&mut exclusive, &mut shared, &mut reader].map(Client::json);
    world.admin().terminate(&name);
    for (socket, first) in [&mut exclusive, &mut shared, &mut reader]
        .into_iter()
        .zip(firsts)
    {
        assert_eq!(socket.end_of_topic(), Some(false), "one message is missing");
        socket.ack(&first);
        assert_eq!(socket.receive(), "two");
        eventually("the end is reached", || {
            socket.end_of_topic().expect("nothing else comes")
        });
    }
}

#[test]
fn a_terminated_topic_takes_no_message_and_no_producer() {
    let world = World::start();
    let name = topic("terminated");
    let mut consumer = world.consumer(&name, "sub");
    let mut producer = world.producer(&name);
    producer.publish("one");
    world.admin().terminate(&name);
    for n in 0..3 {
        producer.send_json(json!({ "payload": "eA==", "context": n }));
        let answer = producer.json();
        assert_eq!(answer["result"], "send-error:8", "{answer}");
        assert_eq!(answer["context"], n.to_string());
    }
    assert_eq!(consumer.receive(), "one");
    let (status, body) =
        world.refused(&format!("/ws/v2/producer/persistent/public/default/{name}"));
    assert_eq!(status, 503, "{body}");
    // What is in it can still be read.
    let mut reader = world.reader(&format!("{name}?messageId=earliest"));
    assert_eq!(reader.receive(), "one");
}
