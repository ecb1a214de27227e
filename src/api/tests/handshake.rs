//! Paths and queries.

use crate::api::*;
use crate::pulsar::{BrokerError, ErrorKind};

fn endpoint(path: &str) -> Result<String, (u16, String)> {
    endpoint_of(path, "")
}

fn endpoint_of(path: &str, query: &str) -> Result<String, (u16, String)> {
    let endpoint =
        Endpoint::parse(path, query).map_err(|refusal| (refusal.status, refusal.message))?;
    let topic = endpoint.topic.as_str();
    Ok(match &endpoint.kind {
        EndpointKind::Producer => format!("producer {topic}"),
        EndpointKind::Reader => format!("reader {topic}"),
        EndpointKind::Consumer { subscription } => format!("consumer {topic} {subscription}"),
        EndpointKind::MultiTopicConsumer {
            subscription,
            topics,
        } => match topics {
            TopicSet::Named(names) => {
                let names: Vec<_> = names.iter().map(TopicName::as_str).collect();
                format!("consumer of {} {subscription}", names.join(","))
            }
            TopicSet::Pattern(pattern) => {
                let (namespace, text) = (pattern.namespace(), pattern.text());
                format!("consumer of {namespace} {text} {subscription}")
            }
        },
    })
}

#[test]
fn paths_of_both_versions_are_endpoints() {
    for (path, expected) in [
        (
            "/ws/v2/producer/persistent/public/default/cap1",
            "producer persistent://public/default/cap1",
        ),
        (
            "/ws/v2/reader/non-persistent/public/default/t",
            "reader non-persistent://public/default/t",
        ),
        (
            "/ws/v2/consumer/persistent/public/default/cap1/s",
            "consumer persistent://public/default/cap1 s",
        ),
        (
            "/ws/producer/persistent/t/c/n/topic",
            "producer persistent://t/c/n/topic",
        ),
        (
            "/ws/consumer/persistent/t/c/n/topic/sub",
            "consumer persistent://t/c/n/topic sub",
        ),
        (
            "/ws/reader/persistent/t/c/n/a/b",
            "reader persistent://t/c/n/a/b",
        ),
        // Slashes join the topic, and empty parts go; Pulsar takes such a V2 name for a V1 one.
        (
            "/ws/v2/producer/persistent/public/default/a/b//c/",
            "producer persistent://public/default/a/b/c",
        ),
        (
            "/ws/v2/reader/persistent/public/default/a/b",
            "reader persistent://public/default/a/b",
        ),
        // Decoded behind the split, with the rules of forms.
        (
            "/ws/v2/consumer/persistent/p/d/a%2Fb/s%2Ft",
            "consumer persistent://p/d/a/b s/t",
        ),
        (
            "/ws/v2/producer/persistent/p/d/%C3%A9%20a+b",
            "producer persistent://p/d/é a b",
        ),
        (
            "/ws/v2/producer/persistent/p/d/a%20",
            "producer persistent://p/d/a",
        ),
        (
            "/ws/v2/producer/persistent/a-=:._9/b/t",
            "producer persistent://a-=:._9/b/t",
        ),
    ] {
        assert_eq!(endpoint(path).as_deref(), Ok(expected), "{path}");
    }
}

