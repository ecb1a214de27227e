//! What happens to an open socket: frames, deliveries, its end.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::encryption::KeyQuestion;
use super::post::{MemberEvent, Post, SocketId};
use super::shard::Shard;
use super::sockets::Role;
use super::topics::Watcher;
use crate::api::Refusal;
use crate::hub::Command;
use crate::runtime::{self, Socket};
use crate::session::{CloseWith, Upstreams, Wish};
use crate::ws::{self, Decoder, Event};

/// A client that has been sent a close frame answers, or is cut off, within this time.
pub const CLOSE_WAIT_MS: u64 = 5_000;

/// After so many sockets have gone the memory that they had goes back to the system: two megabytes or more.
const SOCKETS_WORTH_MEMORY: u32 = 1024;

/// What was made of a client's bytes.
pub enum Received {
    All,
    /// They inflate to more than one turn should take on: these come again.
    AllBut(Vec<u8>),
    /// The connection is to be closed.
    End,
}

impl Shard {
    /// A new connection. None: no room, or the process is ending.
    pub fn open_socket(&mut self, now_ms: u64, socket: Socket) -> Option<SocketId> {
        if self.draining {
            return None;
        }
        let id = self.sockets.insert(self.index, socket, now_ms)?;
        self.arm_socket(now_ms, id);
        Some(id)
    }

