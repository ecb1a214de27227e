//! What becomes of a producer's messages: confirmed, refused, timed out, sent again. The rules are those of Java's
//! `ProducerImpl` and `ClientCnx.handleSendError`.

use std::convert::Infallible;

use ::pulsar::proto::{CommandProducerSuccess, CommandSendError, ServerError};
use bytes::BytesMut;
use rustc_hash::FxHashSet;

use super::Client;
use super::deadlines::{Timer, User};
use super::encode::{Encoding, headers_and_payload_bytes};
use super::events::Event;
use super::pending::{Content, Pending, Tags};
use super::spec::{ConnectionId, ProducerId, Tag};
use crate::pulsar::types::{BrokerError, ErrorKind, MessageId};
use crate::pulsar::wire::{self, SendReceipt};

/// How often a message whose checksum the broker disputes is sent again. The copy kept here is the one that was
/// encoded: if it does not get through three times, the fourth will not either.
const MAX_CHECKSUM_RESENDS: u32 = 3;

impl Client {
    /// ProducerSuccess with `producer_ready`: all that is pending goes out, in order.
    pub(super) fn producer_created(
        &mut self,
        id: ProducerId,
        connection: ConnectionId,
        success: CommandProducerSuccess,
    ) {
        let first = self.link_attached(User::Producer(id), connection);
        let Some(producer) = self.producers.get_mut(&id) else {
            return;
        };
        let last_sequence_id = success.last_sequence_id.unwrap_or(-1);
        let name = producer.name.get_or_insert(success.producer_name).clone();
        producer.starts_after(last_sequence_id);
        producer.pending.forget_given_up(&mut self.pending_bytes);
        if producer.pending.is_empty() {
            // With messages waiting the first receipt is the proof that it works.
            producer.link.backoff.reset();
        }
        if first {
            self.events.push_back(Event::ProducerReady {
                producer: id,
                name,
                last_sequence_id,
            });
            self.encode_waiting(id, connection);
        }
        self.refuse_too_large(id, connection);
        self.resend(id, connection);
    }

    /// What was encoded for a broker that takes larger messages than this one: it would end the connection, each time.
    fn refuse_too_large(&mut self, id: ProducerId, connection: ConnectionId) {
        let Some(producer) = self.producers.get_mut(&id) else {
            return;
        };
        let connection = self.pool.get(connection);
        let max_bytes = connection.map_or(usize::MAX, |c| c.max_message_bytes);
        let mut pending = std::mem::take(&mut producer.pending);
        pending.refuse_frames(&mut self.pending_bytes, |frame| {
            let bytes = headers_and_payload_bytes(frame);
            (bytes > max_bytes).then(|| producer.too_large(bytes, max_bytes))
        });
        producer.pending = pending;
        self.report_known(id);
    }

    /// Messages that came before the first ProducerSuccess get their sequence ids.
    fn encode_waiting(&mut self, id: ProducerId, connection: ConnectionId) {
        let Some(producer) = self.producers.get_mut(&id) else {
            return;
        };
        let mut encoding = Encoding {
            max_message_bytes: self
                .pool
                .get(connection)
                .map_or(self.pool.max_message_bytes, |c| c.max_message_bytes),
            compressor: &mut self.compressor,
        };
        let mut pending = std::mem::take(&mut producer.pending);
        pending.encode_all(&mut self.pending_bytes, |message| {
            let fill = |out: &mut BytesMut| {
                out.extend_from_slice(&message.payload);
                Ok::<(), Infallible>(())
            };
            let encoded = message.with_fields(|fields| {
                producer.encode(id, fields, message.payload.len(), &mut encoding, fill)
            });
            producer.or_too_large(encoded, message.payload.len(), &encoding)
        });
        producer.pending = pending;
        self.report_known(id);
    }

    fn resend(&mut self, id: ProducerId, connection: ConnectionId) {
        let Some(producer) = self.producers.get(&id) else {
            return;
        };
        if let Some(connection) = self.pool.writing(connection) {
            for frame in producer.pending.frames() {
                connection.output.push(frame);
            }
        }
    }

