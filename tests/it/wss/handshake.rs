//! Both versions of TLS, the plain port beside, sessions that are resumed, ends that are orderly.

use serde_json::json;

use super::{Place, VERSIONS, new_reader, path};
use crate::support::secure::{Secure, Trust, Version};
use crate::support::{Client, topic};

#[test]
fn messages_come_through_on_both_versions_and_beside_the_plain_port() {
    let place = Place::new(&[]);
    for version in VERSIONS {
        let (name, trust) = (topic("wss"), place.trust(version));
        let address = place.world.address_tls();
        let mut reader = Secure::open(address, &trust, &path("reader", &name));
        let mut consumer = Secure::open(address, &trust, &path("consumer", &format!("{name}/s")));
        let mut plain = Client::open(place.world.address(), &path("reader", &name)).expect("101");
        let mut producer = Secure::open(address, &trust, &path("producer", &name));
        assert_eq!(reader.session().alpn_protocol(), Some(&b"http/1.1"[..]));
        for payload in ["one", "two"] {
            producer.publish(payload);
            assert_eq!(reader.receive(), payload);
            assert_eq!(consumer.receive(), payload);
            assert_eq!(plain.receive(), payload);
        }
        for socket in [reader, consumer, producer] {
            socket.close();
        }
    }
}

/// Many records in one frame, and many frames in one record.
#[test]
fn big_messages_and_bursts_of_small_ones_come_through() {
    let place = Place::new(&["webSocketMaxTextFrameSize=4000000"]);
    for version in VERSIONS {
        let (name, trust) = (topic("wss-big"), place.trust(version));
        let address = place.world.address_tls();
        let mut reader = Secure::open(
            address,
            &trust,
            &path("reader", &format!("{name}?receiverQueueSize=1000")),
        );
        let mut producer = Secure::open(address, &trust, &path("producer", &name));
        let big = "0123456789".repeat(150_000);
        producer.publish(&big);
        assert!(reader.receive() == big);
        for n in 0..500 {
            producer.send(&json!({ "payload": crate::support::base64(&n.to_string()) }));
        }
        for n in 0..500 {
            assert_eq!(producer.json()["result"], "ok");
            assert_eq!(reader.receive(), n.to_string());
        }
    }
}

/// Every other connection goes to the other shard: tickets are the process's.
#[test]
fn sessions_are_resumed_on_any_shard() {
    let place = Place::new(&[]);
    for version in VERSIONS {
        let trust = place.trust(version);
        let path = new_reader();
        let open = || {
            let mut socket = Secure::open(place.world.address_tls(), &trust, &path);
            // An answer brings the tickets of TLS 1.3 along.
            socket.send(&json!({ "type": "isEndOfTopic" }));
            socket.json();
            socket
        };
        let first = open();
        assert!(!first.is_resumed());
        let kept: Vec<_> = (0..4).map(|_| open()).collect();
        assert!(kept.iter().all(Secure::is_resumed), "{version:?}");
    }
}

#[test]
fn only_the_versions_that_are_set_are_spoken() {
    let place = Place::new(&["webServiceTlsProtocols=TLSv1.3"]);
    let address = place.world.address_tls();
    let old = Secure::try_open(address, &place.trust(Version::Tls12), &new_reader());
    assert!(old.is_err());
    Secure::open(address, &place.trust(Version::Tls13), &new_reader()).close();
}

/// In Java's names, which are the IANA's; a version without any of them is not spoken.
#[test]
fn only_the_ciphers_that_are_set_are_used() {
    for (set, spoken, used, refused) in [
        (
            "TLS_CHACHA20_POLY1305_SHA256",
            Version::Tls13,
            "TLS13_CHACHA20_POLY1305_SHA256",
            Version::Tls12,
        ),
        (
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            Version::Tls12,
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            Version::Tls13,
        ),
    ] {
        let place = Place::new(&[&format!("webServiceTlsCiphers={set}")]);
        let address = place.world.address_tls();
        let socket = Secure::open(address, &place.trust(spoken), &new_reader());
        let suite = socket.session().negotiated_cipher_suite().expect("one");
        assert_eq!(format!("{:?}", suite.suite()), used);
        assert!(Secure::try_open(address, &place.trust(refused), &new_reader()).is_err());
    }
}

#[test]
fn the_tls_port_can_be_the_only_one() {
    let place = Place::new(&["webServicePort="]);
    assert_eq!(place.world.address(), place.world.address_tls());
    let trust: Trust = place.trust(Version::Tls13);
    Secure::open(place.world.address_tls(), &trust, &new_reader()).close();
}
