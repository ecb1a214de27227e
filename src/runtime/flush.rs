//! Sending. What a turn of the event loop queued on a socket leaves in one vectored send at the end of that turn; a
//! socket whose peer is slow waits in a task of its own and holds nobody up.
//!
//! Sends are non-blocking system calls, or one call for many of them (`batch`), and not operations of the event loop's
//! ring: their results are there at once, and they need no memory that outlives the call.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::Waker;

use bytes::{Buf, Bytes};

use super::batch::{Batch, SENDS_PER_BATCH};
use super::local::spawn;
use super::secured;
use super::socket::{Connection, Sending, is_passing};
use super::sys;
use super::turn::turn;

/// Segments in one vectored send: a page of iovecs on the stack. The kernel takes 1,024.
pub(super) const SEGMENTS_PER_SEND: usize = 64;

/// Bytes in one vectored send, so that a socket with a long queue does not make the others wait: it goes to the end of
/// the line after each. 256 KiB are about 50 µs of copying.
const BYTES_PER_SEND: usize = 256 * 1024;

thread_local! {
    static DUE: RefCell<VecDeque<Rc<Connection>>> = const { RefCell::new(VecDeque::new()) };
    static FLUSHING: Cell<bool> = const { Cell::new(false) };
}

/// What a socket has not sent yet, and who waits for it to shrink.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) segments: VecDeque<Bytes>,
    waiters: Vec<(usize, Waker)>,
}

/// What a send left behind.
pub(super) enum Left {
    Nothing,
    /// The kernel would take more.
    Some,
    /// The kernel is full.
    Full,
}

/// Queues a segment and makes sure that somebody sends it.
pub(super) fn queue(connection: &Rc<Connection>, bytes: Bytes) {
    let count = bytes.len();
    let mut outbox = connection.outbox.borrow_mut();
    outbox.get_or_insert_default().segments.push_back(bytes);
    drop(outbox);
    more_unsent(connection, count);
}

/// So many bytes more are unsent: makes sure that somebody sends what is.
pub(super) fn more_unsent(connection: &Rc<Connection>, count: usize) {
    let unsent = connection.unsent_bytes.get() + count;
    connection.unsent_bytes.set(unsent);
    if unsent > 0 && connection.sending.get() == Sending::Idle {
        make_due(connection.clone());
    }
}

/// The kernel is full, and so much is left to be sent as it makes room.
pub(super) fn keep_sending(connection: &Rc<Connection>, unsent: usize) {
    connection.unsent_bytes.set(unsent);
    if connection.sending.replace(Sending::Waiting) == Sending::Idle {
        spawn(send_when_writable(connection.clone()));
    }
}

/// Offers bytes that somebody else keeps to the kernel, without queueing them. None: something is queued before them,
/// or the socket is broken.
pub(super) fn send_now(connection: &Rc<Connection>, pieces: &[&[u8]]) -> Option<usize> {
    if connection.unsent_bytes.get() > 0 {
        return None;
    }
    let Some(tls) = connection.tls.get() else {
        let mut slices = [IoSlice::new(&[]); SEGMENTS_PER_SEND];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        return sent_now(connection, sys::send(connection.fd(), &slices[..count]));
    };
    let result = secured::send_now(connection, &mut tls.borrow_mut(), pieces);
    if result.is_err() {
        connection.break_off();
    }
    result.ok()
}

/// What a send of bytes that somebody else keeps has come to.
pub(super) fn sent_now(connection: &Connection, result: io::Result<usize>) -> Option<usize> {
    match result {
        Ok(sent) => {
            connection.took.set(true);
            Some(sent)
        }
        Err(error) if is_passing(&error) => Some(0),
        Err(_) => {
            connection.break_off();
            None
        }
    }
}

fn make_due(connection: Rc<Connection>) {
    connection.sending.set(Sending::Due);
    DUE.with_borrow_mut(|due| due.push_back(connection));
    if !FLUSHING.replace(true) {
        spawn(flush());
    }
}

/// Sends for every socket that is due, in order of arrival. Runs behind the tasks that were ready when it was
/// started, so that what they queue goes along.
async fn flush() {
    loop {
        let due = DUE.with_borrow_mut(|due| {
            let count = due.len().min(SENDS_PER_BATCH);
            due.drain(..count).collect::<Vec<_>>()
        });
        transmit_all(due);
        if DUE.with_borrow(VecDeque::is_empty) {
            break;
        }
        turn().await;
    }
    FLUSHING.set(false);
    DUE.with_borrow_mut(|due| due.shrink_to(SENDS_PER_BATCH));
}

/// One vectored send for each of these, as far as one batch takes them.
fn transmit_all(due: Vec<Rc<Connection>>) {
    let (plain, secured): (Vec<_>, Vec<_>) = due.into_iter().partition(|it| it.tls.get().is_none());
    for connection in secured {
        connection.sending.set(Sending::Idle);
        let left = transmit(&connection);
        go_on(connection, left);
    }
    let outboxes: Vec<_> = plain.iter().map(|it| it.outbox.borrow()).collect();
    let mut batch = Batch::default();
    let mut offered = Vec::with_capacity(plain.len());
    for (connection, outbox) in plain.iter().zip(&outboxes) {
        if batch.is_full() {
            break;
        }
        batch.begin(connection.fd());
        let segments = outbox.as_deref().map(|outbox| &outbox.segments);
        offered.push(segments.map_or(0, |segments| {
            offer(segments, &mut |piece| batch.piece(piece))
        }));
    }
    let results = batch.send();
    drop(batch);
    drop(outboxes);
    let mut results = results.into_iter().zip(offered);
    for connection in plain {
        let left = match results.next() {
            Some((result, offered)) => checked(
                &connection,
                result.map(|sent| taken(&connection, sent, offered)),
            ),
            None => Left::Some,
        };
        go_on(connection, left);
    }
}

