//! `tlsRequireTrustedClientCertOnConnect`, and `tlsAllowInsecureConnection`, which lets everybody's certificate in.

use super::{Place, VERSIONS, new_reader, path};
use crate::support::certificates::{Authority, Signed};
use crate::support::secure::{Secure, Trust, Version};
use crate::support::topic;

const REQUIRED: &str = "tlsRequireTrustedClientCertOnConnect=true";

/// A client's handshake may look well to it before the gateway has judged its certificate: only an answer tells.
fn is_let_in(place: &Place, version: Version, shows: Option<&Signed>) -> bool {
    let trust = Trust::new(&place.authority, version, shows);
    Secure::try_open(place.world.address_tls(), &trust, &new_reader()).is_ok()
}

#[test]
fn where_a_trusted_certificate_is_required_nothing_else_gets_in() {
    let place = Place::new(&[REQUIRED]);
    let (good, bad) = (
        place.authority.client("me"),
        Authority::new("it").client("me"),
    );
    for version in VERSIONS {
        assert!(is_let_in(&place, version, Some(&good)));
        assert!(!is_let_in(&place, version, Some(&bad)));
        assert!(!is_let_in(&place, version, None));
        // A certificate for servers does not make a client.
        let server = place.authority.server(&["localhost"]);
        assert!(!is_let_in(&place, version, Some(&server)));
    }
}

#[test]
fn where_it_is_not_required_none_is_well_and_a_bad_one_is_not() {
    let place = Place::new(&["tlsRequireTrustedClientCertOnConnect=false"]);
    let (good, bad) = (
        place.authority.client("me"),
        Authority::new("it").client("me"),
    );
    for version in VERSIONS {
        assert!(is_let_in(&place, version, Some(&good)));
        assert!(is_let_in(&place, version, None));
        assert!(!is_let_in(&place, version, Some(&bad)));
    }
}

#[test]
fn an_insecure_port_takes_any_certificate() {
    let place = Place::new(&[REQUIRED, "tlsAllowInsecureConnection=true"]);
    let bad = Authority::new("it").client("me");
    for version in VERSIONS {
        assert!(is_let_in(&place, version, Some(&bad)));
        assert!(!is_let_in(&place, version, None));
    }
}

/// A ticket would be a way past the certificates.
#[test]
fn sessions_are_not_resumed_where_certificates_are_asked_for() {
    let place = Place::new(&[REQUIRED]);
    let me = place.authority.client("me");
    for version in VERSIONS {
        let trust = Trust::new(&place.authority, version, Some(&me));
        for _ in 0..3 {
            let mut socket = Secure::open(place.world.address_tls(), &trust, &new_reader());
            socket.send(&serde_json::json!({ "type": "isEndOfTopic" }));
            socket.json();
            assert!(!socket.is_resumed());
        }
    }
}

const PROVIDER: &str =
    "authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderTls";

/// Seconds that a short certificate lives: enough to open the sockets of a test.
const SHORT: u64 = 8;

#[test]
fn who_is_there_by_a_certificate_goes_with_it_where_expiry_is_looked_at() {
    let settings = [REQUIRED, "authenticationEnabled=true", PROVIDER];
    let looks = Place::new(&settings);
    let as_java = Place::new(&[&settings[..], &["authenticationRefreshCheckSeconds=0"]].concat());
    let open = |place: &Place, kind: &str, topic: &str, shows: &Signed| {
        let trust = Trust::new(&place.authority, Version::Tls13, Some(shows));
        Secure::open(place.world.address_tls(), &trust, &path(kind, topic))
    };
    let name = topic("certificates");
    let subscribed = format!("{name}/sub");
    let unwatched = as_java.authority.client_for("me", SHORT);
    let mut left_alone = open(&as_java, "producer", &name, &unwatched);
    let short = looks.authority.client_for("me", SHORT);
    let kinds = [
        ("producer", &name),
        ("consumer", &subscribed),
        ("reader", &name),
    ];
    let going = kinds.map(|(kind, topic)| open(&looks, kind, topic, &short));
    let other = looks.authority.client("other");
    let mut stays = open(&looks, "producer", &name, &other);
    for mut client in going {
        // It is not asked for what it cannot show.
        let reason = "Failed to authenticate client: the certificate has expired";
        assert_eq!(client.closed(), (4005, reason.to_owned()));
    }
    stays.publish("x");
    left_alone.publish("as in Java");
}
