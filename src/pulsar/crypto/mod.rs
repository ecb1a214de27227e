//! End-to-end encryption as Pulsar's clients do it (`MessageCryptoBc` of the Java client): a producer encrypts its
//! entries with a data key of its own (AES-GCM), and sends that key along in each entry's metadata, encrypted for
//! everybody who may read.
//!
//! | file | subject |
//! |---|---|
//! | `keys` | RSA and EC keys out of PEM; data keys encrypted for them, and decrypted with them |
//! | `ecies` | how that is done for EC keys |
//! | `curves` | the curves these are on |
//! | `der`, `pem` | the formats that keys are kept in |
//! | `data_key` | payloads encrypted with a data key, and decrypted |
//! | `sealing` | what a producer encrypts with |
//! | `opening` | the data keys that a consumer knows, and decrypting entries with them |
//!
//! Sans-IO but for the system's randomness. Operations with [`PrivateKey`]s and [`PublicKey`]s take up to some
//! milliseconds and are not for a shard; those with data keys are. Key material is zeroized when it is dropped.
#![forbid(unsafe_code)]

mod curves;
mod data_key;
mod ecies;
mod keys;
mod opening;
mod pem;
mod sealing;
#[cfg(test)]
mod tests;

pub use data_key::{DataKey, IV_BYTES, TAG_BYTES};
pub use keys::{KeyError, PrivateKey, PublicKey};
pub use opening::{DataKeys, Opened, SealedDataKey, Tried};
pub use sealing::{Sealing, Unsealed};
