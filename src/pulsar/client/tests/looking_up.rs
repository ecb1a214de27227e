//! Lookups: redirects, proxies, several service URLs, back-off and its end.

use ::pulsar::proto::command_lookup_topic_response::LookupType;
use ::pulsar::proto::command_partitioned_topic_metadata_response::LookupType as PartitionsLookupType;

use super::*;
use crate::pulsar::PatternText;
use crate::pulsar::wire::MAX_NAMES;

fn partitions(request_id: u64, partitions: u32) -> BaseCommand {
    BaseCommand {
        partition_metadata_response: Some(proto::CommandPartitionedTopicMetadataResponse {
            request_id,
            partitions: Some(partitions),
            response: Some(PartitionsLookupType::Success as i32),
            ..Default::default()
        }),
        ..base(Type::PartitionedMetadataResponse)
    }
}

fn partitions_refused(request_id: u64, error: proto::ServerError) -> BaseCommand {
    BaseCommand {
        partition_metadata_response: Some(proto::CommandPartitionedTopicMetadataResponse {
            request_id,
            response: Some(PartitionsLookupType::Failed as i32),
            error: Some(error as i32),
            message: Some("why".to_owned()),
            ..Default::default()
        }),
        ..base(Type::PartitionedMetadataResponse)
    }
}

fn heard_partitions(world: &mut World) -> (ConnectionId, u64) {
    let said = world.heard(Type::PartitionedMetadata);
    let asked = said.command.partition_metadata.expect("its fields");
    (said.connection, asked.request_id)
}

/// Asks for a topic's number of partitions.
fn count(world: &mut World, topic: &str, tag: Tag) {
    let now_ms = world.now_ms;
    world
        .client
        .count_partitions(now_ms, Principal::GATEWAY, topic, tag);
}

/// A machine that has asked for [`TOPIC`]'s, by tag 1, on the connection that it has got.
fn counting() -> World {
    let mut world = World::new(config());
    count(&mut world, TOPIC, 1);
    world.accept(SERVICE);
    world
}

#[test]
fn a_redirect_is_followed_with_its_authority() {
    let mut world = World::new(config());
    world.client.open_producer(world.now_ms, producer_spec());
    let service = world.accept(SERVICE);
    let (_, first) = world.heard_lookup();
    assert_eq!(first.authoritative, Some(false));
    world.say(
        service,
        &lookup_answer(first.request_id, LookupType::Redirect, "other"),
    );
    let other = world.accept("other");
    let said = world.heard(Type::Lookup);
    assert_eq!(said.connection, other);
    let second = said.command.lookup_topic.expect("asked");
    assert_eq!(second.authoritative, Some(true));
    world.say(
        other,
        &lookup_answer(second.request_id, LookupType::Connect, "owner"),
    );
    let owner = world.accept("owner");
    assert_eq!(world.heard_producer().0, owner);
}

#[test]
fn redirects_that_go_round_end_and_are_tried_again_later() {
    let mut world = World::new(config());
    world.client.open_producer(world.now_ms, producer_spec());
    world.accept(SERVICE);
    let mut redirects = 0;
    world.pump();
    while !world.said.is_empty() {
        let said = world.heard(Type::Lookup);
        let request_id = said.command.lookup_topic.expect("asked").request_id;
        let answer = lookup_answer(request_id, LookupType::Redirect, SERVICE);
        world.say(said.connection, &answer);
        redirects += 1;
        assert!(redirects < 100);
    }
    assert_eq!(redirects, 21);
    world.pass(100);
    world.heard(Type::Lookup);
}

#[test]
fn through_a_proxy_the_service_address_is_dialled_for_the_broker_meant() {
    let mut world = World::new(config());
    world.client.open_producer(world.now_ms, producer_spec());
    let service = world.accept(SERVICE);
    let (_, asked) = world.heard_lookup();
    let mut answer = lookup_answer(asked.request_id, LookupType::Connect, "broker-3");
    if let Some(response) = &mut answer.lookup_topic_response {
        response.proxy_through_service_url = Some(true);
    }
    world.say(service, &answer);
    let (connection, connect) = world.dial(SERVICE);
    assert_ne!(connection, service);
    assert_eq!(
        connect.proxy_to_broker_url.as_deref(),
        Some("broker-3:6650")
    );
}

