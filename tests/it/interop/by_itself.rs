//! Clients of the gateway that encrypt and decrypt by themselves (Apache's ProxyPublishConsumeClientSideEncryptionTest):
//! what they publish the Java client reads, what it publishes they read, and each other's too. The gateway has no key.

use bytes::{Bytes, BytesMut};
use prost::Message as _;
use pulsar::proto::MessageMetadata;
use pws_fast::pulsar::crypto::{DataKey, PrivateKey, PublicKey};
use pws_fast::pulsar::message::{Compressor, split};
use pws_fast::pulsar::types::Entry;
use pws_fast::pulsar::wire::Compression;
use serde_json::{Value, json};

use super::encryption::KEYS;
use super::{COMPRESSIONS, JAVA, full, peer};
use crate::support::{Client, World, base64, query_value, topic};

// The places of `COMPRESSIONS` are the numbers of PulsarApi.proto.

/// More than any message here.
const BYTES_MAX: usize = 1 << 20;

/// What one client has.
struct KeyPair {
    name: &'static str,
    public: PublicKey,
    private: PrivateKey,
}

impl KeyPair {
    fn of(name: &'static str) -> KeyPair {
        let read =
            |kind| std::fs::read_to_string(format!("{KEYS}/{name}.{kind}.pem")).expect("a key");
        KeyPair {
            name,
            public: PublicKey::from_pem(&read("public")).expect("a public key"),
            private: PrivateKey::from_pem(&read("private")).expect("a private key"),
        }
    }

    /// Publishes each of these texts, compressed in one way after the other.
    fn publish(&self, world: &World, topic: &str, texts: &[String]) {
        let (data_key, bytes) = DataKey::generate().expect("random numbers");
        let sealed = self.public.encrypt(&*bytes).expect("random numbers");
        let keys = json!({ self.name: { "keyValue": encode(&sealed), "metadata": {} } });
        let keys = query_value(&base64(&keys.to_string()));
        let mut producer = world.producer(&format!("{topic}?encryptionKeys={keys}"));
        let mut compressor = Compressor::default();
        for (number, text) in texts.iter().enumerate() {
            let codec = number % COMPRESSIONS.len();
            let compression = COMPRESSIONS[codec];
            let compressed = match Compression::from_number(codec as i32) {
                None => Bytes::copy_from_slice(text.as_bytes()),
                Some(codec) => compressor.compress(codec, text.as_bytes()).expect("memory"),
            };
            let param = [number as u8; 12];
            let mut payload = BytesMut::from(&compressed[..]);
            assert!(data_key.encrypt(&param, &mut payload));
            let mut message = json!({
                "payload": encode(&payload), "key": "k", "encryptionParam": encode(&param),
            });
            if compression != "NONE" {
                message["compressionType"] = compression.into();
                message["uncompressedMessageSize"] = text.len().into();
            }
            producer.publish_json(message);
        }
    }

    /// The texts of one delivery: those of a batch come together.
    fn open(&self, delivery: &Value) -> Vec<String> {
        let context = &delivery["encryptionContext"];
        let sealed = decode(&context["keys"][self.name]["keyValue"]);
        let data_key = self.private.decrypt(&sealed).expect("it is for this key");
        let data_key = DataKey::new(&data_key).expect("a data key");
        let payload = data_key.decrypt(&decode(&context["param"]), &decode(&delivery["payload"]));
        let compression = context["compressionType"].as_str().expect("a name");
        let compression = COMPRESSIONS.iter().position(|name| *name == compression);
        let number = |name: &str| context[name].as_u64().map(|number| number as u32);
        let metadata = MessageMetadata {
            compression: compression.map(|number| number as i32),
            uncompressed_size: number("uncompressedMessageSize"),
            num_messages_in_batch: number("batchSize").map(|count| count as i32),
            ..MessageMetadata::default()
        };
        let entry = Entry {
            metadata: metadata.encode_to_vec().into(),
            payload: payload.expect("decrypted"),
            ledger: 0,
            entry: 0,
            partition: -1,
            redelivery_count: 0,
            ack_set: Vec::new(),
            consumer_epoch: None,
            is_decrypted: false,
        };
        let messages = split(&entry, BYTES_MAX).expect("as its context says");
        let texts = messages.iter().map(|message| message.payload.to_vec());
        texts
            .map(|text| String::from_utf8(text).expect("UTF-8"))
            .collect()
    }

    fn receive(&self, consumer: &mut Client, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            let delivery = consumer.json();
            texts.extend(self.open(&delivery));
            consumer.ack(&delivery);
        }
        texts
    }
}

fn encode(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

fn decode(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("a text");
    base64_simd::STANDARD.decode_to_vec(text).expect("base64")
}

/// Two for each compression: of a few bytes, and of many.
fn texts() -> Vec<String> {
    (0..2 * COMPRESSIONS.len())
        .map(|number| {
            format!("msg-{number}").repeat(if number < COMPRESSIONS.len() { 1 } else { 500 })
        })
        .collect()
}

fn consumer(world: &World, topic: &str) -> Client {
    let parameters = "subscriptionType=Shared&cryptoFailureAction=CONSUME";
    world.consumer(topic, &format!("s1?{parameters}"))
}

#[test]
#[ignore = "needs Pulsar's clients: tests/run interop"]
fn what_a_client_encrypts_by_itself_is_decrypted_by_the_java_client() {
    let world = World::start();
    for key in ["rsa", "secp521r1"] {
        let name = topic("encrypted-by-itself");
        KeyPair::of(key).publish(&world, &name, &texts());
        let count = texts().len();
        let question = json!({ "topic": full(&name), "read": count, "keys": KEYS });
        let read = peer(&JAVA).ask(&question);
        let read: Vec<&Value> = read.iter().map(|message| &message["payload"]).collect();
        let expected: Vec<Value> = texts().iter().map(|text| base64(text).into()).collect();
        assert_eq!(read, expected.iter().collect::<Vec<_>>(), "{key}");
    }
}

#[test]
#[ignore = "needs Pulsar's clients: tests/run interop"]
fn what_the_java_client_encrypts_is_decrypted_by_a_client_by_itself() {
    let world = World::start();
    let messages: Vec<Value> = texts()
        .iter()
        .map(|text| json!({ "payload": base64(text) }))
        .collect();
    for key in ["rsa", "secp521r1"] {
        let pair = KeyPair::of(key);
        for compression in COMPRESSIONS {
            for batching in [false, true] {
                let name = topic("decrypted-by-itself");
                let mut consumer = consumer(&world, &name);
                peer(&JAVA).ask(&json!({
                    "topic": full(&name), "publish": messages, "keys": KEYS, "encryptFor": [key],
                    "compression": compression, "batching": batching,
                }));
                let read = pair.receive(&mut consumer, messages.len());
                assert_eq!(read, texts(), "{key} {compression} {batching}");
            }
        }
    }
}

#[test]
fn what_a_client_encrypts_by_itself_is_decrypted_by_another_by_itself() {
    let world = World::start();
    for key in ["rsa", "secp521r1"] {
        let pair = KeyPair::of(key);
        let name = topic("encrypted-by-itself");
        let mut consumer = consumer(&world, &name);
        pair.publish(&world, &name, &texts());
        assert_eq!(pair.receive(&mut consumer, texts().len()), texts(), "{key}");
    }
}
