//! Client → consumer and reader sockets (`ConsumerCommand.java`).

use super::WebSocketError;
use super::json::escape::append_string;
use super::json::scalar::{self, Mismatch};
use super::json::{JsonError, Reader, Value};
use super::message_id;
use super::time;
use crate::pulsar::MessageId;
use crate::pulsar::client::SeekTarget;

/// The longest `requestId`, as JSON. It is kept until the command is answered and then sent back.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// One frame of a consumer's or reader's client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<C> {
    pub command: C,
    /// `requestId` as JSON, if there is one: the command is to be answered with it.
    pub id: Option<Box<str>>,
}

/// What a consumer's client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Ack(MessageId),
    /// The message and all before it; not in Java's gateway.
    AckCumulative(MessageId),
    NegativeAck(MessageId),
    /// Not in Java's gateway either.
    Seek(SeekTarget),
    /// Pull mode: so many more messages. 0 (a client's number of 0 or below): none, not an error.
    Permit(u32),
    Unsubscribe,
    IsEndOfTopic,
}

/// What a reader's client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReaderCommand {
    /// One message is handled, whichever: any object that is not a question.
    Handled,
    IsEndOfTopic,
    /// Not in Java's gateway.
    Seek(SeekTarget),
}

/// The frame cannot be understood: the socket is closed with this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    pub error: WebSocketError,
    /// The close reason; what `detail` says is its end.
    pub reason: String,
    pub detail: String,
    /// Some: the socket is not closed, the command is answered with this `requestId`.
    pub request_id: Option<Box<str>>,
}

impl CommandError {
    fn new(detail: impl std::fmt::Display) -> CommandError {
        let error = WebSocketError::FailedToDeserializeFromJson;
        let detail = detail.to_string();
        CommandError {
            error,
            reason: error.reason(&detail),
            detail,
            request_id: None,
        }
    }
}

impl From<JsonError> for CommandError {
    fn from(error: JsonError) -> CommandError {
        CommandError::new(error)
    }
}

/// Reads one frame of a consumer's client, in place.
pub fn parse_command(frame: &mut [u8]) -> Result<Request<Command>, CommandError> {
    if let Some(id) = plain_ack(frame) {
        return Ok(Request {
            command: Command::Ack(id),
            id: None,
        });
    }
    request(frame, command)
}

fn request<C>(
    frame: &mut [u8],
    command: impl FnOnce(&Fields<'_>) -> Result<C, CommandError>,
) -> Result<Request<C>, CommandError> {
    let mut fields = fields(frame)?;
    let id = fields.request_id.take();
    let command = match fields.mismatch {
        None => command(&fields),
        Some(name) => Err(CommandError::new(format_args!(
            "the value of {name} is of the wrong type or out of range"
        ))),
    };
    match command {
        Ok(command) => Ok(Request { command, id }),
        Err(error) => Err(CommandError {
            request_id: id,
            ..error
        }),
    }
}

fn command(fields: &Fields<'_>) -> Result<Command, CommandError> {
    match fields.kind {
        Some(b"permit") => match fields.permit_messages {
            Some(permits) => Ok(Command::Permit(permits.try_into().unwrap_or(0))),
            None => Err(CommandError::new("permitMessages is missing")),
        },
        Some(b"unsubscribe") => Ok(Command::Unsubscribe),
        Some(b"negativeAcknowledge") => Ok(Command::NegativeAck(id(fields)?)),
        Some(b"isEndOfTopic") => Ok(Command::IsEndOfTopic),
        Some(b"seek") => Ok(Command::Seek(seek_target(fields)?)),
        Some(b"ackCumulative") => Ok(Command::AckCumulative(id(fields)?)),
        _ => Ok(Command::Ack(id(fields)?)),
    }
}

/// Reads one frame of a reader's client, in place.
pub fn parse_reader_command(frame: &mut [u8]) -> Result<Request<ReaderCommand>, CommandError> {
    request(frame, |fields| match fields.kind {
        Some(b"isEndOfTopic") => Ok(ReaderCommand::IsEndOfTopic),
        Some(b"seek") => Ok(ReaderCommand::Seek(seek_target(fields)?)),
        _ => Ok(ReaderCommand::Handled),
    })
}

/// Nearly every frame is `{"messageId":"…"}`, with one space behind the colon from Python's `json.dumps`. None: it is
/// something else, or wrong, which the whole way finds out.
fn plain_ack(frame: &[u8]) -> Option<MessageId> {
    let rest = frame.strip_prefix(b"{\"messageId\":")?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let text = rest.strip_prefix(b"\"")?.strip_suffix(b"\"}")?;
    // Base64 has no quote and no escape: a text that parses is the whole value.
    message_id::parse(text).ok()
}

#[derive(Default)]
struct Fields<'a> {
    kind: Option<&'a [u8]>,
    message_id: Option<&'a [u8]>,
    permit_messages: Option<i32>,
    timestamp: Option<Timestamp<'a>>,
    request_id: Option<Box<str>>,
    /// The first field whose value does not fit.
    mismatch: Option<&'static str>,
}

