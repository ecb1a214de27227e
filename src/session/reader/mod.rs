//! A reader socket on a shared tail: its window, and where it is in the topic.
//!
//! It is in the log (`Live`), or knows where it fell off or begins and has an upstream reader of its own until the log
//! has what it lacks (`CatchingUp`), or waits for that (`Behind`). A socket with a full window stays `Behind`. One that can
//! share no tail is `Alone`.

use super::frames::append_frame_of;
use crate::api::{self, Flow};
use crate::hub::tail::{Evicted, FrameLog, Places, Point, Points};
use crate::pulsar::client::StartPosition;
use crate::pulsar::{Message, MessageId};
use crate::ws::encode;

/// Messages that an upstream reader of a socket's own may have on their way without a window (`flow=tcp`): enough that the
/// broker is not waited for, few enough that large ones of all who are caught up at once have room in memory.
const CATCH_UP_MESSAGES: u32 = 100;

#[derive(Debug)]
pub struct Reading {
    flow: Flow,
    /// Sent and not handled.
    charged: u32,
    place: Place,
}

#[derive(Debug)]
pub enum Place {
    /// The tail is not open yet: the socket begins at its end.
    Opening,
    /// In the log: the number of the next frame. `seen`: frames that lie behind these points it has had already.
    Live {
        next: u64,
        seen: Option<Box<Points>>,
    },
    Behind(Box<Lack>),
    CatchingUp(Box<Lack>),
    /// With an upstream reader of its own for good.
    Alone,
}

/// Of a socket outside the log.
#[derive(Debug)]
pub struct Lack {
    /// It has had what lies behind these.
    points: Points,
    /// By partition: the place of a message that it has not had and that the log had. One that comes from there from further
    /// on shows that the broker has it no more.
    first: Vec<(usize, Point)>,
}

impl Reading {
    pub fn new(flow: Flow, start: StartPosition) -> Reading {
        let place = match Point::of_start(start) {
            Some(point) => Place::Behind(Lack::behind(Points::everywhere(point))),
            None => Place::Opening,
        };
        Reading {
            flow,
            charged: 0,
            place,
        }
    }

    /// Of a socket that has an upstream reader of its own for good.
    pub fn alone(flow: Flow) -> Reading {
        Reading {
            flow,
            charged: 0,
            place: Place::Alone,
        }
    }

