//! Windows, turns, permits, readers.

use super::*;
use crate::pulsar::CryptoFailureAction;
use crate::pulsar::client::StartPosition;
use SubscriptionType::{Exclusive, Shared};

#[test]
fn a_member_gets_its_window_in_one_run_and_an_ack_gives_one_more() {
    let mut world = World::open(Exclusive, 3);
    world.entries(0..5);
    let runs = world.out.iter();
    let runs = runs.filter(|effect| matches!(effect, Effect::Deliver { .. }));
    assert_eq!(runs.count(), 1);
    assert_eq!(world.delivered_entries(), vec![0, 1, 2]);
    world.command(1, Command::Ack(id(7777)));
    assert_eq!(world.delivered_entries(), vec![3]);
    world.command(1, Command::NegativeAck(id(0)));
    assert_eq!(world.delivered_entries(), vec![4]);
}

#[test]
fn acks_without_deliveries_do_not_grow_the_window() {
    let mut world = World::open(Exclusive, 2);
    for _ in 0..5 {
        world.command(1, Command::Ack(id(7777)));
        world.command(1, Command::NegativeAck(id(7777)));
    }
    world.entries(0..5);
    assert_eq!(world.delivered_entries(), vec![0, 1]);
}

#[test]
fn members_get_equal_runs_in_turn() {
    let mut world = World::open(Shared, 10);
    world.join(2, member_spec(Shared, 10));
    world.entries(0..6);
    let runs: Vec<_> = world.delivered();
    let of = |member| runs.iter().filter(move |run| run.0 == member).count();
    assert_eq!((of(1), of(2)), (3, 3));
    world.entries(6..7);
    world.entries(7..8);
    let members: Vec<_> = world.delivered().into_iter().map(|run| run.0).collect();
    assert_eq!(members.len(), 2);
    assert_ne!(members[0], members[1]);
}

#[test]
fn a_clogged_member_gets_nothing_until_it_is_drained() {
    let mut world = World::open(Shared, 10);
    world.join(2, member_spec(Shared, 10));
    world.command(1, Command::Clogged);
    world.entries(0..4);
    assert!(world.delivered().iter().all(|run| run.0 == 2));
    world.command(2, Command::Clogged);
    world.out.clear();
    world.entries(4..6);
    assert!(world.delivered().is_empty());
    world.command(1, Command::Drained);
    assert_eq!(world.delivered(), vec![(1, 4, -1, 0), (1, 5, -1, 0)]);
}

#[test]
fn in_pull_mode_only_permits_count_and_they_add_up() {
    let mut world = World::new(hub_spec(Shared));
    world.open_with(pull());
    world.entries(0..6);
    assert!(world.delivered().is_empty() && world.flows().is_empty());
    world.command(1, Command::Permit(1));
    world.command(1, Command::Permit(2));
    assert_eq!(world.delivered_entries(), vec![0, 1, 2]);
    world.command(1, Command::Ack(id(0)));
    assert!(world.delivered().is_empty());
    world.command(1, Command::Permit(u32::MAX));
    world.command(1, Command::Permit(u32::MAX));
    assert_eq!(world.delivered_entries(), vec![3, 4, 5]);
}

#[test]
fn permits_of_a_push_member_are_ignored() {
    let mut world = World::open(Exclusive, 1);
    world.command(1, Command::Permit(5));
    world.entries(0..3);
    assert_eq!(world.delivered_entries(), vec![0]);
}

#[test]
#[cfg_attr(miri, ignore = "a bound of thousands, interpreted")]
fn flow_comes_in_chunks_and_never_exceeds_the_window() {
    let mut world = World::new(hub_spec(Exclusive));
    world.join(1, member_spec(Exclusive, 100));
    world.hub.partitions(0, TOPIC, Ok(0), &mut world.out);
    world.upstream(Upstream::Ready);
    assert_eq!(world.flows(), vec![100]);
    let mut given = 100;
    for at in 0..1000 {
        world.entries(at..at + 1);
        world.command(1, Command::Ack(id(at)));
        given += world.flows().into_iter().sum::<u32>();
        assert!(given as u64 <= at + 1 + 100);
    }
    assert!(world.flows().is_empty());
    assert!(given > 1000);
    let commands = (given - 100) / 50;
    assert!(commands <= 20);
}

