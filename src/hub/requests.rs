//! Commands whose clients want to know the outcome: who waits for what, and until when.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::Hub;
use super::effect::{Answer, Asked, Command, CommandRefused, Effect, MemberId};
use super::limits::{MAX_REQUESTS, REQUEST_TIMEOUT_MS};
use super::slot::EntryKey;
use crate::pulsar::client::Tag;
use crate::pulsar::{BrokerError, ErrorKind, MessageId};

/// A request's number in its hub. Numbers and deadlines rise together.
pub(super) type RequestNumber = u64;

#[derive(Debug)]
struct Open {
    member: MemberId,
    request: Option<Box<str>>,
    until_ms: u64,
    /// The entry whose ack it waits for.
    ack: Option<At>,
}

/// Where an entry is: its slot and its name there.
type At = (usize, EntryKey);

#[derive(Debug, Default)]
pub(super) struct Requests {
    open: BTreeMap<RequestNumber, Open>,
    next: RequestNumber,
    /// Acks that wait to be sent (again), in the order of their partitions.
    acks: BTreeMap<At, Vec<RequestNumber>>,
    /// Acks that the broker has not confirmed.
    sent: FxHashMap<Tag, Vec<(At, RequestNumber)>>,
}

impl Requests {
    pub fn next_deadline_ms(&self) -> Option<u64> {
        Some(self.open.first_key_value()?.1.until_ms)
    }

    /// For the same hub with nothing in it.
    pub fn emptied(self) -> Requests {
        Requests {
            next: self.next,
            ..Requests::default()
        }
    }

    /// The ack of this entry goes out with the tag.
    pub fn ack_sent(&mut self, tag: Tag, at: At) {
        // Most hubs have no requests at all.
        if !self.acks.is_empty()
            && let Some(numbers) = self.acks.remove(&at)
        {
            let sent = self.sent.entry(tag).or_default();
            sent.extend(numbers.into_iter().map(|number| (at, number)));
        }
    }

    /// A cumulative ack goes out with the tag: for all that wait for an ack of this entry or of one before it.
    pub fn acks_sent_up_to(&mut self, tag: Tag, (slot, key): At) {
        while let Some((at, _)) = self.acks.range((slot, (0, 0))..=(slot, key)).next() {
            self.ack_sent(tag, *at);
        }
    }

    /// Nobody waits for a request that has had its answer.
    pub fn watch_ack(&mut self, at: At, number: RequestNumber) {
        if let Some(open) = self.open.get_mut(&number) {
            open.ack = Some(at);
            self.acks.entry(at).or_default().push(number);
        }
    }

    #[cfg(test)]
    pub fn watched(&self) -> usize {
        self.acks.values().map(Vec::len).sum()
    }

    fn forget_ack(&mut self, at: At, number: RequestNumber) {
        if let Some(numbers) = self.acks.get_mut(&at) {
            numbers.retain(|waiting| *waiting != number);
            if numbers.is_empty() {
                self.acks.remove(&at);
            }
        }
    }
}

impl Hub {
    /// A command with a request id: does it, and answers now or when the broker has.
    pub(super) fn obey_asked(
        &mut self,
        now_ms: u64,
        member: MemberId,
        asked: Asked,
        out: &mut Vec<Effect>,
    ) {
        let Some(number) = self.open_request(now_ms, member, Some(asked.request), out) else {
            return;
        };
        let result = match asked.command {
            Command::Ack(id) => {
                self.stats.acked += 1;
                let own = self.ack_asked(now_ms, number, Some(member), id, out);
                return self.free(member, u32::from(own == 0));
            }
            Command::NegativeAck(id) => match self.negative_ack(now_ms, member, id) {
                true => Ok(()),
                false => Err("No message with this id is unsettled here"),
            },
            Command::Permit(_) if !self.is_in_pull_mode(member) => {
                Err("Permits are for sockets with pullMode=true")
            }
            Command::Unsubscribe => return self.unsubscribe(member, Some(number), out),
            Command::Seek(target) => return self.seek(number, target, out),
            Command::AckCumulative(id) => {
                return self.ack_cumulative(now_ms, member, number, id, out);
            }
            other => {
                self.obey(now_ms, member, other, out);
                Ok(())
            }
        };
        match result {
            Ok(()) => self.answer(number, Ok(()), out),
            Err(text) => self.refuse(number, text, out),
        }
    }

    /// None: there are too many, and the client has been told.
    pub(super) fn open_request(
        &mut self,
        now_ms: u64,
        member: MemberId,
        request: Option<Box<str>>,
        out: &mut Vec<Effect>,
    ) -> Option<RequestNumber> {
        if self.requests.open.len() >= MAX_REQUESTS {
            let error = BrokerError {
                kind: ErrorKind::TooManyRequests,
                message: "Too many commands wait for their answers".to_owned(),
            };
            let answer = Answer {
                request,
                result: Err(CommandRefused::Broker(error)),
            };
            out.push(Effect::Answer { member, answer });
            return None;
        }
        self.requests.next += 1;
        let open = Open {
            member,
            request,
            until_ms: now_ms.saturating_add(REQUEST_TIMEOUT_MS),
            ack: None,
        };
        self.requests.open.insert(self.requests.next, open);
        Some(self.requests.next)
    }

