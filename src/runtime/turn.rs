//! Letting the event loop have its turn: everything else that is ready runs, and I/O is looked at, before the
//! caller goes on. The only way to yield here; a future that wakes itself is run again at once by monoio 0.2.4.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{self, Write};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::rc::Rc;

use monoio::net::UnixStream;

use super::local::sleep_ms;

/// On the poll driver only a pause of the whole loop lets timers fire, and it costs 1 ms: one turn in this many.
const POLL_TURNS_PER_PAUSE: u32 = 64;

thread_local! {
    static READY: RefCell<Option<Rc<AlwaysReadable>>> = const { RefCell::new(None) };
    static POLL_TURNS: Cell<u32> = const { Cell::new(0) };
}

/// A stream with one byte that nobody ever reads.
struct AlwaysReadable {
    stream: UnixStream,
    _writer: StdUnixStream,
}

impl AlwaysReadable {
    fn new() -> io::Result<AlwaysReadable> {
        let (reader, mut writer) = StdUnixStream::pair()?;
        writer.write_all(&[0])?;
        Ok(AlwaysReadable {
            stream: UnixStream::from_std(reader)?,
            _writer: writer,
        })
    }
}

/// Waits for one turn of this shard's event loop: about 1 µs when nothing else is ready.
///
/// With io_uring it asks the ring for the readiness of a stream that always has it, which completes as soon as
/// the loop has been through the kernel once. The poll driver would answer that at once from its memory, and knows
/// one waiter per stream only, so there it goes behind all ready tasks, or sleeps.
pub async fn turn() {
    if monoio::utils::is_legacy() {
        poll_driver_turn().await;
    } else if let Some(ready) = always_readable() {
        // An error would mean that the loop has been through the kernel too.
        let _ = ready.stream.readable(true).await;
    } else {
        pause().await;
    }
}

/// Keeps the event loop awake for the life of the shard: it looks for work all the time, so that nothing waits for a
/// sleeping thread to be woken.
pub async fn spin() {
    loop {
        turn().await;
    }
}

async fn poll_driver_turn() {
    let turns = POLL_TURNS.get().wrapping_add(1);
    POLL_TURNS.set(turns);
    if turns.is_multiple_of(POLL_TURNS_PER_PAUSE) {
        pause().await;
    } else {
        monoio::spawn(async {}).await;
    }
}

/// Sleeps for a moment in a task of its own: a sleep is 900 bytes, which every future that takes turns would carry.
async fn pause() {
    monoio::spawn(sleep_ms(1)).await;
}

/// Polls a future to its end and tells whether it had to wait. One that did not has not let anybody else run.
pub(super) async fn waited<F: Future>(mut future: Pin<&mut F>) -> (bool, F::Output) {
    let mut waited = false;
    let output = poll_fn(|context| {
        let result = future.as_mut().poll(context);
        waited |= result.is_pending();
        result
    })
    .await;
    (waited, output)
}

/// This shard's stream; None when the process has no descriptors left for it.
fn always_readable() -> Option<Rc<AlwaysReadable>> {
    READY.with(|slot| {
        let mut slot = slot.borrow_mut();
        if slot.is_none() {
            *slot = AlwaysReadable::new().ok().map(Rc::new);
        }
        slot.clone()
    })
}

/// Gives the stream back. To be called inside the runtime, before it ends.
pub(super) fn clear() {
    READY.with(|slot| drop(slot.take()));
}
