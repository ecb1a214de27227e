//! The client machine of one shard and lane (publishing and consuming have connections of their own).
//!
//! Sans-IO: its owner calls the methods of [`Client`] with the time in milliseconds of a monotonic clock, then drains
//! [`Client::poll_io`] and [`Client::poll_event`] until both are empty.

mod spec;

pub use spec::*;
