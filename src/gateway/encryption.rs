//! What hubs and producers ask the key keeper, and its answers.

use std::sync::Arc;

use super::hub_places::HubId;
use super::lane::LaneKind;
use super::post::SocketId;
use super::shard::Shard;
use super::sockets::Role;
use super::topics::Asked;
use super::turn::ShardRef;
use crate::api::Refusal;
use crate::pulsar::crypto::{SealedDataKey, Sealing};
use crate::pulsar::{BrokerError, ErrorKind};
use crate::runtime;

/// To be asked at the end of this turn.
pub enum KeyQuestion {
    DataKey {
        hub: HubId,
        sealed: SealedDataKey,
    },
    Sealing {
        socket: SocketId,
        names: Vec<String>,
    },
}

impl Shard {
    /// Each question in a task of its own, which carries the answer back.
    pub fn ask_key_keeper(&mut self, this: &ShardRef) {
        let Some(keeper) = &self.key_keeper else {
            return;
        };
        for question in self.key_questions.drain(..) {
            let (shard, keeper) = (this.clone(), keeper.clone());
            runtime::spawn(async move {
                match question {
                    KeyQuestion::DataKey { hub, sealed } => {
                        let key = keeper.data_key(sealed).await;
                        shard.turn(|shard, now_ms| shard.hub_data_key(now_ms, hub, key));
                    }
                    KeyQuestion::Sealing { socket, names } => {
                        let sealing = keeper.sealing(names).await.map(Arc::new);
                        shard.turn(|shard, now_ms| shard.producer_sealed(now_ms, socket, sealing));
                    }
                }
            });
        }
    }

    /// The producer's messages are to be encrypted, and are when it is opened; or with another data key from now on.
    fn producer_sealed(
        &mut self,
        now_ms: u64,
        id: SocketId,
        sealing: Result<Arc<Sealing>, String>,
    ) {
        let now = self.now(now_ms);
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let Role::Producer(session) = &mut entry.role else {
            return;
        };
        let is_new = !session.is_sealed();
        let topic = session.topic().to_owned();
        match sealing {
            Ok(sealing) => {
                session.sealed(now, &mut self.publishing.client, &sealing);
                if is_new {
                    let asked = Asked::ProducerPartitions(id);
                    self.count_partitions(now_ms, LaneKind::Publishing, &topic, asked);
                }
            }
            Err(why) if is_new => {
                let error = BrokerError {
                    kind: ErrorKind::Other,
                    message: why,
                };
                self.opened(id, Err(Refusal::not_created(&error)));
                self.end_session(now_ms, id);
            }
            Err(why) => {
                tracing::warn!(topic, %why, "no new data key for a producer: it goes on with the old one");
            }
        }
    }
}
