//! Hostile and broken clients.
//!
//! Set-up: raw TCP connections that say what no decent client says, beside sockets on both shards that have no part in
//! it. Claim: every mistake gets its documented answer, nothing stays behind of it, and the neighbours notice nothing.

mod frames;
mod messages;
mod requests;
mod silence;
mod vanishing;
