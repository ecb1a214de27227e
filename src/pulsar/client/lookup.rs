//! Questions to any broker: who owns a topic, how many partitions it has, which topics a namespace has, what its admin
//! API says of something.
//!
//! A [`Lookup`] is one try: it goes to one service URL and follows redirects until it has an answer or an error. Where
//! nobody can be reached it goes on to the next service URL at once, and has failed when it has seen each of them.
//! Whoever asked tries again with its own back-off; the next try goes to the next service URL. Those who ask the
//! same at the same time share one.

mod answered;
mod over_http;

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Client;
use super::address::Route;
use super::commands;
use super::connection::Waiter;
use super::counts::{CountId, Counted};
use super::credentials::Principal;
use super::deadlines::User;
use super::pool::{Placed, retryable};
use super::requests::Purpose;
use super::spec::{BrokerAddress, ConnectionId, LookupBy};
use crate::pulsar::types::{BrokerError, ErrorKind};
use crate::pulsar::wire::encode_partitions_if_exists;

pub(super) use self::answered::refusal;

/// Java's `maxLookupRedirects`.
const MAX_REDIRECTS: u32 = 20;
/// Lookups at the brokers at one time. After a broker's restart every topic is looked up: a thousand at a time keep
/// it busy without filling its queue (`maxConcurrentLookupRequest` is 50,000 for all its clients).
const MAX_LOOKUPS_ASKED: usize = 1_000;
/// The same over HTTP, where each has a connection of its own.
const MAX_HTTP_LOOKUPS_ASKED: usize = 32;
/// Lookups that wait for their turn: Java's `maxLookupRequest`. Beyond it they fail at once, and are tried again.
const MAX_LOOKUPS_WAITING: usize = 50_000;
/// More partitions than any topic has. The owner opens something for each: a broker's lie must not make it open
/// four billion.
const MAX_PARTITIONS: u32 = 65_536;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LookupId(u64);

/// What is asked, and in whose name: not everybody is told the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub principal: Principal,
    pub about: About,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum About {
    /// Of a topic.
    Owner(String),
    /// In another cluster, to which the topic has migrated.
    OwnerThere(String, BrokerAddress),
    Partitions {
        topic: String,
        /// A topic that does not exist is created by the question, where the namespace allows it.
        create: bool,
    },
    Topics {
        namespace: String,
        persistent: bool,
        /// What the broker may filter by.
        pattern: Option<String>,
    },
    /// A GET for this target, of web services alone.
    Resource(String),
}

impl Question {
    pub fn owner(principal: Principal, topic: &str, there: Option<BrokerAddress>) -> Question {
        let about = match there {
            None => About::Owner(topic.to_owned()),
            Some(there) => About::OwnerThere(topic.to_owned(), there),
        };
        Question { principal, about }
    }

