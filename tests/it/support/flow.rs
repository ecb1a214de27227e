//! A stream of numbered messages through one topic, with every kind of socket on it, and what must be true of what came
//! out: nothing lost, nothing twice, in order on every socket, no socket closed.
//!
//! A number may come twice only where its publish was unconfirmed when something broke ([`Flow::through`] notes those): the
//! gateway then has to send it again and cannot know. What a socket has got once (by message id) never comes again.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pws_fast::pulsar::MessageId;
use serde_json::{Value, json};

use super::client::{base64, payload_of};
use super::{Client, World, eventually};

/// How much is under way at once.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Publishes that may be unconfirmed.
    pub unconfirmed: u64,
    /// How far the producer may be ahead of the slowest receiver: as much as waits in hubs and brokers.
    pub ahead: u64,
}

/// Something is always under way when something breaks, and a debug build on a busy machine keeps up.
const GENTLE: Pace = Pace {
    unconfirmed: 16,
    ahead: 300,
};

/// Messages that have to pass between two disturbances: every window and every permit has been used by then.
const STRETCH: u64 = 2_000;

/// How often a receiver looks whether the test is over, and the producer what it may send.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// What comes again comes within this time after everything is settled; the broker's own delays are below it.
const SILENCE: Duration = Duration::from_millis(500);

/// The durable subscriptions of a flow.
pub const EXCLUSIVE: &str = "exclusive";
pub const SHARED: &str = "shared";
pub const FAILOVER: &str = "failover";
pub const KEY_SHARED: &str = "key_shared";

pub struct Flow {
    topic: String,
    pace: Pace,
    published: Arc<Published>,
    producer: JoinHandle<()>,
    groups: Vec<Group>,
    /// Numbers whose publishes were unconfirmed when something broke.
    repeatable: Vec<Range<u64>>,
    over: Arc<AtomicBool>,
}

#[derive(Default)]
struct Published {
    sent: AtomicU64,
    confirmed: AtomicU64,
    /// The slowest group has this many without a gap.
    taken: AtomicU64,
    enough: AtomicBool,
}

/// The sockets that together get every message once.
struct Group {
    name: &'static str,
    arrived: Arc<Mutex<Arrived>>,
    sockets: Vec<JoinHandle<Got>>,
}

/// What one socket got.
#[derive(Default)]
struct Got {
    deliveries: Vec<Delivery>,
    longest_stall: Duration,
}

#[derive(Default)]
struct Arrived {
    /// Every number below has come.
    whole: u64,
    beyond: BTreeSet<u64>,
}

/// Ordered as in the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Delivery {
    position: (u64, u64, i32),
    number: u64,
}

impl Flow {
    /// A producer, an Exclusive consumer, four Shared ones, a Failover and a Key_Shared one and two readers; sockets are
    /// spread over the shards.
    pub fn start(world: &World, topic: &str) -> Flow {
        Flow::at(world, topic, GENTLE)
    }

    pub fn at(world: &World, topic: &str, pace: Pace) -> Flow {
        let over = Arc::new(AtomicBool::new(false));
        let group = |name, clients: Vec<Client>| {
            let arrived = Arc::new(Mutex::new(Arrived::default()));
            let sockets = clients.into_iter().map(|client| {
                let (arrived, over) = (arrived.clone(), over.clone());
                std::thread::spawn(move || receive(client, &arrived, &over))
            });
            Group {
                name,
                sockets: sockets.collect(),
                arrived: arrived.clone(),
            }
        };
        let shared = format!("{SHARED}?subscriptionType=Shared&receiverQueueSize=50");
        let shared = (0..4).map(|_| world.consumer(topic, &shared)).collect();
        let of_type = |subscription: &str, kind: &str| {
            world.consumer(topic, &format!("{subscription}?subscriptionType={kind}"))
        };
        let groups = vec![
            group("exclusive", vec![world.consumer(topic, EXCLUSIVE)]),
            group("shared", shared),
            group("failover", vec![of_type(FAILOVER, "Failover")]),
            group("key_shared", vec![of_type(KEY_SHARED, "Key_Shared")]),
            group("reader", vec![world.reader(topic)]),
            group("other reader", vec![world.reader(topic)]),
        ];
        let published = Arc::new(Published::default());
        let client = world.producer(&format!("{topic}?sendTimeoutMillis=0"));
        let of_producer = published.clone();
        Flow {
            topic: topic.to_owned(),
            pace,
            producer: std::thread::spawn(move || publish(client, pace, &of_producer)),
            published,
            groups,
            repeatable: Vec::new(),
            over,
        }
    }

