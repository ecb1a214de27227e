//! One client connection: what it has created, and what waits to be written to it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ::prost::Message;
use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::{CommandError, CommandSuccess, ServerError};
use bytes::Bytes;

use super::output::Output;

/// Chosen by the driver, never used again.
pub(in crate::embedded) type ConnectionId = u64;

/// `request_id` of a command that answers no request: Java's −1.
pub(super) const NO_REQUEST: u64 = u64::MAX;

/// SENDs that were on their way when the broker closed their producer are ignored; for any other unknown producer the
/// connection is closed. That many closed producers are remembered.
const RECENTLY_CLOSED_PRODUCERS: usize = 10_000;

/// A consumer as its topic knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConsumerRef {
    pub topic: usize,
    pub subscription: usize,
    pub consumer: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProducerRef {
    pub topic: usize,
    pub name: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing but CONNECT is taken.
    Handshake,
    Connected,
    /// The driver writes what is ready, then closes.
    Closing,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub phase: Phase,
    pub producers: HashMap<u64, ProducerRef>,
    pub consumers: HashMap<u64, ConsumerRef>,
    recently_closed: VecDeque<u64>,
    pub output: Output,
    pub heard_ms: u64,
    pub ping_unanswered: bool,
    /// Input waits until then (throttled).
    pub paused_until_ms: u64,
    /// Bytes of SEND frames that may still come in before the pause (throttled).
    pub publish_budget_bytes: i64,
    pub publish_budget_from_ms: u64,
    /// In the list of connections that the driver must look at.
    pub announced: bool,
    /// When the broker will look at it again.
    pub alarm_ms: Option<u64>,
    answer_delay_ms: u64,
    now_ms: u64,
}

impl Connection {
    pub fn new(now_ms: u64, answer_delay_ms: u64) -> Connection {
        Connection {
            phase: Phase::Handshake,
            producers: HashMap::new(),
            consumers: HashMap::new(),
            recently_closed: VecDeque::new(),
            output: Output::default(),
            heard_ms: now_ms,
            ping_unanswered: false,
            paused_until_ms: 0,
            publish_budget_bytes: 0,
            publish_budget_from_ms: now_ms,
            announced: false,
            alarm_ms: None,
            answer_delay_ms,
            now_ms,
        }
    }

    /// Set at each turn, so that sending needs no clock.
    pub fn set_clock(&mut self, now_ms: u64, answer_delay_ms: u64) {
        self.now_ms = now_ms;
        self.answer_delay_ms = answer_delay_ms;
    }

    /// `kind`: a `BaseCommand.Type`, by its number where the proto does not know it.
    pub fn send(&mut self, kind: impl Into<i32>, message: &impl Message) {
        self.send_with_body(kind, message, None);
    }

    pub fn send_with_body(
        &mut self,
        kind: impl Into<i32>,
        message: &impl Message,
        body: Option<&Bytes>,
    ) {
        if self.phase != Phase::Closing {
            let release_at_ms =
                (self.answer_delay_ms > 0).then(|| self.now_ms + self.answer_delay_ms);
            self.output.command(kind, message, body, release_at_ms);
        }
    }

    pub fn success(&mut self, request_id: u64) {
        let success = CommandSuccess {
            request_id,
            schema: None,
        };
        self.send(Type::Success, &success);
    }

    pub fn error(&mut self, request_id: u64, error: ServerError, message: impl Into<String>) {
        let error = CommandError {
            request_id,
            error: error as i32,
            message: message.into(),
        };
        self.send(Type::Error, &error);
    }

    pub fn can_take_messages(&self) -> bool {
        self.phase == Phase::Connected && !self.output.is_clogged()
    }

    pub fn remember_closed(&mut self, producer_id: u64) {
        if self.recently_closed.len() == RECENTLY_CLOSED_PRODUCERS {
            self.recently_closed.pop_front();
        }
        self.recently_closed.push_back(producer_id);
    }

    pub fn has_recently_closed(&self, producer_id: u64) -> bool {
        self.recently_closed.contains(&producer_id)
    }
}
