//! What an owner asks of the client machine.

use std::sync::Arc;

use bytes::Bytes;

pub use super::credentials::{Credentials, Original, Principal, Secret, WEBSOCKET_PRINCIPAL};
use crate::pulsar::crypto::Sealing;
use crate::pulsar::types::{InitialPosition, MessageId, SubscriptionType};
use crate::pulsar::wire::{ChunkFields, Compression};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProducerId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsumerId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// Chosen by the owner, given back with the answer. Messages of one producer with the same tag time out together, as those
/// of one Java producer do.
pub type Tag = u64;

/// A broker address out of a service URL (`pulsar://host:port`, `pulsar+ssl://host:port`), or of its web service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BrokerAddress {
    pub host: String,
    pub port: u16,
    pub tls: bool,
}

/// How lookups are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupBy {
    /// Any broker, in the binary protocol (`brokerServiceUrl`).
    Broker,
    /// Any broker's web service, over HTTP (`serviceUrl`).
    Http,
}

#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Tried in turn for lookups. Never empty.
    pub service_urls: Vec<BrokerAddress>,
    pub lookup_by: LookupBy,
    pub connections_per_broker: usize,
    /// Dialling, TLS and CONNECT together: a broker that takes longer counts as unreachable.
    pub connection_timeout_ms: u64,
    /// A lookup, a create or a subscribe that has no answer by then fails with `Timeout`.
    pub operation_timeout_ms: u64,
    pub keep_alive_ms: u64,
    /// Reconnect back-off: first and last delay, doubled in between, with jitter.
    pub backoff_first_ms: u64,
    pub backoff_last_ms: u64,
    /// Seed of the jitter.
    pub seed: u64,
}

#[derive(Clone, Debug)]
pub struct ProducerSpec {
    pub principal: Principal,
    /// One partition or an unpartitioned topic: `persistent://public/default/t[-partition-3]`.
    pub topic: String,
    pub name: Option<String>,
    /// The first message gets this + 1. None: the broker's last for that name + 1.
    pub initial_sequence_id: Option<i64>,
    /// 0: none.
    pub send_timeout_ms: u64,
    /// What every message's metadata carries where the owner encrypts, each from [`encode_encryption_key`]. Such
    /// messages say their [`SendEncryption`], and go out as they are: `compression` and `batching` do not count.
    ///
    /// [`encode_encryption_key`]: crate::pulsar::wire::encode_encryption_key
    pub encryption_keys: Arc<[Bytes]>,
    /// Some: this machine encrypts every entry, compressed and batched as it is. Replaced by [`super::Client::reseal`].
    pub sealing: Option<Arc<Sealing>>,
    pub compression: Option<Compression>,
    /// None: each message is an entry of its own.
    pub batching: Option<BatchingSpec>,
}

impl ProducerSpec {
    /// Whether its owner encrypts, or this machine.
    pub fn is_encrypted(&self) -> bool {
        self.sealing.is_some() || !self.encryption_keys.is_empty()
    }
}

/// When messages that wait to share an entry go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchingSpec {
    /// 0: as many as fit.
    pub max_messages: u32,
    pub max_delay_ms: u64,
}

/// Where a non-durable consumer starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPosition {
    Earliest,
    Latest,
    /// The first message delivered is the one after it. With a batch index the entry itself comes once more and the
    /// owner skips the messages up to that index; an entry that is no batch does not come again.
    After(MessageId),
}

impl StartPosition {
    /// The first message delivered is the named one, or the first after it that is there.
    pub fn at(id: MessageId) -> StartPosition {
        StartPosition::After(match id.batch_index {
            1.. => MessageId {
                batch_index: id.batch_index - 1,
                ..id
            },
            // Before entry 0 is entry −1.
            _ => MessageId {
                entry: id.entry.wrapping_sub(1),
                batch_index: -1,
                batch_size: 0,
                ..id
            },
        })
    }
}

#[derive(Clone, Debug)]
pub struct ConsumerSpec {
    pub principal: Principal,
    pub topic: String,
    /// −1 when the topic is not partitioned; written into every entry's id.
    pub partition: i32,
    pub subscription: String,
    pub subscription_type: SubscriptionType,
    pub durable: bool,
    pub initial_position: InitialPosition,
    /// Non-durable (readers): the start. After a reconnect the machine itself resumes behind the last entry it gave out.
    pub start: Option<StartPosition>,
    pub consumer_name: Option<String>,
    pub priority_level: i32,
    pub read_compacted: bool,
    /// Whether a topic that does not exist may be created by being subscribed to, where the namespace allows it.
    pub create_topic: bool,
}

/// The fields of one message to publish; the payload is written by a closure given to [`super::Client::send`].
#[derive(Clone, Debug, Default)]
pub struct SendFields<'a> {
    pub properties: &'a [(&'a str, &'a str)],
    pub partition_key: Option<&'a str>,
    /// The partition key is bytes in base64.
    pub partition_key_b64_encoded: bool,
    pub ordering_key: Option<&'a [u8]>,
    /// A tombstone; the payload is empty.
    pub null_value: bool,
    pub event_time_ms: Option<u64>,
    pub deliver_at_ms: Option<i64>,
    pub replicate_to: &'a [&'a str],
    /// With a producer that has `encryption_keys`.
    pub encryption: Option<SendEncryption<'a>>,
    /// A part of a message that is too large for one entry; with a producer that neither batches nor compresses nor
    /// encrypts.
    pub chunk: Option<ChunkFields<'a>>,
    /// None: the producer's next.
    pub sequence_id: Option<u64>,
    /// Wall clock, milliseconds since 1970.
    pub publish_time_ms: u64,
}

/// What the owner has done to the payload of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendEncryption<'a> {
    /// `MessageMetadata.encryption_param`: the initialization vector.
    pub param: Option<&'a [u8]>,
    /// Before it was encrypted.
    pub compression: Option<Compression>,
    /// In bytes, of the payload before its compression.
    pub uncompressed_size: u32,
    /// This message's own keys, each from `encode_encryption_key`. Empty: those of the producer.
    pub keys: &'a [Bytes],
    /// Some: what is encrypted is a batch of so many messages.
    pub batch_size: Option<i32>,
}

/// Why [`super::Client::send`] has not taken a message. Nothing will be said about it later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendRefused<E> {
    /// The payload could not be written.
    Fill(E),
    /// Its writer wrote another length than it had announced.
    PayloadLength,
    /// This producer was closed, has failed, or never was.
    NoProducer,
}

/// Where a seek goes: the next message delivered is the named one, or the first published at or after the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekTarget {
    Earliest,
    Latest,
    Message(MessageId),
    /// Milliseconds since 1970.
    PublishTime(u64),
}

/// One position to ack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckPosition {
    pub ledger: u64,
    pub entry: u64,
    /// Of a batch that is not settled as a whole: bit i set = message i is still unacked. Empty: the whole entry.
    pub ack_set: Vec<u64>,
}
