//! The cases of which this gateway and its peers each have their run, and the table of those on the embedded broker.

use std::time::Duration;

use crate::clients::{self, Outcome, Source};
use crate::servers::{self, Broker, Peer};

/// How long each case publishes.
pub const RUN: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Readers of one topic. `acks`: the clients send a frame for each message, else `flow=tcp`.
    Fanout { acks: bool },
    /// Consumers of one Shared subscription.
    Shared,
    /// Producers, each with so many messages unconfirmed.
    Publish { window: usize },
}

/// `rate`: messages a second; of producers, all together, and 0: as fast as their windows let them.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub kind: Kind,
    pub sockets: usize,
    pub rate: u32,
}

pub const fn case(kind: Kind, sockets: usize, rate: u32) -> Case {
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
    case(Kind::Shared, 50, 2000),
    case(Kind::Shared, 50, 10_000),
    case(Kind::Publish { window: 100 }, 1, 0),
    case(Kind::Publish { window: 50 }, 20, 0),
];

impl Case {
    pub fn is(self, kind: &str) -> bool {
        let name = match self.kind {
            Kind::Fanout { .. } => "fanout",
            Kind::Shared => "shared",
            Kind::Publish { .. } => "publish",
        };
        name == kind
    }

    pub fn title(self) -> String {
        let Case { sockets, rate, .. } = self;
        let rate = match rate {
            0 => String::new(),
            rate => format!(", {rate}/s"),
        };
        match self.kind {
            Kind::Fanout { acks: true } => format!("{sockets} readers{rate}, acks"),
            Kind::Fanout { acks: false } => format!("{sockets} readers{rate}, flow=tcp"),
            Kind::Shared => format!("{sockets} on Shared{rate}"),
            Kind::Publish { window } => format!("{sockets} producers, window {window}{rate}"),
        }
    }
}

/// Runs those of this kind on the embedded broker; false: something was lost or came twice.
pub fn run(kind: &str) -> bool {
    let broker = Broker::embedded();
    print_head();
    let mut sound = true;
    for case in CASES.iter().filter(|case| case.is(kind)) {
        let mut first = None;
        if matches!(case.kind, Kind::Fanout { .. }) {
            let floor = servers::start_floor(*case, RUN);
            let outcome = clients::run(*case, &floor, Source::Itself, RUN);
            first = Some(outcome.cpu_us_per_message());
            print(*case, Peer::Floor, &outcome, 1.0);
        }
        let gateway = servers::start_gateway(&broker, &[]);
        let outcome = clients::run(*case, &gateway, Source::Gateway(&broker), RUN);
        let cpu = outcome.cpu_us_per_message();
        print(*case, Peer::PwsFast, &outcome, cpu / first.unwrap_or(cpu));
        sound &= outcome.is_sound();
    }
    sound
}

pub fn print_head() {
    println!(
        "{:<32} {:>8} {:>10} {:>7} {:>9} {:>8} {:>8} {:>8} {:>8} {:>9} {:>11}",
        "case",
        "server",
        "us/message",
        "x floor",
        "messages",
        "p50 ms",
        "p99 ms",
        "p99.9",
        "open us",
        "KiB/sock",
        "CPU 0, 1 %"
    );
}

pub fn print(case: Case, peer: Peer, outcome: &Outcome, ratio: f64) {
    println!(
        "{:<32} {:>8} {:>10.2} {:>7.2} {:>9.0} {:>8.1} {:>8.1} {:>8.1} {:>8.0} {:>9.2} {:>11}{}",
        case.title(),
        peer.name(),
        outcome.cpu_us_per_message(),
        ratio,
        outcome.messages_per_second(),
        outcome.latency_ms(0.5),
        outcome.latency_ms(0.99),
        outcome.latency_ms(0.999),
        outcome.open_us,
        outcome.socket_kib,
        outcome.busy(),
        outcome
            .complaint()
            .map_or(String::new(), |text| format!("  {text}")),
    );
}
