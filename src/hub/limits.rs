//! The bounds of a hub, and what it counts. Values only.

/// What the configuration decides, and the time at which it all began.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What a hub may hold of messages that wait or are unsettled; reaching it stops Flow until it falls.
    /// The permits that the broker has at that moment may still bring more: see `MAX_PERMITS`. Messages in the making
    /// (chunks) may be as much again, or one message of the largest size.
    pub hub_retained_bytes: usize,
    /// The largest payload of an entry after decompression.
    pub max_uncompressed_bytes: usize,
    /// How often a pattern's namespace is asked for its topics.
    pub topics_update_ms: u64,
    /// Whether this gateway has private keys.
    pub decrypts: bool,
    /// What time it was, in ms since 1970, when the clock that the hub is given was at 0.
    pub wall_zero_ms: u64,
}

/// The most permits that one hub's slots hold together, beyond one each: what a broker sends within a round trip of
/// some milliseconds at a million messages a second. A sum of windows above it would only move the topic's backlog
/// into this process.
pub(super) const MAX_PERMITS: u64 = 10_000;

/// Positions that the hub follows as delivered and not settled; a hub that passes nothing on lets go of the oldest then,
/// another one asks for no more. Windows keep push-mode hubs far below; it is there for
/// pull-mode members that never ack, and for negative acks with a long delay. The broker itself stops a shared consumer at 50,000
/// (maxUnackedMessagesPerConsumer), an exclusive one never; a million positions are some 100 MB.
pub(super) const MAX_UNSETTLED_MESSAGES: usize = 1_000_000;

/// Topics and partitions of one hub, an upstream consumer each. Brokers allow any number
/// (maxNumPartitionsPerPartitionedTopic), people use up to hundreds; a pattern may meet a whole namespace.
pub(super) const MAX_SLOTS: usize = 10_000;

/// Ledgers of which a hub over several topics knows the topic: some 4 MB. A topic begins a new one every ten minutes
/// at most (managedLedgerMinLedgerRolloverTimeMinutes); what is forgotten is learned again with the next entry.
pub(super) const MAX_LEDGERS: usize = 100_000;

/// Acks that wait until their ledger's topic is known: as many as a member may hold of another gateway's deliveries.
pub(super) const MAX_STRAY_ACKS: usize = 1000;

/// The longest time between two lists of a pattern's topics, in ms. What is published to a new topic before it is found is
/// not seen by a consumer that begins at the latest; Java is told of new topics by the broker at once. A list costs
/// the broker a look at its cached metadata.
pub(super) const MAX_LIST_MS: u64 = 5_000;

/// What a durable Shared hub and the broker's permits to it may have unsettled together: the broker stops its consumer at
/// 50,000 (maxUnackedMessagesPerConsumer) until half of them are acked, which those that ack could not bring about; the
/// rest is for the batch that the last permit brings.
pub(super) const MAX_SHARED_UNACKED: u64 = 48_000;

/// What a member in pull mode may hold for sure, as much as the largest push window. What its permits allow beyond that,
/// it may while `MAX_SHARED_UNACKED` leaves room for everybody's windows.
pub const PULL_WINDOW: u32 = 1000;

/// What a message costs beside its bytes: the struct, its place in the member's tree and in the slot's table.
pub(super) const MESSAGE_OVERHEAD_BYTES: usize = 192;

/// Entries that could not be decrypted, and are to be asked for again when an ack timeout has passed. Java's consumer
/// stops at a full receiver queue of them (1000); here there may be many members, and beyond this number they come
/// again when the upstream consumer does.
pub(super) const MAX_UNDECRYPTABLE: usize = 10_000;

/// The mean size that is assumed of messages until some have been seen.
pub(super) const FIRST_MEAN_BYTES: usize = 1024;

/// Positions in one CommandAck: what Java's PersistentAcknowledgmentsGroupingTracker gathers (MAX_ACK_GROUP_SIZE).
pub(super) const ACK_GATHER_COUNT: usize = 1000;

/// How long an ack may wait for others. Java waits 100 ms; here a client that reads the broker's statistics, or
/// deletes the subscription, right after its ack sees what it expects.
pub(super) const ACK_GATHER_MS: u64 = 10;

/// How often a reader tells the broker how far it has come: Java's acknowledgementsGroupTimeMicros. Only statistics and
/// the end of a terminated topic depend on it.
pub(super) const READ_ACK_MS: u64 = 100;

/// Acks that the broker has not confirmed and that are sent again after a lost connection. More than a connection
/// carries within its keep-alive time would only be made by a client that acks ids it never got.
pub(super) const MAX_UNCONFIRMED_ACKS: usize = 100_000;

