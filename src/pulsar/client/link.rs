//! How a producer or consumer finds its broker, loses it and finds it again: the same for both.
//!
//! look up → connect → ask (PRODUCER, SUBSCRIBE) → attached; every failure on the way leads to a back-off and then
//! to a new look-up, or to the end. What is asked and what being attached means is in `producer.rs`, `consumer.rs`.

use super::Client;
use super::address::Route;
use super::backoff::Backoff;
use super::commands;
use super::connection::Waiter;
use super::deadlines::{Timer, User};
use super::lookup::{Asker, Question};
use super::pool::Placed;
use super::requests::Purpose;
use super::spec::{BrokerAddress, ConnectionId};
use crate::pulsar::types::{BrokerError, ErrorKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkState {
    BackingOff,
    LookingUp,
    Connecting(ConnectionId),
    /// PRODUCER or SUBSCRIBE is out.
    Asking {
        connection: ConnectionId,
        request_id: u64,
    },
    Attached(ConnectionId),
}

#[derive(Debug)]
pub(super) struct Link {
    pub state: LinkState,
    /// It was attached once: from then on only what can never heal ends it.
    pub opened: bool,
    /// It takes the place of one that was attached: the same counts for it from the start.
    pub replaces: bool,
    /// Where it was attached last, should that connection still be there.
    last_on: Option<ConnectionId>,
    pub backoff: Backoff,
    pub last_error: Option<BrokerError>,
    /// The broker that closed it has named the next owner: no look-up then.
    assigned: Option<Route>,
    /// Its topic has gone to another cluster (TOPIC_MIGRATED): looked up there from now on.
    pub migrated_to: Option<BrokerAddress>,
}

impl Link {
    pub fn new(backoff: Backoff) -> Link {
        Link {
            state: LinkState::LookingUp,
            opened: false,
            replaces: false,
            last_on: None,
            backoff,
            last_error: None,
            assigned: None,
            migrated_to: None,
        }
    }

    pub fn attached_to(&self) -> Option<ConnectionId> {
        match self.state {
            LinkState::Attached(connection) => Some(connection),
            _ => None,
        }
    }

    pub fn is_attached_to(&self, connection: ConnectionId) -> bool {
        self.state == LinkState::Attached(connection)
    }

    /// Detached from this connection by its broker, which may still answer there what it got before.
    pub fn was_attached_to(&self, connection: ConnectionId) -> bool {
        self.attached_to().is_none() && self.last_on == Some(connection)
    }

    /// The connection on which the broker may know it.
    pub fn known_on(&self) -> Option<ConnectionId> {
        match self.state {
            LinkState::Asking { connection, .. } | LinkState::Attached(connection) => {
                Some(connection)
            }
            _ => None,
        }
    }

    /// Whether a further try is sense. As in the Java client: at first, only what may pass by itself; later
    /// everything but what names the topic or the producer dead (a name may be busy with our own lost connection).
    fn may_retry(&self, kind: ErrorKind) -> bool {
        if self.opened || self.replaces {
            !kind.is_final()
        } else {
            kind.may_pass()
        }
    }
}

impl Client {
    pub(super) fn link(&self, user: User) -> Option<&Link> {
        match user {
            User::Producer(id) => self.producers.get(&id).map(|producer| &producer.link),
            User::Consumer(id) => self.consumers.get(&id).map(|consumer| &consumer.link),
        }
    }

    pub(super) fn link_mut(&mut self, user: User) -> Option<&mut Link> {
        match user {
            User::Producer(id) => self
                .producers
                .get_mut(&id)
                .map(|producer| &mut producer.link),
            User::Consumer(id) => self
                .consumers
                .get_mut(&id)
                .map(|consumer| &mut consumer.link),
        }
    }

    /// Where it looks for its topic, and in whose name.
    fn question_of(&self, user: User) -> Option<Question> {
        let (principal, topic) = match user {
            User::Producer(id) => {
                let spec = &self.producers.get(&id)?.spec;
                (spec.principal, &spec.topic)
            }
            User::Consumer(id) => {
                let spec = &self.consumers.get(&id)?.spec;
                (spec.principal, &spec.topic)
            }
        };
        let there = self.link(user)?.migrated_to.clone();
        Some(Question::owner(principal, topic, there))
    }

    /// The first time. From now on the operation timeout runs.
    pub(super) fn link_open(&mut self, now_ms: u64, user: User) {
        let expires_ms = now_ms.saturating_add(self.config.operation_timeout_ms);
        self.deadlines.set(Timer::Open(user), expires_ms);
        self.link_start(now_ms, user);
    }

    /// A new try.
    pub(super) fn link_start(&mut self, now_ms: u64, user: User) {
        let Some(link) = self.link_mut(user) else {
            return;
        };
        link.state = LinkState::LookingUp;
        if let Some(route) = link.assigned.take() {
            self.link_found(now_ms, user, route);
        } else if let Some(question) = self.question_of(user) {
            self.ask(now_ms, question, Asker::User(user));
        }
    }

    /// The topic's owner is known.
    pub(super) fn link_found(&mut self, now_ms: u64, user: User, route: Route) {
        if self.link(user).map(|link| link.state) != Some(LinkState::LookingUp) {
            return;
        }
        // After an error the broker still has it there, and would find its name taken elsewhere.
        let last_on = self.link(user).and_then(|link| link.last_on);
        match self.place(now_ms, &route, Waiter::User(user), last_on) {
            Ok(Placed::Ready(connection)) => self.link_placed(now_ms, user, connection),
            Ok(Placed::Waiting(connection)) => {
                if let Some(link) = self.link_mut(user) {
                    link.state = LinkState::Connecting(connection);
                }
            }
            Err(error) => self.link_failed(now_ms, user, error),
        }
    }

    /// Its connection is ready: it asks.
    pub(super) fn link_placed(&mut self, now_ms: u64, user: User, connection: ConnectionId) {
        let purpose = match user {
            User::Producer(id) => Purpose::CreateProducer(id),
            User::Consumer(id) => Purpose::Subscribe(id),
        };
        let Some(target) = self.pool.get_mut(connection) else {
            return;
        };
        target.users.insert(user);
        let request_id = self.requests.add(now_ms, connection, purpose);
        if let Some(link) = self.link_mut(user) {
            link.state = LinkState::Asking {
                connection,
                request_id,
            };
        }
        let command = match user {
            User::Producer(id) => self.producer_command(id, request_id),
            User::Consumer(id) => self.consumer_command(id, request_id),
        };
        if let (Some(command), Some(connection)) = (command, self.pool.writing(connection)) {
            connection.write(&command);
        }
    }

    /// A further question before it counts as attached: its answer is awaited like the first one's.
    pub(super) fn link_asks_on(&mut self, user: User, connection: ConnectionId, request_id: u64) {
        if let Some(link) = self.link_mut(user) {
            link.state = LinkState::Asking {
                connection,
                request_id,
            };
        }
    }

    /// The broker has said yes. Whether it was for the first time.
    pub(super) fn link_attached(&mut self, user: User, connection: ConnectionId) -> bool {
        self.deadlines.cancel(Timer::Open(user));
        let Some(link) = self.link_mut(user) else {
            return false;
        };
        link.state = LinkState::Attached(connection);
        link.last_on = Some(connection);
        link.last_error = None;
        !std::mem::replace(&mut link.opened, true)
    }

    /// The broker has queued the creation (`producer_ready` = false): the timeout no longer counts.
    pub(super) fn link_queued(&mut self, user: User) {
        self.deadlines.cancel(Timer::Open(user));
    }

    /// A try has failed: back off, or give up.
    pub(super) fn link_failed(&mut self, now_ms: u64, user: User, error: BrokerError) {
        let Some(link) = self.link(user) else {
            return;
        };
        let retry = link.may_retry(error.kind);
        self.link_detach(now_ms, user);
        if let (User::Producer(id), ErrorKind::QuotaExceeded) = (user, error.kind) {
            self.quota_exceeded(id, &error);
        }
        if retry {
            self.link_back_off(now_ms, user, error);
        } else {
            self.give_up(now_ms, user, error);
        }
    }

    /// The broker side of an attached one is gone (or of one that was just asking: then the try has failed).
    pub(super) fn link_lost(
        &mut self,
        now_ms: u64,
        user: User,
        abrupt: bool,
        error: BrokerError,
        assigned: Option<Route>,
    ) {
        let Some(link) = self.link_mut(user) else {
            return;
        };
        // Only one that has worked goes on at once: brokers that send each other's producers around in a circle
        // before they accept them would keep this client busy.
        let was_attached = link.attached_to().is_some();
        let at_once = was_attached && assigned.is_some();
        link.assigned = assigned.filter(|_| was_attached);
        self.link_detach(now_ms, user);
        if let (true, User::Consumer(id)) = (was_attached, user) {
            self.consumer_lost(now_ms, id, abrupt);
        }
        if at_once {
            self.link_start(now_ms, user);
        } else {
            self.link_back_off(now_ms, user, error);
        }
    }

    fn link_back_off(&mut self, now_ms: u64, user: User, error: BrokerError) {
        let mut rng = self.rng.fork();
        if let Some(link) = self.link_mut(user) {
            let delay_ms = link.backoff.next_delay_ms(&mut rng);
            tracing::debug!(?user, delay_ms, reason = %error.message, "will try again");
            link.last_error = Some(error);
            self.deadlines
                .set(Timer::Retry(user), now_ms.saturating_add(delay_ms));
        }
    }

    /// Takes it out of whatever it is waiting in.
    pub(super) fn link_detach(&mut self, now_ms: u64, user: User) {
        let Some(link) = self.link_mut(user) else {
            return;
        };
        let state = std::mem::replace(&mut link.state, LinkState::BackingOff);
        self.deadlines.cancel(Timer::Retry(user));
        match state {
            LinkState::BackingOff => {}
            LinkState::LookingUp => {
                if let Some(question) = self.question_of(user) {
                    self.stop_asking(&question, Asker::User(user));
                }
            }
            LinkState::Connecting(connection) | LinkState::Attached(connection) => {
                self.leave_connection(now_ms, connection, user);
            }
            LinkState::Asking {
                connection,
                request_id,
            } => {
                self.requests.take(request_id);
                self.leave_connection(now_ms, connection, user);
            }
        }
    }

    /// The answer has not come. The broker may still be at it: without a CLOSE the next try would find the id taken.
    pub(super) fn link_unanswered(&mut self, now_ms: u64, user: User, error: BrokerError) {
        self.tell_broker_closed(now_ms, user);
        self.link_failed(now_ms, user, error);
    }

    /// CLOSE_PRODUCER or CLOSE_CONSUMER, where the broker knows it.
    pub(super) fn tell_broker_closed(&mut self, now_ms: u64, user: User) {
        let Some(connection) = self.link(user).and_then(Link::known_on) else {
            return;
        };
        let request_id = self.requests.add(now_ms, connection, Purpose::Unwatched);
        let command = match user {
            User::Producer(id) => commands::close_producer(id.0, request_id),
            User::Consumer(id) => commands::close_consumer(id.0, request_id),
        };
        if let Some(connection) = self.pool.writing(connection) {
            connection.write(&command);
        }
    }

    /// The operation timeout is over and it was never attached.
    pub(super) fn link_open_expired(&mut self, now_ms: u64, user: User) {
        let Some(link) = self.link(user) else {
            return;
        };
        let error = self.timed_out(link.last_error.as_ref());
        self.tell_broker_closed(now_ms, user);
        self.link_detach(now_ms, user);
        self.give_up(now_ms, user, error);
    }

    fn give_up(&mut self, now_ms: u64, user: User, error: BrokerError) {
        self.deadlines.cancel(Timer::Open(user));
        match user {
            User::Producer(id) => self.producer_failed(id, error),
            User::Consumer(id) => self.consumer_failed(now_ms, id, error),
        }
    }

    /// The operation timeout is over. As in the Java client the last refusal counts, where it says what is wrong.
    pub(super) fn timed_out(&self, last_error: Option<&BrokerError>) -> BrokerError {
        let timeout_ms = self.config.operation_timeout_ms;
        let message = match last_error {
            Some(error) if !matches!(error.kind, ErrorKind::Retryable | ErrorKind::Timeout) => {
                return error.clone();
            }
            Some(error) => format!("no success within {timeout_ms} ms: {}", error.message),
            None => format!("no answer within {timeout_ms} ms"),
        };
        BrokerError {
            kind: ErrorKind::Timeout,
            message,
        }
    }
}
