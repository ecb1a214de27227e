//! Every frame of sixty reader sockets is checked, on a real Pulsar that is killed (SIGKILL) and started again, and whose
//! partitions are unloaded in between: on each socket each partition's messages come without a gap and without a repeat.
//! (`PWS_LONG_MESSAGES` changes the two hundred thousand.)

use std::time::Instant;

use crate::pulsar::Pulsar;
use crate::support::every_frame::{self, Size};
use crate::support::{World, topic};

const SIZE: Size = Size {
    messages: 200_000,
    partitions: 4,
    sockets: 10,
};

/// A log that slow sockets fall off, and reconnects that do not wait for long.
const SETTINGS: &[&str] = &[
    "tailLogBytes=262144",
    "maxCatchUpReaders=20",
    "brokerClient_maxBackoffIntervalNanos=1000000000",
    // Those that read nothing meanwhile are not idle by intention.
    "webSocketSessionIdleTimeoutMillis=3600000",
];

pub fn run() {
    let messages = std::env::var("PWS_LONG_MESSAGES").ok();
    let size = Size {
        messages: messages
            .and_then(|count| count.parse().ok())
            .unwrap_or(SIZE.messages),
        ..SIZE
    };
    let pulsar = Pulsar::start("long-every-frame");
    let (broker, admin) = pulsar.urls();
    let world = World::on_pulsar(&broker, &admin, SETTINGS);
    let name = topic("every-frame");
    let begin = Instant::now();
    let frames = every_frame::check(&world, &name, size, |time| match time % 2 {
        0 => {
            pulsar.kill();
            pulsar.start_again();
        }
        _ => {
            let admin = world.admin();
            (0..size.partitions).for_each(|it| admin.unload(&format!("{name}-partition-{it}")));
        }
    });
    println!("command: cargo test --release --test long -- every-frame");
    println!(
        "{} messages in {} partitions, two restarts of the broker: {frames} frames on {} sockets at a time, each once and in order; {:.0} s",
        size.messages,
        size.partitions,
        size.sockets * 6,
        begin.elapsed().as_secs_f64()
    );
}
