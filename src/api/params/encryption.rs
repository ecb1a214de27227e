//! `encryptionKeys`: base64 of a JSON map when the client encrypts (PIP-290), else key names of the gateway's own.

use std::collections::BTreeSet;
use std::fmt;

use crate::api::base64::Base64;
use crate::api::json::{JsonError, Reader, Value, scalar};
use crate::api::linked_map::LinkedMap;
use crate::api::{Query, Refusal};

/// An encrypted data key that the client publishes with its messages (`EncryptionKeys` of PulsarApi.proto).
#[derive(Clone, PartialEq, Eq)]
pub struct ClientKey {
    pub name: String,
    pub value: Vec<u8>,
    pub metadata: Vec<(String, String)>,
}

/// Keys are not for logs.
impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The client's keys; empty when `encryptionKeys` is not a base64 JSON map, whose text then means key names.
pub fn client_keys(query: &Query) -> Result<Vec<ClientKey>, Refusal> {
    let text = query.get("encryptionKeys").unwrap_or_default();
    let text = text.trim_matches(|c: char| c <= ' ');
    let Ok(mut json) = Base64::new(text.as_bytes()).and_then(Base64::to_vec) else {
        return Ok(Vec::new());
    };
    let Ok(entries) = key_map(&mut json) else {
        return Ok(Vec::new());
    };
    let first = entries.first().and_then(|(_, key)| key.as_ref());
    if first.is_none_or(|key| key.value.is_none()) {
        return Ok(Vec::new());
    }
    if entries.len() > KEYS_MAX {
        return Err(Refusal::invalid_params(TOO_MANY_KEYS));
    }
    entries.into_iter().map(client_key).collect()
}

/// Keys of one producer: each costs a message some hundred bytes, and one of the gateway's some hundred microseconds at
/// the start. Java has no limit.
const KEYS_MAX: usize = 100;
const TOO_MANY_KEYS: &str = "encryptionKeys names more than 100 keys";

/// The names of the gateway's keys, where the client does not encrypt itself; none only where it does not name any.
pub fn key_names(query: &Query) -> Vec<String> {
    let Some(text) = query.get("encryptionKeys") else {
        return Vec::new();
    };
    // As Java's `String.split`: nothing behind the last name counts.
    let names: BTreeSet<&str> = text.trim_end_matches(',').split(',').collect();
    names.into_iter().map(str::to_owned).collect()
}

/// Whether a producer may be made that encrypts for the owners of these keys. `has_keys`: this gateway has some.
///
/// Where only commas are named Java's producer encrypts nothing; here that is refused.
pub fn check_key_names(names: &[String], has_keys: bool) -> Result<(), Refusal> {
    let refused = if names.is_empty() {
        return Ok(());
    } else if !has_keys {
        // In Java's words, although its class is not what helps here.
        "Can't add encryption key without configuring cryptoKeyReaderFactoryClassName"
    } else if names.iter().any(|name| crate::api::topic::is_blank(name)) {
        "Encryption key cannot be blank"
    } else if names.len() > KEYS_MAX {
        TOO_MANY_KEYS
    } else {
        return Ok(());
    };
    Err(Refusal::invalid_params(refused))
}

fn client_key((name, key): (String, Option<Key>)) -> Result<ClientKey, Refusal> {
    if crate::api::topic::is_blank(&name) {
        return Err(Refusal::invalid_params("Empty param encryptionKeys.key"));
    }
    let Some(key) = key else {
        return Err(Refusal::invalid_params("Empty param encryptionKeys.value"));
    };
    match key.value {
        Some(value) => Ok(ClientKey {
            name: name.trim_matches(|c: char| c <= ' ').to_owned(),
            value,
            metadata: key.metadata,
        }),
        None => Err(Refusal::invalid_params(
            "Empty param encryptionKeys.value.keyValue",
        )),
    }
}

#[derive(Default)]
struct Key {
    value: Option<Vec<u8>>,
    metadata: Vec<(String, String)>,
}

/// Not such a map: Java goes on as if the parameter held names, whatever is wrong.
struct NotAKeyMap;

impl From<JsonError> for NotAKeyMap {
    fn from(_: JsonError) -> NotAKeyMap {
        NotAKeyMap
    }
}

impl From<scalar::Mismatch> for NotAKeyMap {
    fn from(_: scalar::Mismatch) -> NotAKeyMap {
        NotAKeyMap
    }
}

/// `{name: {"keyValue": base64, "metadata": {name: text}}}`; of two equal names the last counts.
fn key_map(json: &mut [u8]) -> Result<Vec<(String, Option<Key>)>, NotAKeyMap> {
    let mut reader = Reader::new(json);
    let mut keys = LinkedMap::default();
    if reader.value()? != Value::Object {
        return Err(NotAKeyMap);
    }
    let mut first = true;
    while let Some(name) = reader.key(&mut first)? {
        let name = owned(Value::Text(name))?;
        let value = reader.value()?;
        let key = key(&mut reader, value)?;
        keys.put(name, key);
    }
    Ok(keys.into_entries())
}

fn key(reader: &mut Reader<'_>, value: Value<'_>) -> Result<Option<Key>, NotAKeyMap> {
    let mut key = Key::default();
    match value {
        Value::Null => return Ok(None),
        Value::Object => {}
        _ => return Err(NotAKeyMap),
    }
    let mut first = true;
    while let Some(name) = reader.key(&mut first)? {
        let value = reader.value()?;
        match name {
            b"keyValue" => key.value = key_value(value)?,
            b"metadata" => key.metadata = metadata(reader, value)?,
            _ => reader.skip(value)?,
        }
    }
    Ok(Some(key))
}

fn key_value(value: Value<'_>) -> Result<Option<Vec<u8>>, NotAKeyMap> {
    let Some(text) = scalar::bytes(value)? else {
        return Ok(None);
    };
    let bytes = Base64::new(text).and_then(Base64::to_vec);
    Ok(Some(bytes.map_err(|_| NotAKeyMap)?))
}

fn metadata(
    reader: &mut Reader<'_>,
    value: Value<'_>,
) -> Result<Vec<(String, String)>, NotAKeyMap> {
    let mut metadata = LinkedMap::default();
    match value {
        Value::Null => return Ok(Vec::new()),
        Value::Object => {}
        _ => return Err(NotAKeyMap),
    }
    let mut first = true;
    while let Some(name) = reader.key(&mut first)? {
        let name = owned(Value::Text(name))?;
        let value = owned(reader.value()?)?;
        metadata.put(name, value);
    }
    Ok(metadata.into_entries())
}

fn owned(value: Value<'_>) -> Result<String, NotAKeyMap> {
    Ok(scalar::text(value)?.ok_or(NotAKeyMap)?.to_owned())
}
