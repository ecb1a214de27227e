//! A producer socket: frames in become upstream sends, receipts become ack frames.
//!
//! One upstream producer for each partition, which sockets with equal wishes share (`upstreams`); acks go out in the order
//! in which the broker confirms.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::frames::append_frame;
use super::routing::Router;
use super::upstreams::Upstreams;
use crate::api::{
    self, Batching, ClientKey, MessageEncryption, ProducerParams, PublishError, WebSocketError,
    append_ack, append_error, parse_publish,
};
use crate::pulsar::client::{
    BatchingSpec, Client, Principal, ProducerId, ProducerSpec, SendEncryption, SendFields,
    SendRefused, Tag,
};
use crate::pulsar::crypto::Sealing;
use crate::pulsar::{BrokerError, MessageId, wire};

/// How long a data key is used, as in Java's ProducerImpl; public keys that have changed count from the next one on.
/// Java renews it by a timer, here the next message that is published does.
const SEALING_MS: u64 = 4 * 60 * 60 * 1000;

/// When no new one can be had (a public key is missing by now), the old one goes on for so long.
const SEALING_RETRY_MS: u64 = 60_000;

/// How far the opening of the upstream producers is.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    Waiting,
    /// Every partition has its producer: the handshake may be answered.
    Open,
    Refused(BrokerError),
}

/// Both clocks at the time of an input.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic.
    pub mono_ms: u64,
    /// Since 1970.
    pub wall_ms: u64,
}

/// Whose answer it is: the producer, and its partition here.
#[derive(Clone, Copy, Debug)]
pub struct At {
    pub now_ms: u64,
    pub place: usize,
    pub producer: ProducerId,
}

pub struct ProducerSession {
    /// Names the socket towards its upstream producers.
    owner: Tag,
    /// Its producers may be others', too.
    shares: bool,
    topic: String,
    principal: Principal,
    params: ProducerParams,
    /// Not empty: the client encrypts.
    encryption_keys: Arc<[Bytes]>,
    /// The gateway encrypts.
    sealed: Option<Sealed>,
    /// Picks the first partition of keyless messages; Java takes a random one.
    seed: u32,
    router: Router,
    /// How many partitions there will be; 0: the topic is not partitioned.
    count: u32,
    /// What all its producers are called; the first one's, once it is made.
    name: Option<String>,
    /// The handshake may be answered: from now on a refused partition ends nothing.
    open: bool,
    partitions: Vec<Partition>,
    pending_bytes: usize,
}

/// What all its producers encrypt with, and when that is to be replaced.
struct Sealed {
    sealing: Arc<Sealing>,
    renew_ms: u64,
}

struct Partition {
    producer: ProducerId,
    ready: bool,
    /// The broker has ended the producer for good; sends are refused with this.
    failed: Option<BrokerError>,
    /// Sent and not yet answered, in order.
    pending: VecDeque<Pending>,
    /// What is pending on the shared producer from before there was one of its own, which waits for it.
    earlier: Option<Box<Earlier>>,
}

struct Earlier {
    producer: ProducerId,
    pending: VecDeque<Pending>,
}

struct Pending {
    context: Option<Box<str>>,
    bytes: usize,
}

impl Partition {
    fn new(producer: ProducerId) -> Partition {
        Partition {
            producer,
            ready: false,
            failed: None,
            pending: VecDeque::new(),
            earlier: None,
        }
    }

    /// What is pending on this producer of it.
    fn pending_on(&mut self, producer: ProducerId) -> &mut VecDeque<Pending> {
        match &mut self.earlier {
            Some(earlier) if earlier.producer == producer => &mut earlier.pending,
            _ => &mut self.pending,
        }
    }
}

