//! Client → producer socket and back: the Java gateway's recorded conversations, line by line.

use super::{answer, id};

const END: &str = ",\"errorCode\":0,\"schemaVersion\":0}";

#[test]
fn acks_are_those_of_the_transcript() {
    let acked = [
        (r#"{"payload": "aGVsbG8="}"#, "CBAQADAA", ""),
        (
            r#"{"payload": "eA==", "context": 5}"#,
            "CBAQATAA",
            r#","context":"5""#,
        ),
        (
            r#"{"payload": "eA==", "context": "ctx", "key": "k1", "properties": {"a": "1", "b": "2"}, "eventTime": "2021-10-29T16:01:38.967-07:00"}"#,
            "CBAQAjAA",
            r#","context":"ctx""#,
        ),
        (r#"{"payload": "dQ==", "unknown": 3}"#, "CBAQAzAA", ""),
        (
            r#"{"payload": "", "context": "empty"}"#,
            "CBAQBDAA",
            r#","context":"empty""#,
        ),
        (r#"{"payload": "aGVsbG8"}"#, "CBAQBTAA", ""),
        (
            r#"{"payload": "eA==", "properties": {"n": 5}}"#,
            "CBAQBjAA",
            "",
        ),
        (
            r#"{"payload": "eA==", "deliverAfterMs": 100}"#,
            "CBAQBzAA",
            "",
        ),
        (
            r#"{"payload": "eA==", "replicationClusters": ["standalone"]}"#,
            "CBAQCDAA",
            "",
        ),
        (
            r#"{"payload": "eA==", "replicationClusters": ["nope"]}"#,
            "CBAQCTAA",
            "",
        ),
        (r#"{"payload": "eA==", "sequenceId": 99}"#, "CBAQCjAA", ""),
        (r#"{"payload": "eA==", "key": ""}"#, "CBAQCzAA", ""),
    ];
    for (entry, (frame, message_id, context)) in acked.into_iter().enumerate() {
        let expected = format!(r#"{{"result":"ok","messageId":"{message_id}"{context}{END}"#);
        assert_eq!(answer(frame, &id(16, entry as u64)), expected, "{frame}");
    }
}

#[test]
fn errors_are_those_of_the_transcript_or_plain_words() {
    let refused = [
        (
            "***",
            7,
            "Invalid Base64 message-payload error=Illegal base64 character 2a",
        ),
        (r#"{"nopayload": 1}"#, 7, "The payload is missing"),
        ("{}", 7, "The payload is missing"),
        (r#"{"payload":null}"#, 7, "The payload is missing"),
        (
            "not json",
            3,
            "Not readable as JSON: unknown word at byte 1",
        ),
        ("", 3, "Not readable as JSON: unexpected end at byte 1"),
        ("[]", 3, "Not a JSON object"),
        (r#""x""#, 3, "Not a JSON object"),
        ("null", 7, "The request is null"),
        (
            r#"{"payload": "eA==", "properties": "bad"}"#,
            3,
            "The value of properties is of the wrong type or out of range",
        ),
        (
            r#"{"payload": "eA==", "eventTime": "garbage"}"#,
            7,
            "Text 'garbage' could not be parsed at index 0",
        ),
        (
            r#"{"payload": "eA==", "properties": {"n": null}}"#,
            3,
            "A property has no value",
        ),
    ];
    for (frame, number, text) in refused {
        let frame = if frame == "***" {
            r#"{"payload": "***"}"#
        } else {
            frame
        };
        let expected = format!(r#"{{"result":"send-error:{number}","errorMsg":"{text}"{END}"#);
        assert_eq!(answer(frame, &id(0, 0)), expected, "{frame}");
    }
}

#[test]
fn the_context_comes_back_with_an_error_when_the_json_could_be_read() {
    let text = r#"{"result":"send-error:7","errorMsg":"The payload is missing","context":"\"é\n","errorCode":0,"schemaVersion":0}"#;
    assert_eq!(answer(r#"{"context":"\"\u00e9\n"}"#, &id(0, 0)), text);
    let text = r#"{"result":"send-error:3","errorMsg":"A property has no value","context":"c","errorCode":0,"schemaVersion":0}"#;
    let frame = r#"{"payload":"","properties":{"a":null},"context":"c"}"#;
    assert_eq!(answer(frame, &id(0, 0)), text);
    assert!(!answer(r#"{"context":"c","payload":[]}"#, &id(0, 0)).contains("context\":"));
}

#[test]
fn of_two_mistakes_java_names_the_payload_first() {
    let frame = r#"{"payload":"****","eventTime":"garbage","properties":{"a":null}}"#;
    assert!(answer(frame, &id(0, 0)).contains("Illegal base64 character 2a"));
    let frame = r#"{"payload":"AAAA****AAAA","eventTime":"garbage"}"#;
    assert!(answer(frame, &id(0, 0)).contains("Illegal base64 character 2a"));
}