    /// The command makes no sense here.
    pub(super) fn refuse(&mut self, number: RequestNumber, text: &str, out: &mut Vec<Effect>) {
        let refused = CommandRefused::Invalid(text.to_owned());
        self.answer(number, Err(refused), out);
    }

    /// Who gave no id hears of refusals only.
    pub(super) fn answer(
        &mut self,
        number: RequestNumber,
        result: Result<(), CommandRefused>,
        out: &mut Vec<Effect>,
    ) {
        let Some(open) = self.requests.open.remove(&number) else {
            return;
        };
        if open.request.is_some() || result.is_err() {
            let (member, request) = (open.member, open.request);
            let answer = Answer { request, result };
            out.push(Effect::Answer { member, answer });
        }
    }

    /// An ack by a member of another hub of the subscription.
    pub(super) fn ack_by_other(
        &mut self,
        now_ms: u64,
        member: MemberId,
        request: Option<Box<str>>,
        id: MessageId,
        out: &mut Vec<Effect>,
    ) {
        if request.is_none() {
            self.settle_id(now_ms, None, id, out);
        } else if let Some(number) = self.open_request(now_ms, member, request, out) {
            self.ack_asked(now_ms, number, None, id, out);
        }
    }

    /// An ack that is answered once the broker has it. How many of the messages were held by `member`.
    pub(super) fn ack_asked(
        &mut self,
        now_ms: u64,
        number: RequestNumber,
        member: Option<MemberId>,
        id: MessageId,
        out: &mut Vec<Effect>,
    ) -> usize {
        let slot = self.slot_of(&id);
        if slot.map_or(!self.is_acked_anywhere(), |slot| {
            !self.is_acked_upstream(slot)
        }) {
            self.answer(number, Ok(()), out);
            return 0;
        }
        let Some(slot) = slot else {
            let text = "The id is of a partition that is not subscribed to here";
            self.refuse(number, text, out);
            return 0;
        };
        let key = (id.ledger, id.entry);
        let was_settled = self.is_settled(slot, &id);
        self.requests.watch_ack((slot, key), number);
        let Some(own) = self.settle_id(now_ms, member, id, out) else {
            self.requests.forget_ack((slot, key), number);
            self.refuse(number, "The batch has no message with this index", out);
            return 0;
        };
        // Whether the broker has it is not known: it is told once more.
        if was_settled {
            match self.slots[slot].acked.contains(key) {
                true => self.gather_whole(now_ms, slot, key),
                false => self.gather_partial(now_ms, slot, key),
            }
        }
        own
    }

    pub(super) fn ack_answered(
        &mut self,
        tag: Tag,
        result: Result<(), BrokerError>,
        out: &mut Vec<Effect>,
    ) {
        for (at, number) in self.requests.sent.remove(&tag).unwrap_or_default() {
            match &result {
                Ok(()) => self.answer(number, Ok(()), out),
                // It goes out again on the next connection; the time of the request goes on.
                Err(error) if error.kind == ErrorKind::Retryable => {
                    self.requests.watch_ack(at, number);
                }
                Err(error) => {
                    self.answer(number, Err(CommandRefused::Broker(error.clone())), out);
                }
            }
        }
    }

    /// The slot's topic has gone to another cluster, where the ids of these acks mean nothing.
    pub(super) fn acks_migrated(&mut self, slot: usize, out: &mut Vec<Effect>) {
        let mut numbers = Vec::new();
        self.requests.acks.retain(|(of, _), waiting| {
            if *of == slot {
                numbers.append(waiting);
            }
            *of != slot
        });
        numbers.sort_unstable();
        for number in numbers {
            let error = BrokerError {
                kind: ErrorKind::Retryable,
                message: "The topic has gone to another cluster before it was confirmed".to_owned(),
            };
            self.answer(number, Err(CommandRefused::Broker(error)), out);
        }
    }

    pub(super) fn expire_requests(&mut self, now_ms: u64, out: &mut Vec<Effect>) {
        while let Some((number, open)) = self.requests.open.first_key_value()
            && open.until_ms <= now_ms
        {
            let (number, ack) = (*number, open.ack);
            if let Some(at) = ack {
                self.requests.forget_ack(at, number);
            }
            let error = BrokerError {
                kind: ErrorKind::Timeout,
                message: format!("The broker did not confirm it within {REQUEST_TIMEOUT_MS} ms"),
            };
            self.answer(number, Err(CommandRefused::Broker(error)), out);
        }
        if self.requests.open.is_empty() {
            self.requests.sent.clear();
        }
    }
}
