//! Query parameters: defaults, values, and refusals in Java's words and order.

use base64_simd::STANDARD;

use super::{id, query};
use crate::api::*;
use crate::pulsar::CryptoFailureAction;
use crate::pulsar::client::StartPosition;
use crate::pulsar::{InitialPosition, SubscriptionType};

fn producer(raw: &str) -> Result<ProducerParams, String> {
    ProducerParams::parse(&query(raw)).map_err(only_invalid)
}

fn topic(domain: &str) -> TopicName {
    let path = format!("/ws/v2/consumer/{domain}/p/d/t/s");
    let Ok(Endpoint { topic, .. }) = Endpoint::parse(&path, "") else {
        panic!("a valid path")
    };
    topic
}

fn consumer(raw: &str) -> Result<ConsumerParams, String> {
    ConsumerParams::parse(&query(raw), &topic("persistent"), "s").map_err(only_invalid)
}

fn reader(raw: &str) -> Result<ReaderParams, String> {
    ReaderParams::parse(&query(raw), &topic("persistent")).map_err(only_invalid)
}

fn only_invalid(refusal: Refusal) -> String {
    assert_eq!(refusal.status, 400);
    let detail = refusal.message.strip_prefix("Invalid query params: ");
    detail.expect("Java's prefix").to_owned()
}

#[test]
fn a_producer_without_parameters_is_javas_default() {
    let expected = ProducerParams {
        producer_name: None,
        initial_sequence_id: None,
        hashing_scheme: HashingScheme::JavaStringHash,
        send_timeout_ms: 30_000,
        routing_mode: RoutingMode::SinglePartition,
        batching: None,
        compression: Compression::None,
        client_keys: Vec::new(),
        key_names: Vec::new(),
    };
    assert_eq!(producer(""), Ok(expected));
}

#[test]
fn a_producers_parameters_are_read() {
    let raw = "producerName=p&initialSequenceId=-1&hashingScheme=Murmur3_32Hash&sendTimeoutMillis=0\
        &messageRoutingMode=RoundRobinPartition&batchingEnabled=TRUE&batchingMaxMessages=5&maxPendingMessages=0\
        &batchingMaxPublishDelay=1&compressionType=ZSTD&unknown=x";
    let params = producer(raw).unwrap();
    assert_eq!(params.producer_name.as_deref(), Some("p"));
    assert_eq!(params.initial_sequence_id, Some(-1));
    assert_eq!(params.hashing_scheme, HashingScheme::Murmur3_32Hash);
    assert_eq!(params.send_timeout_ms, 0);
    assert_eq!(params.routing_mode, RoutingMode::RoundRobinPartition);
    let batching = Batching {
        max_messages: 5,
        max_pending_messages: 0,
        max_publish_delay_ms: 1,
    };
    assert_eq!(params.batching, Some(batching));
    assert_eq!(params.compression, Compression::Zstd);
    let custom = producer("messageRoutingMode=CustomPartition").unwrap();
    assert_eq!(custom.routing_mode, RoutingMode::SinglePartition);
    let ignored = producer("batchingEnabled=yes&maxPendingMessages=x").unwrap();
    assert_eq!(ignored.batching, None, "read only with batching on");
}

#[test]
fn a_producers_mistakes_are_refused_in_javas_words() {
    for (raw, text) in [
        ("messageRoutingMode=Foo", "Invalid messageRoutingMode Foo"),
        (
            "hashingScheme=Foo",
            "No enum constant org.apache.pulsar.client.api.HashingScheme.Foo",
        ),
        ("sendTimeoutMillis=-5", "sendTimeout needs to be >= 0"),
        ("sendTimeoutMillis=abc", "For input string: \"abc\""),
        (
            "sendTimeoutMillis=2147483648",
            "For input string: \"2147483648\"",
        ),
        ("initialSequenceId=", "For input string: \"\""),
        ("producerName=+", "producerName cannot be blank"),
        ("compressionType=lz4", "Invalid compressionType lz4"),
        (
            "batchingEnabled=true&maxPendingMessages=-1",
            "maxPendingMessages needs to be >= 0",
        ),
        (
            "batchingEnabled=true&batchingMaxPublishDelay=0",
            "configured value for batch delay must be at least 1ms",
        ),
        // The first in Java's order, not in the query's.
        (
            "compressionType=x&messageRoutingMode=y&hashingScheme=z&producerName=",
            "producerName cannot be blank",
        ),
        (
            "compressionType=x&messageRoutingMode=y",
            "Invalid messageRoutingMode y",
        ),
    ] {
        assert_eq!(producer(raw), Err(text.to_owned()), "{raw}");
    }
}

