//! pws-fast: a WebSocket gateway for Apache Pulsar, with the wire protocol of Pulsar's own Java gateway.
//!
//! # The rooms
//!
//! | room | what lives there | may import |
//! |---|---|---|
//! | `main.rs`, [`cli`] | the life of the process: flags → config → runtime → wait → drain | all |
//! | [`config`] | `websocket.conf` names and flags → one checked runtime struct | auth, doors, runtime's list of cores, pulsar's plain types |
//! | [`cluster`] | out of the metadata store: a cluster's URLs at the start, later what is granted | config, auth |
//! | [`tls`] | certificates and keys: files → what rustls works with | config |
//! | [`credentials`] | what the gateway shows to brokers, and whom it takes for one: files → values | config, tls, pulsar's plain types |
//! | [`runtime`] | cores, shards, mailboxes, the acceptor, timers, sockets on io_uring | – |
//! | [`doors`] | who may come in: limits, rates, Origin, the PROXY protocol (sans-IO) | – |
//! | [`http`] | upgrade request, refusals, small responses (sans-IO) | – |
//! | [`ws`] | frames, masking, close codes (sans-IO) | – |
//! | [`pulsar`] | the Pulsar wire and the client machine on it: connections, lookup, producers, consumers (sans-IO) | der |
//! | [`api`] | the gateway's protocol: paths, parameters, JSON in and out, error texts (sans-IO) | pulsar's plain types |
//! | [`hub`] | subscription hubs: members, windows, what is unsettled, redelivery; tails and their logs of frames (sans-IO) | pulsar |
//! | [`session`] | what one socket does: producer, consumer, reader (sans-IO) | api, hub, pulsar, ws |
//! | [`gateway`] | one shard's state: carries the effects of the sans-IO rooms to each other and to the runtime | all of the above |
//! | [`auth`] | who may connect, and what they may do (sans-IO) | der, http, pulsar's plain types |
//! | `der` | as much of ASN.1 as keys and certificates need | – |
//! | [`observe`] | counters, logs | – |
//! | [`embedded`] | the in-process broker: the same wire, memory only, with faults on request | pulsar |
//!
//! `gateway` is the one room that the others do not know: with it `session` and `hub` stay free of I/O, threads
//! and clocks, so that they run in tests and simulations as they are.
//!
//! # Invariants worth naming
//!
//! 1. The gateway loses nothing and repeats nothing; order per topic partition (and per key) holds on every socket.
//! 2. Everything is bounded, and every bound has a name and a reason.
//! 3. An idle socket holds no buffer. It waits for readability, then borrows its shard's read buffer.
//! 4. Shards share nothing but mailboxes; posts are batched, one wake-up per batch, and never wait.
//! 5. One vectored send in flight per socket, carrying all that is due to it. A slow socket delays no other.
//! 6. A shard never blocks.
//! 7. Protocol code does no I/O: it takes bytes and a clock and gives bytes and effects.
//! 8. Client bytes are hostile, broker bytes are suspect: neither panics the process, grows memory past a bound,
//!    or reads another socket's data.

#![deny(unsafe_op_in_unsafe_fn)]

pub mod api;
pub mod auth;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod credentials;
mod der;
pub mod doors;
pub mod embedded;
pub mod gateway;
pub mod http;
pub mod hub;
pub mod observe;
pub mod pulsar;
pub mod runtime;
pub mod session;
pub mod tls;
pub mod ws;
