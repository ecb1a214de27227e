//! Threads, sockets, timers and mailboxes: everything that touches the kernel.
//!
//! The only room that names monoio or io_uring. It knows nothing of Pulsar or WebSocket: it carries bytes and
//! other rooms' values. `unsafe` lives in `sys`, one system call per function, and in [`batch`].
//!
//! | file | subject |
//! |---|---|
//! | [`cores`] | CPU lists, the CPUs we may use, pinning |
//! | [`driver`], [`diagnostics`] | which event driver this kernel lets us have, and what to do when it refuses |
//! | [`shard`], [`mailbox`] | one pinned thread with one event loop; how other threads reach it |
//! | [`socket`], `flush`, [`batch`] | TCP: reading without an idle buffer, one vectored send per turn; the sends of many sockets in one system call |
//! | `tls`, `secured` | TLS as a machine; its way through a socket |
//! | [`mod@connect`], [`acceptor`], [`seats`] | the two ways to get a socket; which shard gets it |
//! | [`timer`], [`clock`], [`alarm`] | a timing wheel, the clock it is fed with, the one sleep that drives it |
//! | [`local`], [`mod@turn`] | small single-threaded helpers; letting the event loop have its turn |
//!
//! Three rules that the event loop (monoio 0.2.4) imposes on everybody who writes a future here:
//!
//! 1. A future never wakes itself and returns `Pending`: the loop would run it again before anything else, for
//!    ever. To let others run, await [`turn()`].
//! 2. A pending ring operation is never dropped. Where a wait must end early, make the kernel complete it
//!    (`shutdown(2)` ends a poll), and keep waiting for that.
//! 3. Nothing blocks: names are resolved on threads of their own ([`mod@connect`]), accepting has its own thread.

#![deny(unsafe_code)]

pub mod acceptor;
pub mod alarm;
#[allow(unsafe_code)]
pub mod batch;
pub mod clock;
pub mod connect;
pub mod cores;
pub mod diagnostics;
pub mod driver;
mod flush;
pub mod local;
pub mod mailbox;
pub mod seats;
mod secured;
pub mod shard;
pub mod socket;
#[allow(unsafe_code)]
mod sys;
pub mod timer;
mod tls;
pub mod turn;

#[cfg(test)]
pub(crate) mod tests;

pub use acceptor::{AcceptPlan, Accepted, Accepting, Acceptor};
pub use alarm::Alarm;
pub use batch::Batch;
pub use clock::{now_ms, wall_ms};
pub use connect::connect;
pub use local::{
    Notify, OneShot, OneShotReceiver, give_memory_back_soon, oneshot, sleep_ms, spawn,
};
pub use mailbox::{Inbox, Post};
pub use seats::{Seat, Seats};
pub use shard::{Ended, ShardContext, ShardPlan, Shards};
pub use socket::{Socket, TlsSide};
pub use timer::{TimerKey, Wheel};
pub use turn::turn;
