//! How the broker is set up, and its bounds on memory.

/// The broker's default maxMessageSize.
const MAX_MESSAGE_BYTES: usize = 5 * 1024 * 1024;

/// Enough for tens of thousands of messages of a demo on one topic, little enough for a laptop.
const TOPIC_BYTES: usize = 64 * 1024 * 1024;

/// What a process that is a gateway first of all may spend on its toy broker.
const TOTAL_BYTES: usize = 256 * 1024 * 1024;

#[derive(Clone, Debug)]
pub struct Options {
    /// On 127.0.0.1; 0 for a free one.
    pub port: u16,
    /// Bytes of messages that one topic keeps. The oldest go first, whether or not they are acked.
    pub topic_bytes: usize,
    /// Bytes of messages that all topics keep together; the largest topic gives up its oldest first.
    pub total_bytes: usize,
    /// A larger message is refused; told to the client in CONNECTED.
    pub max_message_bytes: usize,
    /// acknowledgmentAtBatchIndexLevelEnabled: whether an ack_set counts. Pulsar 4.0's default is no.
    pub batch_index_acks: bool,
    /// brokerDeduplicationEnabled. Pulsar's default is no.
    pub deduplication: bool,
    /// allowAutoTopicCreation. Pulsar's default is yes.
    pub auto_create_topics: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            port: 0,
            topic_bytes: TOPIC_BYTES,
            total_bytes: TOTAL_BYTES,
            max_message_bytes: MAX_MESSAGE_BYTES,
            batch_index_acks: false,
            deduplication: false,
            auto_create_topics: true,
        }
    }
}
