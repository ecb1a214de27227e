//! What TLS costs: readers over `wss://` beside plain ones, on the same broker, in turn.
//!
//! What is on top is the cipher, more copying, and that a plain fan-out sends to many sockets in one system call where each
//! TLS socket has its own.
//!
//! Kernel TLS (`setsockopt(TCP_ULP, "tls")`) is not used: the kernels at hand were built without it (`CONFIG_TLS is
//! not set` in /proc/config.gz), so that nothing could be measured.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, SupportedCipherSuite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::cases::{self, Case, Kind, RUN, case};
use crate::clients::{self, Begin, Outcome, Source};
use crate::publishers::{Publisher, SETTLING};
use crate::readers::Readers;
use crate::servers::{self, Broker, Peer, Target};

/// Handshakes at a time.
const OPENING: usize = 32;

const CASES: &[Case] = &[
    case(Kind::Fanout { acks: true }, 1000, 20),
    case(Kind::Fanout { acks: false }, 1000, 50),
];

const SUITES: &[(&str, SupportedCipherSuite)] = &[
    ("AES-128-GCM", cipher_suite::TLS13_AES_128_GCM_SHA256),
    ("AES-256-GCM", cipher_suite::TLS13_AES_256_GCM_SHA384),
    ("ChaCha20", cipher_suite::TLS13_CHACHA20_POLY1305_SHA256),
];

/// False: something was lost or came twice.
pub fn run() -> bool {
    let broker = Broker::embedded();
    let files = Files::new();
    cases::print_head();
    let mut sound = true;
    for case in CASES {
        let gateway = servers::start_gateway(&broker, &[]);
        let plain = clients::run(*case, &gateway, Source::Gateway(&broker), RUN);
        drop(gateway);
        let cpu = plain.cpu_us_per_message();
        cases::print(*case, Peer::PwsFast, &plain, 1.0);
        sound &= plain.is_sound();
        for (name, suite) in SUITES {
            let address = servers::free_address();
            let gateway = files.start_gateway(&broker, address);
            let connector = files.connector(*suite);
            let measured = measure(*case, &gateway, &broker, address, &connector);
            let outcome = clients::block_on(measured);
            cases::print(
                *case,
                Peer::PwsFast,
                &outcome,
                outcome.cpu_us_per_message() / cpu,
            );
            println!("    over TLS 1.3 with {name}: x plain");
            sound &= outcome.is_sound();
        }
    }
    sound
}

async fn measure(
    case: Case,
    gateway: &Target,
    broker: &Broker,
    address: SocketAddr,
    connector: &TlsConnector,
) -> Outcome {
    let topic = clients::new_topic();
    let flow = match case.kind {
        Kind::Fanout { acks: false } => "?flow=tcp",
        _ => "",
    };
    let path = format!("/ws/v2/reader/{topic}{flow}");
    let mut outcome = Outcome::default();
    let server = &gateway.server;
    // The first one opens the upstream; it is not counted.
    let mut sockets = vec![open(connector.clone(), address, path.clone()).await];
    let (cpu, memory) = (server.cpu(), server.memory_bytes());
    while sockets.len() < case.sockets {
        let some = OPENING.min(case.sockets - sockets.len());
        let opening: Vec<_> = (0..some)
            .map(|_| tokio::task::spawn_local(open(connector.clone(), address, path.clone())))
            .collect();
        for socket in opening {
            sockets.push(socket.await.expect("opened"));
        }
    }
    let opened = (case.sockets - 1) as f64;
    outcome.open_us = (server.cpu() - cpu).as_secs_f64() * 1e6 / opened;
    outcome.socket_kib = server.memory_bytes().saturating_sub(memory) as f64 / 1024.0 / opened;

    let readers = Readers::start(sockets, case.kind);
    let published = u64::from(case.rate) * RUN.as_secs();
    outcome.offered = published * case.sockets as u64;
    outcome.expected = outcome.offered;
    let mut publisher = Publisher::open(broker, &topic, "").await;
    tokio::time::sleep(SETTLING).await;
    let begin = Begin::now(gateway);
    publisher.at_pace(published, case.rate).await;
    readers.all(outcome.offered).await;
    begin.end(gateway, &mut outcome);
    readers.end(&mut outcome).await;
    outcome.latencies.sort_by(f32::total_cmp);
    outcome
}

async fn open(connector: TlsConnector, address: SocketAddr, path: String) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("localhost").expect("a name");
    let socket = clients::connect(address).await;
    let socket = connector.connect(name, socket).await.expect("a handshake");
    clients::upgrade(socket, &path).await
}

/// A certificate of the bench's own, which is its own authority.
struct Files {
    folder: PathBuf,
    roots: RootCertStore,
}

impl Files {
    fn new() -> Files {
        let folder = std::env::temp_dir().join(format!("pws-fast-wss-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(folder.join("server.pem"), certificate.pem()).expect("a file");
        fs::write(folder.join("server.key"), key.serialize_pem()).expect("a file");
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).expect("it is one");
        Files { folder, roots }
    }

    fn start_gateway(&self, broker: &Broker, address: SocketAddr) -> Target {
        let path = |name| self.folder.join(name).display().to_string();
        servers::start_gateway(
            broker,
            &[
                &format!("webServicePortTls={}", address.port()),
                &format!("tlsCertificateFilePath={}", path("server.pem")),
                &format!("tlsKeyFilePath={}", path("server.key")),
            ],
        )
    }

    fn connector(&self, suite: SupportedCipherSuite) -> TlsConnector {
        let provider = CryptoProvider {
            cipher_suites: vec![suite],
            ..default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("a version")
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        // Every handshake in full.
        config.resumption = rustls::client::Resumption::disabled();
        TlsConnector::from(Arc::new(config))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
