//! Slowloris: connections that never finish what they begin, and never stop.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::support::{Neighbours, PATIENCE, World, pause};

const ATTACKERS: usize = 100;

/// Where attackers come from: another address than the neighbours'.
const THERE: [u8; 4] = [127, 0, 0, 2];

/// So many connections that begin like this.
pub fn attackers(address: SocketAddr, begin: &[u8]) -> Vec<TcpStream> {
    let connect = |_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket
            .bind(&SocketAddr::from((THERE, 0)).into())
            .expect("a port");
        socket
            .connect(&address.into())
            .expect("the gateway accepts");
        let mut stream = TcpStream::from(socket);
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a TCP socket");
        stream.write_all(begin).expect("it is up");
        stream
    };
    (0..ATTACKERS).map(connect).collect()
}

/// They go on, a byte each now and then: all are cut off in time without an answer, and nobody else is.
pub fn are_cut_off(attackers: &[TcpStream], byte: u8, neighbours: &mut Neighbours) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for mut attacker in attackers {
                    let _ = attacker.write(&[byte]);
                }
                pause(Duration::from_millis(50));
            }
        });
        neighbours.are_well();
        for mut attacker in attackers {
            // The end, or a reset for what it said behind it.
            let mut rest = Vec::new();
            let ended = attacker.read_to_end(&mut rest);
            let is_late = ended.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
            assert!(!is_late && rest.is_empty());
        }
        over.store(true, Ordering::Relaxed);
    });
    neighbours.are_well();
}

#[test]
fn trickled_requests_are_cut_off_and_others_are_served_meanwhile() {
    let world = World::with(&["handshakeTimeoutMillis=2000"]);
    let mut neighbours = Neighbours::move_in(&world);
    let attackers = attackers(world.address(), b"GET /ws HTTP/1.1\r\nX: ");
    are_cut_off(&attackers, b'a', &mut neighbours);
}

#[test]
fn trickled_headers_of_a_proxy_are_cut_off_too() {
    let world = World::with(&[
        "handshakeTimeoutMillis=1000",
        "webServiceHaProxyProtocolEnabled=true",
        "trustedProxies=127.0.0.2",
    ]);
    let mut neighbours = Neighbours::move_in(&world);
    for (begin, byte) in [
        (&b"PROXY UNKNOWN "[..], b'a'),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x04\0", 0),
    ] {
        are_cut_off(&attackers(world.address(), begin), byte, &mut neighbours);
    }
}
