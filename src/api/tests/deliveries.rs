//! Message → client: the Java gateway's recorded deliveries, and what it cannot deliver.

use ::pulsar::proto::{EncryptionKeys, KeyValue, MessageMetadata, SingleMessageMetadata};
use bytes::Bytes;
use prost::Message as _;

use super::id;
use crate::api::*;
use crate::pulsar::Message;

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
        first_chunk: None,
        oldest_begun: None,
        redelivery_count: 0,
        publish_time_ms: metadata.publish_time,
        metadata: Bytes::from(metadata.encode_to_vec()),
        payload: Bytes::from_static(payload.as_bytes()),
        decrypted_from: None,
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

#[test]
fn an_encrypted_message_carries_how_it_was_encrypted_to_consumers_only() {
    let key = |name: &str, value: &[u8], metadata: &[(&str, &str)]| EncryptionKeys {
        key: name.to_owned(),
        value: value.to_vec(),
        metadata: key_values(metadata),
    };
    let mut metadata = MessageMetadata {
        publish_time: 1_795_196_843_000,
        encryption_keys: vec![key("k1", b"data key", &[])],
        encryption_param: Some(b"param".to_vec()),
        partition_key: Some("kk".to_owned()),
        ..Default::default()
    };
    let around = |context: &str| {
        format!(
            r#"{{"messageId":"CBAQADAA","payload":"eA==","properties":{{}},"publishTime":"2026-11-20T17:47:23Z","redeliveryCount":0{context},"key":"kk"}}"#
        )
    };
    let single = r#","encryptionContext":{"keys":{"k1":{"keyValue":"ZGF0YSBrZXk=","metadata":{}}},"param":"cGFyYW0=","compressionType":"NONE","uncompressedMessageSize":0,"batchSize":null}"#;
    let written = |metadata: &MessageMetadata, append: fn(&Message, &mut Vec<u8>)| {
        let mut out = Vec::new();
        append(&stored(0, "x", metadata), &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(written(&metadata, append_delivery), around(single));
    assert_eq!(written(&metadata, append_reader_delivery), around(""));

    metadata.encryption_keys = vec![key("k2", b"2", &[("version", "7")]), key("k1", b"1", &[])];
    metadata.encryption_algo = Some("RSA".to_owned());
    metadata.compression = Some(1);
    metadata.uncompressed_size = Some(105);
    metadata.num_messages_in_batch = Some(3);
    let batch = r#","encryptionContext":{"keys":{"k1":{"keyValue":"MQ==","metadata":{}},"k2":{"keyValue":"Mg==","metadata":{"version":"7"}}},"param":"cGFyYW0=","algorithm":"RSA","compressionType":"LZ4","uncompressedMessageSize":105,"batchSize":3}"#;
    assert_eq!(written(&metadata, append_delivery), around(batch));
}
