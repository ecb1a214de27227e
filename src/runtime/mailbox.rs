//! How other threads reach a shard: a bounded channel of batches. A post never waits and never loses: what does
//! not fit comes back to the caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::turn::turn;

/// Batches that may wait for one shard. A batch is what one event-loop turn of a sender produced, so 1,024 is
/// several turns of every other shard of a large machine; more would be memory without use.
pub const MAILBOX_BATCHES: usize = 1024;

/// Batches handed out before the shard's sockets get their turn: at 10 µs a batch they wait well under 1 ms.
const BATCHES_PER_TURN: u32 = 32;

/// The sending side, for any thread.
pub struct Post<T> {
    sender: flume::Sender<Vec<T>>,
    awaited: Arc<AtomicBool>,
}

/// The receiving side, for the shard.
pub struct Inbox<T> {
    receiver: flume::Receiver<Vec<T>>,
    batches_this_turn: u32,
    awaits: Arc<AtomicBool>,
}

/// A mailbox with room for [`MAILBOX_BATCHES`].
pub fn mailbox<T>() -> (Post<T>, Inbox<T>) {
    let (sender, receiver) = flume::bounded(MAILBOX_BATCHES);
    let awaits = Arc::new(AtomicBool::new(false));
    let inbox = Inbox {
        receiver,
        batches_this_turn: 0,
        awaits: awaits.clone(),
    };
    let awaited = awaits;
    (Post { sender, awaited }, inbox)
}

impl<T> Clone for Post<T> {
    fn clone(&self) -> Post<T> {
        Post {
            sender: self.sender.clone(),
            awaited: self.awaited.clone(),
        }
    }
}

impl<T> Post<T> {
    /// Posts a batch in order: at most one wake-up of the shard, none when it is awake. An empty batch is nothing.
    ///
    /// # Errors
    /// The whole batch, when the mailbox is full or its shard has ended ([`Post::is_closed`] tells which).
    pub fn try_post(&self, batch: Vec<T>) -> Result<(), Vec<T>> {
        if batch.is_empty() {
            return Ok(());
        }
        self.sender
            .try_send(batch)
            .map_err(flume::TrySendError::into_inner)
    }

    /// The shard has ended: nothing posted will be read any more.
    pub fn is_closed(&self) -> bool {
        self.sender.is_disconnected()
    }

    /// The shard waits for a post: the next one wakes it, unless its sockets have. For counting; it may change at once.
    pub fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed)
    }
}

impl<T> Inbox<T> {
    /// The next batch; None when every [`Post`] is gone (a shard of [`super::shard::start`] holds one of its own
    /// mailbox, so there the owner's word ends the loop). A peer that posts without pause does not starve the
    /// shard's sockets: every so many batches this waits for a turn of the event loop.
    pub async fn recv(&mut self) -> Option<Vec<T>> {
        if self.batches_this_turn >= BATCHES_PER_TURN {
            self.batches_this_turn = 0;
            turn().await;
        }
        match self.receiver.try_recv() {
            Ok(batch) => {
                self.batches_this_turn += 1;
                return Some(batch);
            }
            Err(flume::TryRecvError::Disconnected) => return None,
            Err(flume::TryRecvError::Empty) => self.batches_this_turn = 0,
        }
        self.awaits.store(true, Ordering::Relaxed);
        let batch = self.receiver.recv_async().await.ok();
        self.awaits.store(false, Ordering::Relaxed);
        batch
    }
}
