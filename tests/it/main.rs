//! Behaviour of the whole gateway, one module for each; on the embedded broker or on real Pulsar (`support`).

mod backpressure;
mod bad_broker;
mod bad_input;
mod end_of_topic;
mod exclusive;
mod first_messages;
mod head_of_line;
mod non_persistent;
mod own_upstream;
mod partitioned;
mod per_socket;
mod process;
mod publish;
mod reader;
mod reconnect;
mod redelivery;
mod refusals;
mod service_urls;
mod shared;
mod shared_siblings;
mod shutdown;
mod spread;
mod support;
mod unsubscribe;
mod v1;
mod windows;
