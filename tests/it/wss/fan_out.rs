//! Very many TLS readers of one topic: nothing is lost, nothing is repeated, fast ones and slow ones.

use serde_json::json;

use super::{Place, path};
use crate::support::secure::{Secure, Version};
use crate::support::{base64, payload_of, topic};

const READERS: usize = 200;
const MESSAGES: usize = 300;

/// With TCP as the only bound the log's frames go out as fast as a client takes them; one that reads late has its
/// kernel buffers filled meanwhile, and then some.
#[test]
fn every_reader_gets_every_message_once_and_in_order() {
    let place = Place::new(&[]);
    let (address, trust) = (place.world.address_tls(), place.trust(Version::Tls13));
    let name = topic("wss-fan-out");
    let reader = path("reader", &format!("{name}?flow=tcp"));
    let mut readers: Vec<_> = (0..READERS)
        .map(|_| Secure::open(address, &trust, &reader))
        .collect();
    let mut producer = Secure::open(address, &trust, &path("producer", &name));
    let text = |n: usize| format!("{n}-{}", "x".repeat(n * 37 % 20_000));
    for n in 0..MESSAGES {
        producer.send(&json!({ "payload": base64(&text(n)) }));
    }
    for _ in 0..MESSAGES {
        assert_eq!(producer.json()["result"], "ok");
    }
    for reader in &mut readers {
        for n in 0..MESSAGES {
            assert!(payload_of(&reader.json()) == text(n), "{n}");
        }
    }
}