    /// The brokers of its own cluster are asked.
    fn is_here(&self) -> bool {
        !matches!(self.about, About::OwnerThere(..))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    User(User),
    Count(CountId),
}

#[derive(Clone, Debug)]
enum Answer {
    Owner(Route),
    Partitions(u32),
    Topics(Arc<Vec<String>>),
    /// None: there is no such thing.
    Resource(Option<Arc<[u8]>>),
}

#[derive(Debug)]
struct Lookup {
    question: Question,
    askers: Vec<Asker>,
    /// Where it is asked now.
    route: Route,
    /// Over HTTP: what is asked for there. `None`: in the binary protocol.
    http_target: Option<String>,
    authoritative: bool,
    redirects: u32,
    /// The service URL it asks now, as counted by [`Lookups::service_url`].
    service_url: usize,
    /// Service URLs on which it found nobody.
    unreachable: usize,
}

#[derive(Debug, Default)]
pub(super) struct Lookups {
    next_id: u64,
    open: FxHashMap<LookupId, Lookup>,
    by_question: FxHashMap<Question, LookupId>,
    /// Of `open`, those that were not asked yet.
    waiting: VecDeque<LookupId>,
    /// Which service URL is asked, modulo their number: the one that worked last.
    service_url: usize,
    /// `start_waiting_lookups` is running: one that fails at once must not start the next from within.
    starting: bool,
}

impl Client {
    /// The asker hears of the answer by `link_found` or `link_failed`, `count_done` or `count_failed`.
    pub(super) fn ask(&mut self, now_ms: u64, question: Question, asker: Asker) {
        if let Some(id) = self.lookups.by_question.get(&question) {
            if let Some(lookup) = self.lookups.open.get_mut(id) {
                lookup.askers.push(asker);
            }
            return;
        }
        if self.lookups.waiting.len() >= MAX_LOOKUPS_WAITING {
            let error = retryable("too many lookups are waiting");
            self.tell(now_ms, asker, Err(error));
            return;
        }
        let principal = question.principal;
        let route = match &question.about {
            About::OwnerThere(_, there) => Some(Route::direct(principal, there.clone())),
            _ => self.service_route(&question),
        };
        let Some(route) = route else {
            let error = BrokerError {
                kind: ErrorKind::Invalid,
                message: "no service URL".to_owned(),
            };
            self.tell(now_ms, asker, Err(error));
            return;
        };
        let id = LookupId(self.lookups.next_id);
        self.lookups.next_id += 1;
        self.lookups.by_question.insert(question.clone(), id);
        let lookup = Lookup {
            http_target: over_http::target(self.config.lookup_by, &question.about),
            question,
            askers: vec![asker],
            route,
            authoritative: false,
            redirects: 0,
            service_url: self.lookups.service_url,
            unreachable: 0,
        };
        self.lookups.open.insert(id, lookup);
        self.lookups.waiting.push_back(id);
        self.start_waiting_lookups(now_ms);
    }

    /// The asker no longer wants the answer.
    pub(super) fn stop_asking(&mut self, question: &Question, asker: Asker) {
        if let Some(id) = self.lookups.by_question.get(question)
            && let Some(lookup) = self.lookups.open.get_mut(id)
        {
            lookup.askers.retain(|other| *other != asker);
        }
    }

    fn service_route(&self, question: &Question) -> Option<Route> {
        let urls = &self.config.service_urls;
        let index = self.lookups.service_url.checked_rem(urls.len())?;
        Some(Route {
            for_lists: matches!(question.about, About::Topics { .. }),
            ..Route::direct(question.principal, urls[index].clone())
        })
    }

    fn start_waiting_lookups(&mut self, now_ms: u64) {
        if self.lookups.starting {
            return;
        }
        self.lookups.starting = true;
        let most = match self.config.lookup_by {
            LookupBy::Broker => MAX_LOOKUPS_ASKED,
            LookupBy::Http => MAX_HTTP_LOOKUPS_ASKED,
        };
        while self.lookups.open.len() - self.lookups.waiting.len() < most
            && let Some(id) = self.lookups.waiting.pop_front()
        {
            self.place_lookup(now_ms, id);
        }
        self.lookups.starting = false;
    }

    fn place_lookup(&mut self, now_ms: u64, id: LookupId) {
        let Some(lookup) = self.lookups.open.get(&id) else {
            return;
        };
        if lookup.askers.is_empty() {
            self.lookup_done(now_ms, id, Err(retryable("nobody waits for it")));
            return;
        }
        let route = lookup.route.clone();
        if let Some(target) = lookup.http_target.clone() {
            return self.http_ask(now_ms, id, route, &target);
        }
        match self.place(now_ms, &route, Waiter::Lookup(id), None) {
            Ok(Placed::Ready(connection)) => self.lookup_placed(now_ms, id, connection),
            Ok(Placed::Waiting(_)) => {}
            Err(error) => self.lookup_failed(now_ms, id, error),
        }
    }

    /// Its connection is ready: the question goes out.
    pub(super) fn lookup_placed(&mut self, now_ms: u64, id: LookupId, connection: ConnectionId) {
        let Some(lookup) = self.lookups.open.get(&id) else {
            return;
        };
        let request_id = self.requests.add(now_ms, connection, Purpose::Lookup(id));
        let Some(connection) = self.pool.writing(connection) else {
            return;
        };
        connection.lookups += 1;
        let command = match &lookup.question.about {
            About::Owner(topic) | About::OwnerThere(topic, _) => {
                commands::lookup(topic, lookup.authoritative, request_id)
            }
            About::Partitions {
                topic,
                create: true,
            } => commands::partitioned_metadata(topic, request_id),
            About::Partitions {
                topic,
                create: false,
            } => {
                let out = connection.output.gather();
                return encode_partitions_if_exists(topic, request_id, out);
            }
            About::Topics {
                namespace,
                persistent,
                pattern,
            } => commands::topics_of_namespace(
                namespace,
                *persistent,
                pattern.as_deref(),
                request_id,
            ),
            // It has a target for HTTP, whatever lookups go by.
            About::Resource(_) => return,
        };
        connection.write(&command);
    }

