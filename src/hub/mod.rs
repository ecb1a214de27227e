//! Everything about one (topic, subscription) in this process: its upstream consumers, its members, what is unsettled.
//!
//! Sans-IO: [`Hub`] is given the members' wishes, the upstream's events and a clock, and writes [`Effect`]s.
#![forbid(unsafe_code)]

mod effect;

pub use effect::*;
