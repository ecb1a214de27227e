//! The real Java gateway beside this one, on the same real broker and under the same load: a table for README.
//!
//! Java goes first: at the given rate or, where it does not keep up with that, at the next lower one; so no run in which it
//! has collapsed is divided by. Then the floor and this gateway have the same rate.

use std::process::Command;
use std::time::Duration;

use crate::cases::{Case, Kind, RUN, case};
use crate::clients::{self, Outcome, Source};
use crate::process::Server;
use crate::servers::{self, Broker, Peer, Target};

/// Java's just-in-time compiler has the load of each case for so long before it is measured.
const WARM_UP: Duration = Duration::from_secs(15);

/// Its share of the most that Java publishes is what both are measured at.
const PUBLISH_PACE: f64 = 0.9;

/// Idle ones, whose opening and whose memory is measured; before them some come and go.
const IDLE: usize = 2000;
const IDLE_WARM_UP: usize = 500;

/// Rates, from the one that is wanted down to what anything can do.
const LADDERS: &[(Kind, usize, &[u32])] = &[
    (Kind::Fanout { acks: true }, 100, &[100, 70, 50, 30, 10]),
    (Kind::Fanout { acks: true }, 1000, &[20, 15, 10, 7, 5, 2]),
    (Kind::Shared, 50, &[10_000, 7000, 5000, 3000, 1000]),
];

const PRODUCERS: &[(usize, usize)] = &[(1, 100), (20, 50)];

struct Table {
    rows: Vec<String>,
    notes: Vec<String>,
    sound: bool,
}

pub fn run() -> bool {
    let broker = Broker::pulsar();
    let mut table = Table {
        rows: Vec::new(),
        notes: Vec::new(),
        sound: true,
    };
    idle(&broker, &mut table);
    let java = servers::start_java(&broker);
    for (kind, sockets, rates) in LADDERS {
        received(&broker, &java, (*kind, *sockets, rates), &mut table);
    }
    for (sockets, window) in PRODUCERS {
        published(&broker, &java, *sockets, *window, &mut table);
    }
    table.print();
    table.sound
}

/// Opening and memory, each in a new process.
fn idle(broker: &Broker, table: &mut Table) {
    eprintln!("{IDLE} idle readers");
    let java = servers::start_java(broker);
    let (java, java_heap) = open_idle(&java);
    let ours = servers::start_gateway(broker, &[]);
    let (ours, _) = open_idle(&ours);
    table.rows.push(format!(
        "| opening one of {IDLE} readers | | | {:.0} µs | {:.0} µs | {:.0} | 28 | | |",
        ours.open_us,
        java.open_us,
        java.open_us / ours.open_us
    ));
    table.rows.push(format!(
        "| resident memory of one of {IDLE} idle readers | | | {:.1} KiB | {:.1} KiB{} | {:.0} | 13 | | |",
        ours.socket_kib,
        java.socket_kib,
        java_heap.map_or(String::new(), |kib| format!(" (live heap {kib:.1})")),
        java.socket_kib / ours.socket_kib
    ));
}

/// The second: KiB of live heap each, of a JVM that tells.
fn open_idle(target: &Target) -> (Outcome, Option<f64>) {
    clients::block_on(async {
        let topic = clients::new_topic();
        let path = format!("/ws/v2/reader/{topic}");
        let mut outcome = Outcome::default();
        let first = clients::open_measured(target, &path, IDLE_WARM_UP, &mut outcome).await;
        drop(first);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let heap = live_heap_kib(target);
        let memory = target.server.memory_bytes();
        let sockets = clients::open_measured(target, &path, IDLE, &mut outcome).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let grown = target.server.memory_bytes().saturating_sub(memory);
        outcome.socket_kib = grown as f64 / 1024.0 / IDLE as f64;
        let heap = live_heap_kib(target).zip(heap);
        drop(sockets);
        let heap = heap.map(|(after, before)| after.saturating_sub(before) as f64 / IDLE as f64);
        (outcome, heap)
    })
}

/// After a full collection. None: no JVM, or a machine without `jcmd`.
fn live_heap_kib(target: &Target) -> Option<u64> {
    if target.peer != Peer::Java {
        return None;
    }
    jcmd(&target.server, "GC.run")?;
    let info = jcmd(&target.server, "GC.heap_info")?;
    let used = info.split("used ").nth(1)?;
    used.split('K').next()?.trim().parse().ok()
}

