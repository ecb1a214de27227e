//! Reader sockets on shared tails: from the request to the log, over an upstream reader of their own where they begin
//! before it or have fallen off.

use super::catch_up_turns::Turn;
use super::post::{MemberEvent, Post, SocketId, TailKey};
use super::shard::Shard;
use super::sockets::Role;
use crate::api::ReaderParams;
use crate::hub::tail::{Form, Places};
use crate::hub::{Answer, Command, Refusal};
use crate::pulsar::Message;
use crate::pulsar::client::{Gap, StartPosition};
use crate::pulsar::topics::is_persistent;
use crate::session::ConsumerSession;
use crate::session::reader::{Place, Reading};
use crate::ws::Window;

/// One reader socket.
pub struct Reader {
    pub reading: Reading,
    /// Its index among this shard's tails. None: it has an upstream reader of its own for good.
    pub tail: Option<usize>,
    pub key: TailKey,
    pub name: Option<Box<str>>,
    /// Only with an upstream reader of its own.
    pub read_compacted: bool,
    /// Its index among that tail's readers.
    pub index: usize,
    pub turn: Turn,
    /// Its own upstream reader has opened: from then on that hears of permits.
    pub joined: bool,
    /// It stands in line for a turn.
    pub queued: bool,
    /// Its upstream reader was refused, and is asked for again later.
    pub paused: bool,
    /// How it takes the frames of its log.
    pub form: Form,
    /// It stands in line to be sent to.
    pub due: bool,
    /// Its client has not taken what it was sent.
    pub stalled: bool,
    /// The answer to a `seek`, while where it leads is not known yet.
    pub sought: Option<Box<Answer>>,
}

impl Shard {
    /// A reader socket on its topic's tail.
    pub fn begin_reading(&mut self, id: SocketId, key: TailKey, params: ReaderParams) {
        let start = match is_persistent(&key.topic) {
            true => params.start,
            false => StartPosition::Latest,
        };
        let (tail, index, key) = self.enter_tail(id, key);
        let reading = Reading::new(params.flow, start);
        let tail = Some(tail);
        self.enter_reader(id, reading, tail, index, key, params.reader_name);
        match start {
            StartPosition::Latest => self.reader_tail_open(id),
            _ => self.catch_up(id),
        }
    }

    /// A reader socket with an upstream reader of its own, as with the Java gateway.
    pub fn begin_reading_alone(&mut self, id: SocketId, key: TailKey, params: ReaderParams) {
        let reading = Reading::alone(params.flow);
        self.enter_reader(id, reading, None, 0, key, params.reader_name);
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        if let Role::Reader(reader) = &mut entry.role {
            reader.read_compacted = params.read_compacted;
        }
        self.open_own_upstream(id, vec![params.start], params.start_time_ms);
    }

    fn enter_reader(
        &mut self,
        id: SocketId,
        reading: Reading,
        tail: Option<usize>,
        index: usize,
        key: TailKey,
        name: Option<String>,
    ) {
        let window = self.sockets.get(id).and_then(|entry| entry.window);
        let reader = Reader {
            // The frames that sockets share may refer further back than a smaller window.
            form: match window {
                Some(Window::FULL) => Form::Compressed,
                _ => Form::Plain,
            },
            reading,
            tail,
            key,
            name: name.map(Into::into),
            index,
            read_compacted: false,
            turn: Turn::None,
            joined: false,
            queued: false,
            paused: false,
            due: false,
            stalled: false,
            sought: None,
        };
        if let Some(entry) = self.sockets.get(id) {
            entry.role = Role::Reader(Box::new(reader));
        }
    }