/// Each was asked of the Java gateway 4.0.8, and the topic that it made was looked up at the broker.
#[test]
fn odd_names_are_the_topics_that_java_makes_of_them() {
    for (local, name) in [
        ("a%2Fb", "a/b"),
        ("a%20b", "a b"),
        ("a+b", "a b"),
        ("%C3%A9", "é"),
        ("é", "é"),
        ("a%25b", "a%b"),
        ("a:b", "a:b"),
        ("a,b", "a,b"),
        ("a&b", "a&b"),
        ("a'b", "a'b"),
        ("a%22b", "a\"b"),
        ("a%5Cb", "a\\b"),
        ("a;b", "a;b"),
        ("a%0Ab", "a\nb"),
        ("a%7Cb", "a|b"),
        ("a%3Fb", "a?b"),
        ("a%23b", "a#b"),
        ("a*b", "a*b"),
        ("...", "..."),
        ("a..", "a.."),
        ("__change_events", "__change_events"),
        ("a-partition-0", "a-partition-0"),
        ("a-partition-01", "a-partition-01"),
    ] {
        let topic = format!("persistent://public/default/{name}");
        let base = format!("persistent/public/default/{local}");
        let path = format!("/ws/v2/producer/{base}");
        assert_eq!(endpoint(&path), Ok(format!("producer {topic}")));
        let path = format!("/ws/v2/reader/{base}");
        assert_eq!(endpoint(&path), Ok(format!("reader {topic}")));
        let path = format!("/ws/v2/consumer/{base}/s");
        assert_eq!(endpoint(&path), Ok(format!("consumer {topic} s")));
    }
    // Another place in a path, as they are, without the blanks that Java cuts off, or where they are read as a V1 name.
    for local in [
        ".", "..", "%2E%2E", "%2E", "..%20", ".%20", "..+%01", "a%2F..", "a%2F.%0A", "%01",
        "a%2F%01",
    ] {
        let path = format!("/ws/v2/producer/persistent/public/default/{local}");
        assert!(endpoint(&path).is_err(), "{local}");
    }
    let path = "/ws/v2/producer/persistent/public/default/+a%20%01";
    let topic = "producer persistent://public/default/ a";
    assert_eq!(endpoint(path), Ok(topic.to_owned()));
    // With slashes that are not escaped: a producer's and a reader's, not a consumer's.
    for role in ["producer", "reader"] {
        let path = format!("/ws/v2/{role}/persistent/public/default/a//b/c/");
        let topic = "persistent://public/default/a/b/c";
        assert_eq!(endpoint(&path), Ok(format!("{role} {topic}")));
    }
    for rest in ["a/b/s", "a//b/s", "x/s/", "x//"] {
        let path = format!("/ws/v2/consumer/persistent/public/default/{rest}");
        let text = "Invalid query params: Invalid topic name format";
        assert_eq!(endpoint(&path), Err((400, text.to_owned())), "{path}");
    }
    let null = "The topic name has a NUL character".to_owned();
    let path = "/ws/v2/producer/persistent/public/default/a%00b";
    assert_eq!(endpoint(path), Err((400, null)));
}

#[test]
fn other_paths_are_not_found() {
    for path in [
        "/nope",
        "/ws/pingpong",
        "/",
        "",
        "/ws",
        "/ws/v2",
        "/ws/v2/x/persistent/p/d/t",
        "/ws/v3/reader/s",
        "ws/v2/producer/persistent/p/d/t",
    ] {
        assert_eq!(endpoint(path), Err((404, "Not Found".to_owned())), "{path}");
    }
}

#[test]
fn paths_that_are_no_topic_are_refused_in_one_line() {
    let at = |path: &str, text: &str| {
        assert_eq!(endpoint(path), Err((400, text.to_owned())), "{path}");
    };
    for path in [
        "/ws/v2/producer/persistent/public",
        "/ws/producer/persistent/t/c/n",
    ] {
        at(path, "Invalid topic name format");
    }
    for rest in ["public/default/cap1", "p", "p/d/a/b/s"] {
        at(
            &format!("/ws/v2/consumer/persistent/{rest}"),
            "Invalid query params: Invalid topic name format",
        );
    }
    for (topic, text) in [
        (
            "bogus/public/default/cap1",
            "Invalid topic domain: persistent or non-persistent",
        ),
        ("persistent/p//t", "Invalid namespace format. namespace: p/"),
        ("persistent/p%20/d/t", "Invalid named entity: p%20"),
        (
            "persistent/p/d/",
            "Invalid topic name: persistent://p/d/. Topic local name must not be blank.",
        ),
        (
            "persistent/p/d//a",
            "Invalid namespace format. namespace: p/d/",
        ),
        ("persistent/p/d/a%20b/c", "Invalid named entity: a b"),
    ] {
        at(&format!("/ws/v2/producer/{topic}"), text);
    }
}

