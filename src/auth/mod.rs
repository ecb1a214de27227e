//! Who may connect, and what they may do.
//!
//! | file | its subject |
//! |---|---|
//! | `offered` | what a request offers: `Authorization`, `?token=`, `Sec-WebSocket-Protocol`, a certificate |
//! | `authentication` | the providers, each asked in its turn: [`Offered`] → [`Identity`] |
//! | `settings`, `source` | the settings of Java's providers → an [`Authentication`]; where keys and files stand |
//! | `token`, `jwt` | `AuthenticationProviderToken`; reading and verifying JSON Web Tokens |
//! | `tls`, `certificate_time` | `AuthenticationProviderTls`: the name in a certificate, and its end |
//! | `basic` | `AuthenticationProviderBasic`: users and the hashes of their passwords |
//! | `openid` | `AuthenticationProviderOpenID`: tokens of issuers that publish their keys |
//! | `desk` | where all is looked at that takes longer than a shard has time |
//! | `access` | what a socket wants to do, and which records decide on it |
//! | `grants` | the accesses of a shard's sockets, and the records that they live on |
//! | `turns` | how many records are read at a time for one role |
//! | `records` | what an administrator has granted, as Pulsar keeps it |
//! | `rules` | whether the records allow an access: Java's `PulsarAuthorizationProvider` |
//!
//! Sans-IO but for reading key files at the start. Tokens tell their times by the wall clock; how long anything is kept is
//! told by the monotonic one. Nothing here prints a credential or a key; a type that holds one has no `Debug` that shows it.

#![forbid(unsafe_code)]

pub mod access;
mod authentication;
mod basic;
pub(crate) mod certificate_time;
mod desk;
pub mod grants;
mod jwt;
mod offered;
mod openid;
pub mod records;
pub mod rules;
mod settings;
mod source;
mod tls;
mod token;
mod turns;

#[cfg(test)]
mod tests;

pub use authentication::{Authentication, Identity, Method, REFUSAL, Secret, Step, Why};
pub use desk::{Answer, Desk, Lane, Now, Question, Unidentified};
pub use offered::{Offered, protocol_to_answer};
pub use openid::Fetching;
pub use openid::settings::OpenIdSettings;
pub use settings::{Settings, TokenSettings};
