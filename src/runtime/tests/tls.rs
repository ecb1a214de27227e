//! TLS: the machine against itself in memory, and sockets against rustls' own blocking streams.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, OnceLock};
use std::thread;

use bytes::Bytes;
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    SupportedProtocolVersion,
};
use zeroize::Zeroize;

use super::{drivers, echo, on_shard, pair};
use crate::runtime::secured::PLAIN;
use crate::runtime::socket::READ_BUFFER;
use crate::runtime::tls::{PENDING_BYTES_MAX, Tls};
use crate::runtime::{Socket, TlsSide};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A certificate for localhost and its key, which both sides use: it is its own authority.
fn certificate() -> &'static (rcgen::Certificate, KeyPair) {
    static CERTIFICATE: OnceLock<(rcgen::Certificate, KeyPair)> = OnceLock::new();
    CERTIFICATE.get_or_init(|| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap(), key)
    })
}

fn key() -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(certificate().1.serialize_der()).into()
}

fn roots() -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate().0.der().clone()).unwrap();
    Arc::new(roots)
}

fn server_config(version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(), provider.clone())
        .allow_unauthenticated()
        .build()
        .unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate().0.der().clone()], key());
    Arc::new(config.unwrap())
}

fn client_config(version: &'static SupportedProtocolVersion, shows: bool) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots());
    Arc::new(match shows {
        false => config.with_no_client_auth(),
        true => config
            .with_client_auth_cert(vec![certificate().0.der().clone()], key())
            .unwrap(),
    })
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

fn client(version: &'static SupportedProtocolVersion, stream: TcpStream) -> Blocking {
    let session = ClientConnection::new(client_config(version, false), name());
    StreamOwned::new(session.unwrap(), stream)
}

type Blocking = StreamOwned<ClientConnection, TcpStream>;

/// Two machines, and what each has got of the other.
struct Link {
    sides: [Tls; 2],
    got: [Vec<u8>; 2],
}

impl Link {
    fn new(version: &'static SupportedProtocolVersion) -> Link {
        Link {
            sides: [
                Tls::client(client_config(version, true), name()).unwrap(),
                Tls::server(server_config(version)).unwrap(),
            ],
            got: [Vec::new(), Vec::new()],
        }
    }

    /// Carries what is unsent in pieces of this size, until both are silent. Between any two pieces `each` is called.
    fn carry(&mut self, piece: usize, mut each: impl FnMut(&mut Tls)) {
        loop {
            let mut carried = 0;
            for from in 0..2 {
                let bytes = std::mem::take(&mut self.sides[from].unsent);
                carried += bytes.len();
                let to = &mut self.sides[1 - from];
                for piece in bytes.chunks(piece) {
                    let mut buffer = [to.pending.as_slice(), piece].concat();
                    to.open(&mut buffer, &mut self.got[1 - from]).unwrap();
                    each(to);
                }
            }
            if carried == 0 {
                return;
            }
        }
    }

    fn say(&mut self, side: usize, plain: &[u8]) {
        let mut records = Vec::new();
        self.sides[side].seal(plain, &mut records).unwrap();
        self.sides[side].unsent.append(&mut records);
    }
}

fn established(version: &'static SupportedProtocolVersion, piece: usize) -> Link {
    let mut link = Link::new(version);
    link.sides[0].open(&mut [], &mut Vec::new()).unwrap();
    link.carry(piece, |_| ());
    assert!(link.sides.iter().all(Tls::is_established));
    link
}

#[test]
fn bytes_come_through_however_they_are_cut() {
    for version in VERSIONS {
        for piece in [1, 5, 1000, 20_000] {
            let mut link = established(version, piece);
            let plain: Vec<u8> = (0..40_000u32).map(|n| (n % 251) as u8).collect();
            link.say(0, &plain);
            link.say(1, b"back");
            link.carry(piece, |_| ());
            assert!(link.got == [b"back".to_vec(), plain]);
            let idle = link.sides.iter().map(|it| it.pending.capacity());
            assert_eq!(idle.sum::<usize>(), 0, "an idle side holds no buffer");
        }
    }
}

/// A record that has come in part lies where rustls has left it, and must be shown to it when something is to be sent.
#[test]
fn a_side_can_speak_while_half_a_record_waits() {
    for version in VERSIONS {
        let mut link = established(version, 20_000);
        link.say(0, &[7; 30_000]);
        let mut said = 0;
        link.carry(3_000, |side| {
            let mut records = Vec::new();
            side.seal(b"word", &mut records).unwrap();
            side.unsent.append(&mut records);
            said += 4;
            if said > 400 {
                side.unsent.clear();
            }
        });
        assert!(link.got[1].starts_with(&[7; 30_000]) && link.got[0].starts_with(b"word"));
    }
}

#[test]
fn a_goodbye_is_said_once_and_heard() {
    for version in VERSIONS {
        let mut link = established(version, 20_000);
        for _ in 0..2 {
            let mut records = Vec::new();
            link.sides[1].seal_goodbye(&mut records).unwrap();
            link.sides[1].unsent.append(&mut records);
        }
        assert!(link.sides[1].unsent.len() < 60);
        link.carry(20_000, |_| ());
        assert!(link.sides[0].peer_has_ended() && !link.sides[1].peer_has_ended());
        // The other direction goes on.
        link.say(0, b"still here");
        link.carry(20_000, |_| ());
        assert_eq!(link.got[1], b"still here");
    }
}

#[test]
fn what_the_client_has_shown_can_be_looked_at() {
    for version in VERSIONS {
        let link = established(version, 20_000);
        let shown = link.sides[1].peer_certificates().unwrap();
        assert_eq!(shown, [certificate().0.der().clone()]);
    }
}

/// One bit is enough, and after that the machine says nothing but no.
#[test]
fn a_forged_record_ends_the_connection_with_an_alert() {
    for version in VERSIONS {
        let mut link = established(version, 20_000);
        link.say(0, b"true");
        let mut forged = std::mem::take(&mut link.sides[0].unsent);
        *forged.last_mut().unwrap() ^= 1;
        let side = &mut link.sides[1];
        let mut plain = Vec::new();
        assert!(side.open(&mut forged, &mut plain).is_err());
        assert!(plain.is_empty() && !side.unsent.is_empty());
        assert!(side.open(&mut [], &mut plain).is_err());
        assert!(side.seal(b"x", &mut plain).is_err());
        assert!(side.seal_goodbye(&mut plain).is_ok() && plain.is_empty());
    }
}

/// The header of a handshake message that never ends: it is not kept for ever.
#[test]
fn an_endless_handshake_message_is_refused() {
    let mut tls = Tls::server(server_config(&TLS13)).unwrap();
    let message = [&[1, 0, 0xff, 0xff], &[0; 16_000][..]].concat();
    let mut refused = false;
    for part in [&message[..], &[0; 16_000], &[0; 16_000]] {
        let header = [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes()].concat();
        let mut buffer = [tls.pending.as_slice(), &header, part].concat();
        refused |= tls.open(&mut buffer, &mut Vec::new()).is_err();
        assert!(tls.pending.len() <= PENDING_BYTES_MAX);
    }
    assert!(refused);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(256))]
    #[test]
    fn no_bytes_make_it_panic(parts in proptest::collection::vec(proptest::collection::vec(0u8.., 0..300), 1..6), kind in 20u8..25) {
        let mut tls = Tls::server(server_config(&TLS13)).unwrap();
        for part in parts {
            let header = [&[kind, 3, 3][..], &(part.len() as u16).to_be_bytes()].concat();
            let mut buffer = [tls.pending.as_slice(), &header, &part].concat();
            let mut plain = Vec::new();
            let _ = tls.open(&mut buffer, &mut plain);
            assert!(plain.is_empty());
            let _ = tls.seal_goodbye(&mut plain);
        }
    }
}

