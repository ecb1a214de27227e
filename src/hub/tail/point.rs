//! Where a reader is in a partition, and in a topic.

use crate::hub::limits::MAX_SLOTS;
use crate::pulsar::MessageId;
use crate::pulsar::client::StartPosition;
use crate::pulsar::topics::partition_index;

/// The last message of one partition that lies behind a reader. Ordered as the partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    ledger: i64,
    /// −1: nothing of this ledger.
    entry: i64,
    /// Within a batch; [`WHOLE`] when all of the entry is behind the reader.
    index: i32,
}

const WHOLE: i32 = i32::MAX;

impl Point {
    /// Before everything.
    pub const EARLIEST: Point = Point {
        ledger: i64::MIN,
        entry: -1,
        index: WHOLE,
    };

    /// Behind this message.
    pub fn behind(id: &MessageId) -> Point {
        let is_last = id.batch_index < 0 || id.batch_index.saturating_add(1) >= id.batch_size;
        Point {
            ledger: id.ledger as i64,
            entry: id.entry as i64,
            index: if is_last { WHOLE } else { id.batch_index },
        }
    }

    /// Where a consumer that starts here is. None: only the broker knows.
    pub fn of_start(start: StartPosition) -> Option<Point> {
        match start {
            StartPosition::Earliest => Some(Point::EARLIEST),
            StartPosition::Latest => None,
            // An id without a batch index that is one of a batch: all of its entry is behind it (as in Java).
            StartPosition::After(id) if id.batch_index < 0 => Some(Point {
                index: WHOLE,
                ..Point::behind(&id)
            }),
            // How large its batch is the client may not have said: its last message is taken for one in the middle,
            // which costs nothing but an entry that comes again and is skipped.
            StartPosition::After(id) => Some(Point {
                index: id.batch_index,
                ..Point::behind(&id)
            }),
        }
    }

    /// A consumer that starts there gets what lies behind this point, and nothing else.
    pub fn start(&self) -> StartPosition {
        if *self == Point::EARLIEST {
            return StartPosition::Earliest;
        }
        StartPosition::After(MessageId {
            ledger: self.ledger as u64,
            entry: self.entry as u64,
            partition: -1,
            batch_index: if self.index == WHOLE { -1 } else { self.index },
            batch_size: 0,
        })
    }
}

/// Ledger and entry of a message's first chunk.
pub type Begun = (u64, u64);

/// A reader's place in a topic: one point for each partition, one in all for a topic without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Points {
    known: Vec<Point>,
    /// Of every other partition.
    rest: Point,
    /// By partition: the oldest message of which chunks lie behind the reader, and not the last one. Nearly always empty.
    begun: Vec<(usize, Begun)>,
}

impl Points {
    /// A partition that is not among them came later: it is read from its start.
    pub fn new(known: Vec<Point>) -> Points {
        Points {
            known,
            rest: Point::EARLIEST,
            begun: Vec::new(),
        }
    }

    /// The same in every partition.
    pub fn everywhere(point: Point) -> Points {
        Points {
            known: Vec::new(),
            rest: point,
            begun: Vec::new(),
        }
    }

    pub fn get(&self, partition: usize) -> Point {
        self.known.get(partition).copied().unwrap_or(self.rest)
    }

    /// A message of this partition now lies behind the reader, and what of others then was begun.
    pub fn advance(&mut self, partition: usize, point: Point, begun: Option<Begun>) {
        self.set(partition, point);
        self.begun.extend(begun.map(|begun| (partition, begun)));
    }

    /// Without effect for a partition that no hub could have opened.
    pub fn set(&mut self, partition: usize, point: Point) {
        if partition >= MAX_SLOTS {
            return;
        }
        if self.known.len() <= partition {
            self.known.resize(partition + 1, self.rest);
        }
        self.known[partition] = point;
        self.begun.retain(|(of, _)| *of != partition);
    }

    fn begun(&self, partition: usize) -> Option<Begun> {
        let begun = self.begun.iter().find(|(of, _)| *of == partition);
        begun.map(|(_, begun)| *begun)
    }

