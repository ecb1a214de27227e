//! 15,000 sockets on one gateway in a process of its own: 5,000 Shared consumers on ten subscriptions, 2,000 readers,
//! 8,000 producers. All open, all talk, all close (half of them with a word, half without); five times. Then 10,000 that
//! are told to go. Claims: every message arrives where it should; descriptors and memory come back; each shard has its part
//! of the 10,000 within 2 %; everybody is told 1001.
//!
//! The broker is the embedded one, in this process, so that the gateway's memory is the gateway's; or the one that
//! `PWS_TEST_BROKER` names. (A reader or producer socket has a broker-side consumer or producer of its own.)

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use monoio::RuntimeBuilder;
use pws_fast::embedded::{self, Options};
use serde_json::Value;

use crate::fleet::{self, Member};
use crate::process::{Footprint, descriptors};
use crate::support::process::{Gateway, program};
use crate::support::{base64, eventually, pause, payload_of, topic};

const TOPICS: usize = 10;
/// On each of ten topics, and as many producers: with a window of 1 each consumer gets one message.
const CONSUMERS: usize = 500;
/// On each of ten other topics.
const READERS: usize = 200;
const READ_PRODUCERS: usize = 300;

/// At the end, on one subscription for each topic.
const LAST: usize = 10_000;

/// All open, all talk, all close: again and again. Each has an address of the gateway of its own (127.0.0.2 …), so that
/// client ports do not run out.
const FLEETS: RangeInclusive<u8> = 2..=6;
const LAST_FLEET: u8 = 7;

/// A tenth of the fleet comes and goes before the first measurement: tables that grow once, and broker connections.
const WARM_UP: usize = 10;

/// In percent of what each shard should have.
const SPREAD_TOLERANCE: usize = 2;

/// What may stay of a fleet that has gone: tables of sockets, producers and timers keep their size. Measured: 1 to 2 KiB a
/// socket (`results/sockets.txt`).
const STAYS_KIB: usize = 48 * 1024;

/// What the fleets after the first may add to that together: nothing is used up by coming and going.
const GROWS_KIB: usize = 16 * 1024;

/// What was told to close (broker-side producers, sockets that linger) has gone by then.
const REST: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
enum Kind {
    Producer {
        number: usize,
    },
    /// With the number that it has got.
    Consumer(Option<usize>),
    Reader,
}

#[derive(Clone)]
struct Role {
    kind: Kind,
    topic: String,
}

impl Role {
    fn path(&self) -> String {
        let topic = &self.topic;
        match self.kind {
            Kind::Producer { .. } => {
                format!("/ws/v2/producer/persistent/public/default/{topic}")
            }
            Kind::Consumer(_) => format!(
                "/ws/v2/consumer/persistent/public/default/{topic}/s?subscriptionType=Shared&receiverQueueSize=1"
            ),
            Kind::Reader => format!("/ws/v2/reader/persistent/public/default/{topic}"),
        }
    }
}

pub fn run() {
    let embedded = embedded::start(Options::default()).expect("the embedded broker starts");
    let (broker, which) = match std::env::var("PWS_TEST_BROKER") {
        Ok(url) => (url, "Apache Pulsar"),
        Err(_) => (embedded.service_url(), "embedded, in the load process"),
    };
    let mut gateway = Gateway::start_program(
        program()
            .args(["--port", "0", "--broker", &broker])
            .args(["--set", "bindAddress=0.0.0.0"])
            // The allocator gives back what is free at once, and not when it is next asked for something.
            .env("MIMALLOC_PURGE_DELAY", "0"),
    );
    let port = gateway.address().port();
    let pid = gateway.pid();
    println!("command: cargo test --release --test long -- sockets; broker: {which}");
    let begin = Instant::now();

    let mut runtime = RuntimeBuilder::<monoio::FusionDriver>::new()
        .build()
        .expect("a runtime");
    let address = |fleet: u8| SocketAddr::from((Ipv4Addr::new(127, 0, 0, fleet), port));
    runtime.block_on(visit(address(1), WARM_UP, pid));
    let before = settled(pid, None);
    println!("{:<22} {before}", "after a warm-up");
    let mut after = Vec::new();
    for fleet in FLEETS {
        let (sockets, peak) = runtime.block_on(visit(address(fleet), 1, pid));
        println!("{:<22} {peak}", format!("{sockets} sockets"));
        after.push(settled(pid, Some(before.descriptors)));
        println!("{:<22} {}", "all gone", after[after.len() - 1]);
    }
    let (spread, status) = runtime.block_on(send_away(address(LAST_FLEET), &mut gateway));
    println!("spread of {LAST} sockets: {spread:?}; exit status {status:?}");
    println!("took {:.0} s", begin.elapsed().as_secs_f64());

    assert!(after[0].memory_kib <= before.memory_kib + STAYS_KIB);
    assert!(after[after.len() - 1].memory_kib <= after[0].memory_kib + GROWS_KIB);
    assert_eq!(status, Some(0));
    let part = LAST / spread.len();
    let even = |sockets: &usize| sockets.abs_diff(part) * 100 <= part * SPREAD_TOLERANCE;
    assert!(spread.iter().all(even));
}

