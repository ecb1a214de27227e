//! Certificates change under open sockets.

use super::{Place, install, path};
use crate::support::secure::{Secure, Version, der};
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
