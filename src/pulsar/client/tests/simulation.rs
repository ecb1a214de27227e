//! A seeded world: two brokers between which topics move, links that are slow and break, refusals, and a machine with
//! producers and readers that must not notice. `PWS_SEED=n` replays one seed.
//!
//! Claims: every send is answered exactly once and in order; a frame that goes out again is the same bytes; nothing
//! is sent again that was confirmed; a reader gets every entry once, in order; in the end nothing is pending.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use ::pulsar::proto::command_lookup_topic_response::LookupType;

use super::*;

const HOSTS: [&str; 2] = ["a", "b"];
const PRODUCERS: usize = 3;
const READERS: usize = 2;
const SENDS: u64 = 120;
const ENTRIES: u64 = 80;
const ENTRY_INTERVAL_MS: u64 = 600;
/// Trouble ends here; what is open must then come to its end.
const CALM_MS: u64 = 60_000;
const END_MS: u64 = 400_000;

/// One direction of one connection: bytes that arrive later, in order.
#[derive(Default)]
struct Pipe {
    frames: VecDeque<(u64, Bytes)>,
    last_ms: u64,
}

impl Pipe {
    fn push(&mut self, now_ms: u64, delay_ms: u64, frame: Bytes) {
        self.last_ms = self.last_ms.max(now_ms + delay_ms);
        self.frames.push_back((self.last_ms, frame));
    }

    fn due(&mut self, now_ms: u64) -> Option<Bytes> {
        let (at_ms, _) = self.frames.front()?;
        (*at_ms <= now_ms).then(|| self.frames.pop_front().map(|(_, frame)| frame))?
    }
}

/// A reader at its broker.
struct Cursor {
    next: u64,
    permits: u64,
}

#[derive(Default)]
struct Link {
    host: String,
    to_broker: Pipe,
    to_client: Pipe,
    unread: BytesMut,
    /// In order: a seed is to play the same every time.
    producers: BTreeSet<u64>,
    readers: BTreeMap<u64, Cursor>,
}

struct Simulation {
    rng: fastrand::Rng,
    world: World,
    links: BTreeMap<ConnectionId, Link>,
    dialling: Vec<(u64, ConnectionId, String)>,
    owner: usize,
    /// What each producer's frames were, by sequence id.
    frames: HashMap<(u64, u64), Bytes>,
    /// The first appearance of each message at a broker.
    log: HashMap<u64, Vec<u64>>,
    confirmed: HashSet<(u64, u64)>,
    sent: BTreeMap<ProducerId, u64>,
    answered: BTreeMap<ProducerId, u64>,
    read: BTreeMap<ConsumerId, u64>,
    timeouts: bool,
}

impl Simulation {
    fn new(seed: u64) -> Simulation {
        let mut rng = fastrand::Rng::with_seed(seed);
        let timeouts = rng.bool();
        let mut world = World::new(ClientConfig {
            service_urls: HOSTS.map(address).to_vec(),
            lookup_by: LookupBy::Broker,
            connections_per_broker: rng.usize(1..3),
            connection_timeout_ms: 10_000,
            backoff_last_ms: 5_000,
            keep_alive_ms: 10_000,
            operation_timeout_ms: 600_000,
            seed,
            ..config()
        });
        let mut sent = BTreeMap::new();
        for index in 0..PRODUCERS {
            let spec = ProducerSpec {
                topic: format!("{TOPIC}-{index}"),
                send_timeout_ms: if timeouts { 3_000 } else { 0 },
                ..producer_spec()
            };
            sent.insert(world.client.open_producer(world.now_ms, spec), 0);
        }
        let mut read = BTreeMap::new();
        for _ in 0..READERS {
            let spec = ConsumerSpec {
                durable: false,
                start: Some(StartPosition::Earliest),
                ..consumer_spec()
            };
            read.insert(world.client.open_consumer(world.now_ms, spec), 0);
        }
        Simulation {
            answered: sent.clone(),
            rng,
            world,
            links: BTreeMap::new(),
            dialling: Vec::new(),
            owner: 0,
            frames: HashMap::new(),
            log: HashMap::new(),
            confirmed: HashSet::new(),
            sent,
            read,
            timeouts,
        }
    }

    fn calm(&self) -> bool {
        self.world.now_ms > CALM_MS
    }

    fn unlucky(&mut self, one_in: u32) -> bool {
        !self.calm() && self.rng.u32(0..one_in) == 0
    }

    /// How many entries the readers' topic has by now.
    fn published(&self) -> u64 {
        (self.world.now_ms / ENTRY_INTERVAL_MS).min(ENTRIES)
    }

    fn delay_ms(&mut self) -> u64 {
        if self.unlucky(50) {
            self.rng.u64(0..3_000)
        } else {
            self.rng.u64(0..20)
        }
    }

    fn run(&mut self) {
        while self.world.now_ms < END_MS {
            self.world.now_ms += self.rng.u64(1..40);
            self.trouble();
            self.send_some();
            self.carry();
            self.world.client.tick(self.world.now_ms);
            self.take_output();
            self.check_events();
            if self.calm() && self.is_done() {
                return;
            }
        }
        panic!(
            "not done: sent {:?}, answered {:?}, read {:?}",
            self.sent, self.answered, self.read
        );
    }

