//! What one stream to very many sockets costs: this gateway beside the kernel's floor and, on request, the Java gateway.
//!
//!     cargo bench --bench fanout                  floor and pws-fast, an embedded broker in this process
//!     cargo bench --bench fanout -- java          the same and Java's gateway, on a real Pulsar that it starts
//!     cargo bench --bench fanout -- 1000x50 …     only these cases (java may be added)
//!
//! The server under test has CPU 0, everything else (broker, publisher, the sockets' other ends) CPU 1. CPU is the user and
//! system time of the server's process per frame that the clients received. Every frame is read by a checker: on each
//! socket the numbers must follow each other without a gap or a repeat, or the run fails.
//!
//! Seconds on a shared machine say little; the ratios of one run do.

#![expect(
    clippy::disallowed_methods,
    reason = "nothing here runs on a shard: it may block"
)]

mod clients;
mod floor;
mod process;
mod servers;

use std::process::ExitCode;
use std::time::Duration;

use clients::Outcome;
use servers::Peer;

/// How long each case publishes.
const RUN: Duration = Duration::from_secs(10);

/// Readers, messages a second, and whether the clients send an ack frame for each message.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub readers: usize,
    pub rate: u32,
    pub acks: bool,
}

const CASES: &[Case] = &[
    Case {
        readers: 1000,
        rate: 20,
        acks: true,
    },
    Case {
        readers: 1000,
        rate: 50,
        acks: false,
    },
    Case {
        readers: 10_000,
        rate: 5,
        acks: false,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    if arguments.first().is_some_and(|first| first == "floor") {
        return floor::main(&arguments[1..]);
    }
    process::pin_to(1);
    let java = arguments.iter().any(|argument| argument == "java");
    let wanted = |case: &Case| {
        let named = arguments.iter().filter(|argument| *argument != "java");
        let name = format!("{}x{}", case.readers, case.rate);
        named.clone().count() == 0 || named.clone().any(|argument| *argument == name)
    };
    let broker = servers::Broker::start(java);
    println!(
        "{:<26} {:>10} {:>9} {:>8} {:>7} {:>8} {:>8} {:>8} {:>9} {:>9}",
        "case",
        "server",
        "us/frame",
        "x floor",
        "frames",
        "p50 ms",
        "p99 ms",
        "p99.9",
        "open us",
        "KiB/sock"
    );
    let mut sound = true;
    for case in CASES.iter().filter(|case| wanted(case)) {
        let mut floor = None;
        let mut peers = vec![Peer::Floor, Peer::PwsFast];
        // Without acks Java's gateway stops at the window.
        if java && case.acks {
            peers.push(Peer::Java);
        }
        for peer in peers {
            let outcome = clients::run(*case, peer, &broker, RUN);
            let cpu = outcome.cpu_us_per_frame();
            let floor = *floor.get_or_insert(cpu);
            sound &= outcome.is_sound();
            print(*case, peer, &outcome, cpu / floor);
        }
    }
    match sound {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn print(case: Case, peer: Peer, outcome: &Outcome, ratio: f64) {
    let acks = if case.acks { "acks" } else { "flow=tcp" };
    println!(
        "{:<26} {:>10} {:>9.2} {:>8.2} {:>7} {:>8.1} {:>8.1} {:>8.1} {:>9.0} {:>9.2}{}",
        format!("{} x {}/s, {acks}", case.readers, case.rate),
        peer.name(),
        outcome.cpu_us_per_frame(),
        ratio,
        outcome.frames,
        outcome.latency_ms(0.5),
        outcome.latency_ms(0.99),
        outcome.latency_ms(0.999),
        outcome.open_us,
        outcome.socket_kib,
        if outcome.is_sound() {
            String::new()
        } else {
            format!("  {}", outcome.complaint())
        },
    );
}
