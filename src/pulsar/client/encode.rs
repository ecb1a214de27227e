//! A producer's messages become frames: compressed, with its name and the next sequence id, and measured.

use std::convert::Infallible;

use bytes::BytesMut;

use super::pending::Content;
use super::producer::Producer;
use super::spec::{ProducerId, SendFields};
use crate::pulsar::message::Compressor;
use crate::pulsar::wire::{self, EncodeSendError, MetadataFields, SendHeader};

impl Producer {
    /// Encodes one message with the given or the next sequence id, which is used up only when this succeeds.
    pub fn encode<E>(
        &mut self,
        id: ProducerId,
        fields: &SendFields<'_>,
        payload_len: usize,
        encoding: &mut Encoding<'_>,
        fill: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<Content, EncodeSendError<E>> {
        let sequence_id = self.sequence_id_of(fields);
        let metadata = MetadataFields {
            sequence_id,
            publish_time_ms: fields.publish_time_ms,
            properties: fields.properties,
            partition_key: fields.partition_key,
            partition_key_b64_encoded: fields.partition_key_b64_encoded,
            ordering_key: fields.ordering_key,
            null_value: fields.null_value,
            replicate_to: fields.replicate_to,
            event_time_ms: fields.event_time_ms,
            deliver_at_time_ms: fields.deliver_at_ms,
            encryption_param: fields.encryption.and_then(|it| it.param),
            compression: fields.encryption.and_then(|it| it.compression),
            uncompressed_size: fields.encryption.map(|it| it.uncompressed_size),
            ..Default::default()
        };
        let content = self.frame(id, metadata, payload_len, encoding, fill)?;
        if matches!(content, Content::Frame { .. }) {
            self.used(fields, sequence_id);
        }
        Ok(content)
    }

    /// Encodes one entry: `metadata` without what is the producer's (its name, its keys, its compression), and the
    /// payload.
    pub fn frame<E>(
        &self,
        id: ProducerId,
        metadata: MetadataFields<'_>,
        payload_len: usize,
        encoding: &mut Encoding<'_>,
        fill: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<Content, EncodeSendError<E>> {
        let header = SendHeader {
            producer_id: id.0,
            sequence_id: metadata.sequence_id,
            num_messages: metadata.num_messages_in_batch.unwrap_or(1).unsigned_abs(),
            highest_sequence_id: metadata.highest_sequence_id,
            is_chunk: false,
        };
        let mut metadata = MetadataFields {
            producer_name: self.name.as_deref().unwrap_or_default(),
            encryption_keys: &self.spec.encryption_keys,
            ..metadata
        };
        let mut frame = BytesMut::new();
        // Not even nothing: a ZLIB stream of no bytes is more than the C++ client can read.
        let compresses = payload_len > 0 && self.spec.encryption_keys.is_empty();
        let compression = self.spec.compression.filter(|_| compresses);
        if let Some(compression) = compression {
            let mut plain = BytesMut::with_capacity(payload_len);
            fill(&mut plain).map_err(EncodeSendError::Fill)?;
            if plain.len() != payload_len {
                return Err(EncodeSendError::PayloadLength {
                    announced: payload_len,
                    written: plain.len(),
                });
            }
            let Some(packed) = encoding.compressor.compress(compression, &plain) else {
                return Err(EncodeSendError::TooLarge);
            };
            metadata.compression = Some(compression);
            metadata.uncompressed_size = Some(payload_len as u32);
            wire::encode_send(&header, &metadata, packed.len(), &mut frame, |out| {
                out.extend_from_slice(&packed);
                Ok(())
            })?;
        } else {
            wire::encode_send(&header, &metadata, payload_len, &mut frame, fill)?;
        }
        let message_bytes = headers_and_payload_bytes(&frame);
        if message_bytes > encoding.max_message_bytes {
            let error = self.too_large(message_bytes, encoding.max_message_bytes);
            return Ok(Content::Refused(Box::new(error)));
        }
        Ok(Content::Frame {
            sequence_id: header.sequence_id,
            highest_sequence_id: header.highest_sequence_id.unwrap_or(header.sequence_id),
            frame: frame.freeze(),
        })
    }

    /// For payloads that are here already: they can only be too large.
    pub fn or_too_large(
        &self,
        content: Result<Content, EncodeSendError<Infallible>>,
        bytes: usize,
        encoding: &Encoding<'_>,
    ) -> Content {
        content.unwrap_or_else(|_| {
            Content::Refused(Box::new(self.too_large(bytes, encoding.max_message_bytes)))
        })
    }
}

/// What frames are encoded with.
pub(super) struct Encoding<'a> {
    pub max_message_bytes: usize,
    pub compressor: &'a mut Compressor,
}

/// What the broker measures against `maxMessageSize`: the frame without its sizes and command.
fn headers_and_payload_bytes(frame: &[u8]) -> usize {
    let command_bytes = frame
        .get(4..8)
        .and_then(|size| size.first_chunk())
        .map_or(0, |size| u32::from_be_bytes(*size) as usize);
    frame.len().saturating_sub(8 + command_bytes)
}
