//! The same handshakes at the Java gateway and at this one, both with the same settings in front of the same Pulsar.
//!
//! Claim: whoever asks, however he shows who he is, and whatever for, is answered with the same status and the same
//! text, but where [`DIFFERENCES`] says otherwise, each under its row of README's table.

mod cases;
mod credentials;
mod pair;
#[path = "../../golden/refusal.rs"]
mod refusal;

use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};

use self::cases::{Case, Cases, Place, missing, nobody, rights, superuser};
use self::credentials::{credentials, what_tokens_say};
use self::pair::{Pair, Side};
use crate::secured::Secured;

/// Answers that are others here.
struct Difference {
    /// The row of README's table: its two cells.
    row: &'static str,
    /// Names; a `*` at one end stands for anything.
    cases: &'static [&'static str],
    java: &'static str,
    here: &'static str,
}

const READERS: &str =
    "a reader that cannot be created: always 500 | the status that fits (404, 409, …)";

const DIFFERENCES: &[Difference] = &[
    Difference {
        row: "`Authorization:Bearer<token>` without the space, or `bearer` in other letters: 401 | is read",
        cases: &["no space before the token", "a scheme in small letters"],
        java: "401 Failed to authenticate",
        here: "101",
    },
    Difference {
        row: "a token without the claim that names the role is let in as nobody; one that must not be accepted without an extension (`crit`) is | 401",
        cases: &[
            "a token that has no role",
            "a token that has an empty role",
            "a token that has a role of spaces",
            "a token that has an empty list of roles",
            "a token that has null as role",
        ],
        java: "403 Not authorized",
        here: "401 Failed to authenticate",
    },
    Difference {
        row: "`topicsPattern` where brokers authorize: 403, whoever asks | works, unless the gateway's own role is one of their `proxyRoles`",
        cases: &["* as pattern"],
        java: "403 Failed to create producer/consumer: Client is not authorized to GetTopicsOfNamespace",
        here: "101",
    },
    Difference {
        row: "a subscription without the prefix that its namespace wants, a tenant that does not exist: 500 `Server error` where authorization is on | 403 `Not authorized`, like everything that is not allowed",
        cases: &[
            "where prefixes are wanted, no prefix",
            "* of a tenant that is not there",
        ],
        java: "500 Server error",
        here: "403 Not authorized",
    },
    Difference {
        row: READERS,
        cases: &["the superuser as reader"],
        java: "500 Failed to create reader: Client is not authorized to Get Partition Metadata",
        here: "403 Failed to create reader: Client is not authorized to Get Partition Metadata",
    },
    Difference {
        row: READERS,
        cases: &["the superuser as reader"],
        java: "500 Failed to create reader: Failed to authenticate",
        here: "401 Failed to create reader: Failed to authenticate",
    },
    Difference {
        row: READERS,
        cases: &["t as reader of *", "root as reader of *"],
        java: "500 Failed to create reader: Namespace not found",
        here: "404 Failed to create reader: Namespace not found",
    },
    Difference {
        row: "a path that is not a topic: 500 with a stack trace, or a redirect to there | 400 and one line of text (JSON with `Accept: application/json`)",
        cases: &["a path that is none, *"],
        java: "500 java.lang.IllegalArgumentException: Invalid topic name format",
        here: "400 Invalid topic name format",
    },
    Difference {
        row: "a reader's bad `messageId` or `receiverQueueSize`: 500 | 400, with the same detail where it is not the text of a Java exception",
        cases: &["a reader's bad parameter, *"],
        java: "500 Failed to create reader: Input byte[] should at least have 2 bytes for base64 bytes",
        here: "400 Invalid query params: Input byte[] should at least have 2 bytes for base64 bytes",
    },
];

impl Difference {
    fn is_about(&self, name: &str) -> bool {
        self.cases.iter().any(|of| match of.split_once('*') {
            Some((start, end)) => name.starts_with(start) && name.ends_with(end),
            None => name == *of,
        })
    }
}

/// How many at a time: most of it is waiting.
const AT_A_TIME: usize = 6;

/// Of a case, where one of the two runs out of time.
const TRIES: usize = 5;

/// Each case's two answers.
fn play(pair: &Pair, cases: &[Case]) -> Vec<[String; 2]> {
    let answers = Mutex::new(vec![[String::new(), String::new()]; cases.len()]);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((place, case)) = {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    cases.get(place).map(|case| (place, case))
                } {
                    let both = ask_both(pair, case);
                    answers.lock().expect("nobody panics")[place] = both;
                }
            });
        }
    });
    answers.into_inner().expect("nobody panics")
}