#[test]
fn names_with_characters_that_they_cannot_have_are_refused_in_one_line() {
    const ESCAPE: &str = "Invalid percent escape in the topic name";
    const UTF_8: &str = "The topic name is not valid UTF-8";
    for (name, text) in [
        ("%", ESCAPE),
        ("a%2", ESCAPE),
        ("%zz", ESCAPE),
        ("%+1", ESCAPE),
        // Overlong, a surrogate, beyond Unicode, half a character.
        ("%C0%AF", UTF_8),
        ("%E0%80%AF", UTF_8),
        ("%ED%A0%80", UTF_8),
        ("%F4%90%80%80", UTF_8),
        ("%E2%82", UTF_8),
        ("a%00b", "The topic name has a NUL character"),
        (
            "{t}",
            "The path has a character that needs a percent escape",
        ),
    ] {
        let path = format!("/ws/v2/producer/persistent/p/d/{name}");
        assert_eq!(endpoint(&path), Err((400, text.to_owned())), "{path}");
    }
    for (name, text) in [
        ("", "Invalid query params: Empty subscription name"),
        (
            "+%20",
            "Invalid query params: subscriptionName cannot be blank",
        ),
        ("%00", "The subscription name has a NUL character"),
        ("%ff", "The subscription name is not valid UTF-8"),
    ] {
        let path = format!("/ws/v2/consumer/persistent/p/d/t/{name}");
        assert_eq!(endpoint(&path), Err((400, text.to_owned())), "{path}");
    }
}

fn several(query: &str) -> Result<String, (u16, String)> {
    endpoint_of("/ws/v3/consumer/s", query)
}

#[test]
fn several_topics_are_named_as_the_java_client_takes_them() {
    let a = "persistent://public/default/a";
    for (topics, expected) in [
        ("a", vec![a]),
        ("a,a", vec![a]),
        ("b,%20a", vec![a, "persistent://public/default/b"]),
        ("a,t/n/a", vec![a, "persistent://t/n/a"]),
        (
            "/a/,non-persistent://t/n/a",
            vec!["non-persistent://t/n/a", a],
        ),
        ("persistent://t/c/n/a/b", vec!["persistent://t/c/n/a/b"]),
        ("a%2Cb", vec![a, "persistent://public/default/b"]),
        (
            "a-partition-1",
            vec!["persistent://public/default/a-partition-1"],
        ),
        ("%C3%A9", vec!["persistent://public/default/é"]),
        ("Non-Persistent://t/n/x", vec!["non-persistent://t/n/x"]),
    ] {
        let expected = format!("consumer of {} {}", expected.join(","), "s");
        assert_eq!(
            several(&format!("topics={topics}")),
            Ok(expected),
            "{topics}"
        );
    }
    let pattern = several("topicsPattern=persistent://t/n/x.*");
    assert_eq!(
        pattern,
        Ok("consumer of t/n persistent://t/n/x.* s".to_owned())
    );
    let pattern = endpoint_of("/ws/v3/consumer/a%2Fb/c", "topicsPattern=.*");
    assert_eq!(pattern, Ok("consumer of public/default .* a/b".to_owned()));
}

#[test]
fn several_topics_are_refused_in_javas_words() {
    let invalid = |text: &str| format!("Invalid query params: {text}");
    let duplicates = invalid("Subscription topics include duplicate items or invalid names.");
    let short = |name: &str| {
        format!(
            "Invalid short topic name '{name}', it should be in the format of <tenant>/<namespace>/<topic> or <topic>"
        )
    };
    for (query, text) in [
        ("", "Should set topics or topicsPattern".to_owned()),
        (
            "topics=a&topicsPattern=b",
            "Topics must be null when use topicsPattern".to_owned(),
        ),
        ("topics=", short("")),
        ("topicsPattern=", short("")),
        ("topics=a/b,c", short("a/b")),
        ("topics=a,", invalid("topicNames cannot have blank topic")),
        ("topics=a,persistent://public/default/a", duplicates.clone()),
        ("topics=a,b/c", duplicates),
        ("topics=x://t/n/a", "Invalid topic domain: 'x'".to_owned()),
        (
            "topics=persistent://t/n",
            "Invalid topic name: persistent://t/n".to_owned(),
        ),
        (
            "topics=persistent://t/n!/a",
            "Invalid named entity: n!".to_owned(),
        ),
        ("topicsPattern=.*/x", short(".*/x")),
    ] {
        assert_eq!(several(query), Err((400, text)), "{query}");
    }
    for (path, text) in [
        ("/ws/v3/consumer", "Invalid topic name format"),
        ("/ws/v3/consumer/", "Empty subscription name"),
        ("/ws/v3/consumer/%20", "subscriptionName cannot be blank"),
    ] {
        assert_eq!(
            endpoint_of(path, "topics=a"),
            Err((400, invalid(text))),
            "{path}"
        );
    }
}

