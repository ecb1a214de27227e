//! The gateway and a Pulsar that lets in only whom it should: TLS on every port, authentication by token, certificate
//! and password, authorization. `tests/run secured`, or `cargo test --test secured -- NAME`.
//!
//! One module for each behaviour, as in `tests/it`; `secured` has that Pulsar, which is started once in a run and ends
//! with it. What needs no secured broker belongs to `tests/it`.

#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "these tests need a part of it")]
mod support;

mod authorization;
mod beside_java;
mod broker_credentials;
mod broker_tls;
mod brokers_decide;
mod oauth2;
mod pulsar_itself;
mod pulsars_proxy;
mod renewal;
mod safe_configuration;
mod scenarios;
mod secrets;
mod secured;
