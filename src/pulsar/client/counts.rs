//! How many partitions a topic has: asked until there is an answer, or the operation timeout is over.

use rustc_hash::FxHashMap;

use super::Client;
use super::backoff::Backoff;
use super::deadlines::Timer;
use super::lookup::{Asker, Question};
use super::spec::{Event, Tag};
use crate::pulsar::types::BrokerError;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct CountId(u64);

#[derive(Debug)]
struct Count {
    tag: Tag,
    topic: String,
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
    pub fn count_partitions(&mut self, now_ms: u64, topic: &str, tag: Tag) {
        let id = CountId(self.counts.next_id);
        self.counts.next_id += 1;
        let count = Count {
            tag,
            topic: topic.to_owned(),
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
            let question = Question::Partitions(count.topic.clone());
            self.ask(now_ms, question, Asker::Count(id));
        }
    }

    pub(super) fn count_expired(&mut self, id: CountId) {
        if let Some(count) = self.counts.open.get(&id) {
            let question = Question::Partitions(count.topic.clone());
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

    pub(super) fn count_done(&mut self, id: CountId, result: Result<u32, BrokerError>) {
        if let Some(count) = self.counts.open.remove(&id) {
            self.deadlines.cancel(Timer::CountRetry(id));
            self.deadlines.cancel(Timer::CountExpired(id));
            let tag = count.tag;
            self.events.push_back(Event::Partitions { tag, result });
        }
    }
}
