//! A producer's messages become frames: compressed, encrypted, with its name and the next sequence id, and measured.

use std::convert::Infallible;

use bytes::BytesMut;

use super::pending::Content;
use super::producer::Producer;
use super::spec::{ProducerId, SendFields};
use crate::pulsar::crypto::{IV_BYTES, Sealing, TAG_BYTES};
use crate::pulsar::message::Compressor;
use crate::pulsar::wire::{self, Compression, EncodeSendError, MetadataFields, SendHeader};

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
        let metadata = metadata_of(fields, sequence_id);
        let content = self.frame(id, metadata, payload_len, encoding, fill)?;
        if matches!(content, Content::Frame { .. }) {
            self.used(sequence_id);
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
            is_chunk: metadata.chunk.is_some(),
        };
        let sealing = self.spec.sealing.as_deref();
        let keys = sealing.map_or(&self.spec.encryption_keys[..], Sealing::keys);
        let mut metadata = MetadataFields {
            producer_name: self.name.as_deref().unwrap_or_default(),
            encryption_keys: match metadata.encryption_keys {
                [] => keys,
                own => own,
            },
            ..metadata
        };
        let mut frame = BytesMut::new();
        // Not even nothing: a ZLIB stream of no bytes is more than the C++ client can read.
        let compresses = payload_len > 0 && self.spec.encryption_keys.is_empty();
        let compression = self.spec.compression.filter(|_| compresses);
        if compression.is_none() && sealing.is_none() {
            wire::encode_send(&header, &metadata, payload_len, &mut frame, fill)?;
        } else {
            let plain = filled(payload_len, fill)?;
            let packed = encoding.pack(plain, compression, sealing);
            let (packed, iv) = packed.ok_or(EncodeSendError::TooLarge)?;
            metadata.compression = compression;
            metadata.uncompressed_size = Some(payload_len as u32);
            if let Some(iv) = &iv {
                metadata.encryption_param = Some(iv);
            }
            wire::encode_send(&header, &metadata, packed.len(), &mut frame, |out| {
                out.extend_from_slice(&packed);
                Ok(())
            })?;
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

    /// How long the payload of a chunk with these fields may be. `None`: they take more than half of an entry, and each
    /// chunk has all of them.
    pub fn chunk_room(&self, fields: &SendFields<'_>, max_message_bytes: usize) -> Option<usize> {
        /// In front of the metadata: magic, checksum, its size.
        const HEADER_BYTES: usize = 2 + 4 + 4;
        let metadata = MetadataFields {
            producer_name: self.name.as_deref().unwrap_or_default(),
            ..metadata_of(fields, 0)
        };
        let room = max_message_bytes.checked_sub(HEADER_BYTES + metadata.len_bound())?;
        (room > 0 && room >= max_message_bytes / 2).then_some(room)
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

/// Without what is the producer's.
fn metadata_of<'a>(fields: &SendFields<'a>, sequence_id: u64) -> MetadataFields<'a> {
    MetadataFields {
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
        num_messages_in_batch: fields.encryption.and_then(|it| it.batch_size),
        encryption_keys: fields.encryption.map_or(&[], |it| it.keys),
        encryption_param: fields.encryption.and_then(|it| it.param),
        compression: fields.encryption.and_then(|it| it.compression),
        uncompressed_size: fields.encryption.map(|it| it.uncompressed_size),
        chunk: fields.chunk,
        ..Default::default()
    }
}

/// What frames are encoded with.
pub(super) struct Encoding<'a> {
    pub max_message_bytes: usize,
    pub compressor: &'a mut Compressor,
}

impl Encoding<'_> {
    /// Compresses, then encrypts; with the vector that it was encrypted with. None: the codec or the cipher has failed,
    /// which only a lack of memory or 64 GiB make them do.
    fn pack(
        &mut self,
        plain: BytesMut,
        compression: Option<Compression>,
        sealing: Option<&Sealing>,
    ) -> Option<(BytesMut, Option<[u8; IV_BYTES]>)> {
        let mut packed = match compression {
            Some(compression) => self.compressor.compress(compression, &plain)?.into(),
            None => plain,
        };
        let iv = match sealing {
            Some(sealing) => Some(sealing.encrypt(&mut packed)?),
            None => None,
        };
        Some((packed, iv))
    }
}

fn filled<E>(
    len: usize,
    fill: impl FnOnce(&mut BytesMut) -> Result<(), E>,
) -> Result<BytesMut, EncodeSendError<E>> {
    // And a tag behind it.
    let mut plain = BytesMut::with_capacity(len + TAG_BYTES);
    fill(&mut plain).map_err(EncodeSendError::Fill)?;
    match plain.len() == len {
        true => Ok(plain),
        false => Err(EncodeSendError::PayloadLength {
            announced: len,
            written: plain.len(),
        }),
    }
}

/// What the broker measures against `maxMessageSize`: the frame without its sizes and command.
pub(super) fn headers_and_payload_bytes(frame: &[u8]) -> usize {
    let command_bytes = frame
        .get(4..8)
        .and_then(|size| size.first_chunk())
        .map_or(0, |size| u32::from_be_bytes(*size) as usize);
    frame.len().saturating_sub(8 + command_bytes)
}
