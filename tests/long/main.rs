//! Runs of minutes, too long for every day: `cargo test --release --test long -- NAME`.
//!
//! | name | what it does | needs |
//! |---|---|---|
//! | `restart` | a million messages while Pulsar is killed and started again | Pulsar (`tests/pulsar/pulsar.sh`) |
//! | `finding` | the ways to a cluster: a real ZooKeeper and a real proxy | the same |
//! | `every-frame` | every frame of sixty readers through restarts, churn and a small log | the same |
//! | `sockets` | 15,000 sockets open, talk and close; descriptors and memory come back; the spread of 10,000 | 19,000 descriptors each |
//!
//! Each prints what it saw, fails when a claim of it does not hold, and has its last result in `results/`.

#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the long runs need a part of it")]
mod support;

mod every_frame;
mod finding;
mod fleet;
mod process;
mod pulsar;
mod restart;
mod sockets;

use std::process::ExitCode;

use pws_fast::observe::logs;

fn main() -> ExitCode {
    // RUST_LOG=pws_fast=debug shows what a gateway in this process does.
    logs::start(Some(
        &std::env::var("RUST_LOG").unwrap_or("error".to_owned()),
    ))
    .expect("the first in this process");
    let names: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["restart"] => restart::run(),
        ["finding"] => finding::run(),
        ["every-frame"] => every_frame::run(),
        ["sockets"] => sockets::run(),
        _ => {
            eprintln!("long: say restart, finding, every-frame or sockets");
            return ExitCode::from(64);
        }
    }
    ExitCode::SUCCESS
}
