//! `seek`: a subscription or a reader goes on from another place; what follows the answer is from there.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::raw::frame;
use crate::support::{Client, Raw, World, eventually, number, pause, payload_of, take_from, topic};

/// Publishes numbers, at different milliseconds; their ids.
fn publish(world: &World, name: &str, range: std::ops::Range<u32>) -> Vec<String> {
    let mut producer = world.producer(name);
    let publish = |n: u32| {
        pause(Duration::from_millis(2));
        producer.publish(&n.to_string())
    };
    range.map(publish).collect()
}

fn seek(client: &mut Client, to: Value) {
    let mut command = to;
    command["type"] = json!("seek");
    command["requestId"] = json!("seek");
    client.send_json(command);
    while client.json() != json!({ "result": "ok", "requestId": "seek" }) {}
}

fn numbers(client: &mut Client, range: std::ops::Range<u32>) {
    for n in range {
        assert_eq!(client.receive(), n.to_string());
    }
}

fn publish_times(client: &mut Client, count: usize) -> Vec<Value> {
    (0..count)
        .map(|_| {
            let message = client.json();
            client.ack(&message);
            message["publishTime"].clone()
        })
        .collect()
}

#[test]
fn a_subscription_goes_on_from_where_it_is_sent() {
    let world = World::start();
    for query in [
        "",
        "?subscriptionType=Failover",
        "?subscriptionMode=NonDurable",
    ] {
        let name = topic("seek");
        let mut consumer = world.consumer(&name, &format!("sub{query}"));
        let ids = publish(&world, &name, 0..6);
        let times = publish_times(&mut consumer, 6);
        seek(&mut consumer, json!({ "messageId": "earliest" }));
        numbers(&mut consumer, 0..6);
        seek(&mut consumer, json!({ "messageId": ids[4] }));
        numbers(&mut consumer, 4..6);
        seek(&mut consumer, json!({ "timestamp": times[2] }));
        numbers(&mut consumer, 2..4);
        // In the middle of a replay, with two on their way or unsettled.
        seek(&mut consumer, json!({ "messageId": "latest" }));
        publish(&world, &name, 6..7);
        numbers(&mut consumer, 6..7);
        assert!(consumer.is_silent());
    }
}

#[test]
fn on_shared_everybody_begins_anew_and_nothing_is_lost_or_twice() {
    let world = World::start();
    let name = topic("seek-shared");
    let query = "sub?subscriptionType=Shared&receiverQueueSize=3";
    let mut sockets: Vec<Client> = (0..4).map(|_| world.consumer(&name, query)).collect();
    publish(&world, &name, 0..20);
    // Twelve are held, and stay so.
    take_from(&mut sockets, 12, |_, _, _| {});
    sockets[1].send_json(json!({ "type": "seek", "messageId": "earliest", "requestId": 7 }));
    let mut seen = Vec::new();
    let mut answered = false;
    take_from(&mut sockets, 21, |_, socket, message| {
        if message["requestId"] == 7 {
            assert_eq!(message["result"], "ok");
            answered = true;
        } else {
            seen.push(number(message));
            socket.ack(message);
        }
    });
    seen.sort_unstable();
    assert!(answered);
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    eventually("all are acked", || world.backlog(&name, "sub") == 0);
    assert!(sockets.iter_mut().all(Client::is_silent));
}

#[test]
fn an_id_moves_its_own_partition_and_a_time_all_of_them() {
    let world = World::start();
    let name = topic("seek-partitions");
    world.admin().create_partitioned(&name, 2);
    let mut consumer = world.consumer(&name, "sub");
    let path = format!("{name}?messageRoutingMode=RoundRobinPartition");
    let ids = publish(&world, &path, 0..6);
    consumer.receive_all(6);
    seek(&mut consumer, json!({ "messageId": ids[2] }));
    numbers_of(&mut consumer, &["2", "4"]);
    seek(&mut consumer, json!({ "timestamp": 0 }));
    numbers_of(&mut consumer, &["0", "1", "2", "3", "4", "5"]);
    assert!(consumer.is_silent());
}

fn numbers_of(consumer: &mut Client, expected: &[&str]) {
    let mut got = consumer.receive_all(expected.len());
    got.sort();
    assert_eq!(got, expected);
}

