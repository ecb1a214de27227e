//! Handshakes that are refused: the status and the text, as the Java gateway 4.0.8 gives them or as the protocol
//! page's last table has it.

use crate::support::{World, http_get, topic};

fn check(world: &World, rows: &[(&str, u16, &str)], path_of: impl Fn(&str) -> String) {
    for (row, status, text) in rows {
        let path = path_of(row);
        let refused = world.refused(&path);
        assert_eq!(refused, (*status, format!("{text}\n")), "{path}");
    }
}

#[test]
fn a_producers_wrong_parameter_is_named() {
    let world = World::start();
    let name = topic("refused");
    let rows = [
        ("sendTimeoutMillis=-5", "sendTimeout needs to be >= 0"),
        ("sendTimeoutMillis=abc", "For input string: \"abc\""),
        ("sendTimeoutMillis=", "For input string: \"\""),
        (
            "sendTimeoutMillis=99999999999",
            "For input string: \"99999999999\"",
        ),
        ("messageRoutingMode=Foo", "Invalid messageRoutingMode Foo"),
        (
            "hashingScheme=Foo",
            "No enum constant org.apache.pulsar.client.api.HashingScheme.Foo",
        ),
        ("compressionType=FOO", "Invalid compressionType FOO"),
        ("initialSequenceId=x", "For input string: \"x\""),
        (
            "batchingEnabled=true&maxPendingMessages=-1",
            "maxPendingMessages needs to be >= 0",
        ),
        (
            "batchingEnabled=true&batchingMaxPublishDelay=0",
            "configured value for batch delay must be at least 1ms",
        ),
        ("producerName=", "producerName cannot be blank"),
        ("producerName=%20", "producerName cannot be blank"),
        (
            "encryptionKeys=a,b",
            "Can't add encryption key without configuring cryptoKeyReaderFactoryClassName",
        ),
    ];
    let rows = rows.map(|(query, text)| (query, 400, format!("Invalid query params: {text}")));
    let rows: Vec<_> = rows.iter().map(|(q, s, t)| (*q, *s, t.as_str())).collect();
    check(&world, &rows, |query| {
        format!("/ws/v2/producer/persistent/public/default/{name}?{query}")
    });
    // Nothing has been made of the topic.
    assert!(world.admin().stats(&name).is_none());
}

#[test]
fn a_consumers_wrong_parameter_is_named() {
    let world = World::start();
    let name = topic("refused");
    let count = "MaxRedeliverCount must be > 0.";
    let rows = [
        (
            "ackTimeoutMillis=10",
            "Ack timeout should be greater than 1000 ms",
        ),
        (
            "ackTimeoutMillis=-1",
            "Ack timeout should be greater than 1000 ms",
        ),
        ("subscriptionType=Bad", "Invalid subscriptionType Bad"),
        ("subscriptionType=shared", "Invalid subscriptionType shared"),
        ("subscriptionMode=Bad", "Invalid subscriptionMode Bad"),
        (
            "subscriptionInitialPosition=x",
            "Invalid subscriptionInitialPosition x",
        ),
        ("receiverQueueSize=-1", "receiverQueueSize needs to be >= 0"),
        ("receiverQueueSize=abc", "For input string: \"abc\""),
        ("consumerName=", "consumerName cannot be blank"),
        ("priorityLevel=-1", "priorityLevel needs to be >= 0"),
        ("priorityLevel=x", "For input string: \"x\""),
        (
            "negativeAckRedeliveryDelay=-1",
            "redeliveryDelay needs to be >= 0",
        ),
        ("maxRedeliverCount=0", count),
        ("maxRedeliverCount=-1", count),
        ("maxRedeliverCount=x", "For input string: \"x\""),
        ("deadLetterTopic=foo", count),
    ];
    let rows = rows.map(|(query, text)| (query, 400, format!("Invalid query params: {text}")));
    let rows: Vec<_> = rows.iter().map(|(q, s, t)| (*q, *s, t.as_str())).collect();
    check(&world, &rows, |query| {
        format!("/ws/v2/consumer/persistent/public/default/{name}/sub?{query}")
    });
    assert!(world.admin().stats(&name).is_none());
}

#[test]
fn a_readers_wrong_parameter_is_400_where_java_says_500() {
    let world = World::start();
    let name = topic("refused");
    let rows = [
        (
            "messageId=zzz",
            400,
            "Invalid query params: messageId is not a Pulsar message id",
        ),
        (
            "messageId=!!",
            400,
            "Invalid query params: Illegal base64 character 21",
        ),
        (
            "receiverQueueSize=-1",
            400,
            "Invalid query params: receiverQueueSize needs to be >= 0",
        ),
        (
            "receiverQueueSize=abc",
            400,
            "Invalid query params: For input string: \"abc\"",
        ),
    ];
    check(&world, &rows, |query| {
        format!("/ws/v2/reader/persistent/public/default/{name}?{query}")
    });
}

