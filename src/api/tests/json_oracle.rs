//! The reader against `serde_json`, on documents and on near misses.

use proptest::prelude::*;
use serde_json::Value as Oracle;

use super::{CASES, any_text};
use crate::api::json::{JsonError, Reader, Value, escape};

/// The document as `serde_json` would have it, numbers as their literals' text.
fn tree(reader: &mut Reader<'_>) -> Result<Oracle, JsonError> {
    let mut first = true;
    Ok(match reader.value()? {
        Value::Text(text) => Oracle::String(String::from_utf8_lossy(text).into_owned()),
        Value::Number(literal) => {
            serde_json::from_slice(literal).map_err(|_| reader.error("number"))?
        }
        Value::True => Oracle::Bool(true),
        Value::False => Oracle::Bool(false),
        Value::Null => Oracle::Null,
        Value::Array => {
            let mut elements = Vec::new();
            while reader.element(&mut first)? {
                elements.push(tree(reader)?);
            }
            Oracle::Array(elements)
        }
        Value::Object => {
            let mut fields = serde_json::Map::new();
            while let Some(name) = reader.key(&mut first)? {
                let name = String::from_utf8_lossy(name).into_owned();
                fields.insert(name, tree(reader)?);
            }
            Oracle::Object(fields)
        }
    })
}

fn document() -> impl Strategy<Value = Oracle> {
    let leaf = prop_oneof![
        Just(Oracle::Null),
        any::<bool>().prop_map(Oracle::Bool),
        any::<i64>().prop_map(Oracle::from),
        any::<u64>().prop_map(Oracle::from),
        (-1e9f64..1e9).prop_map(Oracle::from),
        any_text().prop_map(Oracle::String),
        prop::collection::vec(0u8..0x80, 0..60)
            .prop_map(|ascii| Oracle::String(ascii.into_iter().map(char::from).collect())),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Oracle::Array),
            prop::collection::vec((any_text(), inner), 0..6)
                .prop_map(|fields| Oracle::Object(fields.into_iter().collect())),
        ]
    })
}

/// Reads all of `text`, and says whether skipping it comes to the same.
fn read(text: &[u8]) -> Option<Oracle> {
    let mut copy = text.to_vec();
    let mut reader = Reader::new(&mut copy);
    let read = tree(&mut reader);
    let mut copy = text.to_vec();
    let mut reader = Reader::new(&mut copy);
    let skipped = reader.value().and_then(|value| reader.skip(value));
    assert_eq!(
        read.is_ok(),
        skipped.is_ok(),
        "{}",
        String::from_utf8_lossy(text)
    );
    read.ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn documents_are_read_as_by_serde_json(document in document(), pretty in any::<bool>()) {
        let text = if pretty {
            serde_json::to_string_pretty(&document).unwrap()
        } else {
            document.to_string()
        };
        // Read back by both: `serde_json` itself does not give every fraction back as it was.
        let expected = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read(text.as_bytes()), Some(expected));
    }

    /// A byte changed at random: whatever `serde_json` takes is taken and means the same.
    #[test]
    fn near_misses_are_judged_as_by_serde_json(document in document(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = document.to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(expected) = serde_json::from_slice::<Oracle>(&text) {
            prop_assert_eq!(read(&text), Some(expected));
        }
    }

    #[test]
    fn what_the_gateway_writes_is_what_serde_json_reads(text in any_text()) {
        let mut out = Vec::new();
        escape::append_string(&text, &mut out);
        prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }
}

#[test]
fn strings_of_every_length_end_where_they_end() {
    for length in 0..100 {
        for special in ["\"", "\\n\"", "é\\u0041\""] {
            let text = format!("\"{}{special} , x", "a".repeat(length));
            let mut bytes = text.into_bytes();
            let mut reader = Reader::new(&mut bytes);
            let Ok(Value::Text(read)) = reader.value() else {
                panic!("{length}")
            };
            assert_eq!(
                read.iter().take_while(|byte| **byte == b'a').count(),
                length
            );
        }
    }
}

#[test]
fn only_what_json_says_is_escaped() {
    let mut out = Vec::new();
    escape::append_string("\"\\/\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}é😀\u{2028}", &mut out);
    let expected = "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001F\u{7f}é😀\u{2028}\"";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}
