//! The Pulsar side: the binary protocol and a client machine for a gateway, both without any I/O.
//!
//! [`wire`] turns bytes into commands and back. [`client`] is the machine that speaks it: it is given bytes, a clock
//! and its owner's wishes, and gives bytes, events and connection requests. The protobuf types are those of the
//! `pulsar` crate (`::pulsar::proto`); hot commands are coded by hand in [`wire`]. [`rest`] is what finding topics needs
//! of the REST API, [`crypto`] is end-to-end encryption.
#![forbid(unsafe_code)]

pub mod client;
pub mod crypto;
pub mod message;
pub mod murmur;
pub mod rest;
pub mod topics;
mod topics_pattern;
pub mod types;
pub mod wire;

pub use message::Message;
pub use topics_pattern::{PatternError, PatternText, TopicsPattern};
pub use types::{
    BrokerError, CryptoFailureAction, Entry, ErrorKind, InitialPosition, MessageId,
    SubscriptionType,
};