    /// The handshake is over: the 101 goes out, frames may follow.
    pub fn upgraded(&mut self, now_ms: u64, id: SocketId, response: Bytes) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        entry.upgraded = true;
        entry.last_active_ms = now_ms;
        entry.last_ping_ms = now_ms;
        entry.socket.has_been_shown();
        entry.socket.send(response);
        self.counters.sockets_opened += 1;
        // Deliveries that came before the 101 are waiting in `out`, or in the log.
        self.sockets.mark(id);
        self.reader_is_due(id);
        self.arm_socket(now_ms, id);
        self.watch_identity(now_ms, id);
        if self.draining {
            self.end_for_shutdown(now_ms, id);
        }
    }

    /// Bytes from the client.
    pub fn received(
        &mut self,
        now_ms: u64,
        id: SocketId,
        decoder: &mut Decoder,
        bytes: &mut [u8],
    ) -> Received {
        let Some(entry) = self.sockets.get(id) else {
            return Received::End;
        };
        entry.last_active_ms = now_ms;
        let fed = decoder.feed(bytes, &mut |event| self.on_frame(now_ms, id, event));
        let taken = *fed.as_ref().unwrap_or(&bytes.len());
        self.counters.bytes_in += taken as u64;
        if let Err(violation) = fed {
            self.counters.protocol_violations += 1;
            self.close(
                now_ms,
                id,
                CloseWith {
                    code: violation.code,
                    reason: violation.reason.to_owned(),
                },
            );
            // What this client says next means nothing, its close frame included.
            return Received::End;
        }
        match self.sockets.get(id) {
            Some(entry) if !entry.closing.is_complete() => match taken == bytes.len() {
                true => Received::All,
                false => Received::AllBut(bytes[taken..].to_vec()),
            },
            _ => Received::End,
        }
    }

    fn on_frame(&mut self, now_ms: u64, id: SocketId, event: Event<'_>) -> ControlFlow<()> {
        match event {
            // The same JSON in a binary frame is accepted (README, "Where it differs from the Java gateway").
            Event::Text(frame) | Event::Binary(frame) => self.on_message(now_ms, id, frame),
            Event::Ping(payload) => self.reply(id, &ws::encode::pong(payload)),
            Event::Pong(_) => {}
            Event::Close { code, reason } => {
                if let Some(answer) = self
                    .sockets
                    .get(id)
                    .and_then(|entry| entry.closing.received(code, reason))
                {
                    self.write(id, &answer);
                }
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn on_message(&mut self, now_ms: u64, id: SocketId, frame: &mut [u8]) {
        let now = self.now(now_ms);
        self.counters.frames_in += 1;
        if self.takes_new_token(now_ms, id, frame) {
            return;
        }
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        match &mut entry.role {
            // Nobody could be told of its fate.
            Role::Producer(_) if self.draining => {}
            Role::Producer(session) => {
                if session.wants_sealing(now) {
                    let names = session.key_names().to_vec();
                    let question = KeyQuestion::Sealing { socket: id, names };
                    self.key_questions.push(question);
                }
                let mut upstreams = Upstreams {
                    client: &mut self.publishing.client,
                    producers: &mut self.producers,
                };
                session.publish(now, &mut upstreams, frame, &mut entry.out);
                self.sockets.mark(id);
            }
            Role::Consumer { session, home } => match session.on_message(frame, &mut entry.out) {
                Ok(Wish::Hub(command)) => {
                    let home = *home;
                    self.post(
                        home,
                        Post::Command {
                            member: id.member(),
                            command,
                        },
                    );
                }
                Ok(Wish::Nothing) => {}
                Ok(Wish::Answered) => self.sockets.mark(id),
                Err(close) => self.close(now_ms, id, close),
            },
            Role::Reader(_) => {
                if let Err(close) = self.reader_frame(id, frame) {
                    self.close(now_ms, id, close);
                }
            }
            Role::None => {}
        }
    }

    /// What its hub says to a consumer or reader socket.
    pub fn member_event(&mut self, now_ms: u64, id: SocketId, event: MemberEvent) {
        let Some(entry) = self.sockets.get(id).filter(|entry| entry.closing.is_open()) else {
            return;
        };
        let session = match &mut entry.role {
            Role::Consumer { session, .. } => session,
            Role::Reader(_) => return self.reader_event(now_ms, id, event),
            _ => return,
        };
        match event {
            MemberEvent::Joined => self.opened(id, Ok(())),
            MemberEvent::Refused(refusal) => {
                let answer = session.refusal(&refusal);
                entry.role = Role::None;
                self.opened(id, Err(answer));
            }
            MemberEvent::Deliver(messages) => {
                self.counters.delivered += messages.len() as u64;
                let before = entry.out.len();
                session.deliver(&messages, &mut entry.out);
                entry.delivered_bytes += entry.out.len() - before;
                self.sockets.mark(id);
            }
            // A reader's.
            MemberEvent::Gap(_) => {}
            MemberEvent::EndOfTopic(reached) => {
                session.end_of_topic(reached, &mut entry.out);
                self.sockets.mark(id);
            }
            MemberEvent::Answer(answer) => {
                session.answer(&answer, &mut entry.out);
                self.sockets.mark(id);
            }
            MemberEvent::UnsubscribeFailed(error) => {
                let close = session.unsubscribe_failed(&error);
                self.close(now_ms, id, close);
            }
            MemberEvent::Expelled(refusal) => {
                let close = session.expelled(&refusal);
                entry.role = Role::None;
                self.close(now_ms, id, close);
            }
        }
    }

    /// Answers the handshake that waits for this socket's upstream.
    pub fn opened(&mut self, id: SocketId, answer: Result<(), Refusal>) {
        if let Some(waiting) = self.sockets.get(id).and_then(|entry| entry.opening.take()) {
            waiting.send(answer);
        }
    }

    /// Starts the closing handshake and ends the session.
    pub fn close(&mut self, now_ms: u64, id: SocketId, with: CloseWith) {
        self.say_close(now_ms, id, &with);
        self.end_session(now_ms, id);
    }

    /// Starts the closing handshake; what is queued before it still goes out.
    pub fn say_close(&mut self, now_ms: u64, id: SocketId, with: &CloseWith) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        if let Some(frame) = entry.closing.start(with.code, &with.reason) {
            entry.cut_off_ms = Some(now_ms + CLOSE_WAIT_MS);
            if let Some(resume) = entry.resume.take() {
                resume.notify();
            }
            self.write(id, &frame);
            self.arm_socket(now_ms, id);
        }
    }

    /// The socket takes no part any more: its hub gives its messages to others, its producers go.
    pub fn end_session(&mut self, now_ms: u64, id: SocketId) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        if let Some(resume) = entry.resume.take() {
            resume.notify();
        }
        match std::mem::replace(&mut entry.role, Role::None) {
            Role::None => {}
            Role::Reader(reader) => self.end_reading(id, &reader),
            Role::Consumer { home, .. } => self.post(
                home,
                Post::Leave {
                    member: id.member(),
                },
            ),
            Role::Producer(session) => {
                let principal = session.principal();
                self.unwatch_partitions(session.topic(), principal, Watcher::Producer(id));
                let now = self.now(now_ms);
                session.end(now, &mut self.upstreams());
            }
        }
    }

    /// The connection is ending: the session ends now, and the peer gets a bounded time to take what was sent.
    /// True: both sides have sent their close frame (RFC 6455 §7.1.1: then it is the server that closes).
    pub fn closing_down(&mut self, now_ms: u64, id: SocketId) -> bool {
        self.end_session(now_ms, id);
        let Some(entry) = self.sockets.get(id) else {
            return false;
        };
        entry.cut_off_ms.get_or_insert(now_ms + CLOSE_WAIT_MS);
        let said_goodbye = entry.closing.is_complete();
        self.arm_socket(now_ms, id);
        said_goodbye
    }

    /// The connection is gone.
    pub fn forget_socket(&mut self, id: SocketId) {
        self.paused.remove(&id);
        self.places.remove(&id);
        self.forget_identity(id);
        self.forget_permissions(id);
        self.forget_principal(id);
        if let Some(entry) = self.sockets.remove(id) {
            if let Some(timer) = entry.timer {
                self.wheel.cancel(timer);
            }
            if entry.upgraded {
                self.counters.sockets_closed += 1;
            }
            self.forgotten += 1;
            if self.forgotten == SOCKETS_WORTH_MEMORY {
                self.forgotten = 0;
                runtime::give_memory_back_soon();
            }
        }
    }

    /// A control frame out, unless a close frame has gone before it.
    pub fn reply(&mut self, id: SocketId, frame: &[u8]) {
        if self
            .sockets
            .get(id)
            .is_some_and(|entry| entry.closing.is_open())
        {
            self.write(id, frame);
        }
    }

    fn write(&mut self, id: SocketId, frame: &[u8]) {
        if let Some(entry) = self.sockets.get(id) {
            entry.out.extend_from_slice(frame);
            self.sockets.mark(id);
        }
    }

    /// The socket's unsent bytes have fallen again.
    pub fn unclogged(&mut self, id: SocketId) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        entry.clogged = false;
        let home = match entry.role {
            Role::Consumer { home, .. } => Some(home),
            Role::Reader(_) => Some(id.shard()),
            _ => None,
        };
        if let Some(home) = home {
            self.post(
                home,
                Post::Command {
                    member: id.member(),
                    command: Command::Drained,
                },
            );
        }
        // It may have given its turn away meanwhile.
        self.catch_up_if_open(id);
    }
}
