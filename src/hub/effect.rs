//! What a hub is told and what it asks for.

use std::sync::Arc;

use crate::pulsar::client::{
    AckPosition, ConsumerSpec, Gap, Principal, SeekTarget, StartPosition, Tag,
};
use crate::pulsar::crypto::SealedDataKey;
use crate::pulsar::{
    BrokerError, CryptoFailureAction, InitialPosition, Message, MessageId, SubscriptionType,
    TopicsPattern,
};

/// One member socket, unique in the process and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub u64);

/// What a hub subscribes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topics {
    /// At least one full topic name, without partition suffixes of the gateway's own; sorted, each once.
    Named(Vec<Arc<str>>),
    /// The topics of a namespace whose names match: they come and go.
    Pattern(Arc<TopicsPattern>),
}

impl Topics {
    pub fn one(topic: &str) -> Topics {
        Topics::Named(vec![topic.into()])
    }

    /// The first topic, or the pattern: what producers for the hub are named after.
    pub fn name(&self) -> &str {
        match self {
            Topics::Named(topics) => topics.first().map_or("", |topic| topic),
            Topics::Pattern(pattern) => pattern.text(),
        }
    }
}

/// What makes the hub: fixed by its first member.
#[derive(Clone, Debug)]
pub struct HubSpec {
    pub topics: Topics,
    pub subscription: String,
    pub subscription_type: SubscriptionType,
    pub durable: bool,
    /// It is one socket's own: what its member leaves behind is the broker's to give to others.
    pub private: bool,
    pub initial_position: InitialPosition,
    /// Some: a reader (non-durable, exclusive; its member's frames free the window and ack nothing upstream).
    pub start: Option<StartPosition>,
    /// Of a reader that goes on in the middle of a topic: where in each partition, the last one for all others.
    /// Empty: everywhere at `start`.
    pub starts: Vec<StartPosition>,
    /// The consumer name that the broker sees, if the client named one; on Failover see `failover`.
    pub consumer_name: Option<String>,
    pub priority_level: i32,
    /// It begins at the first message published then or later, since 1970.
    pub start_time_ms: Option<u64>,
    pub read_compacted: bool,
    pub crypto_failure_action: CryptoFailureAction,
    /// In whose name its upstream is.
    pub principal: Principal,
}

/// What is a member's own.
#[derive(Clone, Debug)]
pub struct MemberSpec {
    pub subscription_type: SubscriptionType,
    /// Failover chooses by both.
    pub consumer_name: String,
    pub priority_level: i32,
    /// Push mode: how many messages it may hold unsettled (1 to 1000). 0 in pull mode: permits open the window.
    pub window: u32,
    pub pull_mode: bool,
    /// 0: none.
    pub ack_timeout_ms: u64,
    pub negative_ack_delay_ms: u64,
    /// Shared and Key_Shared; elsewhere the broker keeps no redelivery counts.
    pub dead_letter: Option<DeadLetterPolicy>,
}

/// After so many redeliveries a message goes to the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterPolicy {
    /// At least 1.
    pub max_redeliver_count: u32,
    pub topic: Arc<str>,
}

/// A member's wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Ack(MessageId),
    /// It and all before it in its partition. Refused on Shared and Key_Shared, also where no answer was asked for.
    AckCumulative(MessageId),
    /// The subscription goes on from there, for all its members.
    Seek(SeekTarget),
    NegativeAck(MessageId),
    /// A reader's frame: one message handled, whichever.
    Handled,
    Permit(u32),
    Unsubscribe,
    IsEndOfTopic,
    /// A command whose outcome its client wants to be told.
    Asked(Box<Asked>),
    /// Its socket's unsent bytes passed the bound: give it nothing until `Drained`.
    Clogged,
    Drained,
}

impl Command {
    /// The message that it acks.
    pub fn acked(&self) -> Option<MessageId> {
        match self {
            Command::Ack(id) => Some(*id),
            Command::Asked(asked) => asked.command.acked(),
            _ => None,
        }
    }

    /// The id that the client gave it.
    pub fn into_request(self) -> Option<Box<str>> {
        match self {
            Command::Asked(asked) => Some(asked.request),
            _ => None,
        }
    }
}

/// A command and the id that its client gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Given back as it is.
    pub request: Box<str>,
    pub command: Command,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// None: the client gave no id, and the command is refused.
    pub request: Option<Box<str>>,
    pub result: Result<(), CommandRefused>,
}

/// Why a command has not done what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandRefused {
    /// It makes no sense here.
    Invalid(String),
    /// The broker has refused it, or did not answer.
    Broker(BrokerError),
}

/// What a hub hears in the course of a turn.
#[derive(Clone, Debug)]
pub enum Input {
    Command(MemberId, Command),
    /// By a member of another hub of the subscription; that member's window is the other hub's matter.
    /// With a request it is answered from here.
    AckByOther {
        member: MemberId,
        request: Option<Box<str>>,
        id: MessageId,
    },
    /// By a member of another hub of the subscription.
    SeekByOther(Box<SiblingSeek>),
    /// By slot.
    Upstream(usize, Upstream),
}

