//! What shards say to each other, and how a socket is named across them.
//!
//! One lane carries it all, in order and in batches: what does not fit into a full mailbox stays with its sender
//! (`links.rs`), so that a post never waits and never fails. What can pile up there is bounded by the members' windows
//! (deliveries) and by a few control messages a socket.

use std::sync::Arc;

use rustls::ClientConfig;

use super::lane::LaneKind;
use super::principals::Speaker;
use crate::auth::access::Resource;
use crate::auth::{Identity, Unidentified};
use crate::cluster::records::Found;
use crate::hub::tail::{Batch, Points};
use crate::hub::{Answer, Command, HubSpec, MemberId, MemberSpec, Refusal, Topics};
use crate::pulsar::client::{ConnectionId, Credentials, Gap, Tag};
use crate::pulsar::{BrokerError, CryptoFailureAction, Message};
use crate::runtime::Accepted;
use crate::tls::server::Served;

/// What two sockets that share a hub have in common; which of several such hubs it is, `siblings` decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HubKey {
    pub topics: Topics,
    pub subscription: String,
    pub durable: bool,
    /// Only those of the same share, where the broker decides what they may do.
    pub speaker: Option<Speaker>,
    /// Some: a hub of this socket alone.
    pub private: Option<MemberId>,
}

/// What makes two reader sockets share a tail.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TailKey {
    pub topic: Arc<str>,
    pub crypto_failure_action: CryptoFailureAction,
    /// As with [`HubKey::speaker`].
    pub speaker: Option<Speaker>,
}

pub enum Post {
    /// From the acceptor.
    Accepted(Accepted),
    /// From the acceptor of the TLS port.
    AcceptedTls(Accepted),
    /// The TLS files have changed: for handshakes from now on.
    Certificates(Served),
    /// To the hub's home shard.
    Join(Box<Join>),
    Leave {
        member: MemberId,
    },
    Command {
        member: MemberId,
        command: Command,
    },
    /// To the tail's home shard: this one has readers of it.
    TailJoin {
        key: TailKey,
        shard: usize,
        joining: u64,
    },
    /// It has none any more.
    TailLeave {
        key: TailKey,
        shard: usize,
        joining: u64,
    },
    /// It has put so many messages into its log.
    TailTaken {
        feeder: MemberId,
        shard: usize,
        joining: u64,
        messages: u32,
    },
    /// A reader asks whether the topic has ended.
    TailEndOfTopic {
        feeder: MemberId,
        asker: MemberId,
    },
    /// To the tail's home shard: readers want to join what that shard has of it, for whose right it asks the broker.
    TailProve {
        key: TailKey,
        shard: usize,
        joining: u64,
    },
    /// They may, or not.
    TailProven {
        joining: u64,
        result: Result<(), Refusal>,
    },
    /// To a shard that has joined a tail: what follows lies behind `base`.
    TailOpen {
        joining: u64,
        feeder: MemberId,
        base: Points,
    },
    TailFrames {
        joining: u64,
        batch: Arc<Batch>,
    },
    /// What its log has and what follows does not lie next to each other.
    TailGap {
        joining: u64,
        gap: Gap,
    },
    TailEnded {
        joining: u64,
        refusal: Refusal,
    },
    /// To the member's shard.
    ToMember {
        member: MemberId,
        event: MemberEvent,
    },
    /// From the credential keeper: what a connection is to show, which asked for it.
    Credentials {
        lane: LaneKind,
        connection: ConnectionId,
        result: Result<Credentials, BrokerError>,
    },
    /// From the credential keeper: new certificates towards the brokers.
    BrokerTls(Arc<ClientConfig>),
    /// From the desk: what came of credentials.
    Identified {
        socket: SocketId,
        result: Result<Identity, Unidentified>,
    },
    /// Somebody has shown what holds longer than before.
    Renewed(Box<Speaker>),
    /// From the reader of the metadata store.
    PermissionRead(Box<(Resource, Found)>),
    /// From the control thread: take no new work, settle what is open, close.
    Drain,
    /// To this shard itself, when it is done: its main loop looks.
    Drained,
}

pub struct Join {
    pub key: HubKey,
    pub hub: HubSpec,
    pub member: MemberId,
    pub spec: MemberSpec,
}

impl Join {
    /// Of a member that has its hub for itself.
    pub fn private(
        member: MemberId,
        hub: HubSpec,
        spec: MemberSpec,
        speaker: Option<Speaker>,
    ) -> Join {
        let key = HubKey {
            topics: hub.topics.clone(),
            subscription: hub.subscription.clone(),
            durable: hub.durable,
            speaker,
            private: Some(member),
        };
        Join {
            key,
            hub,
            member,
            spec,
        }
    }
}

/// What a hub tells one member.
#[derive(Debug)]
pub enum MemberEvent {
    Joined,
    Refused(Refusal),
    Deliver(Vec<Message>),
    /// Of a reader: what is missing before the next messages.
    Gap(Gap),
    EndOfTopic(bool),
    Answer(Answer),
    UnsubscribeFailed(BrokerError),
    Expelled(Refusal),
}

/// A socket of this process: its shard, its place in that shard's table, and which use of that place it is.
///
/// 12 bits of shard, 28 of generation, 24 of place. A place is used again only after 2^28 others: a post that was on
/// its way to a socket that has gone never reaches its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketId(u64);

const PLACE_BITS: u32 = 24;
const GENERATION_BITS: u32 = 28;
/// Sockets that one shard can name; far above any file limit.
pub const PLACES_MAX: usize = 1 << PLACE_BITS;

impl SocketId {
    pub fn new(shard: usize, place: usize, generation: u32) -> SocketId {
        let generation = u64::from(generation) & ((1 << GENERATION_BITS) - 1);
        let place = place as u64 & (PLACES_MAX as u64 - 1);
        SocketId(
            (shard as u64) << (PLACE_BITS + GENERATION_BITS) | generation << PLACE_BITS | place,
        )
    }

    pub fn shard(self) -> usize {
        (self.0 >> (PLACE_BITS + GENERATION_BITS)) as usize
    }

    pub fn place(self) -> usize {
        (self.0 & (PLACES_MAX as u64 - 1)) as usize
    }

    pub fn member(self) -> MemberId {
        MemberId(self.0)
    }

    pub fn of(member: MemberId) -> SocketId {
        SocketId(member.0)
    }

    /// What its messages carry on upstream producers.
    pub fn tag(self) -> Tag {
        self.0
    }

    pub fn tagged(tag: Tag) -> SocketId {
        SocketId(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_shard_and_place_and_tells_the_generations_of_a_place_apart() {
        let first = SocketId::new(4095, PLACES_MAX - 1, 7);
        assert_eq!((first.shard(), first.place()), (4095, PLACES_MAX - 1));
        assert_ne!(first, SocketId::new(4095, PLACES_MAX - 1, 8));
        assert_eq!(SocketId::of(first.member()), first);
    }
}
