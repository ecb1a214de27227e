//! Client → producer socket: one message to publish (`ProducerMessage.java`, `ProducerHandler.onWebSocketText`).

mod fields;

use std::borrow::Cow;
use std::fmt;

use bytes::BytesMut;

use super::WebSocketError;
use super::base64::{Base64, Base64Error};
use super::compression::Compression;
use super::time;
use fields::{Fields, Unreadable};

/// A message as the client wants it published. All but the inside of its payload has been checked.
#[derive(PartialEq, Eq)]
pub struct Publish<'a> {
    payload: Base64<'a>,
    /// Comes back in the ack.
    pub context: Option<&'a str>,
    /// Each name once, in the order of their first mention.
    pub properties: Vec<(&'a str, &'a str)>,
    pub key: Option<&'a str>,
    /// `MessageMetadata.replicate_to`: the clusters asked for, or the mark that Java's `disableReplication` sets.
    pub replicate_to: Vec<&'a str>,
    /// Milliseconds since 1970.
    pub event_time_ms: Option<i64>,
    /// Above 0 only.
    pub sequence_id: Option<u64>,
    /// The client's encryption of this message; counts only on a socket with client keys.
    pub encryption: MessageEncryption,
    deliver_at_ms: Option<i64>,
    deliver_after_ms: Option<i64>,
}

/// Nothing of a message is for logs but its size.
impl fmt::Debug for Publish<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Publish");
        text.field("payload_len", &self.payload_len())
            .finish_non_exhaustive()
    }
}

/// What a client that encrypts says about one message.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MessageEncryption {
    /// `MessageMetadata.encryption_param`: the initialization vector.
    pub param: Option<Vec<u8>>,
    /// The client's own compression and the size before it. None: not compressed.
    pub compression: Option<(Compression, i32)>,
}

/// The answer is `send-error` with this number and text; the socket stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishError<'a> {
    /// FailedToDeserializeFromJson (3) or PayloadEncodingError (7).
    pub error: WebSocketError,
    pub message: Cow<'static, str>,
    /// Echoed whenever the JSON could be read.
    pub context: Option<&'a str>,
}

/// `MessageMetadata.replicate_to` of a message that stays in its cluster (`TypedMessageBuilderImpl`).
const LOCAL_ONLY: &str = "__local__";

impl<'a> Publish<'a> {
    /// The exact number of bytes that [`Publish::decode_payload`] appends.
    pub fn payload_len(&self) -> usize {
        self.payload.decoded_len()
    }

    /// Appends the payload. On an error (bad base64) nothing is appended, and the message must not be published.
    pub fn decode_payload(&self, out: &mut BytesMut) -> Result<(), PublishError<'a>> {
        let start = out.len();
        out.resize(start + self.payload.decoded_len(), 0);
        self.payload.decode(&mut out[start..]).map_err(|error| {
            out.truncate(start);
            let (error, message) = bad_payload(error);
            PublishError {
                error,
                message,
                context: self.context,
            }
        })
    }

    /// When to deliver it, in milliseconds since 1970; a delay wins over a time, as in Java. One that leads beyond the
    /// end of time is none (in Java the sum is a time long ago): the message comes at once, and not never.
    pub fn deliver_at_ms(&self, now_ms: i64) -> Option<i64> {
        match self.deliver_after_ms {
            Some(delay_ms) => now_ms.checked_add(delay_ms),
            None => self.deliver_at_ms,
        }
    }
}

