//! A TLS connection's way through the socket: what `socket` reads is opened here, what `flush` sends is sealed here.
//!
//! What a turn has queued is encrypted together when it is sent, into the shard's scratch and out of it into the kernel:
//! few records, one system call. Only what the kernel does not take stays with the socket, at most
//! [`SEALED_PER_SEND`] bytes of plaintext and their overhead. It counts as unsent.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;

use bytes::Bytes;
use zeroize::Zeroize;

use super::flush::{self, Left};
use super::socket::{Connection, is_passing};
use super::sys;
use super::tls::{RECORD_BYTES, Tls};

/// Plaintext that is encrypted for one send: four whole records, so that a long queue does not hold the
/// others up.
const SEALED_PER_SEND: usize = 4 * RECORD_BYTES;

thread_local! {
    pub(super) static PLAIN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static RECORDS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Reads into the shard's buffer and leaves the plaintext at its front: how much that is, maybe nothing yet. None: the
/// peer has ended its side.
pub(super) fn receive(
    connection: &Rc<Connection>,
    tls: &mut Tls,
    buffer: &mut [u8],
) -> io::Result<Option<usize>> {
    let before = tls.pending.len();
    buffer[..before].copy_from_slice(&tls.pending);
    let count = sys::receive(connection.fd(), &mut buffer[before..])?;
    if count == 0 {
        return Ok(None);
    }
    let records = &mut buffer[..before + count];
    PLAIN.with_borrow_mut(|plain| {
        plain.clear();
        // Nothing is left behind in memory that it grew out of.
        plain.reserve(records.len());
        let result = open(connection, tls, records, plain);
        let (front, behind) = records.split_at_mut(plain.len());
        // A record is longer than what is in it.
        front.copy_from_slice(plain);
        if tls.wipes {
            plain.as_mut_slice().zeroize();
            // Records are opened where they lie.
            behind.zeroize();
        }
        result?;
        match front.len() {
            0 if tls.peer_has_ended() => Ok(None),
            count => Ok(Some(count)),
        }
    })
}

/// What is there without asking the kernel: plaintext at the front of the buffer, or the end.
pub(super) fn receive_early(tls: &mut Tls, buffer: &mut Vec<u8>) -> Option<Option<usize>> {
    let early = std::mem::take(&mut tls.early);
    if early.is_empty() {
        return tls.peer_has_ended().then_some(None);
    }
    buffer.clear();
    buffer.extend_from_slice(&early);
    Some(Some(early.len()))
}

/// Begins the handshake: a client speaks first.
pub(super) fn begin(connection: &Rc<Connection>, tls: &mut Tls) -> io::Result<()> {
    open(connection, tls, &mut [], &mut Vec::new())
}

/// What the machine has to say goes out at the end of the turn, with what waited for the handshake.
fn open(
    connection: &Rc<Connection>,
    tls: &mut Tls,
    bytes: &mut [u8],
    plain: &mut Vec<u8>,
) -> io::Result<()> {
    let before = tls.unsent.len();
    let result = tls.open(bytes, plain);
    match result {
        Ok(()) => flush::more_unsent(connection, tls.unsent.len() - before),
        // The last word to a peer with whom it makes no sense, if the kernel takes it at once.
        Err(_) => drop(sys::send(connection.fd(), &[IoSlice::new(&tls.unsent)])),
    }
    result
}

/// Says goodbye, unless something is queued: then it goes out behind that.
pub(super) fn end(connection: &Rc<Connection>, tls: &mut Tls) {
    let before = tls.unsent.len();
    if connection.unsent_bytes.get() == before {
        let mut records = std::mem::take(&mut tls.unsent);
        // An error means that there is nobody to take leave of.
        let _ = tls.seal_goodbye(&mut records);
        tls.unsent = records;
    }
    flush::more_unsent(connection, tls.unsent.len() - before);
}

/// One send: what the kernel has left, or else what is queued.
pub(super) fn transmit(connection: &Connection, tls: &mut Tls, ending: bool) -> io::Result<Left> {
    if connection.is_broken() {
        // What was unsent has been given up, and no longer counts.
        tls.unsent = Vec::new();
        return Ok(Left::Nothing);
    }
    let unsent_before = tls.unsent.len();
    let mut queued_bytes = connection.unsent_bytes.get() - unsent_before;
    let (sent, offered) = match unsent_before {
        0 => send_queued(connection, tls, ending, &mut queued_bytes)?,
        _ => {
            let sent = sys::send(connection.fd(), &[IoSlice::new(&tls.unsent)])?;
            drop_front(&mut tls.unsent, sent);
            (sent, unsent_before)
        }
    };
    flush::note_sent(connection, sent, queued_bytes + tls.unsent.len());
    Ok(match connection.unsent_bytes.get() {
        0 => Left::Nothing,
        _ if sent < offered => Left::Full,
        // The handshake's end has it sent.
        _ if !tls.is_established() => Left::Nothing,
        _ => Left::Some,
    })
}

/// Seals and sends the front of the queue, and the goodbye behind its end.
fn send_queued(
    connection: &Connection,
    tls: &mut Tls,
    ending: bool,
    queued_bytes: &mut usize,
) -> io::Result<(usize, usize)> {
    if !tls.is_established() {
        return Ok((0, 0));
    }
    RECORDS.with_borrow_mut(|records| {
        records.clear();
        if let Some(outbox) = connection.outbox.borrow_mut().as_deref_mut() {
            *queued_bytes -= seal_front(tls, &mut outbox.segments, records)?;
        }
        if *queued_bytes == 0 && ending {
            tls.seal_goodbye(records)?;
        }
        send_records(connection, tls, records)
    })
}

/// Encrypts bytes that somebody else keeps and offers them to the kernel: how many of them are taken, by the kernel or
/// by the socket for it. No more is encrypted than one record beyond what the kernel takes.
pub(super) fn send_now(
    connection: &Rc<Connection>,
    tls: &mut Tls,
    pieces: &[&[u8]],
) -> io::Result<usize> {
    let mut pieces = pieces.iter().copied();
    let mut piece: &[u8] = &[];
    let mut taken = 0;
    loop {
        let (plain_bytes, unsent) = PLAIN.with_borrow_mut(|plain| {
            plain.clear();
            while plain.len() < RECORD_BYTES {
                if piece.is_empty() {
                    match pieces.next() {
                        Some(next) => piece = next,
                        None => break,
                    }
                }
                let (now, later) = piece.split_at(piece.len().min(RECORD_BYTES - plain.len()));
                plain.extend_from_slice(now);
                piece = later;
            }
            let unsent = seal_and_send(connection, tls, plain)?;
            Ok::<_, io::Error>((plain.len(), unsent))
        })?;
        taken += plain_bytes;
        if unsent > 0 {
            flush::keep_sending(connection, unsent);
        }
        if plain_bytes == 0 || unsent > 0 {
            return Ok(taken);
        }
    }
}

/// How much of its records the socket keeps.
fn seal_and_send(connection: &Connection, tls: &mut Tls, plain: &[u8]) -> io::Result<usize> {
    if plain.is_empty() {
        return Ok(0);
    }
    RECORDS.with_borrow_mut(|records| {
        records.clear();
        tls.seal(plain, records)?;
        let (sent, offered) = send_records(connection, tls, records)?;
        connection.took.set(connection.took.get() || sent > 0);
        Ok(offered - sent)
    })
}

/// Encrypts what stands first in the queue and takes it from there: how much that was.
fn seal_front(
    tls: &mut Tls,
    queue: &mut VecDeque<Bytes>,
    records: &mut Vec<u8>,
) -> io::Result<usize> {
    let alone = queue.len() == 1;
    if let Some(only) = queue.front_mut().filter(|_| alone) {
        let now = only.split_to(only.len().min(SEALED_PER_SEND));
        if only.is_empty() {
            queue.clear();
        }
        return tls.seal(&now, records).map(|()| now.len());
    }
    PLAIN.with_borrow_mut(|plain| {
        plain.clear();
        while let Some(first) = queue.front_mut() {
            let now = first.split_to(first.len().min(SEALED_PER_SEND - plain.len()));
            plain.extend_from_slice(&now);
            if !first.is_empty() {
                break;
            }
            queue.pop_front();
        }
        match plain.is_empty() {
            true => Ok(0),
            false => tls.seal(plain, records).map(|()| plain.len()),
        }
    })
}

/// What the kernel does not take of these, the socket keeps.
fn send_records(
    connection: &Connection,
    tls: &mut Tls,
    records: &[u8],
) -> io::Result<(usize, usize)> {
    if records.is_empty() {
        return Ok((0, 0));
    }
    let sent = match sys::send(connection.fd(), &[IoSlice::new(records)]) {
        Ok(sent) => sent,
        Err(error) if is_passing(&error) => 0,
        Err(error) => return Err(error),
    };
    tls.unsent.extend_from_slice(&records[sent..]);
    Ok((sent, records.len()))
}

/// An empty one holds no memory.
fn drop_front(bytes: &mut Vec<u8>, count: usize) {
    if count == bytes.len() {
        *bytes = Vec::new();
    } else {
        bytes.drain(..count);
    }
}
