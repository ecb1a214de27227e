//! Sockets: echo at scale, slow readers, ends of every kind, descriptors given back, outgoing connections.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{drivers, echo, eventually, inode, is_open, on_shard, pair};
use crate::runtime::{Socket, connect, now_ms, oneshot, sleep_ms, spawn};

/// Hands a value into a shard's future, which is made on another thread.
fn once<T>(value: T) -> impl Fn() -> T + Clone {
    let cell = Arc::new(Mutex::new(Some(value)));
    move || cell.lock().unwrap().take().unwrap()
}

#[test]
fn a_thousand_sockets_echo_and_give_their_descriptors_back() {
    for driver in drivers() {
        let (servers, clients): (Vec<_>, Vec<_>) = (0..1_000).map(|_| pair()).unzip();
        let inodes: Vec<_> = servers.iter().map(inode).collect();
        let talk = thread::spawn(move || {
            for round in 0..3u8 {
                for mut client in &clients {
                    client.write_all(&[round; 300]).unwrap();
                }
                for mut client in &clients {
                    let mut answer = [255; 300];
                    client.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, [round; 300]);
                }
            }
            for mut client in &clients {
                client.shutdown(Shutdown::Write).unwrap();
                assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
            }
        });
        let servers = once((servers, inodes.clone()));
        on_shard(driver, move || {
            let (servers, inodes) = servers();
            async move {
                let open = Rc::new(Cell::new(servers.len()));
                for server in servers {
                    let (socket, open) = (Socket::from_std(server).unwrap(), open.clone());
                    spawn(async move {
                        echo(socket).await;
                        open.set(open.get() - 1);
                    });
                }
                while open.get() > 0 {
                    sleep_ms(1).await;
                }
                // The closes of the last ones are with the ring.
                while inodes.iter().any(is_open) {
                    sleep_ms(1).await;
                }
            }
        });
        talk.join().unwrap();
        assert!(!inodes.iter().any(is_open), "{driver:?}");
    }
}

#[test]
fn many_sends_of_one_turn_arrive_whole_and_in_order() {
    for driver in drivers() {
        let (server, mut client) = pair();
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            client.read_to_end(&mut all).unwrap();
            all
        });
        let server = once(server);
        let sent = on_shard(driver, move || {
            let socket = Socket::from_std(server()).unwrap();
            async move {
                let mut sent = Vec::new();
                for number in 0..1_000u32 {
                    let segment = number.to_be_bytes().repeat(1 + number as usize % 50);
                    sent.extend_from_slice(&segment);
                    socket.send(segment.into());
                }
                socket.send(Bytes::new());
                assert_eq!(socket.unsent_bytes(), sent.len());
                socket.shutdown_after_flush(10_000);
                socket.send(Bytes::from_static(b"too late"));
                assert_eq!(socket.read_with(|_| ()).await.unwrap(), None);
                sent
            }
        });
        assert_eq!(reader.join().unwrap(), sent, "{driver:?}");
    }
}

/// The peer does not read until the sender waits: partial sends, a queue that is seen to grow and to shrink.
#[test]
fn a_slow_reader_gets_everything_and_the_sender_sees_what_is_unsent() {
    const CHUNK: usize = 100_000;
    const CHUNKS: usize = 200;
    const HIGH: usize = 4_000_000;
    const LOW: usize = 1_000_000;
    for driver in drivers() {
        let (server, mut client) = pair();
        let (clogged, is_clogged) = mpsc::channel();
        let reader = thread::spawn(move || {
            is_clogged.recv().unwrap();
            let (mut total, mut buffer) = (0usize, vec![0; 7_000]);
            loop {
                let count = client.read(&mut buffer).unwrap();
                if count == 0 {
                    return total;
                }
                for byte in &buffer[..count] {
                    assert_eq!(usize::from(*byte), total / CHUNK % 251);
                    total += 1;
                }
            }
        });
        let server = once(server);
        on_shard(driver, move || {
            let socket = Socket::from_std(server()).unwrap();
            let clogged = clogged.clone();
            async move {
                let mut waited = 0;
                for number in 0..CHUNKS {
                    socket.send(vec![(number % 251) as u8; CHUNK].into());
                    if socket.unsent_bytes() > HIGH {
                        waited += 1;
                        let _ = clogged.send(());
                        socket.unsent_at_most(LOW).await;
                        assert!(socket.unsent_bytes() <= LOW);
                    }
                }
                assert!(waited > 0);
                socket.unsent_at_most(0).await;
                socket.shutdown_after_flush(10_000);
                assert_eq!(socket.read_with(|_| ()).await.unwrap(), None);
                assert!(!socket.is_broken());
            }
        });
        assert_eq!(reader.join().unwrap(), CHUNK * CHUNKS, "{driver:?}");
    }
}

#[test]
fn a_socket_that_always_has_input_starves_no_other() {
    for driver in drivers() {
        let (flooded, mut flooder) = pair();
        let (quiet, mut client) = pair();
        flooder.set_write_timeout(None).unwrap();
        let flood = thread::spawn(move || while flooder.write_all(&[0; 65_536]).is_ok() {});
        let talk = thread::spawn(move || {
            let start = Instant::now();
            for _ in 0..50 {
                client.write_all(b"ping").unwrap();
                client.read_exact(&mut [0; 4]).unwrap();
            }
            start.elapsed()
        });
        let servers = once((flooded, quiet));
        on_shard(driver, move || {
            let (flooded, quiet) = servers();
            async move {
                let flooded = Socket::from_std(flooded).unwrap();
                let reader = flooded.clone();
                let (done, ended) = oneshot();
                spawn(async move {
                    while let Ok(Some(())) = reader.read_with(|_| ()).await {}
                    done.send(());
                });
                echo(Socket::from_std(quiet).unwrap()).await;
                flooded.abort();
                ended.receive().await;
            }
        });
        flood.join().unwrap();
        let took = talk.join().unwrap();
        assert!(took < Duration::from_secs(10), "{driver:?}: {took:?}");
    }
}

