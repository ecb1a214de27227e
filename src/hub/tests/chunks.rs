//! Messages in chunks: whole or not at all, one window place, one ack, and no more of them than the bounds allow.

use super::*;
use crate::hub::limits::{CHUNKS_EXPIRE_MS, MAX_INCOMPLETE_MESSAGES};
use SubscriptionType::{Exclusive, Shared};

/// The chunk of the message `uuid` that is in this entry.
fn chunk(at: u64, uuid: &str, index: i32, count: i32) -> Upstream {
    chunk_published(at, uuid, index, count, 1)
}

fn chunk_published(at: u64, uuid: &str, index: i32, count: i32, publish_time: u64) -> Upstream {
    let total = count * 2;
    let payload = format!("{uuid}{index}").into_bytes();
    chunk_of(total, payload, at, (uuid, index, count), publish_time)
}

fn chunk_of(
    total: i32,
    payload: Vec<u8>,
    at: u64,
    (uuid, index, count): (&str, i32, i32),
    publish_time: u64,
) -> Upstream {
    let metadata = ::pulsar::proto::MessageMetadata {
        producer_name: "p".to_owned(),
        publish_time,
        uuid: Some(uuid.to_owned()),
        chunk_id: Some(index),
        num_chunks_from_msg: Some(count),
        total_chunk_msg_size: Some(total),
        ..Default::default()
    };
    Upstream::Entry(Entry {
        metadata: Bytes::from(metadata.encode_to_vec()),
        payload: payload.into(),
        ..entry(at, None)
    })
}

impl World {
    fn chunks(&mut self, chunks: &[(u64, &str, i32, i32)]) {
        for (at, uuid, index, count) in chunks {
            self.upstream(chunk(*at, uuid, *index, *count));
        }
    }

    /// (member, payload, first and last entry) of what was delivered.
    fn delivered_whole(&mut self) -> Vec<(u64, String, Option<u64>, u64)> {
        let runs = self.take(|effect| match effect {
            Effect::Deliver { member, messages } => Some((member.0, messages.clone())),
            _ => None,
        });
        let all = runs.into_iter().flat_map(|(member, messages)| {
            messages.into_iter().map(move |message| {
                let payload = String::from_utf8_lossy(&message.payload).into_owned();
                let first = message.first_chunk.map(|(_, entry)| entry);
                (member, payload, first, message.id.entry)
            })
        });
        all.collect()
    }

    fn acked_entries(&mut self) -> Vec<u64> {
        let mut entries: Vec<u64> = self.acks().into_iter().map(|(entry, _)| entry).collect();
        entries.sort_unstable();
        entries
    }
}

#[test]
fn chunks_become_one_message_whose_ack_acks_them_all() {
    let mut world = World::open(Exclusive, 10);
    world.chunks(&[(0, "a", 0, 3), (1, "b", 0, 2), (2, "a", 1, 3)]);
    assert!(world.delivered_whole().is_empty());
    world.entries(3..4);
    world.chunks(&[(4, "a", 2, 3), (5, "b", 1, 2)]);
    assert_eq!(
        world.delivered_whole(),
        [
            (1, "payload".to_owned(), None, 3),
            (1, "a0a1a2".to_owned(), Some(0), 4),
            (1, "b0b1".to_owned(), Some(1), 5),
        ]
    );
    world.command(1, Command::Ack(id(4)));
    assert_eq!(world.acked_entries(), [0, 2, 4]);
    world.command(1, Command::Ack(id(5)));
    assert_eq!(world.acked_entries(), [1, 5]);
    world.command(1, Command::Ack(id(3)));
    assert_eq!(world.hub.retained_bytes(), 0);
}