    /// What a consumer has to begin behind, to get all that the reader lacks; some of it the reader has had.
    fn goes_on_behind(&self, partition: usize) -> Point {
        let point = self.get(partition);
        self.begun(partition).map_or(point, |(ledger, entry)| {
            let before = Point {
                ledger: ledger as i64,
                entry: (entry as i64).saturating_sub(1),
                index: WHOLE,
            };
            before.min(point)
        })
    }

    /// Goes on to `other` in every partition where that is further.
    pub fn pass(&mut self, other: &Points) {
        for partition in 0..self.known.len().max(other.known.len()) {
            let further = match other.get(partition) > self.get(partition) {
                true => other,
                false => &*self,
            };
            let (point, begun) = (further.get(partition), further.begun(partition));
            self.advance(partition, point, begun);
        }
        self.rest = self.rest.max(other.rest);
    }

    /// Where a consumer of each partition starts, to go on from here; the last one is for all others.
    pub fn starts(&self) -> Vec<StartPosition> {
        let points = (0..self.known.len()).map(|partition| self.goes_on_behind(partition));
        let points = points.chain(std::iter::once(self.rest));
        points.map(|point| point.start()).collect()
    }

    /// Whether a reader that is here may go on in a log that begins behind `base` and has come to `head`, and what it has had
    /// of that.
    ///
    /// A partition of which it has read nothing yet is where it asked to be only if the id that it named is one of that
    /// partition, and not of one to come: behind its last message the broker begins at the end instead, and where that
    /// was shows with the first message only.
    pub fn join(&self, base: &Points, head: &Points) -> Option<Points> {
        let partitions = [self, base, head].map(|points| points.known.len());
        let partitions = partitions.into_iter().max().unwrap_or(0).max(1);
        let is_there = |partition| {
            let (point, base) = (self.goes_on_behind(partition), base.get(partition));
            let head = head.get(partition).max(base);
            let named = self.get(partition) == self.rest && self.rest != Point::EARLIEST;
            let is_met =
                point <= head && (point.ledger == base.ledger || point.ledger == head.ledger);
            point >= base && (!named || is_met)
        };
        (0..partitions).all(is_there).then(|| Points {
            known: (0..partitions).map(|at| self.get(at)).collect(),
            rest: Point::EARLIEST,
            begun: self.begun.clone(),
        })
    }

    /// Whether a reader that is here has been sent the message at `point`, or one behind it. Where it has read nothing yet it
    /// has not, whatever id it named.
    pub fn has_had(&self, partition: usize, point: &Point) -> bool {
        self.get(partition) != self.rest && self.cover(partition, point)
    }

    /// Whether nothing can come any more, from here on, that already lies behind `seen`.
    pub fn are_past(&self, seen: &Points) -> bool {
        (0..self.known.len().max(seen.known.len()))
            .all(|partition| self.get(partition) >= seen.get(partition))
    }

    /// Whether the message at `point` is already behind a reader that is here.
    pub fn cover(&self, partition: usize, point: &Point) -> bool {
        self.get(partition) >= *point
    }
}

/// Which place in [`Points`] the messages of a topic have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// There is one only.
    One,
    /// That of their partition.
    ByPartition,
}

impl Places {
    /// A topic that is itself named as a partition has but this one, whatever number its name gives to all its ids: that
    /// comes from a client and is no index.
    pub fn of_topic(topic: &str) -> Places {
        match partition_index(topic) {
            ..0 => Places::ByPartition,
            _ => Places::One,
        }
    }