#[test]
fn a_batch_larger_than_the_permits_is_made_good() {
    let mut world = World::open(Exclusive, 4);
    world.batch(0, 10);
    assert_eq!(world.delivered().len(), 4);
    for index in 0..6 {
        world.command(1, Command::Ack(batch_id(0, index, 10)));
    }
    assert!(world.flows().is_empty());
    world.command(1, Command::Ack(batch_id(0, 6, 10)));
    // The broker has lent six, and there is now one place.
    assert_eq!(world.flows(), vec![7]);
}

#[test]
fn every_partition_has_a_permit_even_when_there_are_more_than_the_window() {
    let mut world = World::new(hub_spec(Exclusive));
    world.join(1, member_spec(Exclusive, 1));
    world.hub.partitions(0, TOPIC, Ok(3), &mut world.out);
    for slot in 0..3 {
        world.hub.upstream(0, slot, Upstream::Ready, &mut world.out);
    }
    assert_eq!(world.flows(), vec![1, 1, 1]);
}

#[test]
fn retained_bytes_stop_flow_until_they_fall() {
    let mut world = World::new(hub_spec(Shared));
    world.hub = Hub::new(
        hub_spec(Shared),
        Limits {
            hub_retained_bytes: 1000,
            ..LIMITS
        },
    );
    world.open_with(member_spec(Shared, 1000));
    world.entries(0..10);
    world.out.clear();
    assert!(world.hub.retained_bytes() >= 1000);
    for at in 0..10 {
        world.command(1, Command::Ack(id(at)));
    }
    assert_eq!(world.hub.retained_bytes(), 0);
    assert!(!world.flows().is_empty());
}

#[test]
fn partitions_take_turns() {
    let mut world = World::new(hub_spec(Exclusive));
    world.join(1, member_spec(Exclusive, 2));
    world.hub.partitions(0, TOPIC, Ok(2), &mut world.out);
    for slot in 0..2 {
        world.hub.upstream(0, slot, Upstream::Ready, &mut world.out);
    }
    let of = |partition, at| {
        let entry = Entry {
            partition,
            ..entry(at, None)
        };
        (partition as usize, Upstream::Entry(entry))
    };
    let events = [of(0, 1), of(0, 2), of(0, 3), of(1, 11), of(1, 12)];
    world.hub.upstream_run(0, events, &mut world.out);
    assert_eq!(world.delivered_entries(), vec![1, 11]);
    for (partition, entry) in [(0, 1), (1, 11)] {
        let id = MessageId {
            partition,
            ..id(entry)
        };
        world.command(1, Command::Ack(id));
    }
    assert_eq!(world.delivered_entries(), vec![2, 12]);
}

fn reader(start: StartPosition) -> World {
    let mut world = World::new(HubSpec {
        start: Some(start),
        starts: Vec::new(),
        ..hub_spec(Exclusive)
    });
    world.open_with(member_spec(Exclusive, 3));
    world
}

#[test]
fn a_reader_is_freed_by_any_frame_and_acks_nothing() {
    let mut world = reader(StartPosition::Earliest);
    world.entries(0..5);
    assert_eq!(world.delivered_entries(), vec![0, 1, 2]);
    world.command(1, Command::Handled);
    world.command(1, Command::Ack(id(0)));
    assert_eq!(world.delivered_entries(), vec![3, 4]);
    assert!(world.acks().is_empty());
    world.leave(1);
    assert!(matches!(world.out.last(), Some(Effect::Finished)));
}

#[test]
fn a_reader_that_starts_within_a_batch_gets_the_indexes_behind_it() {
    let mut world = reader(StartPosition::After(batch_id(4, 1, 4)));
    world.batch(4, 4);
    world.batch(5, 1);
    let got: Vec<_> = world.delivered().into_iter().map(|m| (m.1, m.2)).collect();
    assert_eq!(got, vec![(4, 2), (4, 3), (5, 0)]);
}

