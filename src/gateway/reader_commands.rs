//! What the clients of reader sockets say, and what they are answered. A `seek` is `reader_seek`'s.

use super::post::{MemberEvent, Post, SocketId};
use super::shard::Shard;
use super::sockets::Role;
use crate::hub::{Answer, Command};
use crate::session::reader::Place;
use crate::session::{CloseWith, ConsumerSession, Wish};

impl Shard {
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
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Reader(reader) = &mut entry.role else {
            return;
        };
        let reading = &mut reader.reading;
        let was_open = reading.open();
        reading.handled();
        if reading.open() == was_open {
            return;
        }
        match reading.place() {
            Place::Live { .. } => self.reader_is_due(id),
            // When it opens it is given all that is open by then.
            Place::CatchingUp(_) | Place::Alone if !reader.joined => {}
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

    /// What its tail has reached, a socket with a full window has not.
    pub(super) fn reader_end_told(&mut self, id: SocketId, reached: bool) {
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
}
