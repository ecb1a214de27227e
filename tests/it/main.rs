//! Behaviour of the whole gateway, one module for each; on the embedded broker or on real Pulsar (`support`).

mod first_messages;
mod process;
mod reconnect;
mod shutdown;
mod spread;
mod support;