#[test]
fn the_same_question_is_asked_once_for_all() {
    let mut world = World::new(config());
    for tag in 0..10 {
        count(&mut world, TOPIC, tag);
    }
    world.accept(SERVICE);
    let (connection, request_id) = heard_partitions(&mut world);
    world.heard_nothing();
    world.say(connection, &partitions(request_id, 4));
    for expected in 0..10 {
        match world.event() {
            Event::Partitions { tag, result } => assert_eq!((tag, result), (expected, Ok(4))),
            other => panic!("{other:?}"),
        }
    }
}

/// What Pulsar's proxy says when the broker has refused.
#[test]
fn a_count_refused_by_a_lookup_response_is_refused() {
    let mut world = counting();
    let (connection, request_id) = heard_partitions(&mut world);
    let mut answer = lookup_answer(request_id, LookupType::Failed, SERVICE);
    if let Some(response) = &mut answer.lookup_topic_response {
        response.error = Some(proto::ServerError::TopicNotFound as i32);
    }
    world.say(connection, &answer);
    assert!(matches!(
        world.event(),
        Event::Partitions { result: Err(error), .. } if error.kind == ErrorKind::NotFound
    ));
    assert!(world.closed.is_empty());
}

/// The connection is closed for it, and those who asked are not forgotten: they ask again.
#[test]
fn the_answer_to_another_question_is_no_answer() {
    let mut world = World::new(config());
    count(&mut world, TOPIC, 1);
    let service = world.accept(SERVICE);
    let (connection, request_id) = heard_partitions(&mut world);
    let answer = lookup_answer(request_id, LookupType::Connect, SERVICE);
    world.say(connection, &answer);
    assert_eq!(world.closed, [service]);
    world.pass(100);
    world.accept(SERVICE);
    heard_partitions(&mut world);
}

