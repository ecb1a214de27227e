//! Certificates change under open sockets.

use super::{Place, install, path};
use crate::support::certificates::{Authority, Signed};
use crate::support::secure::{Secure, Trust, Version, der};
use crate::support::{eventually, topic};

const SOCKETS: usize = 1_000;

#[test]
fn a_new_certificate_is_shown_to_new_handshakes_and_open_sockets_go_on() {
    let place = Place::new(&["tlsCertRefreshCheckDurationSec=0"]);
    let (address, trust) = (place.world.address_tls(), place.trust(Version::Tls13));
    let name = topic("wss-rotation");
    let open = || Secure::open(address, &trust, &path("reader", &name));
    let mut readers: Vec<_> = (0..SOCKETS).map(|_| open()).collect();
    let mut producer = Secure::open(address, &trust, &path("producer", &name));
    producer.publish("before");
    let old = readers[0].shown().clone();

    // A key that does not fit changes nothing; the certificate follows.
    let signed = place.authority.server(&["localhost"]);
    place.folder.write("server.key", &signed.key);
    producer.publish("between");
    assert_eq!(*open().shown(), old);
    install(&place.folder, &signed);
    let new = der(&signed.certificate);
    eventually("the new certificate is shown", || *open().shown() == new);

    producer.publish("after");
    for reader in &mut readers {
        for payload in ["before", "between", "after"] {
            assert_eq!(reader.receive(), payload);
        }
    }
    // On both shards, and for those who came with a ticket of the old one.
    for _ in 0..8 {
        let mut socket = open();
        assert_eq!(*socket.shown(), new);
        socket.send(&serde_json::json!({ "type": "isEndOfTopic" }));
        socket.json();
    }
}

#[test]
fn other_authorities_of_clients_count_for_new_handshakes() {
    let place = Place::new(&[
        "tlsCertRefreshCheckDurationSec=0",
        "tlsRequireTrustedClientCertOnConnect=true",
    ]);
    let address = place.world.address_tls();
    let others = Authority::new("others");
    let path = path("reader", &topic("wss-rotation"));
    let open = |signed: &Signed| {
        let trust = Trust::new(&place.authority, Version::Tls13, Some(signed));
        Secure::try_open(address, &trust, &path)
    };
    let (old, new) = (place.authority.client("me"), others.client("me"));
    let mut reader = open(&old).expect("its authority is trusted");
    assert!(open(&new).is_err());
    place.folder.write("clients.pem", others.pem());
    eventually("the new authority is trusted", || open(&new).is_ok());
    // On both shards.
    for _ in 0..4 {
        eventually("the old one is not", || open(&old).is_err());
    }
    reader.send(&serde_json::json!({ "type": "isEndOfTopic" }));
    reader.json();
}
