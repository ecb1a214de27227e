//! Plain data that other rooms may know: ids, entries, errors.

use bytes::Bytes;

/// A position in a topic: `MessageIdData` of PulsarApi.proto.
///
/// `partition` and `batch_index` are −1 where absent; `batch_size` is 0 outside a batch.
/// Ordering is by ledger, entry, partition, batch index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId {
    pub ledger: u64,
    pub entry: u64,
    pub partition: i32,
    pub batch_index: i32,
    pub batch_size: i32,
}

/// One entry as the broker sent it (CommandMessage and what follows it), its checksum verified.
/// Compressed and batched as it was published; [`crate::pulsar::message::split`] opens it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub ledger: u64,
    pub entry: u64,
    /// −1 when the topic is not partitioned.
    pub partition: i32,
    pub redelivery_count: u32,
    /// Of a batch: bit i set = message i is not yet acked. Empty: all of them.
    pub ack_set: Vec<u64>,
    /// Shared, Key_Shared and compacted reading have none.
    pub consumer_epoch: Option<u64>,
    /// The encoded `MessageMetadata`.
    pub metadata: Bytes,
    /// What follows the metadata.
    pub payload: Bytes,
    /// `payload` is not as it came: it was encrypted, as the metadata says.
    pub is_decrypted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriptionType {
    Exclusive,
    Shared,
    Failover,
    KeyShared,
}

/// What happens to an entry that cannot be decrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CryptoFailureAction {
    /// Left unacked.
    #[default]
    Fail,
    /// Acked.
    Discard,
    /// Handed over encrypted.
    Consume,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InitialPosition {
    Latest,
    Earliest,
}

/// What kind of refusal it is: what the gateway does about it depends on this alone.
/// The broker's `ServerError` codes map onto it, and so do the machine's own failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Tenant, namespace, topic or subscription missing (TopicNotFound, SubscriptionNotFound, "Namespace not found").
    NotFound,
    /// AuthenticationError.
    Unauthenticated,
    /// AuthorizationError.
    Unauthorized,
    /// ConsumerBusy: an exclusive subscription is taken, or of another type.
    ConsumerBusy,
    /// ProducerBusy: the producer name is taken.
    ProducerBusy,
    ProducerFenced,
    IncompatibleSchema,
    TooManyRequests,
    /// ProducerBlockedQuotaExceededException: the backlog quota's policy is to refuse.
    QuotaExceeded,
    /// ProducerBlockedQuotaExceededError: its policy is to let producers wait.
    QuotaHeld,
    TopicTerminated,
    /// No answer in time, from the broker or from this machine's own send timeout.
    Timeout,
    /// InvalidTopicName and other requests that can never succeed.
    Invalid,
    /// The message is larger than the broker takes.
    MessageTooLarge,
    /// Refused although the connection works: a retry may help (ServiceNotReady, MetadataError, PersistenceError …).
    Retryable,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// Whether the same may succeed a little later: Java's `PulsarClientException.isRetriableError`, without what a client
    /// should know at once instead of waiting for its handshake (throttling, a full backlog quota, wrong credentials).
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            ErrorKind::Retryable | ErrorKind::Timeout | ErrorKind::Other
        )
    }

    /// Whether it ends also what was open before: it names the topic or the producer dead.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            ErrorKind::NotFound | ErrorKind::TopicTerminated | ErrorKind::ProducerFenced
        )
    }
}

/// A refusal with its text: the broker's own words where it gave some. Never holds tokens, keys or payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerError {
    pub kind: ErrorKind,
    pub message: String,
}