fn fields(frame: &mut [u8]) -> Result<Fields<'_>, CommandError> {
    let mut reader = Reader::new(frame);
    let mut fields = Fields::default();
    if reader.value()? != Value::Object {
        return Err(CommandError::new("not a JSON object"));
    }
    let mut first = true;
    while let Some(name) = reader.key(&mut first)? {
        let value = reader.value()?;
        match fields.set(name, value) {
            Ok(true) => {}
            Ok(false) => reader.skip(value)?,
            Err((name, Mismatch)) => {
                fields.mismatch.get_or_insert(name);
                reader.skip(value)?;
            }
        }
    }
    Ok(fields)
}

impl<'a> Fields<'a> {
    /// False: not a field of the protocol. Of two equal ones the last counts.
    fn set(&mut self, name: &[u8], value: Value<'a>) -> Result<bool, (&'static str, Mismatch)> {
        match name {
            b"type" => self.kind = scalar::bytes(value).map_err(|e| ("type", e))?,
            b"messageId" => self.message_id = scalar::bytes(value).map_err(|e| ("messageId", e))?,
            b"permitMessages" => {
                self.permit_messages = scalar::int(value).map_err(|e| ("permitMessages", e))?;
            }
            b"timestamp" => {
                let timestamp = timestamp(value);
                self.timestamp = timestamp.unwrap_or(Some(Timestamp::Wrong));
                return Ok(false);
            }
            b"requestId" => match request_id(value) {
                Ok(id) => self.request_id = id,
                Err(Mismatch) => return Ok(false),
            },
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Milliseconds since 1970, or ISO 8601 with an offset.
#[derive(Clone, Copy)]
enum Timestamp<'a> {
    Millis(i64),
    Text(&'a str),
    /// Only a seek minds.
    Wrong,
}

fn timestamp(value: Value<'_>) -> Result<Option<Timestamp<'_>>, Mismatch> {
    Ok(match value {
        Value::Text(_) => scalar::text(value)?.map(Timestamp::Text),
        _ => scalar::long(value)?.map(Timestamp::Millis),
    })
}

/// `messageId` (an id, `earliest` or `latest`) or `timestamp`; exactly one of the two.
fn seek_target(fields: &Fields<'_>) -> Result<SeekTarget, CommandError> {
    match (fields.message_id, fields.timestamp) {
        (Some(b"earliest"), None) => Ok(SeekTarget::Earliest),
        (Some(b"latest"), None) => Ok(SeekTarget::Latest),
        (Some(_), None) => Ok(SeekTarget::Message(id(fields)?)),
        (None, Some(Timestamp::Millis(time_ms))) => {
            Ok(SeekTarget::PublishTime(since_1970(time_ms)))
        }
        (None, Some(Timestamp::Text(text))) => match time::parse(text) {
            Ok(time_ms) => Ok(SeekTarget::PublishTime(since_1970(time_ms))),
            Err(error) => Err(CommandError::new(error)),
        },
        _ => Err(CommandError::new("a seek needs messageId or timestamp")),
    }
}

/// Nothing was published before.
fn since_1970(time_ms: i64) -> u64 {
    time_ms.max(0) as u64
}

/// Any scalar but `null`, as it will be sent back. What cannot be one is ignored, as an unknown field is.
fn request_id(value: Value<'_>) -> Result<Option<Box<str>>, Mismatch> {
    let Some(text) = scalar::text(value)? else {
        return Ok(None);
    };
    let mut json = Vec::new();
    match value {
        Value::Text(_) => append_string(text, &mut json),
        _ => json.extend_from_slice(text.as_bytes()),
    }
    if json.len() > MAX_REQUEST_ID_BYTES {
        return Err(Mismatch);
    }
    let json = String::from_utf8(json).map_err(|_| Mismatch)?;
    Ok(Some(json.into_boxed_str()))
}

fn id(fields: &Fields<'_>) -> Result<MessageId, CommandError> {
    match fields.message_id {
        Some(text) => message_id::parse(text).map_err(CommandError::new),
        None => Err(CommandError::new("messageId is missing")),
    }
}
