//! Faults on request: how a test makes a running broker misbehave.

use std::sync::Arc;

use ::pulsar::proto::ServerError;

use super::broker::{Nonsense, Refused};
use super::server::Shared;

/// Cheap to clone. What is switched on stays on until it is switched off.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

impl Faults {
    pub(super) fn new(shared: Arc<Shared>) -> Faults {
        Faults { shared }
    }

    /// Cuts all connections; what waited to be written is lost. Returns how many there were.
    pub fn drop_connections(&self) -> usize {
        self.shared.turn(|broker, now| broker.drop_connections(now))
    }

    /// Everything the broker sends goes out that much later, in order. 0: at once.
    pub fn delay_answers(&self, delay_ms: u64) {
        self.shared
            .turn(|broker, _| broker.set_answer_delay(delay_ms));
    }

    /// Nothing is read any more, connections stay open: TCP pushes back.
    pub fn stall(&self, stalled: bool) {
        self.shared
            .turn(|broker, now| broker.set_stalled(now, stalled));
    }

    /// The next `times` creations of a producer or consumer fail so.
    pub fn refuse_creates(&self, times: u32, error: ServerError, message: &str) {
        let refused = Refused::new(times, error, message);
        self.shared
            .turn(|broker, _| broker.set_refused_creates(refused));
    }

    /// The next `times` questions for a topic's owner or its number of partitions fail so.
    pub fn refuse_lookups(&self, times: u32, error: ServerError, message: &str) {
        let refused = Refused::new(times, error, message);
        self.shared
            .turn(|broker, _| broker.set_refused_lookups(refused));
    }

    /// The next `times` questions for a topic's last message id fail so.
    pub fn refuse_last_ids(&self, times: u32, error: ServerError, message: &str) {
        let refused = Refused::new(times, error, message);
        self.shared
            .turn(|broker, _| broker.set_refused_last_ids(refused));
    }

    /// The next `times` lookups are redirected, to this same broker.
    pub fn redirect_lookups(&self, times: u32) {
        self.shared.turn(|broker, _| broker.set_redirects(times));
    }

    /// Messages are stored, their receipts never sent.
    pub fn swallow_receipts(&self, swallow: bool) {
        self.shared
            .turn(|broker, _| broker.set_swallow_receipts(swallow));
    }

    /// Each connection may publish that many bytes a second; beyond, it is not read for a while, acks and flows on it
    /// included. `None`: no limit.
    pub fn throttle(&self, publish_bytes_per_s: Option<u64>) {
        self.shared
            .turn(|broker, now| broker.set_publish_rate(now, publish_bytes_per_s));
    }

    /// From now on CONNECT has to show this token; `None`: anything. Who is connected stays.
    pub fn require_token(&self, token: Option<&str>) {
        let token = token.map(str::to_owned);
        self.shared.turn(|broker, _| broker.require_token(token));
    }

    /// Everybody is asked for credentials again, as when they expire; who does not show the token is cut.
    pub fn challenge(&self) {
        self.shared.turn(|broker, now| broker.challenge(now));
    }

    /// Right answers to challenges so far.
    pub fn renewed(&self) -> usize {
        self.shared.turn(|broker, _| broker.renewed())
    }

    /// Every connection gets a well-formed frame around random bytes.
    pub fn write_garbage(&self) {
        self.nonsense(Nonsense::Garbage);
    }

    /// Every connection gets a frame that claims to be 4 GiB.
    pub fn write_huge_frame(&self) {
        self.nonsense(Nonsense::HugeFrame);
    }

    /// Every connection gets a frame whose command claims to be larger than it.
    pub fn write_huge_command(&self) {
        self.nonsense(Nonsense::HugeCommand);
    }

    fn nonsense(&self, nonsense: Nonsense) {
        self.shared
            .turn(|broker, now| broker.write_nonsense(now, nonsense));
    }

    /// All connections are cut and new ones refused (closed at once) for a while. Messages and durable subscriptions
    /// stay; topics go on in new ledgers.
    pub fn restart(&self, refuse_ms: u64) {
        self.shared
            .turn(|broker, now| broker.restart(now, refuse_ms, false));
    }

    /// What is acked now will survive [`Faults::restart_abruptly`].
    pub fn checkpoint_acks(&self) {
        self.shared.turn(|broker, _| broker.checkpoint_acks());
    }

    /// As `restart`, and acks that came after the last checkpoint are forgotten although they were confirmed: the real
    /// broker writes cursors down about once a second, and loses that second when it is killed.
    pub fn restart_abruptly(&self, refuse_ms: u64) {
        self.shared
            .turn(|broker, now| broker.restart(now, refuse_ms, true));
    }
}
