//! What was asked of brokers and not yet answered, by request id (`request_id` of PulsarApi.proto).
//!
//! Ids are unique in one client over all its connections, so an answer that comes on another connection than
//! the question is a lie and can be told.

use std::collections::BTreeMap;

use super::lookup::LookupId;
use super::spec::{ConnectionId, ConsumerId, ProducerId, Tag};

/// What the answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Lookup(LookupId),
    CreateProducer(ProducerId),
    Subscribe(ConsumerId),
    /// Fixes where a reader at "latest" has started (see `consumer.rs`).
    FixStart(ConsumerId),
    Ack(ConsumerId, Tag),
    Unsubscribe(ConsumerId, Tag),
    Seek(ConsumerId, Tag),
    LastMessageId(ConsumerId, Tag),
    /// CLOSE_PRODUCER, CLOSE_CONSUMER: no owner is left to be told the answer.
    Unwatched,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub connection: ConnectionId,
    pub purpose: Purpose,
    deadline_ms: u64,
}

/// Every request has the same time to be answered, so ids and deadlines rise together and the first id in the
/// map is the first to expire.
#[derive(Debug)]
pub(super) struct Requests {
    timeout_ms: u64,
    next_id: u64,
    open: BTreeMap<u64, Request>,
    /// Creations that the broker has queued (`producer_ready` = false): they wait as long as it takes.
    patient: BTreeMap<u64, Request>,
}

impl Purpose {
    /// The consumer whose owner waits for the answer.
    pub fn consumer_of_owner(self) -> Option<ConsumerId> {
        match self {
            Purpose::Ack(id, _)
            | Purpose::Unsubscribe(id, _)
            | Purpose::Seek(id, _)
            | Purpose::LastMessageId(id, _) => Some(id),
            Purpose::Lookup(_)
            | Purpose::CreateProducer(_)
            | Purpose::Subscribe(_)
            | Purpose::FixStart(_)
            | Purpose::Unwatched => None,
        }
    }
}

impl Requests {
    pub fn new(timeout_ms: u64) -> Requests {
        Requests {
            timeout_ms,
            next_id: 1,
            open: BTreeMap::new(),
            patient: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, now_ms: u64, connection: ConnectionId, purpose: Purpose) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let deadline_ms = now_ms.saturating_add(self.timeout_ms);
        self.open.insert(
            id,
            Request {
                connection,
                purpose,
                deadline_ms,
            },
        );
        id
    }

    pub fn get(&self, id: u64) -> Option<&Request> {
        self.open.get(&id).or_else(|| self.patient.get(&id))
    }

    pub fn take(&mut self, id: u64) -> Option<Request> {
        self.open.remove(&id).or_else(|| self.patient.remove(&id))
    }

    /// The request may now take for ever.
    pub fn be_patient(&mut self, id: u64) {
        if let Some(request) = self.open.remove(&id) {
            self.patient.insert(id, request);
        }
    }

    pub fn take_due(&mut self, now_ms: u64) -> Option<(u64, Request)> {
        let (_, request) = self.open.first_key_value()?;
        if request.deadline_ms > now_ms {
            return None;
        }
        self.open.pop_first()
    }

    /// All that was asked on a connection which is no more, in the order of asking.
    pub fn take_all_of(&mut self, connection: ConnectionId) -> Vec<(u64, Request)> {
        let mut taken = Vec::new();
        for table in [&mut self.open, &mut self.patient] {
            table.retain(|id, request| {
                let gone = request.connection == connection;
                if gone {
                    taken.push((*id, *request));
                }
                !gone
            });
        }
        taken
    }

    pub fn any_unwatched(&self) -> bool {
        let mut open = self.open.values();
        open.any(|request| request.purpose == Purpose::Unwatched)
    }

    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.open
            .first_key_value()
            .map(|(_, request)| request.deadline_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const C: ConnectionId = ConnectionId(1);

    #[test]
    fn requests_expire_in_the_order_of_asking() {
        let mut requests = Requests::new(100);
        let first = requests.add(0, C, Purpose::Unwatched);
        let second = requests.add(10, C, Purpose::Unwatched);
        assert_eq!(requests.next_deadline_ms(), Some(100));
        assert!(requests.take_due(99).is_none());
        assert_eq!(requests.take_due(105).map(|(id, _)| id), Some(first));
        assert!(requests.take_due(105).is_none());
        assert!(requests.take(second).is_some());
        assert!(requests.take(second).is_none());
    }

    #[test]
    fn a_patient_request_never_expires_but_goes_with_its_connection() {
        let mut requests = Requests::new(100);
        let id = requests.add(0, C, Purpose::CreateProducer(ProducerId(1)));
        requests.be_patient(id);
        assert!(requests.take_due(u64::MAX).is_none());
        assert_eq!(requests.next_deadline_ms(), None);
        assert!(requests.get(id).is_some());
        assert_eq!(requests.take_all_of(C).len(), 1);
    }
}