#[test]
fn sockets_echo_over_tls_and_say_goodbye() {
    for (driver, version) in drivers()
        .into_iter()
        .flat_map(|it| VERSIONS.map(|v| (it, v)))
    {
        let (servers, clients): (Vec<_>, Vec<_>) = (0..20).map(|_| pair()).unzip();
        let talk = thread::spawn(move || {
            let mut clients: Vec<_> = clients.into_iter().map(|it| client(version, it)).collect();
            for size in [1, 300, 16_384, 100_000] {
                for (number, client) in clients.iter_mut().enumerate() {
                    client.write_all(&vec![number as u8; size]).unwrap();
                }
                for (number, client) in clients.iter_mut().enumerate() {
                    let mut answer = vec![255; size];
                    client.read_exact(&mut answer).unwrap();
                    assert!(answer == vec![number as u8; size]);
                }
            }
            for client in &mut clients {
                client.conn.send_close_notify();
                client.flush().unwrap();
                // An end without a goodbye would be an error.
                assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
            }
        });
        serve(driver, version, servers);
        talk.join().unwrap();
    }
}

/// Echoes on each of these until all have ended.
fn serve(
    driver: crate::runtime::driver::Driver,
    version: &'static SupportedProtocolVersion,
    servers: Vec<TcpStream>,
) {
    let servers = Arc::new(std::sync::Mutex::new(Some(servers)));
    on_shard(driver, move || {
        let servers = servers.lock().unwrap().take().unwrap();
        async move {
            let mut ends = Vec::new();
            for server in servers {
                let socket = Socket::from_std(server).unwrap();
                let (sender, end) = crate::runtime::oneshot();
                ends.push(end);
                crate::runtime::spawn(async move {
                    let side = TlsSide::Server(server_config(version));
                    socket.secure(side).unwrap();
                    if socket.handshake().await.is_ok() {
                        echo(socket.clone()).await;
                        socket.unsent_at_most(0).await;
                    }
                    sender.send(());
                });
            }
            for end in ends {
                end.receive().await;
            }
        }
    });
}

