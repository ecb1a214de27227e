//! The commands that this client sends, as PulsarApi.proto wants them. Field values only: no state, no decisions.

use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::{
    AuthData, AuthMethod, BaseCommand, CommandAuthResponse, CommandCloseConsumer,
    CommandCloseProducer, CommandConnect, CommandGetLastMessageId, CommandGetTopicsOfNamespace,
    CommandLookupTopic, CommandPartitionedTopicMetadata, CommandPing, CommandPong, CommandProducer,
    CommandRedeliverUnacknowledgedMessages, CommandSeek, CommandSubscribe, CommandUnsubscribe,
    FeatureFlags, MessageIdData, command_get_topics_of_namespace, command_subscribe,
};

use zeroize::Zeroize;

use super::address::Route;
use super::credentials::{Credentials, WEBSOCKET_PRINCIPAL};
use super::spec::{ConsumerSpec, ProducerSpec, SeekTarget, StartPosition};
use crate::pulsar::types::{InitialPosition, MessageId, SubscriptionType};

/// `ProtocolVersion.v21`, Pulsar 4.0's. Of what is younger than the `pulsar` crate's proto (v19) the broker sends
/// CommandTopicMigrated (v20) alone, which `wire` reads by hand.
const PROTOCOL_VERSION: i32 = 21;
const CLIENT_VERSION: &str = concat!("pws-fast-", env!("CARGO_PKG_VERSION"));
/// Java's `MessageId.earliest` and `MessageId.latest` on the wire.
const EARLIEST: (u64, u64) = (u64::MAX, u64::MAX);
const LATEST: (u64, u64) = (i64::MAX as u64, i64::MAX as u64);
/// The largest batch into which a seek can point: what fits the broker's default maxMessageSize at 5 bytes a message.
const MAX_BATCH_MESSAGES: i32 = 1 << 20;

fn base(kind: Type) -> BaseCommand {
    BaseCommand {
        r#type: kind as i32,
        ..Default::default()
    }
}

/// The one place where a connection's credentials go. Without authentication Java names the method "none", too.
/// `for_websocket`: the gateway speaks for nobody in particular, but has to say so.
pub(super) fn connect(
    route: &Route,
    credentials: &Credentials,
    for_websocket: bool,
) -> BaseCommand {
    let original = credentials.original.as_ref();
    let principal = original.map(|original| original.principal.as_str());
    let with_data = original.and_then(|original| original.credentials.as_ref());
    BaseCommand {
        connect: Some(CommandConnect {
            client_version: CLIENT_VERSION.to_owned(),
            auth_method: credentials.is_none().then_some(AuthMethod::None as i32),
            auth_method_name: Some(credentials.method.to_string()),
            auth_data: (!credentials.is_none()).then(|| credentials.data.bytes().to_vec()),
            original_principal: principal
                .or(for_websocket.then_some(WEBSOCKET_PRINCIPAL))
                .map(str::to_owned),
            original_auth_method: with_data.map(|with| with.0.to_string()),
            original_auth_data: with_data
                .map(|with| String::from_utf8_lossy(with.1.bytes()).into_owned()),
            protocol_version: Some(PROTOCOL_VERSION),
            proxy_to_broker_url: route.proxy_to.clone(),
            feature_flags: Some(FeatureFlags {
                supports_auth_refresh: Some(true),
                supports_broker_entry_metadata: Some(false),
                supports_partial_producer: Some(true),
            }),
        }),
        ..base(Type::Connect)
    }
}

/// Zeroes the credentials of a command that has been written.
pub(super) fn wipe(command: &mut BaseCommand) {
    if let Some(connect) = &mut command.connect {
        connect.auth_data.zeroize();
        connect.original_auth_data.zeroize();
    }
    let response = command.auth_response.as_mut();
    if let Some(data) = response.and_then(|response| response.response.as_mut()) {
        data.auth_data.zeroize();
    }
}

/// The answer to AUTH_CHALLENGE. A broker that has looked at the credentials of an original principal asks for these
/// alone (`ServerCnx.refreshAuthenticationCredentials`), and takes the answer for them.
pub(super) fn auth_response(credentials: &Credentials) -> BaseCommand {
    let original = credentials.original.as_ref();
    let forwarded = original.and_then(|original| original.credentials.as_ref());
    let own = (&credentials.method, &credentials.data);
    let (method, data) = forwarded.map_or(own, |(method, data)| (method, data));
    BaseCommand {
        auth_response: Some(CommandAuthResponse {
            client_version: Some(CLIENT_VERSION.to_owned()),
            response: Some(AuthData {
                auth_method_name: Some(method.to_string()),
                auth_data: Some(data.bytes().to_vec()),
            }),
            protocol_version: Some(PROTOCOL_VERSION),
        }),
        ..base(Type::AuthResponse)
    }
}

pub(super) fn ping() -> BaseCommand {
    BaseCommand {
        ping: Some(CommandPing {}),
        ..base(Type::Ping)
    }
}