#[test]
fn names_have_a_length() {
    let long = |most: usize| "x".repeat(most + 1);
    let (part, name) = (long(255), long(2048));
    let namespace = "The tenant, cluster or namespace name is longer than 255 bytes";
    let topic = "The topic name is longer than 2048 bytes";
    for (path, text) in [
        (format!("producer/persistent/{part}/d/t"), namespace),
        (format!("reader/persistent/p/{part}/t"), namespace),
        (format!("producer/persistent/p/d/{name}"), topic),
        (format!("consumer/persistent/p/d/{name}/s"), topic),
        (
            format!("consumer/persistent/p/d/t/{name}"),
            "Invalid query params: The subscription name is longer than 2048 bytes",
        ),
    ] {
        let refused = endpoint(&format!("/ws/v2/{path}"));
        assert_eq!(refused, Err((400, text.to_owned())), "{path}");
    }
    let most = format!("/ws/v2/producer/persistent/{}/d/{}", &part[1..], &name[1..]);
    assert!(endpoint(&most).is_ok());
    assert_eq!(
        several(&format!("topics=p/d/{name}")),
        Err((400, topic.to_owned()))
    );
}

#[test]
fn a_consumer_names_a_thousand_topics_and_no_more() {
    let topics = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("t{n}")).collect();
        several(&format!("topics={}", names.join(",")))
    };
    assert!(topics(1_000).is_ok());
    let text = "More than 1000 topics: take a topicsPattern, or several consumers";
    assert_eq!(topics(1_001), Err((400, text.to_owned())));
    // Also where they are all the same.
    let same = several(&format!("topics={}", "a,".repeat(1_000) + "a"));
    assert_eq!(same, Err((400, text.to_owned())));
}

#[test]
fn queries_are_read_as_jetty_reads_them() {
    let first = |raw: &str, name: &str| {
        Query::parse(raw)
            .ok()
            .and_then(|query| query.get(name).map(str::to_owned))
    };
    for (raw, name, value) in [
        ("a=1&a=2", "a", Some("1")),
        ("a", "a", Some("")),
        ("a=b=c", "a", Some("b=c")),
        ("a+b=c+d%2B%20", "a b", Some("c d+ ")),
        ("&&%61=1&", "a", Some("1")),
        ("a=1;b=2", "a", Some("1;b=2")),
        ("a=%c3%a9", "a", Some("é")),
        ("", "a", None),
    ] {
        assert_eq!(first(raw, name).as_deref(), value, "{raw}");
    }
    for raw in [
        "a=%",
        "a=%2",
        "a=%zz",
        "a=%u0041",
        "a=%ff",
        "a=%c0%af",
        "a=%ed%a0%80",
        "%g0=1",
    ] {
        assert_eq!(Query::parse(raw).unwrap_err().status, 400, "{raw}");
    }
}

#[test]
fn upstream_errors_have_the_statuses_of_the_table() {
    let kinds = [
        (ErrorKind::Unauthenticated, 401),
        (ErrorKind::Unauthorized, 403),
        (ErrorKind::NotFound, 404),
        (ErrorKind::ProducerBusy, 409),
        (ErrorKind::ConsumerBusy, 409),
        (ErrorKind::ProducerFenced, 409),
        (ErrorKind::IncompatibleSchema, 409),
        (ErrorKind::TooManyRequests, 429),
        (ErrorKind::QuotaExceeded, 503),
        (ErrorKind::QuotaHeld, 503),
        (ErrorKind::TopicTerminated, 503),
        (ErrorKind::Timeout, 504),
        (ErrorKind::Invalid, 500),
        (ErrorKind::Other, 500),
    ];
    for (kind, status) in kinds {
        let message = "Namespace not found".to_owned();
        let error = BrokerError { kind, message };
        let text = "Failed to create producer/consumer: Namespace not found";
        assert_eq!(Refusal::not_created(&error), Refusal::new(status, text));
        let text = "Failed to create reader: Namespace not found";
        assert_eq!(
            Refusal::reader_not_created(&error),
            Refusal::new(status, text)
        );
    }
}

#[test]
fn close_codes_are_in_the_range_of_applications() {
    let error = WebSocketError::FailedToSubscribe;
    assert_eq!(
        (error.close_code(), error.reason("why")),
        (4002, "Failed to subscribe: why".to_owned())
    );
    assert_eq!(WebSocketError::UnknownError.close_code(), 4008);
}