#[test]
fn a_missing_topic_fails_at_once() {
    let mut world = counting();
    let (connection, request_id) = heard_partitions(&mut world);
    world.say(
        connection,
        &partitions_refused(request_id, proto::ServerError::TopicNotFound),
    );
    match world.event() {
        Event::Partitions { result, .. } => {
            let error = result.expect_err("refused");
            assert_eq!(error.kind, ErrorKind::NotFound);
            assert_eq!(error.message, "why");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_passing_refusal_is_retried_with_growing_delays_until_the_operation_timeout() {
    let mut world = World::new(config());
    let start_ms = world.now_ms;
    world
        .client
        .count_partitions(start_ms, Principal::GATEWAY, TOPIC, 1);
    world.accept(SERVICE);
    let mut asked_ms = Vec::new();
    while world.now_ms < start_ms + 30_000 {
        world.pump();
        if !world.said.is_empty() {
            asked_ms.push(world.now_ms);
            let (connection, request_id) = heard_partitions(&mut world);
            let refused = partitions_refused(request_id, proto::ServerError::ServiceNotReady);
            world.say(connection, &refused);
        }
        world.pass(10);
    }
    let gaps: Vec<u64> = asked_ms.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((8..12).contains(&asked_ms.len()), "{gaps:?}");
    for (index, gap) in gaps.iter().enumerate() {
        let step = 100 << index;
        assert!((step / 2..=step + 10).contains(gap), "{gaps:?}");
    }
    match world.event() {
        Event::Partitions { result, .. } => {
            let error = result.expect_err("timed out");
            assert_eq!(error.kind, ErrorKind::Timeout);
            assert!(error.message.ends_with("why"), "{}", error.message);
        }
        other => panic!("{other:?}"),
    }
    world.no_event();
}

#[test]
fn no_answer_at_all_times_out() {
    let mut world = counting();
    world.pass(29_999);
    world.no_event();
    world.pass(1);
    assert!(matches!(
        world.event(),
        Event::Partitions { result: Err(error), .. } if error.kind == ErrorKind::Timeout
    ));
}

#[test]
fn the_next_service_url_is_tried_at_once_when_one_is_down() {
    let mut world = World::new(ClientConfig {
        service_urls: vec![address("down"), address("up")],
        ..config()
    });
    world.client.open_producer(world.now_ms, producer_spec());
    world.pump();
    let (connection, dialled) = world.dialled.pop_front().expect("dialled");
    assert_eq!(dialled.host, "down");
    world
        .client
        .connect_failed(world.now_ms, connection, "connection refused");
    world.accept("up");
    world.answer_lookup("up");
    world.heard_producer();
    // The one that worked is asked first from now on.
    count(&mut world, TOPIC, 1);
    heard_partitions(&mut world);
}

#[test]
fn when_all_service_urls_are_down_each_is_tried_once_before_a_pause() {
    let mut world = World::new(ClientConfig {
        service_urls: vec![address("a"), address("b"), address("c")],
        ..config()
    });
    count(&mut world, TOPIC, 1);
    count(&mut world, "other", 2);
    let mut refused = Vec::new();
    world.pump();
    while let Some((connection, dialled)) = world.dialled.pop_front() {
        refused.push(dialled.host);
        world
            .client
            .connect_failed(world.now_ms, connection, "connection refused");
        world.pump();
    }
    assert_eq!(refused, ["a", "b", "c"]);
    world.no_event();
    world.pass(100);
    world.accept("a");
    heard_partitions(&mut world);
    heard_partitions(&mut world);
}

#[test]
fn a_broker_that_goes_before_it_answers_is_one_that_is_down() {
    let mut world = World::new(ClientConfig {
        service_urls: vec![address("down"), address("up")],
        ..config()
    });
    count(&mut world, TOPIC, 1);
    let down = world.accept("down");
    heard_partitions(&mut world);
    world.lose(down);
    world.accept("up");
    heard_partitions(&mut world);
}

#[test]
fn at_the_end_of_the_operation_timeout_the_brokers_last_word_counts() {
    let mut world = counting();
    let (connection, request_id) = heard_partitions(&mut world);
    let refused = partitions_refused(request_id, proto::ServerError::UnknownError);
    world.say(connection, &refused);
    world.no_event();
    world.pass(30_000);
    match world.event() {
        Event::Partitions { result, .. } => {
            let error = result.expect_err("refused");
            assert_eq!(error.kind, ErrorKind::Other);
            assert_eq!(error.message, "why");
        }
        other => panic!("{other:?}"),
    }
}

/// Pulsar 4.0.8 says no word where a topic must not be created.
#[test]
fn a_refusal_without_words_has_the_name_of_its_code() {
    let mut world = counting();
    let (connection, request_id) = heard_partitions(&mut world);
    let mut refused = partitions_refused(request_id, proto::ServerError::TopicNotFound);
    if let Some(response) = &mut refused.partition_metadata_response {
        response.message = Some(String::new());
    }
    world.say(connection, &refused);
    match world.event() {
        Event::Partitions { result, .. } => {
            assert_eq!(result.expect_err("refused").message, "TopicNotFound");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_broker_that_throttles_is_believed_at_once() {
    let mut world = counting();
    let (connection, request_id) = heard_partitions(&mut world);
    let refused = partitions_refused(request_id, proto::ServerError::TooManyRequests);
    world.say(connection, &refused);
    assert!(matches!(
        world.event(),
        Event::Partitions { result: Err(error), .. } if error.kind == ErrorKind::TooManyRequests
    ));
}

#[test]
fn a_number_of_partitions_beyond_reason_is_refused() {
    let mut world = counting();
    let (connection, request_id) = heard_partitions(&mut world);
    world.say(connection, &partitions(request_id, u32::MAX));
    assert!(matches!(
        world.event(),
        Event::Partitions { result: Err(error), .. } if error.kind == ErrorKind::Invalid
    ));
}

#[test]
fn an_answer_does_not_lead_out_of_tls() {
    let mut world = World::new(ClientConfig {
        service_urls: vec![BrokerAddress {
            tls: true,
            ..address(SERVICE)
        }],
        ..config()
    });
    world.client.open_producer(world.now_ms, producer_spec());
    let service = world.accept(SERVICE);
    let (_, asked) = world.heard_lookup();
    let mut answer = lookup_answer(asked.request_id, LookupType::Connect, "owner");
    if let Some(response) = &mut answer.lookup_topic_response {
        response.broker_service_url_tls = Some("pulsar://owner:6650".to_owned());
    }
    world.say(service, &answer);
    world.heard_nothing();
}

#[test]
fn a_thousand_lookups_are_asked_at_a_time_and_the_rest_in_turn() {
    let mut world = World::new(config());
    for tag in 0..1_500 {
        let topic = format!("{TOPIC}-{tag}");
        count(&mut world, &topic, tag);
    }
    world.accept(SERVICE);
    assert_eq!(world.said.len(), 1_000);
    for _ in 0..1_500 {
        let (connection, request_id) = heard_partitions(&mut world);
        world.say(connection, &partitions(request_id, 0));
    }
    assert_eq!(world.events.len(), 1_500);
}

/// An answer to the list that the machine asks for now, of so many names with so many bytes each.
fn say_topics(world: &mut World, names: usize, name_bytes: usize) -> ConnectionId {
    let said = world.heard(Type::GetTopicsOfNamespace);
    let asked = said.command.get_topics_of_namespace.expect("its fields");
    let answer = BaseCommand {
        get_topics_of_namespace_response: Some(proto::CommandGetTopicsOfNamespaceResponse {
            request_id: asked.request_id,
            topics: vec!["t".repeat(name_bytes); names],
            ..Default::default()
        }),
        ..base(Type::GetTopicsOfNamespaceResponse)
    };
    world.say(said.connection, &answer);
    said.connection
}

fn list_topics(world: &mut World, tag: Tag) {
    let pattern = PatternText::new("t.*", "public/default");
    let pattern = pattern.compile().expect("a pattern");
    let principal = Principal::GATEWAY;
    world
        .client
        .list_topics(world.now_ms, principal, &pattern, tag);
}

#[test]
fn a_list_larger_than_any_message_comes_on_a_connection_of_its_own() {
    let mut world = World::new(config());
    let (_, connection) = world.consumer(consumer_spec());
    world.said.clear();
    list_topics(&mut world, 1);
    let of_lists = world.accept(SERVICE);
    assert_ne!(of_lists, connection);
    assert_eq!(say_topics(&mut world, 60_000, 105), of_lists);
    match world.event() {
        Event::Topics { tag: 1, result } => {
            assert_eq!(result.expect("a list").len(), 60_000);
        }
        other => panic!("{other:?}"),
    }
    list_topics(&mut world, 2);
    assert_eq!(say_topics(&mut world, MAX_NAMES, 1), of_lists);
    assert!(matches!(
        world.event(),
        Event::Topics { tag: 2, result: Ok(names) } if names.len() == MAX_NAMES
    ));
    assert!(world.closed.is_empty());
}

#[test]
fn a_list_of_too_many_topics_is_refused_at_once_and_harms_no_connection() {
    let mut world = World::new(config());
    list_topics(&mut world, 1);
    world.accept(SERVICE);
    say_topics(&mut world, MAX_NAMES + 1, 1);
    match world.event() {
        Event::Topics { tag: 1, result } => {
            let error = result.expect_err("too many");
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert_eq!(error.message, "the namespace has more than 200000 topics");
        }
        other => panic!("{other:?}"),
    }
    assert!(world.closed.is_empty());
}