    /// The socket's log has begun, or had already when the socket came.
    pub fn reader_tail_open(&mut self, id: SocketId) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = &mut entry.role else {
            return;
        };
        let Some(log) = reader.tail.and_then(|tail| self.tails.log(tail)) else {
            return;
        };
        if matches!(reader.reading.place(), Place::Opening) {
            let (tail, next) = (reader.tail, log.next());
            reader.reading.go_live(next);
            self.note_lowest(tail, next);
            self.reader_is_there(id);
        } else {
            // The log has just begun: nothing is missing in it.
            self.try_join(id);
        }
    }

    /// The tail is not to be had any more. A reader that still has an upstream of its own hears it from there.
    pub fn reader_tail_ended(&mut self, now_ms: u64, id: SocketId, refusal: &Refusal) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = &mut entry.role else {
            return;
        };
        if reader.reading.has_own_upstream() {
            reader.tail = None;
            return;
        }
        let (queued, turn) = (reader.queued, reader.turn);
        entry.role = Role::None;
        self.leave_line(id, queued);
        self.caught_up(id, turn);
        self.expel_reader(now_ms, id, refusal);
    }

    /// What its own upstream reader, or its tail, says.
    pub fn reader_event(&mut self, now_ms: u64, id: SocketId, event: MemberEvent) {
        match event {
            MemberEvent::Joined => self.reader_joined(id),
            MemberEvent::Deliver(messages) => self.reader_caught(now_ms, id, messages),
            MemberEvent::Gap(gap) => {
                // What was on its way when the socket joined the log is in the log too.
                let reading = self.reading(id);
                if reading.is_some_and(|reading| reading.has_own_upstream()) {
                    self.reader_missed(now_ms, id, gap);
                }
            }
            MemberEvent::EndOfTopic(reached) => self.reader_end_told(id, reached),
            MemberEvent::Refused(refusal) | MemberEvent::Expelled(refusal) => {
                self.reader_refused(now_ms, id, &refusal);
            }
            // It never unsubscribes.
            _ => {}
        }
    }

    /// Its own upstream reader is open. One that takes the place of another has not heard what that one was told.
    fn reader_joined(&mut self, id: SocketId) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = &mut entry.role else {
            return;
        };
        reader.turn.goes_on();
        reader.joined = true;
        let permits = reader.reading.catch_up_permits();
        if entry.clogged {
            self.own_upstream(id, Command::Clogged);
        }
        self.own_upstream(id, Command::Permit(permits));
        self.reader_is_there(id);
    }

    fn reader_refused(&mut self, now_ms: u64, id: SocketId, refusal: &Refusal) {
        if self.catch_up_again(now_ms, id, refusal) {
            return;
        }
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = std::mem::replace(&mut entry.role, Role::None) else {
            return;
        };
        self.leave_tail(&reader);
        self.caught_up(id, reader.turn);
        self.expel_reader(now_ms, id, refusal);
    }

    /// Tells the client why nothing comes any more: in the answer to its handshake, if that waits for one.
    fn expel_reader(&mut self, now_ms: u64, id: SocketId, refusal: &Refusal) {
        let session = ConsumerSession::Reader;
        match self.sockets.look(id).is_some_and(|entry| entry.upgraded) {
            true => self.close(now_ms, id, session.expelled(refusal)),
            false => self.opened(id, Err(session.refusal(refusal))),
        }
    }

    fn reader_caught(&mut self, now_ms: u64, id: SocketId, mut messages: Vec<Message>) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = &mut entry.role else {
            return;
        };
        // What was on its way when the socket joined the log is in the log too.
        if !reader.reading.has_own_upstream() {
            return;
        }
        let places = Places::of_topic(&reader.key.topic);
        let dropped = reader.reading.drop_had(places, &mut messages);
        if reader.reading.misses(places, &messages) && self.reader_missed(now_ms, id, Gap::Certain)
        {
            return;
        }
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = &mut entry.role else {
            return;
        };
        reader.turn.goes_on();
        let before = entry.out.len();
        ConsumerSession::Reader.deliver(&messages, &mut entry.out);
        entry.delivered_bytes += entry.out.len() - before;
        let permits = reader.reading.caught(places, &messages) + dropped;
        self.counters.delivered += messages.len() as u64;
        self.sockets.mark(id);
        if permits > 0 {
            self.own_upstream(id, Command::Permit(permits));
        }
        if self.try_join(id) {
            self.meet_gap(now_ms, id);
        }
    }

    /// The session of a reader socket ends.
    pub fn end_reading(&mut self, id: SocketId, reader: &Reader) {
        self.leave_tail(reader);
        self.leave_line(id, reader.queued);
        if reader.reading.has_own_upstream() {
            let member = id.member();
            self.post(id.shard(), Post::Leave { member });
        }
        self.caught_up(id, reader.turn);
    }
}