/// A seek, as far as it concerns the other hubs of the subscription: they have what it moves, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiblingSeek {
    /// Of a partitioned one the partition's.
    pub topic: String,
    pub target: SeekTarget,
    pub stage: SeekStage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekStage {
    /// The broker is about to be told. One of the others follows, whatever happens.
    Begun,
    Moved,
    /// Everything is as it was.
    Refused,
}

/// Why a member is refused or let go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The broker's answer.
    Broker(BrokerError),
    /// This process' own hub already has an exclusive member, or one of another subscription type.
    Busy(String),
}

/// What the hub wants done. Upstream effects name a slot: the place of one topic's, or one partition's, consumer.
#[derive(Clone, Debug)]
pub enum Effect {
    // To a member.
    Joined {
        member: MemberId,
    },
    Refused {
        member: MemberId,
        refusal: Refusal,
    },
    /// In order; the member's window is already charged.
    Deliver {
        member: MemberId,
        messages: Vec<Message>,
    },
    /// To a reader: between what it was given and what follows, the topic has had messages that are gone.
    Gap {
        member: MemberId,
        gap: Gap,
    },
    EndOfTopic {
        member: MemberId,
        reached: bool,
    },
    Answer {
        member: MemberId,
        answer: Answer,
    },
    /// `Command::Unsubscribe` failed, and nobody asked for an answer.
    UnsubscribeFailed {
        member: MemberId,
        error: BrokerError,
    },
    /// The subscription is deleted at this member's wish. The hub knows it no more; its socket stays open.
    Unsubscribed {
        member: MemberId,
    },
    /// The subscription is gone for good: close the socket.
    Expelled {
        member: MemberId,
        refusal: Refusal,
    },

    // To the upstream.
    /// Ask how many partitions the topic has; answered by `Hub::partitions`.
    CountPartitions {
        topic: Arc<str>,
    },
    /// Ask which topics the pattern's namespace has; answered by `Hub::topics_listed`.
    ListTopics(Arc<TopicsPattern>),
    OpenConsumer {
        slot: usize,
        spec: ConsumerSpec,
    },
    Flow {
        slot: usize,
        permits: u32,
    },
    /// Answered by `Upstream::AckDone` with the tag.
    Ack {
        slot: usize,
        tag: Tag,
        positions: Vec<AckPosition>,
    },
    /// Answered by `Upstream::Sought` with the tag; the consumer is lost and comes back around the answer.
    Seek {
        slot: usize,
        tag: Tag,
        target: SeekTarget,
    },
    /// To the other hubs of the subscription, as [`Input::SeekByOther`].
    TellSiblings(Box<SiblingSeek>),
    /// The position and all before it; answered as `Ack` is.
    AckCumulative {
        slot: usize,
        tag: Tag,
        position: AckPosition,
    },
    /// A reader's: the entry and all before it are read. Unanswered.
    AckUpTo {
        slot: usize,
        ledger: u64,
        entry: u64,
    },
    /// Empty: everything unacked (Exclusive, Failover).
    Redeliver {
        slot: usize,
        positions: Vec<(u64, u64)>,
    },
    Unsubscribe {
        slot: usize,
        tag: Tag,
    },
    CloseConsumer {
        slot: usize,
    },
    /// Publish the message to a dead-letter topic; answered by `Hub::dead_letter_done`.
    PublishDeadLetter {
        letter: u64,
        topic: Arc<str>,
        /// The topic or partition that the message is from.
        source: String,
        message: Message,
    },

    /// Decrypt the data key; answered by `Hub::data_key`, also when that fails. One at a time.
    WantDataKey(SealedDataKey),

    /// For the log.
    Undecryptable(Box<Undecryptable>),

    /// The last member has gone and the upstream was told to close: drop the hub.
    Finished,
}

/// Encrypted entries that came up in one turn, and that nobody here can decrypt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecryptable {
    /// Of the first of them. Without the partition.
    pub topic: Arc<str>,
    /// For whom the first was encrypted, in its publisher's words; cut.
    pub key: String,
    pub entries: u64,
}

/// What the upstream tells the hub, by slot.
#[derive(Clone, Debug)]
pub enum Upstream {
    Ready,
    Lost {
        abrupt: bool,
    },
    /// The topic is in another cluster now: `Resumed` follows.
    Migrated,
    Resumed,
    Failed(BrokerError),
    /// Before the next entry.
    Gap(Gap),
    Entry(crate::pulsar::Entry),
    Corrupt {
        ledger: u64,
        entry: u64,
    },
    /// The broker has passed over some of what it was asked for again.
    Skipped,
    EndOfTopic,
    Sought {
        tag: Tag,
        result: Result<(), BrokerError>,
    },
    AckDone {
        tag: Tag,
        result: Result<(), BrokerError>,
    },
    Unsubscribed {
        tag: Tag,
        result: Result<(), BrokerError>,
    },
}
