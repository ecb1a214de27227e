//! Shards and their mailboxes: order, bounds, ends, and that a flood does not stop a shard's sockets.

use std::cell::Cell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use super::{PATIENCE, drivers, echo, pair, plan};
use crate::runtime::driver::Driver;
use crate::runtime::mailbox::{MAILBOX_BATCHES, mailbox};
use crate::runtime::shard::{self, ShardContext};
use crate::runtime::{Socket, cores, sleep_ms, spawn};

#[test]
fn two_shards_play_ping_pong_in_order() {
    const ROUNDS: u32 = 2_000;
    for driver in drivers() {
        let (sender, receiver) = mpsc::channel();
        let shards = shard::start(plan(driver, 2), move |mut context: ShardContext<u32>| {
            let sender = sender.clone();
            async move {
                let mut expected = u32::try_from(context.index).unwrap();
                while let Some(batch) = context.inbox.recv().await {
                    for ball in batch {
                        assert_eq!(ball, expected);
                        expected += 2;
                        // The other one may have had its last ball.
                        let _ = context.peers[1 - context.index].try_post(vec![ball + 1]);
                        if ball >= ROUNDS {
                            sender.send(ball).unwrap();
                            return;
                        }
                    }
                }
            }
        })
        .unwrap();
        shards.post(0, 0).unwrap();
        for _ in 0..2 {
            assert!(receiver.recv_timeout(PATIENCE).unwrap() >= ROUNDS);
        }
        shards.join().unwrap();
    }
}

#[test]
fn a_full_mailbox_gives_the_batch_back_and_a_dead_one_says_so() {
    let (post, inbox) = mailbox();
    for value in 0..MAILBOX_BATCHES {
        post.try_post(vec![value]).unwrap();
    }
    assert_eq!(post.try_post(vec![1, 2]), Err(vec![1, 2]));
    assert_eq!(post.try_post(vec![]), Ok(()));
    assert!(!post.is_closed());
    drop(inbox);
    assert_eq!(post.try_post(vec![3]), Err(vec![3]));
    assert!(post.is_closed());
}

#[test]
fn a_panic_is_reported_and_leaves_the_other_shards_alive() {
    let shards = shard::start(
        plan(Driver::Poll, 2),
        |mut context: ShardContext<&str>| async move {
            let batch = context.inbox.recv().await.unwrap();
            assert_eq!(batch, ["end"], "told to fail");
        },
    )
    .unwrap();
    shards.post(1, "panic").unwrap();
    let ended = shards.ended().recv_timeout(PATIENCE).unwrap();
    assert_eq!(ended.index, 1);
    assert!(ended.panic.unwrap().contains("told to fail"));
    assert_eq!(shards.post(1, "late"), Err("late"));
    shards.post(0, "end").unwrap();
    shards.join().unwrap();
}

#[test]
fn a_plan_with_a_cpu_that_we_may_not_use_starts_nothing() {
    let mut plan = plan(Driver::Poll, 1);
    plan.cores.push(
        (0..1024)
            .find(|core| !cores::allowed().unwrap().contains(core))
            .unwrap(),
    );
    let result = shard::start(plan, |_context: ShardContext<()>| async {
        panic!("started")
    });
    assert!(
        result
            .err()
            .unwrap()
            .to_string()
            .contains("may not run on CPU")
    );
}

/// A shard whose peer posts without pause, with a socket and a timer of its own. Without turns of the event loop
/// between the batches neither would ever be looked at.
#[test]
fn a_flooding_peer_stops_neither_sockets_nor_timers() {
    for driver in drivers() {
        let (server, mut client) = pair();
        let server = Arc::new(std::sync::Mutex::new(Some(server)));
        let shards = shard::start(plan(driver, 1), move |mut context: ShardContext<u64>| {
            let server = server.lock().unwrap().take().unwrap();
            async move {
                spawn(echo(Socket::from_std(server).unwrap()));
                let ticks = Rc::new(Cell::new(0));
                let counter = ticks.clone();
                spawn(async move {
                    loop {
                        sleep_ms(1).await;
                        counter.set(counter.get() + 1);
                    }
                });
                let mut expected = 0;
                while let Some(batch) = context.inbox.recv().await {
                    for value in batch {
                        if value == u64::MAX {
                            assert!(ticks.get() > 0, "no timer fired");
                            return;
                        }
                        assert_eq!(value, expected);
                        expected += 1;
                    }
                }
            }
        })
        .unwrap();

        let (post, stop) = (shards.posts()[0].clone(), Arc::new(AtomicBool::new(false)));
        let flooding = stop.clone();
        let (begun, begins) = mpsc::channel();
        let flood = std::thread::spawn(move || {
            let mut next = 0;
            while !flooding.load(Ordering::Relaxed) {
                if post.try_post(vec![next]).is_ok() {
                    if next == 0 {
                        begun.send(()).unwrap();
                    }
                    next += 1;
                }
            }
            while post.try_post(vec![u64::MAX]).is_err() {
                assert!(!post.is_closed());
            }
            next
        });

        begins.recv().unwrap();
        let start = Instant::now();
        let mut answer = [0; 5];
        for _ in 0..100 {
            client.write_all(b"hello").unwrap();
            client.read_exact(&mut answer).unwrap();
        }
        let took = start.elapsed();
        stop.store(true, Ordering::Relaxed);
        let posted = flood.join().unwrap();
        assert_eq!(shards.ended().recv_timeout(PATIENCE).unwrap().panic, None);
        shards.join().unwrap();
        assert!(
            took < PATIENCE / 3,
            "{driver:?}: 100 echoes took {took:?} beside {posted} posts"
        );
    }
}
