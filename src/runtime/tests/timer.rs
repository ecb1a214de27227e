//! The alarm, sleeps and the single-threaded helpers, on a running shard.

use std::cell::Cell;
use std::rc::Rc;

use super::{drivers, on_shard};
use crate::runtime::{Alarm, Notify, now_ms, oneshot, sleep_ms, spawn, turn};

#[test]
fn an_alarm_rings_at_its_time_and_can_be_set_to_an_earlier_one() {
    for driver in drivers() {
        on_shard(driver, || async {
            let (alarm, start) = (Alarm::new(), now_ms());
            alarm.set(Some(start + 20_000));
            let other = alarm.clone();
            spawn(async move {
                sleep_ms(20).await;
                other.set(Some(now_ms() + 20));
            });
            alarm.rings().await;
            let passed = now_ms() - start;
            assert!((40..5_000).contains(&passed), "{passed} ms");
        });
    }
}

#[test]
fn an_alarm_that_is_set_later_or_not_at_all_does_not_ring_before() {
    for driver in drivers() {
        // On a busy machine it may have rung before it is set later: then once more.
        while !on_shard(driver, || async {
            let (alarm, start) = (Alarm::new(), now_ms());
            alarm.set(Some(start + 10));
            let (other, in_time) = (alarm.clone(), Rc::new(Cell::new(false)));
            let is_in_time = in_time.clone();
            spawn(async move {
                turn().await;
                is_in_time.set(now_ms() < start + 10);
                other.set(None);
                sleep_ms(40).await;
                other.set(Some(start + 80));
            });
            alarm.rings().await;
            assert!(now_ms() - start >= 80 || !in_time.get());
            alarm.set(Some(now_ms()));
            alarm.rings().await;
            in_time.get()
        }) {}
    }
}

#[test]
fn a_notification_waits_for_its_reader_and_counts_once() {
    for driver in drivers() {
        on_shard(driver, || async {
            let (notify, seen) = (Notify::new(), Rc::new(Cell::new(0)));
            notify.notify();
            notify.notify();
            let (reader, count) = (notify.clone(), seen.clone());
            spawn(async move {
                loop {
                    reader.notified().await;
                    count.set(count.get() + 1);
                }
            });
            sleep_ms(5).await;
            assert_eq!(seen.get(), 1);
            notify.notify();
            sleep_ms(5).await;
            assert_eq!(seen.get(), 2);
        });
    }
}

#[test]
fn a_oneshot_gives_its_value_or_tells_that_there_is_none() {
    for driver in drivers() {
        on_shard(driver, || async {
            let (sender, receiver) = oneshot();
            spawn(async move {
                turn().await;
                sender.send(5);
            });
            assert_eq!(receiver.receive().await, Some(5));
            let (sender, receiver) = oneshot::<u8>();
            spawn(async move {
                turn().await;
                drop(sender);
            });
            assert_eq!(receiver.receive().await, None);
        });
    }
}

#[test]
fn a_task_that_takes_turns_for_ever_starves_neither_tasks_nor_timers() {
    for driver in drivers() {
        on_shard(driver, || async {
            let stop = Rc::new(Cell::new(false));
            let seen = stop.clone();
            spawn(async move {
                while !seen.get() {
                    turn().await;
                }
            });
            let start = now_ms();
            sleep_ms(30).await;
            assert!(now_ms() - start < 10_000);
            stop.set(true);
        });
    }
}
