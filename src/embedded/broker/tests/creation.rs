//! Connections, lookups, and who may produce and subscribe.

use ::pulsar::proto::command_lookup_topic_response::LookupType;
use ::pulsar::proto::{
    CommandCloseProducer, CommandGetTopicsOfNamespace, CommandLookupTopic,
    CommandPartitionedTopicMetadata, CommandPing, CommandProducer, CommandUnsubscribe,
    KeySharedMeta,
};

use super::*;

fn lookup(world: &mut World, topic: &str) -> ::pulsar::proto::CommandLookupTopicResponse {
    let request = CommandLookupTopic {
        topic: topic.into(),
        request_id: 7,
        ..CommandLookupTopic::default()
    };
    let answers = world.ask(1, Type::Lookup, |c| c.lookup_topic = Some(request));
    answers[0].command.lookup_topic_response.clone().unwrap()
}

fn producer(
    world: &mut World,
    id: u64,
    fill: impl FnOnce(&mut CommandProducer),
) -> Result<(String, i64), (ServerError, String)> {
    let mut request = CommandProducer {
        topic: TOPIC.into(),
        producer_id: 1,
        request_id: 9,
        ..CommandProducer::default()
    };
    fill(&mut request);
    let answers = world.ask(id, Type::Producer, |c| c.producer = Some(request));
    let command = &answers[0].command;
    match (&command.producer_success, &command.error) {
        (Some(success), _) => Ok((success.producer_name.clone(), success.last_sequence_id())),
        (None, Some(error)) => Err((error.error(), error.message.clone())),
        (None, None) => panic!("no answer"),
    }
}

#[test]
fn nothing_comes_before_connect() {
    let mut world = World::new(Options::default());
    assert!(world.broker.connected(world.now_ms, 1));
    let answers = world.ask(1, Type::Ping, |c| c.ping = Some(CommandPing {}));
    assert!(answers.is_empty());
    assert!(world.broker.is_closing(1));
}

#[test]
fn pings_are_answered_and_silence_is_pinged_then_cut() {
    let mut world = World::new(Options::default());
    world.connect(1);
    let answers = world.ask(1, Type::Ping, |c| c.ping = Some(CommandPing {}));
    assert!(answers[0].command.pong.is_some());
    world.advance(15_000);
    world.advance(15_000);
    assert!(world.answers(1)[0].command.ping.is_some());
    world.advance(15_000);
    assert!(!world.broker.is_closing(1));
    world.advance(15_000);
    assert!(world.broker.is_closing(1));
}

#[test]
fn a_lookup_finds_this_broker_and_knows_namespaces() {
    let mut world = World::new(Options::default());
    world.connect(1);
    let found = lookup(&mut world, TOPIC);
    assert_eq!(found.response(), LookupType::Connect);
    assert_eq!(found.broker_service_url(), "pulsar://here:1");
    let v1 = lookup(&mut world, "persistent://sample/standalone/ns1/t");
    assert_eq!(v1.response(), LookupType::Connect);
    let missing = lookup(&mut world, "persistent://public/nowhere/t");
    assert_eq!(missing.error(), ServerError::TopicNotFound);
    assert_eq!(missing.message(), "Namespace not found");
    let v1 = lookup(&mut world, "persistent://public/standalone/nowhere/t");
    assert_eq!(v1.response(), LookupType::Connect);
    let global = lookup(&mut world, "persistent://public/global/nowhere/t");
    assert_eq!(global.error(), ServerError::TopicNotFound);
    let bad = lookup(&mut world, "tcp://public/default/t");
    assert_eq!(bad.error(), ServerError::InvalidTopicName);
    world.broker.create_namespace("public/nowhere").unwrap();
    let found = lookup(&mut world, "persistent://public/nowhere/t");
    assert_eq!(found.response(), LookupType::Connect);
    world.broker.set_redirects(1);
    assert_eq!(lookup(&mut world, TOPIC).response(), LookupType::Redirect);
    assert_eq!(lookup(&mut world, TOPIC).response(), LookupType::Connect);
}

#[test]
fn partitions_are_those_that_were_made() {
    let mut world = World::new(Options::default());
    world.connect(1);
    world.broker.create_partitioned_topic(TOPIC, 3).unwrap();
    let request = CommandPartitionedTopicMetadata {
        topic: "t".into(),
        request_id: 1,
        ..CommandPartitionedTopicMetadata::default()
    };
    let answers = world.ask(1, Type::PartitionedMetadata, |c| {
        c.partition_metadata = Some(request);
    });
    let response = answers[0].command.partition_metadata_response.clone();
    assert_eq!(response.unwrap().partitions(), 3);
    assert!(producer(&mut world, 1, |p| p.topic = format!("{TOPIC}-partition-2")).is_ok());
    let beyond = producer(&mut world, 1, |p| {
        p.producer_id = 2;
        p.topic = format!("{TOPIC}-partition-3");
    });
    assert_eq!(beyond.unwrap_err().0, ServerError::TopicNotFound);
    let request = CommandGetTopicsOfNamespace {
        request_id: 2,
        namespace: "public/default".into(),
        ..CommandGetTopicsOfNamespace::default()
    };
    let answers = world.ask(1, Type::GetTopicsOfNamespace, |c| {
        c.get_topics_of_namespace = Some(request);
    });
    let response = answers[0].command.get_topics_of_namespace_response.clone();
    assert_eq!(response.unwrap().topics.len(), 3);
}

