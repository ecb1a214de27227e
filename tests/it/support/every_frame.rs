//! Readers of one partitioned topic of whom every delivered frame is checked: those that keep up, slow ones, those that do
//! not read at all for a while, and those that come and go.
//!
//! In the end one more reader reads the topic from its beginning. In each partition every socket must have got exactly what
//! that one got, from where it came in to where it left (or to the end): no gap, no repeat, nothing out of order. What was
//! published after it was let in is owed to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pws_fast::pulsar::MessageId;
use serde_json::{Value, json};

use super::client::{base64, payload_of};
use super::{Client, World, eventually, pause};

/// The last message of each partition.
const END: u64 = u64::MAX;

const KEYS: u64 = 16;
const UNCONFIRMED: u64 = 64;

/// How often a socket looks whether it is over.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// Messages that one of those that come and go takes.
const VISIT: usize = 40;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub messages: u64,
    pub partitions: u32,
    /// Of each kind of socket.
    pub sockets: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// Takes all at once; acks, or needs none.
    Keen { acks: bool },
    /// A window of a few messages, and a pause now and then.
    Slow,
    /// Reads nothing until everything is published.
    Stalled { acks: bool },
    /// Comes and goes.
    Visits,
}

const HABITS: &[Habit] = &[
    Habit::Keen { acks: true },
    Habit::Keen { acks: false },
    Habit::Slow,
    Habit::Stalled { acks: true },
    Habit::Stalled { acks: false },
    Habit::Visits,
];

/// What all threads know.
struct Common {
    address: SocketAddr,
    topic: String,
    partitions: usize,
    sent: AtomicU64,
    /// Everything is published.
    over: AtomicBool,
}

