//! How many partitions a topic has, which topics a namespace, what the admin API says of something: asked until there is
//! an answer, or the operation timeout is over.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Client;
use super::backoff::Backoff;
use super::credentials::Principal;
use super::deadlines::Timer;
use super::events::Event;
use super::lookup::{About, Asker, Question};
use super::spec::Tag;
use crate::pulsar::TopicsPattern;
use crate::pulsar::types::BrokerError;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct CountId(u64);

/// The answer.
#[derive(Debug)]
pub(super) enum Counted {
    Partitions(u32),
    Topics(Arc<Vec<String>>),
    Resource(Option<Arc<[u8]>>),
}

#[derive(Debug)]
struct Count {
    tag: Tag,
    question: Question,
    backoff: Backoff,
    last_error: Option<BrokerError>,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    next_id: u64,
    open: FxHashMap<CountId, Count>,
}

impl Client {
    /// How many partitions a topic has: answered by `Event::Partitions` with the tag. A topic that does not exist is
    /// created by this, where the namespace allows it.
    pub fn count_partitions(&mut self, now_ms: u64, principal: Principal, topic: &str, tag: Tag) {
        let about = About::Partitions {
            topic: topic.to_owned(),
            create: true,
        };
        self.count(now_ms, Question { principal, about }, tag);
    }

    /// The same of a topic that is in use: it is not created, should it have been deleted.
    pub fn recount_partitions(&mut self, now_ms: u64, principal: Principal, topic: &str, tag: Tag) {
        let about = About::Partitions {
            topic: topic.to_owned(),
            create: false,
        };
        self.count(now_ms, Question { principal, about }, tag);
    }

    /// Which topics the pattern's namespace has: answered by `Event::Topics` with the tag. The broker may have left out
    /// what does not match.
    pub fn list_topics(
        &mut self,
        now_ms: u64,
        principal: Principal,
        pattern: &TopicsPattern,
        tag: Tag,
    ) {
        let about = About::Topics {
            namespace: pattern.namespace().to_owned(),
            persistent: pattern.is_persistent(),
            pattern: pattern.for_broker().map(str::to_owned),
        };
        self.count(now_ms, Question { principal, about }, tag);
    }

    /// A GET of the admin API, from [`rest`]'s paths, as the gateway itself: answered by `Event::Resource` with the tag. The service URLs are
    /// those of web services.
    ///
    /// [`rest`]: crate::pulsar::rest
    pub fn read_resource(&mut self, now_ms: u64, target: String, tag: Tag) {
        let question = Question {
            principal: Principal::GATEWAY,
            about: About::Resource(target),
        };
        self.count(now_ms, question, tag);
    }

    fn count(&mut self, now_ms: u64, question: Question, tag: Tag) {
        let id = CountId(self.counts.next_id);
        self.counts.next_id += 1;
        let count = Count {
            tag,
            question,
            backoff: self.new_backoff(),
            last_error: None,
        };
        self.counts.open.insert(id, count);
        let expires_ms = now_ms.saturating_add(self.config.operation_timeout_ms);
        self.deadlines.set(Timer::CountExpired(id), expires_ms);
        self.count_retry(now_ms, id);
    }

    pub(super) fn count_retry(&mut self, now_ms: u64, id: CountId) {
        if let Some(count) = self.counts.open.get(&id) {
            let question = count.question.clone();
            self.ask(now_ms, question, Asker::Count(id));
        }
    }

    pub(super) fn count_expired(&mut self, id: CountId) {
        if let Some(count) = self.counts.open.get(&id) {
            let question = count.question.clone();
            let error = self.timed_out(count.last_error.as_ref());
            self.stop_asking(&question, Asker::Count(id));
            self.count_done(id, Err(error));
        }
    }

    pub(super) fn count_failed(&mut self, now_ms: u64, id: CountId, error: BrokerError) {
        let Some(count) = self.counts.open.get_mut(&id) else {
            return;
        };
        if error.kind.may_pass() {
            let delay_ms = count.backoff.next_delay_ms(&mut self.rng);
            count.last_error = Some(error);
            self.deadlines
                .set(Timer::CountRetry(id), now_ms.saturating_add(delay_ms));
        } else {
            self.count_done(id, Err(error));
        }
    }

    pub(super) fn count_done(&mut self, id: CountId, result: Result<Counted, BrokerError>) {
        if let Some(count) = self.counts.open.remove(&id) {
            self.deadlines.cancel(Timer::CountRetry(id));
            self.deadlines.cancel(Timer::CountExpired(id));
            let tag = count.tag;
            let event = match (count.question.about, result) {
                (About::Topics { .. }, Ok(Counted::Topics(names))) => Event::Topics {
                    tag,
                    result: Ok(names),
                },
                (About::Topics { .. }, Err(error)) => Event::Topics {
                    tag,
                    result: Err(error),
                },
                (About::Resource(_), Ok(Counted::Resource(body))) => Event::Resource {
                    tag,
                    result: Ok(body),
                },
                (About::Resource(_), Err(error)) => Event::Resource {
                    tag,
                    result: Err(error),
                },
                (_, Ok(Counted::Partitions(partitions))) => Event::Partitions {
                    tag,
                    result: Ok(partitions),
                },
                (_, Err(error)) => Event::Partitions {
                    tag,
                    result: Err(error),
                },
                // Questions and answers are matched where the answers come in.
                (_, Ok(_)) => return,
            };
            self.events.push_back(event);
        }
    }
}