/// Who has run out of time has not answered yet: on a busy machine brokers may take longer than they are given.
fn ask_both(pair: &Pair, case: &Case) -> [String; 2] {
    let mut both = [String::new(), String::new()];
    for _ in 0..TRIES {
        both = [pair.java, pair.here].map(|side| ask(side, case));
        if both[0] == both[1] || !both.iter().any(|answer| answer.starts_with("504 ")) {
            break;
        }
    }
    both
}

fn ask(side: Side, case: &Case) -> String {
    let path = case.path.replace("$side", side.name);
    let answer = side.ask(&case.door, &path, &case.lines);
    brokers_text(&answer)
}

/// Java puts what a broker has said in JSON, with a request id and addresses, or behind two words: a difference that has
/// its row.
fn brokers_text(answer: &str) -> String {
    let answer = answer.replace(": Not found: ", ": ");
    let Some((before, rest)) = answer.split_once("{\"errorMsg\":\"") else {
        return answer;
    };
    let text = rest
        .split_once("\",\"reqId\"")
        .map_or(rest, |(text, _)| text);
    format!("{before}{text}")
}

/// What is not as it should be, and which differences were met.
#[derive(Default)]
struct Report {
    faults: String,
    met: Vec<&'static Difference>,
}

impl Report {
    fn compare(&mut self, pair: &Pair, cases: &[Case]) {
        for (case, [java, here]) in cases.iter().zip(play(pair, cases)) {
            println!("{}: {java}", case.name);
            if java == here {
                continue;
            }
            let is_it = |it: &&Difference| {
                it.is_about(&case.name) && (it.java, it.here) == (&*java, &*here)
            };
            match DIFFERENCES.iter().find(is_it) {
                Some(named) => self.met.push(named),
                None => {
                    let _ = writeln!(self.faults, "{}\n  java: {java}\n  here: {here}", case.name);
                }
            }
        }
    }

    fn end(mut self) {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
        let readme = readme.expect("a text file");
        for named in DIFFERENCES {
            let row = named.row;
            if !readme.contains(&format!("| {row} |\n")) {
                let _ = writeln!(self.faults, "README's table has no row | {row} |");
            }
            if !self.met.iter().any(|met| std::ptr::eq(*met, named)) {
                let _ = writeln!(self.faults, "a named difference that is none: {row}");
            }
        }
        assert!(self.faults.is_empty(), "\n{}", self.faults);
    }
}

#[test]
fn handshakes_are_answered_as_the_java_gateway_answers_them() {
    let place = Place::new();
    let mut report = Report::default();
    let pairs = pairs();
    let next = || pairs.recv().expect("they start");
    let mut cases = Cases::default();
    credentials(&mut cases, &place.producer());
    what_tokens_say(&mut cases, &place.producer());
    rights(&mut cases, &place);
    missing(&mut cases, &place);
    report.compare(&next(), &cases.0);
    // Where nobody is a role. And topics are found over HTTP.
    let mut cases = Cases::default();
    nobody(&mut cases, &place);
    missing(&mut cases, &place);
    report.compare(&next(), &cases.0);
    // Where the gateway itself may do nothing on the brokers.
    let mut cases = Cases::default();
    superuser(&mut cases, &place);
    report.compare(&next(), &cases.0);
    // And where brokers do not know it. A pattern's namespace Java asks for until the time is over.
    cases.0.retain(|case| !case.name.ends_with(" pattern"));
    report.compare(&next(), &cases.0);
    report.end();
}

/// In the order of the test. The next one starts while one is asked.
fn pairs() -> Receiver<Pair> {
    let (sender, pairs) = mpsc::channel();
    std::thread::spawn(move || {
        let secured = Secured::get();
        let shows = |token: String| {
            let key = "brokerClientAuthenticationParameters";
            vec![(key, format!("token:{token}"))]
        };
        let over_http = vec![
            ("anonymousUserRole", "anonymous".to_owned()),
            ("brokerServiceUrl", String::new()),
            ("brokerServiceUrlTls", String::new()),
            ("serviceUrlTls", secured.web_url()),
        ];
        for (name, settings) in [
            ("java", Vec::new()),
            ("java-http", over_http),
            ("java-nobody", shows(secured.token("nobody"))),
            ("java-expired", shows(secured.token_for("admin", -60))),
        ] {
            let _ = sender.send(Pair::start(name, &settings));
        }
    });
    pairs
}
