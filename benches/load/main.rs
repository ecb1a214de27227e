//! What a message costs: this gateway beside the kernel's floor, the Java gateway and nchan.
//!
//!     cargo bench --bench load                       fanout, shared and publish, on an embedded broker in this process
//!     cargo bench --bench load -- NAME…              only these
//!
//! | name | what it shows | needs |
//! |---|---|---|
//! | `fanout` | readers with acks and with `flow=tcp`, beside the floor | |
//! | `wss` | readers over TLS, beside plain ones | |
//! | `shared` | 50 sockets on one Shared subscription | |
//! | `publish` | 1 and 20 producers | |
//! | `scaling` | one shard and two, and `--busy-poll`: fan-out, Shared, publish | |
//! | `saturation` | 100 and 1,000 readers with `flow=tcp`, as fast as can be | |
//! | `stalled` | the others' p99 while 1 % do not read; memory while nobody reads | |
//! | `sockets` | opening, memory, closing of 1,000 and 18,000 idle readers | 19,000 descriptors each |
//! | `broker` | what 1 and 5,000 readers cost the broker | Pulsar |
//! | `nchan` | nchan, a module of nginx, beside this one | Debian's libnginx-mod-nchan |
//! | `java` | the Java gateway beside this one, on a real Pulsar that it starts: a table | Pulsar (`tests/pulsar/pulsar.sh`) |
//!
//! The server under test has CPU 0, everything else (broker, publisher, the sockets' other ends) CPU 1. CPU is the user and
//! system time of the server's process per message that its clients received or, publishing, that the broker confirmed.
//! Every frame is read by a checker: on each reader the numbers must follow each other without a gap or a repeat, a
//! subscription must bring each of them once; else the run fails.
//!
//! `PWS_LOAD_GATEWAY=path` measures another build of the gateway.
//!
//! Seconds on a shared machine say little; the ratios of one run do.

#![expect(
    clippy::disallowed_methods,
    reason = "nothing here runs on a shard: it may block"
)]

mod beside_java;
mod broker_cost;
mod cases;
mod clients;
mod floor;
mod frames;
mod nchan;
mod process;
mod publishers;
mod readers;
mod saturation;
mod scaling;
mod servers;
mod sockets;
mod stalled;
mod wss;

use std::process::ExitCode;

const USUAL: &[&str] = &["fanout", "shared", "publish"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    if arguments.first().is_some_and(|first| first == "floor") {
        return floor::main(&arguments[1..]);
    }
    process::pin_to(process::OTHERS_CPU);
    let names: Vec<&str> = match arguments.is_empty() {
        true => USUAL.to_vec(),
        false => arguments.iter().map(String::as_str).collect(),
    };
    let mut sound = true;
    for name in names {
        sound &= match name {
            "fanout" | "shared" | "publish" => cases::run(name),
            "java" => beside_java::run(),
            "nchan" => nchan::run(),
            "broker" => broker_cost::run(),
            "sockets" => sockets::run(),
            "stalled" => stalled::run(),
            "saturation" => saturation::run(),
            "wss" => wss::run(),
            "scaling" => scaling::run(),
            _ => {
                eprintln!("load: there is no {name}; see benches/load/main.rs");
                return ExitCode::from(64);
            }
        };
    }
    match sound {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