/// What one socket got.
struct Taken {
    habit: Habit,
    /// This and all later numbers were published after it was let in.
    owed_from: u64,
    by_partition: BTreeMap<i32, Vec<Delivery>>,
    ends: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Delivery {
    position: (u64, u64, i32),
    number: u64,
}

/// Publishes, disturbs in between (the argument says for the how manieth time), and checks; how many frames were.
pub fn check(world: &World, topic: &str, size: Size, mut disturb: impl FnMut(u32)) -> usize {
    const DISTURBANCES: u32 = 4;
    world.admin().create_partitioned(topic, size.partitions);
    // Keeps what is published: readers hold nothing.
    world.consumer(topic, "keeps").close();
    let common = Arc::new(Common {
        address: world.address(),
        topic: topic.to_owned(),
        partitions: size.partitions as usize,
        sent: AtomicU64::new(0),
        over: AtomicBool::new(false),
    });
    let sockets: Vec<JoinHandle<Vec<Taken>>> = HABITS
        .iter()
        .flat_map(|habit| std::iter::repeat_n(*habit, size.sockets))
        .map(|habit| {
            let common = common.clone();
            std::thread::spawn(move || common.take_part(habit))
        })
        .collect();
    let producer = world.producer(&format!("{topic}?sendTimeoutMillis=0"));
    let of_producer = common.clone();
    let producer = std::thread::spawn(move || of_producer.publish(producer, size.messages));
    for number in 1..=DISTURBANCES {
        let from = size.messages * u64::from(number) / u64::from(DISTURBANCES + 1);
        eventually("the stream flows", || {
            producer.is_finished() || common.sent.load(Ordering::SeqCst) >= from
        });
        disturb(number);
    }
    producer.join().expect("the producer's socket holds");
    for partition in 0..size.partitions {
        let mut producer = world.producer(&format!("{topic}-partition-{partition}"));
        producer.publish(&END.to_string());
    }
    common.over.store(true, Ordering::SeqCst);
    let whole = common.read_whole();
    whole.has_all(size.messages);
    let mut frames = 0;
    for socket in sockets {
        for taken in socket.join().expect("the socket holds") {
            frames += taken.check(&whole);
        }
    }
    frames
}

impl Common {
    fn publish(&self, mut client: Client, messages: u64) {
        let mut confirmed = 0;
        while confirmed < messages {
            let sent = self.sent.load(Ordering::SeqCst);
            if sent < messages && sent - confirmed < UNCONFIRMED {
                // Counted first: what is out may be delivered at any moment.
                self.sent.store(sent + 1, Ordering::SeqCst);
                let (payload, key) = (base64(&sent.to_string()), (sent % KEYS).to_string());
                client.send_json(json!({ "payload": payload, "key": key }));
            } else {
                let answer = client.json();
                assert_eq!(answer["result"], "ok", "{answer}");
                confirmed += 1;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn open(&self, query: &str) -> (Client, u64) {
        let path = format!(
            "/ws/v2/reader/persistent/public/default/{}?{query}",
            self.topic
        );
        let mut client = None;
        // While a broker is away one may be refused.
        eventually("it is let in", || {
            client = Client::open(self.address, &path).ok();
            client.is_some()
        });
        let owed_from = self.sent.load(Ordering::SeqCst);
        (client.expect("it is open"), owed_from)
    }

    fn take_part(&self, habit: Habit) -> Vec<Taken> {
        let query = match habit {
            Habit::Keen { acks: false } | Habit::Stalled { acks: false } => "flow=tcp",
            Habit::Slow => "receiverQueueSize=7",
            _ => "",
        };
        let mut all = Vec::new();
        loop {
            let (mut client, owed_from) = self.open(query);
            let mut taken = Taken::new(habit, owed_from);
            while matches!(habit, Habit::Stalled { .. }) && !self.is_over() {
                pause(LOOK_AROUND);
            }
            let enough = if habit == Habit::Visits {
                VISIT
            } else {
                usize::MAX
            };
            self.read(&mut client, &mut taken, query != "flow=tcp", enough);
            all.push(taken);
            if habit != Habit::Visits || self.is_over() {
                return all;
            }
            // One in two goes without a word.
            match all.len() % 2 {
                0 => client.close(),
                _ => client.cut(),
            }
        }
    }

    fn read(&self, client: &mut Client, taken: &mut Taken, acks: bool, mut enough: usize) {
        while taken.ends < self.partitions && enough > 0 {
            let Some(message) = client.within(LOOK_AROUND) else {
                if taken.habit == Habit::Visits && self.is_over() {
                    return;
                }
                continue;
            };
            if acks {
                client.send("{}");
            }
            taken.add(&message);
            enough -= 1;
            if taken.habit == Habit::Slow && enough.is_multiple_of(100) {
                pause(LOOK_AROUND);
            }
        }
    }

    fn read_whole(&self) -> Taken {
        let (mut client, _) = self.open("messageId=earliest");
        let mut taken = Taken::new(Habit::Keen { acks: true }, 0);
        self.read(&mut client, &mut taken, true, usize::MAX);
        taken
    }
}

impl Taken {
    fn new(habit: Habit, owed_from: u64) -> Taken {
        Taken {
            habit,
            owed_from,
            by_partition: BTreeMap::new(),
            ends: 0,
        }
    }

    fn add(&mut self, message: &Value) {
        let id = message["messageId"].as_str().expect("an id");
        let id = base64_simd::STANDARD.decode_to_vec(id).expect("base64");
        let id = MessageId::decode(&id).expect("a message id");
        let number = payload_of(message).parse().expect("a number");
        self.ends += usize::from(number == END);
        self.by_partition
            .entry(id.partition)
            .or_default()
            .push(Delivery {
                position: (id.ledger, id.entry, id.batch_index),
                number,
            });
    }

    /// Every number is there, and each partition is in order.
    fn has_all(&self, messages: u64) {
        let all = self.by_partition.values().flatten();
        let mut numbers: Vec<u64> = all.map(|delivery| delivery.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let ordered = self
            .by_partition
            .values()
            .all(|partition| partition.is_sorted_by(|one, next| one.position < next.position));
        assert!(ordered, "the topic itself is out of order");
        assert!(
            numbers.into_iter().eq((0..messages).chain([END])),
            "numbers are lost"
        );
    }

    /// How many frames it had.
    fn check(&self, whole: &Taken) -> usize {
        let habit = self.habit;
        let mut frames = 0;
        for (partition, all) in &whole.by_partition {
            let none = Vec::new();
            let got = self.by_partition.get(partition).unwrap_or(&none);
            let Some(first) = got.first() else {
                assert_eq!(habit, Habit::Visits, "nothing of partition {partition}");
                continue;
            };
            let begin = all.iter().position(|delivery| delivery == first);
            let begin = begin.expect("what it got is in the topic");
            for (at, delivery) in got.iter().enumerate() {
                let expected = all.get(begin + at);
                assert_eq!(Some(delivery), expected, "{habit:?}, partition {partition}");
            }
            let owed = all[..begin].iter().find(|it| it.number >= self.owed_from);
            assert_eq!(
                owed, None,
                "{habit:?} was let in before, partition {partition}"
            );
            if habit != Habit::Visits {
                assert_eq!(begin + got.len(), all.len(), "{habit:?} to the end");
            }
            frames += got.len();
        }
        frames
    }
}