#[test]
fn names_of_keys_need_keys_and_say_something() {
    let named = |raw: &str| producer(&format!("encryptionKeys={raw}")).unwrap();
    let refused = |raw: &str, has_keys| named(raw).check_key_names(has_keys).map_err(only_invalid);
    assert_eq!(named("b,a,b,").key_names, ["a", "b"]);
    assert_eq!(refused("b,a", true), Ok(()));
    assert_eq!(producer("").unwrap().check_key_names(false), Ok(()));
    let no_keys = "Can't add encryption key without configuring cryptoKeyReaderFactoryClassName";
    let blank = "Encryption key cannot be blank";
    for raw in ["", ",", "a,,b", "+,a"] {
        assert_eq!(refused(raw, false), Err(no_keys.to_owned()), "{raw}");
        assert_eq!(refused(raw, true), Err(blank.to_owned()), "{raw}");
    }
    let many: Vec<String> = (0..101).map(|number| number.to_string()).collect();
    let text = "encryptionKeys names more than 100 keys";
    assert_eq!(refused(&many.join(","), true), Err(text.to_owned()));
    assert_eq!(refused(&many[1..].join(","), true), Ok(()));
}

#[test]
fn a_base64_map_of_keys_means_that_the_client_encrypts() {
    let keys = |json: &str| {
        let text = STANDARD
            .encode_to_string(json)
            .replace('+', "%2B")
            .replace('=', "%3D");
        producer(&format!(
            "encryptionKeys={text}&batchingEnabled=true&compressionType=Foo"
        ))
    };
    let params =
        keys(r#"{" k1 ":{"keyValue":"eA==","metadata":{"a":1},"x":[{}]},"k2":{"keyValue":""}}"#)
            .unwrap();
    let names: Vec<_> = params
        .client_keys
        .iter()
        .map(|key| (key.name.as_str(), key.value.as_slice()))
        .collect();
    assert_eq!(names, [("k1", &b"x"[..]), ("k2", b"")]);
    assert_eq!(
        params.client_keys[0].metadata,
        [("a".to_owned(), "1".to_owned())]
    );
    assert_eq!(
        (params.batching, params.compression),
        (None, Compression::None),
        "the client does it all"
    );
    assert!(
        !format!("{params:?}").contains("120"),
        "key bytes are not printed"
    );
    // Not such a map: names, whose other parameters are checked first.
    for json in [
        "{}",
        "[]",
        r#"{"k":{}}"#,
        r#"{"k":null}"#,
        r#"{"k":{"keyValue":"*"}}"#,
        "{",
    ] {
        assert_eq!(
            keys(json),
            Err("Invalid compressionType Foo".to_owned()),
            "{json}"
        );
    }
    let blank = keys(r#"{"":{"keyValue":"eA=="}}"#);
    assert_eq!(blank, Err("Empty param encryptionKeys.key".to_owned()));
    let second = keys(r#"{"a":{"keyValue":"eA=="},"b":{}}"#);
    assert_eq!(
        second,
        Err("Empty param encryptionKeys.value.keyValue".to_owned())
    );
    let second = keys(r#"{"a":{"keyValue":"eA=="},"b":null}"#);
    assert_eq!(second, Err("Empty param encryptionKeys.value".to_owned()));
}

#[test]
fn a_consumer_without_parameters_is_javas_default() {
    let expected = ConsumerParams {
        read_compacted: false,
        ack_timeout_ms: 0,
        subscription_type: SubscriptionType::Exclusive,
        durable: true,
        initial_position: InitialPosition::Latest,
        window: 1000,
        consumer_name: None,
        priority_level: 0,
        negative_ack_delay_ms: 60_000,
        dead_letter: None,
        crypto_failure_action: CryptoFailureAction::Fail,
        pull_mode: false,
    };
    assert_eq!(consumer(""), Ok(expected));
}

#[test]
fn a_consumers_parameters_are_read() {
    let raw = "ackTimeoutMillis=1000&subscriptionType=Key_Shared&subscriptionMode=NonDurable\
        &subscriptionInitialPosition=Earliest&receiverQueueSize=0&consumerName=c&priorityLevel=7\
        &negativeAckRedeliveryDelay=0&maxRedeliverCount=2&pullMode=True&cryptoFailureAction=CONSUME";
    let dead_letter = DeadLetterPolicy {
        max_redeliver_count: 2,
        topic: "persistent://p/d/t-s-DLQ".to_owned(),
    };
    let expected = ConsumerParams {
        read_compacted: false,
        ack_timeout_ms: 1000,
        subscription_type: SubscriptionType::KeyShared,
        durable: false,
        initial_position: InitialPosition::Earliest,
        window: 1,
        consumer_name: Some("c".to_owned()),
        priority_level: 7,
        negative_ack_delay_ms: 0,
        dead_letter: Some(dead_letter),
        crypto_failure_action: CryptoFailureAction::Consume,
        pull_mode: true,
    };
    assert_eq!(consumer(raw), Ok(expected));
    assert_eq!(consumer("receiverQueueSize=5000").unwrap().window, 1000);
    assert_eq!(consumer("cryptoFailureAction=Foo&pullMode=1"), consumer(""));
    let named = consumer("deadLetterTopic=dlq&maxRedeliverCount=1").unwrap();
    assert_eq!(
        named.dead_letter.unwrap().topic,
        "persistent://public/default/dlq"
    );
    let unnamed = consumer("deadLetterTopic=&maxRedeliverCount=1").unwrap();
    assert_eq!(
        unnamed.dead_letter.unwrap().topic,
        "persistent://p/d/t-s-DLQ"
    );
}

#[test]
fn a_consumers_mistakes_are_refused_in_javas_words() {
    let too_short = "Ack timeout should be greater than 1000 ms";
    for (raw, text) in [
        ("subscriptionType=Bad", "Invalid subscriptionType Bad"),
        ("subscriptionType=shared", "Invalid subscriptionType shared"),
        ("subscriptionMode=x", "Invalid subscriptionMode x"),
        (
            "subscriptionInitialPosition=x",
            "Invalid subscriptionInitialPosition x",
        ),
        ("ackTimeoutMillis=10", too_short),
        ("ackTimeoutMillis=-1000", too_short),
        ("receiverQueueSize=-1", "receiverQueueSize needs to be >= 0"),
        ("receiverQueueSize=abc", "For input string: \"abc\""),
        ("consumerName=", "consumerName cannot be blank"),
        ("priorityLevel=-1", "priorityLevel needs to be >= 0"),
        (
            "negativeAckRedeliveryDelay=-1",
            "redeliveryDelay needs to be >= 0",
        ),
        ("maxRedeliverCount=0", "MaxRedeliverCount must be > 0."),
        ("deadLetterTopic=dlq", "MaxRedeliverCount must be > 0."),
        (
            "maxRedeliverCount=1&deadLetterTopic=a://b",
            "deadLetterTopic: Invalid topic domain: 'a'",
        ),
        (
            "maxRedeliverCount=1&deadLetterTopic=persistent://t/../dlq",
            "deadLetterTopic: Invalid named entity: ..",
        ),
        (
            "maxRedeliverCount=1&deadLetterTopic=persistent://t/n/..",
            "deadLetterTopic: Invalid topic name: persistent://t/n/..",
        ),
        (
            "maxRedeliverCount=1&deadLetterTopic=persistent://t/n/..%20",
            "deadLetterTopic: Invalid topic name: persistent://t/n/.. ",
        ),
        (
            "priorityLevel=-1&receiverQueueSize=-1&subscriptionType=Bad&ackTimeoutMillis=10",
            too_short,
        ),
    ] {
        assert_eq!(consumer(raw), Err(text.to_owned()), "{raw}");
    }
}

#[test]
fn names_that_clients_choose_have_a_length() {
    let name = "x".repeat(2049);
    let text = |parameter: &str| Err(format!("{parameter} is longer than 2048 bytes"));
    let refused = producer(&format!("producerName={name}"));
    assert_eq!(refused.map(drop), text("producerName"));
    let refused = consumer(&format!("consumerName={name}"));
    assert_eq!(refused.map(drop), text("consumerName"));
    let refused = reader(&format!("readerName={name}"));
    assert_eq!(refused.map(drop), text("readerName"));
    assert!(reader(&format!("readerName={}", &name[1..])).is_ok());
}

#[test]
fn a_readers_parameters_are_read_or_refused_with_400() {
    let expected = ReaderParams {
        start_time_ms: None,
        read_compacted: false,
        reader_name: None,
        flow: Flow::Window(1000),
        start: StartPosition::Latest,
        crypto_failure_action: CryptoFailureAction::Fail,
    };
    assert_eq!(reader(""), Ok(expected));
    for (message_id, start) in [
        ("latest", StartPosition::Latest),
        ("+", StartPosition::Latest),
        ("earliest", StartPosition::Earliest),
        ("CBAQATAA", StartPosition::After(id(16, 1))),
    ] {
        let params = reader(&format!(
            "messageId={message_id}&receiverQueueSize=0&readerName=r"
        ))
        .unwrap();
        assert_eq!(
            (params.start, params.flow),
            (start, Flow::Window(1)),
            "{message_id}"
        );
    }
    assert_eq!(reader("flow=tcp").unwrap().flow, Flow::Tcp);
    assert_eq!(reader("flow=window").unwrap().flow, Flow::Window(1000));
    for (raw, text) in [
        ("messageId=zzz", "messageId is not a Pulsar message id"),
        ("messageId=!!", "Illegal base64 character 21"),
        ("receiverQueueSize=x", "For input string: \"x\""),
        ("receiverQueueSize=-1", "receiverQueueSize needs to be >= 0"),
        ("flow=udp", "Invalid flow udp: it is window or tcp"),
        (
            "receiverQueueSize=-1&messageId=!!",
            "Illegal base64 character 21",
        ),
    ] {
        assert_eq!(reader(raw), Err(text.to_owned()), "{raw}");
    }
}

#[test]
fn where_a_reader_begins_beyond_java() {
    assert_eq!(
        reader("messageId=CBAQATAA&startInclusive=true")
            .unwrap()
            .start,
        StartPosition::After(id(16, 0))
    );
    for (text, time_ms) in [
        ("1700000000000", 1_700_000_000_000),
        ("-5", 0),
        ("2026-11-20T17:47:23.5Z", 1_795_196_843_500),
    ] {
        let reader = reader(&format!("startTimestamp={text}")).unwrap();
        assert_eq!(reader.start_time_ms, Some(time_ms));
        assert!(reader.is_alone());
    }
    for bad in [
        "startTimestamp=",
        "startTimestamp=soon",
        "startTimestamp=2026-11-20",
    ] {
        let refused = reader(bad).unwrap_err();
        assert!(refused.starts_with("Invalid startTimestamp "), "{refused}");
    }
    assert_eq!(
        reader("startTimestamp=0&messageId=earliest").unwrap_err(),
        "startTimestamp and messageId exclude each other"
    );
}

#[test]
fn compacted_topics_are_read_where_javas_client_reads_them() {
    assert!(reader("readCompacted=true").unwrap().read_compacted);
    for kind in ["Exclusive", "Failover"] {
        let query = format!("readCompacted=true&subscriptionType={kind}");
        assert!(consumer(&query).unwrap().read_compacted);
    }
    let text =
        "Read compacted can only be used with exclusive or failover persistent subscriptions";
    for kind in ["Shared", "Key_Shared"] {
        let query = format!("readCompacted=true&subscriptionType={kind}");
        assert_eq!(consumer(&query).unwrap_err(), text);
    }
    let query = query("readCompacted=true");
    let refused = ReaderParams::parse(&query, &topic("non-persistent")).map_err(only_invalid);
    assert_eq!(refused.unwrap_err(), text);
}
