//! The doors: who may come in before it is known what they want.
//!
//! | file | what |
//! |---|---|
//! | [`networks`] | lists of networks: whose word about others is taken |
//! | [`proxy_protocol`] | the header by which a proxy says for whom it connects |
//! | [`forwarded`] | the same in a request: `X-Forwarded-For`, `Forwarded` |
//! | [`origin`] | which web pages may open sockets |
//! | [`rate`] | so many a second |
//! | [`crowd`] | so many at a time, and so many a second, for each address or role |
//! | [`entrance`] | all of these together, for the whole process |
//!
//! Nothing here does I/O or knows the clock. What is shared by the shards is touched when a connection comes and goes,
//! never by a message, and not at all where no bound is set.

#![forbid(unsafe_code)]

pub mod crowd;
pub mod entrance;
pub mod forwarded;
pub mod networks;
pub mod origin;
pub mod proxy_protocol;
pub mod rate;

pub use entrance::{Bounds, Closed, Entrance, Places};
pub use networks::Networks;
pub use origin::Origins;
