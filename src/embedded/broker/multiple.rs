//! Shared and Key_Shared: many consumers, each entry to one of them (`PersistentDispatcherMultipleConsumers`).
//!
//! What both have in common: what waits to be delivered again (`replay`), how often it was, what is delayed, what is
//! unacked. Whom an entry goes to is a turn on Shared, and the key's matter ([`super::keys`]) on Key_Shared.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use slab::Slab;

use super::ack_set;
use super::connections::Connections;
use super::consumer::{Consumer, Pending, Turn};
use super::cursor::Cursor;
use super::keys::Keys;
use super::log::Entry;
use super::turns::Turns;

/// Entries that one consumer gets before the next has its turn (dispatcherMaxRoundRobinBatchSize).
const ROUND_ROBIN_ENTRIES: usize = 20;

/// The broker's maxUnackedMessagesPerSubscription: at so many nothing is dispatched until half of it is left.
const MAX_UNACKED_MESSAGES: i64 = 200_000;

#[derive(Debug)]
pub(super) struct Multiple {
    /// The next entry that was never looked at.
    pub next: u64,
    /// Entries to deliver (again) before any new one, with their key's hash.
    replay: BTreeMap<u64, u32>,
    /// How often an unacked entry was asked for again.
    redeliveries: HashMap<u64, u32>,
    /// (deliver at ms, index).
    delayed: BTreeSet<(u64, u64)>,
    unacked: i64,
    limited: bool,
    blocked: bool,
    turns: Turns,
    /// Some: Key_Shared.
    pub keys: Option<Keys>,
}

impl Multiple {
    pub fn new(cursor: &Cursor, limited: bool, keys: Option<Keys>) -> Multiple {
        Multiple {
            next: cursor.mark(),
            replay: BTreeMap::new(),
            redeliveries: HashMap::new(),
            delayed: BTreeSet::new(),
            unacked: 0,
            limited,
            blocked: false,
            turns: Turns::default(),
            keys,
        }
    }

    /// A consumer may have become available.
    pub fn available(&mut self, key: usize, consumer: &mut Consumer) {
        match &mut self.keys {
            Some(keys) => keys.look_again(),
            None => self.turns.enqueue(key, consumer),
        }
    }

    /// A consumer has gone: what it held goes to the others, its redelivery count unchanged.
    pub fn removed(&mut self, key: usize, consumer: &mut Consumer, cursor: &Cursor) {
        self.count(-consumer.unacked);
        if let Some(keys) = &mut self.keys {
            keys.remove(key);
        }
        for (index, pending) in std::mem::take(&mut consumer.pending) {
            self.replay(index, pending.key_hash, cursor);
        }
    }

