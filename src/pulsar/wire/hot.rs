//! MESSAGE and SEND_RECEIPT, the two commands that the broker sends for every message.

use super::message_id::IdParts;
use super::varint::{DecodeError, Fields, Value, take_varint};
use crate::pulsar::types::MessageId;

/// What is kept of an ack set, in words of 64 messages: a batch of 1,048,576 messages. The smallest message in a batch takes
/// 6 bytes, so more do not fit the broker's default maxMessageSize.
pub(super) const MAX_ACK_SET_WORDS: usize = 16 * 1024;

/// `CommandMessage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageCommand {
    pub consumer_id: u64,
    pub message_id: MessageId,
    pub redelivery_count: u32,
    /// Of a batch: bit i set = message i is not yet acked. Empty: all of them.
    pub ack_set: Vec<u64>,
    /// None: the broker does not count epochs for this topic.
    pub consumer_epoch: Option<u64>,
}

/// `CommandSendReceipt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendReceipt {
    pub producer_id: u64,
    pub sequence_id: u64,
    /// Ledger and entry are −1 when the broker has dropped the message as a duplicate.
    pub message_id: Option<MessageId>,
    /// Of a batch: its last sequence id. 0 where the broker sent none.
    pub highest_sequence_id: u64,
}

/// A `CommandMessage` while its fields are being read.
#[derive(Default)]
pub(super) struct MessageParts {
    consumer_id: Option<u64>,
    message_id: Option<IdParts>,
    redelivery_count: u32,
    ack_set: Vec<u64>,
    consumer_epoch: Option<u64>,
}

impl MessageParts {
    pub(super) fn merge(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Varint(value)) => self.consumer_id = Some(value),
                (2, Value::Bytes(id)) => self.message_id.get_or_insert_default().merge(id)?,
                (3, Value::Varint(value)) => self.redelivery_count = value as u32,
                (4, Value::Varint(word)) => self.push_ack_word(word),
                (4, Value::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        self.push_ack_word(take_varint(&mut packed)?);
                    }
                }
                (5, Value::Varint(value)) => self.consumer_epoch = Some(value),
                _ => {}
            }
        }
        Ok(())
    }

    /// Brokers pass on what other clients have acked, of whatever length: that is no reason to end the connection.
    fn push_ack_word(&mut self, word: u64) {
        if self.ack_set.len() < MAX_ACK_SET_WORDS {
            self.ack_set.push(word);
        }
    }

    pub(super) fn finish(self) -> Result<MessageCommand, DecodeError> {
        Ok(MessageCommand {
            consumer_id: self
                .consumer_id
                .ok_or(DecodeError::Missing("message.consumer_id"))?,
            message_id: self
                .message_id
                .ok_or(DecodeError::Missing("message.message_id"))?
                .finish()?,
            redelivery_count: self.redelivery_count,
            ack_set: self.ack_set,
            consumer_epoch: self.consumer_epoch,
        })
    }
}

/// A `CommandSendReceipt` while its fields are being read.
#[derive(Default)]
pub(super) struct ReceiptParts {
    producer_id: Option<u64>,
    sequence_id: Option<u64>,
    message_id: Option<IdParts>,
    highest_sequence_id: u64,
}

impl ReceiptParts {
    pub(super) fn merge(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Varint(value)) => self.producer_id = Some(value),
                (2, Value::Varint(value)) => self.sequence_id = Some(value),
                (3, Value::Bytes(id)) => self.message_id.get_or_insert_default().merge(id)?,
                (4, Value::Varint(value)) => self.highest_sequence_id = value,
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<SendReceipt, DecodeError> {
        Ok(SendReceipt {
            producer_id: self
                .producer_id
                .ok_or(DecodeError::Missing("send_receipt.producer_id"))?,
            sequence_id: self
                .sequence_id
                .ok_or(DecodeError::Missing("send_receipt.sequence_id"))?,
            message_id: self.message_id.map(IdParts::finish).transpose()?,
            highest_sequence_id: self.highest_sequence_id,
        })
    }
}
