//! A hole in the stream of a tail: while it had lost its broker, messages went that no reader of its log has had.

use super::post::SocketId;
use super::shard::Shard;
use super::sockets::Role;
use crate::pulsar::client::Gap;

impl Shard {
    /// Between the last frame of the tail's log and the next one something is missing, for all who are in the log.
    pub fn tail_gap(&mut self, now_ms: u64, joining: u64, gap: Gap) {
        for id in self.tails.mark_gap(joining, gap) {
            let reading = self.reading(id);
            let Some(reading) = reading.filter(|reading| reading.next().is_some()) else {
                continue;
            };
            // One that has read further than the log by itself may have had it.
            let gap = match reading.seen() {
                Some(_) => Gap::Possible,
                None => gap,
            };
            self.reader_missed(now_ms, id, gap);
        }
    }

    /// The socket has joined its log: it may have to pass a hole there.
    pub(super) fn meet_gap(&mut self, now_ms: u64, id: SocketId) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = &entry.role else {
            return;
        };
        let hole = reader.tail.and_then(|tail| self.tails.gap(tail));
        if let (Some((number, gap)), Some(next)) = (hole, reader.reading.next())
            && next <= number
        {
            // One that begins right there may have read on into it.
            let gap = if next < number { gap } else { Gap::Possible };
            self.reader_missed(now_ms, id, gap);
        }
    }
}
