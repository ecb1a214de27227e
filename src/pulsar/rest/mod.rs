//! Pulsar's REST API as far as finding topics and reading permissions needs it: requests out, responses in (sans-IO).
//!
//! `paths`: what is asked where (Java's `HttpLookupService`). `response`: HTTP/1.1 off the wire, every size bounded.
//! `answers`: what a response says.

mod answers;
mod paths;
mod response;

pub use answers::{Owner, owner, partitions, redirect, refusal, topics};
pub use paths::{
    CLUSTERS_PATH, lookup_path, partitions_path, policies_path, request, tenant_path, topics_path,
};
pub use response::{Response, ResponseReader};
