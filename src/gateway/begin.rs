//! From an upgrade request to a session that asks its upstream: which endpoint, with which parameters.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;

use super::drain;
use super::encryption::KeyQuestion;
use super::lane::LaneKind;
use super::post::{HubKey, Join, Post, SocketId, TailKey};
use super::shard::Shard;
use super::sockets::Role;
use super::topics::Asked;
use crate::api::{
    ConsumerParams, Endpoint, EndpointKind, ProducerParams, Query, ReaderParams, Refusal, TopicSet,
};
use crate::auth::{Secret, protocol_to_answer};
use crate::config::UpstreamMode;
use crate::http::{PerMessageDeflate, Request, extensions, response, upgrade};
use crate::hub::{DeadLetterPolicy, HubSpec, MemberSpec, Topics};
use crate::pulsar::SubscriptionType;
use crate::pulsar::client::Principal;
use crate::runtime::{OneShotReceiver, oneshot};
use crate::session::{ConsumerSession, ProducerSession};
use crate::ws::{Context, Decoder, Window};

/// A request that has been understood; nothing has been done for it.
pub struct Understood {
    pub topic: String,
    pub wanted: Wanted,
    /// `?token=`.
    pub token: Option<Secret>,
    deflate: Option<PerMessageDeflate>,
    response: Bytes,
}

/// What the socket is to be. Java looks at a producer's and a reader's parameters only after it has authenticated the
/// client, and at a consumer's before.
pub enum Wanted {
    Producer(Result<ProducerParams, Refusal>),
    Consumer {
        topics: TopicSet,
        subscription: String,
        params: ConsumerParams,
    },
    Reader(Result<ReaderParams, Refusal>),
}

/// A request that asks its upstream.
pub struct Begun {
    /// The 101, for when the upstream says yes.
    pub response: Bytes,
    /// What reads the frames behind it.
    pub decoder: Decoder,
    /// The upstream's answer to come.
    pub opened: OneShotReceiver<Result<(), Refusal>>,
}

/// Characters of a consumer name that the client did not choose, as in Java.
const CONSUMER_NAME_DIGITS: usize = 5;

impl Shard {
    /// Checks the request.
    pub fn understand(&self, request: &Request) -> Result<Understood, Refusal> {
        if self.draining {
            return Err(drain::refusal());
        }
        let raw_query = request.query().unwrap_or_default();
        let endpoint = Endpoint::parse(request.path(), raw_query)?;
        let upgrade = upgrade::check(request)
            .map_err(|refusal| Refusal::new(refusal.status, refusal.message))?;
        let query = Query::parse(raw_query)?;
        let deflate = self.negotiate(request, &endpoint.kind);
        let protocol = protocol_to_answer(request).map_err(|why| Refusal::new(400, why))?;
        let response = response::switching_protocols(&upgrade.accept_key, protocol, deflate);
        Ok(Understood {
            topic: endpoint.topic.as_str().to_owned(),
            token: query.token().map(|token| token.to_owned().into()),
            wanted: wanted(endpoint, &query)?,
            deflate,
            response,
        })
    }

    /// Asks the upstream for a client that is let in.
    pub fn begin(
        &mut self,
        now_ms: u64,
        id: SocketId,
        request: Understood,
    ) -> Result<Begun, Refusal> {
        if self.draining {
            return Err(drain::refusal());
        }
        let Understood { topic, deflate, .. } = request;
        self.enter_principal(id);
        // A tail that is open already answers at once.
        let (answer, opened) = oneshot();
        if let Some(entry) = self.sockets.get(id) {
            entry.opening = Some(answer);
            entry.window = deflate.map(|it| window(&it));
        }
        match request.wanted {
            Wanted::Producer(params) => {
                let params = params?;
                params.check_key_names(self.key_keeper.is_some())?;
                self.begin_producer(now_ms, id, topic, params);
            }
            Wanted::Consumer {
                topics,
                subscription,
                params,
            } => self.begin_consumer(id, compiled(topics)?, subscription, params),
            Wanted::Reader(params) => self.admit_reader(now_ms, id, topic, params?),
        }
        Ok(Begun {
            response: request.response,
            decoder: self.decoder(deflate),
            opened,
        })
    }

    /// Whether messages may be compressed. What a consumer's or reader's client sends is too small to gain by a context, and
    /// there may be very many of them: they are told to do without, so that none needs a window here.
    fn negotiate(&self, request: &Request, kind: &EndpointKind) -> Option<PerMessageDeflate> {
        let may_keep_context = matches!(kind, EndpointKind::Producer);
        let wanted = self.config.permessage_deflate;
        wanted
            .then(|| extensions::negotiate(request, may_keep_context))
            .flatten()
    }

    fn decoder(&self, deflate: Option<PerMessageDeflate>) -> Decoder {
        let max_bytes = self.config.max_text_frame_bytes;
        match deflate {
            None => Decoder::new(max_bytes),
            Some(it) if it.client_keeps_context => {
                Decoder::with_compression(max_bytes, Context::Kept)
            }
            Some(_) => Decoder::with_compression(max_bytes, Context::Dropped),
        }
    }

