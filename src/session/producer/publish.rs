//! Frames in, and what the broker answers them.

use super::partitions::Pending;
use super::wishes::encryption;
use super::{At, Now, ProducerSession};
use crate::api::{Publish, PublishError, WebSocketError, append_ack, append_error, parse_publish};
use crate::pulsar::client::{SendFields, SendRefused};
use crate::pulsar::{BrokerError, MessageId};
use crate::session::append_frame;
use crate::session::upstreams::Upstreams;

impl ProducerSession {
    /// One frame of the client. What is wrong with it by itself is answered at once, into `out`.
    pub fn publish(
        &mut self,
        now: Now,
        upstreams: &mut Upstreams<'_>,
        frame: &mut [u8],
        out: &mut Vec<u8>,
    ) {
        let client_encrypts = !self.encryption_keys.is_empty();
        let message = match parse_publish(frame, client_encrypts) {
            Ok(message) => message,
            Err(refused) => return refuse(&refused, out),
        };
        if self.shares && message.sequence_id.is_some() {
            self.part(now, upstreams);
        }
        let place = self.router.choose(message.key, now.wall_ms);
        let Some(partition) = self.partitions.get_mut(place) else {
            return;
        };
        if let Some(error) = &partition.failed {
            return not_sent(&error.message, message.context, out);
        }
        if self.params.is_full(partition.pending.len()) {
            return not_sent("Producer send queue is full", message.context, out);
        }
        let client = &mut *upstreams.client;
        let before_bytes = client.pending_bytes();
        let sent = client.send(
            now.mono_ms,
            partition.producer,
            self.owner,
            &fields(&message, now, client_encrypts),
            message.payload_len(),
            |out| message.decode_payload(out),
        );
        match sent {
            Ok(()) => {
                // What the client machine keeps for it (none of a message that it has refused by itself), and our own.
                let bytes = client.pending_bytes().saturating_sub(before_bytes)
                    + message.context.map_or(0, str::len)
                    + size_of::<Pending>();
                self.pending_bytes += bytes;
                partition.pending.push_back(Pending {
                    context: message.context.map(Into::into),
                    bytes,
                });
            }
            Err(SendRefused::Fill(refused)) => refuse(&refused, out),
            Err(SendRefused::PayloadLength | SendRefused::NoProducer) => {
                not_sent("The producer is closed", message.context, out);
            }
        }
    }

    /// The broker has the oldest pending message of this partition's producer.
    pub fn receipt(
        &mut self,
        at: At,
        upstreams: &mut Upstreams<'_>,
        id: MessageId,
        out: &mut Vec<u8>,
    ) {
        let id = match self.count {
            0 => id,
            _ => MessageId {
                partition: at.place as i32,
                ..id
            },
        };
        if let Some(context) = self.settle(at, upstreams) {
            append_frame(out, |out| append_ack(&id, context.as_deref(), out));
        }
    }

    /// The oldest pending message of this partition's producer is refused or timed out.
    pub fn send_failed(
        &mut self,
        at: At,
        upstreams: &mut Upstreams<'_>,
        error: &BrokerError,
        out: &mut Vec<u8>,
    ) {
        if let Some(context) = self.settle(at, upstreams) {
            not_sent(&error.message, context.as_deref(), out);
        }
    }
}

/// What goes upstream of a message, beside its payload.
fn fields<'a>(message: &'a Publish<'_>, now: Now, client_encrypts: bool) -> SendFields<'a> {
    SendFields {
        properties: &message.properties,
        partition_key: message.key,
        event_time_ms: message.event_time_ms.map(|time_ms| time_ms as u64),
        deliver_at_ms: message.deliver_at_ms(now.wall_ms as i64),
        replicate_to: &message.replicate_to,
        encryption: client_encrypts.then(|| encryption(&message.encryption, message.payload_len())),
        sequence_id: message.sequence_id,
        publish_time_ms: now.wall_ms,
        ..SendFields::default()
    }
}

/// Answers a message that has not reached the topic.
fn not_sent(reason: &str, context: Option<&str>, out: &mut Vec<u8>) {
    append_frame(out, |out| {
        append_error(WebSocketError::UnknownError, reason, context, out);
    });
}

/// Answers a message that is wrong by itself.
fn refuse(refused: &PublishError<'_>, out: &mut Vec<u8>) {
    append_frame(out, |out| {
        append_error(refused.error, &refused.message, refused.context, out);
    });
}
