//! The gateway's protocol, byte for byte that of Pulsar's Java gateway (4.0.8): paths, parameters, JSON in and out,
//! error texts. Bytes in, values out, and back; no I/O and no clock.
//!
//! | file | subject |
//! |---|---|
//! | `path`, `topic`, `topic_set`, `percent` | request paths → endpoints with valid topic names |
//! | `query`, `params` | query strings → checked settings of a producer, consumer or reader |
//! | `publish` | client → producer socket |
//! | `command` | client → consumer and reader sockets |
//! | `delivery`, `property_order` | message → client |
//! | `response` | acks, errors, end of topic → client |
//! | `auth_frames` | a token that runs out is asked for anew |
//! | `shown` | what a log may show of a request |
//! | `refusal`, `close` | how a handshake is refused and a socket ended |
//! | `json`, `base64`, `time`, `message_id`, `linked_map` | reading and writing as Jackson and the JDK do |
//!
//! What comes from clients is hostile: it costs time and memory in proportion to its own size at most, and its
//! payloads, tokens and keys appear in no error text and no `Debug` output.
#![forbid(unsafe_code)]

mod auth_frames;
mod base64;
mod close;
mod command;
mod compression;
mod delivery;
mod encryption_context;
mod json;
mod linked_map;
mod message_id;
mod params;
mod path;
mod percent;
mod property_order;
mod publish;
mod query;
mod refusal;
mod response;
mod shown;
mod time;
mod topic;
mod topic_set;

#[cfg(test)]
mod tests;

pub use auth_frames::{AuthResponse, append_auth_challenge, parse_auth_response};
pub use close::WebSocketError;
pub use command::{
    Command, CommandError, ReaderCommand, Request, parse_command, parse_reader_command,
};
pub use compression::Compression;
pub use delivery::{append_delivery, append_reader_delivery, delivery_size_hint};
pub use params::{
    Batching, ClientKey, ConsumerParams, DeadLetterPolicy, Flow, HashingScheme, ProducerParams,
    ReaderParams, RoutingMode,
};
pub use path::{Endpoint, EndpointKind};
pub use publish::{MessageEncryption, Publish, PublishError, parse_publish};
pub use query::Query;
pub use refusal::Refusal;
pub use response::{append_ack, append_answer, append_end_of_topic, append_error};
pub use shown::target as shown_target;
pub use topic::TopicName;
pub use topic_set::TopicSet;
