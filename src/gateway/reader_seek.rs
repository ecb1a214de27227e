//! A reader socket that is moved by its client (`seek`): it leaves its tail and its own upstream reader, and begins anew
//! elsewhere, as if it had just come.

use super::post::SocketId;
use super::readers::Reader;
use super::shard::Shard;
use super::sockets::Role;
use crate::api::{Flow, ReaderParams};
use crate::hub::{Answer, CommandRefused};
use crate::pulsar::client::{SeekTarget, StartPosition};
use crate::pulsar::topics::is_persistent;
use crate::session::reader::Place;

impl Shard {
    pub fn seek_reader(&mut self, id: SocketId, request: Option<Box<str>>, target: SeekTarget) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = &entry.role else {
            return;
        };
        if let Some(text) = refusal(&reader.key.topic, target) {
            let result = Err(CommandRefused::Invalid(text.to_owned()));
            return self.answer_reader(id, &Answer { request, result });
        }
        let Role::Reader(mut reader) = std::mem::replace(&mut entry.role, Role::None) else {
            return;
        };
        // Moved again before it was there: it will not be, and answers keep their order.
        if let Some(answer) = reader.sought.take() {
            self.answer_reader(id, &answer);
        }
        self.end_reading(id, &reader);
        // What its own upstream reader has brought before it hears of the end finds a member that has left (`hub_effect`).
        let params = ReaderParams {
            reader_name: reader.name.as_deref().map(str::to_owned),
            ..params(&reader, reader.reading.flow(), target)
        };
        self.begin_reader(id, reader.key.topic.to_string(), params);
        if request.is_some() {
            let result = Ok(());
            self.answer_when_there(id, Answer { request, result });
        }
    }

    /// What is published after the answer is behind the place that was sought.
    fn answer_when_there(&mut self, id: SocketId, answer: Answer) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = &mut entry.role else {
            return;
        };
        match reader.reading.place() {
            Place::Opening | Place::Alone => reader.sought = Some(Box::new(answer)),
            _ => self.answer_reader(id, &answer),
        }
    }

    /// The socket is where it asked to be: its handshake, or its `seek`, is answered.
    pub fn reader_is_there(&mut self, id: SocketId) {
        self.opened(id, Ok(()));
        if let Some(entry) = self.sockets.get(id)
            && let Role::Reader(reader) = &mut entry.role
            && let Some(answer) = reader.sought.take()
        {
            self.answer_reader(id, &answer);
        }
    }
}

/// Why a reader of this topic cannot go there.
fn refusal(topic: &str, target: SeekTarget) -> Option<&'static str> {
    match target {
        _ if !is_persistent(topic) => Some("A non-persistent topic keeps nothing to seek in"),
        // Where it is in the other partitions is not known to the last message while it shares its upstream.
        SeekTarget::Message(id) if id.partition >= 0 => {
            Some("A reader of a partitioned topic seeks to a timestamp, earliest or latest")
        }
        _ => None,
    }
}

fn params(reader: &Reader, flow: Flow, target: SeekTarget) -> ReaderParams {
    ReaderParams {
        reader_name: None,
        flow,
        start: match target {
            SeekTarget::Latest => StartPosition::Latest,
            SeekTarget::Message(id) => StartPosition::at(id),
            SeekTarget::Earliest | SeekTarget::PublishTime(_) => StartPosition::Earliest,
        },
        start_time_ms: match target {
            SeekTarget::PublishTime(time_ms) => Some(time_ms),
            _ => None,
        },
        read_compacted: reader.read_compacted,
        crypto_failure_action: reader.key.crypto_failure_action,
    }
}
