//! What a message costs: this gateway beside the kernel's floor and, on request, the Java gateway.
//!
//!     cargo bench --bench load                       all cases; an embedded broker in this process
//!     cargo bench --bench load -- java               the same and Java's gateway, on a real Pulsar that it starts
//!     cargo bench --bench load -- fanout shared …    only these kinds (fanout, saturation, stalled, shared, publish; java
//!                                                    may be added)
//!
//! The server under test has CPU 0, everything else (broker, publisher, the sockets' other ends) CPU 1. CPU is the user and
//! system time of the server's process per message that its clients received or, publishing, that the broker confirmed.
//! Every frame is read by a checker: on each reader the numbers must follow each other without a gap or a repeat, a
//! subscription must bring each of them once; else the run fails.
//!
//! Seconds on a shared machine say little; the ratios of one run do.

#![expect(
    clippy::disallowed_methods,
    reason = "nothing here runs on a shard: it may block"
)]

mod clients;
mod floor;
mod frames;
mod process;
mod publishers;
mod servers;

use std::process::ExitCode;
use std::time::Duration;

use clients::Outcome;
use servers::Peer;

/// How long each case publishes.
const RUN: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Readers of one topic. `acks`: the clients send a frame for each message, else `flow=tcp`.
    Fanout { acks: bool },
    /// Readers with `flow=tcp` of a topic whose producer goes as fast as it can.
    Saturation,
    /// Readers with `flow=tcp` of which one in a hundred stops reading.
    Stalled,
    /// Consumers of one Shared subscription.
    Shared,
    /// Producers, each with so many messages unconfirmed.
    Publish { window: usize },
}

/// `rate`: messages a second; of producers, none: as fast as the window goes.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub kind: Kind,
    pub sockets: usize,
    pub rate: u32,
}

const fn case(kind: Kind, sockets: usize, rate: u32) -> Case {
    Case {
        kind,
        sockets,
        rate,
    }
}

const CASES: &[Case] = &[
    case(Kind::Fanout { acks: true }, 100, 100),
    case(Kind::Fanout { acks: true }, 1000, 20),
    case(Kind::Fanout { acks: false }, 1000, 50),
    case(Kind::Fanout { acks: false }, 10_000, 5),
    case(Kind::Saturation, 100, 0),
    case(Kind::Saturation, 1000, 0),
    case(Kind::Stalled, 1000, 50),
    case(Kind::Shared, 50, 2000),
    case(Kind::Publish { window: 100 }, 1, 0),
    case(Kind::Publish { window: 50 }, 20, 0),
];

impl Case {
    fn kind_name(self) -> &'static str {
        match self.kind {
            Kind::Fanout { .. } => "fanout",
            Kind::Saturation => "saturation",
            Kind::Stalled => "stalled",
            Kind::Shared => "shared",
            Kind::Publish { .. } => "publish",
        }
    }

    fn title(self) -> String {
        let Case { sockets, rate, .. } = self;
        match self.kind {
            Kind::Fanout { acks: true } => format!("{sockets} readers, {rate}/s, acks"),
            Kind::Fanout { acks: false } => format!("{sockets} readers, {rate}/s, flow=tcp"),
            Kind::Saturation => format!("{sockets} readers, as fast as can be"),
            Kind::Stalled => format!("{sockets} readers, {rate}/s, 1 % stalled"),
            Kind::Shared => format!("{sockets} on Shared, {rate}/s"),
            Kind::Publish { window } => format!("{sockets} producers, window {window}"),
        }
    }

    /// The floor sends and does not subscribe; without acks Java's gateway stops at its window.
    fn peers(self, java: bool) -> Vec<Peer> {
        let mut peers = vec![Peer::PwsFast];
        if matches!(self.kind, Kind::Fanout { .. }) {
            peers.insert(0, Peer::Floor);
        }
        let has_flow_tcp = matches!(
            self.kind,
            Kind::Fanout { acks: false } | Kind::Saturation | Kind::Stalled
        );
        if java && !has_flow_tcp {
            peers.push(Peer::Java);
        }
        peers
    }
}

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
    let kinds: Vec<_> = arguments
        .iter()
        .filter(|argument| *argument != "java")
        .collect();
    let broker = servers::Broker::start(java);
    println!(
        "{:<30} {:>8} {:>10} {:>8} {:>10} {:>8} {:>8} {:>8} {:>8} {:>9}",
        "case",
        "server",
        "us/message",
        "x first",
        "messages",
        "p50 ms",
        "p99 ms",
        "p99.9",
        "open us",
        "KiB/sock"
    );
    let mut sound = true;
    for case in CASES {
        if !kinds.is_empty() && !kinds.iter().any(|kind| *kind == case.kind_name()) {
            continue;
        }
        let mut first = None;
        for peer in case.peers(java) {
            let outcome = clients::run(*case, peer, &broker, RUN);
            let cpu = outcome.cpu_us_per_message();
            let first = *first.get_or_insert(cpu);
            sound &= outcome.is_sound();
            print(*case, peer, &outcome, cpu / first);
        }
    }
    match sound {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn print(case: Case, peer: Peer, outcome: &Outcome, ratio: f64) {
    println!(
        "{:<30} {:>8} {:>10.2} {:>8.2} {:>10} {:>8.1} {:>8.1} {:>8.1} {:>8.0} {:>9.2}{}",
        case.title(),
        peer.name(),
        outcome.cpu_us_per_message(),
        ratio,
        outcome.messages / RUN.as_secs(),
        outcome.latency_ms(0.5),
        outcome.latency_ms(0.99),
        outcome.latency_ms(0.999),
        outcome.open_us,
        outcome.socket_kib,
        outcome
            .complaint()
            .map_or(String::new(), |text| format!("  {text}")),
    );
}
