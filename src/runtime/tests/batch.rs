//! Sends of many sockets in one call: what arrives, and what a full or dead socket does to the others.

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use super::{drivers, on_shard, pair};
use crate::runtime::{Batch, Socket};

/// Runs on a shard with these connections; the sockets' other ends stay here.
fn with_sockets(
    count: usize,
    run: impl Fn(Vec<Socket>) + Send + Sync + 'static,
    look: impl Fn(Vec<TcpStream>),
) {
    let run = Arc::new(run);
    for driver in drivers() {
        let (servers, clients): (Vec<_>, Vec<_>) = (0..count).map(|_| pair()).unzip();
        let (servers, run) = (Arc::new(Mutex::new(servers)), run.clone());
        on_shard(driver, move || {
            let servers = std::mem::take(&mut *servers.lock().unwrap());
            let run = run.clone();
            async move {
                let sockets = servers.into_iter().map(|it| Socket::from_std(it).unwrap());
                run(sockets.collect());
            }
        });
        look(clients);
    }
}

fn read_all(mut client: TcpStream) -> Vec<u8> {
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    got
}

#[test]
fn every_socket_of_a_batch_gets_its_own_pieces_in_order() {
    let run = |sockets: Vec<Socket>| {
        let texts: Vec<_> = (0..sockets.len()).map(|at| format!("<{at}>")).collect();
        for _ in 0..3 {
            let mut batch = Batch::default();
            for (socket, text) in sockets.iter().zip(&texts) {
                let pieces = vec![text.as_bytes(); 1 + text.len() % 3];
                assert!(socket.enter(&mut batch, &pieces));
            }
            for (socket, (result, text)) in sockets.iter().zip(batch.send().into_iter().zip(&texts))
            {
                let bytes = text.len() * (1 + text.len() % 3);
                assert_eq!(socket.sent(result), Some(bytes));
            }
        }
    };
    with_sockets(40, run, |clients| {
        for (at, client) in clients.into_iter().enumerate() {
            let text = format!("<{at}>");
            let expected = text.repeat(3 * (1 + text.len() % 3));
            assert_eq!(read_all(client), expected.as_bytes());
        }
    });
}

#[test]
fn more_pieces_than_the_kernel_takes_at_once_go_in_several_batches() {
    const PIECES: usize = 1500;
    let run = |sockets: Vec<Socket>| {
        let mut sent = [0; 3];
        while sent.iter().any(|sent| *sent < PIECES) {
            let mut batch = Batch::default();
            for (socket, sent) in sockets.iter().zip(&sent) {
                assert!(socket.enter(&mut batch, &vec![b"x".as_slice(); PIECES - sent]));
            }
            for ((socket, sent), result) in sockets.iter().zip(&mut sent).zip(batch.send()) {
                *sent += socket.sent(result).expect("a socket that is whole");
            }
        }
    };
    with_sockets(3, run, |clients| {
        for client in clients {
            assert_eq!(read_all(client), [b'x'; PIECES]);
        }
    });
}

#[test]
fn a_full_and_a_dead_socket_say_so_and_the_others_of_the_batch_are_sent() {
    let run = |sockets: Vec<Socket>| {
        let much = vec![0; 1024 * 1024];
        while sockets[1].send_now(&[&much]).unwrap() > 0 {}
        sockets[3].abort();
        assert!(!sockets[3].enter(&mut Batch::default(), &[b"x"]));
        let mut batch = Batch::default();
        for socket in &sockets[..3] {
            assert!(socket.enter(&mut batch, &[b"abc"]));
        }
        let dead = sockets[4].clone();
        assert!(dead.enter(&mut batch, &[b"abc"]));
        dead.abort();
        let results: Vec<_> = batch.send().into_iter().collect();
        let sent: Vec<_> = [&sockets[0], &sockets[1], &sockets[2], &dead]
            .into_iter()
            .zip(results)
            .map(|(socket, result)| socket.sent(result))
            .collect();
        assert_eq!(sent, [Some(3), Some(0), Some(3), None]);
        sockets[1].abort();
    };
    with_sockets(5, run, |clients| {
        let mut clients = clients.into_iter();
        assert_eq!(read_all(clients.next().unwrap()), b"abc");
        let _full = clients.next().unwrap().shutdown(Shutdown::Both);
        assert_eq!(read_all(clients.next().unwrap()), b"abc");
    });
}
