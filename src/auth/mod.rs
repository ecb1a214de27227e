//! Who may connect, and what they may do (sans-IO).
//!
//! | file | its subject |
//! |---|---|
//! | `claim` | what a socket wants to do, and which records decide on it |
//! | `grants` | the claims of a shard's sockets, and the records that they live on |
//! | `records` | what an administrator has granted, as Pulsar keeps it |
//! | `rules` | whether the records allow a claim: Java's `PulsarAuthorizationProvider` |

pub mod claim;
pub mod grants;
pub mod records;
pub mod rules;

#[cfg(test)]
mod tests;
