//! The acceptor: even spread, the bound on connections, a stop, and seats that are given back.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;

use super::{PATIENCE, drivers, echo, eventually, plan};
use crate::runtime::driver::Driver;
use crate::runtime::shard::{self, ShardContext};
use crate::runtime::{
    AcceptPlan, Accepted, Accepting, Acceptor, OneShotReceiver, Seats, Shards, Socket, oneshot,
    spawn,
};

enum Message {
    Connection(Accepted),
    End,
}

/// A shard that echoes on every connection until it is told to end and all of them have.
async fn serve(mut context: ShardContext<Message>) {
    let mut open: Vec<OneShotReceiver<()>> = Vec::new();
    while let Some(batch) = context.inbox.recv().await {
        for message in batch {
            let Message::Connection(accepted) = message else {
                for ended in open {
                    ended.receive().await;
                }
                return;
            };
            let (done, ended) = oneshot();
            open.push(ended);
            spawn(async move {
                let _seat = accepted.seat;
                echo(Socket::from_std(accepted.stream).unwrap()).await;
                done.send(());
            });
        }
    }
}

fn end(shards: Shards<Message>) {
    for index in 0..shards.count() {
        assert!(shards.post(index, Message::End).is_ok());
    }
    shards.join().unwrap();
}

fn client(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

fn any_port() -> Acceptor {
    Acceptor::bind("127.0.0.1:0".parse().unwrap(), 1024).unwrap()
}

/// So many shards, and an acceptor for them that lets so many connections in.
fn start(
    driver: Driver,
    count: usize,
    max_connections: usize,
) -> (Shards<Message>, Seats, Accepting) {
    let shards = shard::start(plan(driver, count), serve).unwrap();
    let seats = Seats::new(count);
    let plan = AcceptPlan {
        core: None,
        max_connections,
        max_farewells: 64,
        farewell: Bytes::from_static(b"full"),
        seats: seats.clone(),
    };
    let posts = shards.posts().to_vec();
    let accepting = any_port().start(plan, posts, Message::Connection);
    (shards, seats, accepting.unwrap())
}

#[test]
fn connections_are_spread_evenly_and_seats_come_back() {
    for driver in drivers() {
        let (shards, seats, accepting) = start(driver, 3, 10_000);
        let address = accepting.local_addr();
        let clients: Vec<_> = (0..600).map(|_| client(address)).collect();
        for mut client in &clients {
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0; 1]).unwrap();
        }
        assert_eq!(
            (0..3).map(|shard| seats.taken(shard)).collect::<Vec<_>>(),
            [200; 3]
        );
        drop(clients);
        eventually("all seats are free", || seats.total() == 0);
        accepting.stop();
        assert!(TcpStream::connect(address).is_err());
        end(shards);
    }
}

#[test]
fn connections_over_the_bound_are_told_so_and_counted() {
    for driver in drivers() {
        let (shards, seats, accepting) = start(driver, 1, 2);
        let first = client(accepting.local_addr());
        let _second = client(accepting.local_addr());
        eventually("two are in", || seats.total() == 2);
        let mut told = String::new();
        client(accepting.local_addr())
            .read_to_string(&mut told)
            .unwrap();
        assert_eq!(told, "full");
        eventually("the third is counted", || accepting.refused() == 1);
        drop(first);
        eventually("one has gone", || seats.total() == 1);
        let mut fourth = client(accepting.local_addr());
        fourth.write_all(b"y").unwrap();
        fourth.read_exact(&mut [0; 1]).unwrap();
        drop((fourth, _second));
        drop(accepting);
        end(shards);
    }
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let taken = any_port();
    let address = taken.local_addr().unwrap();
    let error = Acceptor::bind(address, 1).err().unwrap();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

/// Set for the process of its own in which the next test runs: the file limit is the process'.
const ALONE: &str = "PWS_TEST_ALONE";

/// Without a descriptor left, connections wait in the kernel's queue and the acceptor sleeps; when descriptors come
/// free they are served.
#[test]
fn out_of_descriptors_it_waits_without_spinning_and_then_goes_on() {
    if std::env::var_os(ALONE).is_none() {
        let name = "runtime::tests::acceptor::out_of_descriptors_it_waits_without_spinning_and_then_goes_on";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--test-threads=1"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        return;
    }
    let driver = drivers().pop().unwrap();
    let (shards, seats, accepting) = start(driver, 1, 10_000);
    let mut first = client(accepting.local_addr());
    first.write_all(b"x").unwrap();
    first.read_exact(&mut [0; 1]).unwrap();

    let mut stat = File::open("/proc/self/stat").unwrap();
    let mut hogs = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hogs.push(file);
    }
    drop(hogs.pop());
    let mut second = client(accepting.local_addr());
    let before = cpu_time(&mut stat);
    std::thread::sleep(Duration::from_millis(500));
    let used = cpu_time(&mut stat) - before;
    assert!(
        used < Duration::from_millis(250),
        "it spins: {used:?} of CPU in 500 ms"
    );
    assert_eq!(seats.total(), 1);
    drop(hogs);
    second.write_all(b"y").unwrap();
    second.read_exact(&mut [0; 1]).unwrap();
    assert_eq!(seats.total(), 2);
    drop((first, second));
    accepting.stop();
    end(shards);
}

/// CPU time that this process has used (user and system, in ticks of 10 ms).
fn cpu_time(stat: &mut File) -> Duration {
    let mut line = String::new();
    stat.seek(SeekFrom::Start(0)).unwrap();
    stat.read_to_string(&mut line).unwrap();
    let fields: Vec<&str> = line
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