/// Reads one frame; `client_encrypts` is true on a socket with client keys. Rewrites the frame in place.
///
/// Frame size and nesting are bounded, by the WebSocket decoder and by the JSON reader; nothing here grows faster than
/// the frame.
pub fn parse_publish(
    frame: &mut [u8],
    client_encrypts: bool,
) -> Result<Publish<'_>, PublishError<'_>> {
    let fields = match Fields::read(frame) {
        Ok(fields) => fields,
        Err(Unreadable(message)) => {
            return Err(PublishError {
                error: WebSocketError::FailedToDeserializeFromJson,
                message,
                context: None,
            });
        }
    };
    let context = fields.context;
    let checked = payload(&fields).and_then(|payload| {
        // Java decodes the payload before it looks at the rest: its mistake is the one to name.
        check(fields, payload, client_encrypts).map_err(|refused| match payload.check() {
            Ok(()) => refused,
            Err(error) => bad_payload(error),
        })
    });
    checked.map_err(|(error, message)| PublishError {
        error,
        message,
        context,
    })
}

type Refused = (WebSocketError, Cow<'static, str>);

/// The content of the fields beside the payload, in Java's order: properties, clusters, event time, encryption.
fn check<'a>(
    fields: Fields<'a>,
    payload: Base64<'a>,
    client_encrypts: bool,
) -> Result<Publish<'a>, Refused> {
    let missing = |what: &'static str| {
        let text = Cow::Borrowed(what);
        (WebSocketError::FailedToDeserializeFromJson, text)
    };
    let properties = fields.properties.into_iter();
    let properties = properties.map(|(name, value)| Some((name, value?)));
    let replicate_to = match fields.disable_replication {
        true => Some(vec![LOCAL_ONLY]),
        false => fields.replication_clusters.into_iter().collect(),
    };
    Ok(Publish {
        payload,
        context: fields.context,
        properties: properties
            .collect::<Option<_>>()
            .ok_or_else(|| missing("A property has no value"))?,
        key: fields.key,
        replicate_to: replicate_to.ok_or_else(|| missing("A replication cluster has no name"))?,
        event_time_ms: fields.event_time.map(event_time).transpose()?,
        encryption: match client_encrypts {
            true => encryption(
                fields.encryption_param,
                fields.compression,
                fields.uncompressed_size,
            )?,
            false => MessageEncryption::default(),
        },
        sequence_id: positive(fields.sequence_id).map(i64::unsigned_abs),
        deliver_at_ms: positive(fields.deliver_at),
        deliver_after_ms: positive(fields.deliver_after_ms),
    })
}

fn payload<'a>(fields: &Fields<'a>) -> Result<Base64<'a>, Refused> {
    let text = match fields.payload {
        Some(text) => text,
        None if fields.absent => return Err(encoding_error("The request is null")),
        None => return Err(encoding_error("The payload is missing")),
    };
    Base64::new(text).map_err(bad_payload)
}

fn bad_payload(error: Base64Error) -> Refused {
    encoding_error(format!("Invalid Base64 message-payload error={error}"))
}

fn event_time(text: &str) -> Result<i64, Refused> {
    time::parse(text).map_err(|error| encoding_error(error.to_string()))
}

fn encryption(
    param: Option<&[u8]>,
    compression: Option<Compression>,
    uncompressed_size: Option<i32>,
) -> Result<MessageEncryption, Refused> {
    let param = param.filter(|text| !text.iter().all(u8::is_ascii_whitespace));
    let decode = |text| {
        let bytes = Base64::new(text).and_then(Base64::to_vec);
        bytes.map_err(|error| {
            encoding_error(format!("Invalid Base64 encryptionParam error={error}"))
        })
    };
    Ok(MessageEncryption {
        param: param.map(decode).transpose()?,
        compression: match (compression, uncompressed_size) {
            (Some(compression), Some(size)) => Some((compression, size)),
            (None | Some(Compression::None), None) => None,
            _ => {
                return Err(encoding_error(
                    "the params compressionType and uncompressedMessageSize should both empty or both non-empty",
                ));
            }
        },
    })
}

fn encoding_error(text: impl Into<Cow<'static, str>>) -> Refused {
    (WebSocketError::PayloadEncodingError, text.into())
}

fn positive(value: Option<i64>) -> Option<i64> {
    value.filter(|value| *value > 0)
}