/// What the kernel does not take is kept by the socket or left to the caller, never both and never lost.
#[test]
fn a_slow_client_gets_all_that_send_now_has_taken() {
    const TOTAL: usize = 2_000_000;
    for (driver, version) in drivers()
        .into_iter()
        .flat_map(|it| VERSIONS.map(|v| (it, v)))
    {
        let (server, stream) = pair();
        socket2::SockRef::from(&server)
            .set_send_buffer_size(100_000)
            .unwrap();
        socket2::SockRef::from(&stream)
            .set_recv_buffer_size(100_000)
            .unwrap();
        let (full, is_full) = std::sync::mpsc::channel();
        let reader = thread::spawn(move || {
            let mut client = client(version, stream);
            client.write_all(b"go").unwrap();
            is_full.recv().unwrap();
            let mut all = Vec::new();
            client.read_to_end(&mut all).unwrap();
            all
        });
        let server = Arc::new(std::sync::Mutex::new(Some(server)));
        let most_unsent = on_shard(driver, move || {
            let (server, full) = (server.lock().unwrap().take().unwrap(), full.clone());
            async move {
                let socket = Socket::from_std(server).unwrap();
                socket
                    .secure(TlsSide::Server(server_config(version)))
                    .unwrap();
                socket.handshake().await.unwrap();
                socket.read_with(|_| ()).await.unwrap().unwrap();
                let all: Vec<u8> = (0..TOTAL).map(|n| (n / 1000) as u8).collect();
                let (mut done, mut most_unsent) = (0, 0);
                while done < TOTAL {
                    let rest = &all[done..TOTAL.min(done + 250_000)];
                    let pieces: Vec<&[u8]> = rest.chunks(7_001).collect();
                    match socket.send_now(&pieces) {
                        Some(count) => done += count,
                        None => {
                            let _ = full.send(());
                            socket.unsent_at_most(0).await;
                        }
                    }
                    most_unsent = most_unsent.max(socket.unsent_bytes());
                }
                // And behind what has no queue of its own, what has.
                socket.send(Bytes::from_static(b"end"));
                socket.shutdown_after_flush(10_000);
                while let Ok(Some(())) = socket.read_with(|_| ()).await {}
                most_unsent
            }
        });
        let all = reader.join().unwrap();
        assert_eq!(all.len(), TOTAL + 3);
        assert!((0..TOTAL).all(|n| all[n] == (n / 1000) as u8) && all.ends_with(b"end"));
        assert!(most_unsent > 0, "the client was slow");
        assert!(most_unsent < 17_000, "{most_unsent}");
    }
}

/// The task that waits for the kernel wakes up when it is aborted: what it had to send is not there any more.
#[test]
fn a_socket_that_is_aborted_while_its_client_does_not_read_just_ends() {
    for driver in drivers() {
        let (server, stream) = pair();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let reader = thread::spawn(move || {
            let mut client = client(&TLS13, stream);
            client.write_all(b"go").unwrap();
            let _ = is_done.recv();
        });
        let server = Arc::new(std::sync::Mutex::new(Some(server)));
        on_shard(driver, move || {
            let server = server.lock().unwrap().take().unwrap();
            async move {
                let socket = Socket::from_std(server).unwrap();
                let side = TlsSide::Server(server_config(&TLS13));
                socket.secure(side).unwrap();
                socket.handshake().await.unwrap();
                socket.read_with(|_| ()).await.unwrap().unwrap();
                while socket.send_now(&[&[1; 100_000]]).is_some() {}
                assert!(socket.unsent_bytes() > 0);
                socket.abort();
                assert_eq!(socket.unsent_bytes(), 0);
                assert_eq!(socket.read_with(|_| ()).await.unwrap(), None);
                crate::runtime::sleep_ms(20).await;
            }
        });
        drop(done);
        reader.join().unwrap();
    }
}

