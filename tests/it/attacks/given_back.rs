//! What attackers held is free again: places of sockets, and memory.
//!
//! Set-up: the program in a process of its own, with room for few; attackers of every kind, again and again. Claim: each
//! kind leaves its places to who comes next, and in the end the process is as small as it was.

use std::fs;
use std::net::SocketAddr;

use super::{AUTHENTICATED, TOKEN, WRONG_TOKEN, with_lines};
use crate::support::process::{Gateway, program_with};
use crate::support::raw::{claiming, frame, upgrade_request};
use crate::support::{Client, Raw, eventually, topic};

/// Connections of the process.
const PLACES: usize = 60;

/// At a time; each kind in its turn.
const ATTACKERS: usize = 40;

const ROUNDS: usize = 12;

/// What a process may grow by for other reasons. 16 KiB left behind by each attacker of one kind would be as much.
const GROWTH_BYTES_MAX: u64 = (ROUNDS * ATTACKERS) as u64 * (16 << 10);

/// Of the allocator: what is free goes back to the system at once, and in small pieces.
const EXACT: [(&str, &str); 2] = [("MIMALLOC_PURGE_DELAY", "0"), ("MIMALLOC_ALLOW_THP", "0")];

fn start() -> (Gateway, SocketAddr) {
    let places = format!("maxHttpServerConnections={PLACES}");
    let settings = [&AUTHENTICATED[..], &[&places]].concat();
    let gateway = Gateway::start_program(program_with(&settings).envs(EXACT));
    let address = gateway.address();
    (gateway, address)
}

/// What each kind says, and how its connections end: by the gateway, or cut off by the attacker.
fn kinds(path: &str) -> Vec<(&'static str, Vec<u8>, bool)> {
    let full = "x".repeat(16_000);
    let open = upgrade_request(&format!("{path}?token={TOKEN}")).into_bytes();
    let and = |bytes: Vec<u8>| [&open[..], &bytes].concat();
    vec![
        ("says nothing", Vec::new(), false),
        (
            "half a request",
            format!("GET /{full} HTTP/1.1\r\n").into(),
            false,
        ),
        ("too long", format!("GET /{full}{full}").into(), true),
        ("smuggled", with_lines(path, "X: a\r\n b\r\n").into(), true),
        (
            "a wrong token",
            upgrade_request(&format!("{path}?token={WRONG_TOKEN}")).into(),
            true,
        ),
        (
            "no such topic",
            upgrade_request(&format!("/ws/v2/reader/persistent/a/b/c?token={TOKEN}")).into(),
            true,
        ),
        ("a socket that says nothing", open.clone(), false),
        (
            "half a frame",
            and(claiming(0x81, 900_000, full.as_bytes())),
            false,
        ),
        ("too large a frame", and(claiming(0x81, 1 << 40, b"")), true),
        ("half a message", and(frame(0x01, &[b'x'; 15_000])), false),
        ("no frames", and(vec![0xff; 200]), true),
        (
            "bad JSON",
            and(frame(0x81, "[".repeat(12_000).as_bytes())),
            false,
        ),
    ]
}

/// The memory of a process, in bytes.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .expect("a number")
        << 10
}

/// As many as there are places, but for those of the test's own two sockets, all at the same time.
fn all_get_places(address: SocketAddr) -> bool {
    let mut all: Vec<Raw> = (2..PLACES).map(|_| Raw::connect(address)).collect();
    all.iter_mut().for_each(|one| one.try_send(b"?"));
    // Who has no place is told 503.
    let answers = all.iter_mut().map(|one| one.rest());
    answers
        .filter(|answer| answer.starts_with(b"HTTP/1.1 400 "))
        .count()
        == PLACES - 2
}

#[test]
fn places_and_memory_come_back() {
    let (gateway, address) = start();
    let name = topic("given-back");
    let path = format!("/ws/v2/producer/persistent/public/default/{name}");
    let open = |path: &str| Client::open(address, &format!("{path}?token={TOKEN}")).expect("101");
    let mut producer = open(&path);
    let mut consumer = open(&format!("{}/sub", path.replace("producer", "consumer")));
    let before = resident(gateway.pid());
    for round in 0..ROUNDS {
        for (kind, says, is_ended) in kinds(&path) {
            let mut attackers: Vec<Raw> = (0..ATTACKERS).map(|_| Raw::connect(address)).collect();
            for attacker in &mut attackers {
                attacker.try_send(&says);
            }
            for attacker in attackers.iter_mut().filter(|_| is_ended) {
                attacker.rest();
            }
            drop(attackers);
            eventually(kind, || all_get_places(address));
        }
        let text = round.to_string();
        producer.publish(&text);
        assert_eq!(consumer.receive(), text);
    }
    eventually("memory is given back", || {
        resident(gateway.pid()) < before + GROWTH_BYTES_MAX
    });
}
