//! JSON as Jackson reads it, in place.
//!
//! The gateway's clients are written against Jackson's reading: a number keeps its literal where text is due (`1e3`
//! comes back as `"1e3"`), what follows the document is not looked at, a lone surrogate is a `?`, the last of two equal
//! fields counts. A tape parser forgets number literals and refuses the rest, so [`Reader`] is a pull reader of our own:
//! one pass, strings unescaped where they lie, no recursion, no allocation. [`scalar`] holds Jackson's coercions.
//!
//! It costs no speed (`cargo bench --bench micro json`, Rust 1.95, one CPU of a shared EPYC; checked fields here, for an
//! ack its id too):
//!
//! | frame | ours | simd-json, tape alone | simd-json with serde | serde_json |
//! |---|---|---|---|---|
//! | ack, 24 B | 32 ns | 50 ns | 97 ns | 69 ns |
//! | nack, 53 B | 91 ns | 66 ns | 110 ns | 103 ns |
//! | publish of 128 B | 0.22 µs | 0.15 µs | 0.22 µs | 0.25 µs |
//! | publish of 1 KiB | 0.28 µs | 0.30 µs | 0.37 µs | 0.41 µs |
//! | publish of 64 KiB | 4.8 µs | 12 µs | 12 µs | 11 µs |
//!
//! simd-json copies a frame into a buffer of its own and checks its UTF-8 once more, and has found no field when its tape
//! is there. So it has no part in the gateway that it would do better; it is what this reader is measured against.
//!
//! Not for output: the frames that the gateway writes are put together in `delivery` and `response` with [`escape`].

pub mod escape;
mod reader;
pub mod scalar;
mod string;

pub use reader::{JsonError, Reader, Value};
