//! The Java gateway's recorded conversations, line by line.

use ::pulsar::proto::{KeyValue, MessageMetadata, SingleMessageMetadata};
use bytes::Bytes;
use prost::Message as _;

use super::{answer, id};
use crate::api::*;
use crate::pulsar::Message;

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

fn key_values(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let key_value = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    };
    pairs.iter().map(key_value).collect()
}

fn stored(entry: u64, payload: &'static str, metadata: &MessageMetadata) -> Message {
    Message {
        id: id(16, entry),
        redelivery_count: 0,
        publish_time_ms: metadata.publish_time,
        metadata: Bytes::from(metadata.encode_to_vec()),
        payload: Bytes::from_static(payload.as_bytes()),
    }
}

fn delivered(message: &Message) -> String {
    let mut out = Vec::new();
    append_delivery(message, &mut out);
    assert!(
        out.len() <= delivery_size_hint(message),
        "one allocation is enough"
    );
    String::from_utf8(out).unwrap()
}

#[test]
fn deliveries_are_those_of_the_transcript() {
    // 2026-11-20T17:47:23Z
    let second = 1_795_196_843_000;
    let published = |millis: u64| MessageMetadata {
        publish_time: second + millis,
        ..Default::default()
    };
    let with_everything = MessageMetadata {
        properties: key_values(&[("a", "1"), ("b", "2")]),
        event_time: Some(1_635_548_498_967),
        partition_key: Some("k1".to_owned()),
        ..published(196)
    };
    let lines = [
        (
            stored(0, "hello", &published(156)),
            r#"{"messageId":"CBAQADAA","payload":"aGVsbG8=","properties":{},"publishTime":"2026-11-20T17:47:23.156Z","redeliveryCount":0}"#,
        ),
        (
            stored(1, "x", &published(180)),
            r#"{"messageId":"CBAQATAA","payload":"eA==","properties":{},"publishTime":"2026-11-20T17:47:23.18Z","redeliveryCount":0}"#,
        ),
        (
            stored(2, "x", &with_everything),
            r#"{"messageId":"CBAQAjAA","payload":"eA==","properties":{"a":"1","b":"2"},"publishTime":"2026-11-20T17:47:23.196Z","redeliveryCount":0,"eventTime":"2021-10-29T23:01:38.967Z","key":"k1"}"#,
        ),
        (
            stored(4, "", &published(226)),
            r#"{"messageId":"CBAQBDAA","payload":"","properties":{},"publishTime":"2026-11-20T17:47:23.226Z","redeliveryCount":0}"#,
        ),
        (
            stored(
                6,
                "x",
                &MessageMetadata {
                    properties: key_values(&[("n", "5")]),
                    ..published(279)
                },
            ),
            r#"{"messageId":"CBAQBjAA","payload":"eA==","properties":{"n":"5"},"publishTime":"2026-11-20T17:47:23.279Z","redeliveryCount":0}"#,
        ),
        (
            stored(
                11,
                "x",
                &MessageMetadata {
                    partition_key: Some(String::new()),
                    ..published(316)
                },
            ),
            r#"{"messageId":"CBAQCzAA","payload":"eA==","properties":{},"publishTime":"2026-11-20T17:47:23.316Z","redeliveryCount":0,"key":""}"#,
        ),
    ];
    for (message, expected) in lines {
        assert_eq!(delivered(&message), expected);
    }
}

#[test]
fn a_tombstone_says_that_it_has_no_value() {
    let metadata = MessageMetadata {
        null_value: Some(true),
        ..Default::default()
    };
    let expected = r#"{"messageId":"CBAQADAA","payload":"","properties":{},"publishTime":"1970-01-01T00:00:00Z","redeliveryCount":0,"nullValue":true}"#;
    assert_eq!(delivered(&stored(0, "", &metadata)), expected);
}

#[test]
fn a_message_of_a_batch_has_its_own_properties_sorted_and_its_count_of_redeliveries() {
    let metadata = SingleMessageMetadata {
        properties: key_values(&[("b", "1"), ("B", "2"), ("a", "\u{1}/\""), ("b", "3")]),
        ..Default::default()
    };
    let mut message = stored(3, "x", &MessageMetadata::default());
    message.metadata = Bytes::from(metadata.encode_to_vec());
    message.id.batch_index = 1;
    message.id.batch_size = 2;
    message.redelivery_count = 12;
    let expected = r#"{"messageId":"CBAQAyABMAI=","payload":"eA==","properties":{"B":"2","a":"\u0001/\"","b":"3"},"publishTime":"1970-01-01T00:00:00Z","redeliveryCount":12}"#;
    assert_eq!(delivered(&message), expected);
}

