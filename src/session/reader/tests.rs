//! One reader and the log of its topic, without sockets.

use std::sync::Arc;

use super::*;
use crate::hub::tail::Batch;

fn message(entry: u64) -> Message {
    Message {
        id: id(entry),
        first_chunk: None,
        oldest_begun: None,
        redelivery_count: 0,
        publish_time_ms: 0,
        metadata: Default::default(),
        payload: Default::default(),
        decrypted_from: None,
    }
}

fn id(entry: u64) -> MessageId {
    MessageId {
        ledger: 1,
        entry,
        partition: -1,
        batch_index: -1,
        batch_size: 0,
    }
}

fn push(log: &mut FrameLog, entries: std::ops::Range<u64>) {
    let mut batch = Batch::default();
    for entry in entries {
        batch.push(0, &id(entry), |out| out.push(b'0' + entry as u8));
    }
    log.push(Arc::new(batch));
}

fn log_behind(entry: u64) -> FrameLog {
    FrameLog::new(Points::new(vec![Point::behind(&id(entry))]))
}

#[test]
fn a_window_is_opened_by_what_is_handled_and_never_beyond_its_size() {
    let mut reading = Reading::new(Flow::Window(2), StartPosition::Latest);
    reading.charge(2);
    assert_eq!(reading.open(), 0);
    for _ in 0..5 {
        reading.handled();
    }
    assert_eq!(reading.open(), 2);
}

#[test]
fn a_reader_that_fell_off_goes_on_behind_what_it_was_sent() {
    let mut log = log_behind(4);
    let mut reading = Reading::new(Flow::Window(2), StartPosition::Latest);
    reading.go_live(log.next());
    push(&mut log, 5..7);
    push(&mut log, 7..9);
    reading.sent_to(1);
    let evicted = log.evict().unwrap();
    assert!(reading.fall(&evicted));
    assert!(!reading.join(&log));
    let starts = reading.catch_up().unwrap();
    assert_eq!(starts[0], StartPosition::After(id(5)));
    assert_eq!(reading.catch_up_permits(), 2);
    assert_eq!(reading.caught(Places::ByPartition, &[message(6)]), 0);
    assert!(reading.join(&log));
    assert_eq!(reading.next(), Some(2));
}

/// A reader that had entry 5 and fell off the log before entry 6.
fn caught_up_from_6() -> Reading {
    let mut log = log_behind(4);
    let mut reading = Reading::new(Flow::Tcp, StartPosition::Latest);
    reading.go_live(log.next());
    push(&mut log, 5..8);
    push(&mut log, 8..9);
    reading.sent_to(1);
    assert!(reading.fall(&log.evict().unwrap()));
    assert!(reading.catch_up().is_some());
    reading
}

#[test]
fn what_the_broker_has_no_more_is_missed_and_told_once() {
    let mut reading = caught_up_from_6();
    assert!(!reading.misses(Places::ByPartition, &[]));
    assert!(reading.misses(Places::ByPartition, &[message(7)]));
    assert!(!reading.misses(Places::ByPartition, &[message(9)]));
}

#[test]
fn what_it_was_sent_before_is_dropped_and_the_rest_is_not() {
    let mut reading = caught_up_from_6();
    let mut messages = vec![message(4), message(5), message(6), message(7)];
    let places = Places::ByPartition;
    assert_eq!(reading.drop_had(places, &mut messages), 2);
    assert_eq!(messages[0].id, id(6));
    reading.caught(places, &messages);
    assert_eq!(reading.drop_had(places, &mut messages), 2);
    // Nothing is known of a reader that has been sent nothing, nor of one that follows no log.
    let mut from_an_id = Reading::new(Flow::Tcp, StartPosition::After(id(9)));
    from_an_id.catch_up();
    let mut messages = vec![message(4)];
    assert_eq!(from_an_id.drop_had(places, &mut messages), 0);
    let mut alone = Reading::alone(Flow::Tcp);
    alone.caught(places, &messages);
    assert_eq!(alone.drop_had(places, &mut messages), 0);
}

