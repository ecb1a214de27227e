//! Beside Pulsar's own clients: what one publishes the other reads, in Java and Python, both ways.
//!
//! Needs Apache Pulsar, a JDK and Python with `pulsar-client`, and is run by `tests/run interop`: `PWS_TEST_JAVA` and
//! `PWS_TEST_PYTHON` are the commands that start `tests/interop`'s two programs.

mod by_itself;
mod encryption;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard};

use serde_json::{Map, Value, json};

use crate::support::{Client, World, base64, eventually, topic};

const COMPRESSIONS: [&str; 5] = ["NONE", "LZ4", "ZLIB", "ZSTD", "SNAPPY"];
const PARTITIONS: u32 = 7;

/// One of Pulsar's clients, on a pipe. It ends with this process, which is the end of its input.
struct Peer {
    name: &'static str,
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// All tests share them: a JVM takes seconds to start.
static JAVA: LazyLock<Mutex<Peer>> = LazyLock::new(|| Mutex::new(Peer::start("PWS_TEST_JAVA")));
static PYTHON: LazyLock<Mutex<Peer>> = LazyLock::new(|| Mutex::new(Peer::start("PWS_TEST_PYTHON")));

fn peer(peer: &Mutex<Peer>) -> MutexGuard<'_, Peer> {
    peer.lock().expect("no other test has failed with it")
}

impl Peer {
    fn start(name: &'static str) -> Peer {
        let command = std::env::var(name).expect("the command of the client's program");
        let broker = std::env::var("PWS_TEST_BROKER").expect("a real broker");
        let mut words = command.split(' ');
        let mut process = Command::new(words.next().expect("a program"))
            .args(words)
            .arg(broker)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let pipe = "it has a pipe";
        Peer {
            name,
            questions: process.stdin.take().expect(pipe),
            answers: BufReader::new(process.stdout.take().expect(pipe)),
            process,
        }
    }

    fn is_java(&self) -> bool {
        self.name == "PWS_TEST_JAVA"
    }

    fn ask(&mut self, question: &Value) -> Vec<Value> {
        writeln!(self.questions, "{question}").expect("it listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        let answer = serde_json::from_str(&line);
        answer.unwrap_or_else(|_| {
            let ended = self.process.wait();
            panic!("{} has ended with {ended:?} at {question:.300}", self.name)
        })
    }

    fn read(&mut self, topic: &str, count: usize) -> Vec<Value> {
        self.ask(&json!({ "topic": full(topic), "read": count }))
    }
}

fn full(topic: &str) -> String {
    format!("persistent://public/default/{topic}")
}

/// What the messages of a test carry.
fn messages() -> Vec<Value> {
    vec![
        json!({ "payload": base64("one"), "properties": { "a": "1", "ü": "ö" }, "key": "k1" }),
        json!({ "payload": "", "properties": {}, "eventTime": 1_635_548_498_967_i64 }),
        json!({ "payload": base64(&"three ".repeat(2_000)), "properties": { "e": "" }, "key": "日本" }),
    ]
}

/// A message as both sides tell of it.
fn told(message: &Value) -> Value {
    let fields = message.as_object().expect("a message");
    let of = ["payload", "properties", "key", "eventTime"];
    let told: Map<String, Value> = of
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), fields.get(name)?.clone())))
        .collect();
    Value::Object(told)
}

/// The same in the gateway's words.
fn in_gateways_words(message: &Value) -> Value {
    let mut message = told(message);
    if message.get("eventTime").is_some() {
        message["eventTime"] = json!("2021-10-29T23:01:38.967Z");
    }
    message
}

/// Publishes all [`messages`], and gives them back.
fn publish_all(producer: &mut Client) -> Vec<Value> {
    for message in messages() {
        producer.send_json(in_gateways_words(&message));
    }
    for _ in messages() {
        let ack = producer.json();
        assert_eq!(ack["result"], "ok", "{ack}");
    }
    messages()
}

