//! One shard's life: made of what all have a copy of, it takes in what comes until it is drained.

use std::sync::Arc;

use super::connection;
use super::credential_keeper::Source;
use super::desk::Questions;
use super::finding::{Finder, client_config};
use super::key_keeper::KeyKeeper;
use super::lane::{Lane, LaneKind};
use super::permissions::{Permissions, Store};
use super::post::Post;
use super::shard::Shard;
use super::turn::ShardRef;
use crate::cluster::records::RecordReader;
use crate::config::{Authorization, Config};
use crate::doors::Entrance;
use crate::pulsar::client::Client;
use crate::runtime::{self, Inbox, ShardContext};
use crate::tls::server::Served;

/// What every shard has a copy of.
#[derive(Clone)]
pub struct Equipment {
    pub config: Arc<Config>,
    pub entrance: Arc<Entrance>,
    pub tls: Option<Served>,
    pub finder: Finder,
    pub source: Source,
    pub questions: Option<Questions>,
    pub key_keeper: Option<KeyKeeper>,
    pub granted: (Finder, Option<RecordReader>),
}

impl Equipment {
    /// One of a shard's three ways to brokers.
    fn lane(&self, index: usize, kind: LaneKind) -> Lane {
        let finder = match kind {
            LaneKind::Publishing | LaneKind::Consuming => &self.finder,
            LaneKind::Administration => &self.granted.0,
        };
        Lane::new(
            kind,
            index,
            self.source.clone(),
            self.config.upstream_pending_bytes,
            Client::new(client_config(
                &self.config,
                finder.clone(),
                fastrand::u64(..),
            )),
        )
    }

    fn permissions(&self, mailbox: &runtime::Post<Post>) -> Option<Box<Permissions>> {
        let Some(Authorization::Gateway(permissions)) = &self.config.authorization else {
            return None;
        };
        let store = self.granted.1.clone().map(|reader| Store {
            reader,
            mailbox: mailbox.clone(),
        });
        Some(Box::new(Permissions::new(permissions, store)))
    }

    pub(super) fn shard(self, index: usize, peers: Vec<runtime::Post<Post>>) -> Shard {
        let lanes = [
            LaneKind::Publishing,
            LaneKind::Consuming,
            LaneKind::Administration,
        ]
        .map(|kind| self.lane(index, kind));
        let permissions = self.permissions(&peers[index]);
        let mut shard = Shard::new(index, self.config, self.entrance, self.tls, peers, lanes);
        shard.identities.desk = self.questions;
        shard.key_keeper = self.key_keeper;
        shard.permissions = permissions;
        shard
    }
}

pub async fn run_shard(context: ShardContext<Post>, equipment: Equipment) {
    let ShardContext {
        index,
        inbox,
        peers,
        ..
    } = context;
    let busy_poll = equipment.config.busy_poll;
    let shard = ShardRef::new(equipment.shard(index, peers));
    runtime::spawn(shard.clone().run_timers());
    if busy_poll {
        runtime::spawn(runtime::turn::spin());
    }
    take_in(&shard, inbox).await;
    shard.finish().await;
}

/// Until the shard is drained.
async fn take_in(shard: &ShardRef, mut inbox: Inbox<Post>) {
    while let Some(batch) = inbox.recv().await {
        let ended = shard.gather(|shard_now, now_ms| {
            for post in batch {
                match post {
                    Post::Accepted(accepted) => {
                        connection::accept(shard.clone(), accepted, None);
                    }
                    Post::AcceptedTls(accepted) => {
                        connection::accept(shard.clone(), accepted, shard_now.tls.as_ref());
                    }
                    post => shard_now.on_post(now_ms, post),
                }
            }
            shard_now.is_drained()
        });
        if ended {
            return;
        }
    }
}
