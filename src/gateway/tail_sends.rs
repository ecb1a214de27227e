//! Frames from the logs of tails out to reader sockets.
//!
//! They go out in a task of its own, a batch of sockets at a time, so that a topic with very many readers lets everything
//! else have its turn; what comes meanwhile goes along in the same sends. The sockets of a batch are sent to in one
//! system call.

use super::post::SocketId;
use super::shard::Shard;
use super::sockets::{Entry, Role};
use super::tail_frames::mark_due;
use super::turn::ShardRef;
use crate::hub::tail::Form;
use crate::runtime::batch::SENDS_PER_BATCH;
use crate::runtime::{self, Batch};

/// Bytes in one send, so that a socket that is far behind does not make the others wait: 256 KiB are about 50 µs of
/// copying.
pub(super) const BYTES_PER_SEND: usize = 256 * 1024;

/// A reader with window left and frames before it, as far as that is known without looking at the log.
struct Ready {
    id: SocketId,
    tail: usize,
    /// Its next frame.
    next: u64,
    /// How many frames it may be sent.
    open: u64,
    form: Form,
}

/// What a reader was offered.
struct Offered {
    ready: Ready,
    bytes: usize,
    /// Of which the kernel took so many. None: the socket has something else to send first, or is broken.
    sent: Option<usize>,
}

impl Shard {
    /// The reader may have window for frames that are there.
    pub fn reader_is_due(&mut self, id: SocketId) {
        mark_due(&mut self.sockets, &mut self.tails.due, id);
    }

    /// Starts the task that sends, if there is something to send and it does not run.
    pub fn send_to_readers(&mut self, this: &ShardRef) {
        if !self.tails.due.is_empty() && !std::mem::replace(&mut self.tails.sending, true) {
            runtime::spawn(send_due(this.clone()));
        }
    }

    /// Sends to the next few readers. False: none is left.
    fn send_some(&mut self, this: &ShardRef, now_ms: u64) -> bool {
        self.deflater.begin_turn();
        let mut ready = Vec::with_capacity(SENDS_PER_BATCH);
        while ready.len() < SENDS_PER_BATCH
            && !self.deflater.is_spent()
            && let Some(id) = self.tails.due.pop_front()
        {
            ready.extend(self.make_ready(id));
        }
        for offered in self.offer(ready) {
            self.settle_offer(this, now_ms, offered);
        }
        self.tails.sending = !self.tails.due.is_empty();
        self.tails.sending
    }

    fn make_ready(&mut self, id: SocketId) -> Option<Ready> {
        let entry = self.sockets.get(id)?;
        let Role::Reader(reader) = &mut entry.role else {
            return None;
        };
        // Its place in line may be of before it sought.
        if !std::mem::take(&mut reader.due) {
            return None;
        }
        let tail = reader.tail?;
        let log = self.tails.log(tail)?;
        if !entry.upgraded || reader.stalled || !entry.closing.is_open() {
            return None;
        }
        reader.reading.skip_seen(log);
        let ready = Ready {
            id,
            tail,
            next: reader.reading.next()?,
            open: u64::from(reader.reading.open()),
            form: reader.form,
        };
        if ready.open == 0 || ready.next == log.next() {
            return None;
        }
        if ready.form == Form::Compressed {
            self.tails
                .compress(tail, ready.next, ready.open, &mut self.deflater);
        }
        Some(ready)
    }

    /// Sends to all of these, as far as one batch takes them; the others stay in line.
    fn offer(&mut self, ready: Vec<Ready>) -> Vec<Offered> {
        let mut offers = Vec::with_capacity(ready.len());
        let mut batch = Batch::default();
        let mut batched = Vec::with_capacity(ready.len());
        let mut pieces = Vec::new();
        let mut left = Vec::new();
        for ready in ready {
            let Some(entry) = self.sockets.look(ready.id) else {
                continue;
            };
            let (Some(log), Role::Reader(reader)) = (self.tails.log(ready.tail), &entry.role)
            else {
                continue;
            };
            if batch.is_full() {
                left.push(ready.id);
                continue;
            }
            pieces.clear();
            let Ready {
                next, open, form, ..
            } = ready;
            let seen = reader.reading.seen();
            let bytes = log.run(next, open, BYTES_PER_SEND, seen, form, &mut pieces);
            let mut sent = Some(0);
            if bytes > 0 {
                match entry.socket.enter(&mut batch, &pieces) {
                    true => batched.push(offers.len()),
                    false => sent = entry.socket.send_now(&pieces),
                }
            }
            offers.push(Offered { ready, bytes, sent });
        }
        for (offer, result) in batched.into_iter().zip(batch.send()) {
            let offer: &mut Offered = &mut offers[offer];
            if let Some(entry) = self.sockets.look(offer.ready.id) {
                offer.sent = entry.socket.sent(result);
            }
        }
        for id in left {
            self.reader_is_due(id);
        }
        offers
    }

    /// Takes note of what the socket has been sent.
    fn settle_offer(&mut self, this: &ShardRef, now_ms: u64, offered: Offered) {
        let Offered { ready, bytes, sent } = offered;
        let Ready { id, next, form, .. } = ready;
        let (Some(entry), Some(log)) = (self.sockets.get(id), self.tails.log(ready.tail)) else {
            return;
        };
        let Role::Reader(reader) = &mut entry.role else {
            return;
        };
        if bytes == 0 {
            // It is being compressed.
            return self.reader_is_due(id);
        }
        let Some(sent) = sent else {
            return stall(this, entry);
        };
        // A kernel that is full is given one frame to keep: the socket waits with it in line.
        let (number, rest) = match sent {
            0 => log.frame(next, form),
            _ => log.advance(next, sent, form),
        };
        let frames = number - next;
        reader.reading.charge(frames);
        reader.reading.sent_to(number);
        self.counters.delivered += frames;
        if sent > 0 {
            entry.last_active_ms = now_ms;
        }
        if !rest.is_empty() {
            entry.socket.send(rest);
        }
        if sent < bytes {
            stall(this, entry);
        } else if number < log.next() {
            // Behind the others.
            self.reader_is_due(id);
        }
    }

    /// The socket's kernel buffer has room again.
    fn reader_drained(&mut self, id: SocketId) {
        if let Some(entry) = self.sockets.get(id)
            && let Role::Reader(reader) = &mut entry.role
        {
            reader.stalled = false;
            self.reader_is_due(id);
            self.catch_up_if_open(id);
        }
    }
}

/// Nothing more for this socket until its client has taken what is queued.
fn stall(this: &ShardRef, entry: &mut Entry) {
    let Role::Reader(reader) = &mut entry.role else {
        return;
    };
    if std::mem::replace(&mut reader.stalled, true) {
        return;
    }
    let (shard, id, socket) = (this.clone(), entry.id, entry.socket.clone());
    runtime::spawn(async move {
        socket.unsent_at_most(0).await;
        shard.turn(|shard, _| shard.reader_drained(id));
    });
}

async fn send_due(shard: ShardRef) {
    loop {
        let goes_on = shard.glance(|shard, this, now_ms| shard.send_some(this, now_ms));
        let grown = shard.glance(|shard, _, _| std::mem::take(&mut shard.tails.grown));
        if !grown.is_empty() {
            // Readers that fall off ask their upstreams.
            shard.turn(|shard, now_ms| {
                grown.into_iter().for_each(|tail| shard.evict(now_ms, tail));
            });
        }
        if !goes_on {
            return;
        }
        runtime::turn().await;
    }
}
