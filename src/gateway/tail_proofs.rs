//! The rights of readers that join what this shard already has of a tail: its home shard asks the broker (`proofs`).

use super::post::{Post, SocketId};
use super::proofs::{is_old, lasts_ms};
use super::shard::Shard;
use crate::api::ReaderParams;
use crate::hub::Refusal;
use crate::pulsar::client::StartPosition;
use crate::pulsar::topics::is_persistent;
use crate::session::ConsumerSession;

impl Shard {
    /// A reader socket in its handshake. One that would only join what is open here may have to wait for the broker to
    /// be asked; with a start before the end it first has an upstream of its own.
    pub fn admit_reader(&mut self, now_ms: u64, id: SocketId, topic: String, params: ReaderParams) {
        let from_end = params.start == StartPosition::Latest || !is_persistent(&topic);
        let joins = lasts_ms(&self.config).is_some() && from_end && self.shares_tail(&params);
        if !joins || !self.waits_for_proof(now_ms, id, &topic, &params) {
            self.begin_reader(id, topic, params);
        }
    }

    /// What became of its waiting, unless it has gone.
    pub(super) fn reader_proven(
        &mut self,
        id: SocketId,
        topic: &str,
        params: ReaderParams,
        result: &Result<(), Refusal>,
    ) {
        let entry = self.sockets.get(id);
        if entry.is_none_or(|entry| entry.opening.is_none()) {
            return;
        }
        match result {
            Ok(()) => self.begin_reader(id, topic.to_owned(), params),
            Err(refusal) => self.opened(id, Err(ConsumerSession::Reader.refusal(refusal))),
        }
    }

    /// Whether the reader has to wait for the broker to be asked: what it wants to join here is open, and what the broker
    /// said is old. Then it comes again.
    fn waits_for_proof(
        &mut self,
        now_ms: u64,
        id: SocketId,
        topic: &str,
        params: &ReaderParams,
    ) -> bool {
        let key = self.tail_key(id, topic, params);
        let tail = self.tails.by_key.get(&key);
        let Some(local) = tail.and_then(|tail| self.tails.local.get_mut(*tail)) else {
            return false;
        };
        let is_old = |proven_ms| is_old(&self.config, now_ms, proven_ms);
        if !local.proven_ms.is_some_and(is_old) {
            return false;
        }
        local.applicants.push((id, params.clone()));
        if local.applicants.len() == 1 {
            let (home, joining) = (local.home, local.joining);
            let shard = self.index;
            self.post(
                home,
                Post::TailProve {
                    key,
                    shard,
                    joining,
                },
            );
        }
        true
    }

    /// The broker lets the role of the tail's readers in still, or not.
    pub fn tail_proven(&mut self, now_ms: u64, joining: u64, result: Result<(), Refusal>) {
        let Some(tail) = self.tails.by_joining.get(&joining).copied() else {
            return;
        };
        let local = &mut self.tails.local[tail];
        if result.is_ok() {
            local.proven_ms = Some(now_ms);
        }
        let key = local.key.clone();
        for (id, params) in std::mem::take(&mut local.applicants) {
            self.reader_proven(id, &key.topic, params, &result);
        }
        self.leave_if_unwanted(tail);
    }
}