pub(super) fn pong() -> BaseCommand {
    BaseCommand {
        pong: Some(CommandPong {}),
        ..base(Type::Pong)
    }
}

pub(super) fn partitioned_metadata(topic: &str, request_id: u64) -> BaseCommand {
    BaseCommand {
        partition_metadata: Some(CommandPartitionedTopicMetadata {
            topic: topic.to_owned(),
            request_id,
            ..Default::default()
        }),
        ..base(Type::PartitionedMetadata)
    }
}

/// `pattern`: what the broker may filter by, if it wants to.
pub(super) fn topics_of_namespace(
    namespace: &str,
    persistent: bool,
    pattern: Option<&str>,
    request_id: u64,
) -> BaseCommand {
    let mode = match persistent {
        true => command_get_topics_of_namespace::Mode::Persistent,
        false => command_get_topics_of_namespace::Mode::NonPersistent,
    };
    BaseCommand {
        get_topics_of_namespace: Some(CommandGetTopicsOfNamespace {
            request_id,
            namespace: namespace.to_owned(),
            mode: Some(mode as i32),
            topics_pattern: pattern.map(str::to_owned),
            ..Default::default()
        }),
        ..base(Type::GetTopicsOfNamespace)
    }
}

pub(super) fn lookup(topic: &str, authoritative: bool, request_id: u64) -> BaseCommand {
    BaseCommand {
        lookup_topic: Some(CommandLookupTopic {
            topic: topic.to_owned(),
            request_id,
            authoritative: Some(authoritative),
            ..Default::default()
        }),
        ..base(Type::Lookup)
    }
}

/// `name` is the one the producer goes by: its owner's, or from the second time on the broker's.
pub(super) fn producer(
    spec: &ProducerSpec,
    name: Option<&str>,
    producer_id: u64,
    request_id: u64,
    epoch: u64,
) -> BaseCommand {
    BaseCommand {
        producer: Some(CommandProducer {
            topic: spec.topic.clone(),
            producer_id,
            request_id,
            producer_name: name.map(str::to_owned),
            encrypted: Some(spec.is_encrypted()),
            epoch: Some(epoch),
            user_provided_producer_name: Some(spec.name.is_some()),
            txn_enabled: Some(false),
            ..Default::default()
        }),
        ..base(Type::Producer)
    }
}

pub(super) fn close_producer(producer_id: u64, request_id: u64) -> BaseCommand {
    BaseCommand {
        close_producer: Some(CommandCloseProducer {
            producer_id,
            request_id,
        }),
        ..base(Type::CloseProducer)
    }
}

pub(super) struct Subscribe<'a> {
    pub spec: &'a ConsumerSpec,
    pub consumer_name: &'a str,
    pub consumer_id: u64,
    pub request_id: u64,
    pub start: Option<StartPosition>,
    pub consumer_epoch: u64,
}

pub(super) fn subscribe(subscribe: &Subscribe<'_>) -> BaseCommand {
    let spec = subscribe.spec;
    let sub_type = match spec.subscription_type {
        SubscriptionType::Exclusive => command_subscribe::SubType::Exclusive,
        SubscriptionType::Shared => command_subscribe::SubType::Shared,
        SubscriptionType::Failover => command_subscribe::SubType::Failover,
        SubscriptionType::KeyShared => command_subscribe::SubType::KeyShared,
    };
    let initial_position = match spec.initial_position {
        InitialPosition::Latest => command_subscribe::InitialPosition::Latest,
        InitialPosition::Earliest => command_subscribe::InitialPosition::Earliest,
    };
    BaseCommand {
        subscribe: Some(CommandSubscribe {
            topic: spec.topic.clone(),
            subscription: spec.subscription.clone(),
            sub_type: sub_type as i32,
            consumer_id: subscribe.consumer_id,
            request_id: subscribe.request_id,
            consumer_name: Some(subscribe.consumer_name.to_owned()),
            priority_level: Some(spec.priority_level),
            durable: Some(spec.durable),
            start_message_id: subscribe.start.map(start_message_id),
            read_compacted: Some(spec.read_compacted),
            initial_position: Some(initial_position as i32),
            force_topic_creation: Some(spec.create_topic),
            consumer_epoch: Some(subscribe.consumer_epoch),
            ..Default::default()
        }),
        ..base(Type::Subscribe)
    }
}

/// The broker steps one entry back from a start id (PersistentTopic.getNonDurableSubscription), because a batch may
/// have been read in part: the named entry comes again and its receiver skips what it has had.
fn start_message_id(start: StartPosition) -> MessageIdData {
    let (ledger_id, entry_id, batch_index) = match start {
        StartPosition::Earliest => (EARLIEST.0, EARLIEST.1, -1),
        StartPosition::Latest => (LATEST.0, LATEST.1, -1),
        StartPosition::After(id) => (id.ledger, id.entry, id.batch_index),
    };
    MessageIdData {
        ledger_id,
        entry_id,
        batch_index: Some(batch_index),
        ..Default::default()
    }
}