impl ProducerSession {
    /// `may_share`: where its client asks for nothing that only a producer of its own can give.
    pub fn new(
        owner: Tag,
        may_share: bool,
        topic: String,
        principal: Principal,
        mut params: ProducerParams,
        seed: u32,
    ) -> ProducerSession {
        let client_keys = std::mem::take(&mut params.client_keys);
        ProducerSession {
            owner,
            shares: may_share && params.is_anonymous(),
            topic,
            principal,
            router: router(&params, 1, 0),
            encryption_keys: client_keys.iter().map(encryption_key).collect(),
            sealed: None,
            params,
            seed,
            count: 0,
            name: None,
            open: false,
            partitions: Vec::new(),
            pending_bytes: 0,
        }
    }

    /// In whose name it publishes.
    pub fn principal(&self) -> Principal {
        self.principal
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The gateway's keys that its messages are to be encrypted for; with some, nothing is opened before
    /// [`Self::sealed`].
    pub fn key_names(&self) -> &[String] {
        &self.params.key_names
    }

    /// Whether [`Self::sealed`] was called.
    pub fn is_sealed(&self) -> bool {
        self.sealed.is_some()
    }

    /// From now on messages are encrypted with this.
    pub fn sealed(&mut self, now: Now, client: &mut Client, sealing: &Arc<Sealing>) {
        for partition in &self.partitions {
            client.reseal(partition.producer, sealing.clone());
        }
        self.sealed = Some(Sealed {
            sealing: sealing.clone(),
            renew_ms: now.mono_ms.saturating_add(SEALING_MS),
        });
    }

    /// Whether a new data key is to be made for [`Self::sealed`]. Says it once; when none comes, again after a while.
    pub fn wants_sealing(&mut self, now: Now) -> bool {
        let due = |sealed: &mut Sealed| {
            let is_due = sealed.renew_ms <= now.mono_ms;
            if is_due {
                sealed.renew_ms = now.mono_ms.saturating_add(SEALING_RETRY_MS);
            }
            is_due
        };
        self.sealed.as_mut().is_some_and(due)
    }

    /// Its upstream producers so far.
    pub fn producers(&self) -> impl Iterator<Item = ProducerId> + '_ {
        self.partitions.iter().flat_map(|partition| {
            let earlier = partition.earlier.as_ref().map(|earlier| earlier.producer);
            earlier.into_iter().chain([partition.producer])
        })
    }

    /// Lets go of all of them.
    pub fn end(self, now: Now, upstreams: &mut Upstreams<'_>) {
        for producer in self.producers() {
            upstreams.leave(now.mono_ms, self.owner, producer);
        }
    }