fn jcmd(server: &Server, command: &str) -> Option<String> {
    let pid = server.pid.to_string();
    let output = Command::new("jcmd").args([&pid, command]).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn received(
    broker: &Broker,
    java: &Target,
    (kind, sockets, rates): (Kind, usize, &[u32]),
    table: &mut Table,
) {
    let wanted = case(kind, sockets, rates[0]);
    eprintln!("{}", wanted.title());
    clients::run(wanted, java, Source::Gateway(broker), WARM_UP);
    for rate in rates {
        let case = case(kind, sockets, *rate);
        let of_java = clients::run(case, java, Source::Gateway(broker), RUN);
        table.note_limit(case, "Java", &of_java);
        if !of_java.keeps_up() {
            table.notes.push(format!(
                "{}: Java does not keep up ({} of {} in time; CPU of gateway, others: {} %); the next lower rate is taken.",
                case.title(),
                of_java.messages - of_java.late,
                of_java.offered,
                of_java.busy()
            ));
            continue;
        }
        let floor = matches!(kind, Kind::Fanout { .. }).then(|| {
            let floor = servers::start_floor(case, RUN);
            clients::run(case, &floor, Source::Itself, RUN)
        });
        let gateway = servers::start_gateway(broker, &[]);
        let ours = clients::run(case, &gateway, Source::Gateway(broker), RUN);
        table.add(case, floor.as_ref(), &ours, &of_java);
        if kind == (Kind::Fanout { acks: true }) {
            let case = Case {
                kind: Kind::Fanout { acks: false },
                ..case
            };
            let ours = clients::run(case, &gateway, Source::Gateway(broker), RUN);
            table.add(case, None, &ours, &of_java);
        }
        return;
    }
    table
        .notes
        .push(format!("{}: Java keeps up with no rate.", wanted.title()));
}

fn published(broker: &Broker, java: &Target, sockets: usize, window: usize, table: &mut Table) {
    let kind = Kind::Publish { window };
    let free = case(kind, sockets, 0);
    eprintln!("{}", free.title());
    clients::run(free, java, Source::Gateway(broker), WARM_UP);
    let most_of_java = clients::run(free, java, Source::Gateway(broker), RUN);
    let gateway = servers::start_gateway(broker, &[]);
    let most = clients::run(free, &gateway, Source::Gateway(broker), RUN);
    table.sound &= most.is_sound();
    table.notes.push(format!(
        "{} as fast as it goes: Java {:.0}/s (CPU of gateway, others: {} %), here {:.0}/s ({} %; {:.2} µs each).",
        free.title(),
        most_of_java.messages_per_second(),
        most_of_java.busy(),
        most.messages_per_second(),
        most.busy(),
        most.cpu_us_per_message(),
    ));
    let mut rate = most_of_java.messages_per_second();
    loop {
        rate *= PUBLISH_PACE;
        let case = case(kind, sockets, rate as u32);
        let of_java = clients::run(case, java, Source::Gateway(broker), RUN);
        table.note_limit(case, "Java", &of_java);
        if of_java.keeps_up() || rate < 100.0 {
            let ours = clients::run(case, &gateway, Source::Gateway(broker), RUN);
            return table.add(case, None, &ours, &of_java);
        }
    }
}

impl Table {
    fn note_limit(&mut self, case: Case, server: &str, outcome: &Outcome) {
        if outcome.generator_was_the_limit() {
            self.notes.push(format!(
                "{}, {server}: the CPU of broker and clients was full ({} %): latencies say little.",
                case.title(),
                outcome.busy()
            ));
        }
    }

    fn add(&mut self, case: Case, floor: Option<&Outcome>, ours: &Outcome, java: &Outcome) {
        self.sound &= ours.is_sound();
        self.note_limit(case, "pws-fast", ours);
        if let Some(complaint) = ours.complaint() {
            self.notes.push(format!("{}: {complaint}.", case.title()));
        }
        let of_java = java.cpu_us_per_message();
        let goal = match (case.kind, floor) {
            (_, Some(floor)) => {
                let ratio = 0.85 * of_java / floor.cpu_us_per_message();
                format!("{ratio:.1}")
            }
            (Kind::Fanout { .. }, _) => String::new(),
            (Kind::Shared, _) => "5".to_owned(),
            (Kind::Publish { .. }, _) => "4".to_owned(),
        };
        self.rows.push(format!(
            "| {} | {:.0} | {} | {:.1} µs | {:.1} µs | {:.1} | {goal} | {} | {} |",
            case.title(),
            ours.messages_per_second(),
            floor.map_or(String::new(), |floor| format!(
                "{:.1} µs",
                floor.cpu_us_per_message()
            )),
            ours.cpu_us_per_message(),
            of_java,
            of_java / ours.cpu_us_per_message(),
            latencies(ours),
            latencies(java),
        ));
    }

    fn print(&self) {
        println!(
            "CPU of the gateway's process (user and system) for each message that its clients got, or that was confirmed to them."
        );
        println!();
        println!(
            "| | messages/s | floor | pws-fast | Java | Java ÷ pws-fast | goal | p50, p99, p99.9 | Java's |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        self.rows.iter().for_each(|row| println!("{row}"));
        println!();
        println!(
            "- Goals: fan-out 0.85 × (Java ÷ floor), Shared 5, publishing 4, memory 13, opening 28."
        );
        println!(
            "- Java has no flow=tcp: beside this gateway's row with it stands Java's with acks."
        );
        println!("- Raised for Java: {}.", servers::RAISED_FOR_JAVA);
        println!(
            "- Each gateway has CPU 0; broker, publisher and clients have CPU 1. Java had {} s of each load before it was measured, and a full collection before its idle sockets came.",
            WARM_UP.as_secs()
        );
        println!(
            "- Latencies from publish to receipt, publishing from when it was due to its ack."
        );
        self.notes.iter().for_each(|note| println!("- {note}"));
    }
}

fn latencies(outcome: &Outcome) -> String {
    let [half, most, nearly_all] = [0.5, 0.99, 0.999].map(|part| outcome.latency_ms(part));
    format!("{half:.1}, {most:.1}, {nearly_all:.1} ms")
}
