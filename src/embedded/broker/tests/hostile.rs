//! Bytes that no client would send: no panic, no growth, at worst a closed connection.

use proptest::prelude::*;

use super::*;

const CASES: u32 = if cfg!(miri) { 4 } else { 256 };

/// A command of any kind with small numbers everywhere, so that ids hit what exists.
fn any_command() -> impl Strategy<Value = Vec<u8>> {
    (2u8..64, proptest::collection::vec((1u8..12, 0u64..6), 0..8)).prop_map(|(kind, fields)| {
        let mut message = Vec::new();
        for (field, value) in fields {
            message.extend([field << 3, value as u8]);
        }
        let mut command = vec![0x08, kind];
        ::prost::encoding::encode_key(
            u32::from(kind),
            ::prost::encoding::WireType::LengthDelimited,
            &mut command,
        );
        command.push(message.len() as u8);
        command.extend(message);
        command
    })
}

fn frame(command: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((4 + command.len() as u32 + body.len() as u32).to_be_bytes());
    bytes.extend((command.len() as u32).to_be_bytes());
    bytes.extend(command);
    bytes.extend(body);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn garbage_never_panics(chunks in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..200), 0..10)) {
        let mut world = World::new(Options::default());
        world.connect(5);
        let mut bytes = BytesMut::new();
        for chunk in chunks {
            bytes.extend_from_slice(&chunk);
            world.feed(5, &mut bytes);
        }
    }

    #[test]
    fn odd_commands_never_panic(
        commands in proptest::collection::vec((any_command(), proptest::collection::vec(any::<u8>(), 0..20)), 0..20)) {
        let mut world = World::new(Options::default());
        world.publish("m");
        world.subscribe(5, 1, SubType::Shared);
        world.subscribe_with(5, 2, SubType::Exclusive, |s| s.subscription = "e".into()).unwrap();
        for (command, body) in commands {
            let mut bytes = BytesMut::from(&frame(&command, &body)[..]);
            world.feed(5, &mut bytes);
            world.answers(5);
        }
        world.broker.disconnected(world.now_ms, 5);
        prop_assert_eq!(world.broker.connection_count(), 1);
    }
}

/// One step of a random life of a subscription.
#[derive(Clone, Debug)]
enum Step {
    Publish { key: u8, batch: bool },
    Join(u8),
    Leave(u8),
    Flow(u8, u8),
    AckAll(u8),
    AckOne(u8),
    Redeliver(u8),
    Cut(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    let who = 2u8..6;
    prop_oneof![
        4 => (0u8..5, any::<bool>()).prop_map(|(key, batch)| Step::Publish { key, batch }),
        2 => who.clone().prop_map(Step::Join),
        1 => who.clone().prop_map(Step::Leave),
        4 => (who.clone(), 1u8..10).prop_map(|(id, permits)| Step::Flow(id, permits)),
        2 => who.clone().prop_map(Step::AckAll),
        2 => who.clone().prop_map(Step::AckOne),
        2 => who.clone().prop_map(Step::Redeliver),
        1 => who.prop_map(Step::Cut),
    ]
}

/// Everything published is acked in the end, by somebody, whatever happened on the way.
fn nothing_is_lost(kind: SubType, steps: Vec<Step>) {
    let mut world = World::new(Options::default());
    world.publish("first");
    world.subscribe(9, 1, kind);
    world.close_consumer(9, 1);
    let mut held: std::collections::HashMap<u64, Vec<MessageIdData>> = Default::default();
    for step in steps {
        match step {
            Step::Publish { key, batch } => {
                world.publish_with("m", |m| {
                    m.partition_key = Some(format!("k{key}"));
                    m.num_messages_in_batch = batch.then_some(3);
                });
            }
            Step::Join(id) => {
                let _ = world.subscribe_with(id.into(), 1, kind, |_| {});
            }
            Step::Leave(id) => {
                if world.broker.connections.get(id.into()).is_some() {
                    world.close_consumer(id.into(), 1);
                    held.remove(&id.into());
                }
            }
            Step::Flow(id, permits) => {
                let got = world.flow(id.into(), 1, permits.into());
                held.entry(id.into()).or_default().extend(ids(&got));
            }
            Step::AckAll(id) => {
                let all = held.remove(&id.into()).unwrap_or_default();
                world.ack(id.into(), 1, &all);
            }
            Step::AckOne(id) => {
                if let Some(one) = held.entry(id.into()).or_default().pop() {
                    world.ack(id.into(), 1, &[one]);
                }
            }
            Step::Redeliver(id) => {
                let got = world.redeliver(id.into(), 1, &[]);
                held.insert(id.into(), ids(&got));
            }
            Step::Cut(id) => {
                world.broker.disconnected(world.now_ms, id.into());
                held.remove(&id.into());
            }
        }
    }
    for id in 2..6 {
        world.broker.disconnected(world.now_ms, id);
    }
    world.subscribe(9, 1, kind);
    for _ in 0..1_000 {
        let got = world.flow(9, 1, 50);
        if got.is_empty() {
            break;
        }
        world.ack(9, 1, &ids(&got));
    }
    let (backlog, consumers) = world.numbers();
    assert_eq!((backlog, consumers[0].2), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn everything_is_acked_in_the_end(
        kind in prop_oneof![
            Just(SubType::Exclusive), Just(SubType::Failover), Just(SubType::Shared), Just(SubType::KeyShared)],
        steps in proptest::collection::vec(any_step(), 0..80),
    ) {
        nothing_is_lost(kind, steps);
    }
}