    /// What waits for a receipt: whole frames, contexts, places in tables.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    pub fn has_pending(&self) -> bool {
        self.partitions
            .iter()
            .any(|partition| !partition.pending.is_empty() || partition.earlier.is_some())
    }

    /// The topic's partitions are counted: opens the first producer. The others follow under its name, as in Java's
    /// PartitionedProducerImpl.
    pub fn counted(
        &mut self,
        now: Now,
        upstreams: &mut Upstreams<'_>,
        count: Result<u32, BrokerError>,
    ) -> Progress {
        match count {
            Ok(count) => {
                self.count = count;
                self.router = router(&self.params, count, self.seed);
                self.open_next(now, upstreams, self.params.producer_name.clone());
                self.progress(now, upstreams)
            }
            Err(error) => Progress::Refused(error),
        }
    }

    /// The topic has so many partitions by now. Messages go to the new ones once all of them have a producer, as in
    /// Java's PartitionedProducerImpl; one that was refused is tried again.
    pub fn grown(&mut self, now: Now, upstreams: &mut Upstreams<'_>, count: u32) -> Progress {
        if !self.open || self.count == 0 {
            return Progress::Waiting;
        }
        for place in 0..self.partitions.len() {
            let partition = &self.partitions[place];
            if !partition.ready && partition.failed.is_some() {
                self.partitions[place] =
                    self.open_partition(now, upstreams, place, self.name.clone());
            }
        }
        self.count = self.count.max(count);
        self.progress(now, upstreams)
    }

    fn open_next(&mut self, now: Now, upstreams: &mut Upstreams<'_>, name: Option<String>) {
        let partition = self.open_partition(now, upstreams, self.partitions.len(), name);
        self.partitions.push(partition);
    }

    fn open_partition(
        &self,
        now: Now,
        upstreams: &mut Upstreams<'_>,
        place: usize,
        name: Option<String>,
    ) -> Partition {
        if self.shares {
            let spec = self.spec(place, None);
            let (producer, ready) = upstreams.share(now.mono_ms, self.owner, place, spec);
            return Partition {
                ready,
                ..Partition::new(producer)
            };
        }
        let spec = self.spec(place, name);
        Partition::new(upstreams.open(now.mono_ms, self.owner, place, spec))
    }

    fn spec(&self, partition: usize, name: Option<String>) -> ProducerSpec {
        let topic = match self.count {
            0 => self.topic.clone(),
            _ => format!("{}-partition-{partition}", self.topic),
        };
        ProducerSpec {
            principal: self.principal,
            topic,
            name,
            initial_sequence_id: self.params.initial_sequence_id,
            send_timeout_ms: self.params.send_timeout_ms.into(),
            encryption_keys: self.encryption_keys.clone(),
            sealing: self.sealed.as_ref().map(|sealed| sealed.sealing.clone()),
            compression: compression(self.params.compression),
            batching: self.params.batching.map(batching),
        }
    }

    /// The broker has made the producer of this partition, under this name.
    pub fn ready(
        &mut self,
        now: Now,
        upstreams: &mut Upstreams<'_>,
        partition: usize,
        name: &str,
    ) -> Progress {
        if let Some(partition) = self.partitions.get_mut(partition) {
            partition.ready = true;
        }
        self.name.get_or_insert_with(|| name.to_owned());
        self.progress(now, upstreams)
    }

    /// When the first producer is there the others are opened; when all are, the session is open.
    fn progress(&mut self, now: Now, upstreams: &mut Upstreams<'_>) -> Progress {
        let first_is_there = self.partitions.first().is_some_and(|first| first.ready);
        while (first_is_there || self.open) && self.partitions.len() < self.count as usize {
            self.open_next(now, upstreams, self.name.clone());
        }
        if !self.partitions.iter().all(|partition| partition.ready) {
            return Progress::Waiting;
        }
        if std::mem::replace(&mut self.open, true) {
            self.router.grow(self.count);
            return Progress::Waiting;
        }
        Progress::Open
    }

    /// The broker refuses this partition's producer, or has ended it for good. After the handshake the socket stays
    /// open and its messages are answered with the error.
    pub fn failed(
        &mut self,
        partition: usize,
        producer: ProducerId,
        error: BrokerError,
    ) -> Progress {
        let partition = self.partitions.get_mut(partition);
        let Some(partition) = partition.filter(|partition| partition.producer == producer) else {
            return Progress::Waiting;
        };
        if !self.open {
            return Progress::Refused(error);
        }
        partition.failed = Some(error);
        Progress::Waiting
    }

    /// One frame of the client. What is wrong with it by itself is answered at once, into `out`.
    pub fn publish(
        &mut self,
        now: Now,
        upstreams: &mut Upstreams<'_>,
        frame: &mut [u8],
        out: &mut Vec<u8>,
    ) {
        let client_encrypts = !self.encryption_keys.is_empty();
        let message = match parse_publish(frame, client_encrypts) {
            Ok(message) => message,
            Err(refused) => return refuse(&refused, out),
        };
        if self.shares && message.sequence_id.is_some() {
            self.part(now, upstreams);
        }
        let place = self.router.choose(message.key, now.wall_ms);
        let Some(partition) = self.partitions.get_mut(place) else {
            return;
        };
        if let Some(error) = &partition.failed {
            return append_frame(out, |out| {
                append_error(
                    WebSocketError::UnknownError,
                    &error.message,
                    message.context,
                    out,
                );
            });
        }
        if self.params.is_full(partition.pending.len()) {
            return append_frame(out, |out| {
                let text = "Producer send queue is full";
                append_error(WebSocketError::UnknownError, text, message.context, out);
            });
        }
        let fields = SendFields {
            properties: &message.properties,
            partition_key: message.key,
            event_time_ms: message.event_time_ms.map(|time_ms| time_ms as u64),
            deliver_at_ms: message.deliver_at_ms(now.wall_ms as i64),
            replicate_to: &message.replicate_to,
            encryption: client_encrypts
                .then(|| encryption(&message.encryption, message.payload_len())),
            sequence_id: message.sequence_id,
            publish_time_ms: now.wall_ms,
            ..SendFields::default()
        };
        let client = &mut *upstreams.client;
        let before_bytes = client.pending_bytes();
        let sent = client.send(
            now.mono_ms,
            partition.producer,
            self.owner,
            &fields,
            message.payload_len(),
            |out| message.decode_payload(out),
        );
        match sent {
            Ok(()) => {
                // What the client machine keeps for it (none of a message that it has refused by itself), and our own.
                let bytes = client.pending_bytes().saturating_sub(before_bytes)
                    + message.context.map_or(0, str::len)
                    + size_of::<Pending>();
                self.pending_bytes += bytes;
                partition.pending.push_back(Pending {
                    context: message.context.map(Into::into),
                    bytes,
                });
            }
            Err(SendRefused::Fill(refused)) => refuse(&refused, out),
            Err(SendRefused::PayloadLength | SendRefused::NoProducer) => append_frame(out, |out| {
                let text = "The producer is closed";
                append_error(WebSocketError::UnknownError, text, message.context, out);
            }),
        }
    }

    /// From now on it has producers of its own: sequence ids of its client's choice are its own, and the broker compares
    /// them by producer. They begin when all that is pending before them is answered, so that order holds.
    fn part(&mut self, now: Now, upstreams: &mut Upstreams<'_>) {
        self.shares = false;
        self.name = None;
        for place in 0..self.partitions.len() {
            if self.partitions[place].failed.is_some() {
                continue;
            }
            let spec = self.spec(place, None);
            let own = upstreams.prepare(self.owner, place, spec);
            let partition = &mut self.partitions[place];
            let shared = std::mem::replace(&mut partition.producer, own);
            if partition.pending.is_empty() {
                upstreams.leave(now.mono_ms, self.owner, shared);
                upstreams.client.start_producer(now.mono_ms, own);
            } else {
                partition.earlier = Some(Box::new(Earlier {
                    producer: shared,
                    pending: std::mem::take(&mut partition.pending),
                }));
            }
        }
    }

    /// The broker has the oldest pending message of this partition's producer.
    pub fn receipt(
        &mut self,
        at: At,
        upstreams: &mut Upstreams<'_>,
        id: MessageId,
        out: &mut Vec<u8>,
    ) {
        let id = match self.count {
            0 => id,
            _ => MessageId {
                partition: at.place as i32,
                ..id
            },
        };
        if let Some(context) = self.settle(at, upstreams) {
            append_frame(out, |out| append_ack(&id, context.as_deref(), out));
        }
    }

    /// The oldest pending message of this partition's producer is refused or timed out.
    pub fn send_failed(
        &mut self,
        at: At,
        upstreams: &mut Upstreams<'_>,
        error: &BrokerError,
        out: &mut Vec<u8>,
    ) {
        if let Some(context) = self.settle(at, upstreams) {
            append_frame(out, |out| {
                append_error(
                    WebSocketError::UnknownError,
                    &error.message,
                    context.as_deref(),
                    out,
                );
            });
        }
    }

    /// Takes the oldest pending message off; gives its context.
    fn settle(&mut self, at: At, upstreams: &mut Upstreams<'_>) -> Option<Option<Box<str>>> {
        let partition = self.partitions.get_mut(at.place)?;
        let pending = partition.pending_on(at.producer).pop_front()?;
        self.pending_bytes -= pending.bytes;
        let done = |earlier: &mut Box<Earlier>| earlier.pending.is_empty();
        if let Some(earlier) = partition.earlier.take_if(done) {
            upstreams.leave(at.now_ms, self.owner, earlier.producer);
            let own = partition.producer;
            upstreams.client.start_producer(at.now_ms, own);
        }
        Some(pending.context)
    }
}

