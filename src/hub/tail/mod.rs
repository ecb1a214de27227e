//! Tails: what all readers at the end of a topic share. Sans-IO.
//!
//! One upstream reader (a [`Hub`](super::Hub) whose only member is the tail itself) feeds encoded frames in [`Batch`]es
//! to every shard that has reader sockets; each shard keeps them in its [`FrameLog`], and a socket is a place in it.
//!
//! | file | what it is |
//! |---|---|
//! | `point` | where a reader is in one partition |
//! | `batch` | frames that were encoded together |
//! | `stored` | the same in a log, beside them their compressed form |
//! | `log` | one shard's ring of them |
//! | `feeder` | which shards a tail feeds, and when the broker may send more |
//!
//! # Invariants
//!
//! 1. A frame has one number in a log, and numbers have no holes: a socket that was sent all frames below its number,
//!    and joined at the right one, has missed nothing and seen nothing twice.
//! 2. A log says for each partition what lies before its first frame, so that a socket that falls off knows where it is,
//!    and one that catches up knows when it may join.
//! 3. A number means the same frame in either [`Form`]: a socket may take some frames in one and some in the other.
//! 4. A shard has at most [`feeder::MESSAGES_UNTAKEN_MAX`] messages that it has not looked at: the broker is asked for more
//!    only when every shard has taken what it was given.

pub mod batch;
pub mod feeder;
pub mod log;
pub mod point;
mod stored;
#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use feeder::Feeder;
pub use log::{Evicted, FrameLog};
pub use point::{Places, Point, Points};
pub use stored::Form;