    /// SEND_RECEIPT. An older one than awaited is for a message that has timed out; a newer one means that a message
    /// is missing at the broker: a new connection brings it there. When the broker has closed the producer, those for
    /// what it had got may still come: what they confirm is not sent again.
    pub(super) fn receipt(
        &mut self,
        connection: ConnectionId,
        receipt: &SendReceipt,
    ) -> Result<(), String> {
        let id = ProducerId(receipt.producer_id);
        let Some(producer) = self.producers.get_mut(&id) else {
            return Ok(());
        };
        let attached = producer.link.is_attached_to(connection);
        if !attached && !producer.link.was_attached_to(connection) {
            return Ok(());
        }
        let Some((expected, highest)) = producer.pending.expected_sequence_ids() else {
            return Ok(());
        };
        let is_duplicate = receipt.message_id.is_none_or(|id| id.ledger == u64::MAX);
        if receipt.sequence_id != expected
            && is_duplicate
            && producer
                .pending
                .found_duplicate(receipt.sequence_id, &mut self.pending_bytes)
        {
            return Ok(());
        }
        if receipt.sequence_id < expected {
            return Ok(());
        }
        // Of a message that is no batch the broker says −1, or 0.
        let is_other_batch = receipt.highest_sequence_id as i64 > expected as i64
            && receipt.highest_sequence_id != highest;
        let out_of_turn = receipt.sequence_id > expected || is_other_batch;
        if out_of_turn && !attached {
            return Ok(());
        }
        if out_of_turn {
            return Err(format!(
                "a receipt for sequence ids {} to {} where {expected} to {highest} were due",
                receipt.sequence_id, receipt.highest_sequence_id
            ));
        }
        if attached {
            producer.link.backoff.reset();
            producer.checksum_resends = 0;
        }
        if let Some(pending) = producer.pending.pop(&mut self.pending_bytes) {
            self.confirm_all(id, &pending.tags, receipt.message_id);
        }
        self.report_known(id);
        Ok(())
    }

    /// SEND_ERROR, sorted as in Java's `ClientCnx.handleSendError`.
    pub(super) fn send_error(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        command: CommandSendError,
    ) {
        let id = ProducerId(command.producer_id);
        let Some(producer) = self.producers.get_mut(&id) else {
            return;
        };
        if !producer.link.is_attached_to(connection) {
            return;
        }
        let user = User::Producer(id);
        let expected = producer.pending.expected_sequence_ids();
        let awaited = expected.is_some_and(|(_, highest)| highest == command.sequence_id);
        let error = BrokerError {
            kind: wire::error_kind(command.error, &command.message),
            message: command.message,
        };
        match ServerError::try_from(command.error) {
            Ok(ServerError::ChecksumError) => {
                producer.checksum_resends += 1;
                if awaited && producer.checksum_resends > MAX_CHECKSUM_RESENDS {
                    producer.checksum_resends = 0;
                    self.fail_first(id, error);
                } else {
                    self.resend(id, connection);
                }
            }
            Ok(ServerError::TopicTerminatedError) => {
                self.tell_broker_closed(now_ms, user);
                self.link_detach(now_ms, user);
                let error = self.terminated(id, error);
                self.producer_failed(id, error);
            }
            Ok(ServerError::NotAllowedError) => {
                // Of a message too large for its topic before it is written: those before it still are.
                let sum = &mut self.pending_bytes;
                producer
                    .pending
                    .found_refused(command.sequence_id, error, sum);
                self.report_known(id);
            }
            _ => self.link_lost(now_ms, user, false, error, None),
        }
    }

    /// Java's words instead of the broker's exception.
    fn terminated(&self, id: ProducerId, error: BrokerError) -> BrokerError {
        let Some(producer) = self.producers.get(&id) else {
            return error;
        };
        BrokerError {
            message: format!(
                "The topic {} that the producer {} produces to has been terminated",
                producer.spec.topic,
                producer.display_name(),
            ),
            ..error
        }
    }

    fn fail_first(&mut self, id: ProducerId, error: BrokerError) {
        if let Some(producer) = self.producers.get_mut(&id)
            && let Some(pending) = producer.pending.pop(&mut self.pending_bytes)
        {
            self.refuse_all(id, &pending.tags, &error);
        }
        self.report_known(id);
    }

    fn confirm_all(&mut self, producer: ProducerId, tags: &Tags, id: Option<MessageId>) {
        tags.for_each(|batch_index, tag| {
            self.events.push_back(Event::Receipt {
                producer,
                tag,
                id: receipt_id(id, batch_index),
            });
        });
    }

    /// What needs no receipt is reported when all that was sent before it has been.
    pub(super) fn report_known(&mut self, id: ProducerId) {
        while let Some(producer) = self.producers.get_mut(&id)
            && let Some((tags, fate)) = producer.pending.pop_known(&mut self.pending_bytes)
        {
            match fate {
                Ok(()) => self.confirm_all(id, &tags, None),
                Err(error) => self.refuse_all(id, &tags, &error),
            }
        }
    }

