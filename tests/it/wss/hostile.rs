//! Who does not speak TLS where he should, or speaks it too slowly, harms nobody.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::{Place, new_reader};
use crate::support::PATIENCE;
use crate::support::secure::{Secure, Version};

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the gateway accepts");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a TCP socket");
    stream
}

/// Everything until the end, however it comes.
fn read_all(mut stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut part = [0; 1000];
    while let Ok(count) = stream.read(&mut part) {
        if count == 0 {
            break;
        }
        all.extend_from_slice(&part[..count]);
    }
    all
}

#[test]
fn plain_http_on_the_tls_port_gets_an_alert_and_the_end() {
    let place = Place::new(&[]);
    let mut stream = connect(place.world.address_tls());
    stream
        .write_all(b"GET /ws/v2/reader/persistent/public/default/t HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("it is open");
    let answer = read_all(&stream);
    // A fatal alert of TLS (RFC 8446 §6).
    assert_eq!((answer.first(), answer.get(5)), (Some(&21), Some(&2)));
    Secure::open(
        place.world.address_tls(),
        &place.trust(Version::Tls13),
        &new_reader(),
    )
    .close();
}

#[test]
fn tls_on_the_plain_port_is_no_request() {
    let place = Place::new(&[]);
    let refused = Secure::try_open(
        place.world.address(),
        &place.trust(Version::Tls13),
        &new_reader(),
    );
    assert!(refused.is_err());
    let mut stream = connect(place.world.address());
    stream
        .write_all(&[22, 3, 1, 0, 5, 1, 0, 0, 1, 0])
        .expect("it is open");
    stream.write_all(b"\r\n\r\n").expect("it is open");
    assert!(read_all(&stream).starts_with(b"HTTP/1.1 400 "));
}

/// Silence, a first byte and no more, and one byte after the other: `handshakeTimeoutMillis` is for all of it.
#[test]
fn a_slow_handshake_is_ended() {
    let place = Place::new(&["handshakeTimeoutMillis=300"]);
    let silent = connect(place.world.address_tls());
    let mut begun = connect(place.world.address_tls());
    begun.write_all(&[22, 3, 1]).expect("it is open");
    let mut trickling = connect(place.world.address_tls());
    // The header of a long handshake record, of which a byte comes now and then.
    let _ = trickling.write_all(&[22, 3, 1, 0x40, 0]);
    while trickling.write_all(&[1]).is_ok() {
        crate::support::pause(std::time::Duration::from_millis(10));
    }
    assert!(read_all(&silent).is_empty() && read_all(&begun).is_empty());
}

/// What is cut off in the middle of anything: the gateway goes on.
#[test]
fn handshakes_that_are_cut_off_harm_nobody() {
    let place = Place::new(&[]);
    let hello = client_hello();
    for cut in (0..hello.len()).step_by(7) {
        let mut stream = connect(place.world.address_tls());
        stream.write_all(&hello[..cut]).expect("it is open");
    }
    for at in (0..hello.len()).step_by(11) {
        let mut bent = hello.clone();
        bent[at] ^= 0x55;
        let mut stream = connect(place.world.address_tls());
        stream.write_all(&bent).expect("it is open");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("it is open");
        read_all(&stream);
    }
    Secure::open(
        place.world.address_tls(),
        &place.trust(Version::Tls13),
        &new_reader(),
    )
    .close();
}

/// What rustls says first.
fn client_hello() -> Vec<u8> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let authority = crate::support::certificates::Authority::new("it");
    let talk = std::thread::spawn(move || {
        let trust = crate::support::secure::Trust::new(&authority, Version::Tls13, None);
        Secure::try_open(address, &trust, "/").is_err()
    });
    let (mut stream, _) = listener.accept().expect("it comes");
    let mut hello = vec![0; 5];
    stream.read_exact(&mut hello).expect("a record");
    let length = usize::from(hello[3]) << 8 | usize::from(hello[4]);
    hello.resize(5 + length, 0);
    stream.read_exact(&mut hello[5..]).expect("all of it");
    drop(stream);
    assert!(talk.join().expect("no panic"));
    hello
}