    /// The client wants this again: the redelivery count rises.
    pub fn redeliver(&mut self, key: usize, index: u64, pending: Pending, cursor: &Cursor) {
        if let Some(keys) = &mut self.keys {
            keys.settled(key, pending.key_hash);
        }
        if self.replay(index, pending.key_hash, cursor) {
            let count = self.redeliveries.entry(index).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// An entry is acked as a whole; `pending` if the consumer `key` held it.
    pub fn acked(&mut self, index: u64, held: Option<(usize, Pending)>) {
        self.redeliveries.remove(&index);
        if let Some(key_hash) = self.replay.remove(&index)
            && let Some(keys) = &mut self.keys
        {
            keys.stopped_waiting(key_hash);
        }
        if let (Some(keys), Some((key, pending))) = (&mut self.keys, held) {
            keys.settled(key, pending.key_hash);
        }
    }

    /// Adds to the number of unacked messages.
    pub fn count(&mut self, messages: i64) {
        self.unacked += messages;
        if self.limited && self.unacked >= MAX_UNACKED_MESSAGES {
            self.blocked = true;
        } else if self.unacked < MAX_UNACKED_MESSAGES / 2 {
            self.blocked = false;
        }
    }

    pub fn redelivery_count(&self, index: u64) -> u32 {
        self.redeliveries.get(&index).copied().unwrap_or(0)
    }

    /// Non-persistent topics: whom an entry may go to now.
    pub fn choose_at_once(
        &mut self,
        key_hash: u32,
        consumers: &mut Slab<Consumer>,
        connections: &Connections,
    ) -> Option<usize> {
        match &self.keys {
            Some(keys) => keys.target(key_hash, consumers, connections),
            None => self.turns.next(consumers, connections),
        }
    }

    /// Returns when the first delayed entry is due.
    pub fn dispatch(
        &mut self,
        consumers: &mut Slab<Consumer>,
        cursor: &Cursor,
        turn: &mut Turn<'_>,
    ) -> Option<u64> {
        self.next = self.next.max(cursor.mark()).max(turn.log.start());
        self.replay_what_is_due(cursor, turn);
        match self.keys.take() {
            None => self.dispatch_in_turns(consumers, cursor, turn),
            Some(mut keys) => {
                self.dispatch_by_key(&mut keys, consumers, cursor, turn);
                self.keys = Some(keys);
            }
        }
        self.delayed.first().map(|(at, _)| *at)
    }

    fn dispatch_in_turns(
        &mut self,
        consumers: &mut Slab<Consumer>,
        cursor: &Cursor,
        turn: &mut Turn<'_>,
    ) {
        while !self.blocked && self.peek(cursor, turn).is_some() {
            let Some(key) = self.turns.next(consumers, turn.connections) else {
                return;
            };
            for _ in 0..ROUND_ROBIN_ENTRIES {
                let consumer = &mut consumers[key];
                if self.blocked || !consumer.is_available(turn.connections) {
                    break;
                }
                let Some(index) = self.peek(cursor, turn) else {
                    break;
                };
                if self.replay.remove(&index).is_none() {
                    self.next = index + 1;
                }
                self.deliver(consumer, cursor, turn, index);
            }
            let consumer = &mut consumers[key];
            if consumer.is_available(turn.connections) {
                self.turns.enqueue(key, consumer);
            }
        }
    }

    fn dispatch_by_key(
        &mut self,
        keys: &mut Keys,
        consumers: &mut Slab<Consumer>,
        cursor: &Cursor,
        turn: &mut Turn<'_>,
    ) {
        for (index, key_hash) in keys.replayable(&self.replay) {
            if self.blocked {
                keys.look_again();
                return;
            }
            let gone = cursor.is_acked(index) || turn.log.get(index).is_none();
            let target = match gone {
                true => None,
                false => keys.target(key_hash, consumers, turn.connections),
            };
            if gone || target.is_some() {
                self.replay.remove(&index);
                keys.stopped_waiting(key_hash);
            }
            match target {
                Some(key) => {
                    keys.held(key, key_hash);
                    self.deliver(&mut consumers[key], cursor, turn, index);
                }
                None if !gone => keys.stop(key_hash),
                None => {}
            }
        }
        while !self.blocked
            && keys.may_look_ahead(self.replay.len(), consumers, turn.connections)
            && let Some(index) = self.new_entry(cursor, turn)
        {
            self.next = index + 1;
            let key_hash = turn.log.get(index).map_or(1, |entry| entry.key_hash);
            let target = match keys.is_waiting(key_hash) {
                true => None,
                false => keys.target(key_hash, consumers, turn.connections),
            };
            match target {
                Some(key) => {
                    keys.held(key, key_hash);
                    self.deliver(&mut consumers[key], cursor, turn, index);
                }
                None => {
                    self.replay.insert(index, key_hash);
                    keys.waits(key_hash);
                }
            }
        }
    }

    fn deliver(
        &mut self,
        consumer: &mut Consumer,
        cursor: &Cursor,
        turn: &mut Turn<'_>,
        index: u64,
    ) {
        let Some(entry) = turn.log.get(index) else {
            return;
        };
        let pending = Pending {
            batch_size: entry.batch_size,
            key_hash: entry.key_hash,
        };
        let messages = consumer.deliver(turn, cursor, index, self.redelivery_count(index));
        consumer.hold(index, pending, messages);
        self.count(messages);
    }

    /// The entry to deliver next on a Shared subscription. Forgets what has gone meanwhile.
    fn peek(&mut self, cursor: &Cursor, turn: &Turn<'_>) -> Option<u64> {
        while let Some((&index, _)) = self.replay.first_key_value() {
            if !cursor.is_acked(index) && turn.log.get(index).is_some() {
                return Some(index);
            }
            self.replay.pop_first();
        }
        self.new_entry(cursor, turn)
    }

    /// The first entry never looked at that is unacked and not delayed; delayed ones on the way are put aside.
    fn new_entry(&mut self, cursor: &Cursor, turn: &Turn<'_>) -> Option<u64> {
        while let Some(entry) = turn.log.get(self.next) {
            if !cursor.is_acked(self.next) {
                if entry.deliver_at_ms <= turn.now_ms {
                    return Some(self.next);
                }
                self.delayed.insert((entry.deliver_at_ms, self.next));
            }
            self.next += 1;
        }
        None
    }

    fn replay_what_is_due(&mut self, cursor: &Cursor, turn: &Turn<'_>) {
        while let Some(&(at, index)) = self.delayed.first()
            && at <= turn.now_ms
        {
            self.delayed.pop_first();
            let key_hash = turn.log.get(index).map(|entry: &Entry| entry.key_hash);
            if let Some(key_hash) = key_hash {
                self.replay(index, key_hash, cursor);
            }
        }
    }

    /// Returns whether it is still wanted.
    fn replay(&mut self, index: u64, key_hash: u32, cursor: &Cursor) -> bool {
        if cursor.is_acked(index) {
            return false;
        }
        let new = self.replay.insert(index, key_hash).is_none();
        if let Some(keys) = &mut self.keys {
            if new {
                keys.waits(key_hash);
            }
            keys.look_again();
        }
        true
    }
}

/// How many messages of an entry are unacked.
pub(super) fn unacked_messages(cursor: &Cursor, index: u64, batch_size: u32) -> i64 {
    i64::from(cursor.unacked_of(index).map_or(batch_size, ack_set::count))
}