    /// It has another place to ask at.
    fn redirected(&mut self, now_ms: u64, id: LookupId) {
        let Some(lookup) = self.lookups.open.get_mut(&id) else {
            return;
        };
        lookup.redirects += 1;
        if lookup.redirects > MAX_REDIRECTS {
            let text = format!("Too many redirects: {MAX_REDIRECTS}");
            self.lookup_failed(now_ms, id, retryable(&text));
        } else {
            self.place_lookup(now_ms, id);
        }
    }

    /// The broker asked cannot be reached, or has gone before it answered: another service URL may lead to one that
    /// is there.
    pub(super) fn lookup_unreachable(&mut self, now_ms: u64, id: LookupId, error: BrokerError) {
        let service_urls = self.config.service_urls.len();
        if let Some(lookup) = self.lookups.open.get_mut(&id)
            && error.kind.may_pass()
            && lookup.question.is_here()
            && lookup.unreachable + 1 < service_urls
        {
            lookup.unreachable += 1;
            let question = lookup.question.clone();
            self.leave_service_url(id);
            let service_url = self.lookups.service_url;
            if let (Some(route), Some(lookup)) = (
                self.service_route(&question),
                self.lookups.open.get_mut(&id),
            ) {
                lookup.service_url = service_url;
                lookup.route = route;
                lookup.authoritative = false;
                lookup.http_target =
                    over_http::target(self.config.lookup_by, &lookup.question.about);
            }
            self.place_lookup(now_ms, id);
            return;
        }
        self.lookup_failed(now_ms, id, error);
    }

    /// The try has failed. When another broker may know better, the next one goes to the next service URL.
    pub(super) fn lookup_failed(&mut self, now_ms: u64, id: LookupId, error: BrokerError) {
        if error.kind.may_pass() {
            self.leave_service_url(id);
        }
        self.lookup_done(now_ms, id, Err(error));
    }

    /// From now on the next one is asked, unless somebody else has left it already.
    fn leave_service_url(&mut self, id: LookupId) {
        if let Some(lookup) = self.lookups.open.get(&id)
            && lookup.question.is_here()
            && lookup.service_url == self.lookups.service_url
        {
            self.lookups.service_url = lookup.service_url.wrapping_add(1);
        }
    }

    fn lookup_done(&mut self, now_ms: u64, id: LookupId, result: Result<Answer, BrokerError>) {
        let Some(lookup) = self.lookups.open.remove(&id) else {
            return;
        };
        self.lookups.by_question.remove(&lookup.question);
        for asker in lookup.askers {
            self.tell(now_ms, asker, result.clone());
        }
        self.start_waiting_lookups(now_ms);
    }

    fn tell(&mut self, now_ms: u64, asker: Asker, result: Result<Answer, BrokerError>) {
        match (asker, result) {
            (Asker::User(user), Ok(Answer::Owner(route))) => self.link_found(now_ms, user, route),
            (Asker::Count(id), Ok(Answer::Partitions(partitions))) => {
                self.count_done(id, Ok(Counted::Partitions(partitions)));
            }
            (Asker::Count(id), Ok(Answer::Topics(names))) => {
                self.count_done(id, Ok(Counted::Topics(names)));
            }
            (Asker::Count(id), Ok(Answer::Resource(body))) => {
                self.count_done(id, Ok(Counted::Resource(body)));
            }
            (Asker::User(user), Err(error)) => self.link_failed(now_ms, user, error),
            (Asker::Count(id), Err(error)) => self.count_failed(now_ms, id, error),
            // Questions and answers are matched where the answers come in.
            (
                Asker::User(_),
                Ok(Answer::Partitions(_) | Answer::Topics(_) | Answer::Resource(_)),
            )
            | (Asker::Count(_), Ok(Answer::Owner(_))) => {}
        }
    }
}
