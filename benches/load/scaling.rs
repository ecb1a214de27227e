//! One shard and two: what a message costs on each, what of it is said between shards, and what an event loop that never
//! sleeps changes.
//!
//! The second shard has the CPU of the broker and the clients, which on a machine of two there is no way around: so
//! nothing here is a throughput. CPU time is the gateway's own; that of the others is shown beside it.

use std::time::Duration;

use crate::cases::{Case, Kind, case};
use crate::clients::{self, Outcome, Source};
use crate::process::{OTHERS_CPU, SERVERS_CPU};
use crate::servers::{self, Broker};

const RUN: Duration = Duration::from_secs(10);

const CASES: &[Case] = &[
    case(Kind::Fanout { acks: false }, 1000, 50),
    case(Kind::Shared, 50, 2000),
    case(Kind::Shared, 50, 10_000),
    case(Kind::Publish { window: 50 }, 20, 10_000),
];

/// How often each is measured, in turn: the middle one counts.
const ROUNDS: usize = 3;

/// One way to run the gateway.
struct Way {
    name: &'static str,
    cpus: &'static [usize],
    settings: &'static [&'static str],
}

const WAYS: &[Way] = &[
    Way {
        name: "1 shard",
        cpus: &[SERVERS_CPU],
        settings: &[],
    },
    Way {
        name: "2 shards",
        cpus: &[SERVERS_CPU, OTHERS_CPU],
        settings: &[],
    },
    Way {
        name: "1, busy-poll",
        cpus: &[SERVERS_CPU],
        settings: &["busyPoll=true"],
    },
];

struct Seen {
    outcome: Outcome,
    batches: u64,
    wake_ups: u64,
}

/// False: something was lost or came twice.
pub fn run() -> bool {
    let broker = Broker::embedded();
    println!(
        "{:<34} {:<13} {:>10} {:>7} {:>9} {:>8} {:>8} {:>12} {:>13} {:>10}",
        "case",
        "gateway",
        "us/message",
        "x first",
        "messages",
        "p50 ms",
        "p99 ms",
        "batches/mes.",
        "wake-ups/mes.",
        "CPUs, %"
    );
    let mut sound = true;
    for case in CASES {
        let mut rounds: Vec<Vec<Seen>> = WAYS.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for (way, seen) in WAYS.iter().zip(&mut rounds) {
                seen.push(measure(*case, way, &broker));
            }
        }
        let mut first = None;
        for (way, seen) in WAYS.iter().zip(rounds) {
            sound &= seen.iter().all(|seen| seen.outcome.is_sound());
            let middle = middle(seen);
            let cpu = middle.outcome.cpu_us_per_message();
            print(*case, way, &middle, cpu / *first.get_or_insert(cpu));
        }
    }
    sound
}

fn measure(case: Case, way: &Way, broker: &Broker) -> Seen {
    let gateway = servers::start_gateway_on(way.cpus, broker, way.settings);
    let outcome = clients::run(case, &gateway, Source::Gateway(broker), RUN);
    let said = gateway.stop_and_read();
    Seen {
        outcome,
        batches: sum(&said, "posted_batches="),
        wake_ups: sum(&said, "wake_ups="),
    }
}

/// Of what each shard has counted.
fn sum(lines: &[String], name: &str) -> u64 {
    let value = |line: &String| {
        let (_, rest) = line.split_once(name)?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse::<u64>().ok()
    };
    lines.iter().filter_map(value).sum()
}

/// By CPU.
fn middle(mut seen: Vec<Seen>) -> Seen {
    let cpu = |seen: &Seen| seen.outcome.cpu_us_per_message();
    seen.sort_by(|a, b| cpu(a).total_cmp(&cpu(b)));
    seen.swap_remove(ROUNDS / 2)
}

fn print(case: Case, way: &Way, seen: &Seen, ratio: f64) {
    let Seen {
        outcome,
        batches,
        wake_ups,
    } = seen;
    let per_message = |count: u64| count as f64 / outcome.messages.max(1) as f64;
    println!(
        "{:<34} {:<13} {:>10.2} {:>7.2} {:>9.0} {:>8.2} {:>8.1} {:>12.3} {:>13.3} {:>10}{}",
        case.title(),
        way.name,
        outcome.cpu_us_per_message(),
        ratio,
        outcome.messages_per_second(),
        outcome.latency_ms(0.5),
        outcome.latency_ms(0.99),
        per_message(*batches),
        per_message(*wake_ups),
        outcome.busy(),
        outcome
            .complaint()
            .map_or(String::new(), |text| format!("  {text}")),
    );
}
