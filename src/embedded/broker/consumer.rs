//! One consumer on a subscription: its permits, and what it holds unacked.

use std::collections::BTreeMap;

use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::{CommandMessage, MessageIdData};

use super::ack_set;
use super::connection::ConnectionId;
use super::connections::Connections;
use super::cursor::Cursor;
use super::log::Log;

/// The broker's maxUnackedMessagesPerConsumer: at so many a consumer of a durable Shared or Key_Shared subscription
/// gets nothing until it is down to half of it.
pub(super) const MAX_UNACKED_MESSAGES: i64 = 50_000;

/// A delivered entry that is not acked; kept on Shared and Key_Shared only, as in the broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub batch_size: u32,
    pub key_hash: u32,
}

#[derive(Debug)]
pub(super) struct Consumer {
    pub connection: ConnectionId,
    pub consumer_id: u64,
    pub name: String,
    /// 0 is the highest.
    pub priority_level: i32,
    /// Below 0 when a batch was larger than what was left.
    pub permits: i64,
    /// As the client gave it; sent with each message of an Exclusive or Failover subscription.
    pub epoch: Option<u64>,
    pub unacked: i64,
    /// Whether `MAX_UNACKED_MESSAGES` counts for it.
    pub limited: bool,
    pub blocked: bool,
    permits_while_blocked: i64,
    pub pending: BTreeMap<u64, Pending>,
    pub told_end_of_topic: bool,
    /// Waits for its turn in [`super::turns::Turns`].
    pub queued: bool,
}

/// What a dispatcher works with during one turn.
pub(super) struct Turn<'a> {
    pub log: &'a Log,
    pub connections: &'a mut Connections,
    pub partition: i32,
    pub now_ms: u64,
}

impl Consumer {
    pub fn new(connection: ConnectionId, consumer_id: u64, name: String) -> Consumer {
        Consumer {
            connection,
            consumer_id,
            name,
            priority_level: 0,
            permits: 0,
            epoch: None,
            unacked: 0,
            limited: false,
            blocked: false,
            permits_while_blocked: 0,
            pending: BTreeMap::new(),
            told_end_of_topic: false,
            queued: false,
        }
    }

    pub fn is_available(&self, connections: &Connections) -> bool {
        self.permits > 0 && !self.blocked && connections.can_take_messages(self.connection)
    }

    pub fn flow(&mut self, permits: u32) {
        if self.limited && self.unacked >= MAX_UNACKED_MESSAGES {
            self.blocked = true;
        }
        let sum = match self.blocked {
            true => &mut self.permits_while_blocked,
            false => &mut self.permits,
        };
        *sum = sum.saturating_add(i64::from(permits));
    }

    pub fn unblock(&mut self) {
        self.blocked = false;
        self.permits = self.permits.saturating_add(self.permits_while_blocked);
        self.permits_while_blocked = 0;
    }

    /// After an ack: whether it may go on now.
    pub fn unblock_at_half(&mut self) -> bool {
        let due = self.blocked && self.unacked <= MAX_UNACKED_MESSAGES / 2;
        if due {
            self.unblock();
        }
        due
    }

    /// Sends it an entry that is in the log, and takes as many permits as it has unacked messages.
    /// Returns that number.
    pub fn deliver(
        &mut self,
        turn: &mut Turn<'_>,
        cursor: &Cursor,
        index: u64,
        redelivery_count: u32,
    ) -> i64 {
        let Some(entry) = turn.log.get(index) else {
            return 0;
        };
        let (ledger_id, entry_id) = turn.log.position(index);
        let unacked_words = cursor.unacked_of(index);
        let messages = i64::from(unacked_words.map_or(entry.batch_size, ack_set::count));
        self.permits -= messages;
        let command = CommandMessage {
            consumer_id: self.consumer_id,
            message_id: message_id(ledger_id, entry_id, turn.partition),
            redelivery_count: (redelivery_count > 0).then_some(redelivery_count),
            ack_set: unacked_words.map_or(Vec::new(), |words| {
                words.iter().map(|&word| word as i64).collect()
            }),
            consumer_epoch: self.epoch,
        };
        if let Some(connection) = turn.connections.touch(self.connection) {
            connection.send_with_body(Type::Message, &command, Some(&entry.body));
        }
        messages
    }

    /// Notes a delivered entry as unacked.
    pub fn hold(&mut self, index: u64, pending: Pending, messages: i64) {
        self.pending.insert(index, pending);
        self.unacked += messages;
        if self.limited && self.unacked >= MAX_UNACKED_MESSAGES {
            self.blocked = true;
        }
    }
}

/// As the broker writes it: the partition always, −1 included.
pub(super) fn message_id(ledger_id: u64, entry_id: u64, partition: i32) -> MessageIdData {
    MessageIdData {
        ledger_id,
        entry_id,
        partition: Some(partition),
        ..MessageIdData::default()
    }
}
