//! Clients that do not read. One in a hundred of them stops, again and again: the p99 of the others may not feel it. Then all
//! stop, and more is published than the log holds: the gateway's memory stays within its bounds, and when they read again,
//! each gets everything in order.
//!
//! The kernel takes megabytes for a socket before its sender notices that nobody reads: before a phase counts, so much is
//! published that its buffers are full, and in the end it is looked whether they were.

use std::cell::{Cell, RefCell};
use std::fs;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pws_fast::embedded;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::clients::{self, quantile_of};
use crate::frames;
use crate::publishers::{Publisher, SETTLING};
use crate::servers::{self, Broker, Target};

const READERS: usize = 500;
const STALLED: usize = READERS / 100;
const RATE: u32 = 100;

/// Stalled and not, in turn, so often; each so long.
const ROUNDS: usize = 4;
const PHASE: Duration = Duration::from_secs(5);

/// The others' p99 may grow by so much (a ratio).
const GROWS: f64 = 1.1;

/// Fills the buffers between the gateway and one client: a send buffer on loopback begins at 2.5 MiB.
const FILL_MESSAGES: u64 = 220;
const FILL_BYTES: usize = 16 * 1024;

/// What the clients give the kernel to keep for them.
const RECEIVE_BUFFER_BYTES: u32 = 64 * 1024;

/// Of the part in which all are stalled.
const ALL: usize = 50;
const ALL_MESSAGES: u64 = 4000;
const LOG_MIB: u64 = 16;
/// Beside the log: the broker's answers, what the allocator keeps, one frame for each socket.
const SLACK_MIB: u64 = 48;

pub fn run() -> bool {
    let delayed = one_in_a_hundred();
    let bounded = everybody();
    delayed && bounded
}

fn broker() -> Broker {
    Broker::embedded_with(embedded::Options {
        topic_bytes: 1024 * 1024 * 1024,
        total_bytes: 1024 * 1024 * 1024,
        ..embedded::Options::default()
    })
}

fn one_in_a_hundred() -> bool {
    let broker = broker();
    let gateway = servers::start_gateway(&broker, &[]);
    clients::block_on(async {
        let mut fleet = Fleet::open(&gateway, &broker, READERS, STALLED).await;
        let mut free = fleet.phase().await;
        free.clear();
        let mut beside = Vec::new();
        let mut stalled_all_the_time = true;
        for _ in 0..ROUNDS {
            free.extend(fleet.phase().await);
            fleet.stall(true);
            fleet.fill(FILL_MESSAGES).await;
            let queued = fleet.queued_bytes();
            beside.extend(fleet.phase().await);
            stalled_all_the_time &= fleet.queued_bytes() == queued;
            fleet.stall(false);
            fleet.all_have_all().await;
        }
        let [free, beside] = [free, beside].map(|mut latencies| {
            latencies.sort_by(f32::total_cmp);
            [0.5, 0.99, 0.999].map(|part| f64::from(quantile_of(&latencies, part)))
        });
        let ratio = beside[1] / free[1];
        println!("{READERS} readers with flow=tcp, {RATE}/s; p50, p99, p99.9 in ms");
        println!("nobody stalled        {free:.2?}");
        println!("{STALLED} stalled, the others {beside:.2?}");
        println!("p99: {ratio:.2} times (goal: at most {GROWS})");
        if !stalled_all_the_time {
            println!("but the kernel still took something for those that did not read");
        }
        fleet.is_sound() && stalled_all_the_time && ratio <= GROWS
    })
}

fn everybody() -> bool {
    let broker = broker();
    let setting = format!("tailLogBytes={}", LOG_MIB << 20);
    let gateway = servers::start_gateway(&broker, &[&setting]);
    clients::block_on(async {
        let mut fleet = Fleet::open(&gateway, &broker, ALL, ALL).await;
        fleet.phase().await;
        let before = gateway.server.memory_bytes() >> 20;
        fleet.stall(true);
        let mut most = 0;
        for _ in 0..ALL_MESSAGES / 100 {
            fleet.fill(100).await;
            most = most.max(gateway.server.memory_bytes() >> 20);
        }
        fleet.stall(false);
        fleet.all_have_all().await;
        let after = gateway.server.memory_bytes() >> 20;
        let published = (ALL_MESSAGES * FILL_BYTES as u64 * 4 / 3) >> 20;
        println!();
        println!("all {ALL} stalled, {published} MiB published, tailLogBytes {LOG_MIB} MiB");
        println!(
            "gateway's memory: {before} MiB, at most {most} MiB, {after} MiB when all have caught up"
        );
        let bounded = most <= before + LOG_MIB + SLACK_MIB;
        if !bounded {
            println!("more than log and {SLACK_MIB} MiB");
        }
        fleet.is_sound() && bounded
    })
}

struct Fleet {
    common: Rc<Common>,
    publisher: Publisher,
    sockets: Vec<Rc<Member>>,
}