    fn is_done(&self) -> bool {
        self.sent.values().all(|sent| *sent == SENDS)
            && self.answered == self.sent
            && self.read.values().all(|read| *read == ENTRIES)
            && self.world.client.pending_bytes() == 0
    }

    fn trouble(&mut self) {
        if self.unlucky(80) {
            self.owner = 1 - self.owner;
            let now_ms = self.world.now_ms;
            for link in self.links.values_mut() {
                for id in std::mem::take(&mut link.producers) {
                    let frame = wire::encode_command(&close_producer(ProducerId(id)));
                    link.to_client.push(now_ms, 1, frame);
                }
                for id in std::mem::take(&mut link.readers).into_keys() {
                    let frame = wire::encode_command(&close_consumer(ConsumerId(id)));
                    link.to_client.push(now_ms, 1, frame);
                }
            }
        }
        if self.unlucky(60)
            && let Some(id) = self
                .rng
                .choice(self.links.keys().copied().collect::<Vec<_>>())
        {
            self.links.remove(&id);
            self.world.client.lost(self.world.now_ms, id);
        }
    }

    fn send_some(&mut self) {
        for (producer, sent) in &mut self.sent {
            if *sent < SENDS && self.rng.u32(0..20) == 0 {
                let large = self.rng.u32(0..10) == 0;
                let payload = vec![*sent as u8; if large { 6_000 } else { 30 }];
                self.world.send(*producer, *sent, &payload);
                *sent += 1;
            }
        }
    }

