//! Reader sockets on shared tails: from the request to the log, over an upstream reader of their own where they begin
//! before it or have fallen off.

use super::catch_up::Turn;
use super::post::{MemberEvent, Post, SocketId, TailKey};
use super::shard::Shard;
use super::sockets::Role;
use crate::api::{ReaderParams, WebSocketError};
use crate::hub::tail::{Form, Places};
use crate::hub::{Answer, Command, Refusal};
use crate::pulsar::Message;
use crate::pulsar::client::{Gap, StartPosition};
use crate::pulsar::topics::is_persistent;
use crate::session::reader::{Place, Reading};
use crate::session::{CloseWith, ConsumerSession, Wish};
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
    /// It stands in line for one of them.
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
        let (session, upgraded) = (ConsumerSession::Reader, entry.upgraded);
        self.leave_line(id, queued);
        self.caught_up(id, turn);
        if upgraded {
            self.close(now_ms, id, session.expelled(refusal));
        } else {
            self.opened(id, Err(session.refusal(refusal)));
        }
    }

    /// One frame of the client.
    pub fn reader_frame(&mut self, id: SocketId, frame: &mut [u8]) -> Result<(), CloseWith> {
        let Some(entry) = self.sockets.get(id) else {
            return Ok(());
        };
        match ConsumerSession::Reader.on_message(frame, &mut entry.out)? {
            Wish::Hub(command) => self.reader_command(id, command),
            Wish::Answered => self.sockets.mark(id),
            Wish::Nothing => {}
        }
        Ok(())
    }

    fn reader_command(&mut self, id: SocketId, command: Command) {
        match command {
            Command::Handled => self.reader_handled(id),
            Command::IsEndOfTopic => self.reader_asks_for_end(id),
            Command::Seek(target) => self.seek_reader(id, None, target),
            Command::Asked(asked) => match asked.command {
                Command::Seek(target) => self.seek_reader(id, Some(asked.request), target),
                command => {
                    self.reader_command(id, command);
                    let answer = Answer {
                        request: Some(asked.request),
                        result: Ok(()),
                    };
                    self.answer_reader(id, &answer);
                }
            },
            // A reader's client has no other command.
            _ => {}
        }
    }

    pub(super) fn answer_reader(&mut self, id: SocketId, answer: &Answer) {
        if let Some(entry) = self.sockets.get(id) {
            ConsumerSession::Reader.answer(answer, &mut entry.out);
            self.sockets.mark(id);
        }
    }

    fn reader_handled(&mut self, id: SocketId) {
        let Some(reading) = self.reading(id) else {
            return;
        };
        let was_open = reading.open();
        reading.handled();
        if reading.open() == was_open {
            return;
        }
        match reading.place() {
            Place::Live { .. } => self.reader_is_due(id),
            Place::CatchingUp(_) | Place::Alone => self.own_upstream(id, Command::Permit(1)),
            Place::Behind(_) => self.catch_up_if_open(id),
            Place::Opening => {}
        }
    }

    fn reader_asks_for_end(&mut self, id: SocketId) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = &entry.role else {
            return;
        };
        let asker = id.member();
        match reader.tail.and_then(|tail| self.tails.home(tail)) {
            _ if reader.reading.has_own_upstream() => self.own_upstream(id, Command::IsEndOfTopic),
            Some((home, feeder)) => self.post(home, Post::TailEndOfTopic { feeder, asker }),
            None => self.post(
                id.shard(),
                Post::ToMember {
                    member: asker,
                    event: MemberEvent::EndOfTopic(false),
                },
            ),
        }
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
        let permits = reader.reading.catch_up_permits();
        if entry.clogged {
            self.own_upstream(id, Command::Clogged);
        }
        self.own_upstream(id, Command::Permit(permits));
        self.reader_is_there(id);
    }

    /// What its tail has reached, a socket with a full window has not.
    fn reader_end_told(&mut self, id: SocketId, reached: bool) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        if let Role::Reader(reader) = &mut entry.role {
            let log = reader.tail.and_then(|tail| self.tails.log(tail));
            let reached = reached && reader.reading.is_at_end(log);
            ConsumerSession::Reader.end_of_topic(reached, &mut entry.out);
            self.sockets.mark(id);
        }
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
        let upgraded = entry.upgraded;
        self.leave_tail(&reader);
        self.caught_up(id, reader.turn);
        let session = ConsumerSession::Reader;
        if upgraded {
            self.close(now_ms, id, session.expelled(refusal));
        } else {
            self.opened(id, Err(session.refusal(refusal)));
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
