//! What is published to a dead-letter topic for a message: the message, and where it is from.
//!
//! As Java's ConsumerImpl (`getPropertiesMap`, `copyMessageKeysIfNeeded`, `copyMessageEventTime`): its own properties come
//! first and win, all are sorted by key. One that is too large for an entry, as one that was compressed may be here, goes
//! in chunks.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;

use bytes::{Bytes, BytesMut};

use super::Now;
use crate::pulsar::client::{Client, ProducerId, SendEncryption, SendFields, SendRefused, Tag};
use crate::pulsar::message::{Encryption, EncryptionKey, Parts};
use crate::pulsar::wire::{ChunkFields, Compression};
use crate::pulsar::{Message, MessageId};

/// The most chunks that a letter is cut into. A broker with the default bound needs a dozen for the largest message that
/// is read; one that takes kilobytes only must not get a hundred thousand.
const MAX_CHUNKS: usize = 1_000;

/// One dead letter, borrowed from its message.
pub struct DeadLetter<'a> {
    properties: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    parts: Parts<'a>,
    /// Whoever has the key can still decrypt it. Java's dead letters say no more how they were encrypted.
    encryption: Option<(Encryption<'a>, Vec<Bytes>)>,
    payload: &'a [u8],
}

impl<'a> DeadLetter<'a> {
    /// `source` is the topic or partition that the message is from.
    pub fn new(message: &'a Message, source: &'a str, subscription: &'a str) -> DeadLetter<'a> {
        let parts = message.parts();
        let encryption = message.is_encrypted(&parts).then(|| {
            let encryption = message.encryption();
            let keys = encryption.keys.iter().map(EncryptionKey::encode).collect();
            (encryption, keys)
        });
        let mut properties: BTreeMap<Cow<'a, str>, Cow<'a, str>> =
            parts.properties.clone().collect();
        let id: Cow<'a, str> = Cow::Owned(java_text(&message.id));
        for (key, value) in [
            ("REAL_TOPIC", Cow::Borrowed(source)),
            // The older name of the next.
            ("ORIGIN_MESSAGE_IDY_TIME", id.clone()),
            ("ORIGIN_MESSAGE_ID", id),
            ("REAL_SUBSCRIPTION", Cow::Borrowed(subscription)),
        ] {
            properties.entry(Cow::Borrowed(key)).or_insert(value);
        }
        DeadLetter {
            properties,
            parts,
            encryption,
            payload: &message.payload,
        }
    }

    /// What chooses its partition.
    pub fn key(&self) -> Option<&str> {
        self.parts.key.as_deref()
    }

    /// Hands it to the producer; answered under the tag, as often as is said here. `uuid` is that of its chunks, should
    /// there be several.
    pub fn send(
        &self,
        now: Now,
        client: &mut Client,
        producer: ProducerId,
        tag: Tag,
        uuid: &str,
    ) -> Result<usize, SendRefused<Infallible>> {
        let properties: Vec<(&str, &str)> = self
            .properties
            .iter()
            .map(|(key, value)| (key.as_ref(), value.as_ref()))
            .collect();
        let fields = SendFields {
            properties: &properties,
            partition_key: self.key(),
            partition_key_b64_encoded: self.parts.key_is_base64,
            ordering_key: self.parts.ordering_key,
            null_value: self.parts.null_value,
            event_time_ms: self.parts.event_time_ms,
            encryption: self.encryption.as_ref().map(as_it_was),
            publish_time_ms: now.wall_ms,
            ..SendFields::default()
        };
        let payload = match self.parts.null_value {
            true => &[],
            false => self.payload,
        };
        let whole = ChunkFields {
            uuid,
            chunk_id: 0,
            num_chunks_from_msg: 1,
            total_chunk_msg_size: payload.len() as i32,
        };
        let chunk_bytes = self.chunk_bytes(client, producer, &fields, whole, payload.len());
        let mut send = |fields: &SendFields<'_>, payload: &[u8]| {
            let fill = |out: &mut BytesMut| {
                out.extend_from_slice(payload);
                Ok::<(), Infallible>(())
            };
            client.send(now.mono_ms, producer, tag, fields, payload.len(), fill)
        };
        let Some(chunk_bytes) = chunk_bytes else {
            return send(&fields, payload).map(|()| 1);
        };
        let count = payload.len().div_ceil(chunk_bytes);
        for (part, at) in payload.chunks(chunk_bytes).zip(0..) {
            let chunk = ChunkFields {
                chunk_id: at,
                num_chunks_from_msg: count as i32,
                ..whole
            };
            let fields = SendFields {
                chunk: Some(chunk),
                ..fields.clone()
            };
            send(&fields, part)?;
        }
        Ok(count)
    }