#[derive(Default)]
struct Common {
    stalled: Cell<bool>,
    /// Of those that never stall, while this is there.
    latencies: RefCell<Option<Vec<f32>>>,
    wrong: Cell<u64>,
}

struct Member {
    seen: Cell<u64>,
    stalls: bool,
    port: u16,
}

impl Fleet {
    /// The last `stalls` of them are those that can be stalled.
    async fn open(target: &Target, broker: &Broker, readers: usize, stalls: usize) -> Fleet {
        let topic = clients::new_topic();
        let path = format!("/ws/v2/reader/{topic}?flow=tcp");
        let common = Rc::new(Common::default());
        let mut sockets = Vec::new();
        for number in 0..readers {
            let socket = TcpSocket::new_v4().expect("a socket");
            let stalls = number >= readers - stalls;
            if stalls {
                let set = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
                set.expect("a size");
            }
            let socket = socket.connect(target.address).await.expect("connected");
            socket.set_nodelay(true).expect("a TCP socket");
            let member = Rc::new(Member {
                seen: Cell::new(0),
                stalls,
                port: socket.local_addr().expect("connected").port(),
            });
            let socket = clients::upgrade(socket, &path).await;
            tokio::task::spawn_local(read(socket, common.clone(), member.clone()));
            sockets.push(member);
        }
        let publisher = Publisher::open(broker, &topic, "").await;
        tokio::time::sleep(SETTLING).await;
        Fleet {
            common,
            publisher,
            sockets,
        }
    }

    fn stall(&self, stalled: bool) {
        self.common.stalled.set(stalled);
    }

    /// The pace for a while: what the others waited for their messages.
    async fn phase(&mut self) -> Vec<f32> {
        self.common.latencies.replace(Some(Vec::new()));
        let count = u64::from(RATE) * PHASE.as_secs();
        self.publisher.at_pace(count, RATE).await;
        self.others_have_all().await;
        self.common.latencies.take().unwrap_or_default()
    }

    async fn fill(&mut self, count: u64) {
        self.publisher.burst(count, FILL_BYTES).await;
        self.others_have_all().await;
    }

    async fn others_have_all(&self) {
        let stalled = self.common.stalled.get();
        self.have_all(|member| !stalled || !member.stalls).await;
    }

    async fn all_have_all(&self) {
        self.have_all(|_| true).await;
    }

    async fn have_all(&self, which: impl Fn(&Member) -> bool) {
        const PATIENCE: Duration = Duration::from_secs(60);
        let deadline = Instant::now() + PATIENCE;
        let lacks = |member: &Rc<Member>| which(member) && member.seen.get() < self.publisher.sent;
        while self.sockets.iter().any(lacks) {
            assert!(Instant::now() < deadline, "not everybody gets everything");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the kernel holds for those that stall, on the gateway's side and on theirs.
    fn queued_bytes(&self) -> u64 {
        let ports: Vec<u16> = self
            .sockets
            .iter()
            .filter(|member| member.stalls)
            .map(|member| member.port)
            .collect();
        let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        table
            .lines()
            .skip(1)
            .filter_map(|line| queued(line, &ports))
            .sum()
    }

    fn is_sound(&self) -> bool {
        let wrong = self.common.wrong.get();
        if wrong > 0 {
            println!("{wrong} gaps or repeats");
        }
        wrong == 0
    }
}

/// Both queues of a connection that has one of these ports: `sl local remote state tx:rx …`, all in hexadecimal.
fn queued(line: &str, ports: &[u16]) -> Option<u64> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let port = |field: &str| u16::from_str_radix(field.split(':').nth(1)?, 16).ok();
    let ends = [port(fields.get(1)?)?, port(fields.get(2)?)?];
    if !ends.iter().any(|port| ports.contains(port)) {
        return None;
    }
    let (sent, received) = fields.get(4)?.split_once(':')?;
    let bytes = |field| u64::from_str_radix(field, 16).ok();
    Some(bytes(sent)? + bytes(received)?)
}

async fn read(mut socket: TcpStream, common: Rc<Common>, member: Rc<Member>) {
    let mut unread = Vec::with_capacity(4096);
    loop {
        while member.stalls && common.stalled.get() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if !socket
            .read_buf(&mut unread)
            .await
            .is_ok_and(|count| count > 0)
        {
            return;
        }
        let mut used = 0;
        while let Some((text, len)) = frames::first(&unread[used..]) {
            used += len;
            let (number, published_us) = frames::stamp(text);
            if number != member.seen.get() {
                common.wrong.set(common.wrong.get() + 1);
            }
            member.seen.set(number + 1);
            if let Some(latencies) = &mut *common.latencies.borrow_mut()
                && !member.stalls
            {
                let latency_us = frames::now_us().saturating_sub(published_us);
                latencies.push(latency_us as f32 / 1000.0);
            }
        }
        unread.drain(..used);
    }
}
