//! What readers cost the broker: a real Pulsar, one topic, and the same messages to one reader and to five thousand. However
//! many there are, the broker has one consumer and sends each message once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::cases::Kind;
use crate::clients::{self, Outcome};
use crate::process::cpu_of;
use crate::publishers::{Publisher, SETTLING};
use crate::readers::Readers;
use crate::servers::{self, Broker, Target};

const READERS: usize = 5000;
const RATE: u32 = 20;
const PHASE: Duration = Duration::from_secs(10);
/// One reader and many, in turn; the first round warms the JVM and is not counted.
const ROUNDS: usize = 4;

/// More than this (a ratio) is not "the same": a JVM's own work is a few percent of such a phase.
const SAME: f64 = 1.15;

/// What the broker did in the phases of one kind.
#[derive(Default)]
struct Cost {
    cpu: Duration,
    consumers: u64,
    messages_out: u64,
    published: u64,
    wrong: bool,
}

pub fn run() -> bool {
    let broker = Broker::pulsar();
    let gateway = servers::start_gateway(&broker, &[]);
    let [mut one, mut many] = [Cost::default(), Cost::default()];
    for round in 0..ROUNDS {
        let counts = round > 0;
        for (readers, cost) in [(1, &mut one), (READERS, &mut many)] {
            let phase = clients::block_on(phase(&broker, &gateway, readers));
            if counts {
                cost.add(phase);
            }
        }
    }
    println!(
        "{:<14} {:>14} {:>18} {:>22}",
        "readers", "broker CPU", "consumers there", "sent for each message"
    );
    for (readers, cost) in [(1, &one), (READERS, &many)] {
        println!(
            "{readers:<14} {:>12.2} s {:>18} {:>22.2}",
            cost.cpu.as_secs_f64(),
            cost.consumers,
            cost.messages_out as f64 / cost.published as f64
        );
    }
    let ratio = many.cpu.as_secs_f64() / one.cpu.as_secs_f64();
    println!(
        "{ratio:.2} times (goal: the same; up to {SAME}), in {} s of {RATE} messages/s each",
        PHASE.as_secs() * (ROUNDS as u64 - 1)
    );
    let alike = (one.consumers, one.messages_out) == (many.consumers, many.messages_out);
    ratio <= SAME && alike && !one.wrong && !many.wrong
}

impl Cost {
    fn add(&mut self, phase: Cost) {
        self.cpu += phase.cpu;
        self.consumers = self.consumers.max(phase.consumers);
        self.messages_out += phase.messages_out;
        self.published += phase.published;
        self.wrong |= phase.wrong;
    }
}

async fn phase(broker: &Broker, gateway: &Target, readers: usize) -> Cost {
    let topic = clients::new_topic();
    let path = format!("/ws/v2/reader/{topic}?flow=tcp");
    let mut outcome = Outcome::default();
    let sockets = clients::open_measured(gateway, &path, readers, &mut outcome).await;
    let mut publisher = Publisher::open(broker, &topic, "").await;
    tokio::time::sleep(SETTLING).await;
    let readers = Readers::start(sockets, Kind::Fanout { acks: false });
    let pid = broker.pid().expect("a process");
    let published = u64::from(RATE) * PHASE.as_secs();
    let cpu = cpu_of(pid);
    publisher.at_pace(published, RATE).await;
    readers.all(published * readers.count()).await;
    let cpu = cpu_of(pid) - cpu;
    let subscriptions = subscriptions(broker, &topic);
    outcome.expected = published * readers.count();
    readers.end(&mut outcome).await;
    if let Some(complaint) = outcome.complaint() {
        println!("{complaint}");
    }
    let sum = |name: &str| {
        let numbers = subscriptions.iter().filter_map(|one| one[name].as_u64());
        numbers.sum()
    };
    Cost {
        cpu,
        published,
        consumers: subscriptions
            .iter()
            .filter_map(|one| one["consumers"].as_array())
            .map(|consumers| consumers.len() as u64)
            .sum(),
        messages_out: sum("msgOutCounter"),
        wrong: !outcome.is_sound(),
    }
}

/// Of a topic's statistics.
fn subscriptions(broker: &Broker, topic: &str) -> Vec<Value> {
    let Broker::Pulsar { admin, .. } = broker else {
        return Vec::new();
    };
    let host = admin.strip_prefix("http://").expect("an HTTP URL");
    let mut socket = TcpStream::connect(host).expect("the admin service");
    let request = format!("GET /admin/v2/{topic}/stats HTTP/1.0\r\nHost: {host}\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let stats: Value = serde_json::from_str(body).expect("JSON");
    let subscriptions = stats["subscriptions"].as_object().expect("subscriptions");
    subscriptions.values().cloned().collect()
}
