//! One subscription of a topic: its cursor, its consumers, and the dispatcher of its type.

use ::pulsar::proto::ServerError;
use ::pulsar::proto::base_command::Type;
use ::pulsar::proto::command_subscribe::SubType;
use ::pulsar::proto::{CommandReachedEndOfTopic, KeySharedMeta, KeySharedMode};
use slab::Slab;

use super::connections::Connections;
use super::consumer::{Consumer, Turn};
use super::cursor::Cursor;
use super::keys::Keys;
use super::multiple::Multiple;
use super::names::TopicName;
use super::single::Single;

/// Why something was refused: the broker's code and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub error: ServerError,
    pub message: String,
}

impl Refusal {
    pub fn new(error: ServerError, message: impl Into<String>) -> Refusal {
        Refusal {
            error,
            message: message.into(),
        }
    }
}

#[derive(Debug)]
pub(super) enum Dispatcher {
    Single(Single),
    Multiple(Box<Multiple>),
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub name: String,
    pub durable: bool,
    /// Its consumers are closed, and come back, because the cursor is moved.
    pub resetting: bool,
    /// Of the consumers that are, or were last, connected.
    pub kind: SubType,
    pub cursor: Cursor,
    /// The cursor as it would be after an abrupt restart, if that fault has been prepared.
    pub checkpoint: Option<Cursor>,
    pub consumers: Slab<Consumer>,
    pub dispatcher: Dispatcher,
    /// Unacked entries that were dropped because of a bound.
    pub skipped: u64,
    /// In the list of what is to be dispatched.
    pub dirty: bool,
    /// When a delayed entry will be looked at again.
    pub alarm_ms: Option<u64>,
}

/// What SUBSCRIBE says about the consumer's place among the others.
pub(super) struct Joining<'a> {
    pub kind: SubType,
    pub key_shared: Option<&'a KeySharedMeta>,
}

impl Subscription {
    pub fn new(name: String, durable: bool, kind: SubType, cursor: Cursor) -> Subscription {
        Subscription {
            name,
            durable,
            resetting: false,
            kind,
            cursor,
            checkpoint: None,
            consumers: Slab::new(),
            dispatcher: Dispatcher::Single(Single::new(false)),
            skipped: 0,
            dirty: false,
            alarm_ms: None,
        }
    }

    /// Returns the consumer's key.
    pub fn add_consumer(
        &mut self,
        mut consumer: Consumer,
        joining: &Joining<'_>,
        topic: &TopicName,
        connections: &mut Connections,
    ) -> Result<usize, Refusal> {
        if self.consumers.is_empty() {
            self.kind = joining.kind;
            self.dispatcher = self.new_dispatcher(joining);
        } else {
            self.check_compatible(joining)?;
        }
        let individual = matches!(self.dispatcher, Dispatcher::Multiple(_));
        consumer.limited = self.durable && individual && topic.persistent;
        if individual {
            consumer.epoch = None;
        }
        let key = self.consumers.insert(consumer);
        match &mut self.dispatcher {
            Dispatcher::Single(single) => {
                let name = topic.full.as_str();
                let changed = single.pick(&self.consumers, &self.cursor, name, topic.partition);
                if !changed {
                    single.tell(key, &self.consumers[key], connections);
                }
            }
            Dispatcher::Multiple(multiple) => {
                if let Some(keys) = &mut multiple.keys
                    && let Err(message) = keys.add(key, &wanted_ranges(joining.key_shared))
                {
                    self.consumers.remove(key);
                    return Err(Refusal::new(ServerError::ConsumerAssignError, message));
                }
            }
        }
        Ok(key)
    }

    fn new_dispatcher(&self, joining: &Joining<'_>) -> Dispatcher {
        match self.kind {
            SubType::Exclusive => Dispatcher::Single(Single::new(false)),
            SubType::Failover => Dispatcher::Single(Single::new(true)),
            SubType::Shared => self.multiple(None),
            SubType::KeyShared => {
                let (sticky, out_of_order) = key_shared_mode(joining.key_shared);
                self.multiple(Some(Keys::new(sticky, out_of_order)))
            }
        }
    }

    fn multiple(&self, keys: Option<Keys>) -> Dispatcher {
        let multiple = Multiple::new(&self.cursor, self.durable, keys);
        Dispatcher::Multiple(Box::new(multiple))
    }

    fn check_compatible(&self, joining: &Joining<'_>) -> Result<(), Refusal> {
        let busy = |message: String| Err(Refusal::new(ServerError::ConsumerBusy, message));
        if joining.kind != self.kind {
            return busy(format!(
                "Subscription is of different type. Active subscription type of '{}' is different than the \
                 connecting consumer's type '{}'.",
                type_name(self.kind),
                type_name(joining.kind)
            ));
        }
        if self.kind == SubType::Exclusive {
            return busy("Exclusive consumer is already connected".into());
        }
        if let Dispatcher::Multiple(multiple) = &self.dispatcher
            && let Some(keys) = &multiple.keys
        {
            let (sticky, out_of_order) = key_shared_mode(joining.key_shared);
            if sticky != keys.sticky {
                let name = |sticky| if sticky { "STICKY" } else { "AUTO_SPLIT" };
                return busy(format!(
                    "Subscription is of different type. Active subscription key_shared mode of '{}' is different \
                     than the connecting consumer's key_shared mode '{}'.",
                    name(keys.sticky),
                    name(sticky)
                ));
            }
            if out_of_order != keys.out_of_order {
                return busy(
                    match keys.out_of_order {
                        true => {
                            "Subscription is of different type. Active subscription allows out of order delivery \
                             while the connecting consumer does not allow it."
                        }
                        false => {
                            "Subscription is of different type. Active subscription does not allow out of order \
                             delivery while the connecting consumer allows it."
                        }
                    }
                    .into(),
                );
            }
        }
        Ok(())
    }