    /// Lets the stream flow for a while: returns when every group has got what was published meanwhile.
    pub fn run(&self) {
        self.run_to(self.published.sent.load(Ordering::SeqCst) + STRETCH);
    }

    /// Returns when every group has got all numbers below `goal`. It may take long, but something always moves.
    pub fn run_to(&self, goal: u64) {
        let mut taken = self.taken();
        while taken < goal {
            let before = taken;
            eventually("the stream flows", || {
                taken = self.taken();
                taken > before
            });
        }
    }

    /// Does something to the stream while it flows, and sees it flow again.
    pub fn through(&mut self, disturb: impl FnOnce(&Flow)) {
        let confirmed = self.published.confirmed.load(Ordering::SeqCst);
        disturb(self);
        let sent = self.published.sent.load(Ordering::SeqCst);
        self.repeatable.push(confirmed..sent);
        self.run();
    }

    /// Waits until the producer may send nothing more before a receipt.
    pub fn await_full_window(&self) {
        eventually("the producer waits for receipts", || {
            // Or it waits for receivers, which it only sees by this.
            self.taken();
            let sent = self.published.sent.load(Ordering::SeqCst);
            sent - self.published.confirmed.load(Ordering::SeqCst) == self.pace.unconfirmed
        });
    }

    /// The broker deduplicates: nothing may come twice, whatever broke.
    pub fn forbid_repeats(&mut self) {
        self.repeatable.clear();
    }

    /// Ends the stream, waits until all is settled at the broker, and checks what came out.
    pub fn finish(self, world: &World) {
        for report in self.report(world) {
            let (group, sockets) = (report.group, report.sockets);
            assert!(report.is_clean(), "{group}, {sockets} sockets: {report:?}");
        }
    }

    /// Ends the stream, waits until all is settled at the broker, and counts what came out of it: group by group.
    pub fn report(self, world: &World) -> Vec<Report> {
        self.published.enough.store(true, Ordering::SeqCst);
        eventually("every publish is confirmed", || self.producer.is_finished());
        let sent = self.published.sent.load(Ordering::SeqCst);
        self.run_to(sent);
        for subscription in [EXCLUSIVE, SHARED, FAILOVER, KEY_SHARED] {
            eventually("all is settled at the broker", || {
                let stats = world.admin().stats(&self.topic);
                let stats = stats.as_ref().and_then(|s| s.subscription(subscription));
                stats.is_some_and(|subscription| subscription.backlog == 0)
            });
        }
        super::pause(SILENCE);
        self.over.store(true, Ordering::SeqCst);
        self.producer.join().expect("the producer's socket holds");
        let groups = self.groups.into_iter();
        groups
            .map(|group| group.report(sent, &self.repeatable))
            .collect()
    }

    fn taken(&self) -> u64 {
        let groups = self.groups.iter();
        let taken = groups.map(|group| group.arrived.lock().expect("no panic").whole);
        let taken = taken.min().unwrap_or(0);
        self.published.taken.store(taken, Ordering::SeqCst);
        taken
    }
}

