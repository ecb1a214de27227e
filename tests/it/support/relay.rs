//! A way to the broker on which questions about new partitions are counted.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// `BaseCommand { type: PARTITIONED_METADATA, … }` as it begins.
const PARTITIONED_METADATA: [u8; 2] = [8, 21];
/// `metadata_auto_creation_enabled: false` as it ends: asked of a topic that is in use.
const IF_EXISTS: [u8; 2] = [6 << 3, 0];

pub struct Relay {
    pub url: String,
    recounts: Arc<AtomicU64>,
}

impl Relay {
    /// To `host:port`, for the life of the test's process.
    pub fn start(broker: &str) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("pulsar://{}", listener.local_addr().expect("an address"));
        let recounts = Arc::new(AtomicU64::new(0));
        let (counter, broker) = (recounts.clone(), broker.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(&broker) {
                    relay(client, server, counter.clone());
                }
            }
        });
        Relay { url, recounts }
    }

    /// How often it was asked whether a topic has new partitions.
    pub fn recounts(&self) -> u64 {
        self.recounts.load(Ordering::Relaxed)
    }
}

fn relay(client: TcpStream, server: TcpStream, recounts: Arc<AtomicU64>) {
    let (mut from_server, mut to_client) =
        (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from_server, &mut to_client));
    std::thread::spawn(move || commands(client, server, &recounts));
}

/// Passes whole frames on, until either side ends.
fn commands(mut client: TcpStream, mut server: TcpStream, recounts: &AtomicU64) -> Option<()> {
    loop {
        let mut sizes = [0; 8];
        client.read_exact(&mut sizes).ok()?;
        let size =
            |at: usize| u32::from_be_bytes(sizes[at..at + 4].try_into().expect("four")) as usize;
        let mut rest = vec![0; size(0) - 4];
        client.read_exact(&mut rest).ok()?;
        let command = &rest[..size(4)];
        if command.starts_with(&PARTITIONED_METADATA) && command.ends_with(&IF_EXISTS) {
            recounts.fetch_add(1, Ordering::Relaxed);
        }
        server.write_all(&sizes).ok()?;
        server.write_all(&rest).ok()?;
    }
}