    /// Dials, and moves what has arrived.
    fn carry(&mut self) {
        let now_ms = self.world.now_ms;
        for (at_ms, id, host) in std::mem::take(&mut self.dialling) {
            if at_ms > now_ms {
                self.dialling.push((at_ms, id, host));
            } else if self.unlucky(4) {
                self.world.client.connect_failed(now_ms, id, "refused");
            } else {
                let link = Link {
                    host,
                    ..Default::default()
                };
                self.links.insert(id, link);
                self.world.client.connected(now_ms, id);
            }
        }
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            while let Some(frame) = self
                .links
                .get_mut(&id)
                .and_then(|l| l.to_broker.due(now_ms))
            {
                self.broker(id, frame);
            }
            self.feed_readers(id);
            while let Some(link) = self.links.get_mut(&id)
                && let Some(frame) = link.to_client.due(now_ms)
            {
                link.unread.extend_from_slice(&frame);
                let mut unread = std::mem::take(&mut link.unread);
                self.world.client.received(now_ms, id, &mut unread);
                if let Some(link) = self.links.get_mut(&id) {
                    link.unread = unread;
                }
            }
        }
    }

    fn take_output(&mut self) {
        self.world.pump();
        let now_ms = self.world.now_ms;
        for id in std::mem::take(&mut self.world.closed) {
            self.links.remove(&id);
            self.dialling.retain(|(_, other, _)| *other != id);
        }
        while let Some((id, address)) = self.world.dialled.pop_front() {
            let at_ms = now_ms + self.delay_ms();
            self.dialling.push((at_ms, id, address.host));
        }
        while let Some(said) = self.world.said.pop_front() {
            let delay_ms = self.delay_ms();
            if let Some(link) = self.links.get_mut(&said.connection) {
                link.to_broker.push(now_ms, delay_ms, said.frame);
            }
        }
    }

    fn reply(&mut self, id: ConnectionId, command: &BaseCommand) {
        let delay_ms = self.delay_ms();
        if let Some(link) = self.links.get_mut(&id) {
            let frame = wire::encode_command(command);
            link.to_client.push(self.world.now_ms, delay_ms, frame);
        }
    }

    /// One command at a broker.
    fn broker(&mut self, id: ConnectionId, frame: Bytes) {
        let size = u32::from_be_bytes(frame[4..8].try_into().expect("four")) as usize;
        let command = BaseCommand::decode(&frame[8..8 + size]).expect("a command");
        let owner = HOSTS[self.owner];
        let here = self.links.get(&id).is_some_and(|link| link.host == owner);
        let not_ready =
            |request_id| error(request_id, proto::ServerError::ServiceNotReady, "moving");
        if command.connect.is_some() {
            self.reply(id, &connected(1 << 20));
        } else if let Some(lookup) = command.lookup_topic {
            let answer = if self.unlucky(8) {
                not_ready(lookup.request_id)
            } else if self.unlucky(5) {
                lookup_answer(lookup.request_id, LookupType::Redirect, owner)
            } else {
                lookup_answer(lookup.request_id, LookupType::Connect, owner)
            };
            self.reply(id, &answer);
        } else if let Some(create) = command.producer {
            let answer = if !here || self.unlucky(6) {
                not_ready(create.request_id)
            } else {
                // One producer of a name can write: what an earlier one had on its way on another connection is late.
                for link in self.links.values_mut() {
                    link.producers.remove(&create.producer_id);
                }
                if let Some(link) = self.links.get_mut(&id) {
                    link.producers.insert(create.producer_id);
                }
                let name = create
                    .producer_name
                    .unwrap_or_else(|| format!("p{}", create.producer_id));
                producer_success(create.request_id, &name, -1)
            };
            self.reply(id, &answer);
        } else if let Some(send) = command.send {
            self.persist(id, send.producer_id, send.sequence_id, frame);
        } else if let Some(subscribe) = command.subscribe {
            let answer = if !here || self.unlucky(6) {
                not_ready(subscribe.request_id)
            } else {
                let start = subscribe.start_message_id.expect("a reader's start");
                // Earliest is −1; else one step back, so that the named entry comes again.
                let next = if start.ledger_id == u64::MAX {
                    0
                } else {
                    start.entry_id
                };
                if let Some(link) = self.links.get_mut(&id) {
                    let cursor = Cursor { next, permits: 0 };
                    link.readers.insert(subscribe.consumer_id, cursor);
                }
                success(subscribe.request_id)
            };
            self.reply(id, &answer);
        } else if let Some(flow) = command.flow {
            if let Some(cursor) = self
                .links
                .get_mut(&id)
                .and_then(|link| link.readers.get_mut(&flow.consumer_id))
            {
                cursor.permits += u64::from(flow.message_permits);
            }
        } else if command.ping.is_some() {
            self.reply(id, &commands::pong());
        }
    }

    fn persist(&mut self, id: ConnectionId, producer: u64, sequence_id: u64, frame: Bytes) {
        let known = self
            .links
            .get(&id)
            .is_some_and(|link| link.producers.contains(&producer));
        if !known {
            // As the broker does for a producer that it has just closed.
            return;
        }
        let key = (producer, sequence_id);
        if let Some(earlier) = self.frames.insert(key, frame.clone()) {
            assert_eq!(
                earlier, frame,
                "a frame that changed when it was sent again"
            );
        }
        assert!(
            !self.confirmed.contains(&key),
            "{key:?} was confirmed and sent again"
        );
        let log = self.log.entry(producer).or_default();
        if !log.contains(&sequence_id) {
            log.push(sequence_id);
        }
        if self.unlucky(100) {
            let refused = send_error(
                ProducerId(producer),
                sequence_id,
                proto::ServerError::PersistenceError,
            );
            self.reply(id, &refused);
        } else {
            self.reply(id, &receipt(ProducerId(producer), sequence_id));
        }
    }

    fn feed_readers(&mut self, id: ConnectionId) {
        let now_ms = self.world.now_ms;
        let published = self.published();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        for (reader, cursor) in &mut link.readers {
            while cursor.permits > 0 && cursor.next < published {
                let frame = message(ConsumerId(*reader), cursor.next, None, None);
                link.to_client.push(now_ms, 1, frame);
                cursor.next += 1;
                cursor.permits -= 1;
            }
        }
    }

    fn check_events(&mut self) {
        while let Some(event) = self.world.events.pop_front() {
            match event {
                Event::Receipt { producer, tag, id } => {
                    self.answer(producer, tag);
                    self.confirmed.insert((producer.0, id.entry));
                }
                Event::SendFailed {
                    producer,
                    tag,
                    error,
                } => {
                    assert!(self.timeouts, "{error:?}");
                    assert_eq!(error.kind, ErrorKind::Timeout);
                    self.answer(producer, tag);
                }
                Event::ConsumerReady { consumer } | Event::ConsumerResumed { consumer } => {
                    self.world.client.flow(consumer, 5);
                }
                Event::Entry { consumer, entry } => {
                    let read = self.read.get_mut(&consumer).expect("a reader");
                    assert_eq!(entry.entry, *read, "{consumer:?} missed or repeated one");
                    *read += 1;
                    self.world.client.flow(consumer, 1);
                }
                Event::ProducerReady { .. } | Event::ConsumerLost { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn answer(&mut self, producer: ProducerId, tag: Tag) {
        let answered = self.answered.get_mut(&producer).expect("a producer");
        assert_eq!(
            tag, *answered,
            "{producer:?} was answered out of order or twice"
        );
        *answered += 1;
    }
}

fn simulate(seed: u64) {
    let outcome = std::panic::catch_unwind(|| {
        let mut simulation = Simulation::new(seed);
        simulation.run();
        for (producer, log) in &simulation.log {
            assert!(log.is_sorted(), "producer {producer} arrived out of order");
            if !simulation.timeouts {
                assert_eq!(log.len() as u64, SENDS, "producer {producer} lost messages");
            }
        }
    });
    if let Err(cause) = outcome {
        eprintln!("failed with PWS_SEED={seed}");
        std::panic::resume_unwind(cause);
    }
}

#[test]
fn nothing_is_lost_repeated_or_reordered_whatever_breaks() {
    if let Some(seed) = std::env::var("PWS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        return simulate(seed);
    }
    for seed in 0..if cfg!(miri) { 1 } else { 200 } {
        simulate(seed);
    }
}
