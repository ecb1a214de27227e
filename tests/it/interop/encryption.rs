//! Keys of the gateway's own, and Pulsar's clients that have the same.

use serde_json::json;

use super::{JAVA, PYTHON, Peer, full, in_gateways_words, messages, peer, publish_all, told};
use crate::support::{World, topic};

pub const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pulsar/crypto/tests/keys");

/// Whom messages are encrypted for. The Python client takes RSA only, and one key.
fn readers(peer: &Peer) -> &'static [&'static [&'static str]] {
    match peer.is_java() {
        true => &[
            &["rsa"],
            &["secp521r1"],
            &["prime256v1", "rsa", "secp384r1"],
        ],
        false => &[&["rsa"]],
    }
}

#[test]
#[ignore = "needs Pulsar's clients: tests/run interop"]
fn what_pulsars_clients_encrypt_is_decrypted() {
    let world = World::with(&[&format!("cryptoKeyDirectory={KEYS}")]);
    for mut peer in [&JAVA, &PYTHON].map(|of| peer(of)) {
        let name = topic("encrypted-by-client");
        let mut consumer = world.consumer(&name, "sub");
        let mut reader = world.reader(&name);
        for encrypt_for in readers(&peer) {
            for compression in ["NONE", "LZ4", "ZSTD"] {
                for batching in [false, true] {
                    peer.ask(&json!({
                        "topic": full(&name), "publish": messages(), "compression": compression,
                        "batching": batching, "keys": KEYS, "encryptFor": encrypt_for,
                    }));
                    for expected in messages() {
                        let message = consumer.json();
                        let what =
                            format!("{} {encrypt_for:?} {compression} {batching}", peer.name);
                        assert_eq!(told(&message), in_gateways_words(&expected), "{what}");
                        let keys = message["encryptionContext"]["keys"].as_object();
                        assert_eq!(keys.expect("keys").len(), encrypt_for.len(), "{what}");
                        consumer.ack(&message);
                        assert_eq!(reader.json()["payload"], expected["payload"], "{what}");
                    }
                }
            }
        }
    }
}

#[test]
#[ignore = "needs Pulsar's clients: tests/run interop"]
fn what_is_encrypted_here_is_decrypted_by_pulsars_clients() {
    let world = World::with(&[&format!("cryptoKeyDirectory={KEYS}")]);
    for mut peer in [&JAVA, &PYTHON].map(|of| peer(of)) {
        let name = topic("encrypted-for-client");
        let mut expected = Vec::new();
        for encrypt_for in readers(&peer) {
            for compression in ["NONE", "LZ4", "ZSTD"] {
                for batching in [false, true] {
                    let mut producer = world.producer(&format!(
                        "{name}?encryptionKeys={}&compressionType={compression}\
                         &batchingEnabled={batching}&batchingMaxMessages=3",
                        encrypt_for.join(",")
                    ));
                    expected.extend(publish_all(&mut producer));
                }
            }
        }
        let read = peer.ask(&json!({
            "topic": full(&name), "read": expected.len(), "keys": KEYS,
        }));
        for (place, (read, expected)) in read.iter().zip(&expected).enumerate() {
            assert_eq!(told(read), told(expected), "{} message {place}", peer.name);
        }
    }
}

#[test]
#[ignore = "needs Pulsar's clients: tests/run interop"]
fn an_encrypted_message_in_chunks_is_decrypted_chunk_by_chunk() {
    let world = World::with(&[&format!("cryptoKeyDirectory={KEYS}")]);
    let mut rng = fastrand::Rng::with_seed(8);
    let large: Vec<u8> = (0..11 * 1024 * 1024).map(|_| rng.u8(..)).collect();
    let large = base64_simd::STANDARD.encode_to_string(&large);
    for compression in ["NONE", "LZ4"] {
        let name = topic("encrypted-chunks");
        let mut consumer = world.consumer(&name, "sub");
        peer(&JAVA).ask(&json!({
            "topic": full(&name), "publish": [{ "payload": large }], "chunking": true,
            "compression": compression, "keys": KEYS, "encryptFor": ["rsa"],
        }));
        let delivered = consumer.json();
        assert!(delivered["payload"] == large.as_str(), "{compression}");
        consumer.ack(&delivered);
    }
}
