//! What large messages and a producer's lies may cost at a time.

use super::*;
use SubscriptionType::{Exclusive, Failover, Shared};

const MIB: usize = 1024 * 1024;

fn large(at: u64) -> Entry {
    Entry {
        payload: Bytes::from(vec![0; MIB]),
        ..entry(at, None)
    }
}

/// Says that it holds as many messages as there can be.
fn lying(at: u64) -> Entry {
    let metadata = ::pulsar::proto::MessageMetadata {
        producer_name: "p".to_owned(),
        num_messages_in_batch: Some(i32::MAX),
        ..Default::default()
    };
    Entry {
        metadata: Bytes::from(metadata.encode_to_vec()),
        ..entry(at, None)
    }
}

#[test]
fn a_large_window_is_filled_four_mebibytes_at_a_time() {
    for kind in [Exclusive, Shared, Failover] {
        let mut world = World::open(kind, 1000);
        world.out.clear();
        let events = (0..10).map(|at| (0, Upstream::Entry(large(at))));
        world.hub.upstream_run(0, events, &mut world.out);
        assert_eq!(world.delivered_entries(), [0, 1, 2, 3], "{kind:?}");
        // Not before it is time, whatever comes.
        world.entries(10..11);
        assert_eq!(world.delivered_entries(), [0; 0]);
        // And more is not asked for.
        assert_eq!(world.flows(), [0; 0]);
        assert_eq!(world.hub.next_deadline_ms(), Some(1));
        world.now_ms = 1;
        world.hub.tick(1, &mut world.out);
        assert_eq!(world.delivered_entries(), [4, 5, 6, 7]);
        // Who takes no more by then has the rest left there.
        world.command(1, Command::Clogged);
        world.wait(1000);
        assert_eq!(world.delivered_entries(), [0; 0]);
        world.command(1, Command::Drained);
        assert_eq!(world.delivered_entries(), [8, 9, 10]);
    }
}

#[test]
fn a_batch_that_claims_too_much_makes_no_room_and_no_flow_beyond_what_brokers_take() {
    let mut world = World::new(hub_spec(Exclusive));
    world.open_with(MemberSpec {
        pull_mode: true,
        ..member_spec(Exclusive, 0)
    });
    world.command(1, Command::Permit(i32::MAX as u32));
    world.entries(0..10);
    world.upstream(Upstream::Entry(lying(10)));
    world.entries(11..12);
    assert_eq!(
        world.delivered_entries(),
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11]
    );
    let flows = world.flows();
    assert!(
        flows
            .iter()
            .all(|permits| (1..=i32::MAX as u32).contains(permits)),
        "{flows:?}"
    );
    let permits: i64 = flows.iter().map(|permits| i64::from(*permits)).sum();
    assert!(permits - 11 - i64::from(i32::MAX) > 0, "{flows:?}");
}

#[test]
fn an_entry_that_waits_keeps_nothing_else_alive() {
    let mut world = World::open(Exclusive, 1);
    let read = Bytes::from(vec![0; 64 * 1024]);
    let part = |at: u64, range| Entry {
        payload: read.slice(range),
        ..entry(at, None)
    };
    world.upstream(Upstream::Entry(part(0, 0..100)));
    world.upstream(Upstream::Entry(part(1, 100..200)));
    world.upstream(Upstream::Entry(part(2, 200..64 * 1024)));
    let waiting: Vec<_> = world.hub.slots[0].queue.iter().collect();
    assert_eq!(waiting.len(), 2);
    let kept = |at: usize| {
        read.as_ptr_range()
            .contains(&waiting[at].entry.payload.as_ptr())
    };
    assert!(!kept(0));
    // A copy would cost more than it saves.
    assert!(kept(1));
}
