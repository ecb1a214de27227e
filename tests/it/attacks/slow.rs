//! Slowloris: connections that never finish what they begin, and never stop.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{Neighbours, PATIENCE, World, pause};

const ATTACKERS: usize = 100;

#[test]
fn trickled_requests_are_cut_off_and_others_are_served_meanwhile() {
    let world = World::with(&["handshakeTimeoutMillis=2000"]);
    let mut neighbours = Neighbours::move_in(&world);
    let connect = |_| {
        let mut stream = TcpStream::connect(world.address()).expect("the gateway accepts");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a TCP socket");
        stream
            .write_all(b"GET /ws HTTP/1.1\r\nX: ")
            .expect("it is up");
        stream
    };
    let attackers: Vec<TcpStream> = (0..ATTACKERS).map(connect).collect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for mut attacker in &attackers {
                    let _ = attacker.write(b"a");
                }
                pause(Duration::from_millis(20));
            }
        });
        neighbours.are_well();
        for mut attacker in &attackers {
            // The end, or a reset for what it said behind it.
            let mut rest = Vec::new();
            let ended = attacker.read_to_end(&mut rest);
            let is_late = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
            assert!(!is_late && rest.is_empty());
        }
        over.store(true, Ordering::Relaxed);
    });
    neighbours.are_well();
}
