//! Answers: matched with their questions by request id, and sent on to whom asked. No answer is an answer, too.

use ::pulsar::proto::{BaseCommand, CommandGetLastMessageIdResponse, CommandProducerSuccess};

use super::Client;
use super::deadlines::User;
use super::delivery::last_message_id;
use super::events::Event;
use super::incoming::Handled;
use super::lookup::refusal;
use super::requests::{Purpose, Request};
use super::spec::ConnectionId;
use crate::pulsar::types::{BrokerError, ErrorKind};
use crate::pulsar::wire::{TopicsListed, error_kind};

impl Client {
    /// Commands that carry a request id.
    pub(super) fn answer(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        command: BaseCommand,
    ) -> Handled {
        if let Some(response) = command.lookup_topic_response {
            let id = response.request_id;
            return match self.take_answered(now_ms, connection, id, is_lookup)? {
                Some(Purpose::Lookup(id)) => self.owner_answered(now_ms, id, response),
                _ => Ok(()),
            };
        }
        if let Some(response) = command.partition_metadata_response {
            let id = response.request_id;
            return match self.take_answered(now_ms, connection, id, is_lookup)? {
                Some(Purpose::Lookup(id)) => self.partitions_answered(now_ms, id, response),
                _ => Ok(()),
            };
        }
        if let Some(success) = command.producer_success {
            return self.producer_answered(now_ms, connection, success);
        }
        if let Some(success) = command.success {
            return self.succeeded(now_ms, connection, success.request_id);
        }
        if let Some(error) = command.error {
            let refused = BrokerError {
                kind: error_kind(error.error, &error.message),
                message: error.message,
            };
            return self.refused(now_ms, connection, error.request_id, refused);
        }
        if let Some(response) = command.ack_response {
            let result = match response.error {
                Some(_) => Err(refusal(response.error, response.message)),
                None => Ok(()),
            };
            return self.ack_answered(now_ms, connection, response.request_id, result);
        }
        if let Some(response) = command.get_last_message_id_response {
            return self.last_id_answered(now_ms, connection, response);
        }
        // A command that this client has no use for, or has not asked for.
        Ok(())
    }

    pub(super) fn topics_answered(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        listed: TopicsListed,
    ) -> Handled {
        match self.take_answered(now_ms, connection, listed.request_id, is_lookup)? {
            Some(Purpose::Lookup(id)) => self.listed(now_ms, id, listed),
            _ => Ok(()),
        }
    }

    fn producer_answered(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        success: CommandProducerSuccess,
    ) -> Handled {
        if success.producer_ready == Some(false) {
            if let Some(request) = self.requests.get(success.request_id)
                && request.connection == connection
                && let Purpose::CreateProducer(id) = request.purpose
            {
                self.requests.be_patient(success.request_id);
                self.link_queued(User::Producer(id));
            }
            return Ok(());
        }
        let id = success.request_id;
        let is_creation = |purpose| matches!(purpose, Purpose::CreateProducer(_));
        if let Some(Purpose::CreateProducer(id)) =
            self.take_answered(now_ms, connection, id, is_creation)?
        {
            self.producer_created(id, connection, success);
        }
        Ok(())
    }