#[test]
fn what_java_lets_in_is_let_in() {
    let world = World::start();
    let name = topic("let-in");
    for query in [
        "messageRoutingMode=CustomPartition",
        "hashingScheme=Murmur3_32Hash",
        "initialSequenceId=-7",
        "batchingEnabled=maybe",
        "unknown=1",
        // Of two the first counts.
        "sendTimeoutMillis=5&sendTimeoutMillis=abc",
    ] {
        world.producer(&format!("{name}?{query}")).close();
    }
    for (number, query) in [
        "ackTimeoutMillis=1000",
        "ackTimeoutMillis=0",
        "receiverQueueSize=0",
        "receiverQueueSize=100000",
        "negativeAckRedeliveryDelay=0",
        "pullMode=TRUE",
        "pullMode=x",
        "cryptoFailureAction=Foo",
        "priorityLevel=3",
    ]
    .iter()
    .enumerate()
    {
        world
            .consumer(&name, &format!("sub{number}?{query}"))
            .close();
    }
    for query in [
        "messageId=earliest",
        "messageId=CBAQADAA",
        "messageId=",
        "receiverQueueSize=0",
        "readerName=",
        "cryptoFailureAction=x",
    ] {
        world.reader(&format!("{name}?{query}")).close();
    }
}

/// Those that Java has no text for; the others are in `tests/golden`.
#[test]
fn what_is_wrong_with_a_path_is_told() {
    let world = World::start();
    let rows = [
        (
            "bogus/public/default/t",
            400,
            "Invalid topic domain: persistent or non-persistent",
        ),
        (
            "persistent/public/default/%zz",
            400,
            "Invalid percent escape in the topic name",
        ),
        (
            "persistent/public/default/%ff",
            400,
            "The topic name is not valid UTF-8",
        ),
    ];
    check(&world, &rows, |topic| format!("/ws/v2/producer/{topic}"));
}

#[test]
fn names_are_decoded_after_the_path_is_split() {
    let world = World::start();
    let name = topic("decoded");
    // A topic with a slash and a blank, and a subscription with a slash.
    let mut producer = world.producer(&format!("{name}%2Fa%20b"));
    let mut joined = world.producer(&format!("{name}/a%20b"));
    let mut consumer = world.consumer(&format!("{name}%2Fa%20b"), "s%2Fx");
    producer.publish("one");
    joined.publish("two");
    assert_eq!(consumer.receive_all(2), ["one", "two"]);
}

#[test]
fn a_namespace_or_tenant_that_is_not_there_is_404() {
    let world = World::start();
    let created = "Failed to create producer/consumer: Namespace not found";
    let rows = [
        ("/ws/v2/producer/persistent/public/nons/t", 404, created),
        ("/ws/v2/consumer/persistent/public/nons/t/s", 404, created),
        ("/ws/v2/producer/persistent/noten/default/t", 404, created),
        ("/ws/producer/persistent/public/global/nons/t", 404, created),
        (
            "/ws/v2/reader/persistent/public/nons/t",
            404,
            "Failed to create reader: Namespace not found",
        ),
    ];
    check(&world, &rows, str::to_owned);
}

#[test]
fn a_durable_subscription_is_not_opened_as_a_non_durable_one() {
    let world = World::start();
    let name = topic("durable");
    world.consumer(&name, "sub").close();
    let path = format!("/ws/v2/consumer/persistent/public/default/{name}/sub");
    crate::support::eventually("the first has gone", || {
        let stats = world.admin().stats(&name).expect("the topic is there");
        !stats.is_in_use()
    });
    let rows = [(
        "subscriptionMode=NonDurable",
        500,
        "Failed to create producer/consumer: Durable subscription with the same name already exists.",
    )];
    check(&world, &rows, |query| format!("{path}?{query}"));
}

#[test]
fn a_client_that_accepts_json_gets_the_text_in_json() {
    let world = World::start();
    let answer = |accept: &str| {
        let request = format!(
            "GET /ws/v2/producer/bogus/public/default/t HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n{accept}\r\n"
        );
        http_get(world.address(), request.as_bytes())
    };
    let json = answer("Accept: application/json\r\n");
    assert!(json.starts_with("HTTP/1.1 400 "), "{json}");
    assert!(
        json.ends_with("{\"reason\":\"Invalid topic domain: persistent or non-persistent\"}"),
        "{json}"
    );
    let text = answer("");
    assert!(
        text.ends_with("\r\n\r\nInvalid topic domain: persistent or non-persistent\n"),
        "{text}"
    );
}