#[test]
fn of_messages_whose_chunks_alternate_none_is_lost_to_a_reader_that_falls_off() {
    // Chunks of two messages: 5 and 7, 6 and 8.
    let mut log = log_behind(4);
    let mut reading = Reading::new(Flow::Tcp, StartPosition::Latest);
    reading.go_live(log.next());
    for (entry, begun) in [(7, Some((1, 6))), (8, None)] {
        let mut batch = Batch::default();
        batch.push(0, &id(entry), |out| out.push(b'x'));
        begun.into_iter().for_each(|begun| batch.note_begun(begun));
        log.push(Arc::new(batch));
    }
    push(&mut log, 9..10);
    reading.sent_to(1);
    assert!(!reading.fall(&log.evict().unwrap()));
    assert!(reading.fall(&log.evict().unwrap()));
    assert_eq!(reading.catch_up().unwrap()[0], StartPosition::After(id(5)));
    // Its own upstream reader could not be had, or not for long.
    let mut again = Message {
        oldest_begun: Some(Box::new((1, 6))),
        ..message(7)
    };
    again.first_chunk = Some((1, 5));
    let places = Places::ByPartition;
    assert_eq!(reading.drop_had(places, &mut vec![again.clone()]), 1);
    assert!(reading.give_up_catching_up());
    assert_eq!(reading.catch_up().unwrap()[0], StartPosition::After(id(5)));
    reading.caught(places, &[message(8)]);
    assert!(reading.join(&log));
    assert_eq!(reading.next(), Some(2));
}

#[test]
fn a_reader_that_gets_what_it_lacked_misses_nothing() {
    let mut reading = caught_up_from_6();
    assert!(!reading.misses(Places::ByPartition, &[message(6), message(7)]));
    // Holes further on are the topic's own: markers, what was compacted or belongs to an aborted transaction.
    assert!(!reading.misses(Places::ByPartition, &[message(9)]));
    let mut from_an_id = Reading::new(Flow::Tcp, StartPosition::After(id(2)));
    from_an_id.catch_up();
    assert!(!from_an_id.misses(Places::ByPartition, &[message(5)]));
}

#[test]
fn what_is_gone_from_any_partition_is_missed() {
    let of = |partition: i32, entry| Message {
        id: MessageId {
            partition,
            ..id(entry)
        },
        ..message(entry)
    };
    let mut log = FrameLog::new(Points::everywhere(Point::behind(&id(4))));
    let mut reading = Reading::new(Flow::Tcp, StartPosition::Latest);
    reading.go_live(log.next());
    let mut batch = Batch::default();
    for message in [of(0, 5), of(1, 5), of(2, 5), of(1, 6)] {
        let partition = message.id.partition as usize;
        batch.push(partition, &message.id, |out| out.push(b'x'));
    }
    log.push(Arc::new(batch));
    push(&mut log, 6..7);
    reading.sent_to(1);
    assert!(reading.fall(&log.evict().unwrap()));
    assert!(reading.catch_up().is_some());
    let places = Places::ByPartition;
    assert!(!reading.misses(places, &[of(1, 5), of(0, 6), of(1, 9)]));
    assert!(reading.misses(places, &[of(0, 7), of(2, 9)]));
    assert!(!reading.misses(places, &[of(2, 12)]));
}

#[test]
fn a_reader_that_read_further_than_the_tail_skips_what_it_had() {
    let mut log = log_behind(4);
    let mut reading = Reading::new(Flow::Tcp, StartPosition::After(id(2)));
    assert!(reading.catch_up().is_some());
    assert_eq!(
        reading.caught(Places::ByPartition, &[message(3), message(4), message(5)]),
        3
    );
    assert!(reading.join(&log));
    push(&mut log, 5..7);
    reading.skip_seen(&log);
    assert_eq!(reading.next(), Some(1));
    reading.sent_to(2);
    reading.skip_seen(&log);
    assert!(reading.seen().is_none());
}

#[test]
fn a_reader_that_skips_and_falls_off_does_not_forget_what_it_had() {
    let mut log = log_behind(4);
    let mut reading = Reading::new(Flow::Tcp, StartPosition::After(id(2)));
    reading.catch_up();
    reading.caught(Places::ByPartition, &[message(6)]);
    assert!(reading.join(&log));
    push(&mut log, 5..6);
    push(&mut log, 6..9);
    assert!(reading.fall(&log.evict().unwrap()));
    assert_eq!(reading.catch_up().unwrap()[0], StartPosition::After(id(6)));
}

