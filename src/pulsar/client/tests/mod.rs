//! The machine against a broker that says what the test wants: its commands are decoded by prost, time is a number.

mod answers;
mod batching;
mod connecting;
mod consuming;
mod credentials;
mod hostile;
mod looking_up;
mod moving;
mod over_http;
mod producing;
mod sealing;
mod simulation;
mod world;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::{self, BaseCommand, MessageIdData};
use bytes::{Bytes, BytesMut};
use prost::Message as _;

use self::answers::*;
use self::world::World;
use super::*;
use crate::pulsar::types::{
    BrokerError, Entry, ErrorKind, InitialPosition, MessageId, SubscriptionType,
};
use crate::pulsar::wire;

const TOPIC: &str = "persistent://public/default/t";
const SERVICE: &str = "service";

fn address(host: &str) -> BrokerAddress {
    BrokerAddress {
        host: host.to_owned(),
        port: 6650,
        tls: false,
    }
}

fn config() -> ClientConfig {
    ClientConfig {
        service_urls: vec![address(SERVICE)],
        lookup_by: LookupBy::Broker,
        connections_per_broker: 1,
        connection_timeout_ms: 10_000,
        operation_timeout_ms: 30_000,
        keep_alive_ms: 30_000,
        backoff_first_ms: 100,
        backoff_last_ms: 60_000,
        seed: 7,
    }
}

fn producer_spec() -> ProducerSpec {
    ProducerSpec {
        principal: Principal::GATEWAY,
        topic: TOPIC.to_owned(),
        name: None,
        initial_sequence_id: None,
        send_timeout_ms: 30_000,
        encryption_keys: Arc::default(),
        sealing: None,
        compression: None,
        batching: None,
    }
}

fn consumer_spec() -> ConsumerSpec {
    ConsumerSpec {
        principal: Principal::GATEWAY,
        topic: TOPIC.to_owned(),
        partition: -1,
        subscription: "s".to_owned(),
        subscription_type: SubscriptionType::Exclusive,
        durable: true,
        initial_position: InitialPosition::Latest,
        start: None,
        consumer_name: None,
        priority_level: 0,
        read_compacted: false,
        create_topic: true,
    }
}