pub(super) fn close_consumer(consumer_id: u64, request_id: u64) -> BaseCommand {
    BaseCommand {
        close_consumer: Some(CommandCloseConsumer {
            consumer_id,
            request_id,
        }),
        ..base(Type::CloseConsumer)
    }
}

pub(super) fn unsubscribe(consumer_id: u64, request_id: u64) -> BaseCommand {
    BaseCommand {
        unsubscribe: Some(CommandUnsubscribe {
            consumer_id,
            request_id,
        }),
        ..base(Type::Unsubscribe)
    }
}

pub(super) fn seek(target: SeekTarget, consumer_id: u64, request_id: u64) -> BaseCommand {
    let (message_id, message_publish_time) = match target {
        SeekTarget::Earliest => (Some(start_message_id(StartPosition::Earliest)), None),
        SeekTarget::Latest => (Some(start_message_id(StartPosition::Latest)), None),
        SeekTarget::Message(id) => (Some(seek_message_id(id)), None),
        SeekTarget::PublishTime(time_ms) => (None, Some(time_ms)),
    };
    BaseCommand {
        seek: Some(CommandSeek {
            consumer_id,
            request_id,
            message_id,
            message_publish_time,
        }),
        ..base(Type::Seek)
    }
}

/// Inside a batch the ack set says which messages are behind the cursor: those before the index.
fn seek_message_id(id: MessageId) -> MessageIdData {
    let mut ack_set = Vec::new();
    if id.batch_index > 0 && id.batch_index < id.batch_size && id.batch_size <= MAX_BATCH_MESSAGES {
        let words = (id.batch_size as usize).div_ceil(64);
        ack_set.resize(words, 0i64);
        for index in id.batch_index as usize..id.batch_size as usize {
            ack_set[index / 64] |= 1 << (index % 64);
        }
    }
    MessageIdData {
        ledger_id: id.ledger,
        entry_id: id.entry,
        ack_set,
        ..Default::default()
    }
}

pub(super) fn get_last_message_id(consumer_id: u64, request_id: u64) -> BaseCommand {
    BaseCommand {
        get_last_message_id: Some(CommandGetLastMessageId {
            consumer_id,
            request_id,
        }),
        ..base(Type::GetLastMessageId)
    }
}

/// No positions: everything unacked.
pub(super) fn redeliver(
    consumer_id: u64,
    positions: &[(u64, u64)],
    consumer_epoch: Option<u64>,
) -> BaseCommand {
    let message_ids = positions
        .iter()
        .map(|&(ledger_id, entry_id)| MessageIdData {
            ledger_id,
            entry_id,
            ..Default::default()
        })
        .collect();
    BaseCommand {
        redeliver_unacknowledged_messages: Some(CommandRedeliverUnacknowledgedMessages {
            consumer_id,
            message_ids,
            consumer_epoch,
        }),
        ..base(Type::RedeliverUnacknowledgedMessages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(batch_index: i32, batch_size: i32) -> MessageId {
        MessageId {
            ledger: 3,
            entry: 4,
            partition: -1,
            batch_index,
            batch_size,
        }
    }

    #[test]
    fn credentials_are_wiped_out_of_commands_and_nothing_else_is() {
        let data = |bytes: &[u8]| Some(bytes.to_vec());
        let mut connect = base(Type::Connect);
        connect.connect = Some(CommandConnect {
            auth_method_name: Some("token".to_owned()),
            auth_data: data(b"secret"),
            original_auth_data: Some("secret".to_owned()),
            ..Default::default()
        });
        let mut response = base(Type::AuthResponse);
        response.auth_response = Some(CommandAuthResponse {
            response: Some(AuthData {
                auth_method_name: Some("token".to_owned()),
                auth_data: data(b"secret"),
            }),
            ..Default::default()
        });
        for mut command in [connect, response] {
            wipe(&mut command);
            let shown = format!("{command:?}");
            assert!(shown.contains("token"));
            assert!(!shown.contains("secret") && !shown.contains(&format!("{:?}", b"secret")));
        }
    }

    #[test]
    fn a_seek_into_a_batch_names_the_messages_from_the_index_on() {
        assert_eq!(seek_message_id(id(2, 4)).ack_set, vec![0b1100]);
        assert_eq!(seek_message_id(id(65, 66)).ack_set, vec![0, 0b10]);
        assert!(seek_message_id(id(0, 4)).ack_set.is_empty());
        assert!(seek_message_id(id(-1, 0)).ack_set.is_empty());
        assert!(seek_message_id(id(9, 4)).ack_set.is_empty());
    }

    #[test]
    fn start_positions_are_those_of_the_java_client() {
        let earliest = start_message_id(StartPosition::Earliest);
        assert_eq!(earliest.ledger_id as i64, -1);
        let latest = start_message_id(StartPosition::Latest);
        assert_eq!(latest.entry_id, i64::MAX as u64);
        let after = start_message_id(StartPosition::After(id(2, 4)));
        assert_eq!((after.ledger_id, after.entry_id), (3, 4));
        assert_eq!(after.batch_index, Some(2));
    }
}