#[test]
fn a_reader_of_one_partition_by_name_goes_on_behind_what_it_was_sent() {
    let of_partition = |entry| MessageId {
        partition: i32::MAX,
        ..id(entry)
    };
    let places = Places::of_topic(&format!("persistent://p/d/t-partition-{}", i32::MAX));
    let mut log = log_behind(4);
    let mut reading = Reading::new(Flow::Tcp, StartPosition::Latest);
    reading.go_live(log.next());
    for entries in [5..8, 8..9] {
        let mut batch = Batch::default();
        for id in entries.map(of_partition) {
            batch.push(places.of(&id), &id, |out| out.push(b'x'));
        }
        log.push(Arc::new(batch));
    }
    reading.sent_to(2);
    assert!(reading.fall(&log.evict().unwrap()));
    let starts = reading.catch_up().unwrap();
    assert_eq!(
        starts,
        [StartPosition::After(id(6)), StartPosition::Earliest]
    );
    let seventh = Message {
        id: of_partition(7),
        ..message(7)
    };
    assert!(!reading.misses(places, std::slice::from_ref(&seventh)));
    reading.caught(places, &[seventh]);
    assert!(reading.join(&log));
    assert_eq!(reading.next(), Some(3));
}

fn of(partition: i32, ledger: u64, entry: u64) -> MessageId {
    MessageId {
        ledger,
        partition,
        ..id(entry)
    }
}

fn push_of(log: &mut FrameLog, id: MessageId) {
    let mut batch = Batch::default();
    batch.push(Places::ByPartition.of(&id), &id, |out| out.push(b'x'));
    log.push(Arc::new(batch));
}

#[test]
fn an_id_of_one_partition_hides_nothing_of_another() {
    let ends = [of(0, 100, 5), of(1, 50, 7)];
    let base = Points::new(ends.iter().map(Point::behind).collect());
    let mut log = FrameLog::new(base);
    let mut reading = Reading::new(Flow::Tcp, StartPosition::After(ends[0]));
    reading.catch_up();
    assert!(!reading.join(&log));
    push_of(&mut log, of(1, 50, 8));
    push_of(&mut log, of(0, 100, 6));
    let caught = |reading: &mut Reading, id| {
        let message = Message { id, ..message(0) };
        reading.caught(Places::ByPartition, &[message]);
    };
    caught(&mut reading, of(0, 100, 6));
    // What came to the other meanwhile is on its way: it was at the end there, wherever that was.
    assert!(!reading.join(&log));
    caught(&mut reading, of(1, 50, 8));
    assert!(reading.join(&log));
    assert_eq!(reading.next(), Some(2));
    push_of(&mut log, of(1, 50, 9));
    push_of(&mut log, of(2, 90, 0));
    reading.skip_seen(&log);
    assert_eq!(reading.next(), Some(2));
    reading.sent_to(3);
    reading.skip_seen(&log);
    assert_eq!(reading.next(), Some(3));
}

#[test]
fn an_id_that_is_still_to_come_hides_nothing() {
    for start in [of(-1, 1, 9), of(-1, 7, 0)] {
        let mut log = log_behind(4);
        let mut reading = Reading::new(Flow::Tcp, StartPosition::After(start));
        reading.catch_up();
        assert!(!reading.join(&log));
        push(&mut log, 5..6);
        reading.caught(Places::ByPartition, &[message(5)]);
        assert!(reading.join(&log));
        push(&mut log, 6..7);
        reading.skip_seen(&log);
        assert_eq!(reading.next(), Some(1));
    }
    // Where the log is already, it is in it at once.
    let mut log = log_behind(4);
    push(&mut log, 5..7);
    let mut reading = Reading::new(Flow::Tcp, StartPosition::After(id(5)));
    assert!(reading.join(&log));
    assert_eq!(reading.next(), Some(1));
}

#[test]
fn a_reader_with_frames_left_in_the_log_is_not_at_its_end() {
    let mut log = log_behind(4);
    let mut reading = Reading::new(Flow::Window(1), StartPosition::Latest);
    assert!(!reading.is_at_end(Some(&log)));
    reading.go_live(log.next());
    push(&mut log, 5..7);
    reading.sent_to(1);
    assert!(!reading.is_at_end(Some(&log)));
    reading.sent_to(2);
    assert!(reading.is_at_end(Some(&log)));
}