fn publish(mut client: Client, pace: Pace, published: &Published) {
    let mut confirmed = 0;
    let mut sent = 0;
    loop {
        let enough = published.enough.load(Ordering::SeqCst);
        if enough && sent == confirmed {
            return;
        }
        let ahead = sent - published.taken.load(Ordering::SeqCst);
        if !enough && sent - confirmed < pace.unconfirmed && ahead < pace.ahead {
            // Counted first: what is out may be stored at any moment.
            published.sent.store(sent + 1, Ordering::SeqCst);
            let number = sent.to_string();
            client.send_json(json!({ "payload": base64(&number), "context": number }));
            sent += 1;
        } else if sent > confirmed {
            // Where receipts are lost, the receivers may still let it send more.
            let Some(answer) = client.within(LOOK_AROUND) else {
                continue;
            };
            assert_eq!(answer["result"], "ok", "{answer}");
            assert_eq!(answer["context"], confirmed.to_string());
            confirmed += 1;
            published.confirmed.store(confirmed, Ordering::SeqCst);
        } else {
            super::pause(Duration::from_millis(1));
        }
    }
}

fn receive(mut client: Client, arrived: &Mutex<Arrived>, over: &AtomicBool) -> Got {
    let mut got = Got::default();
    let mut last = Instant::now();
    while !over.load(Ordering::SeqCst) {
        let Some(message) = client.within(LOOK_AROUND) else {
            continue;
        };
        client.ack(&message);
        let delivery = Delivery::of(&message);
        arrived.lock().expect("no panic").add(delivery.number);
        got.deliveries.push(delivery);
        got.longest_stall = got.longest_stall.max(last.elapsed());
        last = Instant::now();
    }
    got
}

impl Arrived {
    fn add(&mut self, number: u64) {
        if number >= self.whole {
            self.beyond.insert(number);
        }
        while self.beyond.remove(&self.whole) {
            self.whole += 1;
        }
    }
}

impl Delivery {
    fn of(message: &Value) -> Delivery {
        let id = message["messageId"].as_str().expect("an id");
        let id = base64_simd::STANDARD.decode_to_vec(id).expect("base64");
        let id = MessageId::decode(&id).expect("a message id");
        Delivery {
            position: (id.ledger, id.entry, id.batch_index),
            number: payload_of(message).parse().expect("a number"),
        }
    }
}

impl Group {
    fn report(self, sent: u64, repeatable: &[Range<u64>]) -> Report {
        let mut report = Report {
            group: self.name,
            sockets: self.sockets.len(),
            ..Report::default()
        };
        let mut all = Vec::new();
        for socket in self.sockets {
            let got = socket.join().expect("the receiver's socket holds");
            report.longest_stall = report.longest_stall.max(got.longest_stall);
            let disordered = got.deliveries.windows(2).filter(|pair| pair[0] >= pair[1]);
            report.disordered += disordered.count();
            all.extend(got.deliveries);
        }
        all.sort_unstable();
        report.deliveries = all.len();
        let again = all.windows(2).filter(|pair| pair[0] == pair[1]);
        report.again = again.count();
        let mut next = 0;
        for delivery in all {
            let number = delivery.number;
            if number >= next {
                report.lost += number - next;
                next = number + 1;
            } else if repeatable.iter().any(|range| range.contains(&number)) {
                report.published_twice += 1;
            } else {
                report.unexplained += 1;
            }
        }
        report.lost += sent - next;
        report
    }
}

/// What came out of a stream at the sockets that together get every message once.
#[derive(Debug, Default)]
pub struct Report {
    pub group: &'static str,
    pub sockets: usize,
    pub deliveries: usize,
    /// Numbers that never came.
    pub lost: u64,
    /// Deliveries whose place in the topic is not behind that of the one before, on one socket.
    pub disordered: usize,
    /// Deliveries of a message (an id) that had been delivered before.
    pub again: usize,
    /// Numbers that are in the topic twice, because the broker had not confirmed them when it broke.
    pub published_twice: u64,
    /// Numbers that are in the topic twice for no such reason.
    pub unexplained: u64,
    /// The longest time between two deliveries on one socket.
    pub longest_stall: Duration,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        (self.lost, self.unexplained) == (0, 0) && (self.disordered, self.again) == (0, 0)
    }
}
