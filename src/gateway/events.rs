//! What posts of other shards, and the brokers of the consuming lane, have to say.

use std::sync::Arc;

use rustls::ClientConfig;

use super::post::{Post, SocketId};
use super::shard::Shard;
use super::tail_homes::is_feeder;
use crate::hub::Upstream;
use crate::pulsar::client::{ConsumerId, Event};

impl Shard {
    pub fn on_post(&mut self, now_ms: u64, post: Post) {
        match post {
            Post::Join(join) => self.hub_join(now_ms, *join),
            Post::Leave { member } => self.hub_leave(now_ms, member),
            Post::Command { member, command } => self.hub_command(member, command),
            Post::ToMember { member, event } if is_feeder(member) => {
                self.feeder_event(member, event)
            }
            Post::ToMember { member, event } => {
                self.member_event(now_ms, SocketId::of(member), event)
            }
            Post::TailJoin {
                key,
                shard,
                joining,
            } => self.tail_join(now_ms, key, shard, joining),
            Post::TailProve {
                key,
                shard,
                joining,
            } => self.prove_tail(now_ms, &key, shard, joining),
            Post::TailProven { joining, result } => self.tail_proven(now_ms, joining, result),
            Post::TailLeave {
                key,
                shard,
                joining,
            } => self.tail_leave(now_ms, &key, shard, joining),
            Post::TailTaken {
                feeder,
                shard,
                joining,
                messages,
            } => self.tail_taken(feeder, shard, joining, messages),
            Post::TailEndOfTopic { feeder, asker } => self.tail_end_of_topic(feeder, asker),
            Post::TailOpen {
                joining,
                feeder,
                base,
            } => self.tail_open(now_ms, joining, feeder, base),
            Post::TailFrames { joining, batch } => self.tail_frames(now_ms, joining, batch),
            Post::TailGap { joining, gap } => self.tail_gap(now_ms, joining, gap),
            Post::TailEnded { joining, refusal } => self.tail_ended(now_ms, joining, &refusal),
            Post::Identified { socket, result } => self.identified(now_ms, socket, result),
            Post::Renewed(speaker) => self.principals.renew(&speaker),
            Post::PermissionRead(read) => {
                let (resource, found) = *read;
                let found = found.as_ref().map(Option::as_deref);
                self.permission_read(now_ms, &resource, found.map_err(String::clone));
            }
            Post::Credentials {
                lane,
                connection,
                result,
            } => self.lane(lane).credentials_read(now_ms, connection, result),
            Post::BrokerTls(tls) => self.use_broker_tls(&tls),
            Post::Drain => self.drain(now_ms),
            // It only makes the main loop look. What came up meanwhile may have to be told again.
            Post::Drained => self.told_drained = false,
            // For the main loop, which alone can start tasks.
            Post::Accepted(_) | Post::AcceptedTls(_) => {}
            Post::Certificates(served) => self.tls = Some(served),
        }
    }

    fn use_broker_tls(&mut self, tls: &Arc<ClientConfig>) {
        for lane in [
            &mut self.publishing,
            &mut self.consuming,
            &mut self.administration,
        ] {
            lane.use_tls(tls.clone());
        }
    }

    pub(super) fn on_consuming_event(&mut self, now_ms: u64, event: Event) {
        match event {
            Event::Partitions { tag, result } => self.partitions_answered(now_ms, tag, result),
            Event::Topics { tag, result } => self.topics_answered(now_ms, tag, result),
            Event::ConsumerReady { consumer } => {
                self.consumer_answered(now_ms, consumer, Upstream::Ready);
            }
            Event::ConsumerLost { consumer, abrupt } => {
                self.hub_upstream(consumer, Upstream::Lost { abrupt });
            }
            Event::ConsumerMigrated { consumer } => {
                self.hub_upstream(consumer, Upstream::Migrated);
            }
            Event::ConsumerResumed { consumer } => self.hub_upstream(consumer, Upstream::Resumed),
            Event::ConsumerFailed { consumer, error } => {
                self.consumer_answered(now_ms, consumer, Upstream::Failed(error));
            }
            Event::Gap { consumer, gap } => self.hub_upstream(consumer, Upstream::Gap(gap)),
            Event::Entry { consumer, entry } => self.hub_upstream(consumer, Upstream::Entry(entry)),
            Event::CorruptEntry {
                consumer,
                ledger,
                entry,
                partition,
                reason,
            } => {
                tracing::warn!(
                    ledger,
                    entry,
                    partition,
                    reason,
                    "the broker sent an entry that cannot be read"
                );
                self.hub_upstream(consumer, Upstream::Corrupt { ledger, entry });
            }
            Event::EntriesSkipped { consumer } => self.hub_upstream(consumer, Upstream::Skipped),
            Event::EndOfTopic { consumer } => self.hub_upstream(consumer, Upstream::EndOfTopic),
            Event::Seeked {
                consumer,
                tag,
                result,
            } => self.hub_upstream(consumer, Upstream::Sought { tag, result }),
            Event::AckDone {
                consumer,
                tag,
                result,
            } => {
                self.hub_upstream(consumer, Upstream::AckDone { tag, result });
            }
            Event::Unsubscribed {
                consumer,
                tag,
                result,
            } => {
                self.hub_upstream(consumer, Upstream::Unsubscribed { tag, result });
            }
            // Nothing here asks for last ids or depends on which failover consumer is active; and no producer
            // is opened on this lane.
            _ => {}
        }
    }

    /// The broker has said whether it opens a consumer: one of a hub, or one that was only to be asked about.
    fn consumer_answered(&mut self, now_ms: u64, consumer: ConsumerId, answer: Upstream) {
        let result = match &answer {
            Upstream::Failed(error) => Err(error),
            _ => Ok(()),
        };
        if !self.consumer_proven(now_ms, consumer, result) {
            self.hub_upstream(consumer, answer);
        }
    }
}