fn command(frame: &str) -> Result<Command, String> {
    parse_command(&mut frame.as_bytes().to_vec()).map_err(|error| error.reason)
}

#[test]
fn consumer_frames_are_understood() {
    for ack in [
        r#"{"messageId":"CBAQADAA"}"#,
        r#"{"messageId": "CBAQADAA"}"#,
        " {\n\"messageId\" : \"CBAQADAA\" } trailing",
        r#"{"type":"weird","messageId":"CBAQADAA"}"#,
        r#"{"messageId":"zz","messageId":"CBAQADAA"}"#,
        r#"{"messageId":"CBAQADA\u0041"}"#,
        r#"{"type":null,"messageId":"CBAQADAA","x":[{}]}"#,
    ] {
        assert_eq!(command(ack), Ok(Command::Ack(id(16, 0))), "{ack}");
    }
    let nack = r#"{"type": "negativeAcknowledge", "messageId": "CBAQATAA"}"#;
    assert_eq!(command(nack), Ok(Command::NegativeAck(id(16, 1))));
    assert_eq!(
        command(r#"{"type":"unsubscribe"}"#),
        Ok(Command::Unsubscribe)
    );
    assert_eq!(
        command(r#"{"type":"isEndOfTopic"}"#),
        Ok(Command::IsEndOfTopic)
    );
    for (permits, expected) in [
        ("10", 10),
        ("0", 0),
        ("-1", 0),
        ("2147483647", 2_147_483_647),
        ("\"7\"", 7),
        ("5.9", 5),
    ] {
        let frame = format!(r#"{{"type": "permit", "permitMessages": {permits}}}"#);
        assert_eq!(command(&frame), Ok(Command::Permit(expected)), "{frame}");
    }
}

#[test]
fn consumer_frames_that_cannot_be_understood_close_the_socket_with_4003() {
    let wrong = "is of the wrong type or out of range";
    for (frame, detail) in [
        (
            r#"{"messageId":"zz"}"#,
            "messageId is not a Pulsar message id",
        ),
        (r#"{"messageId":"!!"}"#, "Illegal base64 character 21"),
        (
            r#"{"messageId":""}"#,
            "messageId is not a Pulsar message id",
        ),
        ("{}", "messageId is missing"),
        ("nojson", "unknown word at byte 1"),
        ("null", "not a JSON object"),
        ("[]", "not a JSON object"),
        (r#"{"type":"negativeAcknowledge"}"#, "messageId is missing"),
        (r#"{"type": "permit"}"#, "permitMessages is missing"),
        (
            r#"{"type":"permit","permitMessages":2147483648}"#,
            &format!("the value of permitMessages {wrong}"),
        ),
        (
            r#"{"type":"permit","permitMessages":[]}"#,
            &format!("the value of permitMessages {wrong}"),
        ),
        (
            r#"{"messageId":{}}"#,
            &format!("the value of messageId {wrong}"),
        ),
    ] {
        let reason = format!("Failed to de-serialize from JSON: {detail}");
        assert_eq!(command(frame), Err(reason), "{frame}");
    }
    let error = parse_command(&mut b"{}".to_vec()).unwrap_err();
    assert_eq!(error.error.close_code(), 4003);
}

#[test]
fn any_object_is_a_message_handled_on_a_reader() {
    let read = |frame: &str| parse_reader_command(&mut frame.as_bytes().to_vec());
    for frame in [
        r#"{"messageId": "CBAQADAA"}"#,
        r#"{"messageId":"not looked at"}"#,
        r#"{"type": "permit", "permitMessages": 10}"#,
        r#"{"type": "unsubscribe"}"#,
        "{}",
    ] {
        assert_eq!(read(frame), Ok(ReaderCommand::Handled), "{frame}");
    }
    assert_eq!(
        read(r#"{"type": "isEndOfTopic"}"#),
        Ok(ReaderCommand::IsEndOfTopic)
    );
    for frame in ["nojson", "null", "7", r#"{"permitMessages":"x"}"#] {
        assert_eq!(read(frame).unwrap_err().error.close_code(), 4003, "{frame}");
    }
}

#[test]
fn the_end_of_the_topic_is_told() {
    for (reached, expected) in [
        (false, r#"{"endOfTopic":false}"#),
        (true, r#"{"endOfTopic":true}"#),
    ] {
        let mut out = Vec::new();
        append_end_of_topic(reached, &mut out);
        assert_eq!(out, expected.as_bytes());
    }
}