#[test]
fn a_window_of_one_is_enough_for_any_number_of_chunks() {
    let mut world = World::new(hub_spec(Exclusive));
    world.join(1, member_spec(Exclusive, 1));
    world.hub.partitions(0, TOPIC, Ok(0), &mut world.out);
    world.upstream(Upstream::Ready);
    for at in 0..5 {
        // One permit for each chunk.
        assert_eq!(world.flows(), [1], "{at}");
        world.upstream(chunk(at, "a", at as i32, 5));
    }
    assert_eq!(world.delivered_whole().len(), 1);
    assert!(world.flows().is_empty());
    world.command(1, Command::Ack(id(4)));
    assert_eq!(world.flows(), [1]);
}

#[test]
fn a_message_asked_for_again_comes_again_chunk_by_chunk() {
    let mut world = World::open(Shared, 10);
    world.chunks(&[(0, "a", 0, 2), (1, "a", 1, 2)]);
    assert_eq!(world.delivered_whole().len(), 1);
    world.command(1, Command::NegativeAck(id(1)));
    world.wait(2_000);
    assert_eq!(world.redelivers(), [[0, 1]]);
    world.chunks(&[(0, "a", 0, 2), (1, "a", 1, 2)]);
    assert_eq!(
        world.delivered_whole(),
        [(1, "a0a1".to_owned(), Some(0), 1)]
    );
    world.command(1, Command::Ack(id(1)));
    assert_eq!(world.acked_entries(), [0, 1]);

    let mut world = World::open(Exclusive, 10);
    world.chunks(&[(0, "a", 0, 2), (1, "a", 1, 2), (2, "b", 0, 2)]);
    world.delivered_whole();
    world.command(1, Command::NegativeAck(id(1)));
    world.wait(2_000);
    assert_eq!(world.redelivers(), [[0; 0]]);
    world.chunks(&[
        (0, "a", 0, 2),
        (1, "a", 1, 2),
        (2, "b", 0, 2),
        (3, "b", 1, 2),
    ]);
    assert_eq!(world.delivered_whole().len(), 2);
}

#[test]
fn what_a_member_leaves_behind_goes_to_the_next_and_is_acked_as_a_whole() {
    let mut world = World::open(Shared, 10);
    world.chunks(&[(0, "a", 0, 2), (1, "a", 1, 2)]);
    world.join(2, member_spec(Shared, 10));
    world.delivered_whole();
    world.leave(1);
    assert_eq!(
        world.delivered_whole(),
        [(2, "a0a1".to_owned(), Some(0), 1)]
    );
    world.command(2, Command::Ack(id(1)));
    assert_eq!(world.acked_entries(), [0, 1]);
    assert_eq!(world.hub.retained_bytes(), 0);
}

#[test]
fn after_a_reconnect_what_is_held_is_not_given_out_again_and_what_was_incomplete_begins_anew() {
    let mut world = World::open(Shared, 10);
    world.chunks(&[(0, "a", 0, 2), (1, "a", 1, 2), (2, "b", 0, 2)]);
    assert_eq!(world.delivered_whole().len(), 1);
    world.lose(true);
    world.chunks(&[
        (0, "a", 0, 2),
        (1, "a", 1, 2),
        (2, "b", 0, 2),
        (3, "b", 1, 2),
    ]);
    assert_eq!(
        world.delivered_whole(),
        [(1, "b0b1".to_owned(), Some(2), 3)]
    );
    world.command(1, Command::Ack(id(1)));
    world.command(1, Command::Ack(id(3)));
    assert_eq!(world.acked_entries(), [0, 1, 2, 3]);
    // The acks are lost: they are given again, and nothing comes of it.
    world.lose(true);
    world.chunks(&[(0, "a", 0, 2), (1, "a", 1, 2)]);
    assert!(world.delivered_whole().is_empty());
}