/// Waits until the descriptors are back (the first time: until they rest).
fn settled(pid: u32, descriptors_before: Option<usize>) -> Footprint {
    pause(REST);
    if let Some(before) = descriptors_before {
        eventually("the descriptors are back", || descriptors(pid) <= before);
    }
    Footprint::of(pid)
}

/// A fleet comes, talks and goes. How many it was, and the gateway's footprint when all were there.
async fn visit(address: SocketAddr, part: usize, pid: u32) -> (usize, Footprint) {
    let members = fleet::open_all(address, roles(part), Role::path).await;
    let sockets = members.len();
    let members = fleet::each(members, move |member| talk(member, READ_PRODUCERS / part)).await;
    let peak = Footprint::of(pid);
    let mut got = BTreeSet::new();
    for Member { role, .. } in &members {
        if let Kind::Consumer(number) = role.kind {
            let number = number.expect("a number");
            assert!(got.insert((&role.topic, number)), "{number} twice");
        }
    }
    let mut leaving = Vec::new();
    for (index, member) in members.into_iter().enumerate() {
        if index % 2 == 0 {
            leaving.push(monoio::spawn(member.close()));
        }
    }
    for left in leaving {
        left.await;
    }
    (sockets, peak)
}

fn roles(part: usize) -> Vec<Role> {
    let mut roles = Vec::new();
    let mut add = |kind, topic: &str| {
        let topic = topic.to_owned();
        roles.push(Role { kind, topic });
    };
    for _ in 0..TOPICS {
        let consumed = topic("consumed");
        let read = topic("read");
        (0..CONSUMERS / part).for_each(|_| add(Kind::Consumer(None), &consumed));
        (0..READERS / part).for_each(|_| add(Kind::Reader, &read));
        (0..CONSUMERS / part).for_each(|number| add(Kind::Producer { number }, &consumed));
        (0..READ_PRODUCERS / part).for_each(|number| add(Kind::Producer { number }, &read));
    }
    roles
}

/// A producer publishes and gets its ack, a consumer gets one message and acks it, a reader gets all that its topic's
/// producers publish, each once.
async fn talk(mut member: Member<Role>, published: usize) -> Member<Role> {
    match member.role.kind {
        Kind::Producer { number } => {
            let payload = base64(&number.to_string());
            member.send(&format!(r#"{{"payload":"{payload}"}}"#)).await;
            let answer = member.text().await;
            assert!(answer.starts_with(r#"{"result":"ok""#), "{answer}");
        }
        Kind::Consumer(_) => {
            let message = member.text().await;
            let message: Value = serde_json::from_str(&message).expect("JSON");
            member
                .send(&format!(r#"{{"messageId":{}}}"#, message["messageId"]))
                .await;
            member.role.kind = Kind::Consumer(payload_of(&message).parse().ok());
        }
        Kind::Reader => {
            let mut came = vec![false; published];
            for _ in 0..published {
                let message = member.text().await;
                let message = serde_json::from_str(&message).expect("JSON");
                let number: usize = payload_of(&message).parse().expect("a number");
                assert!(!came[number], "{number} again");
                came[number] = true;
            }
        }
    }
    member
}

/// Opens the last sockets and ends the gateway: how many each shard had, and the exit status.
async fn send_away(address: SocketAddr, gateway: &mut Gateway) -> (Vec<usize>, Option<i32>) {
    let topics: Vec<String> = (0..TOPICS).map(|_| topic("last")).collect();
    let role = |index: usize| Role {
        kind: Kind::Consumer(None),
        topic: topics[index % TOPICS].clone(),
    };
    let roles = (0..LAST).map(role).collect();
    let members = fleet::open_all(address, roles, Role::path).await;
    let shards = std::thread::available_parallelism().map_or(1, |cpus| cpus.get());
    let spread = gateway.sockets_by_shard(shards);
    fleet::each(members, |mut member| async move {
        assert_eq!(member.closed().await, 1001);
        member
    })
    .await;
    (spread, gateway.exit_status())
}
