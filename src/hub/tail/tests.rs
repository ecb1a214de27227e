//! A log against a plain list of its frames.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::pulsar::MessageId;

const PARTITIONS: u64 = 3;

fn id(partition: u64, entry: u64) -> MessageId {
    MessageId {
        ledger: 10 + partition,
        entry,
        partition: partition as i32,
        batch_index: -1,
        batch_size: 0,
    }
}

/// What a frame of this message says: long enough that a send may end within it.
fn text(id: &MessageId) -> String {
    format!(
        "<{}:{}{}>",
        id.partition,
        id.entry,
        "x".repeat(id.entry as usize % 7)
    )
}

/// Batches of these sizes, their messages from the partitions in turn.
fn filled(sizes: &[usize]) -> (FrameLog, Vec<MessageId>) {
    let mut log = FrameLog::new(Points::everywhere(Point::EARLIEST));
    let mut ids = Vec::new();
    for size in sizes {
        let mut batch = Batch::default();
        for _ in 0..*size {
            let number = ids.len() as u64;
            let id = id(number % PARTITIONS, number / PARTITIONS);
            batch.push(id.partition as usize, &id, |out| {
                out.extend_from_slice(text(&id).as_bytes())
            });
            ids.push(id);
        }
        log.push(Arc::new(batch));
    }
    (log, ids)
}

/// How a socket of a test takes its frames.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Takes {
    Plain,
    /// So many frames are compressed at a time.
    Compressed(usize),
    /// Each send in the other form than the one before.
    InTurn,
}

/// "Compressed": told apart from the plain form, shorter, and turned back by `plain_again`.
fn compress(frame: &[u8], out: &mut Vec<u8>) {
    let text = std::str::from_utf8(frame).unwrap();
    out.extend_from_slice(text.trim_end_matches(['x', '>']).as_bytes());
    out.push(b'0' + text.matches('x').count() as u8);
    out.push(b']');
}

fn plain_again(got: &str) -> String {
    let mut plain = String::new();
    for frame in got.split_inclusive(['>', ']']) {
        match frame.strip_suffix(']') {
            Some(frame) => {
                let (text, count) = frame.split_at(frame.len() - 1);
                plain += text;
                plain += &"x".repeat(count.parse().unwrap());
                plain.push('>');
            }
            None => plain += frame,
        }
    }
    plain
}

/// Reads on from `number` in sends that the kernel cuts after so many bytes, and what it was sent.
fn read(
    log: &mut FrameLog,
    mut number: u64,
    seen: Option<&Points>,
    takes: Takes,
    mut cuts: impl FnMut() -> usize,
) -> (u64, String) {
    let mut got = Vec::new();
    let mut form = Form::Plain;
    loop {
        if let Some(seen) = seen {
            number = log.skip_seen(number, seen);
        }
        let mut left = match takes {
            Takes::Compressed(frames) => frames,
            _ => usize::MAX,
        };
        form = match (takes, form) {
            (Takes::Plain, _) | (Takes::InTurn, Form::Compressed) => Form::Plain,
            _ => Form::Compressed,
        };
        if form == Form::Compressed {
            log.compress(number, 3, 20, &mut |frame, out| {
                let goes_on = left > 0;
                if goes_on {
                    left -= 1;
                    compress(frame, out);
                }
                goes_on
            });
        }
        let mut pieces = Vec::new();
        let bytes = log.run(number, 3, 20, seen, form, &mut pieces);
        if bytes == 0 && number < log.next() {
            // Not compressed yet.
            assert_eq!(form, Form::Compressed);
            continue;
        }
        if bytes == 0 {
            return (number, plain_again(&String::from_utf8(got).unwrap()));
        }
        let all: Vec<u8> = pieces.concat();
        assert_eq!(all.len(), bytes);
        let sent = cuts().clamp(1, all.len());
        got.extend_from_slice(&all[..sent]);
        let (next, rest) = log.advance(number, sent, form);
        got.extend_from_slice(&rest);
        assert!(next > number && next <= number + 3);
        number = next;
    }
}

fn texts(ids: &[MessageId]) -> String {
    ids.iter().map(text).collect()
}

