//! Reader sockets: where they begin, and what frees their window.

use serde_json::Value;

use crate::support::{Client, World, eventually, payload_of, query_value, topic};

fn numbers(world: &World, name: &str, count: usize) -> Vec<String> {
    let mut producer = world.producer(name);
    (0..count)
        .map(|n| producer.publish(&n.to_string()))
        .collect()
}

fn next(reader: &mut Client) -> String {
    let message = reader.json();
    assert_eq!(message["redeliveryCount"], 0);
    payload_of(&message)
}

#[test]
fn earliest_latest_and_an_id_say_where_it_begins() {
    let world = World::start();
    let name = topic("start");
    let ids = numbers(&world, &name, 5);
    let mut latest = [
        world.reader(&name),
        world.reader(&format!("{name}?messageId=latest")),
        world.reader(&format!("{name}?messageId=")),
    ];
    let mut earliest = world.reader(&format!("{name}?messageId=earliest"));
    // Exclusive: it begins behind the message that it names.
    let mut third = world.reader(&format!("{name}?messageId={}", query_value(&ids[2])));
    let mut last = world.reader(&format!("{name}?messageId={}", query_value(&ids[4])));
    world.producer(&name).publish("new");
    for reader in &mut latest {
        assert_eq!(next(reader), "new");
    }
    assert_eq!(next(&mut last), "new");
    for expected in ["0", "1", "2", "3", "4", "new"] {
        assert_eq!(next(&mut earliest), expected);
    }
    for expected in ["3", "4", "new"] {
        assert_eq!(next(&mut third), expected);
    }
}

#[test]
fn any_frame_frees_one_place_of_its_window() {
    let world = World::start();
    let name = topic("window");
    let mut reader = world.reader(&format!("{name}?receiverQueueSize=2"));
    numbers(&world, &name, 9);
    assert_eq!([next(&mut reader), next(&mut reader)], ["0", "1"]);
    assert!(reader.is_silent());
    let frames = [
        "{}",
        r#"{"messageId":"CBAQADAA"}"#,
        r#"{"messageId":"!!"}"#,
        r#"{"type":"negativeAcknowledge","messageId":"CBAQADAA"}"#,
        r#"{"type":"permit","permitMessages":5}"#,
        r#"{"type":"unsubscribe"}"#,
        r#"{"type":"weird"}"#,
    ];
    for (frame, expected) in frames.iter().zip(2..) {
        reader.send(frame);
        assert_eq!(next(&mut reader), expected.to_string(), "{frame}");
        assert!(reader.is_silent(), "{frame}");
    }
}

#[test]
fn a_receiver_queue_size_of_0_counts_as_1() {
    let world = World::start();
    let name = topic("window-0");
    let mut reader = world.reader(&format!("{name}?receiverQueueSize=0"));
    numbers(&world, &name, 3);
    for expected in ["0", "1", "2"] {
        assert_eq!(next(&mut reader), expected);
        assert!(reader.is_silent());
        reader.send("{}");
    }
}

#[test]
fn readers_see_everything_and_leave_nothing_behind() {
    let world = World::start();
    let name = topic("many");
    let mut readers: Vec<Client> = (0..6).map(|_| world.reader(&name)).collect();
    numbers(&world, &name, 100);
    for reader in &mut readers {
        for expected in 0..100 {
            let message: Value = reader.json();
            assert_eq!(payload_of(&message), expected.to_string());
            assert!(message.get("encryptionContext").is_none());
            reader.send("{}");
        }
    }
    readers.into_iter().for_each(Client::close);
    let stats = || world.admin().stats(&name).expect("the topic is there");
    eventually("the readers' subscriptions have gone", || {
        stats().subscriptions.is_empty()
    });
}

#[test]
fn a_readers_name_is_no_ones_own() {
    let world = World::start();
    let name = topic("named");
    let mut first = world.reader(&format!("{name}?readerName=r"));
    let mut second = world.reader(&format!("{name}?readerName=r"));
    numbers(&world, &name, 1);
    assert_eq!([next(&mut first), next(&mut second)], ["0", "0"]);
}

#[test]
fn a_reader_that_begins_at_the_last_message_opens_whichever_upstream_is_ready_first() {
    let world = World::start();
    // The shared tail and the reader's own upstream answer in either order.
    for _ in 0..40 {
        let name = topic("reader-last");
        let mut producer = world.producer(&name);
        let last = query_value(&producer.publish("seen"));
        let mut reader = world.reader(&format!("{name}?messageId={last}"));
        producer.publish("new");
        assert_eq!(reader.receive(), "new");
    }
}
