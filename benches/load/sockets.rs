//! Idle readers of one topic: what each costs to open and in memory, at 1,000 and at 18,000, and what is left of them when
//! they have gone.
//!
//! A process may have 20,000 descriptors where these numbers come from; clients and gateway are two processes.

use std::time::{Duration, Instant};

use pws_fast::runtime::diagnostics;

use crate::clients::{self, Outcome};
use crate::servers::{self, Broker, Target};

const READERS: &[usize] = &[1000, 18_000];

/// Before the first measurement so many come and go: tables that grow once, and the broker connection.
const WARM_UP: usize = 200;

/// When no more of them go for so long, all have gone.
const REST: Duration = Duration::from_secs(2);
/// What belongs to them is given back some seconds later.
const AFTERWARDS: Duration = Duration::from_secs(8);
/// For going.
const PATIENCE: Duration = Duration::from_secs(60);

const OPEN_US_MAX: f64 = 60.0;
const OPEN_ALL_MAX: Duration = Duration::from_secs(3);
/// It is 2.1 with 18,000 and up to 2.7 with 1,000, of whom what is there but once weighs more.
const SOCKET_KIB_MAX: f64 = 2.8;
/// What may stay of each: the tables of sockets and timers keep their size.
const STAYS_KIB_MAX: f64 = 1.0;

pub fn run() -> bool {
    let _ = diagnostics::raise_file_limit();
    let broker = Broker::embedded();
    println!(
        "{:<14} {:>12} {:>14} {:>14} {:>18}",
        "idle readers", "open all s", "open each us", "KiB each", "KiB each, closed"
    );
    let mut met = true;
    for readers in READERS {
        met &= clients::block_on(open(&broker, *readers));
    }
    println!(
        "goals: {} s for all, {OPEN_US_MAX} us each, {SOCKET_KIB_MAX} KiB each, {STAYS_KIB_MAX} KiB when closed{}",
        OPEN_ALL_MAX.as_secs(),
        if met { "" } else { ": not met" }
    );
    met
}

/// Whether the goals are met.
async fn open(broker: &Broker, readers: usize) -> bool {
    let gateway = servers::start_gateway(broker, &[]);
    let topic = clients::new_topic();
    let path = format!("/ws/v2/reader/{topic}");
    let mut outcome = Outcome::default();
    drop(clients::open_measured(&gateway, &path, WARM_UP, &mut outcome).await);
    all_gone(&gateway).await;
    let before = gateway.server.memory_bytes();
    let begin = Instant::now();
    let sockets = clients::open_measured(&gateway, &path, readers, &mut outcome).await;
    let took = begin.elapsed();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let each = |bytes: u64| bytes.saturating_sub(before) as f64 / 1024.0 / readers as f64;
    let open_kib = each(gateway.server.memory_bytes());
    drop(sockets);
    all_gone(&gateway).await;
    let closed_kib = each(gateway.server.memory_bytes());
    println!(
        "{readers:<14} {:>12.2} {:>14.1} {open_kib:>14.2} {closed_kib:>18.2}",
        took.as_secs_f64(),
        outcome.open_us,
    );
    took <= OPEN_ALL_MAX
        && outcome.open_us <= OPEN_US_MAX
        && open_kib <= SOCKET_KIB_MAX
        && closed_kib <= STAYS_KIB_MAX
}

/// Waits until the gateway has let go of everything that has gone.
async fn all_gone(gateway: &Target) {
    let begin = Instant::now();
    let mut before = usize::MAX;
    while gateway.server.descriptors() < before && begin.elapsed() < PATIENCE {
        before = gateway.server.descriptors();
        tokio::time::sleep(REST).await;
    }
    tokio::time::sleep(AFTERWARDS).await;
}