    /// How it is cut. `None`: it goes as it is, and may be refused. Chunks are encrypted one by one, which somebody else
    /// would have to do.
    fn chunk_bytes(
        &self,
        client: &Client,
        producer: ProducerId,
        fields: &SendFields<'_>,
        whole: ChunkFields<'_>,
        payload_len: usize,
    ) -> Option<usize> {
        let fields = SendFields {
            chunk: Some(whole),
            ..fields.clone()
        };
        let room = client.chunk_room(producer, &fields)?;
        let cuts = self.encryption.is_none()
            && payload_len > room
            && payload_len.div_ceil(room) <= MAX_CHUNKS;
        cuts.then_some(room)
    }
}

fn as_it_was<'a>((encryption, keys): &'a (Encryption<'_>, Vec<Bytes>)) -> SendEncryption<'a> {
    SendEncryption {
        param: Some(encryption.param),
        compression: Compression::from_number(encryption.compression),
        uncompressed_size: encryption.uncompressed_size,
        keys,
        batch_size: encryption.batch_size,
    }
}

/// `toString()` of Java's `MessageIdImpl` and `BatchMessageIdImpl`.
fn java_text(id: &MessageId) -> String {
    // Java's longs: an id of −1 is one here, too.
    let (ledger, entry) = (id.ledger as i64, id.entry as i64);
    match id.batch_index {
        index if index < 0 => format!("{ledger}:{entry}:{}", id.partition),
        index => format!("{ledger}:{entry}:{}:{index}", id.partition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::prost::Message as _;
    use ::pulsar::proto::{KeyValue, MessageMetadata};

    fn message(properties: &[(&str, &str)], batch_index: i32) -> Message {
        let metadata = MessageMetadata {
            properties: properties
                .iter()
                .map(|(key, value)| KeyValue {
                    key: (*key).to_owned(),
                    value: (*value).to_owned(),
                })
                .collect(),
            ..MessageMetadata::default()
        };
        Message {
            id: MessageId {
                ledger: 7,
                entry: 3,
                partition: -1,
                batch_index,
                batch_size: 0,
            },
            first_chunk: None,
            oldest_begun: None,
            redelivery_count: 3,
            publish_time_ms: 1,
            metadata: Bytes::from(metadata.encode_to_vec()),
            payload: Bytes::from_static(b"x"),
            decrypted_from: None,
        }
    }

    fn properties(message: &Message) -> Vec<(String, String)> {
        let letter = DeadLetter::new(message, "persistent://p/d/t", "sub");
        let properties = letter.properties.iter();
        properties
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn properties_say_where_it_is_from_and_are_sorted_as_java_sorts_them() {
        assert_eq!(
            properties(&message(&[("z", "1"), ("A", "2")], -1)),
            pairs(&[
                ("A", "2"),
                ("ORIGIN_MESSAGE_ID", "7:3:-1"),
                ("ORIGIN_MESSAGE_IDY_TIME", "7:3:-1"),
                ("REAL_SUBSCRIPTION", "sub"),
                ("REAL_TOPIC", "persistent://p/d/t"),
                ("z", "1"),
            ])
        );
    }

    #[test]
    fn what_the_message_says_of_its_origin_itself_stays() {
        let again = message(
            &[("REAL_TOPIC", "first"), ("ORIGIN_MESSAGE_ID", "1:1:-1")],
            -1,
        );
        let properties = properties(&again);
        assert_eq!(properties[0].1, "1:1:-1");
        assert_eq!(properties[3].1, "first");
    }

    #[test]
    fn an_id_in_a_batch_ends_with_its_index() {
        assert_eq!(java_text(&message(&[], 2).id), "7:3:-1:2");
    }
}