    pub fn flow(&self) -> Flow {
        self.flow
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// How many more messages it may be sent.
    pub fn open(&self) -> u32 {
        match self.flow {
            Flow::Window(window) => window.saturating_sub(self.charged),
            Flow::Tcp => u32::MAX,
        }
    }

    pub fn charge(&mut self, messages: u64) {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        self.charged = self.charged.saturating_add(messages);
    }

    /// The client has handled one message, whichever.
    pub fn handled(&mut self) {
        self.charged = self.charged.saturating_sub(1);
    }

    /// The number of its next frame, while it is in the log.
    pub fn next(&self) -> Option<u64> {
        match &self.place {
            Place::Live { next, .. } => Some(*next),
            _ => None,
        }
    }

    /// Whether it has been sent everything that its source has brought: its own upstream reader gives on what it brings at
    /// once, a log does not.
    pub fn is_at_end(&self, log: Option<&FrameLog>) -> bool {
        match &self.place {
            Place::Live { next, .. } => log.is_some_and(|log| *next == log.next()),
            Place::CatchingUp(_) | Place::Alone => true,
            Place::Opening | Place::Behind(_) => false,
        }
    }

    /// It is in the log from this frame on, which is the next one to come.
    pub fn go_live(&mut self, next: u64) {
        self.place = Place::Live { next, seen: None };
    }

    /// Steps over what it has had, and forgets what that was once nothing of it can come.
    pub fn skip_seen(&mut self, log: &FrameLog) {
        if let Place::Live { next, seen } = &mut self.place
            && let Some(points) = seen
        {
            *next = log.skip_seen(*next, points);
            if *next == log.next() && log.head().are_past(points) {
                *seen = None;
            }
        }
    }

    pub fn seen(&self) -> Option<&Points> {
        match &self.place {
            Place::Live { seen, .. } => seen.as_deref(),
            _ => None,
        }
    }

    /// All frames before this one have been sent.
    pub fn sent_to(&mut self, number: u64) {
        if let Place::Live { next, .. } = &mut self.place {
            *next = number;
        }
    }

    /// The log has dropped a batch. True: with it the socket's next frame, so that it is no longer in the log.
    pub fn fall(&mut self, evicted: &Evicted) -> bool {
        let Place::Live { next, seen } = &mut self.place else {
            return false;
        };
        if *next >= evicted.end() {
            return false;
        }
        let mut points = evicted.points_at(*next);
        if let Some(seen) = seen {
            points.pass(seen);
        }
        let first = evicted.first_beyond(&points);
        self.place = Place::Behind(Box::new(Lack { points, first }));
        true
    }

    /// An upstream reader of its own begins: where in each partition, the last one for all others.
    pub fn catch_up(&mut self) -> Option<Vec<StartPosition>> {
        let Place::Behind(lack) = &mut self.place else {
            return None;
        };
        let nothing = Lack::behind(Points::everywhere(Point::EARLIEST));
        let lack = std::mem::replace(lack, nothing);
        let starts = lack.points.starts();
        self.place = Place::CatchingUp(lack);
        Some(starts)
    }

    /// Its own upstream reader could not be had. True: it waits where it is.
    pub fn give_up_catching_up(&mut self) -> bool {
        let Place::CatchingUp(lack) = &mut self.place else {
            return false;
        };
        let nothing = Lack::behind(Points::everywhere(Point::EARLIEST));
        self.place = Place::Behind(std::mem::replace(lack, nothing));
        true
    }

    /// How many messages its own upstream reader may bring at first.
    pub fn catch_up_permits(&self) -> u32 {
        match self.flow {
            Flow::Window(_) => self.open(),
            Flow::Tcp => CATCH_UP_MESSAGES,
        }
    }

    pub fn has_own_upstream(&self) -> bool {
        matches!(self.place, Place::CatchingUp(_) | Place::Alone)
    }

    /// Takes out of what its own upstream reader has brought what the socket has been sent already: an earlier upstream
    /// reader of its own may have brought more than was known when this one began. How many that were.
    pub fn drop_had(&mut self, places: Places, messages: &mut Vec<Message>) -> u32 {
        let before = messages.len();
        if let Place::CatchingUp(lack) = &self.place {
            let had = |id: &MessageId| lack.points.has_had(places.of(id), &Point::behind(id));
            messages.retain(|message| !had(&message.id));
        }
        (before - messages.len()) as u32
    }

    /// Whether the broker has no more what this socket lacked first, as what its own upstream reader brings shows. Told once.
    pub fn misses(&mut self, places: Places, messages: &[Message]) -> bool {
        let Place::CatchingUp(lack) = &mut self.place else {
            return false;
        };
        let mut missed = false;
        for message in messages {
            if lack.first.is_empty() {
                break;
            }
            let partition = places.of(&message.id);
            if let Some(at) = lack.first.iter().position(|(of, _)| *of == partition) {
                let (_, point) = lack.first.swap_remove(at);
                missed |= Point::behind(&message.id) > point;
            }
        }
        missed
    }

    /// Its own upstream reader has brought these, which are being sent. How many more it may bring at once.
    pub fn caught(&mut self, places: Places, messages: &[Message]) -> u32 {
        self.charge(messages.len() as u64);
        if let Place::CatchingUp(lack) = &mut self.place {
            for message in messages {
                let begun = message.oldest_begun.as_deref().copied();
                let point = Point::behind(&message.id);
                lack.points.advance(places.of(&message.id), point, begun);
            }
        }
        match self.flow {
            Flow::Window(_) => 0,
            Flow::Tcp => messages.len() as u32,
        }
    }

    /// Joins the log if that has all it lacks. True: it is in the log now, and needs no upstream reader of its own.
    pub fn join(&mut self, log: &FrameLog) -> bool {
        let (Place::CatchingUp(lack) | Place::Behind(lack)) = &mut self.place else {
            return false;
        };
        let Some(seen) = lack.points.join(log.base(), log.head()) else {
            return false;
        };
        self.place = Place::Live {
            next: log.first(),
            seen: Some(Box::new(seen)),
        };
        self.skip_seen(log);
        true
    }
}

impl Lack {
    fn behind(points: Points) -> Box<Lack> {
        Box::new(Lack {
            points,
            first: Vec::new(),
        })
    }
}

/// About how many bytes [`append`] writes.
pub fn frame_size_hint(message: &Message) -> usize {
    api::delivery_size_hint(message) + encode::MAX_HEADER_BYTES
}

/// Appends the frame that every reader of the topic gets of this message.
pub fn append(message: &Message, out: &mut Vec<u8>) {
    append_frame_of(out, api::delivery_size_hint(message), |out| {
        api::append_reader_delivery(message, out);
    });
}

/// Whether ids tell messages of this topic apart: a non-persistent topic keeps nothing that could be caught up with.
pub fn is_replayable(topic: &str) -> bool {
    !topic.starts_with("non-persistent://")
}

#[cfg(test)]
mod tests {
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
}