#[test]
fn what_cannot_be_sought_is_answered_and_the_socket_stays() {
    let world = World::start();
    let name = topic("seek-refused");
    let path = format!("/ws/v2/consumer/non-persistent/public/default/{name}/sub");
    let mut consumer = world.open(&path);
    consumer.send_json(json!({ "type": "seek", "messageId": "earliest" }));
    assert_eq!(consumer.json()["result"], "error:3");
    consumer.send_json(json!({ "type": "seek", "requestId": 1 }));
    assert_eq!(
        consumer.json(),
        json!({ "result": "error:3", "errorMsg": "a seek needs messageId or timestamp", "requestId": 1 })
    );
    assert!(consumer.is_silent());
    let mut reader = world.open(&format!(
        "/ws/v2/reader/non-persistent/public/default/{name}"
    ));
    reader.send_json(json!({ "type": "seek", "timestamp": 5 }));
    assert_eq!(reader.json()["result"], "error:3");
    assert!(reader.is_silent());
}

#[test]
fn a_reader_goes_back_and_forth() {
    for upstream in ["shared", "per-socket"] {
        let world = World::with(&[&format!("upstream={upstream}")]);
        let name = topic("seek-reader");
        let mut reader = world.reader(&format!("{name}?receiverQueueSize=3"));
        let ids = publish(&world, &name, 0..6);
        let times = publish_times(&mut reader, 6);
        seek(&mut reader, json!({ "messageId": "earliest" }));
        numbers(&mut reader, 0..6);
        seek(&mut reader, json!({ "messageId": ids[4] }));
        numbers(&mut reader, 4..6);
        seek(&mut reader, json!({ "timestamp": times[2] }));
        numbers(&mut reader, 2..6);
        seek(&mut reader, json!({ "messageId": ids[0] }));
        seek(&mut reader, json!({ "messageId": "latest" }));
        publish(&world, &name, 6..8);
        numbers(&mut reader, 6..8);
    }
}

/// It is the only reader of its topic, so that its going to the end opens a tail there.
#[test]
fn what_is_published_after_the_answer_is_behind_the_latest_that_was_sought() {
    for upstream in ["shared", "per-socket"] {
        let world = World::with(&[&format!("upstream={upstream}")]);
        // On whichever shard its tail is.
        for _ in 0..10 {
            let name = topic("seek-latest");
            let mut producer = world.producer(&name);
            let mut reader = world.reader(&name);
            producer.publish("before");
            seek(&mut reader, json!({ "messageId": "latest" }));
            producer.publish("behind");
            assert_eq!(reader.receive(), "behind", "{upstream}");
        }
    }
}

