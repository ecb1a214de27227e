//! Helpers for futures of one shard: start a task, sleep, tell one other task something. Nothing here may cross
//! threads; between shards there are mailboxes.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::sys;

/// Starts a task on this shard. It runs until it ends; a panic in it ends the shard.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    drop(monoio::spawn(future));
}

/// How long after very much has been dropped its memory goes back: the timers that watch over ends of connections, five
/// seconds, have gone by then too.
const GIVE_BACK_AFTER_MS: u64 = 7_000;

/// Very much has been dropped on this shard: in a moment the memory goes back to the system. Takes about a millisecond.
pub fn give_memory_back_soon() {
    spawn(async {
        sleep_ms(GIVE_BACK_AFTER_MS).await;
        sys::give_memory_back();
    });
}

/// Sleeps at least this long, in steps of 1 ms. Dropping it cancels it. For many timers use one
/// [`crate::runtime::Wheel`].
pub async fn sleep_ms(duration_ms: u64) {
    monoio::time::sleep(Duration::from_millis(duration_ms)).await;
}

/// Wakes one waiting task. A call while nobody waits is remembered, once.
#[derive(Clone, Default)]
pub struct Notify(Rc<NotifyState>);

#[derive(Default)]
struct NotifyState {
    notified: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Notify {
    pub fn new() -> Notify {
        Notify::default()
    }

    pub fn notify(&self) {
        self.0.notified.set(true);
        if let Some(waker) = self.0.waker.take() {
            waker.wake();
        }
    }

    /// Completes once per `notify` or burst of them. One task waits at a time; dropping the wait loses nothing.
    pub async fn notified(&self) {
        poll_fn(|context| {
            if self.0.notified.replace(false) {
                return Poll::Ready(());
            }
            self.0.waker.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// The sending half of [`oneshot`]. Dropping it unsent tells the receiver so.
pub struct OneShot<T>(Rc<OneShotState<T>>);

/// The receiving half of [`oneshot`].
pub struct OneShotReceiver<T>(Rc<OneShotState<T>>);

struct OneShotState<T> {
    value: RefCell<Option<T>>,
    sender_gone: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

/// One value from one task to another of the same shard.
pub fn oneshot<T>() -> (OneShot<T>, OneShotReceiver<T>) {
    let state = Rc::new(OneShotState {
        value: RefCell::new(None),
        sender_gone: Cell::new(false),
        waker: Cell::new(None),
    });
    (OneShot(state.clone()), OneShotReceiver(state))
}

impl<T> OneShot<T> {
    /// Hands the value over, also when nobody waits for it any more.
    pub fn send(self, value: T) {
        *self.0.value.borrow_mut() = Some(value);
    }
}

impl<T> Drop for OneShot<T> {
    fn drop(&mut self) {
        self.0.sender_gone.set(true);
        if let Some(waker) = self.0.waker.take() {
            waker.wake();
        }
    }
}

impl<T> OneShotReceiver<T> {
    /// The value, if it is there already.
    pub fn ready(&self) -> Option<T> {
        self.0.value.borrow_mut().take()
    }

    /// The value, or None when the sender went without one.
    pub async fn receive(self) -> Option<T> {
        poll_fn(|context| {
            if let Some(value) = self.0.value.borrow_mut().take() {
                return Poll::Ready(Some(value));
            }
            if self.0.sender_gone.get() {
                return Poll::Ready(None);
            }
            self.0.waker.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await
    }
}
