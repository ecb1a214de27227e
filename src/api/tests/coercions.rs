//! Jackson's readings of values that are not of their field's type; computed with Jackson 2.17.2 and `ProducerMessage`.

use super::{answer, id};
use crate::api::{Compression, parse_publish};

/// The context that comes back, or None for an error.
fn context(value: &str) -> Option<String> {
    let mut frame = format!("{{\"payload\":\"eA==\",\"context\":{value}}}").into_bytes();
    let publish = parse_publish(&mut frame, false).ok()?;
    publish.context.map(str::to_owned)
}

#[test]
fn scalars_are_text_with_their_literals() {
    for (value, text) in [
        ("5", "5"),
        ("5.0", "5.0"),
        ("1e3", "1e3"),
        ("1E+3", "1E+3"),
        ("-0", "-0"),
        ("1.50", "1.50"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("1e400", "1e400"),
        ("true", "true"),
        ("\"\\u00e9\\ud83d\\ude00\"", "é😀"),
        ("\"\\ud800\"", "?"),
        ("\"\\udc00\\ud83d\"", "??"),
        ("\"\\ud800\\u0041\"", "?A"),
        (
            "\"\\u0000\\b\\f\\n\\r\\t\\/\\\\\\\"\"",
            "\0\u{8}\u{c}\n\r\t/\\\"",
        ),
    ] {
        assert_eq!(context(value).as_deref(), Some(text), "{value}");
    }
    for value in [
        "null",
        "{}",
        "[]",
        "[1]",
        "01",
        "-",
        "1.",
        "1e",
        ".5",
        "NaN",
        "+1",
        "'x'",
        "tru",
        "truex",
        "\"a\\qb\"",
        "\"a\tb\"",
        "\"\\u12\"",
        "\"\\u+123\"",
        "\"open",
        "",
    ] {
        assert_eq!(context(value), None, "{value}");
    }
}

#[test]
fn whole_numbers_are_read_as_a_java_long_is() {
    let sequence = |value: &str| {
        let mut frame = format!("{{\"payload\":\"\",\"sequenceId\":{value}}}").into_bytes();
        parse_publish(&mut frame, false)
            .map(|publish| publish.sequence_id)
            .map_err(|error| error.error.number())
    };
    for (value, expected) in [
        ("5", Some(5)),
        ("5.9", Some(5)),
        ("1e3", Some(1000)),
        ("\" 7 \"", Some(7)),
        ("9223372036854775807", Some(i64::MAX as u64)),
        ("9223372036854775807.5", Some(i64::MAX as u64)),
        ("0", None),
        ("-5", None),
        ("null", None),
        ("\"\"", None),
        ("\"null\"", None),
    ] {
        assert_eq!(sequence(value), Ok(expected), "{value}");
    }
    for value in [
        "\"7.0\"",
        "\"x\"",
        "true",
        "[5]",
        "{}",
        "9223372036854775808",
        "1e30",
        "-9223372036854775809",
        "1e999999999",
    ] {
        assert_eq!(sequence(value), Err(3), "{value}");
    }
}

#[test]
fn fields_that_java_only_reads_must_have_their_types_too() {
    let number = |frame: &str| {
        parse_publish(&mut frame.as_bytes().to_vec(), false)
            .map(drop)
            .map_err(|e| e.error.number())
    };
    assert_eq!(
        number(r#"{"payload":"","schemaVersion":"1","keySchema":5,"valueSchema":null}"#),
        Ok(())
    );
    assert_eq!(number(r#"{"payload":"","schemaVersion":"x"}"#), Err(3));
    assert_eq!(number(r#"{"payload":"","keySchema":{}}"#), Err(3));
    assert_eq!(number(r#"{"payload":"","disableReplication":1.5}"#), Err(3));
    assert_eq!(number(r#"{"payload":"","compressionType":true}"#), Err(3));
    assert_eq!(
        number(r#"{"payload":"","uncompressedMessageSize":2147483648}"#),
        Err(3)
    );
}

#[test]
fn replication_stays_local_when_it_is_switched_off() {
    let clusters = |fields: &str| {
        let mut frame = format!("{{\"payload\":\"\",{fields}}}").into_bytes();
        let publish = parse_publish(&mut frame, false).ok()?;
        Some(publish.replicate_to.join(","))
    };
    for (fields, expected) in [
        (r#""replicationClusters":["a",5,true]"#, Some("a,5,true")),
        (r#""replicationClusters":[]"#, Some("")),
        (r#""replicationClusters":[null]"#, None),
        (
            r#""replicationClusters":["a"],"disableReplication":true"#,
            Some("__local__"),
        ),
        (r#""disableReplication":1"#, Some("__local__")),
        (r#""disableReplication":" TRUE ""#, Some("__local__")),
        (r#""disableReplication":"false""#, Some("")),
        (r#""disableReplication":-0"#, Some("")),
        (r#""disableReplication":"tRUE""#, None),
    ] {
        assert_eq!(clusters(fields).as_deref(), expected, "{fields}");
    }
}

#[test]
fn the_last_of_two_equal_fields_counts_and_properties_keep_their_first_places() {
    let mut frame = br#"{"context":"c","payload":"eA==","payl\u006fad":"","context":null,
        "properties":{"x":1},"properties":{"b":1,"a":2,"b":3.50}}"#
        .to_vec();
    let publish = parse_publish(&mut frame, false).unwrap();
    assert_eq!((publish.payload_len(), publish.context), (0, None));
    assert_eq!(publish.properties, [("b", "3.50"), ("a", "2")]);
}

#[test]
fn what_follows_the_document_is_not_looked_at() {
    let ack = answer(r#"{"payload":""}"#, &id(1, 2));
    for behind in [" garbage", "{}", "\0", "}"] {
        assert_eq!(
            answer(&format!("{{\"payload\":\"\"}}{behind}"), &id(1, 2)),
            ack
        );
    }
}

#[test]
fn a_delay_wins_over_a_time_and_is_none_beyond_the_end_of_time() {
    let deliver_at = |fields: &str| {
        let mut frame = format!("{{\"payload\":\"\",{fields}}}").into_bytes();
        parse_publish(&mut frame, false)
            .unwrap()
            .deliver_at_ms(1000)
    };
    assert_eq!(deliver_at(r#""deliverAt":5"#), Some(5));
    assert_eq!(deliver_at(r#""deliverAt":-5"#), None);
    assert_eq!(
        deliver_at(r#""deliverAt":5,"deliverAfterMs":7"#),
        Some(1007)
    );
    assert_eq!(
        deliver_at(r#""deliverAt":5,"deliverAfterMs":9223372036854775807"#),
        None
    );
}

#[test]
fn encryption_fields_count_only_where_the_client_encrypts() {
    let both = "the params compressionType and uncompressedMessageSize should both empty or both non-empty";
    for (fields, expected) in [
        (
            r#""encryptionParam":"eA==","compressionType":"LZ4","uncompressedMessageSize":7"#,
            Ok((Some(b"x".to_vec()), Some((Compression::Lz4, 7)))),
        ),
        (
            r#""encryptionParam":" ","compressionType":"NONE""#,
            Ok((None, None)),
        ),
        (r#""compressionType":"unknown""#, Ok((None, None))),
        (
            r#""compressionType":"2","uncompressedMessageSize":"7""#,
            Ok((None, Some((Compression::Zlib, 7)))),
        ),
        (r#""compressionType":"LZ4""#, Err(both)),
        (r#""uncompressedMessageSize":7"#, Err(both)),
        (
            r#""encryptionParam":"*""#,
            Err(
                "Invalid Base64 encryptionParam error=Input byte[] should at least have 2 bytes for base64 bytes",
            ),
        ),
    ] {
        let frame = format!("{{\"payload\":\"\",{fields}}}").into_bytes();
        let mut encrypted = frame.clone();
        let got = parse_publish(&mut encrypted, true)
            .map(|p| (p.encryption.param, p.encryption.compression));
        assert_eq!(
            got.map_err(|error| error.message.into_owned()),
            expected.map_err(str::to_owned),
            "{fields}"
        );
        assert!(parse_publish(&mut frame.clone(), false).is_ok(), "{fields}");
    }
}