/// Who sends what this send has left.
fn go_on(connection: Rc<Connection>, left: Left) {
    connection.sending.set(Sending::Idle);
    match left {
        Left::Nothing => connection.flushed(),
        Left::Some => make_due(connection),
        Left::Full => {
            connection.sending.set(Sending::Waiting);
            spawn(send_when_writable(connection));
        }
    }
}

/// Sends for one slow socket as its peer makes room.
async fn send_when_writable(connection: Rc<Connection>) {
    loop {
        connection.writable().await;
        if let Left::Nothing = transmit(&connection) {
            connection.sending.set(Sending::Idle);
            connection.flushed();
            return;
        }
    }
}

/// One vectored send.
fn transmit(connection: &Connection) -> Left {
    let result = match connection.tls.get() {
        None => transmit_plain(connection),
        Some(tls) => {
            let ending = connection.is_ending();
            secured::transmit(connection, &mut tls.borrow_mut(), ending)
        }
    };
    checked(connection, result)
}

/// An error breaks the socket, which leaves nothing.
fn checked(connection: &Connection, result: io::Result<Left>) -> Left {
    match result {
        Ok(left) => left,
        Err(error) if is_passing(&error) => Left::Full,
        Err(_) => {
            connection.break_off();
            Left::Nothing
        }
    }
}

fn transmit_plain(connection: &Connection) -> io::Result<Left> {
    let (sent, offered) = {
        let outbox = connection.outbox.borrow();
        let Some(outbox) = outbox.as_deref() else {
            return Ok(Left::Nothing);
        };
        let mut slices = [IoSlice::new(&[]); SEGMENTS_PER_SEND];
        let mut count = 0;
        let offered = offer(&outbox.segments, &mut |piece| {
            slices[count] = IoSlice::new(piece);
            count += 1;
        });
        (sys::send(connection.fd(), &slices[..count])?, offered)
    };
    Ok(taken(connection, sent, offered))
}

/// The first segments, as one send takes them. How many bytes they have.
fn offer<'q>(segments: &'q VecDeque<Bytes>, piece: &mut dyn FnMut(&'q [u8])) -> usize {
    let mut offered = 0;
    for segment in segments.iter().take(SEGMENTS_PER_SEND) {
        let part = &segment[..segment.len().min(BYTES_PER_SEND - offered)];
        offered += part.len();
        piece(part);
        if offered == BYTES_PER_SEND {
            break;
        }
    }
    offered
}

/// The kernel has taken so much of what it was offered.
fn taken(connection: &Connection, sent: usize, offered: usize) -> Left {
    take(connection, sent);
    match connection.unsent_bytes.get() {
        0 => Left::Nothing,
        _ if sent < offered => Left::Full,
        _ => Left::Some,
    }
}

/// Drops what was sent from the queue.
fn take(connection: &Connection, sent: usize) {
    let mut rest = sent;
    if let Some(outbox) = connection.outbox.borrow_mut().as_deref_mut() {
        while let Some(first) = outbox.segments.front_mut().filter(|_| rest > 0) {
            let part = rest.min(first.len());
            first.advance(part);
            rest -= part;
            if first.is_empty() {
                outbox.segments.pop_front();
            }
        }
    }
    note_sent(connection, sent, connection.unsent_bytes.get() - sent);
}

/// The kernel took so much, and so much is unsent now: wakes who waited for that.
pub(super) fn note_sent(connection: &Connection, sent: usize, unsent: usize) {
    connection.unsent_bytes.set(unsent);
    connection.took.set(connection.took.get() || sent > 0);
    let mut slot = connection.outbox.borrow_mut();
    let Some(outbox) = slot.as_deref_mut() else {
        return;
    };
    outbox.waiters.retain(|(limit, waker)| {
        let waits = unsent > *limit;
        if !waits {
            waker.wake_by_ref();
        }
        waits
    });
    if unsent == 0 {
        *slot = None;
    }
}

/// Wakes this task when no more than `limit` bytes are unsent.
pub(super) fn wait(connection: &Connection, limit: usize, waker: &Waker) {
    let mut outbox = connection.outbox.borrow_mut();
    let waiters = &mut outbox.get_or_insert_default().waiters;
    waiters.retain(|(_, other)| !other.will_wake(waker));
    waiters.push((limit, waker.clone()));
}

/// Drops all that is queued.
pub(super) fn discard(connection: &Connection) {
    connection.unsent_bytes.set(0);
    if let Some(outbox) = connection.outbox.take() {
        for (_, waker) in outbox.waiters {
            waker.wake();
        }
    }
}

/// Forgets what is due, before the runtime ends.
pub(super) fn clear() {
    DUE.with_borrow_mut(VecDeque::clear);
    FLUSHING.set(false);
}