fn takes() -> impl Strategy<Value = Takes> {
    prop_oneof![
        Just(Takes::Plain),
        (1_usize..4).prop_map(Takes::Compressed),
        Just(Takes::InTurn),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn a_socket_gets_every_frame_once_wherever_it_begins_and_however_its_sends_are_cut(
        sizes in prop::collection::vec(1usize..5, 1..8),
        begin in 0usize..30,
        evictions in 0usize..4,
        cuts in prop::collection::vec(1usize..40, 1..10),
        takes in takes(),
    ) {
        let (mut log, ids) = filled(&sizes);
        for _ in 0..evictions {
            log.evict();
        }
        let begin = begin.clamp(log.first() as usize, ids.len());
        let mut cut = cuts.iter().cycle();
        let (number, got) = read(&mut log, begin as u64, None, takes, || *cut.next().unwrap());
        prop_assert_eq!(number, log.next());
        prop_assert_eq!(got, texts(&ids[begin..]));
    }

    #[test]
    fn a_socket_that_fell_off_knows_where_it_was(
        sizes in prop::collection::vec(1usize..5, 2..8),
        at in 0usize..5,
    ) {
        let (mut log, ids) = filled(&sizes);
        let evicted = log.evict().unwrap();
        let number = at.min(sizes[0]);
        prop_assert_eq!(evicted.end(), sizes[0] as u64);
        let points = evicted.points_at(number as u64);
        for (place, id) in ids[..sizes[0]].iter().enumerate() {
            let covered = points.cover(id.partition as usize, &Point::behind(id));
            prop_assert_eq!(covered, place < number);
        }
        prop_assert_eq!(points.join(log.base(), log.head()).is_some(), number == sizes[0]);
    }

    #[test]
    fn a_socket_that_caught_up_joins_at_the_exact_message(
        sizes in prop::collection::vec(1usize..5, 1..8),
        evictions in 0usize..4,
        // How many messages of each partition it has read by itself.
        read_before in prop::collection::vec(0u64..12, PARTITIONS as usize),
        takes in takes(),
    ) {
        let (mut log, ids) = filled(&sizes);
        for _ in 0..evictions {
            log.evict();
        }
        let mut seen = Points::everywhere(Point::EARLIEST);
        for (partition, count) in read_before.iter().enumerate() {
            if let Some(last) = count.checked_sub(1) {
                seen.set(partition, Point::behind(&id(partition as u64, last)));
            }
        }
        let kept = |id: &&MessageId| id.entry >= read_before[id.partition as usize];
        let lost = ids[..log.first() as usize].iter().filter(kept).count();
        prop_assert_eq!(seen.join(log.base(), log.head()).is_some(), lost == 0);
        if lost == 0 {
            let first = log.first();
            let (_, got) = read(&mut log, first, Some(&seen), takes, || 7);
            let wanted: Vec<MessageId> = ids.iter().filter(kept).copied().collect();
            prop_assert_eq!(got, texts(&wanted));
        }
    }
}

#[test]
fn a_log_keeps_its_last_batch() {
    let (mut log, _) = filled(&[2, 3]);
    assert!(log.evict().is_some());
    assert!(log.evict().is_none());
    assert_eq!((log.first(), log.next()), (2, 5));
}

#[test]
fn a_frame_larger_than_a_send_goes_alone() {
    let (log, ids) = filled(&[4]);
    let mut pieces = Vec::new();
    log.run(1, 4, 1, None, Form::Plain, &mut pieces);
    assert_eq!(pieces.concat(), text(&ids[1]).as_bytes());
}

#[test]
fn a_run_has_no_more_pieces_than_a_send_takes() {
    let (log, ids) = filled(&[1; 1500]);
    let (mut number, mut got) = (0, Vec::new());
    while number < log.next() {
        let mut pieces = Vec::new();
        let bytes = log.run(number, 1500, 1 << 20, None, Form::Plain, &mut pieces);
        assert!(pieces.len() <= 64);
        got.extend(pieces.concat());
        number = log.advance(number, bytes, Form::Plain).0;
    }
    assert_eq!(got, texts(&ids).as_bytes());
}

#[test]
fn what_is_compressed_counts_and_goes_with_its_batch() {
    let (mut log, _) = filled(&[3, 2]);
    let plain_bytes = log.memory_bytes();
    log.compress(0, 2, 1000, &mut |frame, out| {
        compress(frame, out);
        true
    });
    let mut pieces = Vec::new();
    log.run(0, 9, 1000, None, Form::Compressed, &mut pieces);
    assert_eq!(pieces.len(), 1);
    assert!(log.memory_bytes() > plain_bytes);
    log.evict();
    let (mut other, _) = filled(&[3, 2]);
    other.evict();
    assert_eq!(log.memory_bytes(), other.memory_bytes());
}

/// Whether the bytes are the batch's own, and no copy.
fn lies_within(rest: &[u8], batch: &Batch) -> bool {
    let memory = batch.bytes().as_ptr_range();
    memory.contains(&rest.as_ptr()) && rest.as_ptr_range().end <= memory.end
}

fn one_batch(frames: &[&[u8]]) -> (FrameLog, Arc<Batch>) {
    let mut batch = Batch::default();
    for (entry, frame) in frames.iter().enumerate() {
        let id = id(0, entry as u64);
        batch.push(0, &id, |out| out.extend_from_slice(frame));
    }
    let batch = Arc::new(batch);
    let mut log = FrameLog::new(Points::everywhere(Point::EARLIEST));
    log.push(batch.clone());
    (log, batch)
}

#[test]
fn what_is_left_of_a_large_frame_is_not_copied_for_each_socket() {
    let (mut log, batch) = one_batch(&[&[b'a'; 100], &[b'b'; 900]]);
    let (number, rest) = log.advance(0, 150, Form::Plain);
    assert_eq!((number, &rest[..]), (2, &[b'b'; 850][..]));
    assert!(lies_within(&rest, &batch));
    let (_, whole) = log.frame(1, Form::Plain);
    assert!(lies_within(&whole, &batch));
    // The first is compressed to one byte, the second is too large for that.
    log.compress(0, 2, 2000, &mut |frame, out| {
        match frame.len() {
            100 => out.push(b'c'),
            _ => out.extend_from_slice(frame),
        }
        true
    });
    let (number, rest) = log.advance(0, 51, Form::Compressed);
    assert_eq!((number, &rest[..]), (2, &[b'b'; 850][..]));
    assert!(lies_within(&rest, &batch));
    assert_eq!(&log.frame(0, Form::Compressed).1[..], b"c");
}

#[test]
fn a_small_rest_keeps_no_large_batch_in_memory() {
    let (log, batch) = one_batch(&[&[b'a'; 100], &[b'b'; 9000]]);
    let (number, rest) = log.advance(0, 1, Form::Plain);
    assert_eq!((number, rest.len()), (1, 99));
    assert!(!lies_within(&rest, &batch));
}