#[test]
#[ignore = "needs Pulsar's clients: tests/run interop"]
fn what_pulsars_clients_publish_is_delivered() {
    let world = World::start();
    for mut peer in [&JAVA, &PYTHON].map(|of| peer(of)) {
        let name = topic("from-client");
        let mut consumer = world.consumer(&name, "sub");
        let mut ids = Vec::new();
        for compression in COMPRESSIONS {
            for batching in [false, true] {
                peer.ask(&json!({
                    "topic": full(&name), "publish": messages(),
                    "compression": compression, "batching": batching,
                }));
                for expected in messages() {
                    let message = consumer.json();
                    let what = format!("{} {compression} {batching}", peer.name);
                    assert_eq!(told(&message), in_gateways_words(&expected), "{what}");
                    consumer.ack(&message);
                    ids.push(message["messageId"].clone());
                }
            }
        }
        if peer.is_java() {
            let read = peer.read(&name, ids.len());
            let read: Vec<Value> = read.iter().map(|m| m["messageId"].clone()).collect();
            assert_eq!(read, ids);
            // A key of bytes is its base64.
            let key = json!({ "payload": "", "keyBytes": "AP/+" });
            peer.ask(&json!({ "topic": full(&name), "publish": [key] }));
            assert_eq!(consumer.json()["key"], "AP/+");
        }
    }
}

#[test]
#[ignore = "needs Pulsar's clients: tests/run interop"]
fn what_is_published_here_is_read_by_pulsars_clients() {
    let world = World::start();
    let name = topic("to-client");
    let mut expected = Vec::new();
    for compression in COMPRESSIONS {
        for batching in [false, true] {
            let mut producer = world.producer(&format!(
                "{name}?compressionType={compression}&batchingEnabled={batching}&batchingMaxMessages=3"
            ));
            expected.extend(publish_all(&mut producer));
        }
    }
    for mut peer in [&JAVA, &PYTHON].map(|of| peer(of)) {
        let read = peer.read(&name, expected.len());
        for (place, (read, expected)) in read.iter().zip(&expected).enumerate() {
            assert_eq!(told(read), told(expected), "{} message {place}", peer.name);
        }
    }
}

#[test]
#[ignore = "needs Pulsar's clients: tests/run interop"]
fn keys_go_to_the_partitions_that_the_java_client_chooses() {
    let world = World::start();
    // The Python client has a hash of its own, and no choice.
    let mut java = peer(&JAVA);
    let keys: Vec<String> = (0..40).map(|n| format!("ключ-{n}")).collect();
    let keyed: Vec<Value> = keys
        .iter()
        .map(|key| json!({ "payload": base64(key), "key": key }))
        .collect();
    for hashing in ["JavaStringHash", "Murmur3_32Hash"] {
        let name = topic("keys");
        world.admin().create_partitioned(&name, PARTITIONS);
        let mut producer = world.producer(&format!(
            "{name}?hashingScheme={hashing}&messageRoutingMode=RoundRobinPartition"
        ));
        for message in &keyed {
            producer.publish_json(message.clone());
        }
        let chosen = java.ask(&json!({
            "topic": full(&name), "publish": keyed, "hashing": hashing
        }));
        // Ours and its own.
        let mut partitions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for message in java.read(&name, 2 * keyed.len()) {
            let key = message["key"].as_str().expect("a key").to_owned();
            let of_key = partitions.entry(key).or_default();
            of_key.push(message["partition"].clone());
        }
        for (key, chosen) in keys.iter().zip(chosen) {
            assert_eq!(partitions[key], [chosen.clone(), chosen], "{hashing} {key}");
        }
    }
}

#[test]
#[ignore = "needs Pulsar's clients: tests/run interop"]
fn a_message_that_a_client_has_cut_into_chunks_is_delivered_whole() {
    let world = World::start();
    // More than the broker's maxMessageSize, and nothing that compression makes small.
    let mut rng = fastrand::Rng::with_seed(7);
    let large: Vec<u8> = (0..11 * 1024 * 1024).map(|_| rng.u8(..)).collect();
    let large = base64_simd::STANDARD.encode_to_string(&large);
    for (mut peer, compressions) in [
        (peer(&JAVA), &["NONE", "LZ4"][..]),
        (peer(&PYTHON), &["NONE"]),
    ] {
        for compression in compressions {
            let name = topic("chunked");
            let mut consumer = world.consumer(&name, "sub");
            let message = json!({ "payload": large, "properties": { "a": "1" }, "key": "k" });
            peer.ask(&json!({
                "topic": full(&name), "publish": [message, messages()[0]],
                "chunking": true, "compression": compression,
            }));
            let delivered = consumer.json();
            assert!(delivered["payload"] == large.as_str(), "{}", peer.name);
            assert_eq!(delivered["key"], "k");
            assert_eq!(delivered["properties"], json!({ "a": "1" }));
            consumer.ack(&delivered);
            assert_eq!(consumer.receive(), "one");
            eventually("all chunks are acked", || world.backlog(&name, "sub") == 0);
            if peer.is_java() {
                let read = peer.read(&name, 1);
                assert_eq!(read[0]["messageId"], delivered["messageId"]);
            }
        }
    }
}