/// Ranges of acked positions remembered per slot. In-order acks make one range; holes are what members still hold.
/// 4096 ranges are some 200 KB.
pub(super) const MAX_ACKED_RANGES: usize = 4096;

/// Entries of which only some indexes are acked and of which nothing else is known here: acked on another gateway's
/// delivery, or before a redelivery.
pub(super) const MAX_PARTIAL_ENTRIES: usize = 1024;

/// The largest batch of which single indexes are remembered for an entry that the hub does not hold; 8 KB a piece.
/// Producers batch 1000 messages by default.
pub(super) const MAX_PARTIAL_BATCH: usize = 1 << 16;

/// Positions in one REDELIVER: Java's MAX_REDELIVER_UNACKNOWLEDGED.
pub(super) const REDELIVER_CHUNK: usize = 1000;

/// The least delay of a negative ack: Java's MIN_NACK_DELAY_MS. It keeps a client that nacks everything at once from
/// spinning with the broker.
pub(super) const MIN_NACK_DELAY_MS: u64 = 100;

/// Messages of one hub that may be on their way to dead-letter topics; with so many the broker is asked for no more. It
/// bounds what a subscription full of dead messages pours into a producer that is slow or not there yet.
pub(super) const MAX_DEAD_LETTERS: usize = 1000;

/// After a failed publish to a dead-letter topic its message is redelivered after this time, doubled with each failure of
/// this message up to the second: Java's back-off for a dead-letter producer that cannot be made.
pub(super) const DEAD_LETTER_RETRY_MS: u64 = 100;
pub(super) const DEAD_LETTER_RETRY_MAX_MS: u64 = 60_000;

/// How long a hub without members waits for the answers to its dead letters. A publish takes milliseconds; a script that
/// deletes the subscription waits no longer than this for a dead-letter topic that does not answer.
pub(super) const DEAD_LETTER_LINGER_MS: u64 = 2_000;

/// Nacks that come due within the same such span are redelivered together, at its end.
pub(super) const NACK_GROUP_MS: u64 = 16;

/// Extra permits after a reconnect for what the broker sends again and the hub drops, per round. Without them a full
/// window would be replayed one message per round trip.
pub(super) const MAX_REPEAT_PERMITS: u32 = 1000;

/// Commands of one hub's members that may wait for their answers; further ones are refused at once. The broker answers
/// within milliseconds: ten times the largest window is only reached when it does not, and costs some 2 MB.
pub(super) const MAX_REQUESTS: usize = 10_000;

/// A command that the broker has not confirmed by then is answered with an error: Java's operationTimeoutMs. What it asked
/// for is not taken back.
pub(super) const REQUEST_TIMEOUT_MS: u64 = 30_000;

/// Messages of one slot of which some chunks have come and others not: Java's `maxPendingChunkedMessage`. As there, the
/// oldest makes room and is left to come again (`autoAckOldestChunkedMessageOnQueueFull` is off).
pub(super) const MAX_INCOMPLETE_MESSAGES: usize = 10;

/// The most chunks of a message. Producers cut at the broker's `maxMessageSize`, 5 MiB by default; the bound is for those
/// that say otherwise.
pub(super) const MAX_CHUNKS: usize = 10_000;

/// A message of which no further chunk comes for so long, although it could, will not be whole any more: Java's
/// `expireTimeOfIncompleteChunkedMessage`.
pub(super) const CHUNKS_EXPIRE_MS: u64 = 60_000;

/// Plain counters of one hub since it began; the owner reads and sums them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages given to members, again or for the first time.
    pub delivered: u64,
    /// Ack frames of members, whatever they named.
    pub acked: u64,
    /// Negative-ack frames of members.
    pub negative_acked: u64,
    /// Messages whose ack timeout passed.
    pub ack_timeouts: u64,
    /// Messages asked for again at the broker.
    pub redelivered: u64,
    /// Messages published to a dead-letter topic.
    pub dead_letters: u64,
    /// Those that it did not take.
    pub dead_letters_failed: u64,
    /// Messages that went from a member that left to the others.
    pub passed_on: u64,
    /// Entries that came again although held or acked here, and were dropped.
    pub repeats_suppressed: u64,
    /// Deliveries from before a redelivery of everything, dropped.
    pub stale_epoch: u64,
    /// Entries that can never be read: acked and dropped.
    pub corrupt: u64,
    /// Entries that this gateway cannot read (encrypted, a chunk without its message): left unacked or discarded.
    pub unreadable: u64,
    /// Messages of which some chunk never came: acked.
    pub chunks_expired: u64,
}