/// Answers a message that is wrong by itself.
fn refuse(refused: &PublishError<'_>, out: &mut Vec<u8>) {
    append_frame(out, |out| {
        append_error(refused.error, &refused.message, refused.context, out);
    });
}

/// As it stands in the metadata of every message.
fn encryption_key(key: &ClientKey) -> Bytes {
    let metadata = key.metadata.iter();
    let metadata: Vec<(&str, &str)> = metadata
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    wire::encode_encryption_key(&key.name, &key.value, &metadata)
}

/// A size that can be none is the payload's, as in Java's `ProducerImpl.updateMessageMetadata`.
fn encryption(asked: &MessageEncryption, payload_len: usize) -> SendEncryption<'_> {
    let (asked_compression, size) = asked.compression.unwrap_or_default();
    SendEncryption {
        param: asked.param.as_deref(),
        compression: compression(asked_compression),
        uncompressed_size: match size {
            1.. => size.unsigned_abs(),
            _ => payload_len as u32,
        },
        keys: &[],
        batch_size: None,
    }
}

fn compression(asked: api::Compression) -> Option<wire::Compression> {
    match asked {
        api::Compression::None => None,
        api::Compression::Lz4 => Some(wire::Compression::Lz4),
        api::Compression::Zlib => Some(wire::Compression::Zlib),
        api::Compression::Zstd => Some(wire::Compression::Zstd),
        api::Compression::Snappy => Some(wire::Compression::Snappy),
    }
}