#[test]
fn a_message_that_is_never_whole_is_acked_after_its_time() {
    let mut world = World::open(Exclusive, 10);
    world.chunks(&[(0, "a", 0, 3), (1, "a", 1, 3)]);
    world.wait(CHUNKS_EXPIRE_MS - 1);
    world.entries(2..3);
    assert!(world.ack_commands().is_empty());
    world.wait(1);
    assert_eq!(world.acked_entries(), [0, 1]);
    assert_eq!(world.hub.stats().chunks_expired, 1);
    // What comes of it now is left alone, until it is known to be old.
    world.upstream(chunk_published(3, "a", 2, 3, 1));
    assert!(world.acked_entries().is_empty());
    world.upstream(chunk_published(4, "b", 0, 2, 100_000));
    world.upstream(chunk_published(3, "a", 2, 3, 1));
    assert_eq!(world.acked_entries(), [3]);
}

/// Any producer of the topic can say any time.
#[test]
fn a_time_to_come_makes_no_chunk_old() {
    let mut world = World::open(Exclusive, 100);
    let wall_ms = LIMITS.wall_zero_ms;
    world.upstream(chunk_published(0, "v", 0, 3, wall_ms));
    // Whole, as a part, and as a first part that others follow.
    let from_the_future = ::pulsar::proto::MessageMetadata {
        publish_time: 1 << 62,
        ..Default::default()
    };
    world.upstream(Upstream::Entry(Entry {
        metadata: from_the_future.encode_to_vec().into(),
        ..entry(1, None)
    }));
    for at in 0..MAX_INCOMPLETE_MESSAGES as u64 {
        let uuid = char::from(b'a' + at as u8).to_string();
        world.upstream(chunk_published(2 + at, &uuid, 0, 2, 1 << 62));
    }
    world.now_ms += 1;
    world.upstream(chunk_published(50, "v", 1, 3, wall_ms + 1));
    world.upstream(chunk_published(51, "v", 2, 3, wall_ms + 1));
    assert!(world.acked_entries().is_empty());
    // What is old by the clock is old.
    let old_ms = wall_ms - CHUNKS_EXPIRE_MS - 1;
    world.upstream(chunk_published(52, "w", 1, 3, old_ms));
    assert_eq!(world.acked_entries(), [52]);
}

#[test]
fn a_message_does_not_grow_old_while_its_chunks_cannot_come() {
    let mut world = World::open(Exclusive, 1);
    world.chunks(&[(0, "a", 0, 2)]);
    world.entries(1..2);
    world.upstream(chunk(2, "a", 1, 2));
    world.delivered_whole();
    world.wait(3 * CHUNKS_EXPIRE_MS);
    assert!(world.acked_entries().is_empty());
    world.command(1, Command::Ack(id(1)));
    assert_eq!(
        world.delivered_whole(),
        [(1, "a0a1".to_owned(), Some(0), 2)]
    );
}

#[test]
fn producers_that_repeat_chunks_or_begin_anew_leave_nothing_unacked() {
    let mut world = World::open(Exclusive, 10);
    // Chunks 0 and 1 twice, the second time in entries of their own.
    world.chunks(&[(0, "a", 0, 3), (1, "a", 1, 3), (2, "a", 1, 3)]);
    assert_eq!(world.acked_entries(), [2]);
    world.chunks(&[(3, "a", 0, 3)]);
    assert_eq!(world.acked_entries(), [0, 1]);
    world.chunks(&[(4, "a", 1, 3), (5, "a", 2, 3)]);
    assert_eq!(
        world.delivered_whole(),
        [(1, "a0a1a2".to_owned(), Some(3), 5)]
    );
}

#[test]
fn nonsense_is_left_unacked_and_takes_no_memory() {
    let mut world = World::open(Exclusive, 100);
    // Without a beginning, with a gap, larger than it says, larger than allowed.
    world.chunks(&[(0, "a", 1, 3)]);
    world.chunks(&[(1, "b", 0, 3), (2, "b", 2, 3)]);
    world.chunks(&[(3, "long", 0, 2), (4, "d", 0, 1_000_000)]);
    assert!(world.delivered_whole().is_empty());
    assert!(world.acked_entries().is_empty());
    assert_eq!(world.hub.stats().unreadable, 4);
    assert_eq!(world.hub.slots[0].entries.len(), 0);
    assert_eq!(world.hub.next_deadline_ms(), None);
}