#[test]
fn a_reader_that_takes_nothing_is_brought_no_more_for_its_seeking() {
    const MESSAGES: usize = 2_000;
    let world = World::start();
    let name = topic("seek-clogged");
    let payload = |n: usize| format!("{n:05}{}", "x".repeat(10_000));
    let mut producer = world.producer(&name);
    for n in 0..MESSAGES {
        producer.publish(&payload(n));
    }
    let path = format!("/ws/v2/reader/persistent/public/default/{name}");
    let mut reader = Raw::open(
        world.address(),
        &format!("{path}?messageId=earliest&flow=tcp"),
    );
    // Its own reader, not the one at the end that it would share.
    let at_broker = || {
        let stats = world.admin().stats(&name).expect("the topic is there");
        let subscriptions = stats.subscriptions.into_iter();
        let behind = subscriptions.max_by_key(|subscription| subscription.backlog)?;
        (behind.backlog > 0).then_some((behind.name, behind.backlog))
    };
    let brought_no_more = || {
        let mut before = None;
        eventually("it is brought no more", || {
            let last = std::mem::replace(&mut before, at_broker());
            pause(Duration::from_millis(300));
            before.is_some() && before == last
        });
        before.expect("a reader at the broker")
    };
    let (first, _) = brought_no_more();
    reader.say(r#"{"type":"seek","messageId":"earliest","requestId":"back"}"#);
    eventually("it has begun anew", || {
        at_broker().is_some_and(|(name, _)| name != first)
    });
    let (_, left) = brought_no_more();
    assert!(left as usize > MESSAGES * 9 / 10, "{left}");
    while !reader.text().contains("back") {}
    for n in 0..MESSAGES {
        let message: Value = serde_json::from_str(&reader.text()).expect("JSON");
        assert_eq!(payload_of(&message), payload(n));
    }
}

/// What its hub had for it is delivered at the moment it leaves: the rest of a batch, for the window that the frame before
/// the seek opens.
#[test]
fn what_was_on_its_way_to_a_reader_when_it_sought_does_not_follow_the_answer() {
    let world = World::start();
    let name = topic("seek-on-its-way");
    let query = "batchingEnabled=true&batchingMaxMessages=10&batchingMaxPublishDelay=60000";
    let mut producer = world.producer(&format!("{name}?{query}"));
    producer.publish_numbers(0..10);
    let path = format!("/ws/v2/reader/persistent/public/default/{name}");
    let path = format!("{path}?messageId=earliest&receiverQueueSize=1");
    let mut reader = Raw::open(world.address(), &path);
    for _ in 0..20 {
        for n in 0..2 {
            let message: Value = serde_json::from_str(&reader.text()).expect("JSON");
            assert_eq!(payload_of(&message), n.to_string());
            if n == 0 {
                reader.say("{}");
            }
        }
        let seek = br#"{"type":"seek","messageId":"earliest","requestId":"back"}"#;
        reader.send(&[frame(0x81, b"{}"), frame(0x81, seek)].concat());
        while !reader.text().contains("back") {}
    }
}

#[test]
fn a_reader_that_seeks_again_and_again_is_always_where_it_asked_to_be() {
    let world = World::start();
    let name = topic("seek-again");
    let mut producer = world.producer(&name);
    producer.publish_numbers(0..100);
    // It keeps the log open, so that who has caught up joins it.
    let _other = world.reader(&name);
    let mut reader = world.reader(&format!("{name}?messageId=earliest"));
    let mut read = 0;
    for round in 0..200 {
        for request in 0..=round % 3 {
            let to = ["earliest", "latest"][usize::from(request < round % 3 && round % 2 == 0)];
            reader.send_json(json!({ "type": "seek", "messageId": to, "requestId": request }));
        }
        for request in 0..=round % 3 {
            let answer = json!({ "result": "ok", "requestId": request });
            while reader.json() != answer {}
        }
        // Sometimes it goes in the middle of being caught up, sometimes from the log.
        read = round % 11 * 10;
        numbers(&mut reader, 0..read);
    }
    numbers(&mut reader, read..100);
    assert!(reader.is_silent());
}

/// The line in which it stands to be sent to is long, for there is a crowd on another topic: it seeks, and comes to stand
/// there again.
#[test]
fn a_reader_that_seeks_while_it_stands_in_line_gets_nothing_twice() {
    const CROWD: usize = 200;
    const MESSAGES: usize = 8_000;
    let world = World::start();
    let (name, crowded) = (topic("seek-in-line"), topic("seek-crowd"));
    let open = |rest: &str| {
        let path = format!("/ws/v2/reader/persistent/public/default/{rest}");
        Raw::open(world.address(), &path)
    };
    let in_crowd = |_| open(&format!("{crowded}?flow=tcp"));
    let mut crowd: Vec<Raw> = (0..CROWD).map(in_crowd).collect();
    crowd.iter_mut().for_each(Raw::read_in_background);
    let _log_stays: Vec<Client> = (0..2).map(|_| world.reader(&name)).collect();
    let mut readers: Vec<Raw> = (0..4).map(|_| open(&name)).collect();
    let mut last = vec![None; readers.len()];
    let seek = frame(0x81, br#"{"type":"seek","messageId":"latest"}"#);
    let asked = br#"{"type":"seek","messageId":"latest","requestId":"there"}"#;
    let seeks = [seek.repeat(20), frame(0x81, asked)].concat();
    let (mut producer, mut to_crowd) = (world.producer(&name), world.producer(&crowded));
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| producer.publish_numbers(0..MESSAGES));
        scope.spawn(|| to_crowd.publish_numbers(0..MESSAGES));
        while !publishing.is_finished() {
            readers.iter_mut().for_each(|reader| reader.send(&seeks));
            for (reader, last) in readers.iter_mut().zip(&mut last) {
                numbers_up_to_answer(reader, last);
            }
        }
    });
}

