//! The fields of one publish frame in the types of `ProducerMessage`, as Jackson fills them. What they hold is not looked
//! at here.

use std::borrow::Cow;

use crate::api::compression::Compression;
use crate::api::json::scalar::{self, Mismatch};
use crate::api::json::{JsonError, Reader, Value};
use crate::api::linked_map::LinkedMap;

/// Properties of one message. Pulsar has no bound but that of the frame, of which one may hold 200,000: a named one keeps
/// what a message costs every consumer in proportion, and is far above what applications use.
const PROPERTIES_MAX: usize = 10_000;

/// Clusters to replicate one message to. Nobody has as many.
const CLUSTERS_MAX: usize = 1_000;

/// Absent fields and fields of `null` are the same.
#[derive(Default)]
pub struct Fields<'a> {
    /// The document was `null`, which Jackson reads as no message at all.
    pub absent: bool,
    pub payload: Option<&'a [u8]>,
    pub context: Option<&'a str>,
    pub properties: Vec<(&'a str, Option<&'a str>)>,
    pub key: Option<&'a str>,
    pub replication_clusters: Vec<Option<&'a str>>,
    pub event_time: Option<&'a str>,
    pub sequence_id: Option<i64>,
    pub disable_replication: bool,
    pub deliver_at: Option<i64>,
    pub deliver_after_ms: Option<i64>,
    pub encryption_param: Option<&'a [u8]>,
    pub compression: Option<Compression>,
    pub uncompressed_size: Option<i32>,
}

/// Error 3, in plain words.
pub struct Unreadable(pub Cow<'static, str>);

impl From<JsonError> for Unreadable {
    fn from(error: JsonError) -> Unreadable {
        Unreadable(Cow::Owned(format!("Not readable as JSON: {error}")))
    }
}

impl<'a> Fields<'a> {
    /// Reads one frame, in place.
    pub fn read(frame: &'a mut [u8]) -> Result<Fields<'a>, Unreadable> {
        let mut reader = Reader::new(frame);
        let mut fields = Fields::default();
        match reader.value()? {
            Value::Object => {}
            Value::Null => {
                fields.absent = true;
                return Ok(fields);
            }
            _ => return Err(Unreadable(Cow::Borrowed("Not a JSON object"))),
        }
        let mut first = true;
        while let Some(name) = reader.key(&mut first)? {
            let value = reader.value()?;
            match name {
                b"properties" => fields.properties = properties(&mut reader, value)?,
                b"replicationClusters" => {
                    fields.replication_clusters = strings(&mut reader, value)?
                }
                _ => match fields.set(name, value) {
                    Ok(true) => {}
                    Ok(false) => reader.skip(value)?,
                    Err(Mismatch) => return Err(wrong_type(name)),
                },
            }
        }
        Ok(fields)
    }

    /// False: not a field of the protocol. Of two equal ones the last counts.
    fn set(&mut self, name: &[u8], value: Value<'a>) -> Result<bool, Mismatch> {
        match name {
            b"payload" => self.payload = scalar::bytes(value)?,
            b"context" => self.context = scalar::text(value)?,
            b"key" => self.key = scalar::text(value)?,
            b"eventTime" => self.event_time = scalar::text(value)?,
            b"sequenceId" => self.sequence_id = scalar::long(value)?,
            b"disableReplication" => self.disable_replication = scalar::boolean(value)?,
            b"deliverAt" => self.deliver_at = scalar::long(value)?,
            b"deliverAfterMs" => self.deliver_after_ms = scalar::long(value)?,
            b"encryptionParam" => self.encryption_param = scalar::bytes(value)?,
            b"compressionType" => {
                self.compression = scalar::variant(value, &Compression::NAMES)?;
            }
            b"uncompressedMessageSize" => self.uncompressed_size = scalar::int(value)?,
            // Java reads these and does nothing with them; their types are checked all the same.
            b"schemaVersion" => drop(scalar::long(value)?),
            b"keySchema" | b"valueSchema" => drop(scalar::bytes(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn wrong_type(name: &[u8]) -> Unreadable {
    let name = String::from_utf8_lossy(name);
    Unreadable(Cow::Owned(format!(
        "The value of {name} is of the wrong type or out of range"
    )))
}

fn too_many(name: &str, most: usize) -> Unreadable {
    Unreadable(Cow::Owned(format!("More than {most} {name}")))
}

/// A name that comes again keeps its place and gets the new value.
fn properties<'a>(
    reader: &mut Reader<'a>,
    value: Value<'a>,
) -> Result<Vec<(&'a str, Option<&'a str>)>, Unreadable> {
    let wrong = |Mismatch| wrong_type(b"properties");
    let mut properties = LinkedMap::default();
    match value {
        Value::Null => return Ok(Vec::new()),
        Value::Object => {}
        _ => return Err(wrong(Mismatch)),
    }
    let mut first = true;
    while let Some(name) = reader.key(&mut first)? {
        let name = scalar::text(Value::Text(name))
            .map_err(wrong)?
            .unwrap_or_default();
        let value = scalar::text(reader.value()?).map_err(wrong)?;
        properties.put(name, value);
        if properties.len() > PROPERTIES_MAX {
            return Err(too_many("properties", PROPERTIES_MAX));
        }
    }
    Ok(properties.into_entries())
}

fn strings<'a>(
    reader: &mut Reader<'a>,
    value: Value<'a>,
) -> Result<Vec<Option<&'a str>>, Unreadable> {
    let wrong = |Mismatch| wrong_type(b"replicationClusters");
    let mut strings = Vec::new();
    match value {
        Value::Null => return Ok(strings),
        Value::Array => {}
        _ => return Err(wrong(Mismatch)),
    }
    let mut first = true;
    while reader.element(&mut first)? {
        strings.push(scalar::text(reader.value()?).map_err(wrong)?);
        if strings.len() > CLUSTERS_MAX {
            return Err(too_many("replicationClusters", CLUSTERS_MAX));
        }
    }
    Ok(strings)
}
