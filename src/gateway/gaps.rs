//! What readers never get: the broker has it no more, or lost it while it had lost its topic. A hole in the stream of a
//! tail is one for all who are in its log, or join that before it.

use super::post::SocketId;
use super::shard::Shard;
use super::sockets::Role;
use super::tails::Tails;
use crate::api::WebSocketError;
use crate::pulsar::client::Gap;
use crate::session::CloseWith;

impl Tails {
    /// Something is missing behind the tail's last frame. Who reads it.
    pub(super) fn mark_gap(&mut self, joining: u64, gap: Gap) -> Vec<SocketId> {
        let tail = self.by_joining.get(&joining);
        let Some(local) = tail.and_then(|tail| self.local.get_mut(*tail)) else {
            return Vec::new();
        };
        local.gap = local.log.as_ref().map(|log| (log.next(), gap));
        local.readers.clone()
    }

    /// Before which frame of the tail something is missing.
    pub(super) fn gap(&self, tail: usize) -> Option<(u64, Gap)> {
        self.local.get(tail)?.gap
    }
}

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

    /// The broker has no more what the socket lacks, or may have had it: non-durable readers do not hold a topic's retention,
    /// and a non-persistent topic keeps nothing. True: for that it has been closed.
    pub(super) fn reader_missed(&mut self, now_ms: u64, id: SocketId, gap: Gap) -> bool {
        let (count, are) = match gap {
            Gap::Certain => (&mut self.counters.readers_missed, "are"),
            Gap::Possible => (&mut self.counters.readers_may_have_missed, "may be"),
        };
        *count += 1;
        if let Some(entry) = self.sockets.get(id)
            && let Role::Reader(reader) = &entry.role
            && let topic = &reader.key.topic
            && let Some(unsaid) = self.tails.missed.due(now_ms, topic)
        {
            tracing::warn!(%topic, unsaid, "messages that a reader has not had {are} gone from its topic");
        }
        let closes = self.config.close_readers_on_gap && gap == Gap::Certain;
        if closes {
            let why = WebSocketError::UnknownError;
            let reason = why.reason("messages that were not sent yet are gone from the topic");
            let code = why.close_code();
            self.close(now_ms, id, CloseWith { code, reason });
        }
        closes
    }
}
