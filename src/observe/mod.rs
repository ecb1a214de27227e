//! What an operator sees: logs and counters. It knows nothing of sockets or Pulsar, and never a payload or a secret.

#![forbid(unsafe_code)]

pub mod counters;
pub mod logs;
pub mod panics;
pub mod seldom;