/// What comes before the answer, each number behind the last.
fn numbers_up_to_answer(reader: &mut Raw, last: &mut Option<u32>) {
    loop {
        let said: Value = serde_json::from_str(&reader.text()).expect("JSON");
        if said["requestId"] == "there" {
            return;
        }
        let number = payload_of(&said).parse().expect("a number");
        assert!(Some(number) > *last, "{number} after {last:?}");
        *last = Some(number);
    }
}

#[test]
fn a_reader_begins_at_a_time_or_with_the_message_that_it_names() {
    let world = World::start();
    let name = topic("start-time");
    let ids = publish(&world, &name, 0..5);
    let mut reader = world.reader(&format!("{name}?messageId=earliest"));
    let times = publish_times(&mut reader, 5);
    let id = crate::support::query_value(&ids[2]);
    let mut inclusive = world.reader(&format!("{name}?messageId={id}&startInclusive=true"));
    numbers(&mut inclusive, 2..5);
    let mut exclusive = world.reader(&format!("{name}?messageId={id}"));
    numbers(&mut exclusive, 3..5);
    let first = crate::support::query_value(&ids[0]);
    let mut first = world.reader(&format!("{name}?messageId={first}&startInclusive=true"));
    numbers(&mut first, 0..5);
    let time = times[3].as_str().expect("a time");
    let mut from_time = world.reader(&format!("{name}?startTimestamp={time}"));
    numbers(&mut from_time, 3..5);
    let mut from_start = world.reader(&format!("{name}?startTimestamp=0&receiverQueueSize=1"));
    numbers(&mut from_start, 0..5);
    let mut from_future = world.reader(&format!("{name}?startTimestamp=9999999999999"));
    assert!(from_future.is_silent());
    publish(&world, &name, 5..6);
    numbers(&mut from_future, 5..6);
    let (status, text) =
        world.refused("/ws/v2/reader/persistent/public/default/t?startTimestamp=soon");
    assert_eq!(status, 400);
    assert!(text.contains("Invalid startTimestamp soon"), "{text}");
}

#[test]
fn a_reader_of_a_partitioned_topic_begins_at_a_time() {
    let world = World::start();
    let name = topic("start-time-partitions");
    world.admin().create_partitioned(&name, 2);
    let path = format!("{name}?messageRoutingMode=RoundRobinPartition");
    publish(&world, &path, 0..6);
    let mut reader = world.reader(&format!("{name}?messageId=earliest"));
    let messages: Vec<Value> = (0..6).map(|_| reader.json()).collect();
    let third = messages.iter().find(|message| payload_of(message) == "3");
    let time = third.expect("it is there")["publishTime"].as_str();
    let path = format!("{name}?startTimestamp={}", time.expect("a time"));
    let mut reader = world.reader(&path);
    numbers_of(&mut reader, &["3", "4", "5"]);
    reader.send_json(json!({ "type": "seek", "timestamp": 0, "requestId": 1 }));
    assert_eq!(reader.json()["result"], "ok");
    numbers_of(&mut reader, &["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn of_a_compacted_topic_the_last_message_of_each_key_is_read() {
    let world = World::start();
    let name = topic("compacted");
    let mut producer = world.producer(&name);
    for (key, payload) in [("a", "1"), ("b", "2"), ("a", "3"), ("b", "4"), ("c", "5")] {
        producer.publish_json(json!({ "payload": crate::support::base64(payload), "key": key }));
    }
    let expected: &[&str] = match world.admin().compact(&name) {
        true => &["3", "4", "5"],
        false => &["1", "2", "3", "4", "5"],
    };
    let mut reader = world.reader(&format!("{name}?messageId=earliest&readCompacted=true"));
    let query = "sub?subscriptionInitialPosition=Earliest&readCompacted=true";
    let mut consumer = world.consumer(&name, query);
    for payload in expected {
        assert_eq!(reader.receive(), *payload);
        assert_eq!(consumer.receive(), *payload);
    }
    let mut everything = world.reader(&format!("{name}?messageId=earliest"));
    assert_eq!(everything.receive_all(5), ["1", "2", "3", "4", "5"]);
}
