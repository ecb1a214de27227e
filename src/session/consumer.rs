//! A consumer or reader socket: frames in become wishes to its hub, messages out become frames.

use super::frames::{append_frame, append_frame_of};
use super::{CloseWith, reader};
use crate::api::{self, Command as Frame, CommandError, ReaderCommand, Refusal, WebSocketError};
use crate::hub::{self, Answer, Asked, Command, CommandRefused};
use crate::pulsar::{BrokerError, ErrorKind, Message};
use crate::ws::close;

/// What a frame asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    Hub(Command),
    /// It asks for nothing (a permit of 0 or below, as in Java).
    Nothing,
    /// It has been answered already.
    Answered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerSession {
    Consumer,
    Reader,
}

impl ConsumerSession {
    /// One frame of the client. Err: it cannot be understood, the socket is to be closed; unless it has a request id,
    /// with which it is answered into `out`.
    pub fn on_message(&self, frame: &mut [u8], out: &mut Vec<u8>) -> Result<Wish, CloseWith> {
        match self.wish(frame) {
            Ok(wish) => Ok(wish),
            Err(error) => match &error.request_id {
                None => Err(CloseWith::from(error)),
                Some(request) => {
                    let result = Err((error.error, error.detail.as_str()));
                    append_frame(out, |out| api::append_answer(Some(request), result, out));
                    Ok(Wish::Answered)
                }
            },
        }
    }

    fn wish(&self, frame: &mut [u8]) -> Result<Wish, CommandError> {
        let (command, request) = match self {
            ConsumerSession::Consumer => {
                let frame = api::parse_command(frame)?;
                let command = match frame.command {
                    Frame::Ack(id) => Command::Ack(id),
                    Frame::AckCumulative(id) => Command::AckCumulative(id),
                    Frame::Seek(target) => Command::Seek(target),
                    Frame::NegativeAck(id) => Command::NegativeAck(id),
                    Frame::Permit(0) if frame.id.is_none() => return Ok(Wish::Nothing),
                    Frame::Permit(permits) => Command::Permit(permits),
                    Frame::Unsubscribe => Command::Unsubscribe,
                    Frame::IsEndOfTopic => return Ok(Wish::Hub(Command::IsEndOfTopic)),
                };
                (command, frame.id)
            }
            ConsumerSession::Reader => {
                let frame = api::parse_reader_command(frame)?;
                let command = match frame.command {
                    ReaderCommand::Seek(target) => Command::Seek(target),
                    ReaderCommand::Handled => Command::Handled,
                    ReaderCommand::IsEndOfTopic => return Ok(Wish::Hub(Command::IsEndOfTopic)),
                };
                (command, frame.id)
            }
        };
        Ok(Wish::Hub(match request {
            None => command,
            Some(request) => Command::Asked(Box::new(Asked { request, command })),
        }))
    }

    /// What became of a command.
    pub fn answer(&self, answer: &Answer, out: &mut Vec<u8>) {
        let result = match &answer.result {
            Ok(()) => Ok(()),
            Err(CommandRefused::Invalid(text)) => {
                Err((WebSocketError::FailedToDeserializeFromJson, text.as_str()))
            }
            Err(CommandRefused::Broker(error)) => {
                Err((WebSocketError::UnknownError, error.message.as_str()))
            }
        };
        let request = answer.request.as_deref();
        append_frame(out, |out| api::append_answer(request, result, out));
    }

    /// Appends one frame for each message.
    pub fn deliver(&self, messages: &[Message], out: &mut Vec<u8>) {
        for message in messages {
            match self {
                ConsumerSession::Consumer => {
                    append_frame_of(out, api::delivery_size_hint(message), |out| {
                        api::append_delivery(message, out);
                    });
                }
                ConsumerSession::Reader => reader::append(message, out),
            }
        }
    }

    pub fn end_of_topic(&self, reached: bool, out: &mut Vec<u8>) {
        append_frame(out, |out| api::append_end_of_topic(reached, out));
    }

    /// The answer to a handshake whose hub or broker says no.
    pub fn refusal(&self, refusal: &hub::Refusal) -> Refusal {
        let busy;
        let error = match refusal {
            hub::Refusal::Broker(error) => error,
            hub::Refusal::Busy(message) => {
                busy = BrokerError {
                    kind: ErrorKind::ConsumerBusy,
                    message: message.clone(),
                };
                &busy
            }
        };
        match self {
            ConsumerSession::Consumer => Refusal::not_created(error),
            ConsumerSession::Reader => Refusal::reader_not_created(error),
        }
    }

    /// `unsubscribe` was refused: error 3, and nothing has changed at the broker (Java's `ConsumerHandler.handleUnsubscribe`).
    pub fn unsubscribe_failed(&self, error: &BrokerError) -> CloseWith {
        let code = WebSocketError::FailedToDeserializeFromJson;
        CloseWith {
            code: code.close_code(),
            reason: code.reason(&error.message),
        }
    }

    /// The upstream has ended for good (topic deleted, subscription of another type …): the client may come again.
    pub fn expelled(&self, refusal: &hub::Refusal) -> CloseWith {
        CloseWith {
            code: close::GOING_AWAY,
            reason: self.refusal(refusal).message,
        }
    }
}