    fn begin_producer(&mut self, now_ms: u64, id: SocketId, topic: String, params: ProducerParams) {
        if params.key_names.is_empty() {
            let asked = Asked::ProducerPartitions(id);
            self.count_partitions(now_ms, LaneKind::Publishing, &topic, asked);
        } else {
            let names = params.key_names.clone();
            let question = KeyQuestion::Sealing { socket: id, names };
            self.key_questions.push(question);
        }
        let principal = self.principals.of(id);
        if let Some(entry) = self.sockets.get(id) {
            entry.role = Role::Producer(Box::new(ProducerSession::new(
                id.tag(),
                self.config.upstream == UpstreamMode::Shared,
                topic,
                principal,
                params,
                fastrand::u32(..),
            )));
        }
    }

    fn begin_consumer(
        &mut self,
        id: SocketId,
        topics: Topics,
        subscription: String,
        params: ConsumerParams,
    ) {
        let private = params.subscription_type == SubscriptionType::KeyShared
            || self.config.upstream == UpstreamMode::PerSocket;
        let priority_level = params.priority_level as i32;
        let consumer_name = params
            .consumer_name
            .unwrap_or_else(|| random_name(CONSUMER_NAME_DIGITS));
        let member = MemberSpec {
            subscription_type: params.subscription_type,
            consumer_name: consumer_name.clone(),
            priority_level,
            window: params.window,
            pull_mode: params.pull_mode,
            ack_timeout_ms: params.ack_timeout_ms.into(),
            negative_ack_delay_ms: params.negative_ack_delay_ms.into(),
            dead_letter: params.dead_letter.map(|policy| DeadLetterPolicy {
                max_redeliver_count: policy.max_redeliver_count,
                topic: policy.topic.into(),
            }),
        };
        let hub = HubSpec {
            topics,
            subscription,
            subscription_type: params.subscription_type,
            durable: params.durable,
            private,
            initial_position: params.initial_position,
            start: None,
            starts: Vec::new(),
            consumer_name: Some(consumer_name),
            priority_level,
            start_time_ms: None,
            read_compacted: params.read_compacted,
            crypto_failure_action: params.crypto_failure_action,
            principal: Principal::GATEWAY,
        };
        self.join(id, ConsumerSession::Consumer, private, hub, member);
    }

    pub(super) fn begin_reader(&mut self, id: SocketId, topic: String, params: ReaderParams) {
        let key = self.tail_key(id, &topic, &params);
        match self.shares_tail(&params) {
            true => self.begin_reading(id, key, params),
            false => self.begin_reading_alone(id, key, params),
        }
    }

    pub(super) fn shares_tail(&self, params: &ReaderParams) -> bool {
        self.config.upstream == UpstreamMode::Shared && !params.is_alone()
    }

    pub(super) fn tail_key(&mut self, id: SocketId, topic: &str, params: &ReaderParams) -> TailKey {
        TailKey {
            topic: topic.into(),
            crypto_failure_action: params.crypto_failure_action,
            speaker: self.speaker(id),
        }
    }

    fn join(
        &mut self,
        id: SocketId,
        session: ConsumerSession,
        private: bool,
        hub: HubSpec,
        spec: MemberSpec,
    ) {
        let home = match private {
            true => self.index,
            false => home_shard(&hub.topics, self.shards()),
        };
        let key = HubKey {
            topics: hub.topics.clone(),
            subscription: hub.subscription.clone(),
            durable: hub.durable,
            speaker: self.speaker(id),
            private: private.then(|| id.member()),
        };
        if let Some(entry) = self.sockets.get(id) {
            entry.role = Role::Consumer { session, home };
        }
        self.post(
            home,
            Post::Join(Box::new(Join {
                key,
                hub,
                member: id.member(),
                spec,
            })),
        );
    }
}

fn wanted(endpoint: Endpoint, query: &Query) -> Result<Wanted, Refusal> {
    let topic = &endpoint.topic;
    let consumer = |topics, subscription: String| {
        let params = ConsumerParams::parse(query, topic, &subscription)?;
        Ok(Wanted::Consumer {
            topics,
            subscription,
            params,
        })
    };
    match endpoint.kind {
        EndpointKind::Producer => Ok(Wanted::Producer(ProducerParams::parse(query))),
        EndpointKind::Reader => Ok(Wanted::Reader(ReaderParams::parse(query, topic))),
        EndpointKind::Consumer { subscription } => {
            consumer(TopicSet::Named(vec![topic.clone()]), subscription)
        }
        EndpointKind::MultiTopicConsumer {
            subscription,
            topics,
        } => consumer(topics, subscription),
    }
}

/// As the hub takes them.
fn compiled(topics: TopicSet) -> Result<Topics, Refusal> {
    match topics {
        TopicSet::Named(names) => {
            let names = names.iter().map(|name| name.as_str().into());
            Ok(Topics::Named(names.collect()))
        }
        TopicSet::Pattern(text) => {
            let pattern = text.compile().map_err(Refusal::invalid_params)?;
            Ok(Topics::Pattern(Arc::new(pattern)))
        }
    }
}

fn window(deflate: &PerMessageDeflate) -> Window {
    deflate
        .server_max_window_bits
        .map_or(Window::FULL, Window::new)
}

/// The shard that what is shared by all who ask for the same topics lives on.
pub fn home_shard(topics: impl Hash, shards: usize) -> usize {
    let mut hasher = rustc_hash::FxHasher::default();
    topics.hash(&mut hasher);
    (hasher.finish() % shards as u64) as usize
}

pub fn random_name(digits: usize) -> String {
    (0..digits).map(|_| fastrand::digit(16)).collect()
}