    pub fn of(self, id: &MessageId) -> usize {
        match self {
            Places::One => 0,
            Places::ByPartition => usize::try_from(id.partition).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ledger: u64, entry: u64, batch_index: i32, batch_size: i32) -> MessageId {
        MessageId {
            ledger,
            entry,
            partition: -1,
            batch_index,
            batch_size,
        }
    }

    #[test]
    fn points_are_ordered_as_the_partition_is() {
        let in_order = [
            Point::EARLIEST,
            Point::behind(&id(3, u64::MAX, -1, 0)),
            Point::behind(&id(3, 0, -1, 0)),
            Point::behind(&id(3, 1, 0, 3)),
            Point::behind(&id(3, 1, 1, 3)),
            Point::behind(&id(3, 1, 2, 3)),
            Point::behind(&id(4, 0, -1, 0)),
        ];
        assert!(in_order.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn the_last_message_of_a_batch_is_the_end_of_its_entry() {
        assert_eq!(
            Point::behind(&id(3, 1, 2, 3)),
            Point::behind(&id(3, 1, -1, 0))
        );
    }

    #[test]
    fn a_topic_named_as_a_partition_has_one_place() {
        let id = MessageId {
            partition: i32::MAX,
            ..id(3, 1, -1, 0)
        };
        let name = format!("persistent://p/d/t-partition-{}", i32::MAX);
        assert_eq!(Places::of_topic(&name).of(&id), 0);
        assert_eq!(
            Places::of_topic("persistent://p/d/t").of(&id),
            i32::MAX as usize
        );
    }

    #[test]
    fn a_partition_that_cannot_be_takes_no_room() {
        let mut points = Points::everywhere(Point::EARLIEST);
        points.set(i32::MAX as usize, Point::behind(&id(3, 1, -1, 0)));
        assert!(points.starts().len() <= 2);
    }

    #[test]
    fn a_point_starts_a_consumer_behind_it() {
        let middle = Point::behind(&id(3, 1, 1, 3));
        assert_eq!(Point::of_start(middle.start()), Some(middle));
        let whole = Point::behind(&id(3, 1, 2, 3));
        assert_eq!(whole.start(), StartPosition::After(id(3, 1, -1, 0)));
        assert_eq!(Point::of_start(whole.start()), Some(whole));
        assert_eq!(Point::EARLIEST.start(), StartPosition::Earliest);
        assert_eq!(Point::of_start(StartPosition::Latest), None);
    }

    #[test]
    fn a_reader_joins_where_nothing_lies_between() {
        let base = Points::new(vec![
            Point::behind(&id(3, 1, -1, 0)),
            Point::behind(&id(5, u64::MAX, -1, 0)),
        ]);
        let mut reader = Points::new(vec![Point::EARLIEST, Point::EARLIEST]);
        assert!(reader.join(&base, &base).is_none());
        reader.set(1, Point::behind(&id(5, 0, -1, 0)));
        assert!(reader.join(&base, &base).is_none());
        reader.set(0, Point::behind(&id(3, 1, 0, 2)));
        assert!(reader.join(&base, &base).is_none());
        reader.set(0, Point::behind(&id(3, 1, 1, 2)));
        assert_eq!(reader.join(&base, &base), Some(reader));
    }

    #[test]
    fn a_message_of_which_only_chunks_lie_behind_it_is_begun_anew() {
        let at = |entry| Point::behind(&id(3, entry, -1, 0));
        let mut reader = Points::everywhere(Point::EARLIEST);
        reader.advance(0, at(7), Some((3, 5)));
        assert_eq!(reader.starts()[0], at(4).start());
        // A log that begins behind its first chunk does not have it, one that begins before it does.
        let joined = |entry| {
            let base = Points::new(vec![at(entry)]);
            reader.join(&base, &base).is_some()
        };
        assert!(!joined(5));
        assert!(joined(4));
        let mut behind = Points::new(vec![at(6)]);
        behind.pass(&reader);
        assert_eq!(behind.starts()[0], at(4).start());
        behind.pass(&Points::new(vec![at(6)]));
        assert_eq!(behind.starts()[0], at(4).start());
        reader.advance(0, at(8), None);
        assert_eq!(reader.starts()[0], at(8).start());
        reader.advance(0, at(9), Some((3, 0)));
        assert_eq!(
            reader.starts()[0],
            StartPosition::After(id(3, u64::MAX, -1, 0))
        );
    }

    #[test]
    fn a_partition_that_came_later_is_read_from_its_start() {
        let base = Points::new(vec![Point::behind(&id(3, 1, -1, 0))]);
        let mut reader = base.clone();
        assert!(reader.join(&base, &base).is_some());
        reader.set(2, Point::behind(&id(9, 0, -1, 0)));
        assert_eq!(reader.get(1), Point::EARLIEST);
        assert!(reader.cover(2, &Point::behind(&id(9, 0, -1, 0))));
        assert!(!reader.cover(1, &Point::behind(&id(9, 0, -1, 0))));
    }
}
