//! The table of one shard's sockets.

use bytes::Bytes;
use slab::Slab;

use super::post::{PLACES_MAX, SocketId};
use super::readers::Reader;
use crate::api::Refusal;
use crate::auth::Identity;
use crate::runtime::{Notify, OneShot, Socket, TimerKey};
use crate::session::{ConsumerSession, ProducerSession};
use crate::ws::{CloseHandshake, Deflater, Window};

/// What a socket is.
pub enum Role {
    /// Its request has not come, or was refused; or the session has ended.
    None,
    Producer(Box<ProducerSession>),
    Consumer {
        session: ConsumerSession,
        /// The shard on which its hub lives.
        home: usize,
    },
    /// On the log of its topic's tail.
    Reader(Box<Reader>),
}

pub struct Entry {
    pub id: SocketId,
    pub socket: Socket,
    pub role: Role,
    /// Who its client is, where that is asked.
    pub identity: Option<Box<Identity>>,
    /// Frames of this turn; handed to the socket in one piece at its end.
    pub out: Vec<u8>,
    /// Tells the waiting handshake what the upstream has answered.
    pub opening: Option<OneShot<Result<(), Refusal>>>,
    /// The 101 has gone out.
    pub upgraded: bool,
    /// Messages to it may be compressed.
    pub window: Option<Window>,
    /// Of a socket that is not read for now, because what it asks for is not taken further: wakes its read loop.
    pub resume: Option<Notify>,
    pub timer: Option<TimerKey>,
    /// Bytes went either way.
    pub last_active_ms: u64,
    pub last_ping_ms: u64,
    pub closing: CloseHandshake,
    /// When a socket that is being closed is cut off.
    pub cut_off_ms: Option<u64>,
    /// Too many unsent bytes: its hub gives it nothing more for now.
    pub clogged: bool,
    /// How much of `out` is deliveries; the rest are answers to what the client said.
    pub delivered_bytes: usize,
    /// Answers since the client last took most of what it was sent.
    answer_bytes: usize,
    /// Unsent after the last look.
    unsent_bytes: usize,
    /// When the client was last seen to take something, or had nothing to take.
    pub taken_ms: u64,
    dirty: bool,
}

impl Entry {
    /// The client has taken something since the last look: it is there.
    pub fn look_at_unsent(&mut self, now_ms: u64) {
        let unsent_bytes = self.socket.unsent_bytes();
        if unsent_bytes < self.unsent_bytes {
            self.last_active_ms = now_ms;
        }
        self.unsent_bytes = unsent_bytes;
        if self.socket.has_taken() || unsent_bytes == 0 {
            self.taken_ms = now_ms;
        }
    }

    /// Frames of this turn go out.
    pub fn send(
        &mut self,
        now_ms: u64,
        frames: Vec<u8>,
        unsent_bytes_max: usize,
        deflater: &mut Deflater,
    ) {
        self.look_at_unsent(now_ms);
        if self.unsent_bytes == 0 {
            self.last_active_ms = now_ms;
        }
        if self.unsent_bytes <= unsent_bytes_max / 2 {
            self.answer_bytes = 0;
        }
        self.answer_bytes += frames.len() - std::mem::take(&mut self.delivered_bytes);
        let frames = match self.window {
            Some(window) => deflater.recode(frames, window),
            None => frames,
        };
        self.unsent_bytes += frames.len();
        self.socket.send(Bytes::from(frames));
    }

    /// The client makes us answer and does not take the answers.
    pub fn is_deaf(&self, unsent_bytes_max: usize) -> bool {
        self.answer_bytes > unsent_bytes_max && self.socket.unsent_bytes() > unsent_bytes_max
    }
}

#[derive(Default)]
pub struct Sockets {
    /// In boxes: a table that grows copies itself, and what it leaves behind stays with the process for a while.
    entries: Slab<Box<Entry>>,
    /// Counts uses of places: see [`SocketId`].
    generation: u32,
    /// With something in `out`.
    dirty: Vec<SocketId>,
}

impl Sockets {
    /// None: the table is full.
    pub fn insert(&mut self, shard: usize, socket: Socket, now_ms: u64) -> Option<SocketId> {
        // The last place is no socket's: see `tail_homes`.
        if self.entries.len() >= PLACES_MAX - 1 {
            return None;
        }
        self.generation = self.generation.wrapping_add(1);
        let vacant = self.entries.vacant_entry();
        let id = SocketId::new(shard, vacant.key(), self.generation);
        vacant.insert(Box::new(Entry {
            id,
            socket,
            role: Role::None,
            identity: None,
            out: Vec::new(),
            opening: None,
            upgraded: false,
            window: None,
            resume: None,
            timer: None,
            last_active_ms: now_ms,
            last_ping_ms: now_ms,
            closing: CloseHandshake::default(),
            cut_off_ms: None,
            clogged: false,
            delivered_bytes: 0,
            answer_bytes: 0,
            unsent_bytes: 0,
            taken_ms: now_ms,
            dirty: false,
        }));
        Some(id)
    }

    pub fn get(&mut self, id: SocketId) -> Option<&mut Entry> {
        self.entries
            .get_mut(id.place())
            .map(Box::as_mut)
            .filter(|entry| entry.id == id)
    }

    /// Its entry, to be read.
    pub fn look(&self, id: SocketId) -> Option<&Entry> {
        self.entries
            .get(id.place())
            .map(Box::as_ref)
            .filter(|entry| entry.id == id)
    }

    pub fn remove(&mut self, id: SocketId) -> Option<Box<Entry>> {
        self.get(id)?;
        Some(self.entries.remove(id.place()))
    }

    pub fn ids(&self) -> Vec<SocketId> {
        self.entries.iter().map(|(_, entry)| entry.id).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The socket has frames to send at the end of the turn.
    pub fn mark(&mut self, id: SocketId) {
        let entry = self.entries.get_mut(id.place());
        if let Some(entry) = entry.filter(|entry| entry.id == id && !entry.dirty) {
            entry.dirty = true;
            self.dirty.push(id);
        }
    }

    /// Gives each marked socket once, with what is to be sent. Frames from before the 101 stay until it is marked again.
    pub fn flush(&mut self, mut send: impl FnMut(&mut Entry, Vec<u8>)) {
        for id in std::mem::take(&mut self.dirty) {
            let entry = self.entries.get_mut(id.place());
            if let Some(entry) = entry.filter(|entry| entry.id == id) {
                entry.dirty = false;
                if !entry.upgraded {
                    continue;
                }
                let frames = std::mem::take(&mut entry.out);
                if !frames.is_empty() {
                    send(entry, frames);
                }
            }
        }
    }
}
