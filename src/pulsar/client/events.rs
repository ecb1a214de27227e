//! What the client machine tells its owner: what to do for it, and what has happened.

use std::sync::Arc;

use bytes::Bytes;

use super::spec::{BrokerAddress, ConnectionId, ConsumerId, Principal, ProducerId, Tag};
use crate::pulsar::types::{BrokerError, Entry, MessageId};

/// What the owner's I/O must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Io {
    /// Answer with `connected` or `connect_failed`.
    Connect {
        connection: ConnectionId,
        address: BrokerAddress,
        /// Whose certificate it shows, where it has one.
        principal: Principal,
    },
    /// Answer with `authenticate`. `renewed`: what was shown before no longer suffices.
    Authenticate {
        connection: ConnectionId,
        principal: Principal,
        renewed: bool,
    },
    /// Bytes in order; segments may be written with one vectored write.
    Write {
        connection: ConnectionId,
        bytes: Bytes,
    },
    /// Close it; nothing more about it will be asked or wanted.
    Close { connection: ConnectionId },
}

/// What is missing where a non-durable consumer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    Certain,
    /// All of the ledger that it was in is gone: whether there was more in it than was given out, nobody can tell.
    Possible,
}

#[derive(Clone, Debug)]
pub enum Event {
    /// A broker does not take what this principal shows, or not from it. Whoever waits for the connection hears of it by
    /// events of its own.
    Refused {
        principal: Principal,
        /// `host:port`
        broker: String,
        error: BrokerError,
    },

    /// Who is reached at this address does not answer as a broker or a web service does. Whoever waits for the answer
    /// hears of it by events of its own, if its time ends before one comes.
    NoBroker {
        address: BrokerAddress,
        why: String,
    },

    /// How many partitions the topic has; 0: it is not partitioned.
    Partitions {
        tag: Tag,
        result: Result<u32, BrokerError>,
    },

    /// The topics of a namespace, by their full names; of a partitioned one its partitions.
    Topics {
        tag: Tag,
        result: Result<Arc<Vec<String>>, BrokerError>,
    },

    /// What the admin API has; None: there is no such thing.
    Resource {
        tag: Tag,
        result: Result<Option<Arc<[u8]>>, BrokerError>,
    },

    /// Once, after `open_producer`. Reconnects are silent.
    ProducerReady {
        producer: ProducerId,
        name: String,
        last_sequence_id: i64,
    },
    /// The producer is gone: refused at its creation, or for good later (topic deleted or terminated, fenced).
    /// `SendFailed` for all that was pending comes first.
    ProducerFailed {
        producer: ProducerId,
        error: BrokerError,
    },
    /// In the order of the sends of this producer. `id` has the producer's topic's partition −1: the owner knows it.
    /// In a batch it has an index and, as in Java, the size 0.
    Receipt {
        producer: ProducerId,
        tag: Tag,
        id: MessageId,
    },
    SendFailed {
        producer: ProducerId,
        tag: Tag,
        error: BrokerError,
    },

    /// Once, after `open_consumer`.
    ConsumerReady {
        consumer: ConsumerId,
    },
    /// It lost its broker side; the machine is getting it back. Permits given before count no more;
    /// what the broker has delivered and knows no ack of will come again after `ConsumerResumed`.
    /// `abrupt`: the connection broke (the broker may have forgotten acks that it had confirmed);
    /// else the broker closed the consumer in order (unload, cursor reset).
    ConsumerLost {
        consumer: ConsumerId,
        abrupt: bool,
    },
    /// The topic has gone to another cluster, which numbers its entries by itself: what was known of any says nothing
    /// there. Right before `ConsumerResumed`.
    ConsumerMigrated {
        consumer: ConsumerId,
    },
    /// Subscribed again, with no permits: the owner gives them anew.
    ConsumerResumed {
        consumer: ConsumerId,
    },
    /// Refused at its creation, or gone for good later.
    ConsumerFailed {
        consumer: ConsumerId,
        error: BrokerError,
    },
    /// Between the last entry that a non-durable consumer was given before it lost its broker side and the one that
    /// follows this event, the topic has had some that are gone.
    Gap {
        consumer: ConsumerId,
        gap: Gap,
    },
    Entry {
        consumer: ConsumerId,
        entry: Entry,
    },
    /// An entry whose checksum or metadata is broken: it was not delivered, its permit counts as used.
    CorruptEntry {
        consumer: ConsumerId,
        ledger: u64,
        entry: u64,
        partition: i32,
        reason: &'static str,
    },
    /// Exclusive and Failover: after a redelivery of everything the broker has passed some of it over, and will until it is
    /// asked once more. (A read that was under way ends after PersistentDispatcherSingleActiveConsumer has rewound the
    /// cursor, and moves it to its own end.)
    EntriesSkipped {
        consumer: ConsumerId,
    },
    EndOfTopic {
        consumer: ConsumerId,
    },
    /// Failover: whether this consumer is the active one.
    ActiveChanged {
        consumer: ConsumerId,
        active: bool,
    },
    /// The broker has taken (or refused) the acks that were sent with this tag.
    AckDone {
        consumer: ConsumerId,
        tag: Tag,
        result: Result<(), BrokerError>,
    },
    Unsubscribed {
        consumer: ConsumerId,
        tag: Tag,
        result: Result<(), BrokerError>,
    },
    Seeked {
        consumer: ConsumerId,
        tag: Tag,
        result: Result<(), BrokerError>,
    },
    LastMessageId {
        consumer: ConsumerId,
        tag: Tag,
        result: Result<MessageId, BrokerError>,
    },
}
