//! Data keys over the hours.

use super::*;
use crate::api::Query;
use crate::pulsar::client::{ClientConfig, LookupBy};
use crate::pulsar::crypto::Unsealed;

const HOUR_MS: u64 = 60 * 60 * 1000;

fn at(mono_ms: u64) -> Now {
    Now {
        mono_ms,
        wall_ms: 0,
    }
}

fn client() -> Client {
    Client::new(ClientConfig {
        service_urls: Vec::new(),
        lookup_by: LookupBy::Broker,
        connections_per_broker: 1,
        connection_timeout_ms: 1,
        operation_timeout_ms: 1,
        keep_alive_ms: 1,
        backoff_first_ms: 1,
        backoff_last_ms: 1,
        seed: 1,
    })
}

#[test]
fn a_data_key_is_renewed_every_four_hours_and_goes_on_where_there_is_no_new_one() {
    let query = Query::parse("encryptionKeys=alice").unwrap();
    let params = ProducerParams::parse(&query).unwrap();
    let topic = "persistent://p/d/t".to_owned();
    let gateway = Principal::GATEWAY;
    let mut session = ProducerSession::new(1, true, topic, gateway, params, 0);
    let mut client = client();
    assert_eq!(session.key_names(), ["alice"]);
    assert!(!session.is_sealed() && !session.wants_sealing(at(9 * HOUR_MS)));
    let sealing = Arc::new(Unsealed::new().unwrap().seal());
    session.sealed(at(0), &mut client, &sealing);
    assert!(session.is_sealed());
    assert!(!session.wants_sealing(at(4 * HOUR_MS - 1)));
    assert!(session.wants_sealing(at(4 * HOUR_MS)));
    // None has come.
    assert!(!session.wants_sealing(at(4 * HOUR_MS + 59_999)));
    assert!(session.wants_sealing(at(4 * HOUR_MS + 60_000)));
    session.sealed(at(5 * HOUR_MS), &mut client, &sealing);
    assert!(!session.wants_sealing(at(9 * HOUR_MS - 1)));
    assert!(session.wants_sealing(at(9 * HOUR_MS)));
}