#[test]
fn a_producer_name_is_taken_until_its_producer_goes() {
    let mut world = World::new(Options::default());
    world.connect(1);
    world.connect(2);
    let named = |p: &mut CommandProducer| p.producer_name = Some("me".into());
    assert_eq!(producer(&mut world, 1, named), Ok(("me".into(), -1)));
    assert_eq!(
        producer(&mut world, 2, named),
        Err((
            ServerError::ProducerBusy,
            format!(
                "org.apache.pulsar.broker.service.BrokerServiceException$NamingException: \
                 Producer with name 'me' is already connected to topic '{TOPIC}'"
            )
        ))
    );
    let close = CommandCloseProducer {
        producer_id: 1,
        request_id: 3,
    };
    world.ask(1, Type::CloseProducer, |c| c.close_producer = Some(close));
    assert!(producer(&mut world, 2, named).is_ok());
    // What was on its way to the closed producer is ignored; of an unknown one it ends the connection.
    world.send(1, 1, 0, "late", |_| {});
    assert!(!world.broker.is_closing(1));
    world.send(1, 5, 0, "stray", |_| {});
    assert!(world.broker.is_closing(1));
    let generated = producer(&mut world, 2, |p| p.producer_id = 2).unwrap();
    assert!(generated.0.starts_with("embedded-"));
}

#[test]
fn deduplication_remembers_sequence_ids_by_name() {
    let mut world = World::new(Options {
        deduplication: true,
        ..Options::default()
    });
    world.connect(1);
    let named = |p: &mut CommandProducer| p.producer_name = Some("me".into());
    producer(&mut world, 1, named).unwrap();
    for sequence_id in [3, 5] {
        let answers = world.send(1, 1, sequence_id, "x", |_| {});
        let receipt = answers[0].command.send_receipt.clone().unwrap();
        assert_eq!(receipt.sequence_id, sequence_id);
    }
    let again = world.send(1, 1, 4, "x", |_| {})[0]
        .command
        .send_receipt
        .clone();
    assert_eq!(again.unwrap().message_id.unwrap().ledger_id, u64::MAX);
    assert_eq!(world.broker.stats(TOPIC).unwrap().entries, 2);
    world.broker.disconnected(world.now_ms, 1);
    world.connect(2);
    assert_eq!(producer(&mut world, 2, named), Ok(("me".into(), 5)));
}

#[test]
fn consumers_of_one_subscription_must_fit() {
    let mut world = World::new(Options::default());
    world.subscribe(1, 1, SubType::Exclusive);
    let busy = |text: &str| (ServerError::ConsumerBusy, text.to_owned());
    let second = world.subscribe_with(2, 1, SubType::Exclusive, |_| {});
    assert_eq!(
        second.err(),
        Some(busy("Exclusive consumer is already connected"))
    );
    let other = world.subscribe_with(2, 1, SubType::KeyShared, |_| {});
    assert_eq!(
        other.err(),
        Some(busy(
            "Subscription is of different type. Active subscription type of 'Exclusive' is different than the \
             connecting consumer's type 'Key_Shared'."
        ))
    );
    let reader = world.subscribe_with(2, 1, SubType::Exclusive, |s| s.durable = Some(false));
    let text = "Durable subscription with the same name already exists.";
    assert_eq!(
        reader.err(),
        Some((ServerError::NotAllowedError, text.into()))
    );
    // Without consumers the type is free.
    world.close_consumer(1, 1);
    world.subscribe(2, 1, SubType::KeyShared);
    let sticky = |s: &mut CommandSubscribe| {
        s.key_shared_meta = Some(KeySharedMeta {
            key_shared_mode: 1,
            ..KeySharedMeta::default()
        });
    };
    let other = world.subscribe_with(1, 1, SubType::KeyShared, sticky);
    assert!(other.err().unwrap().1.contains("mode of 'AUTO_SPLIT'"));
}

#[test]
fn a_subscription_can_be_deleted_by_its_only_consumer() {
    let mut world = World::new(Options::default());
    world.subscribe(1, 1, SubType::Shared);
    world.subscribe(1, 2, SubType::Shared);
    let unsubscribe = |world: &mut World| {
        let request = CommandUnsubscribe {
            consumer_id: 1,
            request_id: 5,
        };
        world.ask(1, Type::Unsubscribe, |c| c.unsubscribe = Some(request))
    };
    let refused = unsubscribe(&mut world)[0].command.error.clone().unwrap();
    assert_eq!(refused.error(), ServerError::MetadataError);
    let text = "Unconnected or shared consumer attempting to unsubscribe";
    assert_eq!(refused.message, text);
    world.close_consumer(1, 2);
    assert!(unsubscribe(&mut world)[0].command.success.is_some());
    assert!(world.broker.stats(TOPIC).unwrap().subscriptions.is_empty());
}

#[test]
fn without_auto_creation_a_topic_must_exist() {
    let mut world = World::new(Options {
        auto_create_topics: false,
        ..Options::default()
    });
    world.connect(1);
    let refused = producer(&mut world, 1, |_| {});
    assert_eq!(refused.unwrap_err().0, ServerError::TopicNotFound);
    assert_eq!(
        lookup(&mut world, TOPIC).error(),
        ServerError::TopicNotFound
    );
}
