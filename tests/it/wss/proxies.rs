//! A proxy that passes TLS on says in front of it for whom.

use super::{Place, VERSIONS, new_reader};
use crate::support::eventually;
use crate::support::secure::Secure;

#[test]
fn the_header_of_a_trusted_proxy_stands_in_front_of_tls() {
    let place = Place::new(&[
        "webServiceHaProxyProtocolEnabled=true",
        "trustedProxies=127.0.0.1",
        "maxConnectionsPerIp=1",
    ]);
    let open = |header: &[u8], version| {
        let address = place.world.address_tls();
        Secure::try_open_behind(header, address, &place.trust(version), &new_reader())
    };
    for version in VERSIONS {
        let one = b"PROXY TCP4 192.0.2.1 10.0.0.1 5000 443\r\n";
        let other = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x02\x0a\0\0\x01\x13\x88\x01\xbb";
        // Who was there before may still be on the way out.
        let let_in = |header: &[u8]| {
            let mut client = None;
            eventually("its place is free", || {
                client = open(header, version).ok();
                client.is_some()
            });
            client.expect("let in")
        };
        let (first, second) = (let_in(one), let_in(other));
        assert!(open(one, version).is_err(), "one is in from there");
        assert!(open(b"", version).is_err(), "for whom?");
        first.close();
        second.close();
    }
}