#[test]
fn a_socket_can_be_the_client_too() {
    for (driver, version) in drivers()
        .into_iter()
        .flat_map(|it| VERSIONS.map(|v| (it, v)))
    {
        let (ours, stream) = pair();
        let server = thread::spawn(move || {
            let session = ServerConnection::new(server_config(version)).unwrap();
            let mut server = StreamOwned::new(session, stream);
            // Speaks first, in the flight that ends the handshake.
            server.write_all(b"hello").unwrap();
            let mut all = Vec::new();
            server.read_to_end(&mut all).unwrap();
            all
        });
        let ours = Arc::new(std::sync::Mutex::new(Some(ours)));
        let heard = on_shard(driver, move || {
            let ours = ours.lock().unwrap().take().unwrap();
            async move {
                let socket = Socket::from_std(ours).unwrap();
                let side = TlsSide::Client(client_config(version, true), name());
                socket.secure(side).unwrap();
                socket.handshake().await.unwrap();
                let heard = socket.read_with(|bytes| bytes.to_vec()).await.unwrap();
                socket.send(Bytes::from_static(b"thanks"));
                socket.shutdown_after_flush(10_000);
                while let Ok(Some(())) = socket.read_with(|_| ()).await {}
                heard
            }
        });
        assert_eq!(heard.unwrap(), b"hello");
        assert_eq!(server.join().unwrap(), b"thanks");
    }
}

/// Whether the buffers that all sockets of this thread share hold a part of it.
fn is_left(secret: &[u8]) -> bool {
    let has = |buffer: &RefCell<Vec<u8>>| {
        let buffer = buffer.borrow();
        buffer.windows(secret.len()).any(|part| part == secret)
    };
    PLAIN.with(has) || READ_BUFFER.with(has)
}

#[test]
fn what_a_client_shows_is_left_in_no_buffer_of_others() {
    const SECRET: &[u8] = b"a token of somebody";
    for (driver, version) in drivers()
        .into_iter()
        .flat_map(|it| VERSIONS.map(|v| (it, v)))
    {
        let (server, stream) = pair();
        let client = thread::spawn(move || {
            let mut client = client(version, stream);
            // The first in the flight that ends the handshake, maybe; several records at a time.
            for _ in 0..2 {
                client.write_all(&SECRET.repeat(3)).unwrap();
                client.write_all(SECRET).unwrap();
                client.flush().unwrap();
                let mut go = [0];
                client.read_exact(&mut go).unwrap();
            }
        });
        let server = Arc::new(std::sync::Mutex::new(Some(server)));
        on_shard(driver, move || {
            let server = server.lock().unwrap().take().unwrap();
            async move {
                let socket = Socket::from_std(server).unwrap();
                let side = TlsSide::Server(server_config(version));
                socket.secure(side).unwrap();
                socket.handshake().await.unwrap();
                for _ in 0..2 {
                    let mut missing = 4 * SECRET.len();
                    while missing > 0 {
                        missing -= socket
                            .read_with(|bytes| {
                                bytes.zeroize();
                                bytes.len()
                            })
                            .await
                            .unwrap()
                            .unwrap();
                        assert!(!is_left(&SECRET[4..12]));
                    }
                    socket.send(Bytes::from_static(b"!"));
                }
                socket.shutdown_after_flush(10_000);
                while let Ok(Some(())) = socket.read_with(|_| ()).await {}
            }
        });
        client.join().unwrap();
    }
}

#[test]
fn a_peer_that_speaks_no_tls_fails_the_handshake_with_an_alert() {
    for driver in drivers() {
        let (server, mut stream) = pair();
        let server = Arc::new(std::sync::Mutex::new(Some(server)));
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let result = on_shard(driver, move || {
            let server = server.lock().unwrap().take().unwrap();
            async move {
                let socket = Socket::from_std(server).unwrap();
                let side = TlsSide::Server(server_config(&TLS13));
                socket.secure(side).unwrap();
                let result = socket.handshake().await;
                assert!(socket.is_broken());
                assert_eq!(socket.read_with(|_| ()).await.unwrap(), None);
                result
            }
        });
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidData);
        let mut alert = Vec::new();
        stream.read_to_end(&mut alert).unwrap();
        assert_eq!(alert.first(), Some(&21));
        let _ = stream.shutdown(Shutdown::Both);
    }
}
