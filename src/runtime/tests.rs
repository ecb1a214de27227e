//! The room on a real kernel: shards with both drivers, sockets, mailboxes, the acceptor. On one CPU too: shards then
//! share it.

#![allow(
    clippy::disallowed_methods,
    reason = "threads beside the shards may sleep"
)]

mod acceptor;
mod batch;
mod mailbox;
mod socket;
mod timer;
mod tls;
mod wheel;

use std::future::Future;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::driver::{self, Driver};
use super::shard::{self, ShardPlan};
use super::{Socket, cores};

/// Every wait of a test ends by then; generous, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// The drivers that this machine has: poll, and io_uring where it is allowed.
fn drivers() -> Vec<Driver> {
    let mut drivers = vec![Driver::Poll];
    match driver::choose().driver {
        Driver::Poll => eprintln!("io_uring is not available here: only the poll driver is tested"),
        ring => drivers.push(ring),
    }
    drivers
}

fn plan(driver: Driver, shards: usize) -> ShardPlan {
    let allowed = cores::allowed().unwrap();
    ShardPlan {
        cores: (0..shards)
            .map(|index| allowed[index % allowed.len()])
            .collect(),
        driver,
    }
}

/// Runs a future on one shard and gives its output. A panic in it is the test's.
pub(crate) fn on_shard<R, Fut>(driver: Driver, main: impl Fn() -> Fut + Send + Clone + 'static) -> R
where
    R: Send + 'static,
    Fut: Future<Output = R> + 'static,
{
    let (sender, receiver) = mpsc::channel();
    let shards = shard::start::<(), _, _>(plan(driver, 1), move |_context| {
        let (sender, future) = (sender.clone(), main());
        async move { sender.send(future.await).unwrap() }
    })
    .unwrap();
    let ended = shards
        .ended()
        .recv_timeout(PATIENCE)
        .expect("the shard hangs");
    assert_eq!(ended.panic, None, "{driver:?}");
    shards.join().unwrap();
    receiver.recv().unwrap()
}

/// Two ends of a TCP connection over loopback.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    (server, client)
}

/// Sends back all that comes, until the peer ends its side.
async fn echo(socket: Socket) {
    while let Ok(Some(bytes)) = socket
        .read_with(|input| bytes::Bytes::copy_from_slice(input))
        .await
    {
        socket.send(bytes);
    }
    socket.shutdown_after_flush(10_000);
}

/// What /proc calls the open file behind a descriptor: `socket:[12345]`, unique while it is open.
fn inode(fd: &impl AsRawFd) -> PathBuf {
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap()
}

/// Whether any descriptor of this process still has it open. Other tests' descriptors do not matter.
fn is_open(inode: &PathBuf) -> bool {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let mut links = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.any(|link| link == *inode)
}

/// Waits until something is so, looking every millisecond.
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "not so in time: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
