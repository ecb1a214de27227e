//! A million messages through a producer, an Exclusive consumer, four Shared ones and two readers, on real Pulsar, which is
//! killed (SIGKILL) and started again in the middle. Claim: nothing is lost or out of order, and nothing comes twice but
//! publishes that were unconfirmed when the broker died. (`PWS_LONG_MESSAGES` changes the million.)

use std::time::{Duration, Instant};

use crate::pulsar::Pulsar;
use crate::support::flow::{Flow, Pace, Report};
use crate::support::{World, topic};

const MESSAGES: u64 = 1_000_000;

/// As many as the windows of the consumers hold, so that nobody waits for the test.
const PACE: Pace = Pace {
    unconfirmed: 500,
    ahead: 2_000,
};

/// Reconnects are tried often, so that the table shows the broker's outage and not the gateway's patience.
const BACKOFF: &str = "brokerClient_maxBackoffIntervalNanos=1000000000";

pub fn run() {
    let messages = std::env::var("PWS_LONG_MESSAGES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(MESSAGES);
    let pulsar = Pulsar::start("long-restart");
    let (broker, admin) = pulsar.urls();
    let world = World::on_pulsar(&broker, &admin, &[BACKOFF]);
    let begin = Instant::now();
    let mut flow = Flow::at(&world, &topic("million"), PACE);
    flow.run_to(messages / 2);
    let mut outage = Duration::ZERO;
    flow.through(|_| {
        let killed = Instant::now();
        pulsar.kill();
        pulsar.start_again();
        outage = killed.elapsed();
    });
    flow.run_to(messages);
    let reports = flow.report(&world);
    print_table(&reports, begin.elapsed(), outage);
    assert!(reports.iter().all(Report::is_clean), "{reports:?}");
}

fn print_table(reports: &[Report], took: Duration, outage: Duration) {
    println!("command: cargo test --release --test long -- restart");
    println!(
        "took {:.0} s; the broker was dead, or not ready, for {:.1} s",
        took.as_secs_f64(),
        outage.as_secs_f64()
    );
    println!(
        "{:<13} {:>7} {:>10} {:>5} {:>11} {:>6} {:>15} {:>11} {:>13}",
        "group",
        "sockets",
        "deliveries",
        "lost",
        "disordered",
        "again",
        "published twice",
        "unexplained",
        "longest stall"
    );
    for report in reports {
        println!(
            "{:<13} {:>7} {:>10} {:>5} {:>11} {:>6} {:>15} {:>11} {:>11.1} s",
            report.group,
            report.sockets,
            report.deliveries,
            report.lost,
            report.disordered,
            report.again,
            report.published_twice,
            report.unexplained,
            report.longest_stall.as_secs_f64()
        );
    }
    println!("lost: never came. disordered: not behind the one before on its socket.");
    println!("again: a message that had been delivered before (acked or not).");
    println!("published twice: unconfirmed when the broker died, and sent again.");
    println!("unexplained: twice in the topic for no such reason.");
}