    fn succeeded(&mut self, now_ms: u64, connection: ConnectionId, request_id: u64) -> Handled {
        let succeeds = |purpose| {
            matches!(
                purpose,
                Purpose::Subscribe(_)
                    | Purpose::Unsubscribe(..)
                    | Purpose::Seek(..)
                    | Purpose::Unwatched
            )
        };
        match self.take_answered(now_ms, connection, request_id, succeeds)? {
            Some(Purpose::Subscribe(id)) => self.subscribed(now_ms, id, connection),
            Some(Purpose::Unsubscribe(consumer, tag)) => {
                // The broker has dropped the consumer with its subscription.
                self.forget_consumer(now_ms, consumer);
                self.events.push_back(Event::Unsubscribed {
                    consumer,
                    tag,
                    result: Ok(()),
                });
            }
            Some(Purpose::Seek(consumer, tag)) => {
                self.events.push_back(Event::Seeked {
                    consumer,
                    tag,
                    result: Ok(()),
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// ERROR.
    fn refused(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        request_id: u64,
        error: BrokerError,
    ) -> Handled {
        let any = |_| true;
        if let Some(purpose) = self.take_answered(now_ms, connection, request_id, any)? {
            self.request_failed(now_ms, purpose, error);
        }
        Ok(())
    }

    fn request_failed(&mut self, now_ms: u64, purpose: Purpose, error: BrokerError) {
        match purpose {
            Purpose::Lookup(id) => self.lookup_failed(now_ms, id, error),
            Purpose::CreateProducer(id) => self.link_failed(now_ms, User::Producer(id), error),
            Purpose::Subscribe(id) => self.link_failed(now_ms, User::Consumer(id), error),
            // Where it starts is not known, so nothing could go on from there: it comes anew.
            Purpose::FixStart(id) => self.link_unanswered(now_ms, User::Consumer(id), error),
            Purpose::Ack(..)
            | Purpose::Unsubscribe(..)
            | Purpose::Seek(..)
            | Purpose::LastMessageId(..)
            | Purpose::Unwatched => {
                if let Purpose::Seek(id, _) = purpose {
                    self.seek_refused(id);
                }
                self.refuse(purpose, error);
            }
        }
    }

    fn ack_answered(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        request_id: Option<u64>,
        result: Result<(), BrokerError>,
    ) -> Handled {
        let Some(request_id) = request_id else {
            return Ok(());
        };
        let is_ack = |purpose| matches!(purpose, Purpose::Ack(..));
        if let Some(Purpose::Ack(consumer, tag)) =
            self.take_answered(now_ms, connection, request_id, is_ack)?
        {
            self.events.push_back(Event::AckDone {
                consumer,
                tag,
                result,
            });
        }
        Ok(())
    }

    fn last_id_answered(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        response: CommandGetLastMessageIdResponse,
    ) -> Handled {
        let id = response.request_id;
        let asks_for_it =
            |purpose| matches!(purpose, Purpose::FixStart(_) | Purpose::LastMessageId(..));
        match self.take_answered(now_ms, connection, id, asks_for_it)? {
            Some(Purpose::FixStart(id)) => self.start_fixed(id, connection, &response),
            Some(Purpose::LastMessageId(consumer, tag)) => {
                let partition = self
                    .consumers
                    .get(&consumer)
                    .map_or(-1, |c| c.spec.partition);
                self.events.push_back(Event::LastMessageId {
                    consumer,
                    tag,
                    result: Ok(last_message_id(&response.last_message_id, partition)),
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// The question of an answer, of a kind that it may be for. `None`: it is no longer asked. An answer to another kind
    /// of question, or on another connection than the question's, is a lie: the question stays open.
    fn take_answered(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        request_id: u64,
        fits: impl FnOnce(Purpose) -> bool,
    ) -> Result<Option<Purpose>, String> {
        let Some(asked) = self.requests.get(request_id) else {
            return Ok(None);
        };
        if asked.connection != connection || !fits(asked.purpose) {
            return Err(wrong_answer());
        }
        let request = self.take_request(now_ms, request_id);
        if let Some(id) = request.and_then(|request| request.purpose.consumer_of_owner()) {
            self.answered_owner(id, request_id);
        }
        Ok(request.map(|request| request.purpose))
    }

    /// Takes a request off the table, and off its connection's counts.
    pub(super) fn take_request(&mut self, now_ms: u64, request_id: u64) -> Option<Request> {
        let request = self.requests.take(request_id)?;
        self.uncount(now_ms, &request);
        Some(request)
    }

    fn uncount(&mut self, now_ms: u64, request: &Request) {
        let Some(connection) = self.pool.get_mut(request.connection) else {
            return;
        };
        match request.purpose {
            Purpose::Lookup(_) => {
                connection.lookups -= 1;
                self.watch_unused(now_ms, request.connection);
            }
            Purpose::Ack(..) => connection.acks -= 1,
            _ => {}
        }
    }

    /// No answer within the operation timeout.
    pub(super) fn request_expired(&mut self, now_ms: u64, request_id: u64, request: Request) {
        self.uncount(now_ms, &request);
        let error = BrokerError {
            kind: ErrorKind::Timeout,
            message: format!(
                "the broker did not answer within {} ms",
                self.config.operation_timeout_ms
            ),
        };
        match request.purpose {
            Purpose::CreateProducer(id) => {
                self.link_unanswered(now_ms, User::Producer(id), error);
            }
            Purpose::Subscribe(id) | Purpose::FixStart(id) => {
                self.link_unanswered(now_ms, User::Consumer(id), error);
            }
            Purpose::Lookup(id) => self.lookup_failed(now_ms, id, error),
            purpose => self.owner_request_failed(request_id, purpose, error),
        }
    }

    /// One of the owner's requests will not be answered any more.
    pub(super) fn owner_request_failed(
        &mut self,
        request_id: u64,
        purpose: Purpose,
        error: BrokerError,
    ) {
        if let Some(id) = purpose.consumer_of_owner() {
            self.answered_owner(id, request_id);
            if let Purpose::Seek(..) = purpose {
                self.seek_refused(id);
            }
            self.refuse(purpose, error);
        }
    }
}

fn is_lookup(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::Lookup(_))
}

fn wrong_answer() -> String {
    "an answer to another question".to_owned()
}