    /// What the consumer held goes to the others, or waits for the next.
    pub fn remove_consumer(&mut self, key: usize, topic: &TopicName) -> Option<Consumer> {
        let mut consumer = self.consumers.try_remove(key)?;
        match &mut self.dispatcher {
            Dispatcher::Single(single) => {
                if single.active == Some(key) {
                    single.active = None;
                }
                let name = topic.full.as_str();
                single.pick(&self.consumers, &self.cursor, name, topic.partition);
            }
            Dispatcher::Multiple(multiple) => {
                // With the last one everything is forgotten: the next consumer makes a new dispatcher.
                if !self.consumers.is_empty() {
                    multiple.removed(key, &mut consumer, &self.cursor);
                }
            }
        }
        Some(consumer)
    }

    /// Only the single consumer may unsubscribe.
    pub fn can_unsubscribe(&self, key: usize) -> bool {
        self.consumers.len() == 1 && self.consumers.contains(key)
    }

    /// Tells the consumers of a Failover subscription who is active, if that has changed.
    pub fn announce(&mut self, connections: &mut Connections) {
        if let Dispatcher::Single(single) = &mut self.dispatcher {
            single.announce(&self.consumers, connections);
        }
    }

    /// Returns when a delayed entry is due.
    pub fn dispatch(&mut self, turn: &mut Turn<'_>) -> Option<u64> {
        let start = turn.log.start();
        self.skipped += self.cursor.skip_to(start);
        let due = match &mut self.dispatcher {
            Dispatcher::Single(single) => {
                single.dispatch(&mut self.consumers, &self.cursor, turn);
                None
            }
            Dispatcher::Multiple(multiple) => {
                multiple.dispatch(&mut self.consumers, &self.cursor, turn)
            }
        };
        if turn.log.terminated && self.cursor.backlog(turn.log.end()) == 0 {
            self.tell_end_of_topic(turn.connections);
        }
        due
    }

    /// Once each, and only when everything is acked.
    fn tell_end_of_topic(&mut self, connections: &mut Connections) {
        for (_, consumer) in &mut self.consumers {
            if !consumer.told_end_of_topic
                && let Some(connection) = connections.touch(consumer.connection)
            {
                consumer.told_end_of_topic = true;
                let end = CommandReachedEndOfTopic {
                    consumer_id: consumer.consumer_id,
                };
                connection.send(Type::ReachedEndOfTopic, &end);
            }
        }
    }

    /// Non-persistent: an entry goes to a consumer with permits now, or nowhere. Returns whether it went.
    pub fn deliver_at_once(&mut self, index: u64, turn: &mut Turn<'_>) -> bool {
        let key_hash = turn.log.get(index).map_or(1, |entry| entry.key_hash);
        let key = match &mut self.dispatcher {
            Dispatcher::Single(single) => single.active,
            Dispatcher::Multiple(multiple) => {
                multiple.choose_at_once(key_hash, &mut self.consumers, turn.connections)
            }
        };
        let Some(consumer) = key.and_then(|key| self.consumers.get_mut(key)) else {
            return false;
        };
        if !consumer.is_available(turn.connections) {
            return false;
        }
        consumer.deliver(turn, &self.cursor, index, 0);
        if let (Dispatcher::Multiple(multiple), Some(key)) = (&mut self.dispatcher, key) {
            multiple.available(key, consumer);
        }
        true
    }

    pub fn is_active(&self, key: usize) -> bool {
        match &self.dispatcher {
            Dispatcher::Single(single) => single.active == Some(key),
            Dispatcher::Multiple(_) => true,
        }
    }
}

fn key_shared_mode(meta: Option<&KeySharedMeta>) -> (bool, bool) {
    meta.map_or((false, false), |meta| {
        (
            meta.key_shared_mode == KeySharedMode::Sticky as i32,
            meta.allow_out_of_order_delivery.unwrap_or(false),
        )
    })
}

fn wanted_ranges(meta: Option<&KeySharedMeta>) -> Vec<(i32, i32)> {
    meta.map_or(Vec::new(), |meta| {
        let ranges = meta.hash_ranges.iter();
        ranges.map(|range| (range.start, range.end)).collect()
    })
}

/// As Java prints `SubType`.
fn type_name(kind: SubType) -> &'static str {
    match kind {
        SubType::Exclusive => "Exclusive",
        SubType::Shared => "Shared",
        SubType::Failover => "Failover",
        SubType::KeyShared => "Key_Shared",
    }
}