#[test]
fn an_abort_ends_a_waiting_read_and_drops_what_is_unsent() {
    for driver in drivers() {
        let (server, client) = pair();
        let opened = inode(&server);
        let server = once((server, opened.clone()));
        on_shard(driver, move || {
            let (server, opened) = server();
            let socket = Socket::from_std(server).unwrap();
            async move {
                for _ in 0..200 {
                    socket.send(vec![0; 100_000].into());
                }
                let other = socket.clone();
                spawn(async move {
                    sleep_ms(20).await;
                    assert!(other.unsent_bytes() > 0);
                    other.abort();
                });
                assert_eq!(socket.read_with(|_| ()).await.unwrap(), None);
                assert!(socket.is_broken());
                assert_eq!(socket.unsent_bytes(), 0);
                socket.send(Bytes::from_static(b"ignored"));
                assert_eq!(socket.unsent_bytes(), 0);
                drop(socket);
                while is_open(&opened) {
                    sleep_ms(1).await;
                }
            }
        });
        assert!(!is_open(&opened), "{driver:?}");
        drop(client);
    }
}

#[test]
fn a_reset_by_the_peer_breaks_the_socket_for_readers_and_writers() {
    for driver in drivers() {
        let (server, client) = pair();
        let server = once((server, client));
        on_shard(driver, move || {
            let (server, client) = server();
            let socket = Socket::from_std(server).unwrap();
            async move {
                socket.send(Bytes::from_static(b"unread by the peer"));
                sleep_ms(10).await;
                drop(client);
                sleep_ms(10).await;
                let end = socket.read_with(|_| ()).await;
                assert!(matches!(&end, Ok(None)) || end.is_err(), "{end:?}");
                for _ in 0..50 {
                    socket.send(vec![0; 100_000].into());
                    sleep_ms(1).await;
                }
                assert!(socket.is_broken());
                socket.unsent_at_most(0).await;
                assert_eq!(socket.read_with(|_| ()).await.unwrap(), None);
            }
        });
    }
}

#[test]
fn a_peer_that_never_ends_its_side_is_aborted_at_the_deadline() {
    for driver in drivers() {
        let (server, client) = pair();
        let server = once(server);
        let took = on_shard(driver, move || {
            let socket = Socket::from_std(server()).unwrap();
            async move {
                let start = now_ms();
                socket.shutdown_after_flush(50);
                assert_eq!(socket.read_with(|_| ()).await.unwrap(), None);
                assert!(socket.is_broken());
                now_ms() - start
            }
        });
        assert!((50..10_000).contains(&took), "{took} ms");
        drop(client);
    }
}

#[test]
fn bytes_queued_on_a_socket_that_nobody_holds_are_still_sent() {
    for driver in drivers() {
        let (server, mut client) = pair();
        let opened = inode(&server);
        let (dropped, is_dropped) = mpsc::channel();
        let reader = thread::spawn(move || {
            is_dropped.recv().unwrap();
            let mut all = Vec::new();
            client.read_to_end(&mut all).unwrap();
            all.len()
        });
        let server = once(server);
        let closed = opened.clone();
        on_shard(driver, move || {
            let (socket, opened) = (Socket::from_std(server()).unwrap(), opened.clone());
            socket.send(vec![1; 10_000_000].into());
            drop(socket);
            dropped.send(()).unwrap();
            async move {
                while is_open(&opened) {
                    sleep_ms(1).await;
                }
            }
        });
        assert_eq!(reader.join().unwrap(), 10_000_000, "{driver:?}");
        eventually("closed", || !is_open(&closed));
    }
}

#[test]
fn connects_by_address_and_by_name() {
    for driver in drivers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let accept = thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(b"hi").unwrap();
            }
        });
        on_shard(driver, move || async move {
            for host in ["127.0.0.1", "localhost"] {
                let socket = connect(host, port, 10_000).await.unwrap();
                assert_eq!(socket.peer_addr().unwrap().port(), port);
                let read = socket.read_with(|input| input.to_vec()).await.unwrap();
                assert_eq!(read.as_deref(), Some(&b"hi"[..]));
            }
        });
        accept.join().unwrap();
    }
}

#[test]
fn a_refused_connection_and_an_unknown_name_are_errors_that_name_the_address() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for driver in drivers() {
        on_shard(driver, move || async move {
            let error = connect("127.0.0.1", port, 10_000).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("127.0.0.1:{port}: ")),
                "{error}"
            );
            let error = connect("no-such-host.invalid", 1, 10_000)
                .await
                .err()
                .unwrap();
            assert!(
                error.to_string().starts_with("no-such-host.invalid:1: "),
                "{error}"
            );
        });
    }
}

/// A listener whose queue is full answers no further SYN: the attempt must end at its limit and close its socket.
#[test]
fn an_attempt_without_an_answer_times_out_and_leaks_nothing() {
    for driver in drivers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        crate::runtime::sys::set_backlog(std::os::fd::AsFd::as_fd(&listener), 0).unwrap();
        let address = listener.local_addr().unwrap();
        let _queued: Vec<_> = (0..4)
            .filter_map(|_| crate::runtime::sys::connect_start(address).ok())
            .collect();
        let took = on_shard(driver, move || async move {
            let start = now_ms();
            let error = connect("127.0.0.1", address.port(), 100)
                .await
                .err()
                .unwrap();
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
            let took = now_ms() - start;
            sleep_ms(20).await;
            took
        });
        assert!((100..10_000).contains(&took), "{driver:?}: {took} ms");
    }
}
