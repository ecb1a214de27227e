//! A reader socket on a shared tail: its window, and where it is in the topic.
//!
//! It is in the log (`Live`), or knows where it fell off or begins and has an upstream reader of its own until the log
//! has what it lacks (`CatchingUp`), or waits for that (`Behind`). A socket with a full window stays `Behind`. One that can
//! share no tail is `Alone`.

use super::frames::append_frame_of;
use crate::api::{self, Flow};
use crate::hub::tail::{Evicted, FrameLog, Places, Point, Points};
use crate::pulsar::client::StartPosition;
use crate::pulsar::{Message, MessageId};
use crate::ws::encode;

/// Messages that an upstream reader of a socket's own may have on their way without a window (`flow=tcp`): enough that the
/// broker is not waited for, few enough that large ones of all who are caught up at once have room in memory.
const CATCH_UP_MESSAGES: u32 = 100;

#[derive(Debug)]
pub struct Reading {
    flow: Flow,
    /// Sent and not handled.
    charged: u32,
    place: Place,
}

#[derive(Debug)]
pub enum Place {
    /// The tail is not open yet: the socket begins at its end.
    Opening,
    /// In the log: the number of the next frame. `seen`: frames that lie behind these points it has had already.
    Live {
        next: u64,
        seen: Option<Box<Points>>,
    },
    Behind(Box<Lack>),
    CatchingUp(Box<Lack>),
    /// With an upstream reader of its own for good.
    Alone,
}

/// Of a socket outside the log.
#[derive(Debug)]
pub struct Lack {
    /// It has had what lies behind these.
    points: Points,
    /// By partition: the place of a message that it has not had and that the log had. One that comes from there from further
    /// on shows that the broker has it no more.
    first: Vec<(usize, Point)>,
}

impl Reading {
    pub fn new(flow: Flow, start: StartPosition) -> Reading {
        let place = match Point::of_start(start) {
            Some(point) => Place::Behind(Lack::behind(Points::everywhere(point))),
            None => Place::Opening,
        };
        Reading {
            flow,
            charged: 0,
            place,
        }
    }

    /// Of a socket that has an upstream reader of its own for good.
    pub fn alone(flow: Flow) -> Reading {
        Reading {
            flow,
            charged: 0,
            place: Place::Alone,
        }
    }