fn batching(asked: Batching) -> BatchingSpec {
    BatchingSpec {
        max_messages: u32::try_from(asked.max_messages).unwrap_or(0),
        max_delay_ms: asked.max_publish_delay_ms.into(),
    }
}

fn router(params: &ProducerParams, partitions: u32, first: u32) -> Router {
    let batch_delay_ms = params
        .batching
        .map(|batching| batching.max_publish_delay_ms);
    Router::new(
        params.routing_mode,
        params.hashing_scheme,
        batch_delay_ms,
        partitions,
        first,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Query;
    use crate::pulsar::client::{ClientConfig, LookupBy};

    const HOUR_MS: u64 = 60 * 60 * 1000;

    fn at(mono_ms: u64) -> Now {
        Now {
            mono_ms,
            wall_ms: 0,
        }
    }

    fn client() -> Client {
        Client::new(ClientConfig {
            service_urls: Vec::new(),
            lookup_by: LookupBy::Broker,
            connections_per_broker: 1,
            connection_timeout_ms: 1,
            operation_timeout_ms: 1,
            keep_alive_ms: 1,
            backoff_first_ms: 1,
            backoff_last_ms: 1,
            seed: 1,
        })
    }

    #[test]
    fn a_data_key_is_renewed_every_four_hours_and_goes_on_where_there_is_no_new_one() {
        let query = Query::parse("encryptionKeys=alice").unwrap();
        let params = ProducerParams::parse(&query).unwrap();
        let topic = "persistent://p/d/t".to_owned();
        let gateway = Principal::GATEWAY;
        let mut session = ProducerSession::new(1, true, topic, gateway, params, 0);
        let mut client = client();
        assert_eq!(session.key_names(), ["alice"]);
        assert!(!session.is_sealed() && !session.wants_sealing(at(9 * HOUR_MS)));
        let sealing = Arc::new(Sealing::new(&[]).unwrap());
        session.sealed(at(0), &mut client, &sealing);
        assert!(session.is_sealed());
        assert!(!session.wants_sealing(at(4 * HOUR_MS - 1)));
        assert!(session.wants_sealing(at(4 * HOUR_MS)));
        // None has come.
        assert!(!session.wants_sealing(at(4 * HOUR_MS + 59_999)));
        assert!(session.wants_sealing(at(4 * HOUR_MS + 60_000)));
        session.sealed(at(5 * HOUR_MS), &mut client, &sealing);
        assert!(!session.wants_sealing(at(9 * HOUR_MS - 1)));
        assert!(session.wants_sealing(at(9 * HOUR_MS)));
    }
}