#[test]
fn the_oldest_incomplete_message_makes_room() {
    let mut world = World::open(Exclusive, 100);
    let uuids: Vec<String> = (0..=MAX_INCOMPLETE_MESSAGES as u64)
        .map(|n| char::from(b'a' + n as u8).to_string())
        .collect();
    for (at, uuid) in (0..).zip(&uuids) {
        world.upstream(chunk(at, uuid, 0, 2));
    }
    for (at, uuid) in (100..).zip(&uuids) {
        world.upstream(chunk(at, uuid, 1, 2));
    }
    let delivered = world.delivered_whole();
    assert_eq!(delivered.len(), MAX_INCOMPLETE_MESSAGES);
    assert_eq!(delivered[0].1, "b0b1");
    assert!(world.acked_entries().is_empty());
}

/// Each passed alone, since little of the others had come when it began; then all of them grew in full, and nothing
/// counted them.
#[test]
fn messages_in_the_making_are_bounded_together_and_counted() {
    const COUNT: i32 = 10;
    let mut world = World::new(hub_spec(Exclusive));
    world.join(1, member_spec(Exclusive, 10));
    world.hub.partitions(0, TOPIC, Ok(2), &mut world.out);
    for slot in 0..2 {
        world.hub.upstream(0, slot, Upstream::Ready, &mut world.out);
    }
    let most = LIMITS.max_uncompressed_bytes;
    let part = most / 11;
    for index in 0..COUNT {
        for (slot, uuid) in [(0, "a"), (0, "b"), (1, "c")] {
            let at = 10 * index as u64 + u64::from(uuid.as_bytes()[0]);
            let total = COUNT * part as i32;
            let chunk = chunk_of(total, vec![7; part], at, (uuid, index, COUNT), 1);
            world.out.clear();
            world.hub.upstream(0, slot, chunk, &mut world.out);
            world.hub.check_retained_bytes();
            assert!(world.hub.incomplete_bytes <= most);
            assert!(world.hub.retained_bytes() >= world.hub.incomplete_bytes);
        }
        world.now_ms += 1;
    }
    // What had come last made the others wait for another time.
    let lengths = world.take(|effect| match effect {
        Effect::Deliver { messages, .. } => Some(messages[0].payload.len()),
        _ => None,
    });
    assert_eq!(lengths, [COUNT as usize * part]);
    assert_eq!(world.hub.incomplete_bytes, 0);
}

/// Nobody can settle it, so that nothing could ever come if it closed the door.
#[test]
fn a_message_larger_than_what_a_hub_retains_still_becomes_whole() {
    const COUNT: i32 = 10;
    let mut world = World::new(hub_spec(Exclusive));
    world.hub.limits.hub_retained_bytes = 1000;
    world.open_with(member_spec(Exclusive, 1));
    for index in 0..COUNT {
        world.out.clear();
        let key = ("a", index, COUNT);
        world.upstream(chunk_of(2000, vec![7; 200], index as u64, key, 1));
        let last = index + 1 == COUNT;
        assert_eq!(world.flows().len(), usize::from(!last), "{index}");
    }
    assert_eq!(world.delivered_whole().len(), 1);
}

#[test]
fn a_reader_gets_whole_messages_too() {
    let mut spec = hub_spec(Exclusive);
    spec.durable = false;
    spec.start = Some(crate::pulsar::client::StartPosition::Latest);
    let mut world = World::new(spec);
    world.open_with(member_spec(Exclusive, 10));
    world.chunks(&[(7, "old", 1, 2), (8, "a", 0, 2), (9, "a", 1, 2)]);
    assert_eq!(
        world.delivered_whole(),
        [(1, "a0a1".to_owned(), Some(8), 9)]
    );
    assert_eq!(world.hub.retained_bytes(), 0);
}