#[test]
fn what_waits_from_before_a_gap_goes_out_before_it_is_told() {
    let mut world = reader(StartPosition::Earliest);
    world.entries(0..5);
    world.lose(true);
    let entry = |at| (0, Upstream::Entry(entry(at, None)));
    let events = [(0, Upstream::Gap(Gap::Certain)), entry(200), entry(201)];
    (world.hub).upstream_run(world.now_ms, events, &mut world.out);
    let handled = std::iter::repeat_n(Command::Handled, 3);
    (world.hub).commands(world.now_ms, MemberId(1), handled, &mut world.out);
    world.command(1, Command::Handled);
    // None: the gap.
    let told = world.out.iter().flat_map(|effect| match effect {
        Effect::Deliver { messages, .. } => messages.iter().map(|m| Some(m.id.entry)).collect(),
        Effect::Gap { .. } => vec![None],
        _ => Vec::new(),
    });
    let expected = [0, 1, 2, 3, 4].map(Some).into_iter();
    let expected = expected.chain([None, Some(200), Some(201)]);
    assert_eq!(told.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn what_a_reader_has_waiting_survives_a_reconnect() {
    let mut world = reader(StartPosition::Earliest);
    world.entries(0..5);
    world.out.clear();
    world.lose(true);
    world.entries(5..6);
    for _ in 0..3 {
        world.command(1, Command::Handled);
    }
    assert_eq!(world.delivered_entries(), vec![3, 4, 5]);
}

#[test]
fn on_a_non_persistent_topic_the_same_id_comes_many_times() {
    let mut spec = hub_spec(Shared);
    spec.topics = Topics::one("non-persistent://public/default/t");
    let mut world = World::new(spec);
    world.open_with(member_spec(Shared, 2));
    for _ in 0..3 {
        world.entries(0..1);
    }
    assert_eq!(world.delivered_entries(), vec![0, 0]);
    world.command(1, Command::Ack(id(0)));
    assert_eq!(world.delivered_entries(), vec![0]);
    assert!(world.acks().is_empty());
    assert_eq!(world.hub.retained_bytes(), 0);
}

fn encrypted(number: u64, batch: Option<i32>) -> Entry {
    use prost::Message as _;
    let mut encrypted = entry(number, batch);
    let mut metadata = ::pulsar::proto::MessageMetadata::decode(encrypted.metadata).unwrap();
    metadata.encryption_keys.push(Default::default());
    encrypted.metadata = metadata.encode_to_vec().into();
    encrypted
}

fn opened_with(crypto_failure_action: CryptoFailureAction) -> World {
    let mut world = World::new(HubSpec {
        crypto_failure_action,
        ..hub_spec(Shared)
    });
    world.open_with(member_spec(Shared, 10));
    world
}

#[test]
fn an_decrypted_from_is_discarded_as_a_whole() {
    let mut world = opened_with(CryptoFailureAction::Discard);
    world.upstream(Upstream::Entry(encrypted(0, Some(3))));
    world.entries(1..2);
    assert_eq!(world.delivered_entries(), vec![1]);
    assert_eq!(world.acks(), vec![(0, vec![])]);
}

#[test]
fn an_decrypted_from_is_consumed_and_acked_as_one_message() {
    let mut world = opened_with(CryptoFailureAction::Consume);
    world.upstream(Upstream::Entry(encrypted(0, Some(3))));
    world.entries(1..2);
    assert_eq!(world.delivered_entries(), vec![0, 1]);
    world.command(1, Command::Ack(id(0)));
    assert_eq!(world.acks(), vec![(0, vec![])]);
}

#[test]
fn a_corrupt_entry_is_acked_and_an_encrypted_one_is_left_alone() {
    let mut world = World::open(Shared, 10);
    let mut corrupt = entry(0, Some(3));
    corrupt.payload = bytes::Bytes::from_static(b"no batch");
    world.upstream(Upstream::Entry(corrupt));
    world.upstream(Upstream::Entry(encrypted(1, None)));
    world.entries(2..3);
    assert_eq!(world.delivered_entries(), vec![2]);
    assert_eq!(world.acks(), vec![(0, vec![])]);
    let stats = world.hub.stats();
    assert_eq!((stats.corrupt, stats.unreadable), (1, 1));
}

#[test]
fn entries_that_are_corrupt_on_the_way_do_not_stop_the_flow() {
    let mut world = World::new(hub_spec(Exclusive));
    world.join(1, member_spec(Exclusive, 2));
    world.hub.partitions(0, TOPIC, Ok(0), &mut world.out);
    world.upstream(Upstream::Ready);
    world.out.clear();
    for entry in 0..20 {
        world.upstream(Upstream::Corrupt { ledger: 1, entry });
        assert!(!world.flows().is_empty());
    }
}

#[test]
fn a_reader_tells_the_broker_how_far_it_has_come() {
    let mut world = reader(StartPosition::Earliest);
    let read_up_to = |world: &mut World| {
        world.wait(super::limits::READ_ACK_MS);
        world.take(|effect| match effect {
            Effect::AckUpTo { entry, .. } => Some(*entry),
            _ => None,
        })
    };
    world.entries(0..2);
    // The window ends within it.
    world.batch(2, 3);
    assert_eq!(read_up_to(&mut world), [1]);
    assert!(read_up_to(&mut world).is_empty());
    for _ in 0..2 {
        world.command(1, Command::Handled);
    }
    assert_eq!(read_up_to(&mut world), [2]);
}

#[test]
fn on_a_non_persistent_topic_an_ack_timeout_frees_the_window() {
    let mut spec = hub_spec(Shared);
    spec.topics = Topics::one("non-persistent://public/default/t");
    let mut world = World::new(spec);
    world.open_with(MemberSpec {
        ack_timeout_ms: 1000,
        ..member_spec(Shared, 2)
    });
    for _ in 0..5 {
        world.entries(0..1);
    }
    assert_eq!(world.delivered().len(), 2);
    world.wait(500);
    // The ack is for the older one: the other one times out by itself.
    world.command(1, Command::Ack(id(0)));
    assert_eq!(world.delivered().len(), 1);
    world.wait(500);
    assert_eq!(world.delivered().len(), 1);
    world.wait(500);
    assert_eq!(world.delivered().len(), 1);
    assert_eq!(world.hub.stats().ack_timeouts, 2);
    assert!(world.redelivers().is_empty());
}

#[test]
#[cfg_attr(miri, ignore = "a bound of thousands, interpreted")]
fn in_pull_mode_nobody_hoards_what_the_others_windows_need() {
    let limits = Limits {
        hub_retained_bytes: 1 << 30,
        ..LIMITS
    };
    let mut world = World {
        hub: Hub::new(hub_spec(SubscriptionType::Shared), limits),
        now_ms: 0,
        out: Vec::new(),
    };
    world.open_with(pull());
    world.join(2, member_spec(SubscriptionType::Shared, 10));
    world.command(1, Command::Permit(100_000));
    world.entries(0..60_000);
    let delivered = world.delivered();
    let of_the_first = delivered.iter().filter(|(member, ..)| *member == 1).count();
    // 48,000 but for the ten of the other.
    assert_eq!(of_the_first, 47_990);
    assert_eq!(delivered.len(), 48_000);
    world.flows();
    let of_the_second = delivered
        .iter()
        .find(|(member, ..)| *member == 2)
        .unwrap()
        .1;
    world.command(2, Command::Ack(id(of_the_second)));
    assert_eq!(world.delivered().len(), 1);
    assert_eq!(world.flows(), Vec::<u32>::new());
    // Below half of what may be hoarded it goes on.
    let held = delivered.iter().filter(|(member, ..)| *member == 1);
    let acks: Vec<_> = held
        .take(30_000)
        .map(|(_, at, ..)| Command::Ack(id(*at)))
        .collect();
    (world.hub).commands(0, MemberId(1), acks, &mut world.out);
    assert!(world.delivered().len() > 10_000);
}

/// They use up no permits, and were not opened before some other message came: a publisher could fill the memory.
#[test]
fn an_empty_batch_is_acked_at_once_and_takes_no_room() {
    let mut world = World::open(Shared, 1);
    world.entries(0..1);
    world.delivered();
    for at in 1..4 {
        world.batch(at, 0);
    }
    assert_eq!(world.acks(), [(1, vec![]), (2, vec![]), (3, vec![])]);
    world.hub.check_retained_bytes();
    assert!(world.hub.slots[0].queue.is_empty());
}