    pub fn flow(&self) -> Flow {
        self.flow
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// How many more messages it may be sent.
    pub fn open(&self) -> u32 {
        match self.flow {
            Flow::Window(window) => window.saturating_sub(self.charged),
            Flow::Tcp => u32::MAX,
        }
    }

    pub fn charge(&mut self, messages: u64) {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        self.charged = self.charged.saturating_add(messages);
    }

    /// The client has handled one message, whichever.
    pub fn handled(&mut self) {
        self.charged = self.charged.saturating_sub(1);
    }

    /// The number of its next frame, while it is in the log.
    pub fn next(&self) -> Option<u64> {
        match &self.place {
            Place::Live { next, .. } => Some(*next),
            _ => None,
        }
    }

    /// Whether it has been sent everything that its source has brought: its own upstream reader gives on what it brings at
    /// once, a log does not.
    pub fn is_at_end(&self, log: Option<&FrameLog>) -> bool {
        match &self.place {
            Place::Live { next, .. } => log.is_some_and(|log| *next == log.next()),
            Place::CatchingUp(_) | Place::Alone => true,
            Place::Opening | Place::Behind(_) => false,
        }
    }

    /// It is in the log from this frame on, which is the next one to come.
    pub fn go_live(&mut self, next: u64) {
        self.place = Place::Live { next, seen: None };
    }

    /// Steps over what it has had, and forgets what that was once nothing of it can come.
    pub fn skip_seen(&mut self, log: &FrameLog) {
        if let Place::Live { next, seen } = &mut self.place
            && let Some(points) = seen
        {
            *next = log.skip_seen(*next, points);
            if *next == log.next() && log.head().are_past(points) {
                *seen = None;
            }
        }
    }

    pub fn seen(&self) -> Option<&Points> {
        match &self.place {
            Place::Live { seen, .. } => seen.as_deref(),
            _ => None,
        }
    }

    /// All frames before this one have been sent.
    pub fn sent_to(&mut self, number: u64) {
        if let Place::Live { next, .. } = &mut self.place {
            *next = number;
        }
    }

    /// The log has dropped a batch. True: with it the socket's next frame, so that it is no longer in the log.
    pub fn fall(&mut self, evicted: &Evicted) -> bool {
        let Place::Live { next, seen } = &mut self.place else {
            return false;
        };
        if *next >= evicted.end() {
            return false;
        }
        let mut points = evicted.points_at(*next);
        if let Some(seen) = seen {
            points.pass(seen);
        }
        let first = evicted.first_beyond(&points);
        self.place = Place::Behind(Box::new(Lack { points, first }));
        true
    }

    /// An upstream reader of its own begins: where in each partition, the last one for all others.
    pub fn catch_up(&mut self) -> Option<Vec<StartPosition>> {
        let Place::Behind(lack) = &mut self.place else {
            return None;
        };
        let nothing = Lack::behind(Points::everywhere(Point::EARLIEST));
        let lack = std::mem::replace(lack, nothing);
        let starts = lack.points.starts();
        self.place = Place::CatchingUp(lack);
        Some(starts)
    }

    /// Its own upstream reader could not be had. True: it waits where it is.
    pub fn give_up_catching_up(&mut self) -> bool {
        let Place::CatchingUp(lack) = &mut self.place else {
            return false;
        };
        let nothing = Lack::behind(Points::everywhere(Point::EARLIEST));
        self.place = Place::Behind(std::mem::replace(lack, nothing));
        true
    }

    /// How many messages its own upstream reader may bring at first.
    pub fn catch_up_permits(&self) -> u32 {
        match self.flow {
            Flow::Window(_) => self.open(),
            Flow::Tcp => CATCH_UP_MESSAGES,
        }
    }

    pub fn has_own_upstream(&self) -> bool {
        matches!(self.place, Place::CatchingUp(_) | Place::Alone)
    }

    /// Takes out of what its own upstream reader has brought what the socket has been sent already: an earlier upstream
    /// reader of its own may have brought more than was known when this one began. How many that were.
    pub fn drop_had(&mut self, places: Places, messages: &mut Vec<Message>) -> u32 {
        let before = messages.len();
        if let Place::CatchingUp(lack) = &self.place {
            let had = |id: &MessageId| lack.points.has_had(places.of(id), &Point::behind(id));
            messages.retain(|message| !had(&message.id));
        }
        (before - messages.len()) as u32
    }

    /// Whether the broker has no more what this socket lacked first, as what its own upstream reader brings shows. Told once.
    pub fn misses(&mut self, places: Places, messages: &[Message]) -> bool {
        let Place::CatchingUp(lack) = &mut self.place else {
            return false;
        };
        let mut missed = false;
        for message in messages {
            if lack.first.is_empty() {
                break;
            }
            let partition = places.of(&message.id);
            if let Some(at) = lack.first.iter().position(|(of, _)| *of == partition) {
                let (_, point) = lack.first.swap_remove(at);
                missed |= Point::behind(&message.id) > point;
            }
        }
        missed
    }

    /// Its own upstream reader has brought these, which are being sent. How many more it may bring at once.
    pub fn caught(&mut self, places: Places, messages: &[Message]) -> u32 {
        self.charge(messages.len() as u64);
        if let Place::CatchingUp(lack) = &mut self.place {
            for message in messages {
                let begun = message.oldest_begun.as_deref().copied();
                let point = Point::behind(&message.id);
                lack.points.advance(places.of(&message.id), point, begun);
            }
        }
        match self.flow {
            Flow::Window(_) => 0,
            Flow::Tcp => messages.len() as u32,
        }
    }

    /// Joins the log if that has all it lacks. True: it is in the log now, and needs no upstream reader of its own.
    pub fn join(&mut self, log: &FrameLog) -> bool {
        let (Place::CatchingUp(lack) | Place::Behind(lack)) = &mut self.place else {
            return false;
        };
        let Some(seen) = lack.points.join(log.base(), log.head()) else {
            return false;
        };
        self.place = Place::Live {
            next: log.first(),
            seen: Some(Box::new(seen)),
        };
        self.skip_seen(log);
        true
    }
}

impl Lack {
    fn behind(points: Points) -> Box<Lack> {
        Box::new(Lack {
            points,
            first: Vec::new(),
        })
    }
}

/// About how many bytes [`append`] writes.
pub fn frame_size_hint(message: &Message) -> usize {
    api::delivery_size_hint(message) + encode::MAX_HEADER_BYTES
}

/// Appends the frame that every reader of the topic gets of this message.
pub fn append(message: &Message, out: &mut Vec<u8>) {
    append_frame_of(out, api::delivery_size_hint(message), |out| {
        api::append_reader_delivery(message, out);
    });
}

#[cfg(test)]
mod tests;