    fn refuse_all(&mut self, id: ProducerId, tags: &Tags, error: &BrokerError) {
        tags.for_each(|_, tag| {
            self.events.push_back(Event::SendFailed {
                producer: id,
                tag,
                error: error.clone(),
            });
        });
    }

    fn fail_all(&mut self, id: ProducerId, error: &BrokerError) {
        while let Some(producer) = self.producers.get_mut(&id)
            && let Some(pending) = producer.pending.pop(&mut self.pending_bytes)
        {
            self.answer_given_up(id, pending, error);
        }
        let waiting = Tags::Batch(self.drop_batch(id));
        self.refuse_all(id, &waiting, error);
    }

    /// The topic takes no messages for now, and its namespace wants them refused. The producer goes on trying; each try
    /// that fails so answers what has come meanwhile.
    pub(super) fn quota_exceeded(&mut self, id: ProducerId, error: &BrokerError) {
        let Some(producer) = self.producers.get(&id) else {
            return;
        };
        let message = format!(
            "The backlog quota of the topic {} that the producer {} produces to is exceeded",
            producer.spec.topic,
            producer.display_name(),
        );
        let kind = error.kind;
        self.fail_all(id, &BrokerError { kind, message });
    }

    /// The timer runs from the oldest message that was pending when it was set. When that one is over its time, all of its
    /// owner's are failed: in a queue nothing younger can be confirmed before it. Others' have their own time.
    pub(super) fn send_expired(&mut self, now_ms: u64, id: ProducerId) {
        let Some(producer) = self.producers.get(&id) else {
            return;
        };
        let Some(oldest_ms) = producer.pending.oldest_ms() else {
            return;
        };
        let timeout_ms = producer.spec.send_timeout_ms;
        let expires_ms = oldest_ms.saturating_add(timeout_ms);
        if expires_ms > now_ms {
            self.deadlines.set(Timer::Send(id), expires_ms);
            return;
        }
        let late = producer.pending.owners_until(now_ms - timeout_ms);
        // Batches are one owner's.
        let of_all = producer.spec.batching.is_some() || producer.pending.is_of(&late);
        let error = BrokerError {
            kind: ErrorKind::Timeout,
            message: format!(
                "The producer {} can not send message to the topic {} within given timeout",
                producer.display_name(),
                producer.spec.topic,
            ),
        };
        match of_all {
            true => self.fail_all(id, &error),
            false => self.time_out(now_ms, id, &late, &error),
        }
    }

    /// Answers what is these owners', and goes on with the others'.
    fn time_out(
        &mut self,
        now_ms: u64,
        id: ProducerId,
        owners: &FxHashSet<Tag>,
        error: &BrokerError,
    ) {
        let Some(producer) = self.producers.get_mut(&id) else {
            return;
        };
        let sent = producer.link.attached_to().is_some();
        let pending = &mut producer.pending;
        let given_up = pending.give_up(owners, sent, &mut self.pending_bytes);
        if let Some(oldest_ms) = pending.oldest_ms() {
            let expires_ms = oldest_ms.saturating_add(producer.spec.send_timeout_ms);
            self.deadlines.set(Timer::Send(id), expires_ms.max(now_ms));
        }
        for pending in given_up {
            self.answer_given_up(id, pending, error);
        }
        self.report_known(id);
    }

    /// With its own fate where that is known, else with the error.
    fn answer_given_up(&mut self, id: ProducerId, pending: Pending, error: &BrokerError) {
        match pending.content {
            Content::Refused(own) => self.refuse_all(id, &pending.tags, &own),
            Content::Duplicate => self.confirm_all(id, &pending.tags, None),
            _ => self.refuse_all(id, &pending.tags, error),
        }
    }

    /// It is gone for good: its messages first.
    pub(super) fn producer_failed(&mut self, id: ProducerId, error: BrokerError) {
        self.fail_all(id, &error);
        self.deadlines.cancel(Timer::Send(id));
        if self.producers.remove(&id).is_some() {
            self.events.push_back(Event::ProducerFailed {
                producer: id,
                error,
            });
        }
    }
}

/// Ledger and entry are −1 where the broker names none: a message that it dropped as a duplicate.
fn receipt_id(id: Option<MessageId>, batch_index: i32) -> MessageId {
    MessageId {
        ledger: id.map_or(u64::MAX, |id| id.ledger),
        entry: id.map_or(u64::MAX, |id| id.entry),
        partition: -1,
        batch_index,
        batch_size: 0,
    }
}
