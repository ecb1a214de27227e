//! What goes wrong on request, as the core sees it.

use ::pulsar::proto::ServerError;
use ::pulsar::proto::base_command::Type;
use bytes::{BufMut, BytesMut};

use super::Broker;
use super::connection::{Connection, ConnectionId};
use super::output::Output;
use super::subscription::Refusal;

#[derive(Debug, Default)]
pub(super) struct Faults {
    pub answer_delay_ms: u64,
    pub stalled: bool,
    pub swallow_receipts: bool,
    pub refuse_connections_until_ms: u64,
    redirects: u32,
    refused_creates: Option<Refused>,
    refused_lookups: Option<Refused>,
    refused_last_ids: Option<Refused>,
    publish_bytes_per_s: Option<u64>,
}

/// The next questions of a kind are answered with this.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Refused {
    pub times: u32,
    pub error: ServerError,
    pub message: String,
}

impl Refused {
    pub fn new(times: u32, error: ServerError, message: &str) -> Refused {
        Refused {
            times,
            error,
            message: message.to_owned(),
        }
    }
}

impl Faults {
    pub fn take_redirect(&mut self) -> bool {
        let redirect = self.redirects > 0;
        self.redirects = self.redirects.saturating_sub(1);
        redirect
    }

    /// A producer or consumer is to be made.
    pub fn refuse_create(&mut self) -> Result<(), Refusal> {
        refuse(&mut self.refused_creates)
    }

    /// An owner or a number of partitions is asked for.
    pub fn refuse_lookup(&mut self) -> Result<(), Refusal> {
        refuse(&mut self.refused_lookups)
    }

    /// A topic's last message id is asked for.
    pub fn refuse_last_id(&mut self) -> Result<(), Refusal> {
        refuse(&mut self.refused_last_ids)
    }

    /// A throttled connection is not read until what it has published is paid for, as the broker throttles.
    pub fn charge(&self, connection: &mut Connection, bytes: usize, now_ms: u64) {
        let Some(rate) = self.publish_bytes_per_s.map(|rate| rate.max(1) as i64) else {
            return;
        };
        let elapsed_ms = now_ms.saturating_sub(connection.publish_budget_from_ms);
        let earned = (elapsed_ms.min(60_000) as i64).saturating_mul(rate) / 1_000;
        connection.publish_budget_from_ms = now_ms;
        // A second's worth may be saved.
        let budget = connection
            .publish_budget_bytes
            .saturating_add(earned)
            .min(rate);
        connection.publish_budget_bytes = budget - bytes as i64;
        if connection.publish_budget_bytes < 0 {
            let wait_ms = connection.publish_budget_bytes.unsigned_abs() * 1_000 / rate as u64 + 1;
            connection.paused_until_ms = now_ms + wait_ms;
        }
    }
}

fn refuse(refused: &mut Option<Refused>) -> Result<(), Refusal> {
    match refused {
        Some(refused) if refused.times > 0 => {
            refused.times -= 1;
            Err(Refusal::new(refused.error, refused.message.clone()))
        }
        _ => Ok(()),
    }
}

/// Bytes that no broker sends.
#[derive(Clone, Copy, Debug)]
pub(in crate::embedded) enum Nonsense {
    /// A frame of plausible size with a command of random bytes.
    Garbage,
    /// A frame that claims 4 GiB.
    HugeFrame,
    /// A command that claims to be larger than its frame.
    HugeCommand,
}

impl Broker {
    pub fn set_answer_delay(&mut self, delay_ms: u64) {
        self.faults.answer_delay_ms = delay_ms;
    }

    pub fn set_stalled(&mut self, now_ms: u64, stalled: bool) {
        self.begin(now_ms);
        self.faults.stalled = stalled;
        self.touch_all();
        self.end();
    }

    pub fn set_swallow_receipts(&mut self, swallow: bool) {
        self.faults.swallow_receipts = swallow;
    }

    pub fn set_redirects(&mut self, times: u32) {
        self.faults.redirects = times;
    }

    pub fn set_refused_creates(&mut self, refused: Refused) {
        self.faults.refused_creates = Some(refused);
    }

    pub fn set_refused_lookups(&mut self, refused: Refused) {
        self.faults.refused_lookups = Some(refused);
    }

    pub fn set_refused_last_ids(&mut self, refused: Refused) {
        self.faults.refused_last_ids = Some(refused);
    }

    pub fn set_publish_rate(&mut self, now_ms: u64, bytes_per_s: Option<u64>) {
        self.begin(now_ms);
        self.faults.publish_bytes_per_s = bytes_per_s;
        for id in self.connections.ids() {
            if let Some(connection) = self.connections.touch(id) {
                connection.paused_until_ms = 0;
                connection.publish_budget_bytes = 0;
                connection.publish_budget_from_ms = now_ms;
            }
        }
        self.end();
    }

    /// Cuts all connections without a word. What waited to be written is lost. Returns how many there were.
    pub fn drop_connections(&mut self, now_ms: u64) -> usize {
        self.begin(now_ms);
        let ids = self.connections.ids();
        for &id in &ids {
            self.cut(id);
        }
        self.end();
        ids.len()
    }

    fn cut(&mut self, id: ConnectionId) {
        self.close(id);
        if let Some(connection) = self.connections.touch(id) {
            connection.output = Output::default();
        }
    }

    pub fn write_nonsense(&mut self, now_ms: u64, nonsense: Nonsense) {
        self.begin(now_ms);
        let mut bytes = BytesMut::new();
        match nonsense {
            Nonsense::Garbage => {
                bytes.put_u32(36);
                bytes.put_u32(32);
                bytes.extend((0u8..32).map(|i| i.wrapping_mul(167).wrapping_add(131)));
            }
            Nonsense::HugeFrame => bytes.put_slice(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2, 8]),
            Nonsense::HugeCommand => {
                bytes.put_slice(&[0, 0, 0, 6, 0xff, 0xff, 0xff, 0xf0, 8, Type::Ping as u8]);
            }
        }
        for id in self.connections.ids() {
            if let Some(connection) = self.connections.touch(id) {
                connection.output.raw(&bytes);
            }
        }
        self.end();
    }

    /// Remembers what is acked now: [`Broker::restart`] can forget what comes after.
    pub fn checkpoint_acks(&mut self) {
        for (_, topic) in &mut self.topics {
            for (_, subscription) in &mut topic.subscriptions {
                subscription.checkpoint = Some(subscription.cursor.clone());
            }
        }
    }

    /// All connections are cut, none is taken for a while, topics are loaded anew. Durable subscriptions and messages
    /// stay. `forget_acks`: cursors are where the last checkpoint left them.
    pub fn restart(&mut self, now_ms: u64, refuse_ms: u64, forget_acks: bool) {
        self.begin(now_ms);
        for id in self.connections.ids() {
            self.cut(id);
        }
        self.faults.refuse_connections_until_ms = self.now_ms + refuse_ms;
        for key in self.topic_keys() {
            let ledger = self.new_ledger();
            let topic = &mut self.topics[key];
            topic.log.new_ledger(ledger);
            for (_, subscription) in &mut topic.subscriptions {
                if let Some(checkpoint) = subscription.checkpoint.take()
                    && forget_acks
                {
                    subscription.cursor = checkpoint;
                }
            }
        }
        self.end();
    }

    fn touch_all(&mut self) {
        for id in self.connections.ids() {
            self.connections.touch(id);
        }
    }
}
